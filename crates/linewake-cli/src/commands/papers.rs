//! `linewake completions` and `linewake man`: what shells and `man` know of the command, from its one definition.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::exit::{self, Failure};
use crate::output;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help("\
Examples:
  linewake completions bash > ~/.local/share/bash-completion/completions/linewake
  linewake completions zsh > ~/.zfunc/_linewake
  linewake completions fish > ~/.config/fish/completions/linewake.fish
  linewake completions powershell >> $PROFILE", &[]))]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write the manual pages, one for each command, into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help("\
Example:
  linewake man ~/.local/share/man/man1", &[]))]
pub(crate) struct Man {
    /// Where to write them; it is made if it is not there
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

pub(crate) fn completions(arguments: &Completions, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "linewake", &mut text);
    output::write(|out| out.write_all(&text))
}

pub(crate) fn man(arguments: &Man, command: Command) -> Result<(), Failure> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command.disable_help_subcommand(true), directory))
        .map_err(|error| {
            Failure::new(format!("cannot write to \"{}\": {error}; choose another directory", directory.display()))
        })
}
