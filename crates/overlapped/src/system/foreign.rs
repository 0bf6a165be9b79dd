//! Somebody else's code: run with its panics caught, and off the dispatcher if it may take its time.

use std::cell::RefCell;
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

thread_local! {
    /// Whose callbacks this thread runs, by address: one inside of the other.
    static RUNNING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread runs a callback, until this is dropped: it cannot wait for the callback's end.
pub(crate) struct Running(());

impl Running {
    pub(crate) fn begin<T>(owner: *const T) -> Self {
        // In a destructor of the thread's own values there may be no list any more: then nobody looks at it.
        let _ = RUNNING.try_with(|owners| owners.borrow_mut().push(owner.addr()));
        Self(())
    }

    pub(crate) fn is_here<T>(owner: *const T) -> bool {
        RUNNING.try_with(|owners| owners.borrow().contains(&owner.addr())).unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|owners| owners.borrow_mut().pop());
    }
}

/// Drops what is somebody else's, not on the dispatcher: its destructor may panic.
pub(crate) fn dropped<T: Send + 'static>(foreign: T) {
    off_the_dispatcher(move || {
        caught(move || drop(foreign));
    });
}
