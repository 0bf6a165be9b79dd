//! The bytes that reads of a stream had brought when nobody was there any more to take them.
//!
//! A read that loses a `select!` may have its bytes already, or may get them before its cancellation arrives. They are
//! the stream's: the next read gets them, in the order in which they came. Reads are numbered as they are submitted;
//! bytes that come back are kept by those numbers:
//!
//! - A read that is submitted while there are some gets them at once.
//! - A read that waits in the driver gets a *promise*: the bytes are kept for it, and it is cancelled, so that it ends
//!   now. Its owner, who finds it over, takes what was promised.
//! - A read that ends with bytes of its own, though older ones were promised to it or came back meanwhile, gets the
//!   older ones. Its own go back in their place.
//! - A read that was given up, and that the driver has not ended yet, may bring bytes still: it is an *orphan*. Reads that
//!   are submitted meanwhile are *parked*, and go to the driver when it is over: else they might get what comes after.
//!   Reads that are over already are told when it is. That is the time of a cancellation; a driver that takes longer than
//!   a second is not waited for.
//!
//! Who takes, promises and leaves does so under one lock, after the state of the operation has changed: so a promise is
//! kept, or found by who leaves. It is not locked while there is nothing, which is nearly always.

use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::{Duration, Instant};

use crate::system::sync::{AtomicU64, Mutex, lock};
use crate::words::token::InFlight;

/// So long a driver may take to end what was cancelled.
pub(crate) const GRACE_PERIOD: Duration = Duration::from_secs(1);

/// How the bytes of a device go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// One after the other: pipes, terminals, stream sockets. A read may join what came in pieces.
    Bytes,
    /// In messages, reports or records, which a read brings whole.
    Messages,
    /// As the bytes of a regular file, which has a position of its own.
    Places,
}

/// What came back of one device's reads.
#[derive(Debug)]
pub(crate) struct Unread {
    numbers: AtomicU64,
    state: Mutex<State>,
    /// Whether there is anything in it: nobody locks to see that there is nothing.
    any: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// What came back, in the order of the reads that had brought it.
    chunks: VecDeque<Chunk>,
    /// Reads that were given up and are not over.
    orphans: Vec<Awaited>,
    /// Reads that were not submitted yet, in order.
    parked: VecDeque<InFlight>,
    /// One that was parked is being submitted: one at a time, so that they stay in order.
    submitting: bool,
}

#[derive(Debug)]
struct Chunk {
    bytes: Box<[u8]>,
    /// So many of them were given out.
    start: usize,
    /// That of the first one that was not.
    place: Place,
    promised: Option<Awaited>,
}

/// A read whose end is waited for: it is promised bytes, or was given up and may bring some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Awaited {
    /// [`InFlight::NONE`] of one that is given up while it is being submitted.
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

/// Where bytes are among those of all reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the read that brought them.
    pub(crate) number: u64,
    /// How many of its bytes are before them.
    pub(crate) part: u32,
}

impl Place {
    /// So many bytes further.
    pub(crate) fn after(self, bytes: usize) -> Self {
        Self { part: self.part.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX)), ..self }
    }
}

/// What a read was given in place of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) len: usize,
    /// The message was longer; the rest is for the next read.
    pub(crate) more: bool,
    /// Where it comes back to, if it does once more.
    pub(crate) place: Place,
}

/// What a read ended with.
#[derive(Debug)]
pub(crate) enum Own {
    Bytes(Box<[u8]>),
    /// The end of the stream, or a failure.
    None,
    Cancelled,
}

/// What becomes of a read that is being submitted.
#[derive(Debug)]
pub(crate) enum Admission {
    /// There is nothing: it goes to the driver.
    Go,
    /// It has bytes that came back. `true`: no more of them, and none to be expected.
    Given(Given, bool),
    /// It waits until reads before it are over.
    Parked,
    /// One that has waited longer has a promise now; ask again.
    Promised(InFlight),
}

/// Finds the read that has waited longest, of those for which the closure it is given says that they may have a promise.
pub(crate) type Longest<'a> = &'a dyn Fn(&dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)>;

impl Unread {
    pub(crate) fn new() -> Self {
        Self { numbers: AtomicU64::new(1), state: Mutex::default(), any: AtomicBool::new(false) }
    }

    /// The number of a read that is being submitted.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Whether there may be something. To whoever made it so, or was told by them, it is never falsely `false`.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// Gives a new read what there is, or has it wait for what there may be. `note` is told, under the lock, where what it
    /// is given belongs.
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
            // More of the same, if nobody else waits for it.
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

    /// The read `operation`, whose own bytes have this place, is over. `Some`: older bytes are in `output` in place of what
    /// it brought, which was kept; `note` is told, under the lock, where they belong. The end of the stream, or a failure,
    /// comes to a later read once more.
    pub(crate) fn settle(
        &self,
        kind: StreamKind,
        operation: InFlight,
        number: u64,
        (place, own): (Place, Own),
        output: &mut [u8],
        note: impl FnOnce(Place),
    ) -> Option<Given> {
        let mut state = lock(&self.state);
        let mut promised = state.chunks.iter().position(|chunk| chunk.is_promised_to(operation));
        if let (Own::Bytes(_), Some(at)) = (&own, promised)
            && state.chunks[at].place > place
        {
            // It had older bytes itself by then.
            state.withdraw(operation);
            promised = None;
        }
        // Older bytes than its own, also if they are promised to a later read: that one has what is kept of this one, then.
        let keeps = matches!(&own, Own::Bytes(own) if !own.is_empty() || kind == StreamKind::Messages);
        let older = || {
            let may = |chunk: &Chunk| chunk.promised.is_none_or(|promise| keeps && promise.number > number);
            let at = state.chunks.iter().position(may)?;
            (state.chunks[at].place < place && state.is_settled(at)).then_some(at)
        };
        // Nobody takes it from an orphan, and meanwhile it is missing here.
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

    /// Keeps bytes that a read had brought, for the next one.
    pub(crate) fn give_back(&self, place: Place, bytes: &[u8]) {
        let bytes = bytes.into();
        self.change(|state| state.keep(place, bytes));
    }

    /// The read with this number is being given up, and is not over: what comes after it waits for its end. One that is
    /// being submitted has no name and the number 0: everything waits for it.
    pub(crate) fn orphan(&self, operation: InFlight, number: impl FnOnce() -> u64) {
        self.change(|state| {
            // Under the lock: it may be about to have older bytes than its own.
            let number = number();
            state.withdraw(operation);
            state.orphans.push(Awaited { operation, number, since: Instant::now() });
        });
    }

    /// A read is over; what it had brought was given back before.
    pub(crate) fn resolve(&self, operation: InFlight) {
        self.change(|state| {
            let at = state.orphans.iter().position(|orphan| orphan.operation == operation);
            at.map(|at| state.orphans.swap_remove(at));
        });
    }

    /// No orphan of before `then` is waited for any more, nor a read that was promised something and does not end.
    pub(crate) fn give_up_orphans(&self, then: Instant) {
        let is_stale = |chunk: &&mut Chunk| chunk.promised.is_some_and(|promise| promise.since <= then);
        self.change(|state| {
            state.orphans.retain(|orphan| orphan.since > then);
            state.chunks.iter_mut().filter(is_stale).for_each(|chunk| chunk.promised = None);
        });
    }

    /// The next parked read, which is the caller's to submit, and to say so, if there is nothing left to wait for.
    pub(crate) fn unpark_next(&self) -> Option<InFlight> {
        self.change(|state| {
            let may_go = state.orphans.is_empty() && state.chunks.is_empty() && !state.submitting;
            let next = if may_go { state.parked.pop_front() } else { None };
            state.submitting |= next.is_some();
            next
        })
    }

    /// The read that was parked is submitted.
    pub(crate) fn submitted(&self) {
        self.change(|state| state.submitting = false);
    }

    /// A parked read, to be cancelled.
    pub(crate) fn unpark_first(&self) -> Option<InFlight> {
        self.change(|state| state.parked.pop_front())
    }

    /// Takes a read out of those that are parked, to be cancelled. Whether it was there.
    pub(crate) fn unpark(&self, operation: InFlight) -> bool {
        self.change(|state| {
            let at = state.parked.iter().position(|parked| *parked == operation);
            at.map(|at| state.parked.remove(at)).is_some()
        })
    }

    /// Who owned the read `operation` has left: what was promised to it is for another.
    pub(crate) fn withdraw(&self, operation: InFlight) {
        lock(&self.state).withdraw(operation);
    }

    /// Promises what is there to the read that has waited longest for it.
    pub(crate) fn promise(&self, longest: Longest<'_>) -> Option<InFlight> {
        lock(&self.state).promise(longest)
    }

    /// Whether a read before this place was given up a moment ago, and may bring bytes that come first.
    pub(crate) fn is_preceded(&self, place: Place) -> bool {
        let comes_first = |orphan: &Awaited| orphan.number < place.number && orphan.since.elapsed() < GRACE_PERIOD;
        lock(&self.state).orphans.iter().any(comes_first)
    }

    /// Whether something was promised to the read.
    pub(crate) fn is_promised(&self, operation: InFlight) -> bool {
        lock(&self.state).chunks.iter().any(|chunk| chunk.is_promised_to(operation))
    }

    /// Takes everything: the device is closed. How many reads had brought it, and how many bytes there are.
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

    /// The first bytes, if nobody has a promise, and no others may come before them. One promise at a time: how much of
    /// them that read takes shows when it does.
    fn first_free(&self) -> Option<usize> {
        let is_free = !self.chunks.is_empty() && self.chunks.iter().all(|chunk| chunk.promised.is_none());
        (is_free && self.is_settled(0)).then_some(0)
    }

    /// Whether no others may come before these.
    fn is_settled(&self, at: usize) -> bool {
        let number = self.chunks[at].place.number;
        self.orphans.iter().all(|orphan| number < orphan.number)
    }

    fn give(&mut self, at: usize, kind: StreamKind, output: &mut [u8]) -> Given {
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
        Given { len, more: rest && kind == StreamKind::Messages, place }
    }

    fn keep(&mut self, place: Place, bytes: Box<[u8]>) {
        let at = self.chunks.partition_point(|chunk| chunk.place < place);
        self.chunks.insert(at, Chunk { place, bytes, start: 0, promised: None });
        self.in_order(None);
    }

    /// The promise is of the first bytes, whatever has come or gone before them. `more` was of bytes that are gone.
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

    /// A read, the second of its device, that waits in the driver; and the bytes of the first one.
    struct World {
        unread: Unread,
        slot: Machine<usize>,
        /// The driver has ended it, with a byte or by a cancellation.
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

        /// The driver ends the read, once, and the dispatcher handles the packet.
        fn end(&self, brings: bool) {
            if self.ended.swap(true, SeqCst) {
                return;
            }
            self.brought.store(brings, SeqCst);
            if let (Completion::Recycle(_), _) = self.slot.complete(1) {
                // Nobody is there to take it.
                if brings {
                    self.unread.give_back(OWN, &[2]);
                }
                self.unread.resolve(READ);
            }
        }

        fn longest(&self, may: &dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)> {
            self.slot.pending().filter(|_| may(READ)).map(|_| (2, READ))
        }

        /// The first read's byte comes back, and is promised to who waits.
        fn comes_back(&self) {
            self.unread.give_back(Place { number: 1, part: 0 }, &[1]);
            if self.unread.promise(&|may| self.longest(may)).is_some() {
                self.end(false);
            }
        }

        /// What the owner gets of a read that is over.
        fn take(&self) -> Vec<u8> {
            let brought = self.brought.load(SeqCst);
            let own = if brought { Own::Bytes([2].into()) } else { Own::Cancelled };
            let mut output = [2];
            let given = self.unread.settle(StreamKind::Messages, READ, 2, (OWN, own), &mut output, |_| {});
            if given.is_some() || brought { output.to_vec() } else { Vec::new() }
        }

        /// Everything that is left for the next reads, in order.
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

    /// Bytes come back while the read that waits for them ends by itself, and its owner takes what it finds.
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

    /// Bytes come back while the owner of the read that waits for them leaves, and the driver ends it.
    #[test]
    fn loom_a_promise_against_an_owner_who_leaves() {
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
