//! The kinds of failure. Each error number of a system has one.

use core::fmt;

/// The kind of a failure: something that a program can act on.
///
/// ```
/// use overlapped_codes::ErrorKind;
/// fn is_worth_a_retry(kind: ErrorKind) -> bool {
///     matches!(kind, ErrorKind::Busy | ErrorKind::TimedOut)
/// }
/// assert!(!is_worth_a_retry(ErrorKind::Disconnected));
/// assert_eq!(ErrorKind::Disconnected.to_string(), "device disconnected");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such device, file or pipe.
    NotFound,
    /// The system refused: the account lacks a right, or the handle was opened without it.
    AccessDenied,
    /// Another program uses it, or the device is not ready yet.
    Busy,
    /// The driver does not know the control code, or the platform cannot do it.
    Unsupported,
    /// The call itself is wrong: a length, an argument, a handle of the wrong type.
    InvalidInput,
    /// The device is gone: unplugged, removed, or the pipe's other end closed. Drivers report this in many ways (Win32
    /// errors 1167, 433, 1617, 22, 31, and 2 from a call on an open handle); all are this kind, and the code tells them
    /// apart.
    Disconnected,
    /// The call was cancelled on request, before the driver completed it.
    Cancelled,
    /// The driver or the system ended the call as cancelled (STATUS_CANCELLED, ECANCELED) without a request to cancel
    /// it: a flaky driver does that, or a timer whose clock was set.
    Aborted,
    /// The timeout has passed.
    TimedOut,
    /// The thread would wait for itself: for example `wait` on the thread that dispatches the port.
    Deadlock,
    /// The driver completed with fewer bytes than one record, or with a part of a record. `Error::bytes` has them.
    Truncated,
    /// Any other failure; the error's code names it.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::AccessDenied => "access denied",
            Self::Busy => "busy",
            Self::Unsupported => "not supported",
            Self::InvalidInput => "invalid input",
            Self::Disconnected => "device disconnected",
            Self::Cancelled => "cancelled",
            Self::Aborted => "cancelled by the driver",
            Self::TimedOut => "timed out",
            Self::Deadlock => "would wait for its own thread",
            Self::Truncated => "truncated",
            Self::Other => "failed",
        })
    }
}
