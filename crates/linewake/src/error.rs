//! The only error type of this crate. A message says what failed, names the object in quotes, and says what to do.

use std::fmt;

/// The kind of an [`Error`], on which a program can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text given to [`Chip::open`](crate::Chip::open) does not name a chip.
    UnknownChip,
    /// The chip has no such line.
    NoSuchLine,
    /// The same line was requested twice.
    LineTwice,
    /// Another argument is invalid: for example no line, a queue of one event, or a seed for a real chip.
    InvalidInput,
    /// Another program or request holds the line.
    Busy,
    /// The chip does not support this; see [`Chip::capabilities`](crate::Chip::capabilities).
    Unsupported,
    /// A file, such as a profile or a script, is invalid or cannot be read.
    BadFile,
    /// The driver violated the protocol. Nothing it sends after that is trusted.
    Malformed,
    /// The time ran out, and nothing else happened.
    TimedOut,
    /// The thread would wait for itself, because it dispatches completions.
    Deadlock,
    /// The device or the system reported an error; see [`Error::device`].
    Device,
}

/// An error of this crate.
///
/// ```
/// use linewake::{Chip, ErrorKind};
/// let error = Chip::open("simm").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::UnknownChip);
/// assert!(error.to_string().starts_with(r#"there is no chip "simm""#), "{error}");
/// ```
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    device: Option<overlapped::Error>,
    /// True if the device is gone although no device reported it.
    is_gone: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), device: None, is_gone: false }))
    }

    /// An error that the device is gone, which was seen and not reported by a device.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        let inner = Inner { kind: ErrorKind::Device, message: message.into(), device: None, is_gone: true };
        Self(Box::new(inner))
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The error of the device or the system, if the kind is [`ErrorKind::Device`] or [`ErrorKind::Busy`].
    #[must_use]
    pub fn device(&self) -> Option<&overlapped::Error> {
        self.0.device.as_ref()
    }

    /// True if the time ran out and nothing else happened.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::TimedOut
            || self.device().is_some_and(|error| error.kind() == overlapped::ErrorKind::TimedOut)
    }

    /// True if the device is gone: it was unplugged, or its driver or its program stopped.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.0.is_gone || self.device().is_some_and(|error| error.kind() == overlapped::ErrorKind::Disconnected)
    }

    /// True if a chip that was just plugged in may give this error only for a moment, so that another try can succeed.
    pub(crate) fn may_pass(&self) -> bool {
        use overlapped::ErrorKind::{AccessDenied, Busy, NotFound, TimedOut};
        self.kind() == ErrorKind::Busy
            || self.device().is_some_and(|error| matches!(error.kind(), AccessDenied | Busy | NotFound | TimedOut))
    }

    /// Adds a remedy to the message if the device or the system gave an error of this kind.
    pub(crate) fn with_remedy_if(mut self, kind: overlapped::ErrorKind, remedy: &str) -> Self {
        if self.device().is_some_and(|error| error.kind() == kind) {
            self.0.message = format!("{}; {remedy}", self.0.message);
        }
        self
    }

    /// Replaces the message, and keeps the error of the device.
    pub(crate) fn saying(self, message: String) -> Self {
        Self(Box::new(Inner { message, ..*self.0 }))
    }

    /// Makes it [`ErrorKind::Busy`] with another message, and keeps the error of the device.
    pub(crate) fn busy(self, message: String) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::Busy, message, ..*self.0 }))
    }
}

impl From<overlapped::Error> for Error {
    fn from(error: overlapped::Error) -> Self {
        let is_deadlock = error.kind() == overlapped::ErrorKind::Deadlock;
        Self(Box::new(Inner {
            kind: if is_deadlock { ErrorKind::Deadlock } else { ErrorKind::Device },
            message: opening(&error),
            device: Some(error),
            is_gone: false,
        }))
    }
}

/// The message of an error; it says that a device cannot be opened.
pub(crate) fn opening(error: &overlapped::Error) -> String {
    let cannot = if error.operation() == overlapped::Operation::Open { "cannot " } else { "" };
    format!("{cannot}{error}")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            ErrorKind::UnknownChip | ErrorKind::NoSuchLine => Io::NotFound,
            ErrorKind::LineTwice | ErrorKind::InvalidInput => Io::InvalidInput,
            ErrorKind::Busy => Io::ResourceBusy,
            ErrorKind::Unsupported => Io::Unsupported,
            ErrorKind::Malformed | ErrorKind::BadFile => Io::InvalidData,
            ErrorKind::TimedOut => Io::TimedOut,
            ErrorKind::Deadlock => Io::Deadlock,
            ErrorKind::Device => match error.device() {
                Some(device) => Self::from(device.clone()).kind(),
                None => Io::Other,
            },
        };
        Self::new(kind, error)
    }
}
