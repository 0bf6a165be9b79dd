//! What happens between this program and a driver, told while it happens.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// Something that a profile's device was sent, or answered; see [`Profile::traced`](super::Profile::traced).
///
/// `call` is the name of a call, or `read` for what is read; `line` is the number of the line that a call is made for,
/// as the driver knows it.
///
/// ```
/// use linewake::profile::Trace;
/// let trace = Trace::Sent { call: "wait", line: Some(3), input: &[3, 0] };
/// assert_eq!(trace.to_string(), "wait (line 3): sent 03 00");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Trace<'a> {
    /// The device was opened.
    Opened {
        /// Its path or name.
        name: &'a str,
    },
    /// A call was made; one that waits is told of once, and not each time that it is made anew.
    Sent {
        /// Which.
        call: &'a str,
        /// For which line, if it is for one.
        line: Option<u64>,
        /// What it sends.
        input: &'a [u8],
    },
    /// A call, or a read, was completed.
    Answered {
        /// Which.
        call: &'a str,
        /// For which line, if it was for one.
        line: Option<u64>,
        /// What came.
        bytes: &'a [u8],
        /// What the ioctl returned, if it was one.
        value: Option<u32>,
    },
    /// A part of a stream of bytes was read.
    Streamed {
        /// What came.
        bytes: &'a [u8],
        /// The whole records that it makes, with what was left of the parts before. They are looked at now.
        records: &'a [u8],
    },
    /// A call, or a read, failed.
    Failed {
        /// Which.
        call: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A call was left out, since nobody has allowed it; see [`Profile::dry`](super::Profile::dry).
    Skipped {
        /// Which.
        call: &'a str,
        /// For which line, if it is for one.
        line: Option<u64>,
        /// What it would have sent.
        input: &'a [u8],
        /// Why it has to be allowed.
        reason: &'a str,
    },
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_first() {
            None => f.write_str("nothing"),
            Some((first, rest)) => {
                write!(f, "{first:02x}")?;
                rest.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = |f: &mut fmt::Formatter<'_>, call: &str, line: Option<u64>| match line {
            Some(line) => write!(f, "{call} (line {line}): "),
            None => write!(f, "{call}: "),
        };
        match *self {
            Self::Opened { name } => write!(f, "opened \"{name}\""),
            Self::Sent { call, line, input } => {
                head(f, call, line)?;
                write!(f, "sent {}", Hex(input))
            }
            Self::Answered { call, line, bytes, value } => {
                head(f, call, line)?;
                write!(f, "answered {}", Hex(bytes))?;
                value.map_or(Ok(()), |value| write!(f, ", and returned {value}"))
            }
            Self::Streamed { bytes, records } => {
                write!(f, "read: came {}, which makes the records {}", Hex(bytes), Hex(records))
            }
            Self::Failed { call, error } => write!(f, "{call}: failed: {error}"),
            Self::Skipped { call, line, input, reason } => {
                head(f, call, line)?;
                write!(f, "left out, with {}: {reason}", Hex(input))
            }
        }
    }
}

/// Whom it is told to, if to anybody.
#[derive(Clone, Default)]
pub(crate) struct Tracer(Option<Arc<Tell>>);

type Tell = dyn Fn(Trace<'_>) + Send + Sync;

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tracer" } else { "nobody" })
    }
}

impl Tracer {
    pub(super) fn new(trace: impl Fn(Trace<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(trace)))
    }

    pub(crate) fn tell(&self, trace: Trace<'_>) {
        if let Some(tell) = &self.0 {
            tell(trace);
        }
    }

    /// Tells of a failure, and passes it on.
    pub(crate) fn failed(&self, call: &str, error: Error) -> Error {
        self.tell(Trace::Failed { call, error: &error });
        error
    }
}
