//! `linewake set`: outputs, which are held while the command runs.

pub(crate) mod console;
#[cfg(unix)]
mod daemon;
mod goal;
mod interactive;
mod outputs;
pub(crate) mod terminal;

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use linewake::{Bias, Drive, LineConfig};

use self::goal::{Goal, end_on_signal};
use self::outputs::Outputs;
use self::terminal::Settings;
use crate::display::banner;
use crate::exit::{self, Code, Failure};
use crate::lines::{Scope, is_chip, is_chip_number, told_as_chip};
use crate::period::{self, Periods};
use crate::{output, settings};

/// Set lines to values, and hold them
///
/// The command holds the lines until a signal ends it, or the last period of --toggle is 0. The driver decides what
/// becomes of a line that nobody holds.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake set relay-1=1 led=off           until Ctrl-C
  linewake set -c 0 --toggle 500ms 4=1     blink
  linewake set --toggle 2s,0 valve=1       open for two seconds, close, end
  linewake set --interactive led=0         then by commands: get, set, toggle, sleep, help, exit
  linewake set --daemonize relay-1=1       stay in the background
  linewake set gpiochip0:4=1 sim:led=1     lines by chip and offset, or name
  linewake set @pumps=0                    a set of the configuration

VALUE is 1, active, on or true; or 0, inactive, off or false.
PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.",
    &[(Code::Early, ": a signal came before the lines were set, or before --hold-period or --toggle was over")]
))]
pub(crate) struct Arguments {
    /// Lines and their values: by name; by offset too, with --chip; or as CHIP:LINE=VALUE. @SET=VALUE is for every line
    /// of a set of the configuration
    #[arg(value_name = "LINE=VALUE")]
    values: Vec<String>,

    /// Print a line when the lines are set
    #[arg(long)]
    banner: bool,

    /// Bias of the lines: what pulls them when nothing drives them; unchanged unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::one_of(settings::BIASES, Bias::as_str))]
    bias: Option<Bias>,

    #[command(flatten)]
    scope: Scope,

    /// Name of the holder, which others see [default: gpioset]
    #[arg(short = 'C', long, value_name = "NAME", default_value = "gpioset", hide_default_value = true)]
    consumer: String,

    /// Drive of the lines; push-pull unless given
    #[arg(short, long, value_name = "DRIVE", value_parser = settings::one_of(settings::DRIVES, Drive::as_str))]
    drive: Option<Drive>,

    /// Set the lines, then take commands from standard input; its command "help" lists them. A terminal has history and
    /// completion
    #[arg(short, long)]
    interactive: bool,

    /// Treat the low level as the active one
    #[arg(short = 'l', long)]
    active_low: bool,

    /// Hold each value at least this long
    #[arg(short = 'p', long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    hold_period: Option<Duration>,

    /// Toggle the lines after each of these periods, over and over; end if the last is 0
    #[arg(short, long, value_name = "PERIOD[,PERIOD]...", value_parser = period::parse_several,
        allow_hyphen_values = true)]
    toggle: Option<Periods>,

    /// Write names without quotes
    #[arg(long)]
    unquoted: bool,

    /// Set the lines, then stay in the background (not on Windows)
    #[arg(short = 'z', long)]
    daemonize: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (ids, values) = operands(arguments)?;
    #[cfg(unix)]
    if arguments.daemonize && !daemon::is_here() {
        return daemon::begin();
    }
    #[cfg(not(unix))]
    if arguments.daemonize {
        return Err(Failure::new(
            "\"--daemonize\" is not possible on this system; start the command in the background instead: \
             \"start /b linewake set ...\"",
        ));
    }
    let terminal = if arguments.interactive { Settings::now() } else { Settings::default() };
    let goal = Goal::default();
    goal.is(Some("the lines were set"));
    end_on_signal(terminal, goal.clone())?;
    let lines = arguments.scope.resolve(&ids, &arguments.scope.consent.options())?;
    let values = lines.lines.iter().map(|line| values[line.operand]).collect();
    let config = |value| {
        let config = LineConfig::output(value).active_low(arguments.active_low);
        let config = arguments.bias.map_or(config, |bias| config.bias(bias));
        arguments.drive.map_or(config, |drive| config.drive(drive))
    };
    let mut outputs = Outputs::hold(&arguments.consumer, config, lines, values)?;
    goal.is(match (&arguments.toggle, arguments.hold_period) {
        (Some(toggle), _) if toggle.0.last() == Some(&Duration::ZERO) => Some("the toggling was over"),
        (None, Some(_)) => Some("--hold-period was over"),
        _ => None,
    });
    if arguments.banner {
        output::write(|out| out.write_all(banner("Setting", ids.iter().map(String::as_str)).as_bytes()))?;
    }
    #[cfg(unix)]
    if arguments.daemonize {
        daemon::ready()?;
    }
    if let Some(toggle) = &arguments.toggle {
        outputs.toggle_by(&toggle.0, arguments.hold_period)?;
    }
    if let Some(period) = arguments.hold_period {
        thread::sleep(period);
    }
    if arguments.toggle.is_some() {
        return outputs.verdict();
    }
    goal.is(None);
    if arguments.interactive {
        interactive::run(&mut outputs, &ids, arguments.unquoted, &goal)?;
        return outputs.verdict();
    }
    outputs.wait()
}

/// Checks the command line, and splits its operands into lines and values.
fn operands(arguments: &Arguments) -> Result<(Vec<String>, Vec<bool>), Failure> {
    if arguments.interactive && arguments.toggle.is_some() {
        return Err(Failure::new("\"--interactive\" cannot be used with \"--toggle\"; use its command \"toggle\""));
    }
    if arguments.interactive && arguments.daemonize {
        let message = "\"--interactive\" cannot be used with \"--daemonize\"";
        return Err(Failure::new(format!("{message}; nobody can type commands in the background")));
    }
    if arguments.values.is_empty() {
        return Err(Failure::new("missing a line and its value; write LINE=VALUE"));
    }
    let values = &arguments.values;
    values.iter().map(|text| line_value(text).map_err(|wrong| invalid_value(text, wrong, values))).collect()
}

/// A line and its value; the error is the part that is wrong.
fn line_value(text: &str) -> Result<(String, bool), &str> {
    // The parts are cut at ASCII characters, so they are UTF-8 as the whole is.
    fn part(bytes: &[u8]) -> &str {
        str::from_utf8(bytes).unwrap_or_default()
    }
    console::line_value(text.as_bytes()).map(|(line, value)| (part(line).to_owned(), value)).map_err(part)
}

fn invalid_value(text: &str, wrong: &str, values: &[String]) -> Failure {
    let others = values.split_first().filter(|(first, others)| *first == text && !others.is_empty());
    let message = if let Some((_, others)) = others.filter(|_| is_chip(text) || is_chip_number(text)) {
        told_as_chip(text, text, others)
    } else if text == wrong {
        format!("\"{text}\" has no value; write \"{text}=1\" or \"{text}=0\"")
    } else {
        format!("invalid value \"{wrong}\" in \"{text}\"; expected 1, active, on, true, 0, inactive, off or false")
    };
    Failure::new(message)
}
