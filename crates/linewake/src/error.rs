//! The one error type: what went wrong, with the name of the thing in quotes and what to do.

use std::fmt;

/// What kind of failure an [`Error`] is: what a program can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text given to [`Chip::open`](crate::Chip::open) names no kind of chip.
    UnknownChip,
    /// The chip has no such line.
    NoSuchLine,
    /// The same line was asked for twice.
    LineTwice,
    /// Another argument makes no sense: no line at all, a queue of one event, a seed for a real chip.
    InvalidInput,
    /// Somebody else holds the line.
    Busy,
    /// The chip cannot do what was asked of it; see [`Chip::capabilities`](crate::Chip::capabilities).
    Unsupported,
    /// A file that describes something (a profile, a script of signals) is wrong, or cannot be read.
    BadFile,
    /// The driver sent something that is not the protocol. Nothing it says is trusted from there on.
    Malformed,
    /// Time ran out, and nothing else happened.
    TimedOut,
    /// This thread would have to wait for itself: it dispatches completions.
    Deadlock,
    /// The device or the system said no; [`Error::device`] has what it said.
    Device,
}

/// Why something did not work.
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
    /// It is gone, though no device said so.
    is_gone: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), device: None, is_gone: false }))
    }

    /// What was there is gone, by what is seen and not by what a device says.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        let inner = Inner { kind: ErrorKind::Device, message: message.into(), device: None, is_gone: true };
        Self(Box::new(inner))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the device or the system said, when the kind is [`ErrorKind::Device`] or [`ErrorKind::Busy`].
    #[must_use]
    pub fn device(&self) -> Option<&overlapped::Error> {
        self.0.device.as_ref()
    }

    /// Whether time ran out, and nothing else happened.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::TimedOut
            || self.device().is_some_and(|error| error.kind() == overlapped::ErrorKind::TimedOut)
    }

    /// Whether the device is gone: unplugged, or its driver or its program stopped.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.0.is_gone || self.device().is_some_and(|error| error.kind() == overlapped::ErrorKind::Disconnected)
    }

    /// Whether a chip that was plugged in a moment ago may say so, and not later.
    pub(crate) fn may_pass(&self) -> bool {
        use overlapped::ErrorKind::{AccessDenied, Busy, NotFound, TimedOut};
        self.kind() == ErrorKind::Busy
            || self.device().is_some_and(|error| matches!(error.kind(), AccessDenied | Busy | NotFound | TimedOut))
    }

    /// Adds what to do about a device that cannot be found.
    pub(crate) fn with_remedy_if_not_found(self, remedy: &str) -> Self {
        self.with_remedy_if(overlapped::ErrorKind::NotFound, remedy)
    }

    /// Adds what to do when the device or the system said this.
    pub(crate) fn with_remedy_if(mut self, kind: overlapped::ErrorKind, remedy: &str) -> Self {
        if self.device().is_some_and(|error| error.kind() == kind) {
            self.0.message = format!("{}; {remedy}", self.0.message);
        }
        self
    }

    /// Says it in other words, and keeps what the device said.
    pub(crate) fn saying(self, message: String) -> Self {
        Self(Box::new(Inner { message, ..*self.0 }))
    }

    /// Says that somebody else holds a line, and keeps what the device said.
    pub(crate) fn busy(self, message: String) -> Self {
        Self(Box::new(Inner { kind: ErrorKind::Busy, message, ..*self.0 }))
    }
}

impl From<overlapped::Error> for Error {
    fn from(error: overlapped::Error) -> Self {
        let is_deadlock = error.kind() == overlapped::ErrorKind::Deadlock;
        Self(Box::new(Inner {
            kind: if is_deadlock { ErrorKind::Deadlock } else { ErrorKind::Device },
            message: error.to_string(),
            device: Some(error),
            is_gone: false,
        }))
    }
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
