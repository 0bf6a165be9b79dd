//! The readiness to wait for on Linux, and the argument of an ioctl.

use std::fmt;

/// The readiness to wait for.
///
/// ```
/// assert_eq!(overlapped::linux::Interest::Readable.to_string(), "readable");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// A read would not block (EPOLLIN).
    Readable = 1,
    /// A write would not block (EPOLLOUT).
    Writable = 2,
    /// Something urgent or exceptional has happened (EPOLLPRI). The documentation of the file says what that is.
    Priority = 3,
}

impl Interest {
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        [Self::Readable, Self::Writable, Self::Priority].into_iter().find(|interest| *interest as u64 == number)
    }
}

impl fmt::Display for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Readable => "readable",
            Self::Writable => "writable",
            Self::Priority => "of priority",
        })
    }
}

/// The argument of an ioctl that is known only at run time. [`Device::ioctl_with`](crate::Device::ioctl_with) takes it,
/// and a simulated driver gets it ([`Driver::ioctl`](crate::sim::Driver::ioctl)).
///
/// ```
/// use overlapped::linux::Argument;
/// let mut record = [0; 12];
/// assert_eq!(format!("{:?}", Argument::Value(7)), "Value(7)");
/// assert!(matches!(Argument::Bytes(&mut record), Argument::Bytes(bytes) if bytes.len() == 12));
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// No argument: the driver gets 0.
    None,
    /// A number, passed by value instead of an address.
    Value(usize),
    /// The address of these bytes, which the driver reads, writes, or both.
    Bytes(&'a mut [u8]),
}
