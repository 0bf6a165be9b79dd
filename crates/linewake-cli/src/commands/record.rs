//! `linewake record`: captures edges with their account, to replay them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::mon::options::{EndOptions, LineOptions};
use super::mon::{self, Plan};
use crate::exit::{self, Code, Failure};
use crate::sinks::destination::{self, Destination};
use crate::sinks::distinct;
use crate::sinks::files::{FileOptions, place, quoted};

/// Capture the edges of lines, with the account, in a file
///
/// The file is a record stream (docs/record.schema.json), as "linewake mon --json" writes it. "linewake replay" plays
/// it. The capture ends as mon does: by Ctrl-C, --for, -n or --idle-timeout. The help of mon says under "Files" what
/// --append, a service manager and SIGHUP do to the file.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples:
  linewake record door.jsonl --for 10m door    ten minutes of one line
  linewake record all.jsonl -c gpiochip0       every input of a chip, until Ctrl-C
  linewake replay door.jsonl --speed 10        the ten minutes in one

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.",
        &[(Code::Loss, "; takes precedence over 3"), (Code::Early, ": fewer than -n edges came")]
    )
)]
pub(crate) struct Arguments {
    /// File to write to; it is overwritten unless --append is given
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    lines: LineOptions,

    #[command(flatten)]
    ending: EndOptions,

    #[command(flatten)]
    keeping: FileOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { file, lines, ending, keeping } = arguments;
    let destination = Destination::Json { path: file.clone(), option: None, has_strings: false };
    let inputs = lines.inputs()?;
    distinct::check(&inputs, &destination.file().into_iter().collect::<Vec<_>>())?;
    let selection = lines.select(ending)?;
    let filter = ending.filter(lines.edges)?;
    if selection.lines.iter().any(|line| line.name.as_deref().is_some_and(|name| file.as_os_str() == name)) {
        // Windows takes "./" too.
        let mut beside = OsString::from("./");
        beside.push(file);
        let remedy = format!("to write to a file of that name, say {}", quoted(Path::new(&beside)));
        let file = quoted(file);
        return Err(Failure::new(format!("expected a file, found {file}, the name of a line; {remedy}")));
    }
    let began = Instant::now();
    let monitor = lines.monitor(&selection, lines.event_clock.unwrap_or_default(), ending.reattach)?;
    // Opened only now, when there is something to write, because it overwrites the file.
    let is_asked = Arc::default();
    let sinks = destination::open(vec![destination], keeping.existing(), &inputs, &is_asked)?;
    let (pace, fail_on_loss) = (ending.pace(false), ending.fail_on_loss);
    mon::account_for(
        &selection,
        monitor,
        sinks,
        Plan { began, pace, filter, says_summary: true, fail_on_loss, is_asked },
    )?;
    exit::say(&format!("written to {}\n", place(file)));
    Ok(())
}
