//! The command `linewake`.

#[macro_use]
mod exit;
mod driver;
mod mon;
mod period;
#[cfg(windows)]
mod service;
mod threads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Watch digital lines, with every edge accounted for
#[derive(Debug, Parser)]
#[command(name = "linewake", version, propagate_version = true, max_term_width = 100, after_help = exit_codes!())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Mon(Box<mon::Arguments>),
    Driver(driver::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    exit::code(match cli.command {
        Command::Mon(arguments) => mon::run(&arguments),
        Command::Driver(arguments) => driver::run(&arguments),
    })
}
