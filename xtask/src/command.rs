//! A command line that runs exactly as it is printed, so that a person can paste it.

use std::env;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use crate::workspace;

/// A program, its arguments and the variables set for it; it runs in the
/// workspace's root. `Display` is the line to paste into a shell there.
#[derive(Clone, PartialEq)]
pub(crate) struct CommandLine {
    variables: Vec<(String, String)>,
    words: Vec<String>,
}

impl CommandLine {
    /// Splits one line into words, without quoting: `CommandLine::new("cargo fmt --check")`.
    pub(crate) fn new(line: &str) -> Self {
        Self { variables: Vec::new(), words: line.split_whitespace().map(str::to_owned).collect() }
    }

    /// Adds one argument, which may hold spaces.
    pub(crate) fn arg(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds the words of a line without quoting.
    pub(crate) fn args(mut self, line: &str) -> Self {
        self.words.extend(line.split_whitespace().map(str::to_owned));
        self
    }

    /// Sets a variable, for this command only.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it to its end. Both its outputs go to `log`.
    pub(crate) fn run_into(&self, log: &File) -> io::Result<ExitStatus> {
        self.command().stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).status()
    }

    /// Prints the command, and runs it to its end; the user sees its output.
    pub(crate) fn run(&self) -> Result<(), Box<dyn Error>> {
        eprintln!("$ {self}");
        if self.command().status()?.success() { Ok(()) } else { Err(self.failed().into()) }
    }

    /// The output of the command. An error if the command fails.
    pub(crate) fn text(&self) -> Result<String, String> {
        self.read().ok_or_else(|| self.failed())
    }

    fn failed(&self) -> String {
        format!("this command failed: {self}")
    }

    /// The output of the command; `None` if it fails or does not exist.
    pub(crate) fn read(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }

    /// The command, for a caller that sets its input and output.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).current_dir(workspace::root());
        // `cargo run` sets variables about the package xtask. A pasted command would not have them.
        for (name, _) in env::vars_os() {
            let told =
                name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
            if told {
                command.env_remove(name);
            }
        }
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            command.env("CARGO_TARGET_DIR", workspace::target());
        }
        command.env("CARGO_TERM_COLOR", "never");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        let words: Vec<_> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// The word as a POSIX shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_pasted() {
        let command =
            CommandLine::new("cargo test -p overlapped").env("RUSTFLAGS", "--cfg loom").args("--test sim*").arg("it's");
        assert_eq!(command.to_string(), r"RUSTFLAGS='--cfg loom' cargo test -p overlapped --test 'sim*' 'it'\''s'");
    }

    #[test]
    fn an_empty_word_stays_a_word() {
        assert_eq!(CommandLine::new("echo").arg("").to_string(), "echo ''");
    }
}
