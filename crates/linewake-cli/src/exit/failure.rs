//! Why a command fails.

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::code::Code;
use super::stderr::say;
use crate::display::Printable;

/// A sentence for the user, which names the thing in quotes and says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: Code,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: Code::Error }
    }

    /// A failure whose reasons were already reported.
    pub(crate) fn silent() -> Self {
        Self::new("")
    }

    /// Edges were lost, which the user takes for a failure.
    pub(crate) fn loss(message: impl Into<String>) -> Self {
        Self { code: Code::Loss, ..Self::new(message) }
    }

    /// The command ended before what it was told to wait for.
    pub(crate) fn early(message: impl Into<String>) -> Self {
        Self { code: Code::Early, ..Self::new(message) }
    }

    /// Adds what to do about it.
    pub(crate) fn with_remedy(mut self, remedy: &str) -> Self {
        self.message = format!("{}; {remedy}", self.message);
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Writes the message to standard error, as one line: a name in it cannot begin another.
    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            say(&format!("linewake: {}\n", Printable(&self.message)));
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<linewake::Error> for Failure {
    fn from(error: linewake::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Reports all failures but the last, which is the result.
pub(crate) fn report_all(mut failures: Vec<Failure>) -> Result<(), Failure> {
    let last = failures.pop();
    failures.iter().for_each(Failure::report);
    last.map_or(Ok(()), Err)
}

/// Reports a failure, and gives the exit code.
pub(crate) fn finish(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return Code::Done.into() };
    failure.report();
    failure.code().into()
}

/// The outcome of a command whose write to standard output failed. A reader that has left needs no more, so that is a
/// success; a full disk is an error.
pub(crate) fn unwritten(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(format!("cannot write to standard output: {error}")))
}
