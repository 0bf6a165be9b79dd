//! The one error type.

use std::fmt;

/// Why a waveform cannot be read, or not any further. The message says where, and what was found there.
///
/// ```
/// let error = linewake_wave::Reader::vcd("x.vcd", Box::new("$timescale 0 ps $end".as_bytes())).unwrap_err();
/// assert!(error.to_string().starts_with("x.vcd:1: "), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<str>);

impl Error {
    pub(crate) fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }

    /// The file cannot be read.
    pub(crate) fn unreadable(name: &str, what: impl fmt::Display) -> Self {
        Self::new(format!("cannot read {}: {what}", quoted(name)))
    }

    /// The rest of the file cannot be read.
    pub(crate) fn rest_unreadable(name: &str, what: impl fmt::Display) -> Self {
        Self::new(format!("cannot read {} any further: {what}", quoted(name)))
    }
}

/// The name in quotes. The caller may have put it in quotes already.
fn quoted(name: &str) -> String {
    if name.starts_with('"') { name.to_owned() } else { format!("\"{name}\"") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
