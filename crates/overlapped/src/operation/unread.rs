//! Bytes that a read of a stream brought after its caller had dropped it.
//!
//! A read that loses a `select!` may have its bytes already, or may get them before its cancellation arrives. The bytes
//! belong to the stream: the next read gets them, in the order in which they came. Reads are numbered in the order of
//! their submission, and bytes that *come back* are kept in the order of these numbers:
//!
//! - A read that is submitted while there are such bytes gets them at once.
//! - A read that waits in the driver gets a *promise*: the bytes are kept for it, and it is cancelled, so that it ends
//!   now. Then its owner takes the promised bytes.
//! - A read may end with its own bytes although older ones were promised to it, or came back meanwhile. Then it gets
//!   the older ones, and its own bytes are kept here instead.
//! - A dropped read that the driver has not ended yet may still bring bytes: it is an *orphan*. Reads that are
//!   submitted meanwhile are *parked*, and go to the driver when the orphan is over; otherwise they might get later
//!   bytes first. Reads that have ended already wait for its end, too. This takes as long as a cancellation. If a
//!   driver needs more than a second for it, nobody waits any longer.
//!
//! Bytes are taken and promised, and reads dropped, under one lock, after the state of the operation has changed. So an
//! owner takes the bytes that were promised to it; or, if it drops its read, it finds the promise and withdraws it.
//! While there are no such bytes, which is nearly always, nobody takes the lock.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

use crate::system::sync::{AtomicU64, Mutex, lock};
use crate::words::token::InFlight;

/// How long a driver may take to end a cancelled operation.
pub(crate) const GRACE_PERIOD: Duration = Duration::from_secs(1);

/// How the reads of a device continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// Byte after byte: pipes, terminals, stream sockets. A read may join bytes that came in pieces.
    Bytes,
    /// Messages, reports or records, which a read brings whole.
    Messages,
    /// Bytes at positions, as in a regular file.
    Places,
}

/// The bytes that came back from the reads of one device.
#[derive(Debug)]
pub(crate) struct Unread {
    numbers: AtomicU64,
    state: Mutex<State>,
    /// `false` if the state is empty: then nobody needs the lock.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes that came back, in the order of the reads that brought them.
    chunks: VecDeque<Chunk>,
    /// Dropped reads that are not over.
    orphans: Vec<Awaited>,
    /// Reads that are not submitted yet, in order.
    parked: VecDeque<InFlight>,
    /// A parked read is being submitted. Only one is at a time, so that they stay in order.
    submitting: bool,
}

#[derive(Debug)]
struct Chunk {
    bytes: Box<[u8]>,
    /// How many of the bytes were handed out.
    start: usize,
    /// The position of the first byte that was not handed out.
    place: Place,
    promised: Option<Awaited>,
}

/// A read whose end others wait for: it has a promise, or it was dropped and may still bring bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Awaited {
    /// [`InFlight::NONE`] for a read that is dropped while it is being submitted.
    operation: InFlight,
    number: u64,
    since: Instant,
}

impl Chunk {
    fn is_promised_to(&self, operation: InFlight) -> bool {
        self.promised.is_some_and(|promise| promise.operation == operation)
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The position of bytes in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the read that brought them.
    pub(crate) number: u64,
    /// How many bytes of that read come before them.
    pub(crate) part: u32,
}

impl Place {
    /// The position `bytes` further.
    pub(crate) fn after(self, bytes: usize) -> Self {
        Self { part: self.part.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)), ..self }
    }
}

/// The bytes that a read got instead of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handout {
    pub(crate) len: usize,
    /// The message was longer; the rest is for the next read.
    pub(crate) more: bool,
    /// The position of these bytes, in case they come back once more.
    pub(crate) place: Place,
}

/// The result of a read itself.
#[derive(Debug)]
pub(crate) enum Own {
    Bytes(Box<[u8]>),
    /// The end of the stream, or a failure.
    None,
    Cancelled,
}

/// What to do with a read that is being submitted.
#[derive(Debug)]
pub(crate) enum Admission {
    /// No bytes came back: submit it to the driver.
    Go,
    /// It got bytes that came back. `true`: there are no more, and none are expected.
    Given(Handout, bool),
    /// It is parked until earlier reads are over.
    Parked,
    /// The bytes are promised to this read, which has waited longer. Cancel that one, and ask again.
    Promised(InFlight),
}

/// Finds the read that has waited longest, among those for which the given closure is true.
pub(crate) type Longest<'a> = &'a dyn Fn(&dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)>;

impl Unread {
    pub(crate) fn new() -> Self {
        Self { numbers: AtomicU64::new(1), state: Mutex::default(), any: AtomicBool::new(false) }
    }

    /// Gives a number to a read that is being submitted.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Whether there may be bytes, orphans or parked reads. A thread that added one, or that knows of it from such a
    /// thread, always gets `true`.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// Gives a new read the bytes that are there, or parks it if some may come. Calls `note`, under the lock, with the
    /// position of the bytes.
    pub(crate) fn admit(
        &self,
        kind: StreamKind,
        operation: InFlight,
        output: &mut [u8],
        longest: Longest<'_>,
        note: impl FnOnce(Place),
    ) -> Admission {
        let mut state = lock(&self.state);
        let mine = state.chunks.iter().position(|chunk| chunk.is_promised_to(operation));
        let admission = if let Some(at) = mine.or_else(|| state.first_free()) {
            if mine.is_none()
                && let Some(reader) = state.promise(longest)
                && reader != operation
            {
                return Admission::Promised(reader);
            }
            let mut given = state.give(at, kind, output);
            // Add the next bytes too, if no other read waits for them.
            while kind != StreamKind::Messages
                && given.len < output.len()
                && state.parked.is_empty()
                && let Some(next) = state.first_free()
            {
                given.len += state.give(next, kind, &mut output[given.len..]).len;
            }
            note(given.place);
            Admission::Given(given, state.is_empty())
        } else if state.is_empty() {
            Admission::Go
        } else {
            state.parked.push_back(operation);
            Admission::Parked
        };
        self.note(&state);
        admission
    }

    /// The read `operation` is over; `place` is the position of its own bytes. `Some`: `output` now holds older bytes,
    /// and its own are kept for a later read; `note` was called, under the lock, with the position of the older ones.
    /// If its own result was the end of the stream or a failure, a later read will find that again.
    pub(crate) fn settle(
        &self,
        kind: StreamKind,
        operation: InFlight,
        number: u64,
        (place, own): (Place, Own),
        output: &mut [u8],
        note: impl FnOnce(Place),
    ) -> Option<Handout> {
        let mut state = lock(&self.state);
        let mut promised = state.chunks.iter().position(|chunk| chunk.is_promised_to(operation));
        if let (Own::Bytes(_), Some(at)) = (&own, promised)
            && state.chunks[at].place > place
        {
            // Its own bytes are older than the promised ones by now.
            state.withdraw(operation);
            promised = None;
        }
        // Take bytes that are older than its own, even if they are promised to a later read: that read then gets this
        // one's own bytes.
        let keeps = matches!(&own, Own::Bytes(own) if !own.is_empty() || kind == StreamKind::Messages);
        let older = || {
            let may = |chunk: &Chunk| chunk.promised.is_none_or(|promise| keeps && promise.number > number);
            let at = state.chunks.iter().position(may)?;
            (state.chunks[at].place < place && state.is_settled(at)).then_some(at)
        };
        // An orphan gets none: nobody would take them, and they would be lost.
        let gets_older = !matches!(own, Own::Cancelled) && !state.is_orphan(operation);
        let at = promised.or_else(|| if gets_older { older() } else { None })?;
        let later = state.chunks[at].promised.filter(|promise| promise.operation != operation);
        let given = state.give(at, kind, output);
        note(given.place);
        if let (Own::Bytes(own), true) = (own, keeps) {
            state.keep(place, own);
        }
        state.in_order(later);
        self.note(&state);
        Some(given)
    }

    /// Keeps bytes of a read for the next one.
    pub(crate) fn give_back(&self, place: Place, bytes: &[u8]) {
        let bytes = bytes.into();
        self.change(|state| state.keep(place, bytes));
    }

    /// The read is being dropped and is not over: later reads wait for its end. A read that is still being submitted is
    /// [`InFlight::NONE`] with the number 0: all reads wait for it.
    pub(crate) fn orphan(&self, operation: InFlight, number: impl FnOnce() -> u64) {
        self.change(|state| {
            // Under the lock: the read may just be getting older bytes, which changes its place and so its number.
            let number = number();
            state.withdraw(operation);
            state.orphans.push(Awaited { operation, number, since: Instant::now() });
        });
    }

    /// An orphan is over. If it brought bytes, they were given back before this call.
    pub(crate) fn resolve(&self, operation: InFlight) {
        self.change(|state| {
            let at = state.orphans.iter().position(|orphan| orphan.operation == operation);
            at.map(|at| state.orphans.swap_remove(at));
        });
    }

    /// Stops waiting for reads that became orphans, or got a promise, at `then` or before.
    pub(crate) fn give_up_orphans(&self, then: Instant) {
        let is_stale = |chunk: &&mut Chunk| chunk.promised.is_some_and(|promise| promise.since <= then);
        self.change(|state| {
            state.orphans.retain(|orphan| orphan.since > then);
            state.chunks.iter_mut().filter(is_stale).for_each(|chunk| chunk.promised = None);
        });
    }

    /// Takes the next parked read, if it has nothing left to wait for. The caller must submit it, and then call
    /// [`submitted`](Self::submitted).
    pub(crate) fn unpark_next(&self) -> Option<InFlight> {
        self.change(|state| {
            let may_go = state.orphans.is_empty() && state.chunks.is_empty() && !state.submitting;
            let next = if may_go { state.parked.pop_front() } else { None };
            state.submitting |= next.is_some();
            next
        })
    }

    /// The parked read is submitted.
    pub(crate) fn submitted(&self) {
        self.change(|state| state.submitting = false);
    }

    /// Takes out the first parked read, to cancel it.
    pub(crate) fn unpark_first(&self) -> Option<InFlight> {
        self.change(|state| state.parked.pop_front())
    }

    /// Takes out this parked read, to cancel it. `false`: it was not parked.
    pub(crate) fn unpark(&self, operation: InFlight) -> bool {
        self.change(|state| {
            let at = state.parked.iter().position(|parked| *parked == operation);
            at.map(|at| state.parked.remove(at)).is_some()
        })
    }

    /// The owner of the read `operation` has left: withdraws its promise, so that another read gets the bytes.
    pub(crate) fn withdraw(&self, operation: InFlight) {
        lock(&self.state).withdraw(operation);
    }

    /// Promises the first bytes to the read that has waited longest, and returns that read.
    pub(crate) fn promise(&self, longest: Longest<'_>) -> Option<InFlight> {
        lock(&self.state).promise(longest)
    }

    /// Whether a read before this position was dropped less than [`GRACE_PERIOD`] ago, and may bring bytes that come
    /// first.
    pub(crate) fn is_preceded(&self, place: Place) -> bool {
        let comes_first = |orphan: &Awaited| orphan.number < place.number && orphan.since.elapsed() < GRACE_PERIOD;
        lock(&self.state).orphans.iter().any(comes_first)
    }

    /// Whether bytes were promised to the read.
    pub(crate) fn is_promised(&self, operation: InFlight) -> bool {
        lock(&self.state).chunks.iter().any(|chunk| chunk.is_promised_to(operation))
    }

    /// The device is closed: drops all bytes. Returns how many reads brought them, and how many bytes they are.
    pub(crate) fn clear(&self) -> (u64, u64) {
        let chunks = std::mem::take(&mut lock(&self.state).chunks);
        (chunks.len() as u64, chunks.iter().map(|chunk| chunk.rest().len() as u64).sum())
    }

    fn note(&self, state: &State) {
        self.any.store(!state.is_empty(), Release);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        self.note(&state);
        result
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.orphans.is_empty() && self.parked.is_empty() && !self.submitting
    }

    fn promise(&mut self, longest: Longest<'_>) -> Option<InFlight> {
        let first = self.first_free()?;
        let (number, operation) = longest(&|operation| !self.is_orphan(operation))?;
        self.chunks[first].promised = Some(Awaited { operation, number, since: Instant::now() });
        Some(operation)
    }

    fn withdraw(&mut self, operation: InFlight) {
        let promised = self.chunks.iter_mut().filter(|chunk| chunk.is_promised_to(operation));
        promised.for_each(|chunk| chunk.promised = None);
        self.in_order(None);
    }

    fn is_orphan(&self, operation: InFlight) -> bool {
        self.orphans.iter().any(|orphan| orphan.operation == operation)
    }

    /// The first bytes, if no read has a promise and no other bytes may come before them. There is only one promise at
    /// a time: how many bytes a read takes is not known before it takes them.
    fn first_free(&self) -> Option<usize> {
        let is_free = !self.chunks.is_empty() && self.chunks.iter().all(|chunk| chunk.promised.is_none());
        (is_free && self.is_settled(0)).then_some(0)
    }

    /// Whether no orphan may bring bytes that come before these.
    fn is_settled(&self, at: usize) -> bool {
        let number = self.chunks[at].place.number;
        self.orphans.iter().all(|orphan| number < orphan.number)
    }

    fn give(&mut self, at: usize, kind: StreamKind, output: &mut [u8]) -> Handout {
        let chunk = &mut self.chunks[at];
        let place = chunk.place;
        let len = chunk.rest().len().min(output.len());
        output[..len].copy_from_slice(&chunk.rest()[..len]);
        chunk.start += len;
        chunk.place = place.after(len);
        chunk.promised = None;
        let rest = !chunk.rest().is_empty();
        if !rest {
            self.chunks.remove(at);
        }
        self.in_order(None);
        Handout { len, more: rest && kind == StreamKind::Messages, place }
    }

    fn keep(&mut self, place: Place, bytes: Box<[u8]>) {
        let at = self.chunks.partition_point(|chunk| chunk.place < place);
        self.chunks.insert(at, Chunk { place, bytes, start: 0, promised: None });
        self.in_order(None);
    }

    /// Moves the promise to the bytes that are now the first. `more` is a promise whose bytes were handed out to
    /// another read.
    fn in_order(&mut self, more: Option<Awaited>) {
        let promise = self.chunks.iter_mut().find_map(|chunk| chunk.promised.take()).or(more);
        if let (Some(first), Some(promise)) = (self.chunks.front_mut(), promise) {
            first.promised = Some(promise);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;
    use crate::operation::slot::{Completion, Machine};
    use crate::system::models::{spawn, three_threads};

    const READ: InFlight = InFlight::new(0, 1);
    const OWN: Place = Place { number: 2, part: 0 };

    /// The second read of its device, which waits in the driver; and the bytes of the first read.
    struct World {
        unread: Unread,
        slot: Machine<usize>,
        /// The driver has ended the read, with a byte or with a cancellation.
        ended: AtomicBool,
        brought: AtomicBool,
    }

    impl World {
        fn new() -> Arc<Self> {
            let slot = Machine::new();
            slot.begin(None);
            let (ended, brought) = (AtomicBool::new(false), AtomicBool::new(false));
            Arc::new(Self { unread: Unread::new(), slot, ended, brought })
        }

        /// The driver ends the read, if it has not yet, and the dispatcher handles the packet.
        fn end(&self, brings: bool) {
            if self.ended.swap(true, SeqCst) {
                return;
            }
            self.brought.store(brings, SeqCst);
            if let (Completion::Recycle(_), _) = self.slot.complete(1) {
                // Nobody takes the byte from this read.
                if brings {
                    self.unread.give_back(OWN, &[2]);
                }
                self.unread.resolve(READ);
            }
        }

        fn longest(&self, may: &dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)> {
            self.slot.pending().filter(|_| may(READ)).map(|_| (2, READ))
        }

        /// The first read's byte comes back, and is promised to the read that waits.
        fn comes_back(&self) {
            self.unread.give_back(Place { number: 1, part: 0 }, &[1]);
            if self.unread.promise(&|may| self.longest(may)).is_some() {
                self.end(false);
            }
        }

        /// The bytes that the owner gets from a read that is over.
        fn take(&self) -> Vec<u8> {
            let brought = self.brought.load(SeqCst);
            let own = if brought { Own::Bytes([2].into()) } else { Own::Cancelled };
            let mut output = [2];
            let given = self.unread.settle(StreamKind::Messages, READ, 2, (OWN, own), &mut output, |_| {});
            if given.is_some() || brought { output.to_vec() } else { Vec::new() }
        }

        /// All bytes that are left for the next reads, in order.
        fn rest(&self) -> Vec<u8> {
            let mut rest = Vec::new();
            let nobody: Longest<'_> = &|_| None;
            let mut output = [0];
            while let Admission::Given(given, _) =
                self.unread.admit(StreamKind::Messages, InFlight::new(1, 1), &mut output, nobody, |_| {})
            {
                rest.extend_from_slice(&output[..given.len]);
            }
            rest
        }
    }

    /// Bytes come back while the read that waits for them ends by itself; its owner takes the result.
    #[test]
    fn loom_a_promise_against_a_completion() {
        loom::model(|| {
            let world = World::new();
            let driver = spawn(&world, move |world| world.end(true));
            world.comes_back();
            driver.join().unwrap();
            let mut all = world.take();
            all.extend(world.rest());
            assert_eq!(all, if world.brought.load(SeqCst) { vec![1, 2] } else { vec![1] });
        });
    }

    /// Bytes come back while the owner of the waiting read leaves and the driver ends it.
    #[test]
    fn loom_a_promise_against_an_owner_that_leaves() {
        three_threads(|| {
            let world = World::new();
            let driver = spawn(&world, move |world| world.end(true));
            let giver = spawn(&world, move |world| world.comes_back());
            world.unread.orphan(READ, || 2);
            if world.slot.abandon(1) {
                world.unread.resolve(READ);
                let taken = world.take();
                if let [byte] = taken[..] {
                    world.unread.give_back(Place { number: byte.into(), part: 0 }, &[byte]);
                }
            }
            driver.join().unwrap();
            giver.join().unwrap();
            assert_eq!(world.rest(), if world.brought.load(SeqCst) { vec![1, 2] } else { vec![1] });
        });
    }
}
