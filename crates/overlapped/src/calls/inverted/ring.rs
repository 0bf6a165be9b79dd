//! The bookkeeping of an inverted call: which calls are pending, which results wait, when to submit the next call, and
//! when the stream ends.
//!
//! It does not know devices: the trait [`Calls`] submits, cancels and releases. So loom can check every interleaving of
//! completions, takes, submissions and the drop (`loom_tests.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::operation::Ended;
use crate::system::sync::{Mutex, MutexGuard, lock};
use crate::{Error, Status};

/// What a [`Ring`] needs from its calls. The ring holds its lock while it calls `orphan`, `is_attended` or `port`, but
/// not while it calls the others.
pub(crate) trait Calls: Send + Sync + Sized {
    /// The device, which stays open while this exists.
    type Device: Clone + Send;
    /// The port at which completions arrive.
    type Port;
    /// A call that was submitted.
    type Operation: Copy + Send;

    /// Submits a call that will arrive at the ring with this number.
    fn submit(&self, device: &Self::Device, number: u64, ring: &Arc<Ring<Self>>) -> Submission<Self::Operation>;
    /// Asks the driver to cancel a call, which may be over by now.
    fn cancel(&self, device: &Self::Device, operation: Self::Operation);
    /// Whether threads wait for the results, so that no dispatcher has to serve the calls in flight.
    fn is_attended(&self, port: &Self::Port) -> bool;
    /// No thread waits for this call, so the dispatcher must serve it. It may be over by now.
    fn unattended(&self, port: &Self::Port, operation: Self::Operation);
    /// Releases a call that is over.
    fn release(&self, port: &Self::Port, operation: Self::Operation);
    /// Releases a call that is over and whose result nobody will take. Returns how many bytes were lost. `None`:
    /// another read gets them.
    fn discard(&self, port: &Self::Port, operation: Self::Operation, information: usize) -> Option<usize>;
    /// Nobody will take the result of this call in flight. `None`: the call that is just being submitted.
    fn orphan(&self, port: &Self::Port, operation: Option<Self::Operation>);
    /// The submission of the orphan `None` has returned. That call is over, or was passed to `orphan` again by name.
    fn submitted(&self, device: &Self::Device);
    /// Decides whether the stream goes on after this call, which is over.
    fn after(&self, port: &Self::Port, operation: Self::Operation, status: Status, information: usize) -> After;
    /// Makes the end of a stream that is stopped with this status.
    fn end(&self, status: Status) -> End;
    /// The device's port.
    fn port<'a>(&self, device: &'a Self::Device) -> &'a Self::Port;
    /// Makes the port's dispatcher call [`Ring::arm`] once it has handled everything else that is ready.
    fn arm_later(&self, port: &Self::Port, ring: &Arc<Ring<Self>>);
}

/// The outcome of a submission.
#[derive(Debug)]
pub(crate) enum Submission<Operation> {
    /// It will arrive, or has arrived already.
    Pending(Operation),
    /// It is over, and will not arrive.
    Done(Operation, Ended),
    /// It is over, and another thread has its packet and owns it: it will arrive, or has arrived.
    Arriving,
    /// It could not be submitted.
    Refused(Error),
}

/// The decision after a call that is over.
#[derive(Debug)]
pub(crate) enum After {
    /// The stream goes on. The result is an item, even if it is a failure.
    GoOn,
    End(End),
}

/// Why the stream ends.
#[derive(Debug)]
pub(crate) enum End {
    /// A failure, which the consumer gets as the last item.
    Reason(Error),
    /// The end of a file.
    Quiet,
}

/// What the consumer takes.
#[derive(Debug)]
pub(crate) enum Pop<Operation> {
    Reply(Operation, Ended, Next),
    End(Error),
    Nothing,
}

/// What the consumer must do after it took a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    /// Call [`Ring::arm`] once the operation is released: there is room for another call.
    pub(crate) arm: bool,
    /// Take again: more is ready.
    pub(crate) take: bool,
}

/// The figures of a ring's calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) submitted: u64,
    pub(crate) in_flight: usize,
    pub(crate) delivered: u64,
    /// Results that came and were never taken, and their bytes.
    pub(crate) discarded: u64,
    pub(crate) discarded_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The order in which the calls were submitted.
    Submission,
    /// The order in which they were completed.
    Completion,
}

impl Figures {
    fn discard(&mut self, bytes: usize) {
        self.discarded += 1;
        self.discarded_bytes += bytes as u64;
    }
}

pub(crate) struct Ring<C: Calls> {
    pub(crate) calls: C,
    pending: usize,
    window: usize,
    state: Mutex<State<C>>,
}

struct State<C: Calls> {
    order: Order,
    /// `None` once the stream is dropped: calls in flight must not keep the handle open.
    device: Option<C::Device>,
    /// The calls that are not taken yet. In order of submission a call's number is `first` plus its place. In order of
    /// completion it is its place, and places are used again.
    entries: VecDeque<Entry<C::Operation>>,
    first: u64,
    /// In order of completion: the results that wait to be taken.
    arrived: VecDeque<(C::Operation, Ended)>,
    figures: Figures,
    done: usize,
    /// A thread is submitting. Other threads leave the submitting to it: so numbers and submissions have the same
    /// order, and no lock is held while the driver runs.
    arming: bool,
    /// The stream was dropped while a call was being submitted.
    in_limbo: bool,
    /// The first failure, or the end of the file. Nothing is submitted after it.
    end: Option<End>,
    ended: bool,
    consumer: Option<Waker>,
    /// The consumer is a subscription: its waker stays here, and is woken each time.
    attached: bool,
}

#[derive(Clone, Copy, Debug)]
enum Entry<Operation> {
    Submitting,
    Pending(Operation),
    Done(Operation, Ended),
    /// It failed, or its result is in `arrived`.
    Over,
}

impl<C: Calls> Ring<C> {
    /// Submits the first calls.
    pub(crate) fn start(calls: C, device: C::Device, pending: usize, window: usize, order: Order) -> Arc<Self> {
        // Room for the pending calls. It grows when results are not taken in time. If every stream allocated its whole
        // window at the start, ten thousand streams would need more memory than the processor's caches have.
        let most = pending.saturating_add(1).min(1 << 16);
        let arrived = if order == Order::Completion { most } else { 0 };
        let ring = Arc::new(Self {
            calls,
            pending,
            window,
            state: Mutex::new(State {
                order,
                device: Some(device),
                entries: VecDeque::with_capacity(most),
                first: 0,
                arrived: VecDeque::with_capacity(arrived),
                figures: Figures::default(),
                done: 0,
                arming: false,
                in_limbo: false,
                end: None,
                ended: false,
                consumer: None,
                attached: false,
            }),
        });
        ring.arm();
        ring
    }

    /// Submits until enough calls are pending or the window is full. If the driver always completes at once, this stops
    /// after a while and lets the port handle other completions.
    pub(crate) fn arm(self: &Arc<Self>) {
        self.arm_and_wake(lock(&self.state), None);
    }

    /// Like [`arm`](Self::arm); also wakes the consumer as soon as one call is submitted, or none is to be.
    fn arm_and_wake<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<C>>, mut consumer: Option<Waker>) {
        let device = match &state.device {
            Some(device) if !state.arming && state.has_room(self) => device.clone(),
            _ => {
                drop(state);
                return wake(consumer);
            }
        };
        state.arming = true;
        let arming = Arming(self);
        for submitted in 0..BURST.max(self.pending) {
            let Some(number) = state.next_call(self) else {
                // Clear this under the same lock: a thread that makes room after this then finds that nobody is
                // submitting.
                state.arming = false;
                drop(state);
                std::mem::forget(arming);
                return wake(consumer);
            };
            drop(state);
            if submitted > 0 {
                wake(consumer.take());
            }
            let submission = self.calls.submit(&device, number, self);
            let woken;
            (state, woken) = self.submitted(number, submission, &device);
            if std::mem::take(&mut state.in_limbo) {
                drop(state);
                self.calls.submitted(&device);
                state = lock(&self.state);
            }
            if woken.is_some() {
                drop(state);
                wake(consumer.take());
                wake(woken);
                state = lock(&self.state);
            }
        }
        drop(state);
        wake(consumer);
        drop(arming);
        self.calls.arm_later(self.calls.port(&device), self);
    }

    /// Notes the outcome of a submission.
    fn submitted(&self, number: u64, submission: Submission<C::Operation>, device: &C::Device) -> Noted<'_, C> {
        match submission {
            Submission::Arriving => (lock(&self.state), None),
            Submission::Done(operation, ended) => self.done(number, operation, ended, self.calls.port(device)),
            Submission::Refused(error) => {
                let mut state = lock(&self.state);
                state.figures.in_flight -= 1;
                state.set(number, Entry::Over);
                drop(state);
                self.finish(End::Reason(error), device)
            }
            Submission::Pending(operation) => {
                let mut state = lock(&self.state);
                // It may have arrived before the submission returned.
                if matches!(state.entry(number), Some(Entry::Submitting)) {
                    state.set(number, Entry::Pending(operation));
                    if state.in_limbo {
                        self.calls.orphan(self.calls.port(device), Some(operation));
                    }
                    let is_over = state.is_over();
                    if !self.calls.is_attended(self.calls.port(device)) {
                        drop(state);
                        self.calls.unattended(self.calls.port(device), operation);
                        state = lock(&self.state);
                    }
                    if is_over {
                        drop(state);
                        // The thread that ended the stream meanwhile could not cancel this call: it had no name yet.
                        self.calls.cancel(device, operation);
                        state = lock(&self.state);
                    }
                }
                (state, None)
            }
        }
    }

    /// A call has arrived. This submits another one before it wakes the consumer.
    pub(crate) fn arrived(self: &Arc<Self>, number: u64, operation: C::Operation, ended: Ended, port: &C::Port) {
        let (state, consumer) = self.done(number, operation, ended, port);
        self.arm_and_wake(state, consumer);
    }

    /// A call is over, and this thread owns its operation.
    fn done(&self, number: u64, operation: C::Operation, ended: Ended, port: &C::Port) -> Noted<'_, C> {
        let (status, information) = ended;
        // This may run the caller's code, so not under the lock.
        let after = self.calls.after(port, operation, status, information);
        let mut state = lock(&self.state);
        if state.device.is_none() {
            drop(state);
            let discarded = self.calls.discard(port, operation, information);
            state = lock(&self.state);
            state.figures.in_flight -= 1;
            if let (false, Some(bytes)) = (status.is_error(), discarded) {
                state.figures.discard(bytes);
            }
            return (state, None);
        }
        state.figures.in_flight -= 1;
        if let After::End(end) = after {
            state.set(number, Entry::Over);
            let device = state.device.clone();
            drop(state);
            self.calls.release(port, operation);
            return match device {
                Some(device) => self.finish(end, &device),
                None => (lock(&self.state), None),
            };
        }
        state.done += 1;
        if state.order == Order::Submission {
            state.set(number, Entry::Done(operation, ended));
        } else {
            state.set(number, Entry::Over);
            state.arrived.push_back((operation, ended));
        }
        let consumer = state.consumer_of_ready();
        (state, consumer)
    }

    /// Ends the stream, unless it has ended: nothing more is submitted, and pending calls are cancelled.
    fn finish(&self, end: End, device: &C::Device) -> Noted<'_, C> {
        let mut state = lock(&self.state);
        let first = !state.ended && state.end.is_none();
        if first {
            state.end = Some(end);
        }
        drop(state);
        if first {
            self.cancel_pending(device);
        }
        let mut state = lock(&self.state);
        let consumer = state.consumer_of_ready();
        (state, consumer)
    }

    /// Asks the driver to cancel the pending calls, the last one first. In the other order the driver might give the
    /// data of a cancelled call to the next call, which is about to be cancelled too.
    fn cancel_pending(&self, device: &C::Device) {
        let mut before = u64::MAX;
        loop {
            let next = lock(&self.state).pending_before(before);
            let Some((operation, number)) = next else { return };
            self.calls.cancel(device, operation);
            before = number;
        }
    }

    /// Ends the stream from outside.
    pub(crate) fn stop(&self, status: Status) {
        let device = lock(&self.state).device.clone();
        if let Some(device) = device {
            let (state, consumer) = self.finish(self.calls.end(status), &device);
            drop(state);
            wake(consumer);
        }
    }

    /// Takes the next item, or leaves a waker. If the caller expects nothing, the waker is cloned beforehand, so that
    /// this locks only once.
    pub(crate) fn take(&self, cx: &Context<'_>, expects_nothing: bool) -> Poll<Pop<C::Operation>> {
        let mut waker = expects_nothing.then(|| cx.waker().clone());
        loop {
            let mut state = lock(&self.state);
            if let Some(taken) = state.take(self) {
                return Poll::Ready(taken);
            }
            if state.consumer.as_ref().is_some_and(|consumer| consumer.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // Cloning or dropping a waker runs foreign code: do neither under the lock.
            if waker.is_some() {
                let old = std::mem::replace(&mut state.consumer, waker);
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            drop(state);
            waker = Some(cx.waker().clone());
        }
    }

    /// Takes the next item if one is ready.
    pub(crate) fn take_ready(&self) -> Option<Pop<C::Operation>> {
        lock(&self.state).take(self)
    }

    /// Wakes `consumer` from now on each time something is ready. Returns whether something is ready already.
    pub(crate) fn attach(&self, consumer: Waker) -> bool {
        let mut state = lock(&self.state);
        state.attached = true;
        let old = state.consumer.replace(consumer);
        let is_ready = state.is_ready();
        drop(state);
        drop(old);
        is_ready
    }

    pub(crate) fn is_ready(&self) -> bool {
        lock(&self.state).is_ready()
    }

    /// The calls in flight.
    pub(crate) fn pending(&self) -> Vec<C::Operation> {
        let pending = |entry: &Entry<C::Operation>| match *entry {
            Entry::Pending(operation) => Some(operation),
            _ => None,
        };
        lock(&self.state).entries.iter().filter_map(pending).collect()
    }

    pub(crate) fn figures(&self) -> Figures {
        lock(&self.state).figures
    }

    /// The consumer is gone. From here on nothing is submitted, and results that arrive are discarded. The caller
    /// closes the handle.
    pub(crate) fn close(&self, device: &C::Device) {
        let mut state = lock(&self.state);
        let mut in_limbo = false;
        // Mark the orphans while the device is still here, so that later reads wait for them: a call that ends after
        // this finds no device, and is discarded.
        for entry in &state.entries {
            match *entry {
                Entry::Pending(operation) => self.calls.orphan(self.calls.port(device), Some(operation)),
                Entry::Submitting => {
                    self.calls.orphan(self.calls.port(device), None);
                    in_limbo = true;
                }
                _ => {}
            }
        }
        state.in_limbo = in_limbo;
        let (_device, _consumer) = (state.device.take(), state.consumer.take());
        let done = state.take_done();
        drop(state);
        // Cancel before discarding: bytes that come back must not go to the pending calls.
        self.cancel_pending(device);
        for (operation, information) in done {
            if let Some(bytes) = self.calls.discard(self.calls.port(device), operation, information) {
                lock(&self.state).figures.discard(bytes);
            }
        }
    }
}

/// Clears `arming` when it is dropped, also if a waker panics.
struct Arming<'a, C: Calls>(&'a Ring<C>);

impl<C: Calls> Drop for Arming<'_, C> {
    fn drop(&mut self) {
        lock(&self.0.state).arming = false;
    }
}

/// The state, still locked, and the consumer if something is ready for it now. Unlock before you wake the consumer.
type Noted<'a, C> = (MutexGuard<'a, State<C>>, Option<Waker>);

/// How many calls are submitted in a row, unless the stream keeps more pending.
const BURST: usize = 32;

impl<C: Calls> State<C> {
    fn is_over(&self) -> bool {
        self.device.is_none() || self.end.is_some() || self.ended
    }

    /// Whether to submit another call.
    fn has_room(&self, ring: &Ring<C>) -> bool {
        !self.is_over() && self.figures.in_flight < ring.pending && self.done < ring.window
    }

    /// Makes an entry for another call and counts it, if there is room for one.
    fn next_call(&mut self, ring: &Ring<C>) -> Option<u64> {
        if !self.has_room(ring) {
            return None;
        }
        let free = match self.order {
            Order::Submission => None,
            Order::Completion => self.entries.iter().position(|entry| matches!(entry, Entry::Over)),
        };
        let place = free.unwrap_or_else(|| {
            self.entries.push_back(Entry::Over);
            self.entries.len() - 1
        });
        self.entries[place] = Entry::Submitting;
        self.figures.submitted += 1;
        self.figures.in_flight += 1;
        Some(self.first + place as u64)
    }

    /// Whether [`take`](Self::take) would return something.
    fn is_ready(&self) -> bool {
        let first = self.entries.iter().find(|entry| !matches!(entry, Entry::Over));
        !self.arrived.is_empty()
            || matches!(first, Some(Entry::Done(..)))
            || self.ended
            || self.figures.in_flight == 0 && self.end.is_some()
    }

    /// The consumer, if something is ready for it.
    fn consumer_of_ready(&mut self) -> Option<Waker> {
        match (self.is_ready(), self.attached) {
            (false, _) => None,
            (true, false) => self.consumer.take(),
            // A subscription: cloning its waker only increments a count.
            (true, true) => self.consumer.clone(),
        }
    }

    fn take(&mut self, ring: &Ring<C>) -> Option<Pop<C::Operation>> {
        if let Some((operation, ended)) = self.next_reply() {
            self.done -= 1;
            self.figures.delivered += 1;
            let next = Next { arm: !self.arming && self.has_room(ring), take: self.is_ready() };
            return Some(Pop::Reply(operation, ended, next));
        }
        if self.ended {
            return Some(Pop::Nothing);
        }
        if self.figures.in_flight > 0 {
            return None;
        }
        let end = self.end.take()?;
        self.ended = true;
        Some(match end {
            End::Reason(reason) => Pop::End(reason),
            End::Quiet => Pop::Nothing,
        })
    }

    fn next_reply(&mut self) -> Option<(C::Operation, Ended)> {
        if let Some(reply) = self.arrived.pop_front() {
            return Some(reply);
        }
        // In order of completion no entry is `Done`, and a place is kept until the end.
        while let Some(entry) = self.entries.front().copied() {
            match entry {
                Entry::Over if self.order == Order::Submission => self.pop(),
                Entry::Done(operation, ended) => {
                    self.pop();
                    return Some((operation, ended));
                }
                _ => return None,
            }
        }
        None
    }

    fn pop(&mut self) {
        self.entries.pop_front();
        self.first += 1;
    }

    /// The last pending call with a number below `limit`.
    fn pending_before(&self, limit: u64) -> Option<(C::Operation, u64)> {
        let count = usize::try_from(limit.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.entries.len());
        (0..count).rev().find_map(|place| match self.entries[place] {
            Entry::Pending(operation) => Some((operation, self.first + place as u64)),
            _ => None,
        })
    }

    fn entry(&self, number: u64) -> Option<&Entry<C::Operation>> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn set(&mut self, number: u64, entry: Entry<C::Operation>) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(place) = place.and_then(|place| self.entries.get_mut(place)) {
            *place = entry;
        }
    }

    fn take_done(&mut self) -> Vec<(C::Operation, usize)> {
        let mut done: Vec<_> =
            self.arrived.drain(..).map(|(operation, (_, information))| (operation, information)).collect();
        for entry in &mut self.entries {
            if let Entry::Done(operation, (_, information)) = *entry {
                *entry = Entry::Over;
                done.push((operation, information));
            }
        }
        done
    }
}

fn wake(consumer: Option<Waker>) {
    if let Some(waker) = consumer {
        waker.wake();
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
