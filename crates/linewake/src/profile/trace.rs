//! Reports what happens between this program and a driver, while it happens.

use std::fmt;
use std::sync::Arc;

use crate::Error;

/// Something that was sent to a profile's device, or that the device answered; see
/// [`Profile::traced`](super::Profile::traced).
///
/// `call` is the name of a call, or `read` for a read. `line` is the driver's number of the line for which a call is
/// made.
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
    /// A call was made. A call that waits is reported once, and not again each time it is repeated.
    Sent {
        /// Name of the call.
        call: &'a str,
        /// Number of the line, if the call is for one.
        line: Option<u64>,
        /// The bytes it sends.
        input: &'a [u8],
    },
    /// A call or a read completed.
    Answered {
        /// Name of the call.
        call: &'a str,
        /// Number of the line, if the call was for one.
        line: Option<u64>,
        /// The bytes that came.
        bytes: &'a [u8],
        /// The return value, if the call is an ioctl.
        value: Option<u32>,
    },
    /// A part of a stream of bytes was read.
    Streamed {
        /// The bytes that came.
        bytes: &'a [u8],
        /// The whole records, made of these bytes and what was left of earlier parts. They are evaluated now.
        records: &'a [u8],
    },
    /// A call or a read failed.
    Failed {
        /// Name of the call.
        call: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A call was left out because it is not allowed; see [`Profile::dry`](super::Profile::dry).
    Skipped {
        /// Name of the call.
        call: &'a str,
        /// Number of the line, if the call is for one.
        line: Option<u64>,
        /// The bytes that the call would have sent.
        input: &'a [u8],
        /// The reason why the call needs permission.
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

/// The function that gets the traces, if there is one.
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

    /// Reports a failure and passes it on.
    pub(crate) fn failed(&self, call: &str, error: Error) -> Error {
        self.tell(Trace::Failed { call, error: &error });
        error
    }
}
