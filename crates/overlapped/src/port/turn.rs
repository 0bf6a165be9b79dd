//! Whose turn it is to be in a port's queue: one thread at a time, so that a packet wakes one thread and the right one.
//!
//! A thread that waits takes the turn when it is free. While another has it, it stands in line and sleeps on its own. The
//! thread that gives the turn up hands it to one of those in line. If nobody stands there, and something is in flight that
//! *nobody waits for* (a callback's operation, a task's, a stream's, one with a timer), the turn is the dispatcher's,
//! which keeps it until nothing of that kind is in flight. So a program whose threads wait for all they ask for never
//! needs a dispatcher, a packet never lies in the queue unseen, and nobody is woken to find that there is nothing to do.
//!
//! ```text
//!              try_take                     pass: someone stands in line
//!   FREE ─────────────────► TAKEN ─────────────────────────────────────► TAKEN, by that thread
//!     ▲                       │  pass: nobody stands in line, and something is unattended
//!     │                       ├────────────────────────────────────────► TAKEN, by the dispatcher
//!     └───────────────────────┘  pass: neither
//! ```
//!
//! No operating system in here: loom checks this file as it stands.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::sleeper::{Look, Sleeper};
use crate::system::sync::ordered::{AtomicBool, AtomicUsize};
use crate::system::sync::{Mutex, lock};

/// Whose turn it is. `C` is what a thread in line may do with it.
pub(crate) struct Turn<P, C> {
    taken: AtomicBool,
    /// The dispatcher has been given the turn, and has not found out.
    dispatchers: AtomicBool,
    /// How many operations in flight nobody waits for.
    unattended: AtomicUsize,
    /// A thread that does not wait has found the turn taken, and is to be told when it is free.
    missed: AtomicBool,
    /// How many threads stand in line: nobody locks to see that there is none.
    waiting: AtomicUsize,
    line: Mutex<Vec<(C, Arc<Sleeper<P>>)>>,
}

impl<P: Look, C: Copy> Turn<P, C> {
    pub(crate) fn new() -> Self {
        Self {
            taken: AtomicBool::new(false),
            dispatchers: AtomicBool::new(false),
            unattended: AtomicUsize::new(0),
            missed: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(Vec::new()),
        }
    }

    /// Takes the turn, if it is free. It must be [passed](Self::pass) on.
    pub(crate) fn try_take(&self) -> bool {
        !self.taken.swap(true, SeqCst)
    }

    /// Takes the turn for a thread that does not wait for it. If it is taken, whoever has it finds
    /// [`take_missed`](Self::take_missed) behind its turn.
    pub(crate) fn try_take_or_miss(&self) -> bool {
        self.try_take() || {
            self.missed.store(true, SeqCst);
            // It may have become free before that was said.
            self.try_take()
        }
    }

    /// Whether somebody has missed the turn, and is to be told. Asked by a thread that has passed it on.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.load(SeqCst) && self.missed.swap(false, SeqCst)
    }

    /// Gives the turn up. `true`: it is the dispatcher's now, which is to be woken.
    #[must_use]
    pub(crate) fn pass(&self, prefers: impl Fn(C) -> bool) -> bool {
        self.taken.store(false, SeqCst);
        self.settle(prefers)
    }

    /// Sees to it that the turn is not free while somebody needs it. Threads in line come first, and of those the ones
    /// that `prefers` names. `true`: it is the dispatcher's now, which is to be woken.
    #[must_use]
    pub(crate) fn settle(&self, prefers: impl Fn(C) -> bool) -> bool {
        // Whoever needs the turn says so before it looks whether the turn is free.
        while self.waiting.load(SeqCst) > 0 || self.is_unattended() {
            if !self.try_take() {
                return false;
            }
            if self.give(&prefers) {
                return false;
            }
            if self.is_unattended() {
                self.dispatchers.store(true, SeqCst);
                return true;
            }
            self.taken.store(false, SeqCst);
        }
        false
    }

    /// Gives the turn, which this thread has, to one that stands in line. `false`: nobody does.
    fn give(&self, prefers: impl Fn(C) -> bool) -> bool {
        let mut line = lock(&self.line);
        if line.is_empty() {
            return false;
        }
        let first = line.iter().position(|(claim, _)| prefers(*claim)).unwrap_or(0);
        let (_, sleeper) = line.remove(first);
        self.waiting.fetch_sub(1, SeqCst);
        sleeper.give();
        drop(line);
        sleeper.unpark();
        true
    }

    /// Stands in line. [`settle`](Self::settle) must follow, and in the end [`leave_line`](Self::leave_line).
    pub(crate) fn line_up(&self, claim: C, sleeper: &Arc<Sleeper<P>>) {
        let mut line = lock(&self.line);
        line.push((claim, sleeper.clone()));
        self.waiting.fetch_add(1, SeqCst);
        drop(line);
    }

    /// Stands in line no more. `true`: the thread has been given the turn.
    pub(crate) fn leave_line(&self, sleeper: &Arc<Sleeper<P>>) -> bool {
        let mut line = lock(&self.line);
        match line.iter().position(|(_, other)| Arc::ptr_eq(other, sleeper)) {
            Some(place) => {
                line.remove(place);
                self.waiting.fetch_sub(1, SeqCst);
                false
            }
            None => sleeper.take_given(),
        }
    }

    /// Wakes threads in line, for something else than the turn.
    pub(crate) fn wake_in_line(&self, which: impl Fn(C) -> bool) {
        if self.waiting.load(SeqCst) == 0 {
            return;
        }
        let in_line = lock(&self.line)
            .iter()
            .filter(|(claim, _)| which(*claim))
            .map(|(_, sleeper)| sleeper.clone())
            .collect::<Vec<_>>();
        in_line.into_iter().for_each(std::task::Wake::wake);
    }

    /// Whether a thread in line is to have the turn.
    pub(crate) fn is_wanted(&self, by: impl Fn(C) -> bool) -> bool {
        self.waiting.load(SeqCst) > 0 && lock(&self.line).iter().any(|(claim, _)| by(*claim))
    }

    /// Whether the dispatcher has been given the turn. Asked by the dispatcher, which has it from then on.
    pub(crate) fn take_dispatchers(&self) -> bool {
        self.dispatchers.swap(false, SeqCst)
    }

    /// There is no dispatcher that could take the turn: it is for a thread that stands in line, or the next one to come.
    pub(crate) fn give_back(&self) {
        while !self.give(|_| false) {
            self.taken.store(false, SeqCst);
            // Whoever came meanwhile has found it taken.
            if self.waiting.load(SeqCst) == 0 || !self.try_take() {
                return;
            }
        }
    }

    /// Whether something is in flight that nobody waits for.
    pub(crate) fn is_unattended(&self) -> bool {
        self.unattended.load(SeqCst) > 0
    }

    /// One more operation that nobody waits for. [`settle`](Self::settle) must follow.
    pub(crate) fn add_unattended(&self) {
        self.unattended.fetch_add(1, SeqCst);
    }

    /// Such an operation is over.
    pub(crate) fn remove_unattended(&self) {
        self.unattended.fetch_sub(1, SeqCst);
    }

    /// Whether nobody has the turn.
    pub(crate) fn is_free(&self) -> bool {
        !self.taken.load(SeqCst)
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
