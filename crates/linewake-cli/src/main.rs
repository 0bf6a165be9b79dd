//! The command `linewake`, which is also libgpiod's tools when it is called by their names.

mod commands;
mod config;
mod display;
mod exit;
mod libgpiod;
mod lines;
mod number;
mod output;
mod period;
mod readers;
#[cfg(windows)]
mod service;
mod settings;

mod signals;
mod sinks;
mod specifiers;
mod stamp;
mod threads;

use std::env;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use self::commands::{
    completions, detect, doctor, driver, get, info, links, man, mon, notify, profile, record, replay, set,
};
use self::exit::Code;
use self::libgpiod::tool::Tool;

/// Watch digital lines, with every edge accounted for
#[derive(Debug, Parser)]
#[command(
    name = "linewake",
    bin_name = "linewake",
    version,
    disable_version_flag = true,
    propagate_version = true,
    max_term_width = 100,
    after_help = exit::help("", &[(Code::Loss, ""), (Code::Early, "")])
)]
pub(crate) struct Cli {
    /// Print the version
    #[arg(short, short_alias = 'V', long, global = true, action = ArgAction::Version)]
    version: Option<bool>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Detect(detect::Arguments),
    Info(info::Arguments),
    Get(get::Arguments),
    Set(set::Arguments),
    Mon(Box<mon::Arguments>),
    Notify(notify::Arguments),
    Record(Box<record::Arguments>),
    Replay(Box<replay::Arguments>),
    Doctor(doctor::Arguments),
    Profile(profile::Arguments),
    Config(commands::config::Arguments),
    Links(links::Arguments),
    Driver(driver::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let called = arguments.next().unwrap_or_default();
    if let Some(tool) = Tool::called(&called) {
        return libgpiod::run(tool, &called, arguments);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::misuse(&error),
    };
    exit::finish(match &cli.command {
        Command::Detect(arguments) => detect::run(arguments),
        Command::Info(arguments) => info::run(arguments),
        Command::Get(arguments) => get::run(arguments),
        Command::Set(arguments) => set::run(arguments),
        Command::Mon(arguments) => mon::run(arguments),
        Command::Notify(arguments) => notify::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Profile(arguments) => profile::run(arguments),
        Command::Config(arguments) => commands::config::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Links(arguments) => links::run(arguments),
        Command::Driver(arguments) => driver::run(arguments),
        Command::Completions(arguments) => completions::run(arguments, Cli::command()),
        Command::Man(arguments) => man::run(arguments, Cli::command()),
    })
}
