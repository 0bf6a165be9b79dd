//! Devices: an open handle or a simulated driver, and the port for its completions.
//!
//! This layer submits operations, cancels them and ends them. The layer of calls decides which operations these are,
//! and makes replies of their results.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::sync::{Arc, Weak};

use crate::operation::slab::What;
use crate::operation::unread::Unread;
use crate::port::{self, Slot, Waiter};
use crate::system::foreign::off_the_dispatcher;
use crate::words::token::InFlight;
use crate::{Error, ErrorCode, ErrorKind, Operation, Port, Status, sim};

pub(crate) mod closing;
mod gate;
mod open;
mod reads;

use gate::Gate;

/// An open device, real or simulated. Clones share one handle.
///
/// The last clone, waiting [`Call`](crate::Call) or [`InvertedCall`](crate::InvertedCall) that is dropped closes the
/// handle: when that drop returns, the handle is closed, so you can open an exclusive device again at once. But a drop
/// inside a waker, a callback or a driver leaves the closing to another thread. [`close`](Self::close) also returns the
/// system's result. A call that was dropped does not keep the handle open: some drivers complete their requests only
/// when the last handle closes.
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
/// which tells a warning from a failure; `DeviceIoControl` does not.
///
/// *Linux*: a device is a file, opened with O_NONBLOCK, O_CLOEXEC and O_NOCTTY. It has no control codes. It has
/// [`read`](Self::read) and [`write`](Self::write), [standing reads](Self::standing_reads), and the ioctls of the
/// module `linux`. A read or a write is tried at once. If it would block, it waits until epoll reports the file ready;
/// then the dispatcher makes the system call. Several reads of one file are served in the order of submission.
///
/// A read returns no bytes at the end: of a file, of a stream socket, and of a pipe that nobody writes any more. It
/// also returns none for an empty message, and when Ctrl-D was typed on a terminal; these are not the end. A terminal
/// that is set not to wait (VMIN = 0) waits nevertheless. On an unplugged device a read is [`ErrorKind::Disconnected`].
/// A write to a pipe without a reader raises SIGPIPE, which Rust programs ignore unless told otherwise.
///
/// Regular files, disks and some devices are always ready: their operations are done before the call returns, however
/// long that takes. If the dispatcher submits one (the next read of a stream, or a read in a callback), another thread
/// makes its system call: one thread for all such files.
///
/// A child of `fork` has no dispatcher, so it cannot use the devices of its parent: calls fail with
/// [`ErrorKind::Unsupported`]. Dropping such a device closes the child's copy; the parent's goes on. The child may open
/// its own devices.
///
/// Elsewhere only simulated devices can be opened.
#[derive(Clone)]
pub struct Device {
    pub(crate) inner: Arc<Handle>,
}

/// Keeps a device open: dropping the last handle closes it. Code that needs the device but must not keep it open has
/// the [`Inner`], and [enters](Inner::enter) it.
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    /// The device is closed elsewhere, so dropping this does not close it.
    pub(crate) is_closing: bool,
    /// The error of a call that was not submitted. Only that call has this handle.
    pub(crate) refusal: Option<Error>,
}

impl Handle {
    /// For a call that is not submitted, because of this error. It does not keep the device open.
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
    /// No other device ever has this number, unlike a handle's.
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) port: Arc<port::Inner>,
    pub(crate) backend: Backend,
    gate: Gate,
    pub(crate) unread: Arc<Unread>,
}

/// A thread is inside the device until this is dropped; meanwhile the device is not closed.
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
    /// It is over already, and the operation belongs to the caller. The byte count comes from the driver.
    Final(InFlight, Status, usize),
}

impl Submitted {
    /// Returns the operation. If it is over, publishes its result first.
    #[inline]
    pub(crate) fn published(self, port: &port::Inner) -> InFlight {
        match self {
            Self::Pending(operation) => operation,
            Self::Final(operation, status, information) => {
                // SAFETY: the system ended the operation at once, so it belongs to its submitter, which still has it.
                unsafe { port.slot(operation).ended_at_once(operation.generation(), status, information) };
                operation
            }
        }
    }
}

impl Device {
    /// Opens a simulated device on the global port: its driver is written in Rust. One driver, in an [`Arc`], may be
    /// opened many times.
    ///
    /// ```
    /// use overlapped::{sim, Device, Status};
    /// let card = Device::simulated(sim::from_fn(|request| request.complete(Status::SUCCESS)))?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of [`Driver::open`](sim::Driver::open); [`ErrorKind::Other`] when the port cannot be started.
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
    /// The error of [`Driver::open`](sim::Driver::open).
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

    /// Asks the driver to cancel every call of this handle that is in flight. Each call still ends in its own way: a
    /// result that came before is delivered.
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

    /// The open file, for functions that this crate does not have, such as mmap or a socket option. It still belongs to
    /// this device, and is non-blocking.
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

    /// Returns the open file, for example to be a child's output. Operations that nobody waits for are cancelled. An
    /// adopted file gets its old O_NONBLOCK back; a file that was opened here has it set. Bytes that came for a dropped
    /// read do not go along: read them first, or they count as [lost](crate::PortStats::lost_bytes).
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
    /// [`ErrorKind::Unsupported`] for a simulated device. The device is dropped in both cases.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub fn into_fd(self) -> Result<std::os::fd::OwnedFd, Error> {
        let Backend::File(file) = &self.inner.backend else { return Err(self.no_file(Operation::Adopt)) };
        let busy = || self.inner.busy(Operation::Adopt);
        if Arc::strong_count(&self.inner) > 1 {
            return Err(busy());
        }
        file.take().ok_or_else(busy)
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    fn no_file(&self, what: Operation) -> Error {
        self.inner.error(ErrorKind::Unsupported, what).hint("a simulated device has no file")
    }

    /// Whether its reads return a stream of bytes, in which one read may return half of a message and the next one the
    /// other half. That is so for a terminal, a pipe or FIFO, and a stream socket; on Windows for a serial port and a
    /// pipe in byte mode. A read of another device returns whole messages, reports or records. A simulated device has
    /// messages. For files and disks it is false.
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

    /// The path or name by which it was opened.
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

/// How long the last owner's drop waits for threads inside the device. A driver might never return.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

impl Inner {
    /// Enters the device, unless the last owner is gone.
    #[inline]
    pub(crate) fn enter<'a>(self: &'a Arc<Self>) -> Option<Entered<'a>> {
        self.gate.enter().then(|| Entered(self))
    }

    /// The device, in the form in which its port lists it.
    pub(crate) fn listed(self: &Arc<Self>) -> Weak<dyn port::Device> {
        Arc::downgrade(self) as Weak<Self>
    }

    /// Runs `run` inside the device, if it is still open.
    pub(crate) fn inside(device: &Weak<Self>, run: impl FnOnce(&Arc<Self>)) {
        if let Some(device) = device.upgrade()
            && let Some(device) = device.enter()
        {
            run(&device);
        }
    }

    /// Shuts the gate, and waits up to [`PATIENCE`] until no thread is inside, if this thread may wait. `false`: a
    /// thread is still inside, and the last one that leaves will close the device.
    fn is_empty_for_good(&self) -> bool {
        let must_not_wait = || Port::is_dispatching() || gate::is_inside();
        self.port.is_inherited()
            || self.gate.shut()
            || if must_not_wait() { !self.gate.leave_to_the_last() } else { self.gate.wait(PATIENCE) }
    }

    /// Closes the device, or leaves that to the last thread inside.
    fn last_owner_is_gone(self: &Arc<Self>) {
        if !self.is_empty_for_good() {
            return;
        }
        if Port::is_dispatching() {
            self.close_elsewhere();
        } else {
            let _ = self.close_now();
        }
    }

    /// For [`Closing`]: the last owner is gone, and this thread may wait. `None`: a thread is still inside, and will
    /// close the device.
    pub(crate) fn shut_and_close(self: &Arc<Self>) -> Option<Result<(), Error>> {
        self.is_empty_for_good().then(|| self.close_now())
    }

    fn close_elsewhere(self: &Arc<Self>) {
        let inner = self.clone();
        off_the_dispatcher(move || drop(inner.close_now()));
    }

    /// Closes the handle. No thread is inside the device, and it has no owner any more.
    fn close_now(&self) -> Result<(), Error> {
        if self.port.is_inherited() {
            // The child of a fork closes its copy of the handle without taking a lock: threads of the parent may have
            // held the locks during the fork.
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

    /// Marks every operation in flight as cancelled.
    fn note_cancellations(&self) {
        for (operation, slot) in self.in_flight() {
            slot.cancelled.store(operation.generation(), Release);
        }
    }

    /// The operations in flight, with their slots.
    fn in_flight(&self) -> impl Iterator<Item = (InFlight, &Slot)> {
        let own = self.port.slab.iter().filter(|(_, slot)| slot.device() == self.id);
        own.filter_map(|(index, slot)| Some((InFlight::new(index, slot.machine.in_flight()?), slot)))
    }

    /// Checks whether this device allows the operation here.
    #[inline]
    pub(crate) fn check(&self, what: What) -> Result<(), Error> {
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
        let no_memory = || self.error(ErrorKind::Other, what.operation()).hint("out of memory: wait until others end");
        let (index, slot) = self.port.slab.take().ok_or_else(no_memory)?;
        // SAFETY: this thread took the slot from the pool, and the operation has not begun.
        if !unsafe { slot.prepare(&self.port.slab, self.id, what, input, output_len) } {
            self.port.slab.give_back(slot, index, crate::operation::slot::Recycle::Pool);
            return Err(no_memory());
        }
        Ok(self.begin(index, slot, what, waiter))
    }

    /// Submits a prepared operation.
    #[inline]
    pub(crate) fn begin(self: &Arc<Self>, index: u32, slot: &Slot, what: What, waiter: Option<Waiter>) -> Submitted {
        #[cfg(windows)]
        self.port.take_strays();
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
                // A promise that came before the driver had the operation could not cancel it: cancel it now.
                if what == What::STREAM_READ && self.unread.any() && self.unread.is_promised(operation) {
                    self.cancel_pinned(operation);
                }
                Submitted::Pending(operation)
            }
            Some((status, information)) => Submitted::Final(operation, status, information),
        }
    }

    /// Gives an operation that has begun to its driver. `Some`: it is final.
    #[inline]
    fn hand_over(&self, operation: InFlight, slot: &Slot, what: What) -> Option<(Status, usize)> {
        match &self.backend {
            Backend::Simulated(file) => file.submit(&self.port, operation, slot, what),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => {
                // SAFETY: the slot is prepared, its operation has begun, and a slot outlives its operation: a port that
                // is dropped before that leaks the slot's memory.
                let ended = unsafe { file.submit(operation, slot, what.operation()) };
                #[cfg(windows)]
                if ended.is_some() {
                    self.port.stray_is_due();
                }
                ended
            }
            #[cfg(windows)]
            Backend::Event(event) => event.submit(operation),
        }
    }

    /// The last owner takes the handle. `None`: a thread is still inside, and will close the device.
    #[cfg(windows)]
    pub(crate) fn shut_and_take(self: &Arc<Self>) -> Option<std::os::windows::io::OwnedHandle> {
        if !self.is_empty_for_good() {
            return None;
        }
        let handle = self.file().and_then(crate::completers::windows::File::take);
        // This does the rest of closing; the handle is gone already.
        let _ = self.close_now();
        handle
    }

    /// The file of a real device.
    #[cfg(windows)]
    pub(crate) fn file(&self) -> Option<&crate::completers::windows::File> {
        match &self.backend {
            Backend::File(file) => Some(file),
            _ => None,
        }
    }

    /// The owner of a call cancels it. Nobody else can release the slot meanwhile, so its address names this call.
    pub(crate) fn cancel(&self, operation: InFlight) {
        self.ask_to_cancel(operation, self.port.slot(operation));
    }

    /// Cancels a call for a thread that does not own it.
    pub(crate) fn cancel_pinned(&self, operation: InFlight) {
        let slot = self.port.slot(operation);
        if slot.machine.pin(operation.generation()) {
            // The slot may have been found by a search, and have an operation of another device by now.
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
                // SAFETY: the caller holds the operation, as its owner or with a pin, so the address is not used again.
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
        self.note_cancellations();
        match &self.backend {
            Backend::Simulated(_) => self.in_flight().for_each(|(operation, _)| self.cancel_pinned(operation)),
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.cancel_all(),
            #[cfg(windows)]
            Backend::Event(event) => event.cancel_all(),
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind, what: Operation) -> Error {
        Error::new(kind, what).on(&self.name)
    }

    /// The error for a caller that wants the device for itself.
    pub(crate) fn busy(&self, what: Operation) -> Error {
        self.error(ErrorKind::Busy, what)
            .hint("drop its other clones, calls and streams first: each keeps the device open")
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
