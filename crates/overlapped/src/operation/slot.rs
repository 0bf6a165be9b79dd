//! The state machine of one operation: which thread may touch its memory, which one is woken, which one frees the slot.
//!
//! Four parties race: the *owner*, which submitted (a [`Call`](crate::Call)); the *completer*, which dequeued a packet;
//! a *canceller*, which is neither; and late packets of calls that ended long ago. One word holds all they must agree
//! on: the slot's generation, its phase, whether a canceller is at work, and which party is at the waiter. There is no
//! lock. A party that finds another one at the waiter leaves. The party that comes out sees what has happened
//! meanwhile.
//! ```text
//!            begin             complete              release
//!   FREE ───────────► PENDING ───────────► COMPLETE ─────────► FREE, next generation
//!                        │ abandon                                ▲
//!                        ▼              complete                  │
//!                    ABANDONED ───────────────────────────────────┘
//! ```
//!
//! The owner also does `release` when the submission itself returned a final status. The phase is then PENDING or, if a
//! packet came first, COMPLETE. Any packet that is still on its way has the old generation.
//!
//! This file uses neither the operating system nor the operation's memory. So loom checks it as it is, and checks that
//! only one party is at the waiter at a time.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use crate::system::sync::{AtomicU64, UnsafeCell, yield_now};
use crate::words::token::{Generation, LAST_GENERATION};

/// In the pool, or held by the one thread that took the slot from there.
const FREE: u64 = 0;
/// Submitted. The kernel may write the operation's memory, and no one else touches it. The owner has a call.
const PENDING: u64 = 1;
/// The packet has come. The memory belongs to the owner, who releases the slot.
const COMPLETE: u64 = 2;
/// The owner has left. The kernel may still write the memory. The party that brings the packet releases the slot.
const ABANDONED: u64 = 3;
const PHASE: u64 = 3;
/// A canceller uses the operation's address. No party releases the slot: a party that wants to sets DEFERRED instead.
const PINNED: u64 = 4;
/// The canceller, or the party at the waiter, must release the slot.
const DEFERRED: u64 = 8;

/// The operation's time is over, and it was cancelled for that reason.
const OVERDUE: u64 = 16;
/// The operation is overdue for so long that the owner must stop waiting for the driver.
const EXPIRED: u64 = 32;
/// There is a waiter. The party that completes the operation, or reports its expiry, takes it.
const AWAITED: u64 = 64;
/// A party is at the waiter, and no other one goes there. As with [`PINNED`], no party releases the slot.
const HELD: u64 = 256;
/// While one of these is set, a party that wants to release the slot leaves that to its holder.
const BUSY: u64 = PINNED | HELD;

/// The operation counts as one that no thread waits for, until it is complete.
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

/// Whether there is a waiter, and nobody at it.
fn is_awaited(word: u64) -> bool {
    word & (AWAITED | HELD) == AWAITED
}

/// What a packet meant. Without the waiter itself: mostly there is none, and then nothing is moved about.
pub(crate) enum Packet<'a, W> {
    /// The result is published, and there is no waiter to wake.
    Published,
    /// The result is published, and this holds the waiter to wake.
    Awaited(WaiterAccess<'a, W>),
    /// The owner has left. The slot is free: give it back.
    Recycle(Recycle),
    /// The owner has left. The party that is at work will give the slot back.
    Left,
    /// No operation in flight has this token: the packet is old, or came twice.
    Stray,
}

/// The right to be at the waiter alone. It keeps the slot from being released.
#[must_use = "without this the slot is never given back"]
pub(crate) struct WaiterAccess<'a, W>(&'a Machine<W>, Generation);

impl<W> WaiterAccess<'_, W> {
    /// The waiter, and the slot's recycling if the owner has already taken the result and left. Then the caller must
    /// give the slot back, and the waiter is not needed any more.
    #[inline]
    pub(crate) fn hand_out(self) -> (Option<W>, Option<Recycle>) {
        // SAFETY: the party that made this had set HELD.
        let waiter = unsafe { self.0.exchange(None) };
        (waiter, self.0.let_go(self.1, HELD))
    }
}

/// What an owner finds when it looks for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No result yet; the waiter will be woken.
    Pending,
    /// The result is published.
    Complete,
    /// The time is over and the driver did not react to the cancellation.
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

    /// A packet with this generation has come: publish the result, and take the waiter in the same step. Also says whether
    /// the operation was [unattended](Self::set_unattended).
    #[inline]
    pub(crate) fn publish(&self, of: Generation) -> (Packet<'_, W>, bool) {
        let before = self.change(|word| {
            let published = word & !PHASE | COMPLETE;
            match word & PHASE {
                _ if generation(word) != of => None,
                PENDING if is_awaited(word) => Some(published & !AWAITED | HELD),
                // Who is at the waiter looks at the phase when coming out.
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

    /// Changes the word to what `next` makes of it, which is asked again when somebody else was faster: gives what the word
    /// was. `Err`: it stays as it is.
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

    /// Ends the hold on the slot that is `mine`: PINNED or HELD. `Some`: the release was left to the caller.
    #[inline]
    fn let_go(&self, of: Generation, mine: u64) -> Option<Recycle> {
        let is_last = |word| word & DEFERRED != 0 && word & BUSY == mine;
        let before = self.change(|word| {
            debug_assert!(generation(word) == of && word & mine != 0);
            Some(if is_last(word) { Self::after(of) } else { word & !mine })
        });
        before.is_ok_and(is_last).then(|| Self::recycle(of))
    }

    /// The owner takes the waiter of the operation `of` back. `None` if there is none, or another party has taken it to
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

    /// Leaves a waiter, unless the result is published. Makes a new waiter unless the current one `will_do`. Making and
    /// dropping waiters runs the caller's code, so this happens while HELD is not set.
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
        // Even if the operation has expired: a caller may go on waiting for the result.
        self.register(make()).unwrap_or(Progress::Complete)
    }

    /// The owner leaves a waiter in place of the current one. If the result is published, the waiter is returned, and
    /// no other party has it.
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

    /// The owner goes to the waiter. `false`: the result is published.
    fn enter(&self) -> bool {
        loop {
            match self.change(|word| (word & PHASE != COMPLETE && word & HELD == 0).then_some(word | HELD)) {
                Ok(_) => return true,
                Err(word) if word & PHASE == COMPLETE => return false,
                // Whoever tells of the expiry has the waiter in hand, and comes out.
                Err(_) => yield_now(),
            }
        }
    }

    /// The owner comes from the waiter. From now on the waiter will be woken. But if a completer was here meanwhile, it
    /// left the waiter alone: then the waiter is returned.
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

    /// Whether the operation was cancelled because its time was over.
    pub(crate) fn is_overdue(&self) -> bool {
        self.word.load(Acquire) & OVERDUE != 0
    }

    /// The time of the operation `of` is over: if it ends as cancelled, this says why.
    pub(crate) fn set_overdue(&self, of: Generation) -> bool {
        self.change(|word| is_pending(word, of).then_some(word | OVERDUE)).is_ok()
    }

    /// The driver had its chance. The waiter is returned, so that the owner is told to stop waiting.
    pub(crate) fn expire(&self, of: Generation) -> Option<WaiterAccess<'_, W>> {
        let before = self.change(|word| {
            let held = if is_awaited(word) { word & !AWAITED | HELD } else { word };
            is_pending(word, of).then_some(held | EXPIRED)
        });
        before.is_ok_and(is_awaited).then_some(WaiterAccess(self, of))
    }

    /// Counts the operation `of` as one that no thread waits for. `false` if it is counted already, or over.
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

    /// The owner gives the slot up: the result is taken, or the submission returned a final status. From now on a
    /// packet with this generation is a stray. `None`: a canceller, or the party at the waiter, will give the slot
    /// back.
    #[inline]
    pub(crate) fn release(&self, of: Generation) -> Option<Recycle> {
        let word = self.word.load(Acquire);
        // Complete, and nobody at work: none but the owner changes the word, so that a plain store will do.
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

    /// A party that is not the owner wants to cancel the operation `of`. If `true`, the slot stays with this operation
    /// until [`unpin`](Self::unpin), and so does its address.
    pub(crate) fn pin(&self, of: Generation) -> bool {
        self.mark(of, PINNED)
    }

    /// Sets a flag of the operation `of`, if it is in flight and the flag is not set.
    fn mark(&self, of: Generation, flag: u64) -> bool {
        let in_flight = |word| matches!(word & PHASE, PENDING | ABANDONED);
        let may = |word| generation(word) == of && in_flight(word) && word & flag == 0;
        self.change(|word| may(word).then_some(word | flag)).is_ok()
    }

    /// The canceller is done. `Some`: the release was left to the canceller, which must give the slot back.
    pub(crate) fn unpin(&self, of: Generation) -> Option<Recycle> {
        self.let_go(of, PINNED)
    }

    fn after(of: Generation) -> u64 {
        // Past the last generation the slot is retired: no token has that number, so no packet can name it.
        pack(of + 1, FREE)
    }

    fn recycle(of: Generation) -> Recycle {
        if of >= LAST_GENERATION { Recycle::Retire } else { Recycle::Pool }
    }
}

/// What a packet meant and what the dispatcher does about it, for tests.
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
