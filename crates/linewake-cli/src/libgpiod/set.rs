//! gpioset: outputs, which are held until the tool ends.

use linewake::{Drive, LineConfig};

use super::chip::RequestConfig;
use super::getopt::{self, Opt, flag, long_flag, value};
use super::outputs::Outputs;
use super::resolve::{self, Scope};
use super::{Context, Exit, help, interactive, number, print};
use crate::commands::set::Arguments;
use crate::commands::set::console::line_value;
use crate::settings;

pub(super) const OPTIONS: &[Opt] = &[
    flag("active-low", b'l'),
    long_flag("banner", b'-'),
    value("bias", b'b'),
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    value("consumer", b'C'),
    flag("daemonize", b'z'),
    value("drive", b'd'),
    flag("help", b'h'),
    value("hold-period", b'p'),
    flag("interactive", b'i'),
    flag("strict", b's'),
    value("toggle", b't'),
    long_flag("unquoted", b'Q'),
    flag("version", b'v'),
];

#[derive(Default)]
struct Options<'a> {
    scope: Scope<'a>,
    banner: bool,
    daemonize: bool,
    interactive: bool,
    unquoted: bool,
    /// In microseconds.
    hold: u64,
    toggle: Option<Vec<u64>>,
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let mut options = Options::default();
    let mut config = RequestConfig { consumer: b"gpioset", line: LineConfig::output(false) };
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'-' => options.banner = true,
            b'b' => config.line.bias = Some(number::bias_or_die(value)?),
            b'B' => options.scope.by_name = true,
            b'c' => options.scope.chip = Some(value),
            b'C' => config.consumer = value,
            b'd' => config.line.drive = number::word_or_die(value, "drive", settings::DRIVES, Drive::as_str)?,
            b'i' => options.interactive = true,
            b'l' => config.line.active_low = true,
            b'p' => options.hold = number::period_or_die(value)?,
            b'Q' => options.unquoted = true,
            b's' => options.scope.strict = true,
            b't' => options.toggle = Some(number::periods_or_die(value)?),
            b'z' => options.daemonize = true,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    if options.interactive && options.toggle.is_some() {
        return Err(Exit::new("can't combine interactive with toggle"));
    }
    if operands.is_empty() {
        return Err(Exit::new("at least one GPIO line value must be specified"));
    }
    let values = operands.iter().map(|word| line_value(word));
    let values = values.collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|wrong| Exit::of("invalid line value: '", wrong, "'"))?;
    let (ids, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let lines = resolve::resolve(context, &ids, options.scope)?;
    let mut outputs = Outputs::hold(lines, values, &config)?;
    if options.banner {
        print::banner(&mut context.out, "Setting", &ids);
        // The line is held even if the banner cannot be written.
        context.out.flush_if_possible()?;
    }
    if options.daemonize {
        outputs.daemonize(options.interactive)?;
    }
    run_on(context, &mut outputs, options)?;
    Ok(0)
}

/// Prints that the lines are held.
fn run_on(context: &mut Context, outputs: &mut Outputs<'_>, options: Options<'_>) -> Result<(), Exit> {
    let is_toggled = options.toggle.is_some();
    if let Some(mut periods) = options.toggle {
        let last = periods.len() - 1;
        for (at, period) in periods.iter_mut().enumerate() {
            if at != last || *period != 0 {
                *period = options.hold.max(*period);
            }
        }
        outputs.toggle_by(context, &periods)?;
    }
    if options.hold > 0 {
        number::sleep(options.hold);
    }
    match (options.interactive, is_toggled) {
        (true, _) => interactive::run(context, outputs, options.unquoted),
        (false, false) => outputs.wait(),
        (false, true) => Ok(()),
    }
}
