//! The state machine of one operation: which thread may touch its memory, which one is woken, which one frees the slot.
//!
//! Four parties race: the *owner*, which submitted (a [`Call`](crate::Call)); the *completer*, which dequeued a packet;
//! a *canceller*, which is neither; and late packets of calls that ended long ago. One word holds all they must agree
//! on: the slot's generation, its phase, whether a canceller is at work, and whether a party has *entered*, that is,
//! may read and replace the waiter. There is no lock. A completer that finds another party inside goes away; when that
//! party comes out, it sees what has happened meanwhile, and does what is left to do.
//! ```text
//!            begin             complete              release
//!   FREE ───────────► PENDING ───────────► COMPLETE ─────────► FREE, next generation
//!                        │ abandon                                ▲
//!                        ▼              complete                  │
//!                    ABANDONED ───────────────────────────────────┘
//! ```
//!
//! The owner also calls `release` when the submission itself returned a final status. The phase is then PENDING or, if
//! a packet came first, COMPLETE. A packet that comes later has the old generation, and is ignored.
//!
//! This file uses neither the operating system nor the operation's memory. So loom checks it unchanged, and checks that
//! only one party at a time has entered.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::system::sync::{AtomicU64, UnsafeCell, yield_now};
use crate::words::token::{Generation, LAST_GENERATION};

/// In the pool, or held by the one thread that took the slot from the pool.
const FREE: u64 = 0;
/// Submitted. The kernel may write the operation's memory, and no one else touches it. The owner has a call.
const PENDING: u64 = 1;
/// The packet has come. The memory belongs to the owner, which releases the slot.
const COMPLETE: u64 = 2;
/// The owner has left. The kernel may still write the memory. The thread that takes the packet releases the slot.
const ABANDONED: u64 = 3;
const PHASE: u64 = 3;
/// A canceller uses the operation's address. Other parties do not release the slot now; they set DEFERRED instead.
const PINNED: u64 = 4;
/// The party that set PINNED or HELD must release the slot. If both are set, the last one does.
const DEFERRED: u64 = 8;

/// The operation was cancelled because it reached its deadline.
const OVERDUE: u64 = 16;
/// The driver did not end the operation within the grace period after that: the owner must stop waiting.
const EXPIRED: u64 = 32;
/// There is a waiter. The party that completes the operation, or reports its expiry, takes it.
const AWAITED: u64 = 64;
/// A party has entered: no other one may touch the waiter. As with [`PINNED`], no other party releases the slot.
const HELD: u64 = 256;
/// While one of these is set, other parties leave the release of the slot to the one that set it.
const BUSY: u64 = PINNED | HELD;

/// The port counts the operation among those that no thread waits for, until the operation is complete.
const UNATTENDED: u64 = 128;

fn pack(generation: Generation, phase: u64) -> u64 {
    u64::from(generation) << 32 | phase
}

fn generation(word: u64) -> Generation {
    (word >> 32) as Generation
}

/// Whether the operation `of` is in flight and its owner is there.
fn is_pending(word: u64, of: Generation) -> bool {
    generation(word) == of && word & PHASE == PENDING
}

/// Whether there is a waiter, and no party has entered.
fn is_awaited(word: u64) -> bool {
    word & (AWAITED | HELD) == AWAITED
}

/// The meaning of a packet. It does not contain the waiter: most packets find none, and this must be small.
pub(crate) enum Packet<'a, W> {
    /// The result is published, and there is no waiter to wake.
    Published,
    /// The result is published, and this holds the waiter to wake.
    Awaited(WaiterAccess<'a, W>),
    /// The owner has left. The slot is free: give it back.
    Recycle(Recycle),
    /// The owner has left. The party that set PINNED or HELD will give the slot back.
    Left,
    /// No operation in flight has this token: the packet is old, or came twice.
    Stray,
}

/// The exclusive right to touch the waiter. It keeps the slot from being released.
#[must_use = "without this the slot is never given back"]
pub(crate) struct WaiterAccess<'a, W>(&'a Machine<W>, Generation);

impl<W> WaiterAccess<'_, W> {
    /// Takes the waiter out. `Some` recycling: the owner has already taken the result and left. Then the caller must
    /// give the slot back, and nobody needs the waiter.
    #[inline]
    pub(crate) fn hand_out(self) -> (Option<W>, Option<Recycle>) {
        // SAFETY: the party that made this had set HELD.
        let waiter = unsafe { self.0.exchange(None) };
        (waiter, self.0.let_go(self.1, HELD))
    }
}

/// The state of an operation, as its owner finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No result yet; the waiter will be woken.
    Pending,
    /// The result is published.
    Complete,
    /// The deadline has passed, and the driver did not react to the cancellation.
    Expired,
}

/// What happens to a slot that has been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recycle {
    /// It goes back to the pool.
    Pool,
    /// Its generations are used up: it is never used again.
    Retire,
}

/// The state of one operation; `W` is the waiter.
pub(crate) struct Machine<W> {
    word: AtomicU64,
    /// The party that set [`HELD`] uses this. Before and after an operation, the thread that has the slot does.
    waiter: UnsafeCell<Option<W>>,
}

// SAFETY: one thread at a time reaches the waiter, as the word says; the waiter may go from one thread to another.
unsafe impl<W: Send> Sync for Machine<W> {}

impl<W> Machine<W> {
    /// A slot in the pool that was never used.
    pub(crate) fn new() -> Self {
        Self::starting_at(1)
    }

    /// A slot in the pool whose next use has this generation.
    pub(crate) fn starting_at(generation: Generation) -> Self {
        Self { word: AtomicU64::new(pack(generation, FREE)), waiter: UnsafeCell::new(None) }
    }

    /// FREE → PENDING, by the one thread that holds the slot. From now on a packet may come.
    #[inline]
    pub(crate) fn begin(&self, waiter: Option<W>) -> Generation {
        let word = self.word.load(Acquire);
        debug_assert_eq!(word & !pack(Generation::MAX, 0), FREE);
        let mut next = word | PENDING;
        if waiter.is_some() {
            // SAFETY: the slot is this thread's alone until the word is written.
            drop(unsafe { self.exchange(waiter) });
            next |= AWAITED;
        }
        self.word.store(next, Release);
        generation(word)
    }

    /// A packet with this generation has come: publishes the result, and enters in the same step if there is a waiter.
    /// Also returns whether the operation was [unattended](Self::set_unattended).
    #[inline]
    pub(crate) fn publish(&self, of: Generation) -> (Packet<'_, W>, bool) {
        let before = self.change(|word| {
            let published = word & !PHASE | COMPLETE;
            match word & PHASE {
                _ if generation(word) != of => None,
                PENDING if is_awaited(word) => Some(published & !AWAITED | HELD),
                // A party that has entered looks at the phase when it comes out.
                PENDING => Some(published),
                ABANDONED if word & BUSY != 0 => Some(published | DEFERRED),
                ABANDONED => Some(Self::after(of)),
                _ => None,
            }
        });
        let Ok(word) = before else { return (Packet::Stray, false) };
        let packet = match word & PHASE {
            PENDING if is_awaited(word) => Packet::Awaited(WaiterAccess(self, of)),
            PENDING => Packet::Published,
            _ if word & BUSY != 0 => Packet::Left,
            _ => Packet::Recycle(Self::recycle(of)),
        };
        (packet, word & UNATTENDED != 0)
    }

    /// Replaces the word by `next(word)`, and returns the old word. `Err`: `next` returned `None`, and the word is
    /// unchanged. Calls `next` again if another thread has changed the word meanwhile.
    #[inline]
    fn change(&self, next: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word.fetch_update(AcqRel, Acquire, next)
    }

    /// Replaces the waiter, and returns the old one.
    ///
    /// # Safety
    /// The caller has set HELD, or no one else has the slot.
    #[inline]
    unsafe fn exchange(&self, waiter: Option<W>) -> Option<W> {
        // SAFETY: by the caller's promise, no one else is here.
        self.waiter.with_mut(|there| unsafe { std::mem::replace(&mut *there, waiter) })
    }

    /// Clears `mine`, which is PINNED or HELD. `Some`: the caller must give the slot back.
    #[inline]
    fn let_go(&self, of: Generation, mine: u64) -> Option<Recycle> {
        let is_last = |word| word & DEFERRED != 0 && word & BUSY == mine;
        let before = self.change(|word| {
            debug_assert!(generation(word) == of && word & mine != 0);
            Some(if is_last(word) { Self::after(of) } else { word & !mine })
        });
        before.is_ok_and(is_last).then(|| Self::recycle(of))
    }

    /// The owner takes the waiter of the operation `of` back. `None`: there is none, or another party has entered to
    /// wake it.
    pub(crate) fn take_waiter(&self, of: Generation) -> Option<W> {
        let is_there = |word| generation(word) == of && is_awaited(word);
        self.change(|word| is_there(word).then_some(word & !AWAITED | HELD)).ok()?;
        // SAFETY: HELD was set above.
        let waiter = unsafe { self.exchange(None) };
        // The owner has not released the slot, so no release was left to this party.
        self.let_go(of, HELD);
        waiter
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

    /// The generation, if the operation is in flight and its owner has not left.
    pub(crate) fn pending(&self) -> Option<Generation> {
        let word = self.word.load(Acquire);
        (word & PHASE == PENDING).then(|| generation(word))
    }

    /// Leaves a waiter, unless the result is published. Makes a new waiter unless the current one `will_do`. Waiters
    /// are made and dropped while HELD is not set, since that runs the caller's code.
    pub(crate) fn wait(&self, will_do: impl FnOnce(&W) -> bool, make: impl FnOnce() -> W) -> Progress {
        let word = self.word.load(Acquire);
        if Self::progress(word) == Progress::Complete {
            return Progress::Complete;
        }
        if word & AWAITED != 0 && self.enter() {
            // SAFETY: HELD is set.
            let is_there = self.waiter.with_mut(|there| unsafe { (*there).as_ref().is_some_and(will_do) });
            let (progress, left) = self.come_out();
            drop(left);
            if is_there || progress == Progress::Complete {
                return progress;
            }
        }
        // Also if the operation has expired: the caller may go on waiting for the result.
        self.register(make()).unwrap_or(Progress::Complete)
    }

    /// The owner replaces the waiter. If the result is published, this returns the new waiter, which no other party has
    /// seen.
    pub(crate) fn register(&self, waiter: W) -> Result<Progress, W> {
        if !self.enter() {
            return Err(waiter);
        }
        // SAFETY: HELD is set.
        let old = unsafe { self.exchange(Some(waiter)) };
        let (progress, left) = self.come_out();
        drop(old);
        left.map_or(Ok(progress), Err)
    }

    /// Sets HELD for the owner. `false`: the result is published.
    fn enter(&self) -> bool {
        loop {
            match self.change(|word| (word & PHASE != COMPLETE && word & HELD == 0).then_some(word | HELD)) {
                Ok(_) => return true,
                Err(word) if word & PHASE == COMPLETE => return false,
                // The thread that reports the expiry has entered, and soon comes out.
                Err(_) => yield_now(),
            }
        }
    }

    /// Clears HELD for the owner. From now on a completer wakes the waiter. If the result was published meanwhile, the
    /// completer has left the waiter alone: then this returns it.
    fn come_out(&self) -> (Progress, Option<W>) {
        match self.change(|word| (word & PHASE != COMPLETE).then_some(word & !HELD | AWAITED)) {
            Ok(word) => (Self::progress(word), None),
            Err(_) => {
                // SAFETY: HELD is set.
                let left = unsafe { self.exchange(None) };
                self.word.fetch_and(!(HELD | AWAITED), AcqRel);
                (Progress::Complete, left)
            }
        }
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

    /// Whether the operation was cancelled because it reached its deadline.
    pub(crate) fn is_overdue(&self) -> bool {
        self.word.load(Acquire) & OVERDUE != 0
    }

    /// The operation `of` has reached its deadline. If it ends as cancelled, this flag tells the reason.
    pub(crate) fn set_overdue(&self, of: Generation) -> bool {
        self.change(|word| is_pending(word, of).then_some(word | OVERDUE)).is_ok()
    }

    /// The grace period of the operation `of` is over. Returns the waiter, to wake the owner, which must stop waiting.
    pub(crate) fn expire(&self, of: Generation) -> Option<WaiterAccess<'_, W>> {
        let before = self.change(|word| {
            let held = if is_awaited(word) { word & !AWAITED | HELD } else { word };
            is_pending(word, of).then_some(held | EXPIRED)
        });
        before.is_ok_and(is_awaited).then_some(WaiterAccess(self, of))
    }

    /// Marks the operation `of` as one that no thread waits for. `false`: it is marked already, or over.
    pub(crate) fn set_unattended(&self, of: Generation) -> bool {
        self.mark(of, UNATTENDED)
    }

    #[inline]
    pub(crate) fn is_unattended(&self) -> bool {
        self.word.load(Acquire) & UNATTENDED != 0
    }

    /// The owner leaves. Returns whether the result was published already: then the slot still belongs to the owner.
    pub(crate) fn abandon(&self, of: Generation) -> bool {
        let before = self.change(|word| {
            debug_assert_eq!(generation(word), of);
            (word & PHASE != COMPLETE).then_some(word & !PHASE | ABANDONED)
        });
        before.is_err()
    }

    /// The owner gives the slot up: it has taken the result, or the submission returned a final status. From now on a
    /// packet with this generation is a stray. `None`: the party that set PINNED or HELD will give the slot back.
    #[inline]
    pub(crate) fn release(&self, of: Generation) -> Option<Recycle> {
        let word = self.word.load(Acquire);
        // The operation is complete, and neither PINNED nor HELD is set. So only the owner changes the word, and a
        // plain store is enough.
        if word & (PHASE | BUSY) == COMPLETE {
            self.word.store(Self::after(of), Release);
            return Some(Self::recycle(of));
        }
        let is_busy = |word| word & BUSY != 0;
        let before = self.change(|word| {
            debug_assert_eq!(generation(word), of);
            Some(if is_busy(word) { word & !PHASE | COMPLETE | DEFERRED } else { Self::after(of) })
        });
        (!before.is_ok_and(is_busy)).then(|| Self::recycle(of))
    }

    /// A canceller wants to use the address of the operation `of`. `true`: the slot keeps this operation until
    /// [`unpin`](Self::unpin).
    pub(crate) fn pin(&self, of: Generation) -> bool {
        self.mark(of, PINNED)
    }

    /// Sets a flag of the operation `of`. `false`: the flag is set already, or the operation is not in flight.
    fn mark(&self, of: Generation, flag: u64) -> bool {
        let in_flight = |word| matches!(word & PHASE, PENDING | ABANDONED);
        let may = |word| generation(word) == of && in_flight(word) && word & flag == 0;
        self.change(|word| may(word).then_some(word | flag)).is_ok()
    }

    /// The canceller is done. `Some`: it must give the slot back.
    pub(crate) fn unpin(&self, of: Generation) -> Option<Recycle> {
        self.let_go(of, PINNED)
    }

    fn after(of: Generation) -> u64 {
        // After the last generation the slot is retired. No token has this generation, so no packet can name the slot.
        pack(of + 1, FREE)
    }

    fn recycle(of: Generation) -> Recycle {
        if of >= LAST_GENERATION { Recycle::Retire } else { Recycle::Pool }
    }
}

/// The meaning of a packet, and what the dispatcher then does. For tests.
#[cfg(test)]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion<W> {
    Published(Option<W>),
    Recycle(Recycle),
    Left,
    Overtaken(W, Recycle),
    Stray,
}

#[cfg(test)]
impl<W> Machine<W> {
    /// Like [`publish`](Self::publish), but also hands the waiter out.
    pub(crate) fn complete(&self, of: Generation) -> (Completion<W>, bool) {
        let (packet, was_unattended) = self.publish(of);
        let completion = match packet {
            Packet::Published => Completion::Published(None),
            Packet::Awaited(held) => Completion::of(held.hand_out()),
            Packet::Recycle(how) => Completion::Recycle(how),
            Packet::Left => Completion::Left,
            Packet::Stray => Completion::Stray,
        };
        (completion, was_unattended)
    }
}

#[cfg(test)]
impl<W> Completion<W> {
    fn of((waiter, left): (Option<W>, Option<Recycle>)) -> Self {
        match (waiter, left) {
            (Some(waiter), Some(how)) => Self::Overtaken(waiter, how),
            (None, Some(how)) => Self::Recycle(how),
            (waiter, None) => Self::Published(waiter),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
