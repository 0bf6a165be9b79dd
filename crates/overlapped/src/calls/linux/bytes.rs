//! Ioctls whose argument is a byte buffer of any length: the number of the request contains the length.

use std::fmt;

use super::Argument;
use super::request::{Direction, SIZES, request};
use crate::{Device, Error, ErrorKind, Operation};

/// An ioctl request whose argument is bytes, and whose number depends on their count. In a header it is a macro with a
/// length, such as `HIDIOCGFEATURE(len)`, `EVIOCGNAME(len)` or `JSIOCGNAME(len)`.
///
/// ```
/// use overlapped::linux::{Direction, IoctlBytes};
/// // linux/hidraw.h: HIDIOCGFEATURE(len) is _IOC(_IOC_WRITE|_IOC_READ, 'H', 0x07, len).
/// // SAFETY: the driver reads the first of the bytes, and writes no more than `len`.
/// const HIDIOCGFEATURE: IoctlBytes = unsafe { IoctlBytes::new(Direction::ReadWrite, b'H', 0x07) };
///
/// // linux/input.h: EVIOCGBIT(ev, len) is _IOC(_IOC_READ, 'E', 0x20 + (ev), len).
/// const fn eviocgbit(kind: u8) -> IoctlBytes {
///     // SAFETY: the driver writes no more than `len` bytes.
///     unsafe { IoctlBytes::new(Direction::Read, b'E', 0x20 + kind) }
/// }
/// ```
///
/// Bytes need a direction:
///
/// ```compile_fail
/// use overlapped::linux::{Direction, IoctlBytes};
/// const NOWHERE: IoctlBytes = unsafe { IoctlBytes::new(Direction::None, b'x', 1) };
/// ```
#[derive(Clone, Copy)]
pub struct IoctlBytes {
    /// The request's number with a length of 0.
    request: u32,
}

impl IoctlBytes {
    /// Declares the requests `_IOC(direction, group, number, len)`.
    ///
    /// # Safety
    /// Whatever the bytes hold, the driver reads and writes no more of them than the request says, and only until the
    /// call returns. They hold no address or file descriptor that the driver uses, unless any bytes are valid as one.
    ///
    /// # Panics
    /// When the direction is [`Direction::None`]. In a `const` that is a compile-time error.
    #[must_use]
    pub const unsafe fn new(direction: Direction, group: u8, number: u8) -> Self {
        assert!(!matches!(direction, Direction::None), "bytes need a direction: `Read`, `Write` or `ReadWrite`");
        Self { request: request(direction, group, number, 0) }
    }

    /// The request for `len` bytes, as `ioctl(2)` takes it. `None` when they do not fit in its size bits: from 16 KiB
    /// on, and on some architectures from 8 KiB on.
    ///
    /// ```
    /// # use overlapped::linux::{Direction, IoctlBytes};
    /// // SAFETY: linux/input.h: EVIOCGNAME(len) is _IOC(_IOC_READ, 'E', 0x06, len), and writes no more than that.
    /// const EVIOCGNAME: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'E', 0x06) };
    /// assert_eq!(EVIOCGNAME.request(256), Some(0x8100_4506));
    /// assert_eq!(EVIOCGNAME.request(1 << 14), None);
    /// ```
    #[must_use]
    pub const fn request(self, len: usize) -> Option<u32> {
        if len < SIZES { Some(self.request | (len as u32) << 16) } else { None }
    }
}

impl fmt::Debug for IoctlBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IoctlBytes").field(&format_args!("{:#010x}", self.request)).finish()
    }
}

impl Device {
    /// Runs an ioctl on bytes, at once, on this thread: the driver reads them, writes them, or both. Returns the value
    /// of `ioctl(2)`, which for many requests is how many bytes the driver wrote.
    ///
    /// ```no_run
    /// use overlapped::Device;
    /// use overlapped::linux::{Direction, IoctlBytes};
    ///
    /// // SAFETY: linux/input.h: EVIOCGNAME(len) writes no more than `len` bytes.
    /// const EVIOCGNAME: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'E', 0x06) };
    ///
    /// let keyboard = Device::options().write(false).open("/dev/input/event0")?;
    /// let mut name = [0; 256];
    /// let len = keyboard.ioctl_bytes(EVIOCGNAME, &mut name)? as usize;
    /// println!("{}", String::from_utf8_lossy(&name[..len.min(name.len())]));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ioctl`](Self::ioctl); and [`ErrorKind::InvalidInput`] for more bytes than [fit in a
    /// request](IoctlBytes::request).
    pub fn ioctl_bytes(&self, ioctl: IoctlBytes, bytes: &mut [u8]) -> Result<u32, Error> {
        let Some(request) = ioctl.request(bytes.len()) else {
            let what = Operation::Ioctl { request: ioctl.request, when: None };
            return Err(self
                .inner
                .error(ErrorKind::InvalidInput, what)
                .hint("pass fewer bytes: a request has 14 bits for the length, on some architectures 13"));
        };
        // SAFETY: the code that declared the ioctl promised that the driver stays within these bytes.
        unsafe { self.ioctl_with(request, Argument::Bytes(bytes)) }
    }
}
