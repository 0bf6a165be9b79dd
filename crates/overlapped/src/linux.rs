//! Linux only: `ioctl(2)` with a typed argument.
//!
//! A device on Linux is a file: [`Device::open`] its path, [`read`](Device::read) and [`write`](Device::write) it, keep
//! [`standing_reads`](Device::standing_reads) pending. Beside that it has *ioctls*: requests with one argument, which
//! the driver reads and writes in place. They are not Windows' control codes, and no [`CtlCode`](crate::CtlCode) can be
//! taken for one. The system has no asynchronous ioctl: one runs [at once](Device::ioctl) on the caller's thread, or on
//! the dispatcher [when the file is ready](Device::ioctl_when).
//!
//! ```
//! use overlapped::Device;
//! use overlapped::linux::Ioctl;
//!
//! // SAFETY: ioctl_tty(2): FIONREAD, from before the numbering of requests, writes one `int`.
//! const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (reader, writer) = std::io::pipe()?;
//! let (reader, writer) = (Device::from_fd(reader)?, Device::from_fd(writer)?);
//! writer.write(b"four").wait()?;
//! assert_eq!(reader.ioctl(FIONREAD, 0)?, 4);
//! assert_eq!(&*reader.read(64).wait()?, b"four");
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::marker::PhantomData;

use rustix::ioctl::opcode;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::device::Backend;
use crate::slab::ALIGN;
use crate::{Call, Device, Error, ErrorCode, ErrorKind, Input, Operation, Output};

/// _IOC_SIZEBITS: 14, and 13 on some architectures, by their own `asm/ioctl.h`.
const LARGEST: usize = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64"
)) {
    1 << 13
} else {
    1 << 14
};

/// Which way the argument of an [`Ioctl`] goes, seen from the program: the direction bits of `asm-generic/ioctl.h`.
///
/// ```
/// use overlapped::linux::{Direction, Ioctl};
/// // SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int), writes the number of the terminal.
/// const TIOCGPTN: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'T', 0x30) };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// No argument: `_IO`.
    None,
    /// The program reads it, the driver writes it: `_IOR`.
    Read,
    /// The program writes it, the driver reads it: `_IOW`.
    Write,
    /// Both: `_IOWR`.
    ReadWrite,
}

/// What a file is to be ready for.
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
    /// Something urgent or exceptional has happened (EPOLLPRI): what that is, the file's manual says.
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

/// An ioctl request together with its argument: a record that the driver reads, writes, or both, in place.
///
/// `T` is `()` for a request without an argument. What a driver takes by value, in place of an address, has no type
/// here.
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
pub struct Ioctl<T> {
    request: u32,
    argument: PhantomData<fn(T) -> T>,
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> Ioctl<T> {
    /// Declares the request `_IOC(direction, group, number, sizeof(T))`, laid out as this architecture has it
    /// (`asm-generic/ioctl.h`, and its own on MIPS, PowerPC and SPARC).
    ///
    /// # Safety
    /// The driver reads and writes no more than one `T` at the address it is given, whatever bytes are there, and only
    /// until the call returns; and `T` holds no address or file descriptor that the driver uses, unless every value of
    /// `T` is fit for it.
    ///
    /// # Panics
    /// When `T` is 16 KiB or larger (8 KiB on architectures that have fewer bits for the size), when it is aligned to
    /// more than 16 bytes, or when there is a direction without a size or a size without a direction. In a `const` that
    /// is a compile-time error.
    #[must_use]
    pub const unsafe fn new(direction: Direction, group: u8, number: u8) -> Self {
        let none = matches!(direction, Direction::None);
        assert!(none == (size_of::<T>() == 0), "a request has an argument and a direction, or neither");
        assert!(size_of::<T>() < LARGEST, "the argument is too large for the request's size bits");
        let direction = match direction {
            Direction::None => rustix::ioctl::Direction::None,
            Direction::Read => rustix::ioctl::Direction::Read,
            Direction::Write => rustix::ioctl::Direction::Write,
            Direction::ReadWrite => rustix::ioctl::Direction::ReadWrite,
        };
        // An opcode is a C `int` or a `long`, by the library that makes the call; a request has 32 bits.
        let request = opcode::from_components(direction, group, number, size_of::<T>()) as u32;
        // SAFETY: the caller's promise is passed on.
        unsafe { Self::from_request(request) }
    }

    /// Declares a request by its number: for those that are older than the numbering, like FIONREAD.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    /// When `T` is aligned to more than 16 bytes.
    #[must_use]
    pub const unsafe fn from_request(request: u32) -> Self {
        assert!(align_of::<T>() <= ALIGN, "a record is aligned to at most 16 bytes");
        Self { request, argument: PhantomData }
    }

    /// The request, as `ioctl(2)` takes it.
    #[must_use]
    pub const fn request(self) -> u32 {
        self.request
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
    /// about its ioctls. Of the system calls of this crate it alone may block.
    ///
    /// # Errors
    /// What the driver says: [`ErrorKind::Unsupported`] for a request that is not its own (ENOTTY),
    /// [`ErrorKind::Disconnected`] when the device is gone. And [`ErrorKind::Unsupported`] on a simulated device.
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
        let what = Operation::Ioctl { request: ioctl.request, when: None };
        match &self.inner.backend {
            #[cfg(not(miri))]
            Backend::File(file) => {
                let mut argument = argument;
                // SAFETY: who declared the ioctl promised that the driver keeps to one `T` at this address.
                let ended = unsafe { file.ioctl(ioctl.request, (&raw mut argument).cast()) };
                ended
                    .map(|value| (value, argument))
                    .map_err(|status| Error::from_code(ErrorCode::Status(status), what).on(&self.inner.name))
            }
            Backend::Simulated(_) => {
                drop(argument);
                Err(self.no_ioctls(what))
            }
        }
    }

    /// Runs an ioctl on the dispatcher, once the file is ready: for requests that fetch what the file's readiness
    /// announces. It takes its turn among the reads, or the writes, that are pending.
    ///
    /// It must not block: what it holds up is the port. While it says EAGAIN, it stays pending. What `ioctl(2)` returned is
    /// the reply's [`information`](crate::Reply::information).
    ///
    /// ```
    /// use overlapped::Device;
    /// use overlapped::linux::{Interest, Ioctl};
    ///
    /// // SAFETY: ioctl_tty(2): FIONREAD writes one `int`.
    /// const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let (reader, writer) = (Device::from_fd(reader)?, Device::from_fd(writer)?);
    /// let how_many = reader.ioctl_when(Interest::Readable, FIONREAD, 0); // pending: nothing is there
    /// writer.write(b"four").wait()?;
    /// assert_eq!(*how_many.wait()?, 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// From the call, as [`ioctl`](Self::ioctl).
    pub fn ioctl_when<T: Input + Output>(&self, interest: Interest, ioctl: Ioctl<T>, argument: T) -> Call<T> {
        let what = Operation::Ioctl { request: ioctl.request, when: Some(interest) };
        if let Backend::Simulated(_) = &self.inner.backend {
            return Call::refused(self.no_ioctls(what), self.inner.port.clone());
        }
        self.submit(what, argument.as_bytes(), u32::try_from(size_of::<T>()).ok())
    }

    fn no_ioctls(&self, what: Operation) -> Error {
        self.inner.error(ErrorKind::Unsupported, what).hint("a simulated device has control codes and no ioctls")
    }
}
