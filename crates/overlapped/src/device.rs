//! Devices: an open handle, or a simulated driver, and the port its completions go to.
//!
//! On this floor an operation is submitted, cancelled and over. What was asked for, and what is made of the answer, is the
//! calls'.

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
/// The handle is closed when the last clone, the last [`Call`](crate::Call) that waits and the last
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

impl Submitted {
    /// The operation. A result that it had at once is published.
    #[inline]
    pub(crate) fn published(self, port: &port::Inner) -> InFlight {
        match self {
            Self::Pending(operation) => operation,
            Self::Final(operation, status, information) => {
                // SAFETY: final at return: the operation is finished and its submitter's, which has not let go of this.
                unsafe { port.slot(operation).ended_at_once(operation.generation(), status, information) };
                operation
            }
        }
    }
}

impl Device {
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
        self.port.is_inherited()
            || self.gate.shut()
            || if must_not_wait() { !self.gate.leave_to_the_last() } else { self.gate.wait(PATIENCE) }
    }

    /// Closes the device, if nobody is inside; else waits for that, or leaves it to them.
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

    /// For [`Closing`]: the last owner is gone, and this thread may wait. `None`: somebody inside closes it, and has not
    /// come out.
    pub(crate) fn shut_and_close(self: &Arc<Self>) -> Option<Result<(), Error>> {
        self.is_empty_for_good().then(|| self.close_now())
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

    /// Notes that every operation in flight is being cancelled.
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

    /// Whether there can be such an operation here.
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
        let no_memory = || self.error(ErrorKind::Other, what.operation()).hint("there is no memory for the buffers");
        let (index, slot) = self.port.slab.take().ok_or_else(no_memory)?;
        // SAFETY: this thread took the slot from the pool and has not begun.
        if !unsafe { slot.prepare(&self.port.slab, self.id, what, input, output_len) } {
            self.port.slab.give_back(slot, index, crate::operation::slot::Recycle::Pool);
            return Err(no_memory());
        }
        Ok(self.begin(index, slot, what, waiter))
    }

    /// Submits an operation that is prepared.
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
            Backend::File(file) => {
                // SAFETY: the slot is prepared, its operation has begun, and a slot outlives its operation: a port that
                // goes before it leaves the slot's memory behind.
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
            Backend::Simulated(_) => self.in_flight().for_each(|(operation, _)| self.cancel_pinned(operation)),
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
