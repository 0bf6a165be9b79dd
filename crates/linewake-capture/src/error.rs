//! Why a capture cannot be read on.

use std::fmt;
use std::io;

/// Why a capture cannot be read, or cannot be read on: it names the file in quotes, with line and column where there
/// are some, and says what to do.
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

/// What is said of a file that the system, or a decoder, does not read.
pub(crate) fn cannot_read(name: &str, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "is its path right?",
        io::ErrorKind::PermissionDenied => "make it one that you may read",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "it is spoiled: get it again",
        _ => "name a file of \"linewake record\", or a waveform",
    };
    Error::new(format!("cannot read \"{name}\": {error}; {remedy}"))
}

/// What is said of zeros between what was written.
pub(crate) const ZEROS: &str = "has zeros where nothing was written, as a power loss leaves them; they are left out";

/// What is said where nothing else is.
pub(crate) fn nothing_but_zeros(name: &str) -> Error {
    Error::new(format!("\"{name}\" has nothing but zeros, as a power loss leaves them; there is nothing to play in it"))
}

/// What is said of a clock that was set back, where no record tells of it.
pub(crate) fn set_back(by_ns: u64) -> String {
    let (seconds, rest) = (by_ns / 1_000_000_000, by_ns % 1_000_000_000);
    format!(
        "the clock was set back by {seconds}.{rest:09} s here; the time between the edges is not known, and taken for 1 us"
    )
}

/// What stamps the edges of a capture that does not say.
pub(crate) const DEVICE: &str = "device";
