//! Counts the threads that are inside a device without owning it. The last owner waits for them before it closes the
//! device.
//!
//! The thread that drops a device's last owner closes the handle, before that drop returns: so an exclusive device can
//! be opened again at once. The dispatcher, which submits for a stream or cancels a call at its deadline, is not an
//! owner. It *enters* the device, and while it is inside, the device is not closed. An owner that must not wait,
//! because its thread dispatches or is itself inside a device, leaves the closing to the last thread inside.
//!
//! This file does not use the operating system, so loom checks it unchanged.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::{Duration, Instant};

use crate::system::sync::{AtomicU64, Condvar, Mutex, lock, wait_timeout};

/// The last owner is gone: no thread enters any more.
const SHUT: u64 = 1 << 63;
/// The last thread inside must close the device.
const LEFT: u64 = 1 << 62;

/// Counts the threads inside.
#[derive(Debug)]
pub(crate) struct Gate {
    word: AtomicU64,
    lock: Mutex<()>,
    empty: Condvar,
}

thread_local! {
    /// How many devices this thread is inside.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside a device. Then it must not wait until all threads have left.
pub(crate) fn is_inside() -> bool {
    INSIDE.get() > 0
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0), lock: Mutex::new(()), empty: Condvar::new() }
    }

    /// Enters, unless the last owner is gone. A thread that has entered must [`leave`](Self::leave).
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        let entered = self.word.fetch_update(AcqRel, Acquire, |word| (word & SHUT == 0).then_some(word + 1)).is_ok();
        if entered {
            INSIDE.set(INSIDE.get() + 1);
        }
        entered
    }

    /// Leaves. `true`: this thread must close the device.
    #[inline]
    #[must_use]
    pub(crate) fn leave(&self) -> bool {
        INSIDE.set(INSIDE.get() - 1);
        let now = self.word.fetch_sub(1, AcqRel) - 1;
        if now == SHUT {
            // Take the lock once: the owner holds it from its check of the count until it sleeps, so it does not miss
            // the notice.
            drop(lock(&self.lock));
            self.empty.notify_all();
        }
        now == SHUT | LEFT
    }

    /// The last owner is gone. `true`: no thread is inside.
    pub(crate) fn shut(&self) -> bool {
        self.word.fetch_or(SHUT, AcqRel) & !SHUT == 0
    }

    /// Waits until no thread is inside. After `patience` it leaves the closing to the last thread inside and returns
    /// `false`.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut guard = lock(&self.lock);
        while self.word.load(Acquire) != SHUT {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(guard);
                return !self.leave_to_the_last();
            }
            guard = wait_timeout(&self.empty, guard, left);
        }
        true
    }

    /// Leaves the closing to the last thread inside. `false`: no thread is inside any more.
    pub(crate) fn leave_to_the_last(&self) -> bool {
        self.word.fetch_update(AcqRel, Acquire, |word| (word != SHUT).then_some(word | LEFT)).is_ok()
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::system::models::{spawn, three_threads};

    struct World {
        gate: Gate,
        users: AtomicUsize,
        closed: AtomicUsize,
    }

    impl World {
        fn new() -> Arc<Self> {
            Arc::new(Self { gate: Gate::new(), users: AtomicUsize::new(0), closed: AtomicUsize::new(0) })
        }

        fn visit(&self) {
            if self.gate.enter() {
                self.users.fetch_add(1, SeqCst);
                assert_eq!(self.closed.load(SeqCst), 0, "the handle was closed while it was in use");
                self.users.fetch_sub(1, SeqCst);
                if self.gate.leave() {
                    self.close();
                }
            }
        }

        fn close(&self) {
            assert_eq!(self.users.load(SeqCst), 0);
            assert_eq!(self.closed.fetch_add(1, SeqCst), 0, "closed twice");
        }
    }

    /// Two come and go while the last owner leaves, and waits.
    #[test]
    fn loom_an_owner_closes_when_nobody_is_inside() {
        three_threads(|| {
            let world = World::new();
            let others = [(); 2].map(|()| spawn(&world, |world| world.visit()));
            if world.gate.shut() || world.gate.wait(Duration::from_secs(3600)) {
                world.close();
            }
            assert_eq!(world.closed.load(SeqCst), 1, "the device is not closed when the owner's drop returns");
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }

    /// The last owner must not wait: the last thread inside closes the device, or the owner itself if no thread is
    /// inside.
    #[test]
    fn loom_the_last_one_inside_closes_for_an_owner_that_must_not_wait() {
        three_threads(|| {
            let world = World::new();
            let others = [(); 2].map(|()| spawn(&world, |world| world.visit()));
            if world.gate.shut() || !world.gate.leave_to_the_last() {
                world.close();
            }
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(world.closed.load(SeqCst), 1);
        });
    }
}
