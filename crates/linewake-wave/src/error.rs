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
}

/// A file's name in quotes, which it may have already.
pub(crate) fn quoted(name: &str) -> String {
    if name.starts_with('"') { name.to_owned() } else { format!("\"{name}\"") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
