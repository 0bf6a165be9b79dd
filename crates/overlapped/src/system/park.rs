//! A thread that waits for what it polls, parked.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes a thread that is parked in [`block_on`]. Each of those has one, also those that are nested in each other: a thread
/// has one token to be unparked by, which the inner one may take.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}

thread_local! {
    /// One that nobody on this thread uses now.
    static UNPARK: RefCell<Option<Arc<Unpark>>> = const { RefCell::new(None) };
}

/// Polls until it is ready, parking this thread in between.
pub(crate) fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_until(None, poll).expect("without a deadline it is ready when it returns")
}

/// [`block_on`], at most until the deadline. What is ready then is still taken.
pub(crate) fn block_on_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let make = || Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    // In a destructor of the thread's own values there may be no cell any more.
    let unpark = UNPARK.try_with(RefCell::take).ok().flatten().unwrap_or_else(make);
    let waker = Waker::from(unpark.clone());
    let mut cx = Context::from_waker(&waker);
    let ready = loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            break Some(value);
        }
        match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => break None,
            _ if unpark.woken.swap(false, SeqCst) => {}
            None => thread::park(),
            Some(left) => thread::park_timeout(left),
        }
    };
    let _ = UNPARK.try_with(|kept| kept.replace(Some(unpark)));
    ready
}
