//! The state machine of one operation: who may touch its memory, who is woken, who gives the slot back.
//!
//! Four parties race: the *owner* who submitted (a [`Call`](crate::Call)), the *completer* who dequeued a packet, a
//! *canceller* who is neither, and late packets of calls that are long over. One word holds everything they agree on:
//! the slot's generation, its phase, and whether a canceller is at work. The waiter has a lock of its own, which is
//! never held while somebody is woken.
//!
//! ```text
//!            begin             complete              release
//!   FREE ───────────► PENDING ───────────► COMPLETE ─────────► FREE, next generation
//!                        │ abandon                                ▲
//!                        ▼              complete                  │
//!                    ABANDONED ───────────────────────────────────┘
//! ```
//!
//! `release` is also what the owner does when the submission itself returned a final status: the phase is then PENDING
//! or, if a packet came first, COMPLETE. Whatever packet is still on its way carries the old generation.
//!
//! No operating system, no memory of the operation and no `unsafe` in here: loom checks this file as it stands.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::sync::{AtomicU64, Mutex, lock};
use crate::words::token::{Generation, LAST_GENERATION};

/// In the pool, or held by the one thread that took it from there.
const FREE: u64 = 0;
/// Submitted. The kernel may write the operation's memory; nobody else touches it. The owner has a call.
const PENDING: u64 = 1;
/// The packet has come. The memory belongs to the owner, who releases the slot.
const COMPLETE: u64 = 2;
/// The owner has left. The kernel may still write the memory; whoever brings the packet releases the slot.
const ABANDONED: u64 = 3;
const PHASE: u64 = 3;
/// A canceller uses the operation's address. Nobody releases the slot; who wants to leaves DEFERRED behind.
const PINNED: u64 = 4;
/// The slot's release is left to the canceller.
const DEFERRED: u64 = 8;

/// The operation's time is over, and its cancellation was asked for because of that.
const OVERDUE: u64 = 16;
/// So long over that the owner shall not wait for the driver any more.
const EXPIRED: u64 = 32;
/// There may be a waiter: nobody locks to see that there is none.
const AWAITED: u64 = 64;

/// It counts among those that nobody waits for, until it is complete.
const UNATTENDED: u64 = 128;
fn pack(generation: Generation, phase: u64) -> u64 {
    u64::from(generation) << 32 | phase
}

fn generation(word: u64) -> Generation {
    (word >> 32) as Generation
}

/// What a packet meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion<W> {
    /// The result is published. Wake this waiter, if there is one.
    Published(Option<W>),
    /// The owner has left: the slot is free, give it back.
    Recycle(Recycle),
    /// The owner has left, and a canceller will give the slot back.
    Left,
    /// No operation in flight has this token: it is old, or came twice.
    Stray,
}

/// What an owner finds who looks for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing yet; the waiter will be woken.
    Pending,
    /// The result is published.
    Complete,
    /// The time is over and the driver did not react to the cancellation.
    Expired,
}

/// What becomes of a slot that has been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recycle {
    /// Back to the pool.
    Pool,
    /// Its generations are used up: never again.
    Retire,
}

/// The state of one operation; `W` is what waits for it.
#[derive(Debug)]
pub(crate) struct Machine<W> {
    word: AtomicU64,
    waiter: Mutex<Option<W>>,
}

impl<W> Machine<W> {
    /// A slot in the pool that was never used.
    pub(crate) fn new() -> Self {
        Self::starting_at(1)
    }

    /// A slot in the pool whose next use has this generation.
    pub(crate) fn starting_at(generation: Generation) -> Self {
        Self { word: AtomicU64::new(pack(generation, FREE)), waiter: Mutex::new(None) }
    }

    /// FREE → PENDING, by the one thread that holds the slot. From here on a packet may come.
    #[inline]
    pub(crate) fn begin(&self, waiter: Option<W>) -> Generation {
        let word = self.word.load(Acquire);
        debug_assert_eq!(word & !pack(Generation::MAX, 0), FREE);
        let mut next = word | PENDING;
        if let Some(waiter) = waiter {
            let old = lock(&self.waiter).replace(waiter);
            // Somebody else's code: not under the lock.
            drop(old);
            next |= AWAITED;
        }
        self.word.store(next, Release);
        generation(word)
    }

    /// A packet with this generation has come: publish the result, *then* take the waiter. Also says whether the operation
    /// was [unattended](Self::set_unattended).
    #[inline]
    pub(crate) fn complete(&self, of: Generation) -> (Completion<W>, bool) {
        let mut word = self.word.load(Acquire);
        loop {
            if generation(word) != of {
                return (Completion::Stray, false);
            }
            let (next, abandoned) = match word & PHASE {
                PENDING => (word & !PHASE | COMPLETE, false),
                ABANDONED if word & PINNED != 0 => (word & !PHASE | COMPLETE | DEFERRED, true),
                ABANDONED => (Self::after(of), true),
                _ => return (Completion::Stray, false),
            };
            if let Err(now) = self.word.compare_exchange_weak(word, next, AcqRel, Acquire) {
                word = now;
                continue;
            }
            let completion = if !abandoned {
                Completion::Published(if next & AWAITED == 0 { None } else { self.take_waiter(of) })
            } else if next & DEFERRED != 0 {
                Completion::Left
            } else {
                Completion::Recycle(Self::recycle(of))
            };
            return (completion, word & UNATTENDED != 0);
        }
    }

    /// [`take_waiter`](Self::take_waiter), by the owner, who looks first whether there may be one.
    #[inline]
    pub(crate) fn forget_waiter(&self, of: Generation) {
        if self.word.load(Acquire) & AWAITED != 0 {
            drop(self.take_waiter(of));
        }
    }

    /// Takes the waiter of the operation `of`, and nobody else's: the owner may have released the slot since, and the
    /// next owner's waiter must stay.
    #[inline]
    pub(crate) fn take_waiter(&self, of: Generation) -> Option<W> {
        let mut waiter = lock(&self.waiter);
        if generation(self.word.load(Acquire)) == of { waiter.take() } else { None }
    }

    /// Whether the result is published.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.word.load(Acquire) & PHASE == COMPLETE
    }

    /// The generation, if the operation is in flight.
    pub(crate) fn in_flight(&self) -> Option<Generation> {
        let word = self.word.load(Acquire);
        matches!(word & PHASE, PENDING | ABANDONED).then(|| generation(word))
    }

    /// The generation, if the operation is in flight and its owner is there.
    pub(crate) fn pending(&self) -> Option<Generation> {
        let word = self.word.load(Acquire);
        (word & PHASE == PENDING).then(|| generation(word))
    }

    /// Leaves a waiter unless there is something to see. A new one is made unless the one that is there `will_do`; making
    /// and dropping waiters is somebody else's code, and not done under the lock.
    pub(crate) fn wait(&self, will_do: impl FnOnce(&W) -> bool, make: impl FnOnce() -> W) -> Progress {
        let word = self.word.load(Acquire);
        // Also if it has expired: a caller may go on waiting for the result.
        if Self::progress(word) != Progress::Complete {
            let is_there = lock(&self.waiter).as_ref().is_some_and(will_do);
            if !is_there {
                let new = make();
                let old = lock(&self.waiter).replace(new);
                drop(old);
            }
            if word & AWAITED == 0 {
                // Also if it is complete by now: then the waiter is found by its owner.
                self.word.fetch_or(AWAITED, AcqRel);
            }
        }
        // A completer who looked before we registered had published by then, and this sees it.
        Self::progress(self.word.load(Acquire))
    }

    fn progress(word: u64) -> Progress {
        if word & PHASE == COMPLETE {
            Progress::Complete
        } else if word & EXPIRED != 0 {
            Progress::Expired
        } else {
            Progress::Pending
        }
    }

    /// Whether the driver did not react to the cancellation in time.
    pub(crate) fn is_expired(&self) -> bool {
        self.word.load(Acquire) & EXPIRED != 0
    }

    /// Whether the operation was cancelled because its time was over.
    pub(crate) fn is_overdue(&self) -> bool {
        self.word.load(Acquire) & OVERDUE != 0
    }

    /// The time of the operation `of` is over: whoever finds it cancelled knows why.
    pub(crate) fn set_overdue(&self, of: Generation) -> bool {
        self.flag(of, OVERDUE)
    }

    /// The driver had its chance: the owner is to be told, by this waiter, not to wait any more.
    pub(crate) fn expire(&self, of: Generation) -> Option<W> {
        if self.flag(of, EXPIRED) { self.take_waiter(of) } else { None }
    }

    /// The operation `of` counts from now on among those that nobody waits for; `false` if it does already, or is over.
    pub(crate) fn set_unattended(&self, of: Generation) -> bool {
        let mut word = self.word.load(Acquire);
        loop {
            let in_flight = matches!(word & PHASE, PENDING | ABANDONED);
            if generation(word) != of || !in_flight || word & UNATTENDED != 0 {
                return false;
            }
            match self.word.compare_exchange_weak(word, word | UNATTENDED, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Whether the operation in the slot, if one is in flight, counts among those that nobody waits for.
    #[inline]
    pub(crate) fn is_unattended(&self) -> bool {
        self.word.load(Acquire) & UNATTENDED != 0
    }

    /// Sets a flag of the operation `of`, if it is in flight and its owner is there.
    fn flag(&self, of: Generation, flag: u64) -> bool {
        let mut word = self.word.load(Acquire);
        loop {
            if generation(word) != of || word & PHASE != PENDING {
                return false;
            }
            match self.word.compare_exchange_weak(word, word | flag, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// The owner leaves. Returns whether the result was published already: then the slot is still the owner's.
    pub(crate) fn abandon(&self, of: Generation) -> bool {
        let mut word = self.word.load(Acquire);
        loop {
            debug_assert_eq!(generation(word), of);
            if word & PHASE == COMPLETE {
                return true;
            }
            match self.word.compare_exchange_weak(word, word & !PHASE | ABANDONED, AcqRel, Acquire) {
                Ok(_) => return false,
                Err(now) => word = now,
            }
        }
    }

    /// The owner gives the slot up: the result is taken, or the submission returned a final status. From here on a
    /// packet with this generation is a stray. `None`: a canceller will give the slot back.
    #[inline]
    pub(crate) fn release(&self, of: Generation) -> Option<Recycle> {
        let mut word = self.word.load(Acquire);
        // Complete, and no canceller at work: nobody but the owner changes the word, so that a plain store will do.
        if word & (PHASE | PINNED) == COMPLETE {
            self.word.store(Self::after(of), Release);
            return Some(Self::recycle(of));
        }
        loop {
            debug_assert_eq!(generation(word), of);
            let pinned = word & PINNED != 0;
            let next = if pinned { word & !PHASE | COMPLETE | DEFERRED } else { Self::after(of) };
            match self.word.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => return (!pinned).then(|| Self::recycle(of)),
                Err(now) => word = now,
            }
        }
    }

    /// Somebody who is not the owner wants to cancel the operation `of`. On `true` its address stays its own until
    /// [`unpin`](Self::unpin).
    pub(crate) fn pin(&self, of: Generation) -> bool {
        let mut word = self.word.load(Acquire);
        loop {
            let in_flight = matches!(word & PHASE, PENDING | ABANDONED);
            if generation(word) != of || !in_flight || word & PINNED != 0 {
                return false;
            }
            match self.word.compare_exchange_weak(word, word | PINNED, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// The canceller is done. `Some`: the release was left to it, the slot is to be given back.
    pub(crate) fn unpin(&self, of: Generation) -> Option<Recycle> {
        let mut word = self.word.load(Acquire);
        loop {
            debug_assert!(generation(word) == of && word & PINNED != 0);
            let deferred = word & DEFERRED != 0;
            let next = if deferred { Self::after(of) } else { word & !PINNED };
            match self.word.compare_exchange_weak(word, next, AcqRel, Acquire) {
                Ok(_) => return deferred.then(|| Self::recycle(of)),
                Err(now) => word = now,
            }
        }
    }

    fn after(of: Generation) -> u64 {
        // Past the last generation the slot is retired: no token has that number, so no packet can mean it.
        pack(of + 1, FREE)
    }

    fn recycle(of: Generation) -> Recycle {
        if of >= LAST_GENERATION { Recycle::Retire } else { Recycle::Pool }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
