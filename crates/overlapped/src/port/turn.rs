//! The turn: the right of one thread at a time to wait in a port's queue. So a packet wakes one thread, and the right
//! one.
//!
//! A waiting thread takes the turn when it is free. While another thread has the turn, it stands in line, parked. A
//! thread that gives up the turn hands it to one in line. If the line is empty, and an operation in flight is
//! *unattended*, the dispatcher gets the turn, and keeps it until there is no such operation. An operation is
//! unattended if no thread waits for it: it belongs to a callback, a task or a stream, or has a timer. So a program
//! whose threads wait for all their operations never needs a dispatcher, no packet stays in the queue unseen, and no
//! thread is woken in vain.
//!
//! ```text
//!              try_take                     pass: someone stands in line
//!   FREE ─────────────────► TAKEN ─────────────────────────────────────► TAKEN, by that thread
//!     ▲                       │  pass: nobody stands in line, and something is unattended
//!     │                       ├────────────────────────────────────────► TAKEN, by the dispatcher
//!     └───────────────────────┘  pass: neither
//! ```
//!
//! This file does not use the operating system, so loom checks it unchanged.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::sleeper::{Look, Sleeper};
use crate::system::sync::ordered::{AtomicBool, AtomicUsize};
use crate::system::sync::{Mutex, lock};

/// Whose turn it is. `C` says what a thread in line may do with it.
pub(crate) struct Turn<P, C> {
    taken: AtomicBool,
    /// The dispatcher has been given the turn, and has not noticed yet.
    dispatchers: AtomicBool,
    /// How many operations in flight are unattended.
    unattended: AtomicUsize,
    /// A thread that does not wait has found the turn taken. The thread with the turn must tell its event loop.
    missed: AtomicBool,
    /// How many threads stand in line. It saves a lock when there are none.
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

    /// Takes the turn if it is free. The caller must [pass](Self::pass) it on.
    pub(crate) fn try_take(&self) -> bool {
        !self.taken.swap(true, SeqCst)
    }

    /// Takes the turn for a thread that does not wait for it. `false`: another thread has the turn, and will find the
    /// note about this with [`take_missed`](Self::take_missed).
    pub(crate) fn try_take_or_miss(&self) -> bool {
        self.try_take() || {
            self.missed.store(true, SeqCst);
            // It may have become free before `missed` was set.
            self.try_take()
        }
    }

    /// Whether a thread has missed the turn. A thread that has passed the turn on calls this.
    pub(crate) fn take_missed(&self) -> bool {
        self.missed.load(SeqCst) && self.missed.swap(false, SeqCst)
    }

    /// Gives up the turn. `true`: the dispatcher has it now; wake it.
    #[must_use]
    pub(crate) fn pass(&self, prefers: impl Fn(C) -> bool) -> bool {
        self.taken.store(false, SeqCst);
        self.settle(prefers)
    }

    /// Makes sure that the turn is not free while a thread needs it. Threads in line come first, those that `prefers`
    /// names before the others. `true`: the dispatcher has the turn now; wake it.
    #[must_use]
    pub(crate) fn settle(&self, prefers: impl Fn(C) -> bool) -> bool {
        // A thread that needs the turn says so before it checks whether the turn is free.
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

    /// Gives this thread's turn to one that stands in line. `false`: nobody does.
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

    /// Joins the line. [`settle`](Self::settle) must follow, and at the end [`leave_line`](Self::leave_line).
    pub(crate) fn line_up(&self, claim: C, sleeper: &Arc<Sleeper<P>>) {
        let mut line = lock(&self.line);
        line.push((claim, sleeper.clone()));
        self.waiting.fetch_add(1, SeqCst);
        drop(line);
    }

    /// Leaves the line. `true`: the thread has been given the turn.
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

    /// Wakes threads in line for another reason than the turn.
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

    /// Whether a thread in line wants the turn.
    pub(crate) fn is_wanted(&self, by: impl Fn(C) -> bool) -> bool {
        self.waiting.load(SeqCst) > 0 && lock(&self.line).iter().any(|(claim, _)| by(*claim))
    }

    /// Whether the dispatcher has been given the turn. Called by the dispatcher, which has it from then on.
    pub(crate) fn take_dispatchers(&self) -> bool {
        self.dispatchers.swap(false, SeqCst)
    }

    /// No dispatcher can take the turn: a thread in line gets it, or the next thread that comes.
    pub(crate) fn give_back(&self) {
        while !self.give(|_| false) {
            self.taken.store(false, SeqCst);
            // A thread that came meanwhile has found it taken.
            if self.waiting.load(SeqCst) == 0 || !self.try_take() {
                return;
            }
        }
    }

    /// Whether some operation in flight is unattended.
    pub(crate) fn is_unattended(&self) -> bool {
        self.unattended.load(SeqCst) > 0
    }

    /// Counts one more unattended operation. [`settle`](Self::settle) must follow.
    pub(crate) fn add_unattended(&self) {
        self.unattended.fetch_add(1, SeqCst);
    }

    /// An unattended operation is over.
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
