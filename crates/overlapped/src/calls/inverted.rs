//! The inverted call: a stream that keeps calls pending, so that the driver always has one to complete.
//!
//! ```text
//!   consumer          dispatcher                         driver
//!                                    ◄── pending 1, 2 ──  (two calls wait in its queue)
//!                     packet 1       ◄── completes 1  ──  edge!
//!                     submits 3      ──────────────────►  (again two wait: no gap)
//!   next() ◄── 1 ──   wakes
//! ```
//!
//! The dispatcher submits the next call *before* it wakes the consumer. While the window of results that nobody has
//! taken is full, nothing is submitted; the consumer then submits as it takes.

mod ring;
mod subscription;

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use ring::{After, Calls, End, Order, Pop, Ring, Submission};

pub use subscription::Subscription;

use super::finish;
use crate::device::{self, Device, Handle, Submitted};
use crate::operation::Ended;
use crate::operation::slab::What;
use crate::operation::unread::Unread;
use crate::operation::waiter::{Arrival, Number};
use crate::port::{self, Waiter, Whose};
use crate::system::sync::lock_std as lock;
use crate::words::error::STREAM_READ;
use crate::words::token::InFlight;
use crate::{Error, ErrorCode, ErrorKind, Input, Ioctl, Operation, Output, Reply, Status};

/// After this many failures in a row the stream ends, even if the caller lets it go on after each. Otherwise a driver
/// that fails each call at once would be called without a pause.
const FAILURES: u32 = 64;

/// After this many ready items in a row the stream yields, so that a busy driver does not starve other tasks.
const BUDGET: u32 = 32;

/// A stream of the results of pending calls; made by [`Device::inverted`](crate::Device::inverted).
///
/// It is a [`Stream`], has a cancel-safe [`next`](Self::next), a [`wait_next`](Self::wait_next) for a thread, and a
/// [`for_each`](Self::for_each) for a callback. The first failure is the last item: it comes after all results before
/// it, and says why the stream ends. With [`go_on_after`](InvertedCallBuilder::go_on_after) some failures do not end
/// it; 64 failures in a row always do. The guide says why calls are kept pending, in which order results come, and what
/// a slow consumer meets: [the inverted call](crate::guide::inverted_call).
///
/// ```
/// # use overlapped::{sim, Access, CtlCode, Device, Ioctl, Method, Status};
/// # let left = std::sync::atomic::AtomicU32::new(3);
/// # let driver = sim::from_fn(move |mut request| {
/// #     match left.fetch_update(
/// #         std::sync::atomic::Ordering::SeqCst,
/// #         std::sync::atomic::Ordering::SeqCst,
/// #         |n| n.checked_sub(1),
/// #     ) {
/// #         Ok(n) => { request.write(&n.to_ne_bytes()); request.complete(Status::SUCCESS) }
/// #         Err(_) => request.complete(Status::DEVICE_NOT_CONNECTED),
/// #     }
/// # });
/// # // SAFETY: the simulated driver of this example writes one `u32`.
/// # const WAIT: Ioctl<(), u32> =
/// #     unsafe { Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any)) };
/// let device = Device::simulated(driver)?;
/// let mut events = device.inverted(WAIT, &()).pending(4).window(16).start();
/// while let Some(event) = events.wait_next() {
///     match event {
///         Ok(count) => println!("{}", *count),
///         Err(error) => assert_eq!(error.kind(), overlapped::ErrorKind::Disconnected),
///     }
/// }
/// # Ok::<(), overlapped::Error>(())
/// ```
#[must_use = "a stream that is dropped cancels its calls"]
pub struct InvertedCall<Out: Output + ?Sized> {
    ring: Arc<Ring<StreamCalls>>,
    /// Keeps the handle open; the calls in flight do not.
    device: Arc<Handle>,
    ready_in_a_row: u32,
    /// When the last item was taken, no further one was ready.
    was_last: bool,
    /// In the child of a fork: the consumer got its error.
    is_over: bool,
    out: PhantomData<fn() -> Box<Out>>,
}

/// Sets up an [`InvertedCall`]; [`start`](Self::start) submits the calls. `In` is the input that the control code
/// reads: `()` for none, and for operations other than control codes.
///
/// ```no_run
/// # fn example(device: &overlapped::Device, wait: overlapped::Ioctl<(), u32>) {
/// let events = device.inverted(wait, &()).pending(4).start();
/// # }
/// ```
#[must_use = "nothing is submitted before `start`"]
pub struct InvertedCallBuilder<Out: Output + ?Sized, In: ?Sized = ()> {
    device: Arc<Handle>,
    calls: StreamCalls,
    pending: usize,
    window: usize,
    order: Order,
    types: PhantomData<fn(&In) -> Box<Out>>,
}

type GoOn = Box<dyn Fn(&Error) -> bool + Send + Sync>;

/// The figures of an [`InvertedCall`]; they outlive it.
///
/// ```no_run
/// # fn example(events: overlapped::InvertedCall<u32>) {
/// let tally = events.tally();
/// drop(events);
/// while tally.calls_in_flight() > 0 { /* the driver has not let go yet */ }
/// assert!(tally.delivered_calls() + tally.discarded_calls() <= tally.submitted_calls());
/// println!("{} bytes came and were never taken", tally.discarded_bytes());
/// # }
/// ```
#[derive(Clone)]
pub struct Tally(Arc<Ring<StreamCalls>>);

/// Ends an [`InvertedCall`] from another thread, for example from a signal handler's.
///
/// ```no_run
/// # fn example(mut events: overlapped::InvertedCall<u32>) {
/// let stopper = events.stopper();
/// std::thread::spawn(move || stopper.stop());
/// while let Some(event) = events.wait_next() { /* … */ }
/// # }
/// ```
#[derive(Clone)]
pub struct Stopper(Arc<Ring<StreamCalls>>);

impl Stopper {
    /// Ends the stream: asks the driver to cancel the pending calls. Results that came before are still delivered, then
    /// the reason, [`ErrorKind::Cancelled`]. It does nothing to a stream that has ended or is dropped. The end comes
    /// when the driver has let go of the last call; dropping the stream does not wait for that.
    pub fn stop(&self) {
        // In the child of a fork the stream belongs to the parent, and a thread of the parent may hold its lock.
        if !self.0.calls.is_inherited() {
            self.0.stop(Status::CANCELLED);
        }
    }
}

/// The calls of one stream.
struct StreamCalls {
    what: Operation,
    /// The device's name, for errors. (The calls must not keep the device open.)
    name: Arc<str>,
    input: Box<[u8]>,
    next_input: Option<Mutex<NextInput>>,
    output_len: Option<u32>,
    /// Checks that the bytes of a result are whole records.
    is_whole: fn(&[u8]) -> bool,
    go_on_after: Option<GoOn>,
    /// How many failures came since the last result.
    failures: AtomicU32,
    /// Bytes that came back from dropped reads.
    unread: Arc<Unread>,
    device: Weak<device::Inner>,
    port: Weak<port::Inner>,
    /// The stream is dropped: no callback of the caller runs any more.
    is_closed: AtomicBool,
    /// Only waiting threads take from the stream, so the dispatcher does not serve its calls.
    by_consumer: AtomicBool,
}

/// Makes the next call's input from the last result. A stream that has this keeps one call pending.
struct NextInput {
    make: MakeInput,
    bytes: Vec<u8>,
}

type MakeInput = Box<dyn FnMut(&[u8], &mut Vec<u8>) + Send>;

impl StreamCalls {
    /// A read is over. Bytes that came back earlier replace its own. Returns how the read ends after that.
    fn settle(&self, port: &port::Inner, operation: InFlight, ended: Ended) -> Ended {
        if self.what != STREAM_READ || !self.unread.any() {
            return ended;
        }
        let slot = port.slot(operation);
        device::Inner::inside(&self.device, |device| device.settle(slot, operation));
        // SAFETY: the call is over, and this thread owns it.
        unsafe { slot.status() }
    }

    /// A call is over: its result decides the input of the next one.
    fn over(&self, port: &port::Inner, operation: InFlight, (status, information): Ended) {
        let Some(next) = &self.next_input else { return };
        if status.is_error() || self.is_closed.load(SeqCst) {
            return;
        }
        // SAFETY: the call is over, this thread owns it, and its slot is not released before this returns.
        let output = unsafe { port.slot(operation).output(information) };
        let mut next = lock(next);
        let NextInput { make, bytes } = &mut *next;
        // If `make` panics, the input stays as it was.
        port.guarded(|| make(output, bytes));
    }

    /// Whether this is the child of a fork, and the stream belongs to the parent.
    fn is_inherited(&self) -> bool {
        self.port.upgrade().is_some_and(|port| port.is_inherited())
    }

    fn error(&self, status: Status) -> Error {
        Error::from_code(ErrorCode::Status(status), self.what).on(&self.name)
    }

    fn failed_too_often(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES
    }
}

impl Calls for StreamCalls {
    type Device = Arc<device::Inner>;
    type Port = Arc<port::Inner>;
    type Operation = InFlight;

    fn submit(&self, device: &Self::Device, number: u64, ring: &Arc<Ring<Self>>) -> Submission<InFlight> {
        let Some(device) = device.enter() else {
            // Another thread is dropping the stream, and its device is closing.
            return Submission::Refused(self.error(Status::CANCELLED));
        };
        let waiter = Some(Waiter::Arrive(ring.clone(), Number::new(number)));
        let submitted = match &self.next_input {
            None => device.submit(What::of(self.what), &self.input, self.output_len, waiter),
            Some(next) => {
                // Submit outside the lock: the result may arrive, and make the next input, before the submission
                // returns.
                let mut input = std::mem::take(&mut lock(next).bytes);
                let submitted = device.submit(What::of(self.what), &input, self.output_len, waiter);
                let mut next = lock(next);
                if next.bytes.capacity() == 0 {
                    std::mem::swap(&mut next.bytes, &mut input);
                }
                submitted
            }
        };
        match submitted {
            Ok(Submitted::Pending(operation)) => Submission::Pending(operation),
            Ok(Submitted::Final(operation, status, information)) => {
                // Windows may queue a packet for the call. Take the waiter, so that the packet does not find it. If the
                // packet was faster, the call arrives through it.
                let slot = device.port.slot(operation);
                if slot.machine.take_waiter(operation.generation()).is_none() {
                    return Submission::Arriving;
                }
                // From here on a search for pending calls does not find this one.
                // SAFETY: final at return, and no packet has it, so this thread owns the operation.
                unsafe { slot.ended_at_once(operation.generation(), status, information) };
                let ended = self.settle(&device.port, operation, (status, information));
                self.over(&device.port, operation, ended);
                Submission::Done(operation, ended)
            }
            Err(error) => Submission::Refused(error),
        }
    }

    fn cancel(&self, device: &Self::Device, operation: InFlight) {
        if let Some(device) = device.enter() {
            device.cancel_pinned(operation);
        }
    }

    fn is_attended(&self, port: &Self::Port) -> bool {
        !port.has_dispatcher() || self.by_consumer.load(SeqCst) && !self.is_closed.load(SeqCst)
    }

    fn unattended(&self, port: &Self::Port, operation: InFlight) {
        port.unattended(port.slot(operation), operation);
    }

    fn release(&self, port: &Self::Port, operation: InFlight) {
        port.release(operation);
    }

    fn discard(&self, port: &Self::Port, operation: InFlight, information: usize) -> Option<usize> {
        let slot = port.slot(operation);
        // SAFETY: the call is over, this thread owns it, and it is not released before its bytes are counted.
        let bytes = unsafe { slot.output(information) }.len();
        let was_given_on = port.left_over(slot, operation);
        port.release_slot(slot, operation);
        (!was_given_on).then_some(bytes)
    }

    fn orphan(&self, port: &Self::Port, operation: Option<InFlight>) {
        if self.what == STREAM_READ {
            let number = || operation.map_or(0, |operation| port.slot(operation).place().number);
            self.unread.orphan(operation.unwrap_or(InFlight::NONE), number);
        }
    }

    fn submitted(&self, device: &Self::Device) {
        if self.what == STREAM_READ {
            self.unread.resolve(InFlight::NONE);
            if let Some(device) = device.enter() {
                device.offer_unread();
            }
        }
    }

    fn after(&self, port: &Self::Port, operation: InFlight, status: Status, information: usize) -> After {
        if self.what == STREAM_READ && status == Status::END_OF_FILE {
            return After::End(End::Quiet);
        }
        let slot = port.slot(operation);
        let is_bad_warning = status.is_warning() && status != Status::BUFFER_OVERFLOW;
        if status.is_error() || is_bad_warning {
            let error = finish::failure(slot, operation, self.what, status, &self.name);
            let mut may_go_on = false;
            if let Some(go_on) = &self.go_on_after
                && !self.is_closed.load(SeqCst)
            {
                port.guarded(|| may_go_on = go_on(&error));
            }
            return if may_go_on && !self.failed_too_often() { After::GoOn } else { After::End(End::Reason(error)) };
        }
        // SAFETY: the call is over, and this thread owns it.
        let is_whole = || (self.is_whole)(unsafe { slot.output(finish::len_of(self.what, information)) });
        if self.what == STREAM_READ || is_whole() {
            // Read first, since it is nearly always 0.
            if self.failures.load(Relaxed) > 0 {
                self.failures.store(0, Relaxed);
            }
        } else if self.failed_too_often() {
            return After::End(End::Reason(finish::truncated(self.what, &self.name, &[])));
        }
        After::GoOn
    }

    fn end(&self, status: Status) -> End {
        End::Reason(self.error(status))
    }

    fn port<'a>(&self, device: &'a Self::Device) -> &'a Self::Port {
        &device.port
    }

    fn arm_later(&self, port: &Self::Port, ring: &Arc<Ring<Self>>) {
        port.arm_later(ring.clone());
    }
}

impl Arrival<port::Inner> for Ring<StreamCalls> {
    fn arrived(self: Arc<Self>, number: u64, port: &Arc<port::Inner>, operation: InFlight) {
        // SAFETY: the result is published, and this thread owns the operation.
        let ended = unsafe { port.slot(operation).status() };
        let ended = self.calls.settle(port, operation, ended);
        self.calls.over(port, operation, ended);
        Ring::arrived(&self, number, operation, ended, port);
    }

    fn arm_again(self: Arc<Self>) {
        Ring::arm(&self);
    }

    fn calls_back(&self) -> bool {
        (self.calls.next_input.is_some() || self.calls.go_on_after.is_some()) && !self.calls.is_closed.load(SeqCst)
    }
}

impl Device {
    /// Keeps reads of at most `len` bytes pending on a stream of bytes, and delivers each piece that arrives, until the
    /// end of the bytes or a failure. See [`InvertedCall`](crate::InvertedCall).
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
    /// From the stream, as its last item: the errors of [`read`](Self::read).
    pub fn standing_reads(&self, len: usize) -> InvertedCallBuilder<[u8]> {
        InvertedCallBuilder::submitting(
            self.inner.clone(),
            Operation::Read { offset: None },
            &[],
            u32::try_from(len).ok(),
        )
    }

    /// Keeps calls with this code and input pending, so that the driver always has one to complete. Returns a builder:
    /// set it up, [`start`](InvertedCallBuilder::start) it, and take the results from the stream. The guide tells the
    /// [whole story](crate::guide::inverted_call).
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
    /// From the stream, as its last item: the errors of [`call`](Self::call).
    pub fn inverted<In: Input + ?Sized, Out: Output + ?Sized>(
        &self,
        ioctl: Ioctl<In, Out>,
        input: &In,
    ) -> InvertedCallBuilder<Out, In> {
        InvertedCallBuilder::new(self.inner.clone(), ioctl, input.as_bytes())
    }
}

impl<Out: Output + ?Sized, In: ?Sized> InvertedCallBuilder<Out, In> {
    pub(crate) fn new(device: Arc<Handle>, ioctl: Ioctl<In, Out>, input: &[u8]) -> Self {
        Self::submitting(device, Operation::Control(ioctl.code()), input, ioctl.output_len())
    }

    pub(crate) fn submitting(device: Arc<Handle>, what: Operation, input: &[u8], output_len: Option<u32>) -> Self {
        let calls = StreamCalls {
            what,
            name: device.name.clone(),
            input: input.into(),
            next_input: None,
            output_len,
            is_whole: |bytes| Out::view(bytes).is_some(),
            go_on_after: None,
            failures: AtomicU32::new(0),
            unread: device.unread.clone(),
            device: Arc::downgrade(&**device),
            port: Arc::downgrade(&device.port),
            is_closed: AtomicBool::new(false),
            by_consumer: AtomicBool::new(false),
        };
        Self { device, calls, pending: 2, window: 32, order: Order::Submission, types: PhantomData }
    }

    /// How many calls to keep pending: 2 by default, at least 1. Two leave no gap when a driver completes one at a
    /// time. More help when it completes many before this process runs again.
    pub fn pending(mut self, calls: usize) -> Self {
        self.pending = calls.max(1);
        self
    }

    /// How many results may wait to be taken before the stream stops submitting: 32 by default, at least 1.
    pub fn window(mut self, results: usize) -> Self {
        self.window = results.max(1);
        self
    }

    /// Delivers results in the order of completion: for a driver that completes the youngest call first. Without this
    /// they come in the order of submission, and one call that does not complete holds back those after it.
    ///
    /// ```
    /// # fn example(device: &overlapped::Device, wait: overlapped::Ioctl<(), u32>) {
    /// let events = device.inverted(wait, &()).pending(4).completion_order().start();
    /// # }
    /// ```
    pub fn completion_order(mut self) -> Self {
        self.order = Order::Completion;
        self
    }

    /// Submits further calls only while a thread waits for the next result. A program whose threads wait then needs no
    /// dispatcher thread for this stream. Use it for a driver that keeps its results while no call is pending, as a
    /// gpiochip does, or when enough calls are pending until the thread comes back. As soon as a task awaits the
    /// stream, or a callback has it, the dispatcher submits as for any other stream.
    ///
    /// ```
    /// # fn example(device: &overlapped::Device) {
    /// let edges = device.standing_reads(1024).armed_by_consumer().start();
    /// # }
    /// ```
    pub fn armed_by_consumer(mut self) -> Self {
        *self.calls.by_consumer.get_mut() = true;
        self
    }

    /// Keeps one call pending at a time, and calls `next` to make each further input from the last result: for a wait
    /// that carries a number or a position. `next` runs on the dispatcher, before the result is delivered. If it
    /// panics, or the result is less than a record, the input stays as it was.
    ///
    /// ```no_run
    /// # use overlapped::{Device, Ioctl};
    /// # fn example(device: &Device, wait_after: Ioctl<u32, u32>) {
    /// let events = device.inverted(wait_after, &0).input_from(|last| *last).start();
    /// # }
    /// ```
    ///
    /// `next` returns the input type of the code, which the constant's promise is about, or a type that owns it: a
    /// `Vec<u8>` for `[u8]`. Another type does not compile:
    ///
    /// ```compile_fail,E0277
    /// # use overlapped::{Device, Ioctl};
    /// # fn example(device: &Device, wait_after: Ioctl<u32, u32>) {
    /// let events = device.inverted(wait_after, &0).input_from(|last| [*last; 2]).start();
    /// # }
    /// ```
    pub fn input_from<B: Borrow<In>>(mut self, mut next: impl FnMut(&Out) -> B + Send + 'static) -> Self
    where
        In: Input,
    {
        self.pending = 1;
        let make: MakeInput = Box::new(move |output, bytes| {
            if let Some(last) = Out::view(output) {
                let input = next(last);
                bytes.clear();
                bytes.extend_from_slice(input.borrow().as_bytes());
            }
        });
        self.calls.next_input = Some(Mutex::new(NextInput { make, bytes: self.calls.input.to_vec() }));
        self
    }

    /// Lets the stream go on after the failures for which `go_on` is true; such a failure is an item like any other.
    /// Without this the first failure ends the stream. 64 failures in a row end it in any case: otherwise a driver that
    /// fails each call at once would be called for ever. `go_on` runs on the dispatcher; if it panics, the failure is
    /// the end.
    ///
    /// ```
    /// # use overlapped::{Device, ErrorKind, Ioctl};
    /// # fn example(device: &Device, wait: Ioctl<(), u32>) {
    /// // A driver that now and then ends a wait as cancelled, though nobody asked.
    /// let events = device.inverted(wait, &()).go_on_after(|error| error.kind() == ErrorKind::Aborted).start();
    /// # }
    /// ```
    pub fn go_on_after(mut self, go_on: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.calls.go_on_after = Some(Box::new(go_on));
        self
    }

    /// Submits the calls.
    ///
    /// # Errors
    /// From the stream: a call that cannot be submitted ends it, with the reason as its last item.
    pub fn start(self) -> InvertedCall<Out> {
        // Each pending call and each waiting result uses a slot: make enough slots now.
        self.device.port.slab.reserve(self.pending.saturating_add(self.window).min(1 << 16));
        let pending = if self.calls.next_input.is_some() { 1 } else { self.pending };
        let ring = Ring::start(self.calls, Arc::clone(&self.device), pending, self.window, self.order);
        InvertedCall { ring, device: self.device, ready_in_a_row: 0, was_last: false, is_over: false, out: PhantomData }
    }
}

impl<Out: Output + ?Sized> InvertedCall<Out> {
    /// The next result, or `None` after the stream has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The reason for the end, once: the driver's failure, after all results before it. A result that is not a whole
    /// number of records is [`ErrorKind::Truncated`], and does not end the stream unless there are 64 of them in a row.
    pub async fn next(&mut self) -> Option<Result<Reply<Out>, Error>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`next`](Self::next); and [`ErrorKind::Deadlock`], once for each call, on the thread that dispatches the
    /// port.
    pub fn wait_next(&mut self) -> Option<Result<Reply<Out>, Error>> {
        self.wait(None)
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Option<Result<Reply<Out>, Error>> {
        if let Some(deadlock) = self.deadlock() {
            return Some(Err(deadlock));
        }
        let (port, ring) = (self.device.port.clone(), Arc::as_ptr(&self.ring).addr());
        let next = port.drive(deadline, Whose::Of(ring), |cx| self.take(cx));
        next.unwrap_or_else(|| Some(Err(self.device.error(ErrorKind::TimedOut, self.ring.calls.what))))
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// ```
    /// # use overlapped::{ErrorKind, InvertedCall};
    /// # fn example(mut events: InvertedCall<u32>) -> Result<(), overlapped::Error> {
    /// while let Some(event) = events.wait_next_timeout(std::time::Duration::from_secs(1)) {
    ///     match event {
    ///         Ok(levels) => println!("{:#x}", *levels),
    ///         Err(error) if error.kind() == ErrorKind::TimedOut => println!("still nothing"),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and [`ErrorKind::TimedOut`], which does not end the stream: call it again.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Reply<Out>, Error>> {
        self.wait(Instant::now().checked_add(timeout))
    }

    /// The figures of this stream; they outlive it.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally(self.ring.clone())
    }

    /// A [`Stopper`]: it ends the stream from elsewhere while a thread or a task waits for its next item.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.ring.clone())
    }

    fn deadlock(&self) -> Option<Error> {
        (self.device.port.must_not_wait_here() && !self.device.port.is_inherited() && !self.ring.is_ready()).then(
            || {
                self.device
                    .error(ErrorKind::Deadlock, self.ring.calls.what)
                    .hint("this thread dispatches completions; await the stream instead")
            },
        )
    }

    /// [`take`](Self::take) for a task, with a yield after every [`BUDGET`] items.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply<Out>, Error>>> {
        if self.ready_in_a_row >= BUDGET {
            self.ready_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let taken = self.take(cx);
        self.ready_in_a_row = if taken.is_ready() { self.ready_in_a_row + 1 } else { 0 };
        taken
    }

    fn take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply<Out>, Error>>> {
        if self.device.port.is_inherited() {
            // The ring belongs to the parent, and a thread of the parent may hold its lock.
            let told = std::mem::replace(&mut self.is_over, true);
            let error = || Err(port::inherited(self.ring.calls.what).on(&self.device.name));
            return Poll::Ready((!told).then(error));
        }
        let taken = self.ring.take(cx, self.was_last);
        self.was_last = matches!(&taken, Poll::Ready(Pop::Reply(.., next)) if !next.take);
        if taken.is_pending() && !self.device.port.is_attended_here(cx) {
            self.leave_to_the_dispatcher();
        }
        taken.map(|taken| self.item(taken))
    }

    /// From now on a task or a callback takes from the stream, so the dispatcher must serve its calls.
    fn leave_to_the_dispatcher(&self) {
        let calls = &self.ring.calls;
        // The dispatcher serves most streams from the start. The plain load is enough for them.
        if calls.by_consumer.load(Relaxed) && calls.by_consumer.swap(false, SeqCst) {
            let port = &self.device.port;
            self.ring.pending().into_iter().for_each(|call| port.unattended(port.slot(call), call));
        }
    }

    fn item(&self, taken: Pop<InFlight>) -> Option<Result<Reply<Out>, Error>> {
        match taken {
            Pop::Reply(operation, ended, next) => {
                let (port, name) = (&self.device.port, &self.device.name);
                let slot = port.slot(operation);
                let ended = self.ring.calls.settle(port, operation, ended);
                let reply = finish::finish(port, slot, name, operation, ended);
                if next.arm {
                    self.ring.arm();
                }
                Some(reply)
            }
            Pop::End(reason) => Some(Err(reason)),
            Pop::Nothing => None,
        }
    }
}

impl<Out: Output + ?Sized> Drop for InvertedCall<Out> {
    fn drop(&mut self) {
        // In the child of a fork the calls belong to the parent.
        let port = &self.device.port;
        if !port.is_inherited() {
            self.ring.calls.is_closed.store(true, SeqCst);
            self.ring.close(&self.device);
            let ring = Arc::as_ptr(&self.ring).addr();
            if self.ring.calls.by_consumer.load(SeqCst) {
                let leave = |call| port.abandoned(port.slot(call), call, Whose::Only(ring));
                self.ring.pending().into_iter().for_each(leave);
            }
            // Run the jobs that waiting threads have put off: later reads wait for their results.
            port.run_what_was_put_off(ring);
        }
    }
}

impl<Out: Output + ?Sized> Unpin for InvertedCall<Out> {}

impl<Out: Output + ?Sized> Stream for InvertedCall<Out> {
    type Item = Result<Reply<Out>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

impl Tally {
    /// In the child of a fork the figures are 0: a thread that does not exist there may hold the lock.
    fn figures(&self) -> ring::Figures {
        if self.0.calls.is_inherited() { ring::Figures::default() } else { self.0.figures() }
    }

    /// How many calls were submitted so far.
    #[must_use]
    pub fn submitted_calls(&self) -> u64 {
        self.figures().submitted
    }

    /// How many results the consumer has taken.
    #[must_use]
    pub fn delivered_calls(&self) -> u64 {
        self.figures().delivered
    }

    /// How many results came and were never taken, because the stream was dropped. The results of reads do not count if
    /// the device's next read gets their bytes.
    #[must_use]
    pub fn discarded_calls(&self) -> u64 {
        self.figures().discarded
    }

    /// How many bytes the discarded results had in all.
    #[must_use]
    pub fn discarded_bytes(&self) -> u64 {
        self.figures().discarded_bytes
    }

    /// How many calls the driver still has. Once the stream is dropped and this is 0, the other figures are final.
    #[must_use]
    pub fn calls_in_flight(&self) -> u64 {
        self.figures().in_flight as u64
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tally").field(&self.figures()).finish()
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("operation", &self.0.calls.what).finish_non_exhaustive()
    }
}

impl<Out: Output + ?Sized> fmt::Debug for InvertedCall<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvertedCall").field("operation", &self.ring.calls.what).finish_non_exhaustive()
    }
}

impl<Out: Output + ?Sized, In: ?Sized> fmt::Debug for InvertedCallBuilder<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvertedCallBuilder").field("operation", &self.calls.what).finish_non_exhaustive()
    }
}
