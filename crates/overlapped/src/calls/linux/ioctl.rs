//! Ioctls whose argument is a record at an address, and ioctls without an argument.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::ptr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Argument;
use super::request::{Direction, request, said};
use crate::words::buffer::ALIGN;
use crate::{Device, Error};

/// An ioctl request together with its argument: a record that the driver reads, writes, or both, in place.
///
/// `T` is `()` for a request without an argument: the driver gets 0. For an argument that goes *by value* instead of by
/// address use [`IoctlByValue`](super::IoctlByValue); for bytes whose length is known only at run time use
/// [`IoctlBytes`](super::IoctlBytes).
///
/// ```
/// use overlapped::linux::{Direction, Ioctl};
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct ChipInfo {
///     name: [u8; 32],
///     label: [u8; 32],
///     lines: u32,
/// }
///
/// // SAFETY: linux/gpio.h: GPIO_GET_CHIPINFO_IOCTL writes one `gpiochip_info`.
/// const CHIP_INFO: Ioctl<ChipInfo> = unsafe { Ioctl::new(Direction::Read, 0xb4, 0x01) };
/// assert_eq!(CHIP_INFO.request(), 0x8044_b401);
/// ```
///
/// A control code of Windows is not an ioctl, nor an ioctl a control code:
///
/// ```compile_fail
/// use overlapped::{Access, CtlCode, Device, Method, linux::Ioctl};
/// fn wrong(device: &Device) {
///     let code = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
///     let ioctl: Ioctl<u32> = unsafe { Ioctl::from_request(code) };
/// }
/// ```
///
/// If the argument is too large for the request's 14 size bits, the declaration of the constant does not compile:
///
/// ```compile_fail
/// use overlapped::linux::{Direction, Ioctl};
/// const HUGE: Ioctl<[u8; 1 << 14]> = unsafe { Ioctl::new(Direction::Read, b'x', 1) };
/// ```
///
/// # `_IOW` and an integer
///
/// `#define TUNSETOWNER _IOW('T', 204, int)` does not say whether the driver takes the number itself or its address:
/// headers write both in this way. Here it is the number, and the driver would take an address for a user id. So an
/// `Ioctl` of a type as large as an integer does not compile:
///
/// ```compile_fail
/// use overlapped::linux::{Direction, Ioctl};
/// const TUNSETOWNER: Ioctl<u32> = unsafe { Ioctl::new(Direction::Write, b'T', 204) };
/// ```
/// ```compile_fail
/// use overlapped::linux::Ioctl;
/// const TUNSETOWNER: Ioctl<u32> = unsafe { Ioctl::from_request(0x4004_54cc) };
/// ```
///
/// Find the answer in the driver's documentation or source, and declare it:
///
/// ```
/// use overlapped::linux::{Direction, Ioctl, IoctlByValue, request};
/// // SAFETY: drivers/net/tun.c takes the argument for a number.
/// const TUNSETOWNER: IoctlByValue<u32> = unsafe { IoctlByValue::new(Direction::Write, b'T', 204) };
/// // SAFETY: drivers/net/tun.c reads one `int` at the address.
/// const TUNSETSNDBUF: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 212, 4)) };
/// ```
pub struct Ioctl<T> {
    request: u32,
    argument: PhantomData<fn(T) -> T>,
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> Ioctl<T> {
    /// Declares the request `_IOC(direction, group, number, sizeof(T))`.
    ///
    /// # Safety
    /// Whatever bytes are at the address it gets, the driver reads and writes no more than one `T` there, and only
    /// until the call returns. It takes nothing for an address that is not one. `T` holds no address or file descriptor
    /// that the driver uses, unless every value of `T` is valid as one. Where `T` is `()`, the driver may get 0.
    ///
    /// # Panics
    /// When `T` is 16 KiB or larger (8 KiB on architectures with fewer size bits); when its alignment is more than 16
    /// bytes; when there is a direction without a size or a size without a direction; or when the direction is
    /// [`Direction::Write`] and `T` [might be passed by value](Self#_iow-and-an-integer). In a `const` that is a
    /// compile-time error.
    #[must_use]
    pub const unsafe fn new(direction: Direction, group: u8, number: u8) -> Self {
        let none = matches!(direction, Direction::None);
        assert!(none == (size_of::<T>() == 0), "a request needs both an argument and a direction, or neither");
        // SAFETY: this function's caller makes the same promise.
        unsafe { Self::from_request(request(direction, group, number, size_of::<T>())) }
    }

    /// Declares a request by its number: for requests from before the numbering scheme, like FIONREAD. Their numbers do
    /// not tell how the argument is passed. If the driver takes a number by value, as for TCFLSH, use
    /// [`IoctlByValue`](super::IoctlByValue): an `Ioctl<i32>` would pass an address.
    ///
    /// Where the number contains a size, it must be the size of `T`, or less if `T` is a record: many headers give a
    /// size that is too small, and a larger record has room for that. A smaller record would not hold what the driver
    /// writes:
    ///
    /// ```
    /// use overlapped::linux::Ioctl;
    /// // SAFETY: linux/if_tun.h says `int`; the driver reads and writes a `struct ifreq` of 40 bytes.
    /// const TUNSETIFF: Ioctl<[u8; 40]> = unsafe { Ioctl::from_request(0x4004_54ca) };
    /// ```
    /// ```compile_fail
    /// use overlapped::linux::Ioctl;
    /// // linux/gpio.h: GPIO_GET_CHIPINFO_IOCTL writes 68 bytes.
    /// const CHIP_INFO: Ioctl<[u8; 64]> = unsafe { Ioctl::from_request(0x8044_b401) };
    /// ```
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    /// When the alignment of `T` is more than 16 bytes; when the number has bits for a direction or a size and the size
    /// does not fit; or when they say [`Direction::Write`] and `T` [might be passed by
    /// value](Self#_iow-and-an-integer).
    #[must_use]
    pub const unsafe fn from_request(request: u32) -> Self {
        if let Some((direction, size)) = said(request) {
            // An `int` for a `long`, or a `long` for an `int`, is half a number on some machine.
            let is_larger_record = size < size_of::<T>() && !is_like_an_integer::<T>();
            assert!(
                size == size_of::<T>() || is_larger_record,
                "the request's size is not the size of its type: if the header is wrong, declare it with \
                 `Ioctl::at_address`; if the driver takes a number or nothing, with `IoctlByValue`"
            );
            assert!(
                !matches!(direction, Direction::Write) || !is_like_an_integer::<T>(),
                "the header does not say whether the driver takes the number or its address: declare it with \
                 `IoctlByValue` or `Ioctl::at_address`"
            );
        }
        // SAFETY: this function's caller makes the same promise.
        unsafe { Self::unchecked(request) }
    }

    /// Declares a request whose argument is one `T` at an address, whatever size its number contains.
    ///
    /// Use it where the header is ambiguous (`_IOW` of an integer), and where the header's size is too large:
    ///
    /// ```
    /// use overlapped::linux::{Direction, Ioctl, request};
    /// // SAFETY: ioctl_tty(2): TIOCSPTLCK, _IOW('T', 0x31, int), reads one `int` at the address.
    /// const TIOCSPTLCK: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 0x31, 4)) };
    /// // SAFETY: linux/fs.h says _IOR('f', 1, long); the file systems write an `int`.
    /// const FS_IOC_GETFLAGS: Ioctl<u32> =
    ///     unsafe { Ioctl::at_address(request(Direction::Read, b'f', 1, size_of::<usize>())) };
    /// ```
    ///
    /// # Safety
    /// As for [`new`](Self::new). The number proves nothing here.
    ///
    /// # Panics
    /// When the alignment of `T` is more than 16 bytes, or `T` has no size and so no address.
    #[must_use]
    pub const unsafe fn at_address(request: u32) -> Self {
        assert!(size_of::<T>() > 0, "an empty type has no address: use `IoctlByValue`, and pass 0");
        // SAFETY: this function's caller makes the same promise.
        unsafe { Self::unchecked(request) }
    }

    /// # Safety
    /// As for `new`.
    const unsafe fn unchecked(request: u32) -> Self {
        assert!(align_of::<T>() <= ALIGN, "the alignment of a record is at most 16 bytes");
        Self { request, argument: PhantomData }
    }
}

request_of_a_type!(Ioctl);

/// Whether a header that names `T` might mean a number instead of an address.
const fn is_like_an_integer<T>() -> bool {
    size_of::<T>() > 0 && size_of::<T>() <= size_of::<usize>() && align_of::<T>() == size_of::<T>()
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> Ioctl<T> {
    /// Runs it at once on a file that is not a [`Device`]: for a program that does nothing else meanwhile, and does not
    /// want a port and its thread.
    ///
    /// ```
    /// use std::io::Write;
    /// use overlapped::linux::Ioctl;
    /// // SAFETY: ioctl_tty(2): FIONREAD, from before the numbering of requests, writes one `int`.
    /// const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// writer.write_all(b"four")?;
    /// assert_eq!(FIONREAD.run_on(&reader, 0)?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of `ioctl(2)` as it is, EINTR included.
    pub fn run_on(self, file: impl AsFd, mut argument: T) -> io::Result<T> {
        // An empty type has no address.
        let address = if size_of::<T>() == 0 { ptr::null_mut() } else { (&raw mut argument).cast::<c_void>() };
        #[cfg(not(miri))]
        // SAFETY: the code that declared the ioctl promised that the driver keeps to one `T` at this address.
        unsafe { crate::completers::linux::ioctl(file.as_fd(), self.request, address) }?;
        #[cfg(miri)]
        let _ = (file.as_fd(), address);
        Ok(argument)
    }
}

impl Device {
    /// Runs an ioctl at once, on this thread: `argument` goes to the driver, and comes back as the driver left it.
    ///
    /// This is one call of `ioctl(2)`, and takes as long as the driver wants: a non-blocking file may still have ioctls
    /// that block. The ioctls are the only system calls of this crate that may block.
    ///
    /// ```
    /// use overlapped::Device;
    /// use overlapped::linux::{Direction, Ioctl};
    /// // SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int), writes the number of the terminal.
    /// const TIOCGPTN: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'T', 0x30) };
    /// let number = Device::open("/dev/ptmx")?.ioctl(TIOCGPTN, 0)?;
    /// println!("/dev/pts/{number}");
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// The driver's error: [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a request that the driver does
    /// not have (ENOTTY), [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) when the device is gone. EINTR if
    /// a signal came while the driver waited: an ioctl is never repeated, since only its documentation can say whether
    /// that is safe. A simulated device returns the error of its [driver](crate::sim::Driver::ioctl).
    pub fn ioctl<T>(&self, ioctl: Ioctl<T>, argument: T) -> Result<T, Error>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        self.ioctl_with_value(ioctl, argument).map(|(_, argument)| argument)
    }

    /// [`ioctl`](Self::ioctl) for a request that answers with the return value of `ioctl(2)`: a number, or a file
    /// descriptor.
    ///
    /// ```
    /// use overlapped::Device;
    /// use overlapped::linux::{Direction, Ioctl};
    /// // SAFETY: ioctl_nsfs(2): NS_GET_NSTYPE has no argument, and returns one of the CLONE_NEW* constants.
    /// const NS_GET_NSTYPE: Ioctl<()> = unsafe { Ioctl::new(Direction::None, 0xb7, 0x3) };
    /// let namespace = Device::options().write(false).open("/proc/self/ns/uts")?;
    /// let (kind, ()) = namespace.ioctl_with_value(NS_GET_NSTYPE, ())?;
    /// assert_eq!(kind, 0x0400_0000); // CLONE_NEWUTS
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`ioctl`](Self::ioctl).
    pub fn ioctl_with_value<T>(&self, ioctl: Ioctl<T>, argument: T) -> Result<(u32, T), Error>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let mut argument = argument;
        let passed = if size_of::<T>() == 0 { Argument::None } else { Argument::Bytes(argument.as_mut_bytes()) };
        // SAFETY: the code that declared the ioctl promised that the driver keeps to one `T`.
        let value = unsafe { self.ioctl_with(ioctl.request, passed) }?;
        Ok((value, argument))
    }
}
