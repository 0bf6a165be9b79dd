//! What wakes a watch from another thread, to do something besides taking edges.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// Of the thread that watches.
#[derive(Debug, Default)]
pub(crate) struct Nudge {
    /// Whether files are to be opened again.
    reopen: AtomicBool,
    /// Who waits.
    waiting: Mutex<Option<Waker>>,
}

impl Nudge {
    /// Has the thread open its files again.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Whether it is nudged; if not, who asks is woken when it is.
    pub(crate) fn is_due(&self, cx: &Context<'_>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waiting = Some(cx.waker().clone());
        }
        drop(waiting);
        self.reopen.load(Ordering::Acquire)
    }

    /// Whether files are to be opened again, since this was asked last.
    pub(crate) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }
}
