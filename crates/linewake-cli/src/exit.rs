//! How the command ends: 0, or not, with one line that says why.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;

/// The end of a help text, after what is the command's own. A command that can end with more than 0 and 1 says when, and
/// ends well by a signal.
macro_rules! exit_codes {
    ($($before:literal)?) => {
        concat!(
            $($before, "\n\n",)?
            "\
Exit codes:
  0  done as asked; also when the reader of a pipe has left
  1  an error: standard error says what, and what to do"
        )
    };
    ($($before:literal)?; $($code:literal $meaning:literal),+) => {
        concat!(
            $($before, "\n\n",)?
            "\
Exit codes:
  0  done as asked; also after Ctrl-C, SIGINT, SIGTERM or a reader who left, if nothing was awaited
  1  an error: standard error says what, and what to do"
            $(, "\n  ", $code, "  ", $meaning)+
        )
    };
}

/// Why the command fails: a sentence for the user, which names the thing in quotes.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// One of which nothing is said.
    pub(crate) fn silent() -> Self {
        Self::new("")
    }

    /// All went well, but edges were lost, and that is a failure to the user.
    pub(crate) fn loss(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(message) }
    }

    /// It ended before what was awaited.
    pub(crate) fn early(message: impl Into<String>) -> Self {
        Self { code: 3, ..Self::new(message) }
    }

    /// What to do about it.
    pub(crate) fn with_remedy(mut self, remedy: &str) -> Self {
        self.message = format!("{}; {remedy}", self.message);
        self
    }

    /// What the command ends with.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Tells it, and goes on.
    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            say(&format!("linewake: {}\n", self.message));
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<linewake::Error> for Failure {
    fn from(error: linewake::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Reports a failure, and gives the exit code.
pub(crate) fn code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.code)
        }
    }
}

/// Standard output could not be written. A reader that has left wanted no more; a full disk is an error.
pub(crate) fn unwritten(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(format!("cannot write to standard output: {error}")))
}

/// A command line that could not be understood, or that asked for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return code(error.print().or_else(|error| unwritten(&error)));
    }
    if let ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand = error.kind() {
        let _ = error.print();
        return ExitCode::FAILURE;
    }
    code(Err(misused(error)))
}

/// What is wrong with the command line, in one line.
pub(crate) fn misused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let mut tips = Vec::new();
    for line in lines {
        if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        }
        match line.strip_prefix("tip: ") {
            Some(tip) => tips.push(tip),
            None => {
                message.push(' ');
                message.push_str(line);
            }
        }
    }
    // Names are in double quotes, here as everywhere.
    let tips: String = tips.iter().map(|tip| format!("{tip}; ")).collect();
    // What the standard library says of a number is for programmers.
    let message = message.replace("invalid digit found in string", "it is a whole number, and not below zero");
    let message = message.replace("number too large to fit in target type", "it is at most 2^64 - 1");
    let message = format!("{message}; {tips}--help tells more");
    Failure::new(message.replace('\'', "\""))
}

/// Writes to standard error, which may be closed: then there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
