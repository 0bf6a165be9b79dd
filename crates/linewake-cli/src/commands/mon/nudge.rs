//! Wakes the thread of a watch, so that it opens its files again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// A request from another thread to the thread that watches.
#[derive(Debug, Default)]
pub(crate) struct Nudge {
    /// Files must be opened again.
    reopen: AtomicBool,
    /// Wakes the thread that watches.
    waiting: Mutex<Option<Waker>>,
}

impl Nudge {
    /// Makes the thread open its files again.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// True if there is a request. If there is none, `cx` is woken when one comes.
    pub(crate) fn is_due(&self, cx: &Context<'_>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waiting = Some(cx.waker().clone());
        }
        drop(waiting);
        self.reopen.load(Ordering::Acquire)
    }

    /// Takes the request, if there is one.
    pub(crate) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }
}
