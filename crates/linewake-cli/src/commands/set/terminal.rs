//! Commands typed at a terminal, with a history and completion by Tab.

use std::io;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::exit::Failure;

/// The commands in the history; libgpiod's tool keeps as many.
const REMEMBERED: usize = 20;

/// A terminal with a line editor.
pub(crate) struct Terminal(Editor<Words, DefaultHistory>);

/// The mode of the terminal while no line is edited; nothing, if standard input is not a terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

#[cfg(unix)]
impl Settings {
    pub(crate) fn now() -> Self {
        Self { before: rustix::termios::tcgetattr(rustix::stdio::stdin()).ok() }
    }

    /// Restores the mode. A process in the background does not touch the terminal: the system would stop it.
    pub(crate) fn restore(&self) {
        use rustix::termios::{OptionalActions, tcgetpgrp, tcsetattr};
        let stdin = rustix::stdio::stdin();
        let is_others = tcgetpgrp(stdin).is_ok_and(|group| group != rustix::process::getpgrp());
        if let Some(before) = self.before.as_ref().filter(|_| !is_others) {
            let _ = tcsetattr(stdin, OptionalActions::Now, before);
        }
    }
}

/// The line editor of Windows restores the console itself.
#[cfg(not(unix))]
impl Settings {
    pub(crate) fn now() -> Self {
        Self::default()
    }

    pub(crate) fn restore(&self) {}
}

/// The user's input.
pub(crate) enum Input {
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    End,
}

impl Terminal {
    /// Opens the terminal; `lines` are the names that Tab completes.
    pub(crate) fn new(lines: Vec<String>) -> Result<Self, Failure> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .history_ignore_space(true)
            .bracketed_paste(false);
        let config = config.max_history_size(REMEMBERED).map_err(failed)?.build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Words { lines }));
        Ok(Self(editor))
    }

    pub(crate) fn line(&mut self, prompt: &str) -> Result<Input, Failure> {
        match self.0.readline(prompt) {
            Ok(line) => Ok(Input::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupt),
            Err(ReadlineError::Eof) => Ok(Input::End),
            // The terminal is gone.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Input::End),
            Err(error) => Err(failed(error)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes it by value")]
fn failed(error: ReadlineError) -> Failure {
    Failure::new(format!("cannot read commands from this terminal: {error}; pipe them to standard input"))
}

/// The words that Tab completes.
struct Words {
    lines: Vec<String>,
}

impl Words {
    /// The start of the last word of `before`, and its completions.
    fn completed(&self, before: &str) -> (usize, Vec<String>) {
        let at = before.rfind(|c: char| c.is_whitespace() || matches!(c, '=' | '"')).map_or(0, |at| at + 1);
        let (begun, word) = before.split_at(at);
        let command = begun.split_whitespace().next();
        let is_value = begun.ends_with('=');
        let those = |all: &[&str]| -> Vec<String> {
            all.iter().filter(|one| one.starts_with(word)).map(|one| format!("{one} ")).collect()
        };
        let found = match command {
            None => those(&["exit", "get", "help", "set", "sleep", "toggle"]),
            Some("set") if is_value => those(&["active", "inactive"]),
            Some("get" | "set" | "toggle") if !is_value => {
                let tail = if command == Some("set") { "=" } else { " " };
                // A name with spaces would need quotation marks.
                let lines =
                    self.lines.iter().filter(|line| line.starts_with(word) && !line.contains(char::is_whitespace));
                lines.map(|line| format!("{line}{tail}")).collect()
            }
            Some(_) => Vec::new(),
        };
        (at, found)
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.completed(line.get(..at).unwrap_or(line)))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_lines_and_values_are_completed() {
        let words = Words { lines: ["led", "le d", "left", "relay-1"].map(str::to_owned).to_vec() };
        for (before, at, expected) in [
            ("", 0, &["exit ", "get ", "help ", "set ", "sleep ", "toggle "][..]),
            ("s", 0, &["set ", "sleep "]),
            ("get le", 4, &["led ", "left "]),
            ("get led r", 8, &["relay-1 "]),
            ("get \"le", 5, &["led ", "left "]),
            ("set re", 4, &["relay-1="]),
            ("set led=", 8, &["active ", "inactive "]),
            ("set led=a", 8, &["active "]),
            ("toggle x", 7, &[]),
            ("sleep l", 6, &[]),
            ("get led=", 8, &[]),
        ] {
            assert_eq!(
                words.completed(before),
                (at, expected.iter().map(|&word| word.to_owned()).collect()),
                "{before:?}"
            );
        }
    }
}
