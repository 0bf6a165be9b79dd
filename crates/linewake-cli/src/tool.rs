//! libgpiod's tools: their command lines, read into the arguments of the subcommands.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Args, Command};

use crate::caller::{Tool, caller};
use crate::exit::{self, Failure};
use crate::getopt::{self, is_libgpiods};
use crate::{detect, get, info, mon, notify, set};

/// Runs the program as one of the tools.
pub(crate) fn run(name: &'static str, tool: Tool, words: impl Iterator<Item = OsString>) -> ExitCode {
    match tool {
        Tool::Detect => parsed(name, words, detect::run),
        Tool::Info => parsed(name, words, info::run),
        Tool::Get => parsed(name, words, get::run),
        Tool::Set => parsed(name, words, set::run),
        Tool::Mon => parsed(name, words, mon::run),
        Tool::Notify => parsed(name, words, notify::run),
    }
}

fn parsed<A: Args>(
    name: &'static str,
    words: impl Iterator<Item = OsString>,
    run: impl FnOnce(&A) -> Result<(), Failure>,
) -> ExitCode {
    let mut command = command::<A>(name);
    command.build();
    let read = getopt::read(&command, words);
    let parsed = command.try_get_matches_from_mut(read.words).and_then(|matches| A::from_arg_matches(&matches));
    match (parsed, read.error) {
        // The system's own part of the tools complains first, and of what comes first.
        (Err(error), _) => usage(&error),
        (Ok(_), Some(error)) => {
            let prog = &caller().prog;
            exit::say(&format!("{prog}: {error}\n{prog}: try {prog} --help\n"));
            ExitCode::FAILURE
        }
        (Ok(arguments), None) => exit::code(run(&arguments)),
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() { exit::code(Err(exit::misused(error))) } else { exit::usage(error) }
}

/// The definition of a subcommand, as a tool: without what libgpiod's does not have.
fn command<A: Args>(name: &'static str) -> Command {
    let version = Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Print the version");
    let command = A::augment_args(Command::new(name).no_binary_name(true).max_term_width(100)).arg(version);
    let after_help = after_help(&command);
    // What the subcommand does in that detail the tool does not.
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    command
        .about(about.split(", and account").next().unwrap_or_default().to_owned())
        .long_about(None)
        .disable_version_flag(true)
        // The number at the end is libgpiod's: scripts look there for what they can expect.
        .version(concat!("(linewake ", env!("CARGO_PKG_VERSION"), ", like libgpiod's) v2.3"))
        .mut_args(|argument| if is_libgpiods(&argument) { as_tools(argument) } else { argument.hide(true) })
        .after_help(after_help)
}

/// An option or operand, without what is said of it that the tool does not know.
fn as_tools(argument: Arg) -> Arg {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let beyond = ["; or as CHIP:LINE", ". May be given several times"];
    let Some(at) = beyond.iter().filter_map(|beyond| help.find(beyond)).min() else { return argument };
    let all = ". All lines if none is given";
    argument.help(format!("{}{}", &help[..at], if help.ends_with(all) { all } else { "" }))
}

/// What stands below the options, without what is the subcommand's own.
fn after_help(subcommand: &Command) -> String {
    let text = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
    let own = ["Example", "Exit codes:", "Columns of --csv", "The command of --exec", "FILE ", "The first Ctrl-C"];
    let is_own = |paragraph: &&str| own.iter().any(|begin| paragraph.starts_with(begin));
    let mut paragraphs: Vec<_> = text.split("\n\n").filter(|paragraph| !is_own(paragraph)).map(without_ours).collect();
    let codes = "Exit codes:\n  0  all went well\n  1  anything else: standard error says what";
    paragraphs.push(codes.to_owned());
    paragraphs.join("\n\n")
}

/// `%q`, `%Q` and `%m` stand in the second column. Hours and days are no periods there.
fn without_ours(paragraph: &str) -> String {
    let paragraph = paragraph.replace(", 2h, 1d.", ".");
    let first = |line: &str| ["%q", "%Q", "%m"].iter().filter_map(|ours| line.find(ours)).min();
    let lines = paragraph.lines().map(|line| line[..first(line).unwrap_or(line.len())].trim_end());
    lines.collect::<Vec<_>>().join("\n")
}
