//! The table of chip specs: each form that [`Chip::open`](crate::Chip::open) knows, what it means, the options that it
//! takes and how it opens. Errors, help and documentation are made from this table or compared with it.

use std::sync::Arc;

use linewake_controller::protocol::MAX_LINES;
use overlapped::Device;

use super::options::{ChipOptions, DEFAULT_SEED, Setting};
use crate::backend::{Backend, driver, exec, gpiochip, profile, serial, sim};
use crate::profile::Profile;
use crate::sim::Script;
use crate::{Error, ErrorKind};

/// The backend of a chip, or the reason why it cannot be opened.
type OpenResult = Result<Arc<dyn Backend>, Error>;

/// A form of the texts that [`Chip::open`](crate::Chip::open) takes.
///
/// ```
/// let serial = linewake::chip_specs().iter().find(|spec| spec.form == "serial:PORT").expect("a row of the table");
/// assert_eq!(serial.options().collect::<Vec<_>>(), ["poll_period"]);
/// ```
#[derive(Debug)]
pub struct ChipSpec {
    /// The form of the text. Capitals stand for the parts that vary, as in `serial:PORT`.
    pub form: &'static str,
    /// The chip that it opens.
    pub description: &'static str,
    options: &'static [Setting],
    /// The variable part of a text, if the text has this form.
    rest: fn(&str) -> Option<&str>,
    open: fn(&ChipOptions, Text<'_>) -> OpenResult,
}

/// A text that has a form.
#[derive(Clone, Copy)]
struct Text<'a> {
    spec: &'a str,
    /// The variable part: `COM3` of `serial:COM3`.
    rest: &'a str,
}

/// The first row whose form a text has opens it.
static SPECS: &[ChipSpec] = &[
    ChipSpec {
        form: "sim",
        description: "a simulated chip whose lines change by themselves",
        options: &[Setting::Seed, Setting::Life, Setting::Clock],
        rest: |spec| spec.strip_prefix("sim").filter(|rest| rest.is_empty()),
        open: |options, text| simulated(options, &life_or_still(options), text.spec),
    },
    ChipSpec {
        form: "sim:N",
        description: "the same chip with N lines, 1 to 1024",
        options: &[Setting::Seed, Setting::Life, Setting::Clock],
        rest: |spec| spec.strip_prefix("sim:").filter(|rest| !Script::is_of_file(rest)),
        open: |options, text| simulated(options, &life_or_still(options).cut_to(line_count(text)?), text.spec),
    },
    ChipSpec {
        form: "sim:FILE",
        description: "a chip that plays a script (.toml) or a waveform (.vcd, .fst, .ghw)",
        options: &[Setting::Seed, Setting::Life, Setting::Clock],
        rest: |spec| spec.strip_prefix("sim:").filter(|rest| Script::is_of_file(rest)),
        open: |options, text| simulated(options, &script_in_file(options, text)?, text.spec),
    },
    ChipSpec {
        form: "label:LABEL",
        description: "the Linux gpiochip that has this label",
        options: &[],
        rest: |spec| spec.strip_prefix("label:"),
        open: |_, text| gpiochip::open(text.spec),
    },
    ChipSpec {
        form: "serial:PORT",
        description: "the modem lines of a serial port, as in serial:COM3 and serial:/dev/ttyUSB0",
        options: &[Setting::PollPeriod],
        rest: |spec| spec.strip_prefix("serial:"),
        open: |options, text| serial::open(text.rest, text.spec, options.poll_period.unwrap_or(serial::POLL_PERIOD)),
    },
    ChipSpec {
        form: "exec:COMMAND",
        description: "the lines that a program prints",
        options: &[Setting::StartTimeout],
        rest: |spec| spec.strip_prefix("exec:"),
        open: |options, text| exec::open(text.rest, options.start_timeout),
    },
    ChipSpec {
        form: r"\\.\NAME",
        description: "a device whose driver speaks the reference driver's protocol",
        options: &[],
        rest: |spec| spec.strip_prefix(r"\\.\").or_else(|| spec.strip_prefix(r"\\?\")),
        open: |_, text| reference_device(text.spec),
    },
    ChipSpec {
        form: "profile:FILE",
        description: "a device that a profile describes; a .toml FILE needs no prefix",
        options: &[Setting::AllowWrites],
        rest: |spec| spec.strip_prefix("profile:").or_else(|| spec.ends_with(".toml").then_some(spec)),
        open: |options, text| described(options, text.rest),
    },
    ChipSpec {
        form: "gpiochipN",
        description: "a Linux gpiochip by its name, its number N or its path, or by a link to it",
        options: &[],
        rest: |spec| gpiochip::is_spec(spec).then_some(spec),
        open: |_, text| gpiochip::open(text.spec),
    },
];

/// The forms of the texts that [`Chip::open`](crate::Chip::open) takes.
///
/// ```
/// for spec in linewake::chip_specs() {
///     println!("{}: {}", spec.form, spec.description);
/// }
/// ```
#[must_use]
pub fn chip_specs() -> &'static [ChipSpec] {
    SPECS
}

impl ChipSpec {
    /// The methods of [`ChipOptions`] that such a chip takes. Others are refused, but for
    /// [`allow_writes`](ChipOptions::allow_writes) and [`start_timeout`](ChipOptions::start_timeout), which other chips
    /// ignore.
    pub fn options(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().map(|setting| setting.as_str())
    }
}

/// The backend of the chip that `spec` names.
///
/// # Errors
/// [`ErrorKind::UnknownChip`] when it has no form of the table, [`ErrorKind::InvalidInput`] for an option that its form
/// does not take, and what opening says.
pub(super) fn open(options: &ChipOptions, spec: &str) -> Result<Arc<dyn Backend>, Error> {
    let Some((row, rest)) = SPECS.iter().find_map(|row| Some((row, (row.rest)(spec)?))) else {
        let expected = || {
            let last = SPECS.len() - 1;
            format!("there is no chip \"{spec}\"; expected {} or {}", forms(&SPECS[..last]), forms(&SPECS[last..]))
        };
        return Err(Error::new(ErrorKind::UnknownChip, gpiochip::labelled(spec).unwrap_or_else(expected)));
    };
    if let Some(option) = options.binding().find(|option| !row.options.contains(option)) {
        let takers: Vec<_> = SPECS.iter().filter(|row| row.options.contains(&option)).collect();
        let take = if takers.len() == 1 { "takes" } else { "take" };
        let message = format!("chip \"{spec}\" takes no {option}; only {} {take} one", forms(takers));
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    if options.poll_period.is_some_and(|period| period.is_zero()) {
        let message = format!("chip \"{spec}\" cannot be polled every 0 ms; expected 1 ns or more");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    (row.open)(options, Text { spec, rest })
}

fn forms<'a>(rows: impl IntoIterator<Item = &'a ChipSpec>) -> String {
    rows.into_iter().map(|row| format!("\"{}\"", row.form)).collect::<Vec<_>>().join(", ")
}

/// A simulated chip that plays a script. The options' seed and clock take the place of the script's.
pub(super) fn simulated(options: &ChipOptions, script: &Script, spec: &str) -> Result<Arc<dyn Backend>, Error> {
    script.check()?;
    let seed = options.seed.or(script.seed).unwrap_or(DEFAULT_SEED);
    let clock = options.clock.or(script.clock).unwrap_or_default();
    let host = sim::Host::new(script, seed, clock)?;
    Ok(Arc::new(driver::ReferenceChip::open(driver::DeviceOpener::Simulated(host), spec)?))
}

fn life_or_still(options: &ChipOptions) -> Script {
    if options.life.unwrap_or(true) { Script::life() } else { Script::still() }
}

fn line_count(text: Text<'_>) -> Result<u32, Error> {
    let in_range = |lines: &u32| (1..=MAX_LINES as u32).contains(lines);
    text.rest.parse().ok().filter(in_range).ok_or_else(|| {
        let message = format!(
            "there is no chip \"{}\"; expected 1 to {MAX_LINES} lines as in \"sim:64\", a script as in \
             \"sim:FILE.toml\", or a waveform as in \"sim:FILE.vcd\"",
            text.spec
        );
        Error::new(ErrorKind::UnknownChip, message)
    })
}

fn script_in_file(options: &ChipOptions, Text { spec, rest: file }: Text<'_>) -> Result<Script, Error> {
    if options.life == Some(false) {
        let message = format!("chip \"{spec}\" always plays its file; open \"sim\" for a chip without life");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let is_profile = || Profile::read(file).is_ok();
    let remedy = format!("it is the profile of a driver; open it as \"profile:{file}\"");
    Script::load(file).map_err(|error| unless_mistaken(error, is_profile, &remedy))
}

fn reference_device(spec: &str) -> OpenResult {
    let path = spec.to_owned();
    let source = driver::DeviceOpener::Devices(Arc::new(move || Device::open(&path)));
    let remedy = "is it plugged in, and is its driver running?";
    let opened = driver::ReferenceChip::open(source, spec);
    Ok(Arc::new(opened.map_err(|error| error.with_remedy_if(overlapped::ErrorKind::NotFound, remedy))?))
}

fn described(options: &ChipOptions, file: &str) -> OpenResult {
    let is_script = || Script::load(file).is_ok();
    let remedy = format!("it is a script of the simulator; open it as \"sim:{file}\"");
    profile::open(file, options.allow_writes).map_err(|error| unless_mistaken(error, is_script, &remedy))
}

/// Adds to the error of a bad file what the file is instead.
fn unless_mistaken(error: Error, is_the_other: impl FnOnce() -> bool, remedy: &str) -> Error {
    if error.kind() == ErrorKind::BadFile && is_the_other() {
        let message = format!("{error}; {remedy}");
        return error.saying(message);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(spec: &str) -> Option<&'static str> {
        SPECS.iter().find(|row| (row.rest)(spec).is_some()).map(|row| row.form)
    }

    #[test]
    fn each_text_has_the_form_of_one_row() {
        for (spec, form) in [
            ("sim", "sim"),
            ("sim:64", "sim:N"),
            ("sim:", "sim:N"),
            ("sim:bench.toml", "sim:FILE"),
            ("sim:bench.VCD", "sim:FILE"),
            ("label:pinctrl-bcm2711", "label:LABEL"),
            ("serial:COM3", "serial:PORT"),
            ("exec:sh card.toml", "exec:COMMAND"),
            (r"\\.\LineWake0", r"\\.\NAME"),
            (r"\\?\root#card", r"\\.\NAME"),
            ("profile:card", "profile:FILE"),
            ("simulator.toml", "profile:FILE"),
            ("17", "gpiochipN"),
            ("gpiochip0", "gpiochipN"),
            ("/dev/gpiochip0", "gpiochipN"),
        ] {
            assert_eq!(row_of(spec), Some(form), "{spec}");
        }
        for spec in ["", "simm", "gpiochip", "COM3"] {
            assert_eq!(row_of(spec), None, "{spec}");
        }
    }

    #[test]
    fn an_option_that_a_chip_does_not_take_is_refused_with_those_that_do() {
        let period = std::time::Duration::from_millis(1);
        let refused = |options: ChipOptions, spec| options.open(spec).unwrap_err().to_string();
        assert_eq!(
            refused(ChipOptions::default().poll_period(period), "sim"),
            "chip \"sim\" takes no poll period; only \"serial:PORT\" takes one"
        );
        assert_eq!(
            refused(ChipOptions::default().seed(1), "gpiochip0"),
            "chip \"gpiochip0\" takes no seed; only \"sim\", \"sim:N\", \"sim:FILE\" take one"
        );
        let zero = ChipOptions::default().poll_period(std::time::Duration::ZERO);
        assert!(refused(zero, "serial:COM3").contains("every 0 ms"));
    }

    /// The documentation has the same table; to mend it, paste what the failure shows.
    #[test]
    fn the_table_stands_in_the_documentation() {
        let row = |spec: &ChipSpec| {
            let options: Vec<_> = spec.options().map(|option| format!("`{option}`")).collect();
            format!("| `{}` | {} | {} |", spec.form, spec.description, options.join(", "))
        };
        let rows: Vec<_> = SPECS.iter().map(row).collect();
        for (file, text, comment) in [
            ("crates/linewake/src/open.rs", include_str!("../open.rs"), "    /// "),
            ("crates/linewake/README.md", include_str!("../../README.md"), ""),
        ] {
            let table: Vec<_> = rows.iter().map(|row| format!("{comment}{row}")).collect();
            let found: Vec<_> =
                text.lines().filter(|line| line.trim_start_matches(comment).starts_with("| `")).collect();
            assert!(found == table, "{file} should have\n{}\n", table.join("\n"));
        }
    }
}
