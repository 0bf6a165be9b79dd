//! How the command ends: 0, or 1 with one line that says why.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// The end of a help text, after what is the command's own.
macro_rules! exit_codes {
    ($($before:literal)?) => {
        concat!(
            $($before, "\n\n",)?
            "\
Exit codes:
  0  all went well; also after Ctrl-C, SIGINT or SIGTERM, and when the reader of a pipe has left
  1  anything else: standard error says what, and what to do
  2  with --fail-on-loss: edges were lost"
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

    /// Edges were lost, and that is a failure to the user.
    pub(crate) fn loss(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
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
        Err(Failure { message, code }) => {
            say(&format!("linewake: {message}\n"));
            ExitCode::from(code)
        }
    }
}

/// A command line that could not be understood, or that asked for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A closed standard output is none of our business.
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Writes to standard error, which may be closed: then there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
