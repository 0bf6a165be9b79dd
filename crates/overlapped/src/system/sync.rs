//! The synchronisation types of what is model-checked: the standard library's, or loom's when it runs.

use std::time::{Duration, Instant};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
    thread::{Thread, current as current_thread},
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
    thread::{Thread, current as current_thread},
};

/// Parks this thread, at most until the deadline. `false`: that was over already.
#[cfg(not(loom))]
pub(crate) fn park(deadline: Option<Instant>) -> bool {
    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
        None => std::thread::park(),
        Some(Duration::ZERO) => return false,
        Some(left) => std::thread::park_timeout(left),
    }
    true
}

/// Parks this thread: a model has no time.
#[cfg(loom)]
pub(crate) fn park(_: Option<Instant>) -> bool {
    loom::thread::park();
    true
}

/// Locks `mutex`. Nothing of ours panics while it holds a lock, so a poisoned one still guards a whole value.
#[cfg(not(loom))]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks a mutex of what is not model-checked.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks `mutex`.
#[cfg(loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("loom has no poisoning")
}

/// Sleeps until it is notified, or for so long.
#[cfg(not(loom))]
pub(crate) fn wait_timeout<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
    condvar.wait_timeout(guard, time).unwrap_or_else(std::sync::PoisonError::into_inner).0
}

/// Sleeps until it is notified: a model has no time.
#[cfg(loom)]
pub(crate) fn wait_timeout<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>, _: Duration) -> MutexGuard<'a, T> {
    condvar.wait(guard).expect("loom has no poisoning")
}
