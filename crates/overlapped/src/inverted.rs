//! The inverted call: calls kept pending, so that a driver always has one to complete, as a stream of results.
//!
//! ```text
//!   consumer          dispatcher                         driver
//!                                    ◄── pending 1, 2 ──  (two calls wait in its queue)
//!                     packet 1       ◄── completes 1  ──  edge!
//!                     submits 3      ──────────────────►  (again two wait: no gap)
//!   next() ◄── 1 ──   wakes
//! ```
//!
//! The re-arming happens on the dispatcher, *before* the consumer is woken. While the window of results that nobody has
//! taken is full, nothing is re-armed; the consumer does it as it takes. Results come in the order of submission.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::call::{block_on, block_on_until};
use crate::device::{self, Submitted};
use crate::port::{self, Arrival, InFlight, Waiter};
use crate::{Error, ErrorKind, Ioctl, Operation, Output, Reply, Status};

/// After so many ready items in a row the stream yields, so that a driver that always has one starves nobody.
const BUDGET: u32 = 32;

/// A stream of what a driver completes its pending calls with; made by [`Device::inverted`](crate::Device::inverted).
///
/// It is a [`Stream`], has a cancel-safe [`next`](Self::next), and [`wait_next`](Self::wait_next) for a thread. It ends
/// with its reason: the first failure is the last item, after every result that had happened.
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
    shared: Arc<Shared>,
    /// Keeps the handle open; the calls in flight do not.
    device: Arc<device::Inner>,
    ready_in_a_row: u32,
    out: PhantomData<fn() -> Box<Out>>,
}

/// How the calls of an [`InvertedCall`] are kept; [`start`](Self::start) submits them.
///
/// ```no_run
/// # fn example(device: &overlapped::Device, wait: overlapped::Ioctl<(), u32>) {
/// let events = device.inverted(wait, &()).pending(4).start();
/// # }
/// ```
#[must_use = "nothing is submitted before `start`"]
pub struct InvertedCallBuilder<Out: Output + ?Sized> {
    device: Arc<device::Inner>,
    what: Operation,
    input: Box<[u8]>,
    output_len: Option<u32>,
    pending: usize,
    window: usize,
    out: PhantomData<fn() -> Box<Out>>,
}

/// What became of the calls of an [`InvertedCall`], also after it is gone.
///
/// ```no_run
/// # fn example(events: overlapped::InvertedCall<u32>) {
/// let tally = events.tally();
/// drop(events);
/// println!("{} results came and were never taken", tally.discarded_calls());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tally(Arc<Counts>);

/// Ends an [`InvertedCall`] from another thread: from a signal handler's, say.
///
/// ```no_run
/// # fn example(mut events: overlapped::InvertedCall<u32>) {
/// let stopper = events.stopper();
/// std::thread::spawn(move || stopper.stop());
/// while let Some(event) = events.wait_next() { /* … */ }
/// # }
/// ```
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Ends the stream: asks the driver to cancel what is pending. What had happened is still delivered, then the
    /// reason, [`ErrorKind::Cancelled`]. A stream that has ended, or is gone, is left alone.
    pub fn stop(&self) {
        let Some(device) = self.0.lock().device.clone() else {
            return;
        };
        let consumer = self.0.end_with(End::Reason(device.failed(self.0.what, Status::CANCELLED)));
        self.0.cancel_pending(&device);
        wake(consumer);
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("operation", &self.0.what).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    discarded_calls: AtomicU64,
    discarded_bytes: AtomicU64,
    in_flight: AtomicU64,
}

struct Shared {
    what: Operation,
    input: Box<[u8]>,
    output_len: Option<u32>,
    pending: usize,
    window: usize,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

struct State {
    /// `None` once the stream is dropped: what is in flight must not keep the handle open.
    device: Option<Arc<device::Inner>>,
    /// The calls that are not taken yet, in order of submission.
    calls: VecDeque<Entry>,
    /// The number of the first of them.
    first: u64,
    in_flight: usize,
    done: usize,
    /// Somebody is submitting. Who wants to submit too leaves it to them: one at a time, so that numbers and
    /// submissions have the same order, and no lock is held while the driver runs.
    arming: bool,
    /// The first failure, or the end of the file. Nothing is submitted after it.
    end: Option<End>,
    ended: bool,
    consumer: Option<Waker>,
}

enum End {
    Reason(Error),
    EndOfFile,
}

enum Entry {
    Submitting,
    Pending(InFlight),
    Done(InFlight, Status, usize),
    /// It failed, and its error is the stream's end or came after it.
    Failed,
}

impl<Out: Output + ?Sized> InvertedCallBuilder<Out> {
    pub(crate) fn new<In: ?Sized>(device: Arc<device::Inner>, ioctl: Ioctl<In, Out>, input: &[u8]) -> Self {
        Self::submitting(device, Operation::Control(ioctl.code()), input, ioctl.output_len())
    }

    pub(crate) fn submitting(
        device: Arc<device::Inner>,
        what: Operation,
        input: &[u8],
        output_len: Option<u32>,
    ) -> Self {
        Self { device, what, input: input.into(), output_len, pending: 2, window: 32, out: PhantomData }
    }

    /// How many calls to keep pending: 2 unless set, at least 1. Two leave no gap when a driver completes one at a
    /// time; more help when it completes many before this process runs again.
    pub fn pending(mut self, calls: usize) -> Self {
        self.pending = calls.max(1);
        self
    }

    /// How many results may wait to be taken before no further call is submitted: 32 unless set, at least 1.
    pub fn window(mut self, results: usize) -> Self {
        self.window = results.max(1);
        self
    }

    /// Submits the calls.
    pub fn start(self) -> InvertedCall<Out> {
        // A call may be in each state at once: no more slots than these are in use, and none is made later.
        let most = self.pending.saturating_add(self.window);
        self.device.port.slab.reserve(most.min(1 << 16));
        let shared = Arc::new(Shared {
            what: self.what,
            input: self.input,
            output_len: self.output_len,
            pending: self.pending,
            window: self.window,
            counts: Arc::default(),
            state: Mutex::new(State {
                device: Some(self.device.clone()),
                calls: VecDeque::with_capacity(most.min(1 << 16)),
                first: 0,
                in_flight: 0,
                done: 0,
                arming: false,
                end: None,
                ended: false,
                consumer: None,
            }),
        });
        shared.arm();
        InvertedCall { shared, device: self.device, ready_in_a_row: 0, out: PhantomData }
    }
}

impl<Out: Output + ?Sized> InvertedCall<Out> {
    /// The next result, or `None` after the stream has ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The reason for the end, once: what the driver said, after every result that had happened. A result that is no
    /// whole record is [`ErrorKind::Truncated`] and does not end the stream.
    pub async fn next(&mut self) -> Option<Result<Reply<Out>, Error>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`next`](Self::next); and [`ErrorKind::Deadlock`], once for each call, on the thread that dispatches the port.
    pub fn wait_next(&mut self) -> Option<Result<Reply<Out>, Error>> {
        if let Some(deadlock) = self.deadlock() {
            return Some(Err(deadlock));
        }
        block_on(|cx| self.poll(cx))
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and [`ErrorKind::TimedOut`], which ends nothing: call it again.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<Reply<Out>, Error>> {
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return self.wait_next();
        };
        if let Some(deadlock) = self.deadlock() {
            return Some(Err(deadlock));
        }
        block_on_until(Some(deadline), |cx| self.poll(cx))
            .unwrap_or_else(|| Some(Err(self.device.error(ErrorKind::TimedOut, self.shared.what))))
    }

    fn deadlock(&self) -> Option<Error> {
        (self.device.port.is_dispatched_here() && !self.shared.lock().is_ready()).then(|| {
            self.device
                .error(ErrorKind::Deadlock, self.shared.what)
                .hint("this thread dispatches completions; await the stream instead")
        })
    }

    /// The figures of this stream; they outlive it.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally(self.shared.counts.clone())
    }

    /// Something that can end the stream from elsewhere, while a thread or a task waits for its next item.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.clone())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Reply<Out>, Error>>> {
        if self.ready_in_a_row >= BUDGET {
            self.ready_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let taken = self.shared.lock().take(cx);
        let Poll::Ready(taken) = taken else {
            self.ready_in_a_row = 0;
            if self.device.port.is_inherited() {
                return Poll::Ready(Some(Err(port::inherited(self.shared.what).on(&self.device.name))));
            }
            return Poll::Pending;
        };
        self.ready_in_a_row += 1;
        Poll::Ready(match taken {
            Taken::Reply(operation, status, information) => {
                self.shared.arm();
                self.shared.counts.delivered.fetch_add(1, Relaxed);
                let (port, name) = (&self.device.port, &self.device.name);
                Some(device::finish(port, name, self.shared.what, operation, status, information))
            }
            Taken::End(reason) => Some(Err(reason)),
            Taken::Nothing => None,
        })
    }
}

enum Taken {
    Reply(InFlight, Status, usize),
    End(Error),
    Nothing,
}

impl State {
    fn may_arm(&self, shared: &Shared) -> bool {
        self.device.is_some()
            && self.end.is_none()
            && !self.ended
            && self.in_flight < shared.pending
            && self.done < shared.window
    }

    fn is_ready(&self) -> bool {
        match self.calls.iter().find(|e| !matches!(e, Entry::Failed)) {
            Some(entry) => matches!(entry, Entry::Done(..)),
            None => self.end.is_some() || self.ended,
        }
    }

    fn take(&mut self, cx: &Context<'_>) -> Poll<Taken> {
        while matches!(self.calls.front(), Some(Entry::Failed)) {
            self.pop();
        }
        match self.calls.front() {
            Some(&Entry::Done(operation, status, information)) => {
                self.pop();
                self.done -= 1;
                return Poll::Ready(Taken::Reply(operation, status, information));
            }
            None if self.ended => return Poll::Ready(Taken::Nothing),
            None => {
                if let Some(end) = self.end.take() {
                    self.ended = true;
                    return Poll::Ready(match end {
                        End::Reason(reason) => Taken::End(reason),
                        End::EndOfFile => Taken::Nothing,
                    });
                }
            }
            Some(_) => {}
        }
        match &mut self.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn pop(&mut self) {
        self.calls.pop_front();
        self.first += 1;
    }

    /// The last pending call with a number below `limit`.
    fn pending_before(&self, limit: u64) -> Option<(InFlight, u64)> {
        let count = usize::try_from(limit.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.calls.len());
        (0..count).rev().find_map(|at| match self.calls[at] {
            Entry::Pending(operation) => Some((operation, self.first + at as u64)),
            _ => None,
        })
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.calls.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Submits until enough is pending or the window is full.
    fn arm(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.arming {
            return;
        }
        state.arming = true;
        while state.may_arm(self) {
            let Some(device) = state.device.clone() else {
                break;
            };
            let number = state.first + state.calls.len() as u64;
            state.calls.push_back(Entry::Submitting);
            state.in_flight += 1;
            self.counts.in_flight.fetch_add(1, Relaxed);
            drop(state);

            let waiter = Waiter::Arrive(self.clone(), number);
            let submitted = device.submit(self.what, &self.input, self.output_len, Some(waiter));
            let (consumer, cancel);
            (state, consumer, cancel) = self.submitted(number, submitted, &device);
            if consumer.is_some() || cancel.is_some() {
                drop(state);
                if let Some(operation) = cancel {
                    device.cancel_pinned(operation);
                }
                wake(consumer);
                state = self.lock();
            }
        }
        state.arming = false;
    }

    /// Notes what became of a submission. Returns the consumer if it must be woken, and the call if it must be
    /// cancelled because the stream ended meanwhile.
    fn submitted(
        &self,
        number: u64,
        submitted: Result<Submitted, Error>,
        device: &Arc<device::Inner>,
    ) -> (MutexGuard<'_, State>, Option<Waker>, Option<InFlight>) {
        match submitted {
            Ok(Submitted::Pending(operation)) => {
                let mut state = self.lock();
                let over = state.device.is_none() || state.end.is_some() || state.ended;
                // It may have arrived before the submission returned.
                match state.entry(number) {
                    Some(entry @ Entry::Submitting) => {
                        *entry = Entry::Pending(operation);
                        (state, None, over.then_some(operation))
                    }
                    _ => (state, None, None),
                }
            }
            Ok(Submitted::Final(operation, status, information)) => {
                let slot = device.port.slot(operation);
                // The packet, if there is one, must not find the waiter: the call is over.
                if slot.machine.take_waiter(operation.generation).is_none() {
                    // It did find it, and `arrived` notes what became of the call.
                    return (self.lock(), None, None);
                }
                let consumer = self.done(number, &device.port, operation, status, information);
                (self.lock(), consumer, None)
            }
            Err(error) => {
                let mut state = self.lock();
                state.in_flight -= 1;
                self.counts.in_flight.fetch_sub(1, AcqRel);
                if let Some(entry) = state.entry(number) {
                    *entry = Entry::Failed;
                }
                drop(state);
                let consumer = self.end_with(End::Reason(error));
                self.cancel_pending(device);
                (self.lock(), consumer, None)
            }
        }
    }

    /// A call is over and its operation is ours. Returns the consumer if there is something for it now.
    fn done(
        &self,
        number: u64,
        port: &Arc<port::Inner>,
        operation: InFlight,
        status: Status,
        information: usize,
    ) -> Option<Waker> {
        let mut state = self.lock();
        state.in_flight -= 1;
        let failed = status.is_error();
        let Some(device) = state.device.clone() else {
            drop(state);
            if !failed {
                self.discard(port, operation, information);
            }
            port.release(operation);
            // Last, so that who sees nothing in flight sees everything counted.
            self.counts.in_flight.fetch_sub(1, AcqRel);
            return None;
        };
        self.counts.in_flight.fetch_sub(1, AcqRel);
        if failed {
            if let Some(entry) = state.entry(number) {
                *entry = Entry::Failed;
            }
            drop(state);
            port.release(operation);
            let end = match (self.what, status) {
                (Operation::Read { .. }, Status::END_OF_FILE) => End::EndOfFile,
                _ => End::Reason(device.failed(self.what, status)),
            };
            let consumer = self.end_with(end);
            self.cancel_pending(&device);
            return consumer;
        }
        if let Some(entry) = state.entry(number) {
            *entry = Entry::Done(operation, status, information);
        }
        state.done += 1;
        if state.is_ready() { state.consumer.take() } else { None }
    }

    /// Notes the reason of the end, unless there is one. Returns the consumer if there is something for it now.
    fn end_with(&self, end: End) -> Option<Waker> {
        let mut state = self.lock();
        if !state.ended && state.end.is_none() {
            state.end = Some(end);
        }
        if state.is_ready() { state.consumer.take() } else { None }
    }

    /// Asks the driver to cancel what is pending, the last one first: else it might complete the next with what it
    /// takes from the one before.
    fn cancel_pending(&self, device: &Arc<device::Inner>) {
        let mut before = u64::MAX;
        while let Some((operation, number)) = self.lock().pending_before(before) {
            device.cancel_pinned(operation);
            before = number;
        }
    }

    fn discard(&self, port: &Arc<port::Inner>, operation: InFlight, information: usize) {
        // SAFETY: the operation is over and ours; it is released after this.
        let bytes = unsafe { port.slot(operation).output(information) }.len();
        self.counts.discarded_calls.fetch_add(1, Relaxed);
        self.counts.discarded_bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl Arrival for Shared {
    fn arrived(self: Arc<Self>, number: u64, port: &Arc<port::Inner>, operation: InFlight) {
        // SAFETY: the result is published, and this is its owner.
        let (status, information) = unsafe { port.slot(operation).status() };
        let consumer = self.done(number, port, operation, status, information);
        self.arm();
        wake(consumer);
    }
}

fn wake(consumer: Option<Waker>) {
    if let Some(waker) = consumer {
        waker.wake();
    }
}

impl<Out: Output + ?Sized> Drop for InvertedCall<Out> {
    fn drop(&mut self) {
        self.shared.cancel_all_and_close(&self.device);
    }
}

impl Shared {
    fn cancel_all_and_close(&self, device: &Arc<device::Inner>) {
        // Nothing is submitted from here on, and what arrives is counted and dropped.
        let (held, done) = {
            let mut state = self.lock();
            let done: Vec<_> = state
                .calls
                .iter_mut()
                .filter_map(|entry| match *entry {
                    Entry::Done(operation, _, information) => {
                        *entry = Entry::Failed;
                        Some((operation, information))
                    }
                    _ => None,
                })
                .collect();
            (state.device.take(), done)
        };
        for (operation, information) in done {
            self.discard(&device.port, operation, information);
            device.port.release(operation);
        }
        self.cancel_pending(device);
        drop(held);
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
    /// Results that were handed to the consumer.
    #[must_use]
    pub fn delivered_calls(&self) -> u64 {
        self.0.delivered.load(Relaxed)
    }

    /// Results that came and were never taken, because the stream was dropped.
    #[must_use]
    pub fn discarded_calls(&self) -> u64 {
        self.0.discarded_calls.load(Relaxed)
    }

    /// Their bytes, in all.
    #[must_use]
    pub fn discarded_bytes(&self) -> u64 {
        self.0.discarded_bytes.load(Relaxed)
    }

    /// Calls the driver still has. Once the stream is dropped and this is 0, the other figures are final.
    #[must_use]
    pub fn calls_in_flight(&self) -> u64 {
        self.0.in_flight.load(Acquire)
    }
}

impl<Out: Output + ?Sized> fmt::Debug for InvertedCall<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvertedCall").field("operation", &self.shared.what).finish_non_exhaustive()
    }
}

impl<Out: Output + ?Sized> fmt::Debug for InvertedCallBuilder<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvertedCallBuilder").field("operation", &self.what).finish_non_exhaustive()
    }
}
