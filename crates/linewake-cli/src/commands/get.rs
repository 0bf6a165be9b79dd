//! `linewake get`: the values of lines.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use linewake::record::{Record, State};
use linewake::{Bias, LineConfig};

use crate::display::Values;
use crate::exit::{self, Failure};
use crate::lines::{All, FoundLine, FoundLines, Scope};
use crate::settings::BEYOND;
use crate::{output, period, settings};

/// Read values of lines
///
/// Each line becomes an input, unless --as-is is given, and is read; the lines of one chip are read at once.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake get door bell               \"door\"=active \"bell\"=inactive
  linewake get -c 0 --numeric 4 5      1 0
  linewake get -c sim                  every input of a simulated chip
  linewake get gpiochip0:4 sim:door    lines by chip and offset, or name
  linewake get --json door             a record for each line: docs/record.schema.json

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.",
    &[]
))]
pub(crate) struct Arguments {
    /// Lines: by name; by offset too, with --chip; or as CHIP:LINE. @SET is a set of lines of the
    /// configuration. With --chip all of its inputs if none is given, with --as-is all of
    /// its lines
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Keep the direction of the lines
    #[arg(short, long)]
    as_is: bool,

    /// Bias of the lines: what pulls them when nothing drives them; unchanged unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::one_of(settings::BIASES, Bias::as_str))]
    bias: Option<Bias>,

    #[command(flatten)]
    scope: Scope,

    /// Name of the reader, which others see [default: gpioget]
    #[arg(short = 'C', long, value_name = "NAME", default_value = "gpioget", hide_default_value = true)]
    consumer: String,

    /// Treat the low level as the active one
    #[arg(short = 'l', long)]
    active_low: bool,

    /// Wait this long between taking the lines and reading them
    #[arg(short = 'p', long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    hold_period: Option<Duration>,

    /// Write 1 for active and 0 for inactive, without names
    #[arg(long)]
    numeric: bool,

    /// Write names without quotes
    #[arg(long)]
    unquoted: bool,

    /// Write `state` records of docs/record.schema.json, one JSON object on each line
    #[arg(long, help_heading = BEYOND)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let all = if arguments.as_is { All::Lines } else { All::Inputs };
    let lines = arguments.scope.resolve_or_all(&arguments.lines, all, &arguments.scope.consent.options())?;
    let values = read(arguments, &lines)?;
    if arguments.json {
        let chips = lines.chip_names();
        return output::write(|out| {
            for (line, &active) in lines.lines.iter().zip(&values) {
                let state = State {
                    chip: (&*chips[line.chip]).into(),
                    offset: line.offset.get(),
                    name: line.name.as_deref().map(Into::into),
                    level: Some(active.into()),
                };
                output::json(out, &Record::State(state))?;
            }
            Ok(())
        });
    }
    let values: Vec<_> = lines.lines.iter().map(FoundLine::shown).zip(values).collect();
    let Arguments { unquoted, numeric, .. } = *arguments;
    output::write(|out| writeln!(out, "{}", Values { values: &values, unquoted, numeric }))
}

/// Reads the values, in the order of the lines.
fn read(arguments: &Arguments, lines: &FoundLines) -> Result<Vec<bool>, Failure> {
    let config = if arguments.as_is { LineConfig::as_is() } else { LineConfig::input() };
    let config = config.active_low(arguments.active_low);
    let config = arguments.bias.map_or(config, |bias| config.bias(bias));
    let mut values = vec![false; lines.lines.len()];
    for (chip, of_chip) in lines.by_chip() {
        let offsets = of_chip.iter().map(|(_, line)| line.offset);
        let request = chip.request().lines(offsets).config(config).consumer(&arguments.consumer);
        let request = request.start()?;
        if let Some(period) = arguments.hold_period {
            thread::sleep(period);
        }
        let read = request.values()?;
        for ((place, _), value) in of_chip.into_iter().zip(read) {
            values[place] = value;
        }
    }
    Ok(values)
}
