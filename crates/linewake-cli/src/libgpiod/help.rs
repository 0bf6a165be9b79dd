//! The help and the version of the tools. The help is that of the subcommands, without what libgpiod's tools lack.

use clap::{Arg, ArgAction, Args, Command};

use super::{Context, Exit};
use crate::settings::BEYOND;

/// Prints the help, or the version for the letter `v`; then the tool ends.
pub(super) fn show<A: Args>(context: &mut Context, letter: u8) -> Result<(), Exit> {
    let mut command = command::<A>(context.tool.name());
    let text = if letter == b'v' { command.render_version() } else { command.render_help().to_string() };
    context.out.text(&text);
    context.out.flush()?;
    Err(Exit { message: Vec::new(), code: 0 })
}

/// True if libgpiod's tools have this option too.
fn is_libgpiods(argument: &Arg) -> bool {
    argument.get_help_heading() != Some(BEYOND)
}

/// The definition of a subcommand as a tool, without what libgpiod's tool lacks.
fn command<A: Args>(name: &'static str) -> Command {
    let version = Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Print the version");
    let command = A::augment_args(Command::new(name).no_binary_name(true).max_term_width(100)).arg(version);
    let after_help = after_help(&command);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    command
        // The tool has no account of edges.
        .about(about.split(", and account").next().unwrap_or_default().to_owned())
        .long_about(None)
        .disable_version_flag(true)
        // The number at the end is libgpiod's: scripts look there for what they can expect.
        .version(concat!("(linewake ", env!("CARGO_PKG_VERSION"), ", like libgpiod's) v2.3"))
        .mut_args(|argument| if is_libgpiods(&argument) { as_tools(argument) } else { argument.hide(true) })
        .after_help(after_help)
}

/// An option or operand as the tool has it: what names chips and lines can mean more in a subcommand.
fn as_tools(argument: Arg) -> Arg {
    let is_info = argument.get_help().is_some_and(|help| help.to_string().ends_with("All lines if none is given"));
    let help = match argument.get_id().as_str() {
        "chip" => "Look on this chip only: a number, name or path as in \"0\", \"gpiochip0\" and \"/dev/gpiochip0\"",
        "chips" => "Chips: by number, name or path as in \"0\", \"gpiochip0\" and \"/dev/gpiochip0\"",
        "lines" if is_info => "Lines: by name; by offset too, with --chip. All lines if none is given",
        "lines" => "Lines: by name; by offset too, with --chip",
        "values" => "Lines and their values: by name; by offset too, with --chip",
        _ => return argument,
    };
    argument.help(help)
}

/// The paragraphs of a subcommand's help that are true of the tool, and the tools' exit codes.
fn after_help(subcommand: &Command) -> String {
    let text = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
    let is_tools = |paragraph: &&str| ["Format", "VALUE", "PERIOD"].iter().any(|word| paragraph.starts_with(word));
    let paragraphs = text.split("\n\n").filter(is_tools).map(without_ours);
    let codes = "Exit codes:\n  0  done as asked\n  1  an error; standard error says what is wrong".to_owned();
    paragraphs.chain([codes]).collect::<Vec<_>>().join("\n\n")
}

/// A paragraph without `%q`, `%Q` and `%m`, which stand in the second column, without hours and days as periods, and
/// without the files.
fn without_ours(paragraph: &str) -> String {
    let paragraph = paragraph.replace(", 2h, 1d.", ".");
    let first = |line: &str| ["%q", "%Q", "%m"].iter().filter_map(|ours| line.find(ours)).min();
    let lines = paragraph.lines().filter(|line| !line.starts_with("FILE"));
    lines.map(|line| line[..first(line).unwrap_or(line.len())].trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::getopt::Opt;
    use super::super::{detect, get, info, mon, notify, set};
    use super::*;

    /// The options that are read are those in the help.
    fn assert_same<A: Args>(options: &[Opt]) {
        let mut command = command::<A>("tool");
        command.build();
        let read: BTreeSet<_> =
            options.iter().map(|option| (option.long.to_owned(), option.short, option.takes_value)).collect();
        let mut shown = BTreeSet::new();
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
            let short = argument.get_short().map(|letter| letter as u8);
            if let Some(long) = argument.get_long() {
                shown.insert((long.to_owned(), short, takes_value));
            }
            if argument.get_visible_aliases().is_some_and(|aliases| aliases.contains(&"silent")) {
                shown.insert(("silent".to_owned(), None, takes_value));
            }
        }
        assert_eq!(read, shown);
    }

    #[test]
    fn the_help_has_the_options_that_there_are() {
        assert_same::<crate::commands::detect::Arguments>(detect::OPTIONS);
        assert_same::<crate::commands::info::Arguments>(info::OPTIONS);
        assert_same::<crate::commands::get::Arguments>(get::OPTIONS);
        assert_same::<crate::commands::set::Arguments>(set::OPTIONS);
        assert_same::<crate::commands::mon::Arguments>(mon::OPTIONS);
        assert_same::<crate::commands::notify::Arguments>(notify::OPTIONS);
    }
}
