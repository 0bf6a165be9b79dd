//! `linewake completions`: what a shell completes, from the one definition of the options.

use std::io::Write as _;

use clap::Command;
use clap_complete::Shell;

use crate::exit::{self, Failure};
use crate::output;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake completions bash > ~/.local/share/bash-completion/completions/linewake
  linewake completions zsh > ~/.zfunc/_linewake
  linewake completions fish > ~/.config/fish/completions/linewake.fish
  linewake completions powershell >> $PROFILE",
    &[]
))]
pub(crate) struct Arguments {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "linewake", &mut text);
    output::write(|out| out.write_all(&text))
}
