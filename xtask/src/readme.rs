//! Runs the commands in the README's `console` blocks, and compares their output with what the README shows.
//!
//! A line that begins with `$ ` is a command. The lines up to the next command are its output, with standard error,
//! digit for digit. A line `...` stands for any number of lines.

use std::fs;
use std::io::Write as _;

use crate::command::CommandLine;
use crate::run::{Failure, Run};
use crate::workspace;

/// A command in the README, and the output that the README shows.
#[derive(Debug, PartialEq)]
struct Example<'a> {
    command: &'a str,
    prints: Vec<&'a str>,
}

/// The stage `readme`.
pub(crate) fn check(run: &Run) -> Result<String, Failure> {
    let text = fs::read_to_string(workspace::root().join("README.md"))?;
    let mut ran = 0;
    for example in examples(&text) {
        if example.command == "cargo xtask test" {
            writeln!(run.log(), "$ cargo xtask test\n(it is running)")?;
            continue;
        }
        // In seconds: longer than a first build takes on a small machine.
        let command =
            CommandLine::new("timeout --kill-after=10 600 sh -c").arg(example.command).env("CARGO_TERM_QUIET", "true");
        let before = run.text()?.len();
        run.command(&command)?;
        let printed = run.text()?;
        let printed: Vec<_> = printed[before..].lines().skip(1).collect();
        if !matches(&example.prints, &printed) {
            return Err(Failure {
                command: Some(example.command.to_owned()),
                reason: format!("the README shows another output:\n\n{}\n", example.prints.join("\n")),
            });
        }
        ran += 1;
    }
    match ran {
        0 => Err("README.md has no `console` block with a command to run".into()),
        1 => Ok("1 command".to_owned()),
        _ => Ok(format!("{ran} commands")),
    }
}

fn examples(text: &str) -> Vec<Example<'_>> {
    let mut examples: Vec<Example<'_>> = Vec::new();
    let mut console = false;
    let mut fenced = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            fenced = !fenced;
            console = fenced && language.trim() == "console";
        } else if let (true, Some(command)) = (console, line.strip_prefix("$ ")) {
            examples.push(Example { command: command.trim(), prints: Vec::new() });
        } else if let (true, Some(example)) = (console, examples.last_mut()) {
            example.prints.push(line);
        }
    }
    examples
}

/// Whether the shown lines describe the printed ones.
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["..."] => true,
        ["...", rest @ ..] => (0..=printed.len()).any(|skip| matches(rest, &printed[skip..])),
        [line, rest @ ..] => {
            printed.split_first().is_some_and(|(first, others)| line == first && matches(rest, others))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_console_blocks_are_run() {
        let text = "
```console
$ linewake mon
1.5\trising\t\"pps\"
...
$ true
```
```sh
$ rm -rf /
```
$ not in a block
";
        let expected = [
            Example { command: "linewake mon", prints: vec!["1.5\trising\t\"pps\"", "..."] },
            Example { command: "true", prints: vec![] },
        ];
        assert_eq!(examples(text), expected);
    }

    #[test]
    fn lines_are_as_shown_and_dots_stand_for_any() {
        let shown = ["12.5\trising", "...", "7 lines"];
        assert!(matches(&shown, &["12.5\trising", "7 lines"]));
        assert!(matches(&shown, &["12.5\trising", "a", "b", "7 lines"]));
        assert!(!matches(&shown, &["12.6\trising", "7 lines"]));
        assert!(!matches(&shown, &["12.5\trising", "8 lines"]));
        assert!(!matches(&shown, &["12.5\trising", "7 lines", "more"]));
        assert!(!matches(&shown, &["12.5\trising"]));
        assert!(!matches(&["a line"], &[]));
    }

    #[test]
    fn a_command_without_output_prints_nothing() {
        assert!(matches(&[], &[]));
        assert!(!matches(&[], &["surprise"]));
    }
}
