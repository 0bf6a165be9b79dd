//! The synchronisation types of the code that loom checks: the standard library's, or loom's when loom runs.

use std::time::{Duration, Instant};

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64};

/// A flag and a counter for which every load sees the last value in one global order, as SeqCst promises. loom models
/// SeqCst more weakly, so in a model each load and store is a read-modify-write, which loom does not reorder.
#[cfg(loom)]
pub(crate) mod ordered {
    use std::sync::atomic::Ordering;

    use loom::sync::atomic;

    pub(crate) struct AtomicBool(atomic::AtomicBool);

    impl AtomicBool {
        pub(crate) fn new(value: bool) -> Self {
            Self(atomic::AtomicBool::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> bool {
            self.0.fetch_or(false, order)
        }

        pub(crate) fn store(&self, value: bool, order: Ordering) {
            self.0.swap(value, order);
        }

        pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
            self.0.swap(value, order)
        }
    }

    pub(crate) struct AtomicUsize(atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) fn new(value: usize) -> Self {
            Self(atomic::AtomicUsize::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.fetch_add(0, order)
        }

        pub(crate) fn fetch_add(&self, count: usize, order: Ordering) -> usize {
            self.0.fetch_add(count, order)
        }

        pub(crate) fn fetch_sub(&self, count: usize, order: Ordering) -> usize {
            self.0.fetch_sub(count, order)
        }
    }
}

/// The same for a build without loom.
#[cfg(not(loom))]
pub(crate) mod ordered {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};
}

/// Parks a thread.
#[cfg(not(loom))]
pub(crate) struct Parker(std::thread::Thread);

#[cfg(not(loom))]
impl Parker {
    /// The parker of this thread.
    pub(crate) fn new() -> Self {
        Self(std::thread::current())
    }

    /// Sleeps until it is unparked, or until the deadline; an earlier unpark counts. May also return without a reason.
    /// `false`: the deadline had passed already.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => std::thread::park(),
            Some(Duration::ZERO) => return false,
            Some(left) => std::thread::park_timeout(left),
        }
        true
    }

    pub(crate) fn unpark(&self) {
        self.0.unpark();
    }
}

/// Parks a thread. A model has no time, so it ignores the deadline.
#[cfg(loom)]
pub(crate) struct Parker(Mutex<bool>, Condvar);

#[cfg(loom)]
impl Parker {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    pub(crate) fn park(&self, _: Option<Instant>) -> bool {
        let mut unparked = lock(&self.0);
        while !std::mem::take(&mut *unparked) {
            unparked = self.1.wait(unparked).expect("loom has no poisoning");
        }
        true
    }

    pub(crate) fn unpark(&self) {
        *lock(&self.0) = true;
        self.1.notify_one();
    }
}

#[cfg(loom)]
pub(crate) use loom::{cell::UnsafeCell, thread::yield_now};
#[cfg(not(loom))]
pub(crate) use std::thread::yield_now;

/// A cell whose users make sure that one at a time uses it. In a model, loom's own cell checks that.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, run: impl FnOnce(*mut T) -> R) -> R {
        run(self.0.get())
    }
}

#[cfg(not(loom))]
pub(crate) use lock_std as lock;

/// Locks a mutex that loom does not check. None of our code panics while it holds a lock, so the value in a poisoned
/// mutex is still whole.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks a mutex that loom checks.
#[cfg(loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("loom has no poisoning")
}

/// Sleeps until it is notified, or until `time` is over.
#[cfg(not(loom))]
pub(crate) fn wait_timeout<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
    condvar.wait_timeout(guard, time).unwrap_or_else(std::sync::PoisonError::into_inner).0
}

/// Sleeps until it is notified. A model has no time, so it ignores the time.
#[cfg(loom)]
pub(crate) fn wait_timeout<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, _: Duration) -> MutexGuard<'a, T> {
    condvar.wait(guard).expect("loom has no poisoning")
}
