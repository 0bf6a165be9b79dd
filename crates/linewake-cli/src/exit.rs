//! The end of the command: an exit code, and one line on standard error that says why it is not 0.

mod code;
mod failure;
mod stderr;
mod usage;

pub(crate) use self::code::{Code, help};
pub(crate) use self::failure::{Failure, finish, report_all, unwritten};
pub(crate) use self::stderr::say;
pub(crate) use self::usage::misuse;
