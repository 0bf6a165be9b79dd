//! The bookkeeping of an inverted call: which calls are pending, what came, when to submit again, when it is over.
//!
//! It knows nothing of devices: [`Calls`] submits, cancels and releases. So loom can check every interleaving of
//! completions, takes, submissions and the drop (`loom_tests.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::operation::Ended;
use crate::system::sync::{Mutex, MutexGuard, lock};
use crate::{Error, Status};

/// What a [`Ring`] submits to. None of it is called with the ring's lock held.
pub(crate) trait Calls: Send + Sync + Sized {
    /// What keeps the handle open.
    type Device: Clone + Send;
    /// Where completions arrive.
    type Port;
    /// A call that was submitted.
    type Operation: Copy + Send;

    /// Submits a call that will arrive at the ring with this number.
    fn submit(&self, device: &Self::Device, number: u64, ring: &Arc<Ring<Self>>) -> Submission<Self::Operation>;
    /// Asks for the cancellation of a call that may be over meanwhile.
    fn cancel(&self, device: &Self::Device, operation: Self::Operation);
    /// Whether threads wait for the results, so that nobody else need look after a call in flight.
    fn is_attended(&self, port: &Self::Port) -> bool;
    /// Nobody waits for a call in flight, which may be over meanwhile.
    fn unattended(&self, port: &Self::Port, operation: Self::Operation);
    /// Gives up a call that is over.
    fn release(&self, port: &Self::Port, operation: Self::Operation);
    /// Gives up a call that is over and whose result nobody will take. Returns how many bytes it had, unless they were
    /// given on.
    fn discard(&self, port: &Self::Port, operation: Self::Operation, information: usize) -> Option<usize>;
    /// Nobody will take the result of a call in flight; `None`: of one that is being submitted.
    fn orphan(&self, port: &Self::Port, operation: Option<Self::Operation>);
    /// That one was submitted, and is an orphan by its own name, or over.
    fn submitted(&self, device: &Self::Device);
    /// Whether a call that is over is the last one.
    fn after(&self, port: &Self::Port, operation: Self::Operation, status: Status, information: usize) -> After;
    /// What ending it with this status makes of the stream.
    fn end(&self, status: Status) -> End;
    /// The device's port.
    fn port<'a>(&self, device: &'a Self::Device) -> &'a Self::Port;
    /// Has the port's dispatcher call [`Ring::arm`] when it has handled what else there is.
    fn arm_later(&self, port: &Self::Port, ring: &Arc<Ring<Self>>);
}

/// What became of a submission.
#[derive(Debug)]
pub(crate) enum Submission<Operation> {
    /// It will arrive, or has arrived already.
    Pending(Operation),
    /// It is over, and will not arrive.
    Done(Operation, Ended),
    /// It is over, and whoever brings its packet has it: it will arrive, or has arrived.
    Arriving,
    /// It was not even submitted.
    Refused(Error),
}

/// What comes after a call that is over.
#[derive(Debug)]
pub(crate) enum After {
    /// Others: it is an item, also if it failed.
    GoOn,
    End(End),
}

/// Why there is nothing after.
#[derive(Debug)]
pub(crate) enum End {
    /// A failure, which the consumer is told.
    Reason(Error),
    /// The end of a file.
    Quiet,
}

/// What the consumer takes.
#[derive(Debug)]
pub(crate) enum Taken<Operation> {
    Reply(Operation, Ended, Next),
    End(Error),
    Nothing,
}

/// What there is to do after a reply was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    /// [`Ring::arm`], once the operation is released: there is room for another call.
    pub(crate) arm: bool,
    /// Take again.
    pub(crate) take: bool,
}

/// What became of the calls of a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) submitted: u64,
    pub(crate) in_flight: usize,
    pub(crate) delivered: u64,
    /// Results that came and were not taken, and their bytes.
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
    /// `None` once the stream is dropped: what is in flight must not keep the handle open.
    device: Option<C::Device>,
    /// The calls that are not taken yet. In order of submission a call's number is `first` and its place; in order of
    /// completion it is its place, and places are used again.
    entries: VecDeque<Entry<C::Operation>>,
    first: u64,
    /// In order of completion: what is to be taken.
    arrived: VecDeque<(C::Operation, Ended)>,
    figures: Figures,
    done: usize,
    /// Somebody is submitting. Who wants to submit too leaves it to them: one at a time, so that numbers and
    /// submissions have the same order, and no lock is held while the driver runs.
    arming: bool,
    /// The stream was dropped while a call was being submitted.
    in_limbo: bool,
    /// The first failure, or the end of the file. Nothing is submitted after it.
    end: Option<End>,
    ended: bool,
    consumer: Option<Waker>,
    /// The consumer is woken each time, and need not leave its waker again.
    attached: bool,
}

#[derive(Clone, Copy, Debug)]
enum Entry<Operation> {
    Submitting,
    Pending(Operation),
    Done(Operation, Ended),
    /// It failed, or its result is among those that arrived.
    Over,
}

impl<C: Calls> Ring<C> {
    /// Submits the first calls.
    pub(crate) fn start(calls: C, device: C::Device, pending: usize, window: usize, order: Order) -> Arc<Self> {
        // Room for what is pending. What is not taken in time makes it more, once; where every stream had all of it from
        // the start, ten thousand of them would go through memory that no cache holds.
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

    /// Submits until enough is pending or the window is full. A driver that always completes at once is submitted to for
    /// a while; then it is the turn of the port's other completions.
    pub(crate) fn arm(self: &Arc<Self>) {
        self.arm_and_wake(lock(&self.state), None);
    }

    /// [`arm`](Self::arm), and wakes the consumer as soon as one call is submitted again.
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
                // Under the lock that said so: whoever makes room after this finds that nobody is submitting.
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

    /// Notes what became of a submission. Returns the consumer if there is something for it now.
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
                        // Whoever ended the stream meanwhile could not cancel what had no name yet.
                        self.calls.cancel(device, operation);
                        state = lock(&self.state);
                    }
                }
                (state, None)
            }
        }
    }

    /// A call has arrived. Another one is submitted before the consumer is woken.
    pub(crate) fn arrived(self: &Arc<Self>, number: u64, operation: C::Operation, ended: Ended, port: &C::Port) {
        let (state, consumer) = self.done(number, operation, ended, port);
        self.arm_and_wake(state, consumer);
    }

    /// A call is over and its operation is ours. Returns the consumer if there is something for it now.
    fn done(&self, number: u64, operation: C::Operation, ended: Ended, port: &C::Port) -> Noted<'_, C> {
        let (status, information) = ended;
        // Somebody else's code, perhaps: not under the lock.
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

    /// Ends the stream, unless it has ended: nothing is submitted any more, and what is pending is cancelled. Returns
    /// the consumer if there is something for it now.
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

    /// Asks the driver to cancel what is pending, the last one first: else it might complete the next with what it
    /// takes from the one before.
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

    /// Takes what is next, or leaves a waker for it. Who expects nothing has the waker ready, and locks once.
    pub(crate) fn take(&self, cx: &Context<'_>, expects_nothing: bool) -> Poll<Taken<C::Operation>> {
        let mut waker = expects_nothing.then(|| cx.waker().clone());
        loop {
            let mut state = lock(&self.state);
            if let Some(taken) = state.take(self) {
                return Poll::Ready(taken);
            }
            if state.consumer.as_ref().is_some_and(|consumer| consumer.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // Wakers are somebody else's code: neither cloned nor dropped under the lock.
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

    /// Takes what is next, if anything is ready.
    pub(crate) fn take_ready(&self) -> Option<Taken<C::Operation>> {
        lock(&self.state).take(self)
    }

    /// Has `consumer` woken each time something is ready, from now on. Returns whether something is already.
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

    /// The consumer is gone. Nothing is submitted from here on, and what arrives is discarded. The handle is the
    /// caller's to close.
    pub(crate) fn close(&self, device: &C::Device) {
        let mut state = lock(&self.state);
        let mut in_limbo = false;
        // Before what is over now finds nobody: what comes after those in flight waits for them.
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
        // First: what comes back is not for calls that nobody wants.
        self.cancel_pending(device);
        for (operation, information) in done {
            if let Some(bytes) = self.calls.discard(self.calls.port(device), operation, information) {
                lock(&self.state).figures.discard(bytes);
            }
        }
    }
}

/// Somebody is submitting, until this is dropped; also when a waker panics.
struct Arming<'a, C: Calls>(&'a Ring<C>);

impl<C: Calls> Drop for Arming<'_, C> {
    fn drop(&mut self) {
        lock(&self.0.state).arming = false;
    }
}

/// The ring, locked, after something was noted in it; and the consumer, to be woken without the lock, if there is
/// something for it now.
type Noted<'a, C> = (MutexGuard<'a, State<C>>, Option<Waker>);

/// So many submissions in a row, if more are not to be pending at once.
const BURST: usize = 32;

impl<C: Calls> State<C> {
    fn is_over(&self) -> bool {
        self.device.is_none() || self.end.is_some() || self.ended
    }

    /// Whether there is to be another call.
    fn has_room(&self, ring: &Ring<C>) -> bool {
        !self.is_over() && self.figures.in_flight < ring.pending && self.done < ring.window
    }

    /// Makes an entry for another call, if there is to be one, and counts it.
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

    /// Whether [`take`](Self::take) would give something.
    fn is_ready(&self) -> bool {
        let first = self.entries.iter().find(|entry| !matches!(entry, Entry::Over));
        !self.arrived.is_empty()
            || matches!(first, Some(Entry::Done(..)))
            || self.ended
            || self.figures.in_flight == 0 && self.end.is_some()
    }

    /// The consumer, if there is something for it.
    fn consumer_of_ready(&mut self) -> Option<Waker> {
        match (self.is_ready(), self.attached) {
            (false, _) => None,
            (true, false) => self.consumer.take(),
            // A subscription: cloning its waker only counts.
            (true, true) => self.consumer.clone(),
        }
    }

    fn take(&mut self, ring: &Ring<C>) -> Option<Taken<C::Operation>> {
        if let Some((operation, ended)) = self.next_reply() {
            self.done -= 1;
            self.figures.delivered += 1;
            let next = Next { arm: !self.arming && self.has_room(ring), take: self.is_ready() };
            return Some(Taken::Reply(operation, ended, next));
        }
        if self.ended {
            return Some(Taken::Nothing);
        }
        if self.figures.in_flight > 0 {
            return None;
        }
        let end = self.end.take()?;
        self.ended = true;
        Some(match end {
            End::Reason(reason) => Taken::End(reason),
            End::Quiet => Taken::Nothing,
        })
    }

    fn next_reply(&mut self) -> Option<(C::Operation, Ended)> {
        if let Some(reply) = self.arrived.pop_front() {
            return Some(reply);
        }
        // In order of completion there are no entries that are done, and a place is kept until the end.
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
