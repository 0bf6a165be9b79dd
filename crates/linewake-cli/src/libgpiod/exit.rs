//! How a tool ends that is not done.

/// Why a tool ends before it is done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// What is said, behind the name of the program.
    pub(super) message: Vec<u8>,
    pub(super) code: u8,
}

impl Exit {
    pub(super) fn new(message: impl Into<Vec<u8>>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// Everything is said.
    pub(super) fn silent() -> Self {
        Self::new("")
    }

    /// Its words, something that need not be text, and the end.
    pub(super) fn of(before: &str, what: &[u8], after: &str) -> Self {
        Self::new([before.as_bytes(), what, after.as_bytes()].concat())
    }
}
