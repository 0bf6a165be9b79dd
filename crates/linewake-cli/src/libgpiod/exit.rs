//! The early end of a tool.

/// An early end: an error, or `--help` and `--version`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// The message behind the program's name; empty is none.
    pub(super) message: Vec<u8>,
    pub(super) code: u8,
}

impl Exit {
    pub(super) fn new(message: impl Into<Vec<u8>>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// An error that was already reported.
    pub(super) fn silent() -> Self {
        Self::new("")
    }

    /// A message with bytes in it that need not be UTF-8.
    pub(super) fn of(before: &str, what: &[u8], after: &str) -> Self {
        Self::new([before.as_bytes(), what, after.as_bytes()].concat())
    }
}
