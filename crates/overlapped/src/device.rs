//! Devices: an open handle, or a simulated driver, and the port its completions go to.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Weak};

use crate::call::Pending;
use crate::error::STREAM_READ;
use crate::ioctl::sealed::Done;
use crate::port::{self, Slot, Waiter};
use crate::raw::RawReply;
use crate::slab::{Lent, WHOLE, What};
use crate::system::foreign::off_the_dispatcher;
use crate::unread::{Admission, Own, StreamKind, Unread};
use crate::words::token::InFlight;
use crate::{Buffer, Call, CtlCode, Error, ErrorCode, ErrorKind, Input, InvertedCallBuilder, Ioctl, OpenOptions};
use crate::{Operation, Output, Port, RawCall, Reply, Status, sim};

pub(crate) mod closing;
mod gate;
pub(crate) mod options;

use closing::Closing;
use gate::Gate;

/// An open device, real or simulated. Clones share one handle.
///
/// The handle is closed when the last clone, the last [`Call`] that waits and the last
/// [`InvertedCall`](crate::InvertedCall) are gone: when the drop of the last one returns it is closed, so that an exclusive
/// device can be opened again at once. Only a drop inside of a waker, a callback or a driver leaves that to another
/// thread. [`close`](Self::close) also tells what the system says of it. A call that was dropped does not keep it open:
/// some drivers complete what they hold only when the last handle closes.
///
/// ```no_run
/// use overlapped::{Access, CtlCode, Device, Ioctl, Method};
/// // SAFETY: the card's manual: this code has no input and writes one `u32`.
/// const LEVELS: Ioctl<(), u32> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read)) };
/// # async fn example() -> Result<(), overlapped::Error> {
/// let card = Device::open(r"\\.\Card0")?;
/// println!("{:#x}", *card.call(LEVELS, &()).await?);
/// # Ok(())
/// # }
/// ```
///
/// # Platform-specific notes
/// *Windows*: calls go through `NtDeviceIoControlFile` (`NtFsControlFile` for file-system, pipe and mailslot codes),
/// which tells a warning from a failure where `DeviceIoControl` leaves it to guessing.
///
/// *Linux*: a device is a file, opened with O_NONBLOCK, O_CLOEXEC and O_NOCTTY. Control codes are not for it: it has
/// [`read`](Self::read) and [`write`](Self::write), [standing reads](Self::standing_reads), and the ioctls of
/// the module `linux`. A read or a write is tried at once; if it would block, it waits until epoll calls the file
/// ready, and the dispatcher then makes the system call. Several reads of one file are served in the order of
/// submission. A read gives no bytes at the end, which pipes have when nobody writes them any more, stream sockets, and
/// files; and it gives none for an empty message, and where Ctrl-D was typed on a terminal, which end nothing. A terminal
/// that was set not to wait (VMIN = 0) waits. On a device that was unplugged a read is [`ErrorKind::Disconnected`]. A write
/// to a pipe without a reader raises SIGPIPE, which Rust programs ignore unless told otherwise. Regular files, disks and
/// some devices are always ready: what is asked of them is done before the call returns, however long that takes; what the
/// dispatcher asks of them (the next read of a stream, a callback's) is done by one thread for all such files.
///
/// A child of `fork` has no dispatcher, so a device of its parent is of no use there: calls fail with
/// [`ErrorKind::Unsupported`]. Dropping the device there closes the child's copy; the parent's goes on. The child may
/// open devices of its own.
///
/// Elsewhere only simulated devices can be opened.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Handle>,
}

/// Keeps a device open: the last one of a device closes it. Who needs the device and must not keep it open has the
/// [`Inner`], and [enters](Inner::enter).
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    /// Somebody has the closing in hand.
    pub(crate) is_closing: bool,
    /// Why a call was not submitted, which has this and nobody else.
    pub(crate) refusal: Option<Error>,
}

impl Handle {
    /// Of a call that is not submitted for this reason: it keeps nothing open.
    pub(crate) fn refusing(inner: Arc<Inner>, error: Error) -> Self {
        Self { inner, is_closing: true, refusal: Some(error) }
    }
}

impl Deref for Handle {
    type Target = Arc<Inner>;
    #[inline]
    fn deref(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        if !self.is_closing {
            self.inner.last_owner_is_gone();
        }
    }
}

pub(crate) struct Inner {
    /// Unlike a handle's number this is never used again.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) port: Arc<port::Inner>,
    pub(crate) backend: Backend,
    gate: Gate,
    pub(crate) unread: Arc<Unread>,
}

/// A thread is inside of a device, which is not closed meanwhile.
pub(crate) struct Entered<'a>(&'a Arc<Inner>);

impl Deref for Entered<'_> {
    type Target = Arc<Inner>;
    fn deref(&self) -> &Arc<Inner> {
        self.0
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.0.gate.leave() {
            self.0.close_elsewhere();
        }
    }
}

pub(crate) enum Backend {
    Simulated(sim::File),
    #[cfg(windows)]
    File(crate::completers::windows::File),
    #[cfg(all(target_os = "linux", not(miri)))]
    File(crate::completers::linux::File),
    #[cfg(windows)]
    Event(crate::completers::windows::Event),
}

/// A submission that the system accepted or ended.
pub(crate) enum Submitted {
    /// The completion will come through the port.
    Pending(InFlight),
    /// Final at return; the operation belongs to the caller. The claimed byte count comes with it.
    Final(InFlight, Status, usize),
}

impl Device {
    /// Opens the device, file or pipe at `path` for reading and writing: [`OpenOptions`] with its defaults.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::AccessDenied`], [`ErrorKind::Busy`] and what else the system says of it;
    /// [`ErrorKind::InvalidInput`] for a path with a NUL in it; [`ErrorKind::Unsupported`] where the platform has only
    /// simulated devices.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Self::options().open(path)
    }

    /// How to open: access rights, share mode and so on.
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn example() -> Result<(), overlapped::Error> {
    /// let card = Device::options().write(false).share_mode(0).open(r"\\.\Card0")?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a handle that somebody else opened with FILE_FLAG_OVERLAPPED, on the global port.
    ///
    /// ```
    /// use std::os::windows::fs::OpenOptionsExt;
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// // FILE_FLAG_OVERLAPPED
    /// let file = std::fs::File::options().read(true).custom_flags(0x4000_0000).open(r"\\.\Card0")?;
    /// let card = overlapped::Device::from_handle(file)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a handle that is not overlapped, or is bound to a completion port or a thread
    /// pool already. The handle is then closed; to keep it, duplicate it first.
    #[cfg(windows)]
    pub fn from_handle(handle: impl Into<std::os::windows::io::OwnedHandle>) -> Result<Self, Error> {
        Self::options().adopt(handle)
    }

    /// Takes over a handle, on `port`.
    ///
    /// ```
    /// # use overlapped::{Device, Port};
    /// # fn example(handle: std::os::windows::io::OwnedHandle) -> Result<(), overlapped::Error> {
    /// let port = Port::system_pool()?;
    /// let device = Device::from_handle_on(&port, handle)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`from_handle`](Self::from_handle).
    #[cfg(windows)]
    pub fn from_handle_on(port: &Port, handle: impl Into<std::os::windows::io::OwnedHandle>) -> Result<Self, Error> {
        Self::options().port(port).adopt(handle)
    }

    /// Takes over a file that somebody else opened, on the global port: a pipe, a serial port that was set up, a gpiochip
    /// line request. It is made non-blocking (O_NONBLOCK), which all who have the same open file will notice, until the last
    /// device that has it is closed or [gives it back](Self::into_fd).
    ///
    /// Two devices may be copies of one open file. What is read from it goes to one of them.
    ///
    /// ```
    /// use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let (reader, writer) = (Device::from_fd(reader)?, Device::from_fd(writer)?);
    /// let text = reader.read(64); // pending
    /// writer.write(b"hello").wait()?;
    /// assert_eq!(&*text.wait()?, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a file that was opened with O_PATH. The file is then closed; to keep it, duplicate
    /// it first.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn from_fd(fd: impl Into<std::os::fd::OwnedFd>) -> Result<Self, Error> {
        Self::from_fd_on(&Port::global()?, fd)
    }

    /// Takes over a file, on `port`.
    ///
    /// ```
    /// use overlapped::{Device, Port};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, writer) = std::io::pipe()?;
    /// let port = Port::manual()?;
    /// let (reader, writer) = (Device::from_fd_on(&port, reader)?, Device::from_fd_on(&port, writer)?);
    /// port.block_on(writer.write(b"hello"))??;
    /// assert_eq!(&*port.block_on(reader.read(64))??, b"hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn from_fd_on(port: &Port, fd: impl Into<std::os::fd::OwnedFd>) -> Result<Self, Error> {
        crate::completers::linux::adopt(port, fd.into(), None)
    }

    /// Opens a simulated device on the global port: its driver is a Rust value. One driver, in an [`Arc`], may be
    /// opened many times.
    ///
    /// ```
    /// use overlapped::{sim, Device, Status};
    /// let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [`Driver::open`](sim::Driver::open) says; [`ErrorKind::Other`] when the port cannot be had.
    pub fn simulated(driver: impl sim::Driver) -> Result<Self, Error> {
        Self::simulated_on(&Port::global()?, driver)
    }

    /// Opens a simulated device on `port`.
    ///
    /// ```
    /// use overlapped::{sim::Script, Device, Port};
    /// let port = Port::manual()?; // nothing is completed before it is polled: the same in every test run
    /// let card = Device::simulated_on(&port, Script::new("card"))?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// What [`Driver::open`](sim::Driver::open) says.
    pub fn simulated_on(port: &Port, driver: impl sim::Driver) -> Result<Self, Error> {
        let driver = Arc::new(driver);
        let name: Arc<str> = driver.name().into();
        if port.inner.is_inherited() {
            return Err(port::inherited(Operation::Open).on(&name));
        }
        Self::assemble(port, name.clone(), |id| {
            let file = sim::File::open(driver, id)
                .map_err(|status| Error::from_code(ErrorCode::Status(status), Operation::Open).on(&name))?;
            Ok(Backend::Simulated(file))
        })
    }

    pub(crate) fn assemble(
        port: &Port,
        name: Arc<str>,
        backend: impl FnOnce(u64) -> Result<Backend, Error>,
    ) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Relaxed);
        let backend = backend(id)?;
        let port = port.inner.clone();
        let inner = Arc::new(Inner { id, name, port, backend, gate: Gate::new(), unread: Arc::new(Unread::new()) });
        inner.port.list(id, inner.name.clone(), inner.listed());
        Ok(Self { inner: Arc::new(Handle { inner, is_closing: false, refusal: None }) })
    }

    /// Closes the device, and tells what the system says of it: await the [`Closing`], or wait for it. Dropping the last
    /// owner closes too, but has nobody to tell.
    ///
    /// The closing may take its time (a serial port's output leaves, a socket lingers), so it runs on a thread of its
    /// own; a simulated driver's cleanup runs at once.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Device};
    /// let card = Device::simulated(Script::new("card"))?;
    /// card.close().wait()?; // or `.await`
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// From the [`Closing`]: [`ErrorKind::Busy`] when there are other owners, clones of the device, calls or streams: it
    /// stays open for them. Else what the system says, such as EIO or ENOSPC for what could not be written any more; the
    /// handle is closed all the same.
    pub fn close(self) -> Closing {
        let what = Operation::Close;
        match Arc::try_unwrap(self.inner) {
            Err(shared) => Closing::ready(Err(shared
                .error(ErrorKind::Busy, what)
                .hint("clones of the device, calls or streams of it are still there: drop them first"))),
            Ok(mut handle) => {
                handle.is_closing = true;
                Closing::start(handle.inner.clone())
            }
        }
    }

    /// Submits a control code, at once: by the time this returns the driver has it. What it answers comes from the
    /// [`Call`]: `.await` it, or [`wait`](Call::wait). The input is copied.
    ///
    /// ```
    /// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
    /// // SAFETY: card.h: reads one ULONG, the mask; writes one ULONG, the levels.
    /// const LEVELS: Ioctl<u32, u32> =
    ///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read)) };
    /// # let card = Device::simulated(sim::from_fn(|mut request| {
    /// #     let mask = request.input().to_vec();
    /// #     request.write(&mask);
    /// #     request.complete(Status::SUCCESS)
    /// # }))?;
    /// let first = card.call(LEVELS, &0x00ff); // both are in the driver now
    /// let second = card.call(LEVELS, &0xff00);
    /// assert_eq!(*second.wait()? & 0x00ff, 0);
    /// assert_eq!(*first.wait()? & 0xff00, 0);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// From the call, those of a submission too: [`ErrorKind::InvalidInput`] for more than `u32::MAX` bytes,
    /// [`ErrorKind::Other`] when there is no memory for the buffers, and whatever the driver says at once.
    pub fn call<In: Input + ?Sized, Out: Output + ?Sized>(&self, ioctl: Ioctl<In, Out>, input: &In) -> Call<Out> {
        self.submit(Operation::Control(ioctl.code()), input.as_bytes(), ioctl.output_len())
    }

    /// Reads at most `len` bytes from a stream: a pipe, a serial port, a device that has no places. The end is
    /// [`Reply::is_end`]; no bytes alone are no end, since a message may be empty. Bytes that an earlier read of this
    /// device had brought when its call was given up come first. Of a HID ask for exactly the length of its report.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(port: &Device) -> Result<(), Error> {
    /// let reply = port.read(64).await?;
    /// if reply.is_end() {
    ///     println!("the end");
    /// } else {
    ///     println!("{:?}", &*reply);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`call`](Self::call); [`ErrorKind::Disconnected`] when the other end of a pipe is gone.
    pub fn read(&self, len: usize) -> Call<[u8]> {
        self.submit(Operation::Read { offset: None }, &[], u32::try_from(len).ok())
    }

    /// Reads at most `len` bytes of a file or disk, from `offset` on. The end is [`Reply::is_end`].
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let [boot, second] = [0, 512].map(|offset| disk.read_at(offset, 512)); // both at once
    /// assert_eq!(boot.wait()?[510..], [0x55, 0xaa]);
    /// # second.wait()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_at(&self, offset: u64, len: usize) -> Call<[u8]> {
        self.submit(Operation::Read { offset: Some(offset) }, &[], u32::try_from(len).ok())
    }

    /// Writes to a stream. The bytes are copied; [`Reply::information`] says how many were written: of a pipe, a serial
    /// port, a terminal or a stream socket all of them, unless the call is cancelled or its time is over when a part is
    /// written. Writes are made in the order of submission, each as a whole: what several tasks write does not mix. What
    /// has a driver of its own, and a socket of messages, may take less and say so.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(port: &Device) -> Result<(), Error> {
    /// let written = port.write(b"ATZ\r").wait()?.information();
    /// assert_eq!(written, 4);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: None }, bytes, Some(0))
    }

    /// As [`write`](Self::write), and fewer bytes than all are an error. What was not taken is not offered again: the
    /// driver, or the device, may have taken the part for a whole.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(port: &Device) -> Result<(), Error> {
    /// port.write_all(b"ATZ\r").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`write`](Self::write); and [`ErrorKind::Truncated`], which says how many bytes were taken.
    pub fn write_all(&self, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: None }, bytes, Some(WHOLE))
    }

    /// Writes to a file or disk, from `offset` on.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(disk: &Device, sector: &[u8; 512]) -> Result<(), Error> {
    /// let written = disk.write_at(7 * 512, sector).wait()?.information();
    /// assert_eq!(written, sector.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: Some(offset) }, bytes, Some(0))
    }

    #[inline]
    pub(crate) fn submit<Out: Output + ?Sized>(
        &self,
        what: Operation,
        input: &[u8],
        output_len: Option<u32>,
    ) -> Call<Out> {
        self.submit_packed(What::of(what), input, output_len)
    }

    fn submit_packed<Out: Output + ?Sized>(&self, what: What, input: &[u8], output_len: Option<u32>) -> Call<Out> {
        match self.inner.submit(what, input, output_len, None) {
            Err(error) => Call::refused(error, self.inner.inner.clone()),
            Ok(Submitted::Final(operation, status, information)) => {
                let slot = self.inner.port.slot(operation);
                // SAFETY: final at return: the operation is finished and ours.
                unsafe { slot.set_status(status, information) };
                // Unless its packet was faster.
                slot.machine.complete(operation.generation());
                Call::submitted(self.inner.clone(), operation)
            }
            Ok(Submitted::Pending(operation)) => Call::submitted(self.inner.clone(), operation),
        }
    }

    /// Submits a control code with buffers of your own, which the driver uses in place: for large or sector-aligned
    /// transfers, and for METHOD_IN_DIRECT, where the output buffer carries data *to* the driver. Both buffers always
    /// come back, with the status and the byte count.
    ///
    /// ```
    /// # use overlapped::{sim, Access, Buffer, CtlCode, Device, Method, Status};
    /// const FLASH: CtlCode = CtlCode::new(0x8000, 0x806, Method::InDirect, Access::Write);
    /// # let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// let mut image = Buffer::aligned(64 * 1024, 4096)?;
    /// image[..4].copy_from_slice(b"boot");
    /// // SAFETY: card.h, "FLASH": reads the output buffer, no address in it, and nothing after it has completed.
    /// let flash = unsafe { card.call_raw(FLASH, Buffer::empty(), image) };
    /// let reply = flash.wait();
    /// let image = reply.output; // back again, whatever became of it
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply: those of [`call`](Self::call), with both buffers.
    ///
    /// # Safety
    /// The driver reads and writes no more than the two buffers through what it is given, and claims to have written no
    /// more (with METHOD_BUFFERED the system copies as many bytes as it claims); it follows no address in them that is not
    /// valid until it completes the request, and is done with them then.
    pub unsafe fn call_raw(&self, code: CtlCode, input: Buffer, output: Buffer) -> RawCall {
        // SAFETY: the caller's promise.
        unsafe { self.begin_raw(Operation::Control(code), input, output, ()) }
    }

    /// [`call_raw`](Self::call_raw) for a record with an address in it: `kept` owns what that leads to, and lives until the
    /// driver has completed the request, however the caller leaves: by a drop, a timeout, an executor that gives up. With
    /// the reply it comes back, as [`RawReply::kept`](crate::RawReply::kept).
    ///
    /// `kept` itself is moved; what it owns (the bytes of a [`Buffer`], a `Box` or a `Vec`) stays at its address. When
    /// nobody is left to take it, its destructor runs, with its panics caught, and never on the port's dispatcher.
    ///
    /// ```
    /// # use overlapped::{sim, Access, Buffer, CtlCode, Device, Method, Status};
    /// # let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// /// In the vendor's header: `struct { UINT64 data; ULONG length; ULONG reserved; }`.
    /// const SEND_SCATTERED: CtlCode = CtlCode::new(0x8000, 0x803, Method::Buffered, Access::Write);
    /// let data = Buffer::aligned(4096, 4096)?;
    /// let mut record = Buffer::aligned(16, 16)?;
    /// record[..8].copy_from_slice(&(data.as_ptr() as u64).to_ne_bytes());
    /// record[8..12].copy_from_slice(&4096_u32.to_ne_bytes());
    /// // SAFETY: card.h: reads the record and the data it leads to, which is kept, and is done with both at completion.
    /// let sent = unsafe { card.call_raw_keeping(SEND_SCATTERED, record, Buffer::empty(), data) };
    /// let reply = sent.wait();
    /// reply.status()?;
    /// assert_eq!(reply.kept.map_or(0, |data| data.len()), 4096);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`call_raw`](Self::call_raw).
    ///
    /// # Safety
    /// As for [`call_raw`](Self::call_raw); an address in the buffers that the driver follows is valid until it completes
    /// the request, if `kept` lives as long; and nobody else uses meanwhile what the driver reads or writes there.
    pub unsafe fn call_raw_keeping<K: Send + 'static>(
        &self,
        code: CtlCode,
        input: Buffer,
        output: Buffer,
        kept: K,
    ) -> RawCall<K> {
        // SAFETY: the caller's promise.
        unsafe { self.begin_raw(Operation::Control(code), input, output, kept) }
    }

    /// [`read`](Self::read) into a buffer of your own, at most its length: no copy, and any alignment. It comes back as the
    /// reply's [`output`](crate::RawReply::output), whatever became of the read.
    ///
    /// ```
    /// # use overlapped::{sim, Buffer, Device, Status};
    /// # struct Ticks;
    /// # impl sim::Driver for Ticks {
    /// #     fn control(&self, request: sim::Request) -> sim::Outcome { request.complete(Status::INVALID_DEVICE_REQUEST) }
    /// #     fn read(&self, mut request: sim::Request) -> sim::Outcome {
    /// #         request.write(b"tick");
    /// #         request.complete(Status::SUCCESS)
    /// #     }
    /// # }
    /// # let device = Device::simulated(Ticks)?;
    /// let mut buffer = Buffer::aligned(64 * 1024, 4096)?;
    /// for _ in 0..3 {
    ///     let reply = device.read_into(buffer).wait();
    ///     reply.status()?;
    ///     assert_eq!(&reply.output[..reply.len()], b"tick");
    ///     buffer = reply.output; // the same one, again
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply: those of [`read`](Self::read), with the buffer.
    pub fn read_into(&self, buffer: Buffer) -> RawCall {
        // SAFETY: a read writes no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Read { offset: None }, Buffer::empty(), buffer, ()) }
    }

    /// [`read_at`](Self::read_at) into a buffer of your own, at most its length.
    ///
    /// ```
    /// # use overlapped::{Buffer, Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let reply = disk.read_into_at(7 * 4096, Buffer::aligned(4096, 4096)?).wait();
    /// reply.status()?;
    /// println!("{:02x?}", &reply.output[..reply.len()]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// In the reply: those of [`read_at`](Self::read_at), with the buffer.
    pub fn read_into_at(&self, offset: u64, buffer: Buffer) -> RawCall {
        // SAFETY: a read writes no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Read { offset: Some(offset) }, Buffer::empty(), buffer, ()) }
    }

    /// [`write`](Self::write) all of a buffer of your own, without a copy. It comes back as the reply's
    /// [`input`](crate::RawReply::input), and the reply's [`information`](crate::RawReply::information) says how many bytes
    /// were written.
    ///
    /// ```
    /// # use overlapped::{sim, Buffer, Device, Status};
    /// # struct Sink;
    /// # impl sim::Driver for Sink {
    /// #     fn control(&self, request: sim::Request) -> sim::Outcome { request.complete(Status::INVALID_DEVICE_REQUEST) }
    /// #     fn write(&self, mut request: sim::Request) -> sim::Outcome {
    /// #         let count = request.input().len();
    /// #         request.set_information(count);
    /// #         request.complete(Status::SUCCESS)
    /// #     }
    /// # }
    /// # let device = Device::simulated(Sink)?;
    /// let reply = device.write_from(Buffer::from(b"hello".as_slice())).wait();
    /// reply.status()?;
    /// assert_eq!((reply.information, &*reply.input), (5, b"hello".as_slice()));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// In the reply: those of [`write`](Self::write), with the buffer.
    pub fn write_from(&self, buffer: Buffer) -> RawCall {
        // SAFETY: a write reads no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Write { offset: None }, buffer, Buffer::empty(), ()) }
    }

    /// [`write_at`](Self::write_at) all of a buffer of your own, without a copy.
    ///
    /// ```
    /// # use overlapped::{Buffer, Device, Error};
    /// # fn example(disk: &Device) -> Result<(), Error> {
    /// let mut sector = Buffer::aligned(4096, 4096)?;
    /// sector[..4].copy_from_slice(b"boot");
    /// let reply = disk.write_from_at(7 * 4096, sector).wait();
    /// reply.status()?;
    /// assert_eq!(reply.information, 4096);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// In the reply: those of [`write_at`](Self::write_at), with the buffer.
    pub fn write_from_at(&self, offset: u64, buffer: Buffer) -> RawCall {
        // SAFETY: a write reads no more than its buffer's length.
        unsafe { self.begin_raw(Operation::Write { offset: Some(offset) }, buffer, Buffer::empty(), ()) }
    }

    /// Submits an operation with the caller's buffers.
    ///
    /// # Safety
    /// As for [`call_raw_keeping`](Self::call_raw_keeping).
    unsafe fn begin_raw<K: Send + 'static>(
        &self,
        what: Operation,
        input: Buffer,
        output: Buffer,
        kept: K,
    ) -> RawCall<K> {
        let inner = &self.inner;
        let packed = What::of(what);
        if let Err(error) = inner.check(packed) {
            return RawCall::ready(RawReply::refused(error, input, output, Some(kept)));
        }
        if [&input, &output].iter().any(|buffer| u32::try_from(buffer.len()).is_err()) {
            let error = inner.error(ErrorKind::InvalidInput, what).hint("a buffer's length must fit in 32 bits");
            return RawCall::ready(RawReply::refused(error, input, output, Some(kept)));
        }
        let Some((index, slot)) = inner.port.slab.take() else {
            let error = inner.error(ErrorKind::Other, what).hint("there is no memory for another call");
            return RawCall::ready(RawReply::refused(error, input, output, Some(kept)));
        };
        // SAFETY: this thread took the slot from the pool and has not begun.
        unsafe { slot.prepare_with(inner.id, packed, Lent { input, output, kept: Box::new(kept) }) };
        match inner.begin(index, slot, packed, None) {
            Submitted::Pending(operation) => RawCall::pending(Pending::new(inner.clone(), operation)),
            Submitted::Final(operation, status, information) => {
                // SAFETY: final at return: the operation is finished and ours.
                unsafe { slot.set_status(status, information) };
                // Unless its packet was faster.
                slot.machine.complete(operation.generation());
                RawCall::pending(Pending::new(inner.clone(), operation))
            }
        }
    }

    /// Keeps reads of at most `len` bytes pending on a stream: what arrives, piece by piece, until the stream's end, or
    /// with the reason of another one. See [`InvertedCall`](crate::InvertedCall).
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(hid: &Device) -> Result<(), Error> {
    /// let mut reports = hid.standing_reads(9).pending(4).start();
    /// while let Some(report) = reports.next().await {
    ///     println!("{:02x?}", &*report?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// From the stream, as its last item: those of [`read`](Self::read).
    pub fn standing_reads(&self, len: usize) -> InvertedCallBuilder<[u8]> {
        InvertedCallBuilder::submitting(
            self.inner.clone(),
            Operation::Read { offset: None },
            &[],
            u32::try_from(len).ok(),
        )
    }

    /// Keeps calls with this code and input pending, so that the driver always has one to complete: a stream of what
    /// it completes them with. Set it up further, [`start`](InvertedCallBuilder::start) it, then take items from it.
    /// The guide has the [whole story](crate::guide::inverted_call).
    ///
    /// ```
    /// # use overlapped::{Device, Error, Ioctl};
    /// # async fn example(card: &Device, wait_change: Ioctl<(), u32>) -> Result<(), Error> {
    /// let mut changes = card.inverted(wait_change, &()).pending(4).start();
    /// while let Some(levels) = changes.next().await {
    ///     println!("{:#010x}", *levels?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// From the stream, as its last item: those of [`call`](Self::call).
    pub fn inverted<In: Input + ?Sized, Out: Output + ?Sized>(
        &self,
        ioctl: Ioctl<In, Out>,
        input: &In,
    ) -> InvertedCallBuilder<Out, In> {
        InvertedCallBuilder::new(self.inner.clone(), ioctl, input.as_bytes())
    }

    /// Asks the driver to cancel every call of this handle that is in flight. Each one still ends in its own way: a
    /// result that had happened is delivered.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// let waits = [(); 3].map(|()| card.call(WAIT_CHANGE, &()));
    /// card.cancel_all();
    /// for wait in waits {
    ///     assert_eq!(wait.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn cancel_all(&self) {
        self.inner.cancel_all();
    }

    /// Waits until a read would not block, and reads nothing (EPOLLIN): for what is told of by readiness alone, like a
    /// process (pidfd) or a listening socket, or is read by somebody else. A hang-up and an error complete it too, since
    /// a read then says which. A file that can never wait is ready at once.
    ///
    /// ```
    /// use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let reader = Device::from_fd(reader)?;
    /// let readable = reader.readable(); // pending
    /// std::io::Write::write_all(&mut writer, b"hello")?;
    /// readable.wait()?;
    /// assert_eq!(&*reader.read(64).wait()?, b"hello"); // it took nothing
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// From the call: of a simulated device what its [driver](sim::Driver::ready) says, [`ErrorKind::Unsupported`] of most.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn readable(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Readable)
    }

    /// Waits until a write would not block, and writes nothing (EPOLLOUT); else as [`readable`](Self::readable).
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_reader, writer) = std::io::pipe()?;
    /// Device::from_fd(writer)?.writable().wait()?; // there is room
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn writable(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Writable)
    }

    /// Waits until something urgent or exceptional has happened (EPOLLPRI), and takes nothing; else as
    /// [`readable`](Self::readable). That is how attributes of /sys tell of a change (read it once before, and again
    /// after, at offset 0), and mount tables, pressure (PSI) triggers, and V4L2 of its events.
    ///
    /// What happens while nobody waits completes the next call. It may complete once without a cause: look before you
    /// believe it.
    ///
    /// ```no_run
    /// # use overlapped::{Device, Error};
    /// # async fn example() -> Result<(), Error> {
    /// let memory = Device::open("/proc/pressure/memory")?;
    /// memory.write(b"some 150000 2000000\0").await?; // 150 ms in any two seconds
    /// loop {
    ///     memory.priority().await?;
    ///     println!("memory is short");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn priority(&self) -> Call<()> {
        self.when_ready(crate::words::linux::Interest::Priority)
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    fn when_ready(&self, interest: crate::words::linux::Interest) -> Call<()> {
        self.submit(Operation::Ready { interest }, &[], Some(0))
    }

    /// The open file, for what this crate has no word for: mmap beside its interrupts, an option of a socket. It stays
    /// this device's, and is non-blocking.
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let null = Device::open("/dev/null")?;
    /// let copy = null.as_fd()?.try_clone_to_owned()?;
    /// # drop(copy);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a simulated device.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn as_fd(&self) -> Result<std::os::fd::BorrowedFd<'_>, Error> {
        match &self.inner.backend {
            Backend::File(file) => Ok(file.as_fd()),
            Backend::Simulated(_) => Err(self.no_file(Operation::Adopt)),
        }
    }

    /// Gives the open file back, to be a child's output, say. What nobody waits for any more is cancelled. One that was
    /// adopted has O_NONBLOCK as it was found; one that was opened here has it set. Bytes that came for a read that was
    /// dropped do not go along: read them first, or they count as [lost](crate::PortStats::lost_bytes).
    ///
    /// ```
    /// # use overlapped::Device;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (_reader, writer) = std::io::pipe()?;
    /// let device = Device::from_fd(writer)?;
    /// device.write(b"from us, and ").wait()?;
    /// let mut child = std::process::Command::new("echo").arg("from it").stdout(device.into_fd()?).spawn()?;
    /// # child.wait()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while another clone, a call or a stream has the device: drop them first.
    /// [`ErrorKind::Unsupported`] for a simulated device. The device is then dropped as ever.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn into_fd(self) -> Result<std::os::fd::OwnedFd, Error> {
        let Backend::File(file) = &self.inner.backend else { return Err(self.no_file(Operation::Adopt)) };
        let busy = || {
            let error = self.inner.error(ErrorKind::Busy, Operation::Adopt);
            error.hint("other clones, calls or streams have the device: drop them first")
        };
        if Arc::strong_count(&self.inner) > 1 {
            return Err(busy());
        }
        file.take().ok_or_else(busy)
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    fn no_file(&self, what: Operation) -> Error {
        self.inner.error(ErrorKind::Unsupported, what).hint("a simulated device has no file")
    }

    /// Whether what is read of it is a stream of bytes, in which one read may bring half of something and the next one the
    /// other half: a terminal, a pipe or FIFO, a stream socket; on Windows a serial port, and a pipe that is not read in
    /// messages. Of others a read brings a message, a report or records that are whole; files and disks are of no interest
    /// here, and a simulated device has messages.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Device};
    /// let card = Device::simulated(Script::new("card"))?;
    /// assert!(!card.is_byte_stream());
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn is_byte_stream(&self) -> bool {
        match &self.inner.backend {
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.is_byte_stream(),
            _ => false,
        }
    }

    /// The path or name it was opened by.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Device};
    /// let card = Device::simulated(Script::new("card 0"))?;
    /// assert_eq!(card.name(), "card 0");
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

/// So long an owner's drop waits for who is inside of the device: a driver that does not return keeps nobody longer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

impl Inner {
    /// Comes in, unless the last owner is gone.
    #[inline]
    pub(crate) fn enter<'a>(self: &'a Arc<Self>) -> Option<Entered<'a>> {
        self.gate.enter().then(|| Entered(self))
    }

    /// What its port has of it.
    pub(crate) fn listed(self: &Arc<Self>) -> Weak<dyn port::Device> {
        Arc::downgrade(self) as Weak<Self>
    }

    /// Does something inside of a device, if it is open still.
    pub(crate) fn inside(device: &Weak<Self>, run: impl FnOnce(&Arc<Self>)) {
        if let Some(device) = device.upgrade()
            && let Some(device) = device.enter()
        {
            run(&device);
        }
    }

    /// Shuts the gate. Whether nobody is inside then, or not for long; else the last one inside closes the device.
    fn is_empty_for_good(&self) -> bool {
        let must_not_wait = || Port::is_dispatching() || gate::is_inside();
        self.gate.shut() || if must_not_wait() { !self.gate.leave_to_the_last() } else { self.gate.wait(PATIENCE) }
    }

    /// Closes the device, if nobody is inside; else waits for that, or leaves it to them.
    fn last_owner_is_gone(self: &Arc<Self>) {
        if !self.port.is_inherited() && !self.is_empty_for_good() {
            return;
        }
        if Port::is_dispatching() {
            self.close_elsewhere();
        } else {
            let _ = self.close_now();
        }
    }

    /// For [`Closing`]: the last owner is gone, and this thread may wait. `None`: somebody inside closes it, and has not
    /// come out.
    pub(crate) fn shut_and_close(self: &Arc<Self>) -> Option<Result<(), Error>> {
        let is_empty = self.port.is_inherited() || self.is_empty_for_good();
        is_empty.then(|| self.close_now())
    }

    fn close_elsewhere(self: &Arc<Self>) {
        let inner = self.clone();
        off_the_dispatcher(move || drop(inner.close_now()));
    }

    /// Closes the handle. Nobody is inside, and nobody owns it any more.
    fn close_now(&self) -> Result<(), Error> {
        if self.port.is_inherited() {
            // The child of a fork closes its copy of the handle, and takes no lock: its parent's threads may have had
            // them when it was made.
            #[cfg(all(target_os = "linux", not(miri)))]
            if let Backend::File(file) = &self.backend {
                file.close_copy();
            }
            return Ok(());
        }
        self.note_cancellations();
        self.cancel_parked();
        let closed = match &self.backend {
            Backend::Simulated(file) => {
                file.close();
                Ok(())
            }
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.close(),
            #[cfg(windows)]
            Backend::Event(event) => {
                event.close();
                Ok(())
            }
        };
        self.port.unlist(self.id);
        self.lose_unread();
        closed.map_err(|code: ErrorCode| Error::from_code(code, Operation::Close).on(&self.name))
    }

    /// How its reads go on.
    fn stream_kind(&self) -> StreamKind {
        match &self.backend {
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.stream_kind(),
            _ => StreamKind::Messages,
        }
    }

    /// What came back of its reads is lost.
    fn lose_unread(&self) {
        let (results, bytes) = self.unread.clear();
        self.port.lost(results, bytes);
    }

    /// The operation in `slot` is over and the caller's, and nobody will take its result: gives it on if that can be, and
    /// counts it else. Returns whether it was given on.
    pub(crate) fn left_over(self: &Arc<Self>, slot: &Slot, operation: InFlight) -> bool {
        if slot.is_taken() {
            return false;
        }
        if slot.operation() == STREAM_READ {
            return self.left_over_read(slot, operation);
        }
        #[cfg(windows)]
        if let Backend::Event(event) = &self.backend
            // SAFETY: the operation is over and the caller's.
            && !unsafe { slot.status() }.0.is_error()
        {
            event.give_back();
            return true;
        }
        self.port.lost_result(slot, operation);
        false
    }

    /// [`left_over`](Self::left_over), of a read of a stream.
    fn left_over_read(self: &Arc<Self>, slot: &Slot, operation: InFlight) -> bool {
        // SAFETY: the operation is over and the caller's; the bytes are copied before the slot is given back.
        let (bytes, status) = unsafe {
            let (status, information) = slot.status();
            (slot.output(if status.is_error() { 0 } else { information }), status)
        };
        let has_bytes = !status.is_error() && (!bytes.is_empty() || self.stream_kind() == StreamKind::Messages);
        if has_bytes {
            self.unread.give_back(slot.place(), bytes);
        }
        if !self.unread.any() {
            return false;
        }
        self.unread.resolve(operation);
        if self.enter().map(|device| device.offer_unread()).is_none() {
            // It was closed meanwhile: nobody reads it any more.
            self.lose_unread();
        }
        has_bytes
    }

    /// A read of a stream that is prepared gets the bytes that came back of others, or waits for those that may. `None`: it
    /// goes to the driver.
    fn admit(self: &Arc<Self>, operation: InFlight, slot: &Slot) -> Option<Submitted> {
        // SAFETY: the operation has begun and was not submitted: this is its kernel's side.
        let output = unsafe { slot.memory().output() };
        if output.is_empty() {
            return None;
        }
        let kind = self.stream_kind();
        let admission = loop {
            match self.unread.admit(kind, operation, output, &|may| self.longest_waiting(may), |at| slot.set_place(at))
            {
                Admission::Promised(reader) => self.cancel_pinned(reader),
                admission => break admission,
            }
        };
        match admission {
            Admission::Go | Admission::Promised(_) => None,
            Admission::Given(mut given, _is_all) => {
                #[cfg(any(windows, all(target_os = "linux", not(miri))))]
                if let (Backend::File(file), StreamKind::Bytes, true) = (&self.backend, kind, _is_all) {
                    given.len += file.more(&mut output[given.len..]);
                }
                let status = if given.more { Status::BUFFER_OVERFLOW } else { Status::SUCCESS };
                Some(Submitted::Final(operation, status, given.len))
            }
            Admission::Parked => {
                self.port.parked(operation, self.listed());
                // The one it waits for may be over since.
                self.offer_unread();
                Some(Submitted::Pending(operation))
            }
        }
    }

    /// What can be had is given to reads that wait; and those that waited for it in vain go to the driver.
    pub(crate) fn offer_unread(self: &Arc<Self>) {
        while self.unread.any() {
            if let Some(reader) = self.unread.promise(&|may| self.longest_waiting(may)) {
                self.cancel_pinned(reader);
            } else if let Some(parked) = self.unread.unpark_next() {
                self.submit_parked(parked);
            } else {
                return;
            }
        }
    }

    /// The read that has waited longest, of those that may have a promise.
    fn longest_waiting(&self, may: &dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)> {
        let mut after = 0;
        loop {
            let reads = self.port.slab.iter().filter_map(|(index, slot)| {
                let waits = || slot.device() == self.id && slot.operation() == STREAM_READ && slot.number() > after;
                // One that is being cancelled ends by itself, and perhaps nobody wants it any more.
                let wanted = |generation: &u32| waits() && slot.cancelled.load(Acquire) != *generation;
                let generation = slot.machine.pending().filter(wanted)?;
                Some((slot.number(), InFlight::new(index, generation)))
            });
            let longest = reads.min_by_key(|(number, _)| *number)?;
            if may(longest.1) {
                return Some(longest);
            }
            after = longest.0;
        }
    }

    /// A read that was parked goes to the driver.
    fn submit_parked(&self, operation: InFlight) {
        let slot = self.port.slot(operation);
        let ended = self.hand_over(operation, slot, What::STREAM_READ);
        self.unread.submitted();
        if let Some((status, information)) = ended {
            self.end_parked(operation, status, information);
        }
        // Whoever cancelled it meanwhile did not find it.
        if slot.cancelled.load(Acquire) == operation.generation() {
            self.cancel_pinned(operation);
        }
    }

    /// A read that was parked ends.
    fn end_parked(&self, operation: InFlight, status: Status, information: usize) {
        // SAFETY: it was taken out of those that are parked, and has not gone to the driver, or has ended there: this is
        // its kernel's side.
        unsafe { self.port.slot(operation).set_status(status, information) };
        self.port.queue().post(operation.token());
    }

    /// Reads before those that are parked are not over, though their driver had time enough: they wait no longer.
    pub(crate) fn give_up_orphans(self: &Arc<Self>) {
        if let Some(then) = std::time::Instant::now().checked_sub(Port::GRACE_PERIOD) {
            self.unread.give_up_orphans(then);
            self.offer_unread();
        }
    }

    /// A read that is over, and the caller's, takes older bytes in place of its own, if some came back.
    #[inline]
    pub(crate) fn settle(self: &Arc<Self>, slot: &Slot, operation: InFlight) {
        if self.unread.any() && slot.operation() == STREAM_READ {
            settle(&self.unread, self.stream_kind(), slot, operation);
            if self.unread.any() {
                self.offer_unread();
            }
        }
    }

    /// The owner of a read leaves, who has it no more: what was promised to it is for another.
    pub(crate) fn withdraw(self: &Arc<Self>, operation: InFlight) {
        if self.unread.any() {
            self.unread.withdraw(operation);
            self.offer_unread();
        }
    }

    fn cancel_parked(&self) {
        while self.unread.any()
            && let Some(operation) = self.unread.unpark_first()
        {
            let slot = self.port.slot(operation);
            slot.cancelled.store(operation.generation(), Release);
            slot.set_nothing();
            self.end_parked(operation, Status::CANCELLED, 0);
        }
    }

    /// Notes that every operation in flight is being cancelled.
    fn note_cancellations(&self) {
        for (_, slot) in self.port.slab.iter() {
            if slot.device() == self.id
                && let Some(generation) = slot.machine.in_flight()
            {
                slot.cancelled.store(generation, Release);
            }
        }
    }

    /// Whether there can be such an operation here.
    #[inline]
    fn check(&self, what: What) -> Result<(), Error> {
        if self.port.is_inherited() {
            return Err(port::inherited(what.operation()).on(&self.name));
        }
        if what.is_too_far() {
            return Err(self.invalid(what, "an offset must be less than 4 EiB"));
        }
        #[cfg(windows)]
        if let Some(objection) = self.file().and_then(|file| file.objection(what.operation())) {
            return Err(self.invalid(what, objection));
        }
        Ok(())
    }

    #[cold]
    fn invalid(&self, what: What, hint: &'static str) -> Error {
        self.error(ErrorKind::InvalidInput, what.operation()).hint(hint)
    }

    /// Takes a slot, fills it and submits it.
    #[inline]
    pub(crate) fn submit(
        self: &Arc<Self>,
        what: What,
        input: &[u8],
        output_len: Option<u32>,
        waiter: Option<Waiter>,
    ) -> Result<Submitted, Error> {
        self.check(what)?;
        let (Some(output_len), Ok(_)) = (output_len, u32::try_from(input.len())) else {
            return Err(self.invalid(what, "a buffer's length must fit in 32 bits; split the transfer"));
        };
        let no_memory = || self.error(ErrorKind::Other, what.operation()).hint("there is no memory for the buffers");
        let (index, slot) = self.port.slab.take().ok_or_else(no_memory)?;
        // SAFETY: this thread took the slot from the pool and has not begun.
        if !unsafe { slot.prepare(&self.port.slab, self.id, what, input, output_len) } {
            self.port.slab.give_back(slot, index, crate::slot::Recycle::Pool);
            return Err(no_memory());
        }
        Ok(self.begin(index, slot, what, waiter))
    }

    /// Submits an operation that is prepared.
    #[inline]
    fn begin(self: &Arc<Self>, index: u32, slot: &Slot, what: What, waiter: Option<Waiter>) -> Submitted {
        if what == What::STREAM_READ {
            slot.set_number(self.unread.number());
        }
        let operation = InFlight::new(index, slot.machine.begin(waiter));
        if what == What::STREAM_READ
            && self.unread.any()
            && let Some(submitted) = self.admit(operation, slot)
        {
            return submitted;
        }
        match self.hand_over(operation, slot, what) {
            None => {
                // A promise that came before the driver had it could not end it.
                if what == What::STREAM_READ && self.unread.any() && self.unread.is_promised(operation) {
                    self.cancel_pinned(operation);
                }
                Submitted::Pending(operation)
            }
            Some((status, information)) => Submitted::Final(operation, status, information),
        }
    }

    /// Hands an operation that has begun to its driver. `Some`: it is final.
    #[inline]
    fn hand_over(&self, operation: InFlight, slot: &Slot, what: What) -> Option<(Status, usize)> {
        match &self.backend {
            Backend::Simulated(file) => file.submit(&self.port, operation, slot, what),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            // SAFETY: the slot is prepared, its operation has begun, and a slot outlives its operation: a port that goes
            // before it leaves the slot's memory behind.
            Backend::File(file) => unsafe { file.submit(operation, slot, what.operation()) },
            #[cfg(windows)]
            Backend::Event(event) => event.submit(operation),
        }
    }

    /// The last owner is gone, who wants the handle. `None`: somebody inside closes it, and has not come out.
    #[cfg(windows)]
    pub(crate) fn shut_and_take(self: &Arc<Self>) -> Option<std::os::windows::io::OwnedHandle> {
        if !self.is_empty_for_good() {
            return None;
        }
        let handle = self.file().and_then(crate::completers::windows::File::take);
        // What is left to be done: there is nothing to close.
        let _ = self.close_now();
        handle
    }

    /// The file, of a real device.
    #[cfg(windows)]
    pub(crate) fn file(&self) -> Option<&crate::completers::windows::File> {
        match &self.backend {
            Backend::File(file) => Some(file),
            _ => None,
        }
    }

    /// The owner of a call cancels it: nobody else can release the slot meanwhile, so its address is the call's own.
    pub(crate) fn cancel(&self, operation: InFlight) {
        self.ask_to_cancel(operation, self.port.slot(operation));
    }

    /// Somebody who does not own the call cancels it.
    pub(crate) fn cancel_pinned(&self, operation: InFlight) {
        let slot = self.port.slot(operation);
        if slot.machine.pin(operation.generation()) {
            // Whoever looked for the device's slots may have seen one that has since been used for another device.
            if slot.device() == self.id {
                self.ask_to_cancel(operation, slot);
            }
            if let Some(how) = slot.machine.unpin(operation.generation()) {
                self.port.give_back(slot, operation, how);
            }
        }
    }

    fn ask_to_cancel(&self, operation: InFlight, slot: &Slot) {
        slot.cancelled.store(operation.generation(), Release);
        if self.unread.any() && self.unread.unpark(operation) {
            slot.set_nothing();
            return self.end_parked(operation, Status::CANCELLED, 0);
        }
        match &self.backend {
            Backend::Simulated(file) => file.cancel(&self.port, operation),
            #[cfg(windows)]
            Backend::File(file) => {
                let named = match slot.operation() {
                    Operation::Function => self.port.loans.address(operation),
                    _ => Some(slot.io_status().cast()),
                };
                // SAFETY: the caller holds the operation, as its owner or by a pin: the address is not used again.
                named.into_iter().for_each(|named| unsafe { file.cancel(named) });
            }
            #[cfg(all(target_os = "linux", not(miri)))]
            Backend::File(file) => {
                if file.cancel(operation) {
                    slot.set_nothing();
                }
            }
            #[cfg(windows)]
            Backend::Event(event) => event.cancel(operation),
        }
    }

    pub(crate) fn cancel_all(&self) {
        self.cancel_parked();
        match &self.backend {
            Backend::Simulated(_) => self.cancel_each(),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => {
                self.note_cancellations();
                file.cancel_all();
            }
            #[cfg(windows)]
            Backend::Event(event) => {
                self.note_cancellations();
                event.cancel_all();
            }
        }
    }

    fn cancel_each(&self) {
        for (index, slot) in self.port.slab.iter() {
            if slot.device() == self.id
                && let Some(generation) = slot.machine.in_flight()
            {
                self.cancel_pinned(InFlight::new(index, generation));
            }
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind, what: Operation) -> Error {
        Error::new(kind, what).on(&self.name)
    }
}

impl port::Device for Inner {
    fn time_is_over(self: Arc<Self>, operation: InFlight) {
        if let Some(device) = self.enter() {
            device.cancel_pinned(operation);
        }
    }

    fn was_parked_long_enough(self: Arc<Self>) {
        if let Some(device) = self.enter() {
            device.give_up_orphans();
        }
    }

    fn takes_left_over(self: Arc<Self>, operation: InFlight) -> bool {
        self.left_over(self.port.slot(operation), operation)
    }
}

/// The read `operation` is over, and the caller's: older bytes that came back take the place of its own.
pub(crate) fn settle(unread: &Unread, kind: StreamKind, slot: &Slot, operation: InFlight) {
    // SAFETY: the operation is over, and the caller owns it; its output is read to its end before it is written.
    let ((status, information), output) = unsafe { (slot.status(), slot.memory().output()) };
    let own = match status.kind() {
        _ if !status.is_error() => Own::Bytes(output[..information.min(output.len())].into()),
        ErrorKind::Cancelled => Own::Cancelled,
        _ => Own::None,
    };
    if let Some(given) =
        unread.settle(kind, operation, slot.number(), (slot.place(), own), output, |at| slot.set_place(at))
    {
        let status = if given.more { Status::BUFFER_OVERFLOW } else { Status::SUCCESS };
        // SAFETY: as above.
        unsafe { slot.set_status(status, given.len) };
    }
}

/// The error that a status is. A cancellation that nobody asked for is the driver's own.
pub(crate) fn failure(slot: &Slot, operation: InFlight, what: Operation, status: Status, name: &Arc<str>) -> Error {
    let error = Error::from_code(ErrorCode::Status(status), what).on(name);
    if error.kind() == ErrorKind::Cancelled && slot.cancelled.load(Relaxed) != operation.generation() {
        return error.aborted();
    }
    error
}

/// Turns a finished operation, which belongs to the caller, into its reply. Releases its slot, or keeps it in the reply.
#[inline]
pub(crate) fn finish<Out: Output + ?Sized>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
    (status, information): (Status, usize),
) -> Result<Reply<Out>, Error> {
    let mut information = information;
    if status != Status::SUCCESS || slot.is_whole_write() {
        // Before the release: then the slot is somebody else's.
        match objection(slot, name, operation, status, information) {
            Some(error) => {
                port.release_slot(slot, operation);
                return Err(error);
            }
            None if status == Status::END_OF_FILE => information = 0,
            None => {}
        }
    }
    let what = slot.operation();
    match Out::take(Done { port, slot, operation, information: len_of(what, information) }) {
        Ok(held) => Ok(Reply::new(held, status, information)),
        Err(bytes) => Err(truncated(what, name, &bytes)),
    }
}

/// Why a finished operation, which belongs to the caller, is no success.
#[inline(never)]
fn objection(slot: &Slot, name: &Arc<str>, operation: InFlight, status: Status, information: usize) -> Option<Error> {
    let what = slot.operation();
    let fail = || failure(slot, operation, what, status, name);
    if status.is_error() {
        let end_of_file = status == Status::END_OF_FILE && matches!(what, Operation::Read { .. });
        return (!end_of_file).then(fail);
    }
    if status.is_warning() && status != Status::BUFFER_OVERFLOW {
        // SAFETY: the operation is finished and the caller's, and is released after this.
        return Some(fail().keeping(unsafe { slot.output(information) }));
    }
    if slot.is_whole_write() {
        // SAFETY: the operation is finished and the caller's.
        let given = unsafe { slot.memory() }.input_len;
        if information < given as usize {
            let error = Error::new(ErrorKind::Truncated, what).on(name);
            return Some(error.hint(format!("{information} of {given} bytes were written")));
        }
    }
    None
}

/// How many bytes of the output there are, by the byte count.
#[inline]
pub(crate) fn len_of(what: Operation, information: usize) -> usize {
    match what {
        // The argument comes back whole; the information is what `ioctl(2)` returned.
        #[cfg(target_os = "linux")]
        Operation::Ioctl { .. } => usize::MAX,
        _ => information,
    }
}

pub(crate) fn truncated(what: Operation, name: &Arc<str>, bytes: &[u8]) -> Error {
    Error::new(ErrorKind::Truncated, what).on(name).hint("the driver wrote no whole number of records").keeping(bytes)
}
