//! Why a capture cannot be read.

use std::fmt;
use std::io;

/// Why a capture cannot be read, or not any further. It names the file in quotes, with line and column if there are
/// any, and says what to do.
///
/// ```
/// let mut capture = linewake_capture::Capture::read("x.jsonl", "{}\n".as_bytes())?;
/// let error = capture.next().unwrap_err();
/// assert!(error.to_string().starts_with("\"x.jsonl\":1:"), "{error}");
/// # Ok::<(), linewake_capture::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<str>);

impl Error {
    pub(crate) fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// The error for a file that the system, or a decoder, cannot read.
pub(crate) fn cannot_read(name: &str, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "is its path right?",
        io::ErrorKind::PermissionDenied => "get the right to read it",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "it is damaged: get it again",
        _ => "name a file of \"linewake record\", or a waveform",
    };
    Error::new(format!("cannot read \"{name}\": {error}; {remedy}"))
}

/// The message about zeros between the data.
pub(crate) const ZEROS: &str = "has zeros where nothing was written, as a power loss leaves them; they are left out";

/// The error for a file with nothing but zeros.
pub(crate) fn nothing_but_zeros(name: &str) -> Error {
    Error::new(format!("\"{name}\" has nothing but zeros, as a power loss leaves them; there is nothing to play in it"))
}

/// The message about a clock that was set back without a record of it.
pub(crate) fn set_back(by_ns: u64) -> String {
    let (seconds, rest) = (by_ns / 1_000_000_000, by_ns % 1_000_000_000);
    format!(
        "the clock was set back by {seconds}.{rest:09} s here; the time between the edges is unknown, and taken as 1 us"
    )
}

/// The clock's name in a capture that does not name one.
pub(crate) const DEVICE: &str = "device";
