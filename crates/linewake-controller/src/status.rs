//! The status a control code ends with: an NTSTATUS, whichever host carries it.

use core::fmt;

/// An NTSTATUS, as the driver host hands it to the I/O manager (values: \[MS-ERREF\] 2.3.1).
///
/// ```
/// use linewake_controller::Status;
///
/// assert!(!Status::SUCCESS.is_error());
/// assert!(!Status::BUFFER_OVERFLOW.is_error()); // a warning: its bytes are valid
/// assert!(Status::DEVICE_NOT_CONNECTED.is_error());
/// assert_eq!(Status::INVALID_DEVICE_REQUEST.to_string(), "STATUS_INVALID_DEVICE_REQUEST (0xC0000010)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Status = Status($value);)*

            /// The name in ntstatus.h, for a status this crate uses.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(concat!("STATUS_", stringify!($name))),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Done.
    SUCCESS = 0x0000_0000;
    /// The request is kept; it completes later.
    PENDING = 0x0000_0103;
    /// A warning: the output is shorter than the answer, and what fits is valid.
    BUFFER_OVERFLOW = 0x8000_0005;
    /// The reader does not exist, or no longer.
    INVALID_HANDLE = 0xC000_0008;
    /// A field, an offset or a combination of flags makes no sense; nothing was changed.
    INVALID_PARAMETER = 0xC000_000D;
    /// No such control code.
    INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// The output cannot hold even one record.
    BUFFER_TOO_SMALL = 0xC000_0023;
    /// This host of the controller cannot do that.
    NOT_SUPPORTED = 0xC000_00BB;
    /// Another reader holds the line, and one of the two wants it alone.
    SHARING_VIOLATION = 0xC000_0043;
    /// The input is not a whole number of records, or not the one record expected.
    INFO_LENGTH_MISMATCH = 0xC000_0004;
    /// Every reader slot of the controller is taken.
    INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// The device was unplugged.
    DEVICE_NOT_CONNECTED = 0xC000_009D;
    /// The request was cancelled, or its reader closed.
    CANCELLED = 0xC000_0120;
    /// Right call, wrong time: a wait on a line that is not watched, a value for a line that is not an output.
    INVALID_DEVICE_STATE = 0xC000_0184;
}

impl Status {
    /// True for the severity *error*; success, information and warnings are not errors.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >> 30 == 3
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
