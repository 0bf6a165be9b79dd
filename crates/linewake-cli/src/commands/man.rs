//! `linewake man`: the manual pages, from the one definition of the options.

use std::fs;
use std::path::PathBuf;

use clap::Command;

use crate::exit::{self, Failure};

/// Write the manual pages, one for each command, into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Example:
  linewake man ~/.local/share/man/man1",
    &[]
))]
pub(crate) struct Arguments {
    /// Where to write them; the directory is made if it does not exist
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, command: Command) -> Result<(), Failure> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), directory))
        .map_err(|error| {
            Failure::new(format!("cannot write to \"{}\": {error}; choose another directory", directory.display()))
        })
}
