//! Foreign code: wakers, callbacks, destructors. Its panics are caught. Code that may take long does not run on the
//! dispatcher.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::dispatching::is_dispatching;
use crate::system::sync::lock_std;

/// Runs foreign code. `None` when it panicked; the payload is leaked, since dropping it may panic too.
#[inline]
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(std::mem::forget).ok()
}

/// Runs `close` here, or on a thread of its own if this thread dispatches a port. Closing a handle runs the driver's
/// cleanup, which may take long and must not delay the completions of others.
pub(crate) fn off_the_dispatcher(close: impl FnOnce() + Send + 'static) {
    if is_dispatching() { on_a_thread("overlapped-close", close) } else { close() }
}

/// Runs `run` on a thread of its own, or here if no thread can be started.
pub(crate) fn on_a_thread(name: &str, run: impl FnOnce() + Send + 'static) {
    // A thread that does not start drops its closure. The shared cell keeps the work, so that it can run here.
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
    /// The owners of the callbacks that this thread runs, by address. Callbacks nest.
    static RUNNING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread runs a callback until this is dropped; meanwhile it cannot wait for the callback's end.
pub(crate) struct Running(());

impl Running {
    pub(crate) fn begin<T>(owner: *const T) -> Self {
        // While the thread's own values are destroyed, the list may be gone already; then it is not needed.
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

/// Drops a foreign value, but not on the dispatcher. Its destructor may panic.
pub(crate) fn dropped<T: Send + 'static>(foreign: T) {
    off_the_dispatcher(move || {
        caught(move || drop(foreign));
    });
}
