//! `linewake detect`: a list of the chips.

use linewake::ChipInfo;
use serde::Serialize;

use crate::display::Printable;
use crate::exit::{self, Failure};
use crate::lines::{Consent, Scope};
use crate::output;
use crate::settings::BEYOND;

/// List chips, with their labels and numbers of lines
///
/// Without a CHIP it lists those of the system: on Linux the gpiochips, on Windows the device of the reference driver.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake detect            gpiochip0 [pinctrl-bcm2711] (58 lines)
  linewake detect 0 sim:64   two chips
  linewake detect --json     an object for each chip: chip, label, lines, path",
    &[]
))]
pub(crate) struct Arguments {
    /// Chips: by number, name or path as in "0", "gpiochip0" and "/dev/gpiochip0"; "sim"; a device such as
    /// "\\.\LineWake0"
    #[arg(value_name = "CHIP")]
    chips: Vec<String>,

    #[command(flatten)]
    consent: Consent,

    /// Write one JSON object on each line
    #[arg(long, help_heading = BEYOND)]
    json: bool,
}

#[derive(Serialize)]
struct ChipRecord<'a> {
    chip: &'a str,
    label: &'a str,
    lines: u32,
    path: Option<&'a str>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let options = arguments.consent.options();
    let chips = if arguments.chips.is_empty() { linewake::chips() } else { arguments.chips.clone() };
    let mut failures = Vec::new();
    output::write(|out| {
        for spec in &chips {
            match Scope::open(spec, &options) {
                Ok(chip) => show(out, chip.info(), arguments.json)?,
                // The other chips are still listed.
                Err(failure) => failures.push(failure),
            }
        }
        Ok(())
    })?;
    exit::report_all(failures)
}

fn show(out: &mut impl std::io::Write, info: &ChipInfo, json: bool) -> std::io::Result<()> {
    let ChipInfo { name, label, lines, path, .. } = info;
    if json {
        return output::json(out, &ChipRecord { chip: name, label, lines: *lines, path: path.as_deref() });
    }
    writeln!(out, "{} [{}] ({lines} lines)", Printable(name), Printable(label))
}
