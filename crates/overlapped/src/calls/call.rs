//! One operation in flight: await it, wait for it, or drop it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::finish;
use crate::calls::reply::sealed::Done;
use crate::device::{self, Handle};
use crate::operation::slot::Progress;
use crate::port::{self, Slot, Waiter, Whose};
use crate::words::error::STREAM_READ;
use crate::words::token::InFlight;
use crate::{Error, ErrorKind, Operation, Output, Port, Reply, Status};

/// One call to a driver, submitted already.
///
/// `.await` it on any executor, [`wait`](Self::wait) on this thread, or hand it to a callback with [`then`](Self::then).
/// Dropping it cancels it and returns at once; its memory stays until the driver is done with it.
///
/// ```
/// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
/// # fn echo(mut request: sim::Request) -> sim::Outcome {
/// #     let input: Vec<u8> = request.input().to_vec();
/// #     request.write(&input);
/// #     request.complete(Status::SUCCESS)
/// # }
/// # let device = Device::simulated(sim::from_fn(echo))?;
/// // SAFETY: the simulated driver of this example echoes its input, and never writes more than it is given.
/// const ECHO: Ioctl<u32, u32> =
///     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x800, Method::Buffered, Access::Any)) };
/// let call = device.call(ECHO, &7);
/// assert_eq!(*call.wait()?, 7);
/// # Ok::<(), overlapped::Error>(())
/// ```
///
/// # In `select!`
/// A call that loses a race is dropped, and that cancels it; but it may have had its result. The bytes of a read of a
/// stream then go to the device's next read, or standing read, in order: nothing is lost. The answer of a control code or
/// an ioctl has nobody to go to: it is dropped, and counted in
/// [`PortStats::lost_results`](crate::PortStats::lost_results). To lose none of those, keep the call and poll it again:
///
/// ```
/// # use overlapped::{sim::Script, Access, CtlCode, Device, Error, Ioctl, Method, Port, Status};
/// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
/// # // SAFETY: a scripted device writes no more than it is given room for.
/// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
/// # let script = Script::new("card").pend(CODE);
/// # let card = Device::simulated(script.clone())?;
/// # async fn tick() {}
/// # async fn example(card: &Device, script: &Script) -> Result<(), Error> {
/// let mut change = card.call(WAIT_CHANGE, &());
/// let levels = loop {
///     // `&mut`: the loser stays what it is.
///     match futures::future::select(&mut change, Box::pin(tick())).await {
///         futures::future::Either::Left((levels, _)) => break *levels?,
///         futures::future::Either::Right(_) => println!("still nothing"),
///     }
/// #   script.complete(CODE, Status::SUCCESS, 5_u32.to_ne_bytes());
/// };
/// assert_eq!(levels, 5);
/// # Ok(()) }
/// # Port::global()?.block_on(example(&card, &script))??;
/// # Ok::<(), Error>(())
/// ```
#[must_use = "a call that is dropped is cancelled"]
pub struct Call<Out: Output + ?Sized> {
    /// `None` when the result was taken. Two words that travel in registers: a call is moved a lot, and what is written in
    /// two pieces and read back in one waits for the processor.
    pending: Option<Pending>,
    output: PhantomData<fn() -> Box<Out>>,
}

const _: () = assert!(size_of::<Option<Pending>>() <= 2 * size_of::<u64>());

/// A call the driver has, or has ended already. It keeps the handle open, as a device does.
pub(crate) struct Pending {
    pub(super) device: Arc<Handle>,
    /// [`InFlight::NONE`] when it is somebody else's; or of one that was refused, which the driver has never seen, and whose
    /// handle says why.
    pub(super) operation: InFlight,
}

impl<Out: Output + ?Sized> Unpin for Call<Out> {}

impl<Out: Output + ?Sized> Call<Out> {
    #[cold]
    pub(crate) fn refused(error: Error, device: Arc<device::Inner>) -> Self {
        Self::submitted(Arc::new(Handle::refusing(device, error)), InFlight::NONE)
    }

    #[inline]
    pub(crate) fn submitted(device: Arc<Handle>, operation: InFlight) -> Self {
        Self { pending: Some(Pending::new(device, operation)), output: PhantomData }
    }

    /// Waits on this thread until the driver completes the call. On a manual port it handles the port's completions
    /// meanwhile, unless another thread does; callbacks that come up are left to the next [`poll`](crate::Port::poll).
    ///
    /// # Errors
    /// What the driver says; [`ErrorKind::Truncated`] when it wrote no whole record; [`ErrorKind::Deadlock`], with the
    /// call cancelled, when this is the thread that would have to dispatch the completion.
    #[inline]
    pub fn wait(self) -> Result<Reply<Out>, Error> {
        match self.pending.as_ref().and_then(Pending::plain_success) {
            Some(information) => self.take_plain(information),
            None => self.wait_for_it(),
        }
    }

    /// The reply of a [`plain_success`](Pending::plain_success).
    #[inline]
    fn take_plain(self, information: usize) -> Result<Reply<Out>, Error> {
        let Some(mut pending) = self.pending else { return Err(taken_before()) };
        let operation = std::mem::replace(&mut pending.operation, InFlight::NONE);
        let port = &pending.device.port;
        let slot = port.slot(operation);
        let what = slot.what();
        match Out::take(Done { port, slot, operation, information }) {
            Ok(held) => Ok(Reply::new(held, Status::SUCCESS, information)),
            Err(bytes) => Err(finish::truncated(what.operation(), &pending.device.name, &bytes)),
        }
    }

    #[inline(never)]
    fn wait_for_it(mut self) -> Result<Reply<Out>, Error> {
        if !self.is_pending() {
            return self.take();
        }
        match self.deadlock() {
            Some(deadlock) => Err(deadlock),
            None => self.drive(None).expect("there is no deadline"),
        }
    }

    /// Waits on this thread, at most for `timeout`; then the call is cancelled, and its end is awaited. A result that had
    /// happened by then is still returned.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// let error = card.call(WAIT_CHANGE, &()).wait_timeout(Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`wait`](Self::wait); and [`ErrorKind::TimedOut`]. A driver that does not react to the cancellation keeps the
    /// call's memory; its caller it keeps no longer than [`Port::GRACE_PERIOD`](crate::Port::GRACE_PERIOD).
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Reply<Out>, Error> {
        if !self.is_pending() {
            return self.take();
        }
        // A thread that waits keeps its time itself.
        let Some(at) = Instant::now().checked_add(timeout) else { return self.wait() };
        if let Some(deadlock) = self.deadlock() {
            return Err(deadlock);
        }
        if let Some(reply) = self.drive(Some(at)) {
            return reply;
        }
        let grace = self.overdue();
        self.drive(Some(grace)).unwrap_or_else(|| Err(self.expired()))
    }

    /// Cancels the call when it is still pending after `timeout`. It then ends with [`ErrorKind::TimedOut`], or with its
    /// result if that had happened. A driver that does not react to the cancellation is given up after
    /// [`Port::GRACE_PERIOD`](crate::Port::GRACE_PERIOD). The port's dispatcher keeps the time; no runtime is needed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// # async fn example(card: &Device) -> Result<(), overlapped::Error> {
    /// match card.call(WAIT_CHANGE, &()).timeout(Duration::from_millis(5)).await {
    ///     Ok(levels) => println!("{:#x}", *levels),
    ///     Err(error) if error.kind() == ErrorKind::TimedOut => println!("nothing has changed"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(()) }
    /// # overlapped::Port::global()?.block_on(example(&card))??;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        if let Some(pending) = self.submission()
            && !pending.is_complete()
        {
            pending.timeout(timeout);
        }
        self
    }

    /// Asks the driver to cancel the call, which then ends in its own way: await or wait for the truth. It may have
    /// happened all the same.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script)?;
    /// let change = card.call(WAIT_CHANGE, &());
    /// change.cancel();
    /// match change.wait() {
    ///     Ok(levels) => println!("it had happened: {:#x}", *levels),
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn cancel(&self) {
        if let Some(pending) = self.submission()
            && !pending.is_complete()
        {
            pending.cancel();
        }
    }

    /// Calls `callback` with the result, on the thread that dispatches the port; never before this returns on that
    /// thread, and never on the thread of a driver. What the callback does holds up other completions: let it be short.
    /// A panic in it is caught, and counted in [`PortStats::panics`](crate::PortStats::panics). In the child of a fork, where
    /// nobody dispatches its parent's port, it is called at once, with the error.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated(script.clone())?;
    /// # let (tell, told) = std::sync::mpsc::channel();
    /// card.call(WAIT_CHANGE, &()).then(move |change| match change {
    ///     Ok(levels) => tell.send(*levels).unwrap_or_default(),
    ///     Err(error) => eprintln!("{error}"),
    /// });
    /// # script.complete(CODE, overlapped::Status::SUCCESS, 5_u32.to_ne_bytes());
    /// # assert_eq!(told.recv(), Ok(5));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// The callback gets those of [`wait`](Self::wait) and [`timeout`](Self::timeout).
    ///
    /// # Closing
    /// The call does not keep the device open: when the last device, call and stream are gone, what the closing makes
    /// of it is its result.
    pub fn then(self, callback: impl FnOnce(Result<Reply<Out>, Error>) + Send + 'static) {
        if let Some(pending) = self.pending {
            pending.then(callback);
        }
    }

    /// The call, if the driver has it or had it, and its result was not taken.
    #[inline]
    fn submission(&self) -> Option<&Pending> {
        self.pending.as_ref().filter(|pending| pending.operation != InFlight::NONE)
    }

    /// Whether there is something to wait for.
    fn is_pending(&self) -> bool {
        self.submission().is_some_and(Pending::has_to_wait)
    }

    fn deadlock(&self) -> Option<Error> {
        self.submission()?.deadlock()
    }

    /// Waits on this thread, at most until the deadline.
    fn drive(&mut self, deadline: Option<Instant>) -> Option<Result<Reply<Out>, Error>> {
        let Some(port) = self.submission().map(|pending| pending.device.port.clone()) else { return Some(self.take()) };
        port.drive(deadline, Whose::NOBODY, |cx| self.poll_reply(cx))
    }

    /// The time of the wait is over: asks for the call's cancellation. Returns until when its end is awaited.
    fn overdue(&self) -> Instant {
        if let Some(pending) = self.submission() {
            pending.overdue();
        }
        Instant::now() + Port::GRACE_PERIOD
    }

    /// The driver did not react to the cancellation.
    fn expired(&mut self) -> Error {
        match self.pending.take() {
            Some(pending) if pending.operation != InFlight::NONE => {
                pending.device.error(ErrorKind::TimedOut, pending.what())
            }
            _ => Error::new(ErrorKind::TimedOut, Operation::Poll),
        }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply<Out>, Error>> {
        if let Some(pending) = self.submission() {
            if let Some(error) = pending.inherited() {
                return Poll::Ready(Err(error));
            }
            match pending.progress(cx) {
                Progress::Pending => return Poll::Pending,
                Progress::Complete if pending.is_preceded() => {
                    // For no longer than the dispatcher needs to handle what is there: look again.
                    std::thread::yield_now();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Progress::Complete => {}
                Progress::Expired => {
                    let expired = Err(pending.device.error(ErrorKind::TimedOut, pending.what()));
                    self.pending = None;
                    return Poll::Ready(expired);
                }
            }
        }
        Poll::Ready(self.take())
    }

    /// The result of a call that is not pending any more.
    fn take(&mut self) -> Result<Reply<Out>, Error> {
        match self.pending.take() {
            Some(pending) => match pending.refusal() {
                Some(error) => Err(error),
                None => pending.take_here(),
            },
            None => Err(taken_before()),
        }
    }
}

impl<Out: Output + ?Sized> Future for Call<Out> {
    type Output = Result<Reply<Out>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_reply(cx)
    }
}

impl Pending {
    pub(crate) fn progress(&self, cx: &Context<'_>) -> Progress {
        let slot = self.slot();
        let progress = slot.machine.wait(
            |waiter| matches!(waiter, Waiter::Wake(waker) if waker.will_wake(cx.waker())),
            || Waiter::Wake(cx.waker().clone()),
        );
        if progress == Progress::Pending && !self.device.port.is_attended_here(cx) {
            self.device.port.unattended(slot, self.operation);
        }
        progress
    }

    /// The time of whoever waits is over: the operation is cancelled because of that.
    pub(crate) fn overdue(&self) {
        if self.slot().machine.set_overdue(self.operation.generation()) {
            self.cancel();
        }
    }

    #[inline]
    pub(crate) fn new(device: Arc<Handle>, operation: InFlight) -> Self {
        Self { device, operation }
    }

    #[inline]
    pub(super) fn slot(&self) -> &Slot {
        self.device.port.slot(self.operation)
    }

    fn what(&self) -> Operation {
        self.slot().operation()
    }

    #[inline]
    fn is_complete(&self) -> bool {
        self.slot().machine.is_complete()
    }

    /// Why the driver has never seen it.
    fn refusal(&self) -> Option<Error> {
        if self.operation == InFlight::NONE { self.device.refusal.clone() } else { None }
    }

    /// The byte count, if it has ended in a success, about which there is nothing more to be said.
    fn plain_success(&self) -> Option<usize> {
        if self.operation == InFlight::NONE {
            return None;
        }
        let slot = self.slot();
        if !slot.machine.is_complete() || self.device.unread.any() || self.device.port.is_inherited() {
            return None;
        }
        // SAFETY: the result is published, and this is its owner.
        let (status, information) = unsafe { slot.status() };
        (status == Status::SUCCESS && slot.is_plain()).then_some(information)
    }

    /// Whether there is something to wait for.
    #[inline]
    fn has_to_wait(&self) -> bool {
        !self.is_complete() || self.is_preceded()
    }

    /// Whether a read before it was given up, and is not over: what that one brings comes first. Whoever dispatches does
    /// not wait for that.
    #[inline]
    pub(crate) fn is_preceded(&self) -> bool {
        self.device.unread.any() && self.is_preceded_by_some()
    }

    #[inline(never)]
    fn is_preceded_by_some(&self) -> bool {
        self.what() == STREAM_READ
            && !self.was_cancelled()
            && self.device.unread.is_preceded(self.slot().place())
            && !self.device.port.is_dispatched_here()
    }

    /// Whether it ended as cancelled, so that it has nothing of its own that must not come first.
    fn was_cancelled(&self) -> bool {
        // SAFETY: the result is published, and this is its owner.
        self.is_complete() && unsafe { self.slot().status() }.0.kind() == ErrorKind::Cancelled
    }

    pub(crate) fn cancel(&self) {
        if self.device.port.is_inherited() {
            return;
        }
        self.device.cancel(self.operation);
    }

    /// Has the port's dispatcher cancel the operation after so long.
    pub(crate) fn timeout(&self, timeout: Duration) {
        if let Some(at) = Instant::now().checked_add(timeout)
            && !self.device.port.is_inherited()
        {
            self.device.port.at(at, self.operation, self.device.listed());
        }
    }

    pub(crate) fn port(&self) -> Arc<port::Inner> {
        self.device.port.clone()
    }

    /// In the child of a fork, the error of a call that its parent waits for.
    pub(crate) fn inherited(&self) -> Option<Error> {
        self.device.port.is_inherited().then(|| self.inherited_error())
    }

    #[cold]
    fn inherited_error(&self) -> Error {
        port::inherited(self.what()).on(&self.device.name)
    }

    pub(crate) fn deadlock(&self) -> Option<Error> {
        if let Some(inherited) = self.inherited() {
            return Some(inherited);
        }
        (self.device.port.must_not_wait_here() && !self.is_complete()).then(|| {
            self.device
                .error(ErrorKind::Deadlock, self.what())
                .hint("this thread dispatches completions; await the call instead")
        })
    }

    /// [`take`](Self::take); in the child of a fork the result is its parent's, and so may be who holds its locks.
    #[inline]
    fn take_here<Out: Output + ?Sized>(self) -> Result<Reply<Out>, Error> {
        if self.device.port.is_inherited() { Err(self.inherited_error()) } else { self.take() }
    }

    /// The result, once it is published.
    #[inline]
    fn take<Out: Output + ?Sized>(mut self) -> Result<Reply<Out>, Error> {
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let (port, name) = (&self.device.port, &self.device.name);
        let slot = port.slot(operation);
        self.device.settle(slot, operation);
        // SAFETY: the result is published and this call owned the operation.
        unsafe { published(port, slot, name, operation) }
    }

    /// Leaves the call to its completion, which then runs the callback.
    fn then<Out: Output + ?Sized>(mut self, callback: impl FnOnce(Result<Reply<Out>, Error>) + Send + 'static) {
        if let Some(error) = self.refusal().or_else(|| self.inherited()) {
            return self.device.port.run(Box::new(move || callback(Err(error))));
        }
        let (what, name, unread) = (self.what(), self.device.name.clone(), self.device.unread.clone());
        let device = Arc::downgrade(&**self.device);
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let run = move |port: &Arc<port::Inner>, operation: InFlight| {
            // An expired call is left to its packet, unless that has come since.
            let slot = port.slot(operation);
            callback(if slot.machine.abandon(operation.generation()) {
                if unread.any() {
                    device::Inner::inside(&device, |device| device.settle(slot, operation));
                }
                // SAFETY: the result is published, and the call gave the operation to this callback.
                unsafe { published(port, slot, &name, operation) }
            } else {
                if unread.any() {
                    device::Inner::inside(&device, |device| device.withdraw(operation));
                }
                Err(Error::new(ErrorKind::TimedOut, what).on(&name))
            });
        };
        let port = self.device.port.clone();
        let machine = &port.slot(operation).machine;
        let to_deliver = match machine.register(Waiter::Callback(Box::new(run))) {
            Ok(Progress::Pending) => return port.unattended(port.slot(operation), operation),
            Err(waiter) => Some(waiter),
            // The time is over; unless a result has come since, whose packet has the callback.
            Ok(_) => machine.take_waiter(operation.generation()),
        };
        if let Some(waiter) = to_deliver {
            port.deliver(waiter, operation);
        }
    }
}

#[cold]
fn taken_before() -> Error {
    Error::new(ErrorKind::InvalidInput, Operation::Poll)
        .hint("the call's result was taken before; do not poll a future again after it was ready")
}

/// Takes the result of an operation.
///
/// # Safety
/// The result is published, and the caller owns the operation, which has this slot.
#[inline]
unsafe fn published<Out: Output + ?Sized>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
) -> Result<Reply<Out>, Error> {
    // SAFETY: the caller's promise.
    let ended = unsafe { slot.status() };
    if ended.0 == Status::CANCELLED && slot.machine.is_overdue() {
        return Err(timed_out(port, slot, name, operation));
    }
    finish::finish(port, slot, name, operation, ended)
}

/// The error of an operation that was cancelled because its time was over. Releases its slot.
#[cold]
fn timed_out(port: &port::Inner, slot: &Slot, name: &Arc<str>, operation: InFlight) -> Error {
    let error = Error::new(ErrorKind::TimedOut, slot.operation()).on(name);
    port.release_slot(slot, operation);
    error
}

impl Drop for Pending {
    #[inline]
    fn drop(&mut self) {
        if self.operation != InFlight::NONE {
            self.leave();
        }
    }
}

impl Pending {
    /// The owner leaves, without the result.
    #[inline(never)]
    fn leave(&mut self) {
        // In the child of a fork the operation is its parent's; and a thread that is not there may hold its locks.
        if self.device.port.is_inherited() {
            return;
        }
        let slot = self.slot();
        let what = slot.operation();
        // First ask, while the slot is still this call's own: a later cancel would hit the slot's next call.
        if !slot.machine.is_complete() {
            self.device.cancel(self.operation);
        }
        drop(slot.machine.take_waiter(self.operation.generation()));
        // One that may bring bytes still is waited for by those after it; unless the driver had a second to end it.
        let is_orphan =
            what == STREAM_READ && !slot.machine.is_complete() && !slot.has_nothing() && !slot.machine.is_expired();
        if is_orphan {
            self.device.unread.orphan(self.operation, || slot.place().number);
        }
        if slot.machine.abandon(self.operation.generation()) {
            if !is_orphan {
                self.device.settle(slot, self.operation);
            }
            self.device.left_over(slot, self.operation);
            self.device.port.release(self.operation);
        } else {
            if what == STREAM_READ {
                self.device.withdraw(self.operation);
            }
            self.device.port.abandoned(slot, self.operation);
        }
    }
}

impl<Out: Output + ?Sized> fmt::Debug for Call<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Call");
        match (self.submission(), self.pending.as_ref().and_then(Pending::refusal)) {
            (Some(pending), _) => {
                let state = if pending.is_complete() { "ready" } else { "pending" };
                f.field("operation", &pending.what()).field("state", &state)
            }
            (None, Some(error)) => f.field("state", &"ready").field("error", &error),
            (None, None) => f.field("state", &"taken"),
        };
        f.finish_non_exhaustive()
    }
}
