//! Linux only: `ioctl(2)` with a typed argument.
//!
//! A device on Linux is a file: [`Device::open`] its path, [`read`](Device::read) and [`write`](Device::write) it, keep
//! [`standing_reads`](Device::standing_reads) pending. It also has *ioctls*: requests with one argument, which the
//! driver reads and writes in place. They are not Windows' control codes, and the types do not mix with a
//! [`CtlCode`](crate::CtlCode). Linux has no asynchronous ioctl: one runs [at once](Device::ioctl) on the caller's
//! thread, or on the dispatcher [when the file is ready](Device::ioctl_when).
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
//!
//! # Which one to use
//!
//! | the driver takes | in a header, for example | declare | run | in the crate `nix` |
//! |---|---|---|---|---|
//! | a record at an address | `_IOWR('x', 1, struct thing)` | [`Ioctl::new`] | [`Device::ioctl`], [`Device::ioctl_when`] | `ioctl_readwrite!` |
//! | nothing | `_IO('x', 2)` | [`Ioctl<()>`](Ioctl) | the same | `ioctl_none!` |
//! | a number, by value | `_IOW('x', 3, int)`, `_IO('x', 3)` | [`IoctlByValue::new`] | [`Device::ioctl_by_value`] | `ioctl_write_int!` |
//! | a number at an address | `_IOW('x', 4, int)` | [`Ioctl::at_address`] | as a record | `ioctl_write_ptr!` |
//! | a record that the header calls something else | `_IOW('x', 5, int)` | [`Ioctl::from_request`] | as a record | `ioctl_write_ptr_bad!` |
//! | bytes, of any length | `NAME(len)` | [`IoctlBytes::new`] | [`Device::ioctl_bytes`] | `ioctl_read_buf!` |
//! | addresses or descriptors in a record | `_IOWR('x', 6, struct message)` | nothing | [`Device::ioctl_raw`] | |
//! | an argument that is known only at run time | | nothing | [`Device::ioctl_with`] | |
//!
//! A request from before the numbering scheme has no macro in its header, and its number does not describe its
//! argument: give `from_request` the number, and vouch for the argument yourself.

use std::ffi::c_void;

use crate::device::Backend;
use crate::{Call, Device, Error, ErrorCode, ErrorKind, Input, Operation, Output, Status};

#[macro_use]
mod request;
mod by_value;
mod bytes;
mod ioctl;

pub use by_value::{IoctlByValue, Word};
pub use bytes::IoctlBytes;
pub use ioctl::Ioctl;
pub use request::{Direction, request};

pub use crate::words::linux::{Argument, Interest};

/// Starts a thread that blocks all signals from its start. Use it for an ioctl that waits in the driver, which a signal
/// would interrupt. A program may wait for its signals with `sigwait` or a signalfd, and the system delivers a signal
/// to any thread that does not block it. The threads of this crate are started in this way too.
///
/// ```
/// let waits = overlapped::linux::spawn_without_signals("waits for card", || 7)?;
/// assert_eq!(waits.join().unwrap(), 7);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When the system cannot start another thread.
#[cfg(not(miri))]
pub fn spawn_without_signals<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    crate::system::spawn(name, run)
}

impl Device {
    /// Runs an ioctl whose argument is known only at run time, at once, on this thread. Returns the value of
    /// `ioctl(2)`.
    ///
    /// ```
    /// use overlapped::Device;
    /// use overlapped::linux::Argument;
    /// let terminal = Device::open("/dev/ptmx")?;
    /// let (request, mut number) = (0x8004_5430, [0; 4]); // as a file says it
    /// # #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    /// // SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int), writes one `int`.
    /// unsafe { terminal.ioctl_with(request, Argument::Bytes(&mut number)) }?;
    /// println!("/dev/pts/{}", u32::from_ne_bytes(number));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Safety
    /// The argument is of the kind that the driver takes for this request: none, a number, or the address of bytes. The
    /// driver reads and writes no more than these bytes, and only until the call returns. If it takes the number, or a
    /// part of the bytes, for an address or a file descriptor, the caller may use that one in this way.
    ///
    /// # Errors
    /// As [`ioctl`](Self::ioctl).
    pub unsafe fn ioctl_with(&self, request: u32, argument: Argument<'_>) -> Result<u32, Error> {
        match &self.inner.backend {
            Backend::Simulated(file) => file.ioctl(request, argument).map_err(|status| {
                let what = Operation::Ioctl { request, when: None };
                let error = Error::from_code(ErrorCode::Status(status), what).on(&self.inner.name);
                let is_none = status == Status::NOT_SUPPORTED;
                if is_none { error.hint("the simulated device does not have this ioctl") } else { error }
            }),
            #[cfg(not(miri))]
            Backend::File(_) => {
                let argument = match argument {
                    Argument::None => std::ptr::null_mut(),
                    Argument::Value(value) => std::ptr::without_provenance_mut(value),
                    Argument::Bytes(bytes) => bytes.as_mut_ptr().cast(),
                };
                // SAFETY: the caller's promise.
                unsafe { self.ioctl_raw(request, argument) }
            }
        }
    }

    /// Runs an ioctl at once, on this thread, with an argument that you vouch for: an address, or a number. Returns the
    /// value of `ioctl(2)`.
    ///
    /// Use it for records that hold addresses or file descriptors (V4L2, DRM, I2C, SCSI generic):
    ///
    /// ```
    /// use std::ffi::c_int;
    /// use overlapped::Device;
    ///
    /// const SIOCGIFCONF: u32 = 0x8912;
    ///
    /// /// `struct ifconf` (netdevice(7)): room for the addresses of interfaces.
    /// #[repr(C)]
    /// struct Ifconf {
    ///     len: c_int,
    ///     records: *mut u8,
    /// }
    ///
    /// let socket = Device::from_fd(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// let mut records = [0; 4096];
    /// let mut ifconf = Ifconf { len: 4096, records: records.as_mut_ptr() };
    /// // SAFETY: the driver reads and writes one `ifconf`, and at most `len` bytes of the records, which live on.
    /// unsafe { socket.ioctl_raw(SIOCGIFCONF, (&raw mut ifconf).cast()) }?;
    /// println!("{:?}", &records[..ifconf.len as usize]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A file descriptor that a driver makes comes back as the return value, or in a record. Trust its number only if
    /// the driver has really written one: put -1 into the record first, and look. Never trust 0, 1 and 2: they are the
    /// standard streams, which Rust assumes to be always open, and a new descriptor is never one of them.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::os::fd::{FromRawFd, OwnedFd};
    /// use overlapped::Device;
    /// use overlapped::linux::{Direction, Ioctl, IoctlByValue, request};
    ///
    /// // SAFETY: ioctl_tty(2): TIOCSPTLCK reads one `int`.
    /// const TIOCSPTLCK: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 0x31, 4)) };
    /// // SAFETY: ioctl_tty(2): TIOCGPTPEER, _IO('T', 0x41), takes the flags of open(2), and returns a descriptor.
    /// const TIOCGPTPEER: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::None, b'T', 0x41) };
    /// const O_RDWR: i32 = 2;
    /// const O_NOCTTY: i32 = 0o400;
    ///
    /// fn own(descriptor: i32) -> Option<OwnedFd> {
    ///     // SAFETY: the driver has made this descriptor for us, and nobody else knows it.
    ///     (descriptor > 2).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
    /// }
    ///
    /// # #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))] {
    /// let terminal = Device::open("/dev/ptmx")?;
    /// terminal.ioctl(TIOCSPTLCK, 0)?;
    /// let descriptor = terminal.ioctl_by_value(TIOCGPTPEER, O_RDWR | O_NOCTTY)?;
    /// let peer = File::from(own(descriptor as i32).expect("the driver gives a descriptor, or fails"));
    /// # }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Safety
    /// The argument is what the driver takes for this request on this file. If it is an address, the memory that the
    /// driver reads is valid and initialised, and the memory that it writes belongs to the caller alone; both stay so
    /// until the call returns, or for as long as the driver keeps the address. The same holds for each address inside.
    /// The caller may have each file descriptor used, closed or kept as the driver does it.
    ///
    /// # Errors
    /// As [`ioctl`](Self::ioctl).
    pub unsafe fn ioctl_raw(&self, request: u32, argument: *mut c_void) -> Result<u32, Error> {
        let what = Operation::Ioctl { request, when: None };
        match &self.inner.backend {
            #[cfg(not(miri))]
            Backend::File(file) => {
                // SAFETY: the caller's promise.
                let ended = unsafe { file.ioctl(request, argument) };
                ended.map_err(|status| Error::from_code(ErrorCode::Status(status), what).on(&self.inner.name))
            }
            Backend::Simulated(_) => {
                let _ = argument;
                Err(self.inner.error(ErrorKind::Unsupported, what).hint("a simulated device takes no addresses"))
            }
        }
    }

    /// Runs an ioctl on the dispatcher once the file is ready: for requests that fetch what the readiness announces. It
    /// waits in the same queue as the pending reads, or writes.
    ///
    /// The ioctl must not block, since it would hold up the port. While it returns EAGAIN, it stays pending. The value
    /// of `ioctl(2)` is the reply's [`information`](crate::Reply::information).
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
        let what = Operation::Ioctl { request: ioctl.request(), when: Some(interest) };
        if let Backend::Simulated(_) = &self.inner.backend {
            let error = self.inner.error(ErrorKind::Unsupported, what);
            let error = error.hint("a simulated device runs ioctls at once: wait until it is `readable`, then run it");
            return Call::refused(error, self.inner.inner.clone());
        }
        self.submit(what, argument.as_bytes(), u32::try_from(size_of::<T>()).ok())
    }
}
