//! Somebody else's code: run with its panics caught, and off the dispatcher if it may take its time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::dispatching::is_dispatching;
use crate::system::sync::lock_std;

/// Runs somebody's code. `None` when it panicked; the payload is left alone, since dropping it may panic too.
#[inline]
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(std::mem::forget).ok()
}

/// Runs `close` here, or on a thread of its own if this thread dispatches a port: closing a handle runs the driver's
/// cleanup, which may take its time, and must not hold up everybody else's completions.
pub(crate) fn off_the_dispatcher(close: impl FnOnce() + Send + 'static) {
    if is_dispatching() { on_a_thread("overlapped-close", close) } else { close() }
}

/// Runs something on a thread of its own; here, if none can be had.
pub(crate) fn on_a_thread(name: &str, run: impl FnOnce() + Send + 'static) {
    // A thread that does not start gives its work back only so.
    let work = Arc::new(Mutex::new(Some(run)));
    let run = {
        let work = work.clone();
        move || {
            let work = lock_std(&work).take();
            if let Some(work) = work {
                work();
            }
        }
    };
    if crate::system::spawn(name, run.clone()).is_err() {
        run();
    }
}
