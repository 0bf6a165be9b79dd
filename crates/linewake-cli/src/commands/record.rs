//! `linewake record`: captures what happens, with its account, to be replayed.

use std::path::PathBuf;

use crate::commands::mon;
use crate::exit::{self, Code, Failure};

/// Capture the edges of lines, with the account, in a file
///
/// The file is the record stream of docs/record.schema.json, as "linewake mon --json" writes it. "linewake replay" plays it
/// on a simulated chip. It ends as mon does: by Ctrl-C, --for, -n or --idle-timeout. Under "Files" the help of mon says what
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
        &[(Code::Loss, "; this goes before 3"), (Code::Early, ": fewer than -n edges came")]
    )
)]
pub(crate) struct Arguments {
    /// Where to; what is there is overwritten, unless --append is given
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    lines: mon::Lines,

    #[command(flatten)]
    ending: mon::Ending,

    #[command(flatten)]
    keeping: mon::Keeping,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    mon::record(&arguments.lines, &arguments.ending, arguments.keeping, &arguments.file)
}
