//! An executor in ten lines: poll, and park until the waker unparks.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::LONG;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, which waits at no port.
///
/// # Panics
/// If nothing wakes it for [`LONG`].
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let begun = Instant::now();
        thread::park_timeout(LONG);
        assert!(begun.elapsed() < LONG, "nothing wakes the future");
    }
}
