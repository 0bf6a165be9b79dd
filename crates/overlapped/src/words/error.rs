//! The crate's one error type: its kind, the system's code, the operation and the device.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use overlapped_codes::errno;

use crate::{CtlCode, ErrorKind, Status};

/// The number a system gave for a failure.
///
/// ```
/// use overlapped::{ErrorCode, Status};
/// let code = ErrorCode::Status(Status::CANCELLED);
/// assert_eq!(code.to_string(), "STATUS_CANCELLED (0xC0000120)");
/// assert_eq!(ErrorCode::Win32(87).to_string(), "ERROR_INVALID_PARAMETER (87)");
/// assert_eq!(ErrorCode::Errno(19).to_string(), "ENODEV (19)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The NTSTATUS with which a driver, real or simulated, ended the request.
    Status(Status),
    /// A Win32 error, as `GetLastError` gives it.
    Win32(u32),
    /// A CONFIGRET of the configuration manager (`cfgmgr32.h`), which keeps the list of device interfaces.
    ConfigManager(u32),
    /// An error number of Linux, as `errno` has it.
    Errno(i32),
}

/// The Win32 errors that a program meets with devices, from `winerror.h`.
const WIN32: &[(u32, &str, ErrorKind)] = &[
    (2, "ERROR_FILE_NOT_FOUND", ErrorKind::NotFound),
    (3, "ERROR_PATH_NOT_FOUND", ErrorKind::NotFound),
    (5, "ERROR_ACCESS_DENIED", ErrorKind::AccessDenied),
    (6, "ERROR_INVALID_HANDLE", ErrorKind::InvalidInput),
    (8, "ERROR_NOT_ENOUGH_MEMORY", ErrorKind::Other),
    (22, "ERROR_BAD_COMMAND", ErrorKind::Disconnected),
    (31, "ERROR_GEN_FAILURE", ErrorKind::Disconnected),
    (32, "ERROR_SHARING_VIOLATION", ErrorKind::Busy),
    (50, "ERROR_NOT_SUPPORTED", ErrorKind::Unsupported),
    (53, "ERROR_BAD_NETPATH", ErrorKind::NotFound),
    (87, "ERROR_INVALID_PARAMETER", ErrorKind::InvalidInput),
    (123, "ERROR_INVALID_NAME", ErrorKind::InvalidInput),
    (161, "ERROR_BAD_PATHNAME", ErrorKind::InvalidInput),
    (170, "ERROR_BUSY", ErrorKind::Busy),
    (231, "ERROR_PIPE_BUSY", ErrorKind::Busy),
    (433, "ERROR_NO_SUCH_DEVICE", ErrorKind::Disconnected),
    (1167, "ERROR_DEVICE_NOT_CONNECTED", ErrorKind::Disconnected),
    (1450, "ERROR_NO_SYSTEM_RESOURCES", ErrorKind::Other),
    (1617, "ERROR_DEVICE_REMOVED", ErrorKind::Disconnected),
];

impl ErrorCode {
    fn kind(self) -> ErrorKind {
        match self {
            Self::Status(status) => status.kind(),
            Self::Win32(code) => WIN32.iter().find(|e| e.0 == code).map_or(ErrorKind::Other, |e| e.2),
            // CR_CALL_NOT_IMPLEMENTED
            Self::ConfigManager(0x20) => ErrorKind::Unsupported,
            Self::ConfigManager(_) => ErrorKind::Other,
            Self::Errno(errno) => errno::kind(errno),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Status(status) => status.fmt(f),
            Self::ConfigManager(code) => write!(f, "CONFIGRET ({code:#x})"),
            Self::Win32(code) => {
                let name = WIN32.iter().find(|e| e.0 == code).map_or("Win32 error", |e| e.1);
                write!(f, "{name} ({code})")
            }
            Self::Errno(errno) => write!(f, "{} ({errno})", errno::name(errno).unwrap_or("errno")),
        }
    }
}

/// The operation that failed.
///
/// ```
/// use overlapped::{CtlCode, Operation};
/// assert_eq!(Operation::Control(CtlCode::from_u32(0x222004)).to_string(), "device control 0x00222004");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a device.
    Open,
    /// Adopting a handle.
    Adopt,
    /// Closing a device.
    Close,
    /// Starting or running a port.
    Port,
    /// Polling a call.
    Poll,
    /// Making a buffer.
    Buffer,
    /// Waiting for an event's signal.
    Signal,
    /// Looking for device interfaces.
    Interface,
    /// Giving out the handle.
    Handle,
    /// An overlapped function that the caller chose.
    #[cfg(windows)]
    Function,
    /// A device control with this code.
    Control(CtlCode),
    /// A read at an offset, or of a stream.
    Read {
        /// The offset in bytes; `None` for a stream, such as a pipe.
        offset: Option<u64>,
    },
    /// A write at an offset, or to a stream.
    Write {
        /// The offset in bytes; `None` for a stream, such as a pipe.
        offset: Option<u64>,
    },
    /// An `ioctl(2)` of Linux.
    #[cfg(target_os = "linux")]
    Ioctl {
        /// The request, its second argument.
        request: u32,
        /// The readiness it waits for; `None` when it runs at once.
        when: Option<crate::words::linux::Interest>,
    },
    /// Waiting until a file of Linux is ready.
    #[cfg(target_os = "linux")]
    Ready {
        /// The readiness it waits for.
        interest: crate::words::linux::Interest,
    },
}

impl Operation {
    pub(crate) const fn is_ioctl(&self) -> bool {
        #[cfg(target_os = "linux")]
        return matches!(self, Self::Ioctl { .. });
        #[cfg(not(target_os = "linux"))]
        false
    }
}

/// A read of a stream: it continues where the last one ended.
pub(crate) const STREAM_READ: Operation = Operation::Read { offset: None };

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Adopt => f.write_str("adopt a handle"),
            Self::Close => f.write_str("close"),
            Self::Port => f.write_str("completion port"),
            Self::Poll => f.write_str("poll"),
            Self::Buffer => f.write_str("buffer"),
            Self::Signal => f.write_str("signal"),
            Self::Interface => f.write_str("device interfaces"),
            Self::Handle => f.write_str("give out the handle"),
            #[cfg(windows)]
            Self::Function => f.write_str("overlapped function"),
            Self::Control(code) => write!(f, "device control {code}"),
            Self::Read { offset: None } => f.write_str("read"),
            Self::Write { offset: None } => f.write_str("write"),
            Self::Read { offset: Some(at) } => write!(f, "read at {at}"),
            Self::Write { offset: Some(at) } => write!(f, "write at {at}"),
            #[cfg(target_os = "linux")]
            Self::Ready { interest } => write!(f, "wait until {interest}"),
            #[cfg(target_os = "linux")]
            Self::Ioctl { request, when: None } => write!(f, "ioctl {request:#010x}"),
            #[cfg(target_os = "linux")]
            Self::Ioctl { request, when: Some(interest) } => write!(f, "ioctl {request:#010x} when {interest}"),
        }
    }
}

/// Why an operation on a device failed.
///
/// ```
/// use overlapped::{Device, ErrorKind, Operation};
/// let error = Device::open(r"no such device").unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported));
/// assert!(error.to_string().contains(r#""no such device""#), "{error}");
/// assert_eq!((error.operation(), error.device()), (Operation::Open, Some("no such device")));
/// if let Some(code) = error.code() {
///     println!("the system says {code}");
/// }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    code: Option<ErrorCode>,
    operation: Operation,
    device: Option<Arc<str>>,
    hint: Option<Cow<'static, str>>,
    bytes: Box<[u8]>,
}

/// The kind of a Linux error number from a file that is open. Some numbers then mean another kind than [`errno::kind`].
const fn kind_when_open(errno: i32, operation: Operation) -> ErrorKind {
    match errno {
        // ENODEV: every operation reports it for a device that is gone.
        19 => ErrorKind::Disconnected,
        // ENXIO: the device is gone. But an ioctl returns it for a missing part of the device, such as a partition or a
        // channel.
        6 if !operation.is_ioctl() => ErrorKind::Disconnected,
        // EPIPE: a write returns it when the other end is gone. Reads and ioctls return it for a device that has
        // stalled or has run dry and that goes on.
        32 if !matches!(operation, Operation::Write { .. }) => ErrorKind::Other,
        errno => errno::kind(errno),
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: Operation) -> Self {
        Self(Box::new(Inner { kind, code: None, operation, device: None, hint: None, bytes: Box::default() }))
    }

    pub(crate) fn from_code(code: ErrorCode, operation: Operation) -> Self {
        let plain = match code {
            ErrorCode::Status(status) => status.errno().map_or(code, ErrorCode::Errno),
            code => code,
        };
        let is_gone = matches!(code, ErrorCode::Status(status) if status.is_gone());
        let kind = match if is_gone { code } else { plain } {
            code if matches!(operation, Operation::Open) => code.kind(),
            // If the device of an open handle is not found, it is gone; so is a device that waits to be deleted. But
            // NOT_FOUND is about the thing that the request asked for.
            ErrorCode::Status(Status::NOT_FOUND) => ErrorKind::NotFound,
            ErrorCode::Status(Status::DELETE_PENDING) => ErrorKind::Disconnected,
            ErrorCode::Errno(errno) => kind_when_open(errno, operation),
            code => match code.kind() {
                ErrorKind::NotFound => ErrorKind::Disconnected,
                kind => kind,
            },
        };
        let mut error = Self::new(kind, operation);
        error.0.code = Some(plain);
        error
    }

    pub(crate) fn on(mut self, device: &Arc<str>) -> Self {
        self.0.device = Some(device.clone());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Changes the kind to [`ErrorKind::Aborted`], for a cancellation that nobody asked for.
    pub(crate) fn aborted(mut self) -> Self {
        self.0.kind = ErrorKind::Aborted;
        self
    }

    /// The error of a future that is polled after it was ready.
    #[cold]
    pub(crate) fn taken_before() -> Self {
        Self::new(ErrorKind::InvalidInput, Operation::Poll)
            .hint("its result was taken already; do not poll a future after it was ready")
    }

    pub(crate) fn keeping(mut self, bytes: &[u8]) -> Self {
        self.0.bytes = bytes.into();
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The system's error number, if the system or the driver gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.0.operation
    }

    /// The path or name of the device, if there is one.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        self.0.device.as_deref()
    }

    /// The bytes that came with the error: what the driver had written, when the error is [`ErrorKind::Truncated`] or
    /// when the driver ended the call with a warning. (STATUS_BUFFER_OVERFLOW is a warning too, but no error.)
    /// Otherwise empty.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method, Status};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// // The driver writes two bytes where a `u32` is expected.
    /// # let script = Script::new("card").answer(CODE, Status::SUCCESS, [1, 2]);
    /// # let card = Device::simulated(script)?;
    /// let error = card.call(WAIT_CHANGE, &()).wait().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Truncated);
    /// assert_eq!(error.bytes(), [1, 2]);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, code, operation, device, hint, .. } = &*self.0;
        operation.fmt(f)?;
        if let Some(device) = device {
            let preposition = if matches!(operation, Operation::Open | Operation::Close) { "" } else { "on " };
            // Not `{device:?}`, which would double each backslash.
            write!(f, " {preposition}\"{device}\"")?;
        }
        write!(f, ": {kind}")?;
        if let Some(code) = code {
            write!(f, ": {code}")?;
        }
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.to_string())
            .finish()
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AccessDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Disconnected => io::ErrorKind::NotConnected,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Deadlock => io::ErrorKind::Deadlock,
            ErrorKind::Truncated => io::ErrorKind::InvalidData,
            // A cancelled call too, and not as `Interrupted`: the standard library retries that.
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operation_device_kind_and_code() {
        let device: Arc<str> = r"\\.\LineWake0".into();
        let error = Error::from_code(
            ErrorCode::Status(Status::DEVICE_NOT_CONNECTED),
            Operation::Control(CtlCode::from_u32(0x8900_2004)),
        )
        .on(&device);
        assert_eq!(
            error.to_string(),
            r#"device control 0x89002004 on "\\.\LineWake0": device disconnected: STATUS_DEVICE_NOT_CONNECTED (0xC000009D)"#
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn every_way_a_device_goes_away_is_disconnected() {
        for code in [1167, 433, 1617, 22, 31] {
            assert_eq!(ErrorCode::Win32(code).kind(), ErrorKind::Disconnected, "{code}");
        }
        let read = Operation::Read { offset: None };
        for (status, kind) in [
            (Status::DELETE_PENDING, ErrorKind::Disconnected),
            (Status::OBJECT_NAME_NOT_FOUND, ErrorKind::Disconnected),
            (Status::NOT_FOUND, ErrorKind::NotFound),
        ] {
            assert_eq!(Error::from_code(ErrorCode::Status(status), read).kind(), kind, "{status}");
        }
        assert_eq!(
            Error::from_code(ErrorCode::Status(Status::DELETE_PENDING), Operation::Open).kind(),
            ErrorKind::Busy
        );
        for errno in [19, 6] {
            let read = Operation::Read { offset: None };
            assert_eq!(Error::from_code(ErrorCode::Errno(errno), read).kind(), ErrorKind::Disconnected, "{errno}");
            let gone = Error::from_code(ErrorCode::Status(Status::from_errno(errno)), Operation::Open);
            assert_eq!((gone.kind(), gone.code()), (ErrorKind::NotFound, Some(ErrorCode::Errno(errno))));
        }
        for status in [
            Status::from_errno(108),
            Status::NO_SUCH_DEVICE,
            Status::DEVICE_NOT_CONNECTED,
            Status::DEVICE_REMOVED,
            Status::PIPE_BROKEN,
            Status::PIPE_DISCONNECTED,
            Status::UNSUCCESSFUL,
            Status::INVALID_DEVICE_STATE,
        ] {
            assert_eq!(status.kind(), ErrorKind::Disconnected, "{status}");
        }
        let gone = ErrorCode::Status(Status::NO_SUCH_FILE);
        let call = Operation::Control(CtlCode::from_u32(0));
        assert_eq!(Error::from_code(gone, call).kind(), ErrorKind::Disconnected);
        assert_eq!(Error::from_code(gone, Operation::Open).kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_meaning_of_an_error_number_depends_on_the_operation() {
        let (read, write) = (Operation::Read { offset: None }, Operation::Write { offset: None });
        let kind = |status, operation| Error::from_code(ErrorCode::Status(status), operation).kind();
        let epipe = Status::from_errno(32);
        assert_eq!((kind(epipe, read), kind(epipe, write)), (ErrorKind::Other, ErrorKind::Disconnected));
        assert_eq!(kind(Status::gone(5), read), ErrorKind::Disconnected);
        assert_eq!(kind(Status::from_errno(2), read), ErrorKind::NotFound);
        #[cfg(target_os = "linux")]
        {
            let ioctl = Operation::Ioctl { request: 0, when: None };
            for (errno, expected) in [
                (2, ErrorKind::NotFound),
                (6, ErrorKind::NotFound),
                (19, ErrorKind::Disconnected),
                (32, ErrorKind::Other),
            ] {
                assert_eq!(kind(Status::from_errno(errno), ioctl), expected, "{errno}");
            }
            assert_eq!(kind(Status::gone(6), ioctl), ErrorKind::Disconnected);
        }
    }
}
