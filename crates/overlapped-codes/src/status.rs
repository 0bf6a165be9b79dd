//! NTSTATUS values: how a driver ended a request, the same for real devices and simulated ones.

use core::fmt;

use crate::{ErrorKind, errno};

/// An NTSTATUS: how a driver ended a request.
///
/// The two high bits are the severity: success, informational, warning or error (`[MS-ERREF]` section 2.3). A *warning*
/// is not a failure: its data and its byte count are valid. A call of `overlapped` returns `Ok` for
/// [`BUFFER_OVERFLOW`](Self::BUFFER_OVERFLOW). For any other warning it returns an error that keeps the bytes, since
/// "device busy" is a warning too.
///
/// ```
/// use overlapped_codes::Status;
/// assert!(Status::BUFFER_OVERFLOW.is_warning());
/// assert_eq!(Status::CANCELLED.to_string(), "STATUS_CANCELLED (0xC0000120)");
/// assert_eq!(Status::from_u32(0xc000_0120), Status::CANCELLED);
/// assert_eq!(Status::CANCELLED.to_u32() >> 30, 3); // the severity: an error
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u32);

/// A Linux error number: severity *error*, the customer bit, and our own facility; the number is in the low bits.
const ERRNO: u32 = 0xe0e0_0000;
const ERRNO_BITS: u32 = 0xfff;
/// Added to it if the system has hung the file up: then the device is gone, whatever the number is.
const GONE: u32 = 0x8000;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $kind:ident;)*) => {
        // The values are those of `ntstatus.h` ([MS-ERREF] section 2.3.1).
        impl Status {
            $(#[doc = concat!("STATUS_", stringify!($name), " (", stringify!($value), ").")] $(#[$doc])*
            pub const $name: Self = Self($value);)*

            /// The name in `ntstatus.h` or `errno.h`, for the values that a program meets with devices.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("STATUS_", stringify!($name))),)*
                    _ => match self.errno() {
                        Some(errno) => errno::name(errno),
                        None => None,
                    },
                }
            }

            /// The kind of this error, if it is one.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self.0 {
                    $($value => ErrorKind::$kind,)*
                    value => match self.errno() {
                        Some(_) if value & GONE != 0 => ErrorKind::Disconnected,
                        Some(errno) => errno::kind(errno),
                        None => ErrorKind::Other,
                    },
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000, Other;
    /// The request is in flight. Never a final status.
    PENDING = 0x0000_0103, Other;
    /// A warning: the output buffer was too short for everything; the bytes in it are valid.
    BUFFER_OVERFLOW = 0x8000_0005, Other;
    NO_MORE_FILES = 0x8000_0006, Other;
    DEVICE_BUSY = 0x8000_0011, Busy;
    NO_MORE_ENTRIES = 0x8000_001a, Other;
    UNSUCCESSFUL = 0xc000_0001, Disconnected;
    NOT_IMPLEMENTED = 0xc000_0002, Unsupported;
    INFO_LENGTH_MISMATCH = 0xc000_0004, InvalidInput;
    INVALID_HANDLE = 0xc000_0008, InvalidInput;
    INVALID_PARAMETER = 0xc000_000d, InvalidInput;
    NO_SUCH_DEVICE = 0xc000_000e, Disconnected;
    NO_SUCH_FILE = 0xc000_000f, NotFound;
    INVALID_DEVICE_REQUEST = 0xc000_0010, Unsupported;
    END_OF_FILE = 0xc000_0011, Other;
    NO_MEDIA_IN_DEVICE = 0xc000_0013, Busy;
    NO_MEMORY = 0xc000_0017, Other;
    ACCESS_DENIED = 0xc000_0022, AccessDenied;
    BUFFER_TOO_SMALL = 0xc000_0023, InvalidInput;
    OBJECT_NAME_INVALID = 0xc000_0033, InvalidInput;
    OBJECT_NAME_NOT_FOUND = 0xc000_0034, NotFound;
    OBJECT_PATH_NOT_FOUND = 0xc000_003a, NotFound;
    SHARING_VIOLATION = 0xc000_0043, Busy;
    DELETE_PENDING = 0xc000_0056, Busy;
    INSUFFICIENT_RESOURCES = 0xc000_009a, Other;
    DEVICE_NOT_CONNECTED = 0xc000_009d, Disconnected;
    DEVICE_NOT_READY = 0xc000_00a3, Busy;
    PIPE_NOT_AVAILABLE = 0xc000_00ac, Busy;
    PIPE_BUSY = 0xc000_00ae, Busy;
    PIPE_DISCONNECTED = 0xc000_00b0, Disconnected;
    /// The answer to FSCTL_PIPE_LISTEN if a client connected before it. It is a success, though its number is an
    /// error's.
    PIPE_CONNECTED = 0xc000_00b2, Other;
    PIPE_CLOSING = 0xc000_00b1, Disconnected;
    PIPE_LISTENING = 0xc000_00b3, Other;
    IO_TIMEOUT = 0xc000_00b5, TimedOut;
    FILE_FORCED_CLOSED = 0xc000_00b6, Disconnected;
    NOT_SUPPORTED = 0xc000_00bb, Unsupported;
    DEVICE_DOES_NOT_EXIST = 0xc000_00c0, Disconnected;
    INTERNAL_ERROR = 0xc000_00e5, Other;
    CANCELLED = 0xc000_0120, Cancelled;
    PIPE_BROKEN = 0xc000_014b, Disconnected;
    IO_DEVICE_ERROR = 0xc000_0185, Other;
    INVALID_DEVICE_STATE = 0xc000_0184, Disconnected;
    DRIVER_INTERNAL_ERROR = 0xc000_0183, Other;
    NOT_FOUND = 0xc000_0225, NotFound;
    DEVICE_REMOVED = 0xc000_02b6, Disconnected;
    INVALID_BUFFER_SIZE = 0xc000_0206, InvalidInput;
}

impl Status {
    /// The status with this value. Every 32-bit value is a status.
    #[must_use]
    pub const fn from_u32(status: u32) -> Self {
        Self(status)
    }

    /// The value, as in `ntstatus.h`.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// The status for a Linux error number, which has no NTSTATUS: an error in the customer's range (`[MS-ERREF]`
    /// section 2.3). Linux devices end their calls with it, and so may a simulated device that plays one. Numbers are
    /// below 4096.
    ///
    /// ```
    /// use overlapped_codes::{ErrorKind, Status};
    /// let status = Status::from_errno(13);
    /// assert!(status.is_error());
    /// assert_eq!((status.errno(), status.name()), (Some(13), Some("EACCES")));
    /// assert_eq!(status.kind(), ErrorKind::AccessDenied);
    /// assert_eq!(Status::CANCELLED.errno(), None);
    /// ```
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        Self(ERRNO | errno as u32 & ERRNO_BITS)
    }

    /// Like [`from_errno`](Self::from_errno), for a file that the system has hung up: then the device is gone, whatever
    /// the number is.
    ///
    /// ```
    /// use overlapped_codes::{ErrorKind, Status};
    /// let status = Status::gone(5);
    /// assert_eq!((status.name(), status.kind()), (Some("EIO"), ErrorKind::Disconnected));
    /// ```
    #[must_use]
    pub const fn gone(errno: i32) -> Self {
        Self(ERRNO | GONE | errno as u32 & ERRNO_BITS)
    }

    /// Whether it is an error number from a file that the system has hung up.
    ///
    /// ```
    /// # use overlapped_codes::Status;
    /// assert!(Status::gone(5).is_gone() && !Status::from_errno(5).is_gone());
    /// ```
    #[must_use]
    pub const fn is_gone(self) -> bool {
        self.errno().is_some() && self.0 & GONE != 0
    }

    /// The Linux error number, if the status was made from one.
    #[must_use]
    pub const fn errno(self) -> Option<i32> {
        if self.0 & !(GONE | ERRNO_BITS) == ERRNO { Some((self.0 & ERRNO_BITS) as i32) } else { None }
    }

    /// Whether the severity is *error* (`NT_ERROR`): there are no data. If a submission returns it, no completion
    /// comes.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }

    /// Whether the severity is *warning* (`NT_WARNING`): the data and the byte count are valid.
    #[must_use]
    pub const fn is_warning(self) -> bool {
        self.0 >> 30 == 2
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:08X})", self.name().unwrap_or("NTSTATUS"), self.0)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn severity_is_in_the_two_high_bits() {
        assert!(!Status::SUCCESS.is_error() && !Status::SUCCESS.is_warning());
        assert!(!Status::PENDING.is_error() && !Status::PENDING.is_warning());
        assert!(Status::BUFFER_OVERFLOW.is_warning() && !Status::BUFFER_OVERFLOW.is_error());
        assert!(Status::CANCELLED.is_error() && !Status::CANCELLED.is_warning());
        assert!(!Status::from_u32(0x4000_0000).is_error());
    }

    #[test]
    fn an_error_number_survives_the_way_through_a_status() {
        for errno in [1, 19, 125, 4095] {
            assert_eq!(Status::from_errno(errno).errno(), Some(errno));
            assert_eq!(Status::gone(errno).errno(), Some(errno));
            assert_eq!(Status::gone(errno).kind(), ErrorKind::Disconnected);
            assert!(Status::from_errno(errno).is_error());
        }
        assert_eq!(Status::from_errno(5).kind(), ErrorKind::Other);
        for other in [0, 0x103, 0xc000_0120, 0xe0e1_0005, 0xe0e0_4005, 0xa0e0_0005, 0xffff_ffff] {
            assert_eq!(Status::from_u32(other).errno(), None, "{other:#x}");
        }
    }

    #[test]
    fn an_unknown_status_shows_its_number() {
        assert_eq!(Status::from_u32(0xdead_beef).to_string(), "NTSTATUS (0xDEADBEEF)");
    }
}
