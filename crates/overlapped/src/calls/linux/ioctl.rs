//! Ioctls whose argument is a record at an address, or none at all.

use std::ffi::c_void;
use std::fmt;
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
/// `T` is `()` for a request without an argument: the driver is passed 0. What a driver takes *by value*, in place of an
/// address, is an [`IoctlByValue`](super::IoctlByValue); bytes whose length is known at run time are
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
/// A control code of Windows is none, nor the other way round:
///
/// ```compile_fail
/// use overlapped::{Access, CtlCode, Device, Method, linux::Ioctl};
/// fn wrong(device: &Device) {
///     let code = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
///     let ioctl: Ioctl<u32> = unsafe { Ioctl::from_request(code) };
/// }
/// ```
///
/// An argument that is too large for the request's 14 bits is an error where the constant is declared:
///
/// ```compile_fail
/// use overlapped::linux::{Direction, Ioctl};
/// const HUGE: Ioctl<[u8; 1 << 14]> = unsafe { Ioctl::new(Direction::Read, b'x', 1) };
/// ```
///
/// # `_IOW` and an integer
///
/// From `#define TUNSETOWNER _IOW('T', 204, int)` nobody can tell whether the driver takes the number itself or the
/// address of one: both are written so. Here it is the number, and an address would be taken for a user's. So a
/// declaration as an `Ioctl` of something as large as an integer does not compile:
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
/// The driver's documentation, or its source, has the answer, and the declaration then says it:
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
    /// The driver reads and writes no more than one `T` at the address it is given, whatever bytes are there, and only
    /// until the call returns; it takes nothing for an address that is none; and `T` holds no address or file descriptor
    /// that the driver uses, unless every value of `T` is fit for it. Where `T` is `()`, the driver may be passed 0.
    ///
    /// # Panics
    /// When `T` is 16 KiB or larger (8 KiB on architectures that have fewer bits for the size), when it is aligned to
    /// more than 16 bytes, when there is a direction without a size or a size without a direction, or when the direction
    /// is [`Direction::Write`] and `T` [might as well be passed by value](Self#_iow-and-an-integer). In a `const` that is
    /// a compile-time error.
    #[must_use]
    pub const unsafe fn new(direction: Direction, group: u8, number: u8) -> Self {
        let none = matches!(direction, Direction::None);
        assert!(none == (size_of::<T>() == 0), "a request has an argument and a direction, or neither");
        // SAFETY: the caller's promise is passed on.
        unsafe { Self::from_request(request(direction, group, number, size_of::<T>())) }
    }

    /// Declares a request by its number: for those that are older than the numbering, like FIONREAD. Their numbers say
    /// nothing: one that takes a number by value, like TCFLSH, is an [`IoctlByValue`](super::IoctlByValue), and as an
    /// `Ioctl<i32>` it is passed an address.
    ///
    /// Where the number's bits say a size, it must be that of `T`, or less if `T` is a record: headers that say too little
    /// are many, and a larger record has room for what they say. In a smaller one it would not fit:
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
    /// When `T` is aligned to more than 16 bytes, when the number has bits for a direction or a size and the size does not
    /// fit, or when they say [`Direction::Write`] and `T` [might as well be passed by value](Self#_iow-and-an-integer).
    #[must_use]
    pub const unsafe fn from_request(request: u32) -> Self {
        if let Some((direction, size)) = said(request) {
            // An `int` for a `long`, or the other way round, is half a number on some machine.
            let is_larger_record = size < size_of::<T>() && !is_like_an_integer::<T>();
            assert!(
                size == size_of::<T>() || is_larger_record,
                "the request says another size than its type has: if it is the header that is wrong, declare it by \
                 `Ioctl::at_address`; if the driver takes a number, or nothing at all, by `IoctlByValue`"
            );
            assert!(
                !matches!(direction, Direction::Write) || !is_like_an_integer::<T>(),
                "the header does not say whether the driver takes the number or its address: declare it by \
                 `IoctlByValue` or by `Ioctl::at_address`"
            );
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { Self::unchecked(request) }
    }

    /// Declares a request whose argument is one `T` at an address, whatever the bits of its number say.
    ///
    /// It is for what the header leaves open, `_IOW` of an integer, and for headers that say more than there is:
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
    /// As for [`new`](Self::new). The number vouches for nothing.
    ///
    /// # Panics
    /// When `T` is aligned to more than 16 bytes, or has no size and so no address.
    #[must_use]
    pub const unsafe fn at_address(request: u32) -> Self {
        assert!(size_of::<T>() > 0, "nothing has no address: declare the request by `IoctlByValue`, and pass 0");
        // SAFETY: the caller's promise is passed on.
        unsafe { Self::unchecked(request) }
    }

    /// # Safety
    /// As for `new`.
    const unsafe fn unchecked(request: u32) -> Self {
        assert!(align_of::<T>() <= ALIGN, "a record is aligned to at most 16 bytes");
        Self { request, argument: PhantomData }
    }
}

impl<T> Ioctl<T> {
    /// The request, as `ioctl(2)` takes it.
    #[must_use]
    pub const fn request(self) -> u32 {
        self.request
    }
}

/// Whether a header that says `T` might mean a number in place of an address.
const fn is_like_an_integer<T>() -> bool {
    size_of::<T>() > 0 && size_of::<T>() <= size_of::<usize>() && align_of::<T>() == size_of::<T>()
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> Ioctl<T> {
    /// Runs it at once on a file that is no [`Device`]: for a program that does nothing else meanwhile, and for which a port
    /// and its thread would be too much.
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
    /// What `ioctl(2)` says, as it is: EINTR too.
    pub fn run_on(self, file: impl AsFd, mut argument: T) -> io::Result<T> {
        // Nothing has no address.
        let address = if size_of::<T>() == 0 { ptr::null_mut() } else { (&raw mut argument).cast::<c_void>() };
        #[cfg(not(miri))]
        // SAFETY: who declared the ioctl promised that the driver keeps to one `T` at this address.
        unsafe { crate::completers::linux::ioctl(file.as_fd(), self.request, address) }?;
        #[cfg(miri)]
        let _ = (file.as_fd(), address);
        Ok(argument)
    }
}

impl<T> Clone for Ioctl<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ioctl<T> {}

impl<T> fmt::Debug for Ioctl<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ioctl").field(&format_args!("{:#010x}", self.request)).finish()
    }
}

impl Device {
    /// Runs an ioctl at once, on this thread: `argument` goes to the driver, and comes back as the driver left it.
    ///
    /// This is one call of `ioctl(2)` and takes as long as the driver wants; the file's being non-blocking says nothing
    /// about its ioctls. Of the system calls of this crate the ioctls alone may block.
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
    /// What the driver says: [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a request that is not its own
    /// (ENOTTY), [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) when the device is gone. EINTR, if a signal
    /// came while the driver waited: an ioctl is never made twice, since whether it may be is for its documentation to
    /// say. Of a simulated device, what its [driver](crate::sim::Driver::ioctl) says.
    pub fn ioctl<T>(&self, ioctl: Ioctl<T>, argument: T) -> Result<T, Error>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        self.ioctl_with_value(ioctl, argument).map(|(_, argument)| argument)
    }

    /// [`ioctl`](Self::ioctl), for a request that answers by what `ioctl(2)` returns: a number, or a new file descriptor.
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
        // SAFETY: who declared the ioctl promised that the driver keeps to one `T`.
        let value = unsafe { self.ioctl_with(ioctl.request, passed) }?;
        Ok((value, argument))
    }
}
