//! The Linux error numbers that a program meets with devices: the name and the kind of each.

use crate::ErrorKind;

macro_rules! errnos {
    ($($number:literal $name:ident $kind:ident;)*) => {
        /// The name in `errno.h`.
        ///
        /// ```
        /// assert_eq!(overlapped_codes::errno::name(19), Some("ENODEV"));
        /// ```
        #[must_use]
        pub const fn name(errno: i32) -> Option<&'static str> {
            match errno {
                $($number => Some(stringify!($name)),)*
                _ => None,
            }
        }

        /// The kind of the failure if an opening call returns this number. From a call on an open file, some numbers
        /// mean another kind.
        ///
        /// ```
        /// use overlapped_codes::{ErrorKind, errno};
        /// assert_eq!(errno::kind(13), ErrorKind::AccessDenied);
        /// ```
        #[must_use]
        pub const fn kind(errno: i32) -> ErrorKind {
            match errno {
                $($number => ErrorKind::$kind,)*
                _ => ErrorKind::Other,
            }
        }
    };
}

// The numbers are those of `asm-generic/errno-base.h` and `errno.h`; all our architectures share them.
errnos! {
    1 EPERM AccessDenied;
    2 ENOENT NotFound;
    4 EINTR Other;
    5 EIO Other;
    6 ENXIO NotFound;
    9 EBADF InvalidInput;
    11 EAGAIN Busy;
    12 ENOMEM Other;
    13 EACCES AccessDenied;
    14 EFAULT InvalidInput;
    16 EBUSY Busy;
    17 EEXIST Other;
    19 ENODEV NotFound;
    20 ENOTDIR NotFound;
    21 EISDIR InvalidInput;
    22 EINVAL InvalidInput;
    23 ENFILE Other;
    24 EMFILE Other;
    25 ENOTTY Unsupported;
    26 ETXTBSY Busy;
    27 EFBIG Other;
    28 ENOSPC Other;
    29 ESPIPE InvalidInput;
    30 EROFS AccessDenied;
    32 EPIPE Disconnected;
    34 ERANGE InvalidInput;
    36 ENAMETOOLONG InvalidInput;
    38 ENOSYS Unsupported;
    40 ELOOP InvalidInput;
    61 ENODATA Other;
    62 ETIME TimedOut;
    71 EPROTO Other;
    75 EOVERFLOW Other;
    77 EBADFD Other;
    84 EILSEQ Other;
    90 EMSGSIZE InvalidInput;
    95 EOPNOTSUPP Unsupported;
    104 ECONNRESET Disconnected;
    105 ENOBUFS Other;
    107 ENOTCONN Disconnected;
    108 ESHUTDOWN Disconnected;
    110 ETIMEDOUT TimedOut;
    121 EREMOTEIO Other;
    123 ENOMEDIUM Other;
    125 ECANCELED Cancelled;
}
