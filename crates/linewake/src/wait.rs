//! Waiting on a thread for what is polled.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use overlapped::Port;

use crate::{Error, ErrorKind};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static UNPARK: Waker = Arc::new(Unpark(thread::current())).into();
}

/// Why a wait gave nothing.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Ready(T),
    TimedOut,
    /// This thread dispatches completions: nothing would ever wake it.
    Deadlock,
}

impl<T> Waited<Option<Result<T, Error>>> {
    /// What was waited for, or why it is not there.
    pub(crate) fn or_error(self, what: &str) -> Option<Result<T, Error>> {
        match self {
            Self::Ready(ready) => ready,
            Self::TimedOut => {
                Some(Err(Error::new(ErrorKind::TimedOut, format!("{what} did not come in the time it was given"))))
            }
            Self::Deadlock => {
                let message = format!("waiting for {what} on the thread that dispatches completions would never end");
                Some(Err(Error::new(ErrorKind::Deadlock, message)))
            }
        }
    }
}

/// Polls until it is ready, on this thread, at most for `timeout`.
pub(crate) fn wait<T>(timeout: Option<Duration>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Waited<T> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let waker = UNPARK.with(Waker::clone);
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(ready) = poll(&mut cx) {
            return Waited::Ready(ready);
        }
        if Port::is_dispatching() {
            return Waited::Deadlock;
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return Waited::TimedOut,
            Some(left) => thread::park_timeout(left),
        }
    }
}
