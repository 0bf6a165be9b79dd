//! What wakes a watch from another thread, to do something besides taking edges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};

/// Of the thread that watches.
#[derive(Debug)]
pub(crate) struct Nudge {
    thread: Thread,
    /// Whether files are to be opened again.
    reopen: AtomicBool,
}

impl Nudge {
    /// Of the calling thread.
    pub(crate) fn new() -> Self {
        Self { thread: thread::current(), reopen: AtomicBool::new(false) }
    }

    /// Has the thread open its files again.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        self.thread.unpark();
    }

    /// Whether it is nudged.
    pub(crate) fn is_due(&self) -> bool {
        self.reopen.load(Ordering::Acquire)
    }

    /// Whether files are to be opened again, since this was asked last.
    pub(crate) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }
}

/// What is waited for has come.
impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.thread.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.thread.unpark();
    }
}
