//! `linewake info`: the names and settings of lines.

use std::io::{self, Write};

use linewake::{Bias, Chip, ChipInfo, Direction, Edges, LineInfo, Offset};
use serde::Serialize;

use crate::display::{Attributes, Printable, Quoted};
use crate::exit::{self, Failure};
use crate::lines::Scope;
use crate::output;
use crate::settings::BEYOND;

/// Show lines: names, directions, settings and consumers
///
/// Without a LINE it lists all lines of all chips, or of the chips given with --chip. If several lines have one name,
/// --strict shows them all, else the first is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake info                  every line of every chip
  linewake info -c sim           every line of one
  linewake info door bell        gpiochip0 4<TAB>\"door\"<TAB>input bias=pull-up consumer=\"watchman\"
  linewake info --json -c 0 4    an object for each line",
    &[]
))]
pub(crate) struct Arguments {
    /// Lines: by name; by offset too, with --chip; or as CHIP:LINE. @SET is a set of lines of the
    /// configuration. All lines if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    #[command(flatten)]
    scope: Scope,

    /// Write names without quotes
    #[arg(long)]
    unquoted: bool,

    /// Write one JSON object on each line
    #[arg(long, help_heading = BEYOND)]
    json: bool,
}

#[derive(Serialize)]
struct LineRecord<'a> {
    chip: &'a str,
    offset: u32,
    name: Option<&'a str>,
    direction: &'a str,
    level: Option<u8>,
    used: bool,
    consumer: Option<&'a str>,
    active_low: bool,
    bias: Option<&'a str>,
    drive: &'a str,
    edges: Option<&'a str>,
    debounce_ns: u64,
    clock: &'a str,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let survey = arguments.scope.survey(&arguments.lines, &arguments.scope.consent.options())?;
    // Unlike the other commands, this one shows what it found before it reports what it did not find.
    let mut failures = survey.failures;
    output::write(|out| {
        let names = ChipInfo::distinct_names(survey.chips.iter().map(|(chip, _)| chip.info()));
        for ((chip, offsets), name) in survey.chips.iter().zip(&names) {
            if let Err(failure) = show(out, arguments, (name, chip), offsets)? {
                failures.push(failure);
            }
        }
        Ok(())
    })?;
    exit::report_all(failures)
}

/// Prints lines of a chip.
fn show(
    out: &mut impl Write,
    arguments: &Arguments,
    (called, chip): (&str, &Chip),
    offsets: &[Offset],
) -> io::Result<Result<(), Failure>> {
    let is_list = arguments.lines.is_empty() && !arguments.json;
    let name = Printable(called);
    if is_list {
        writeln!(out, "{name} - {} lines:", chip.info().lines)?;
    }
    for &offset in offsets {
        let line = match chip.line_info(offset) {
            Ok(line) => line,
            Err(error) => return Ok(Err(error.into())),
        };
        if arguments.json {
            output::json(out, &LineRecord::new(called, &line))?;
            continue;
        }
        if is_list {
            write!(out, "\tline {offset:>3}:\t")?;
        } else {
            write!(out, "{name} {offset}\t")?;
        }
        let quoted = match line.name.as_deref() {
            Some(text) => Quoted { text, unquoted: arguments.unquoted }.to_string(),
            None => "unnamed".to_owned(),
        };
        writeln!(out, "{quoted:<16}\t{}", Attributes { line: &line, unquoted: arguments.unquoted })?;
    }
    Ok(Ok(()))
}

impl<'a> LineRecord<'a> {
    fn new(chip: &'a str, line: &'a LineInfo) -> Self {
        let LineInfo { offset, name, direction, active, used, consumer, config } = line;
        Self {
            chip,
            offset: offset.get(),
            name: name.as_deref(),
            direction: match direction {
                Direction::Input => "input",
                Direction::Output => "output",
            },
            level: active.map(u8::from),
            used: *used,
            consumer: consumer.as_deref(),
            active_low: config.active_low,
            bias: config.bias.map(Bias::as_str),
            drive: config.drive.as_str(),
            edges: config.edges.map(Edges::as_str),
            debounce_ns: u64::try_from(config.debounce.as_nanos()).unwrap_or(u64::MAX),
            clock: config.clock.as_str(),
        }
    }
}
