//! What the tools say of themselves: their help and their version. The help is that of the subcommands, without what
//! libgpiod's tools do not have.

use clap::{Arg, ArgAction, Args, Command};

use super::{Context, Died};
use crate::caller::BEYOND;

/// `--help` and `--version` by their letters. Then the tool ends.
pub(super) fn show<A: Args>(context: &mut Context, letter: u8) -> Result<(), Died> {
    let mut command = command::<A>(context.name);
    let text = if letter == b'v' { command.render_version() } else { command.render_help().to_string() };
    context.out.text(&text);
    context.out.flush()?;
    Err(Died { message: Vec::new(), code: 0 })
}

/// Whether libgpiod's tools have this option too.
fn is_libgpiods(argument: &Arg) -> bool {
    argument.get_help_heading() != Some(BEYOND)
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
    let own =
        ["Example", "Exit codes:", "Columns of --csv", "Files:", "The command of --exec", "FILE ", "The first Ctrl-C"];
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::getopt::Opt;
    use super::super::{detect, get, info, mon, notify, set};
    use super::*;

    /// The options that are read, and those of which the help tells.
    fn assert_same<A: Args>(options: &[Opt]) {
        let mut command = command::<A>("tool");
        command.build();
        let read: BTreeSet<_> =
            options.iter().map(|option| (option.long.to_owned(), option.short, option.takes_value)).collect();
        let mut told = BTreeSet::new();
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
            let short = argument.get_short().map(|letter| letter as u8);
            if let Some(long) = argument.get_long() {
                told.insert((long.to_owned(), short, takes_value));
            }
            if argument.get_visible_aliases().is_some_and(|aliases| aliases.contains(&"silent")) {
                told.insert(("silent".to_owned(), None, takes_value));
            }
        }
        // It has no letter of its own.
        let read = read.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(read, told);
    }

    #[test]
    fn the_help_has_the_options_that_there_are() {
        assert_same::<crate::detect::Arguments>(detect::OPTIONS);
        assert_same::<crate::info::Arguments>(info::OPTIONS);
        assert_same::<crate::get::Arguments>(get::OPTIONS);
        assert_same::<crate::set::Arguments>(set::OPTIONS);
        assert_same::<crate::mon::Arguments>(mon::OPTIONS);
        assert_same::<crate::notify::Arguments>(notify::OPTIONS);
    }
}
