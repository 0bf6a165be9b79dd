//! Devices: an open handle, or a simulated driver, and the port its completions go to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::call::Pending;
use crate::ioctl::sealed::Done;
use crate::port::{self, InFlight, Waiter};
use crate::raw::{self, RawReply};
use crate::slab::{PLACES, Slot};
use crate::{Buffer, Call, CtlCode, Error, ErrorCode, ErrorKind, Input, InvertedCallBuilder, Ioctl, OpenOptions};
use crate::{Operation, Output, Port, RawCall, Reply, Status, sim};

/// An open device, real or simulated. Clones share one handle.
///
/// The handle is closed when the last clone, the last [`Call`] that waits and the last [`InvertedCall`](crate::InvertedCall) are gone. A call
/// that was dropped does not keep it open: some drivers complete what they hold only when the last handle closes.
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
/// submission. A read that finds the end of a pipe gives no bytes; on a device that was unplugged it is
/// [`ErrorKind::Disconnected`]. A write may take fewer bytes than it was given, and one to a pipe without a reader
/// raises SIGPIPE, which Rust programs ignore unless told otherwise. Regular files, disks and some devices are always
/// ready: what is asked of them is done before the call returns, however long that takes.
///
/// A child of `fork` has no dispatcher, so a device of its parent is of no use there: calls fail with
/// [`ErrorKind::Unsupported`]. Dropping the device there closes the child's copy; the parent's goes on. The child may
/// open devices of its own.
///
/// Elsewhere only simulated devices can be opened.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    /// Unlike a handle's number this is never used again.
    id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) port: Arc<port::Inner>,
    pub(crate) backend: Backend,
}

pub(crate) enum Backend {
    Simulated(sim::File),
    #[cfg(windows)]
    File(crate::sys::windows::File),
    #[cfg(all(target_os = "linux", not(miri)))]
    File(crate::sys::linux::File),
    #[cfg(windows)]
    Event(crate::sys::windows::Event),
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
        Self::from_handle_on(&Port::global()?, handle)
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
        crate::sys::windows::adopt(port, handle.into())
    }

    /// Takes over a file that somebody else opened, on the global port: a pipe, a serial port that was set up, a gpiochip
    /// line request. It is made non-blocking (O_NONBLOCK), which all who have the same open file will notice.
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
        crate::sys::linux::adopt(port, fd.into())
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
        port.inner.name(id, Some(name.clone()));
        Ok(Self { inner: Arc::new(Inner { id, name, port: port.inner.clone(), backend }) })
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

    /// Reads at most `len` bytes from a stream: a pipe, a serial port, a device that has no places. No bytes means its
    /// end. Of a HID ask for exactly the length of its report.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # async fn example(port: &Device) -> Result<(), Error> {
    /// let reply = port.read(64).await?;
    /// if reply.is_empty() {
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

    /// Reads at most `len` bytes of a file or disk, from `offset` on. No bytes means its end.
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

    /// Writes to a stream. The bytes are copied; [`Reply::information`] says how many were written.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(port: &Device) -> Result<(), Error> {
    /// let mut left = b"ATZ\r".as_slice();
    /// while !left.is_empty() {
    ///     let written = port.write(left).wait()?.information();
    ///     left = &left[written..];
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, bytes: &[u8]) -> Call<()> {
        self.submit(Operation::Write { offset: None }, bytes, Some(0))
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
        match self.inner.submit(what, input, output_len, None) {
            Err(error) => Call::refused(error, self.inner.port.clone()),
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
    /// The driver reads and writes no more than the two buffers through what it is given, follows no address in them
    /// that is not valid until it completes the request, and is done with them then.
    pub unsafe fn call_raw(&self, code: CtlCode, input: Buffer, output: Buffer) -> RawCall {
        let (inner, what) = (&self.inner, Operation::Control(code));
        if [&input, &output].iter().any(|buffer| u32::try_from(buffer.len()).is_err()) {
            let error = inner.error(ErrorKind::InvalidInput, what).hint("a buffer's length must fit in 32 bits");
            return RawCall::ready(RawReply::refused(error, input, output));
        }
        let Some((index, slot)) = inner.port.slab.take() else {
            let error = inner.error(ErrorKind::Other, what).hint("there is no memory for another call");
            return RawCall::ready(RawReply::refused(error, input, output));
        };
        // SAFETY: this thread took the slot from the pool and has not begun.
        unsafe { slot.prepare_with(inner.id, what, Box::new((input, output))) };
        match inner.begin(index, slot, what, None) {
            Submitted::Pending(operation) => RawCall::pending(Pending::new(inner.clone(), operation)),
            Submitted::Final(operation, status, information) => {
                let ended = (status, information);
                // SAFETY: final at return: the operation is finished and ours, and was prepared with buffers above.
                RawCall::ready(unsafe { raw::reply(&inner.port, slot, &inner.name, operation, ended) })
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
        match &self.inner.backend {
            Backend::Simulated(_) => self.inner.cancel_each(),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.cancel_all(),
            #[cfg(windows)]
            Backend::Event(event) => event.cancel_all(),
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

impl Drop for Inner {
    fn drop(&mut self) {
        self.port.name(self.id, None);
    }
}

impl Inner {
    /// Takes a slot, fills it and submits it.
    #[inline]
    pub(crate) fn submit(
        &self,
        what: Operation,
        input: &[u8],
        output_len: Option<u32>,
        waiter: Option<Waiter>,
    ) -> Result<Submitted, Error> {
        if self.port.is_inherited() {
            return Err(port::inherited(what).on(&self.name));
        }
        if let Operation::Read { offset: Some(at) } | Operation::Write { offset: Some(at) } = what
            && at >= PLACES
        {
            return Err(self.error(ErrorKind::InvalidInput, what).hint("an offset must be less than 4 EiB"));
        }
        let (Some(output_len), Ok(_)) = (output_len, u32::try_from(input.len())) else {
            return Err(self
                .error(ErrorKind::InvalidInput, what)
                .hint("a buffer's length must fit in 32 bits; split the transfer"));
        };
        let no_memory = || self.error(ErrorKind::Other, what).hint("there is no memory for the buffers");
        let (index, slot) = self.port.slab.take().ok_or_else(no_memory)?;
        // SAFETY: this thread took the slot from the pool and has not begun.
        if !unsafe { slot.prepare(self.id, what, input, output_len) } {
            self.port.slab.give_back(slot, index, crate::slot::Recycle::Pool);
            return Err(no_memory());
        }
        Ok(self.begin(index, slot, what, waiter))
    }

    /// Submits an operation that is prepared.
    #[inline]
    fn begin(&self, index: u32, slot: &Slot, what: Operation, waiter: Option<Waiter>) -> Submitted {
        let operation = InFlight::new(index, slot.machine.begin(waiter));
        let ended = match &self.backend {
            Backend::Simulated(file) => file.submit(&self.port, operation, slot, what),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            // SAFETY: the slot is prepared, its operation has begun, and a slot outlives its operation: a port that goes
            // before it leaves the slot's memory behind.
            Backend::File(file) => unsafe { file.submit(operation, slot, what) },
            #[cfg(windows)]
            Backend::Event(event) => event.submit(operation),
        };
        match ended {
            None => Submitted::Pending(operation),
            Some((status, information)) => Submitted::Final(operation, status, information),
        }
    }

    /// The file, of a real device.
    #[cfg(windows)]
    pub(crate) fn file(&self) -> Option<&crate::sys::windows::File> {
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
        match &self.backend {
            Backend::Simulated(file) => file.cancel(&self.port, operation, slot),
            #[cfg(windows)]
            // SAFETY: the caller holds the operation, as its owner or by a pin: the address is not used again.
            Backend::File(file) => unsafe { file.cancel(slot) },
            #[cfg(all(target_os = "linux", not(miri)))]
            Backend::File(file) => file.cancel(operation),
            #[cfg(windows)]
            Backend::Event(event) => event.cancel(operation),
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

/// Turns a finished operation, which belongs to the caller, into its reply. Releases its slot, or keeps it in the reply.
pub(crate) fn finish<Out: Output + ?Sized>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
    (status, information): (Status, usize),
) -> Result<Reply<Out>, Error> {
    // Before the release: then the slot is somebody else's.
    let what = slot.operation();
    let end_of_file = status == Status::END_OF_FILE && matches!(what, Operation::Read { .. });
    let information = if end_of_file { 0 } else { information };
    let fail = || Error::from_code(ErrorCode::Status(status), what).on(name);
    if status.is_error() && !end_of_file {
        port.release_slot(slot, operation);
        return Err(fail());
    }
    if status.is_warning() && status != Status::BUFFER_OVERFLOW {
        // SAFETY: the operation is finished and the caller's, and is released after this.
        let error = fail().keeping(unsafe { slot.output(information) });
        port.release_slot(slot, operation);
        return Err(error);
    }
    #[cfg(target_os = "linux")]
    // The argument comes back whole; the information is what `ioctl(2)` returned.
    let len = if matches!(what, Operation::Ioctl { .. }) { usize::MAX } else { information };
    #[cfg(not(target_os = "linux"))]
    let len = information;
    match Out::take(Done { port, slot, operation, information: len }) {
        Ok(held) => Ok(Reply::new(held, status, information)),
        Err(bytes) => Err(Error::new(ErrorKind::Truncated, what)
            .on(name)
            .hint("the driver wrote no whole number of records")
            .keeping(&bytes)),
    }
}
