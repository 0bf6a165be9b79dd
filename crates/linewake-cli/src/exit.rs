//! The end of the command: an exit code, and one line on standard error that says why it is not 0.

mod code;
mod failure;
mod usage;

use std::io::{self, Write as _};
use std::process::ExitCode;

pub(crate) use self::code::{Code, help};
pub(crate) use self::failure::Failure;
pub(crate) use self::usage::misuse;

/// Reports a failure, and gives the exit code.
pub(crate) fn finish(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return Code::Done.into() };
    failure.report();
    failure.code().into()
}

/// What a failed write to standard output means: a reader that has left wanted no more, a full disk is an error.
pub(crate) fn unwritten(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(format!("cannot write to standard output: {error}")))
}

/// Writes to standard error, which may be closed: then there is nobody to tell.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
