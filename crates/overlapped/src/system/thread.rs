//! Our own threads. They block all signals: a program may wait for its signals with `sigwait` or a signalfd, and the
//! system delivers a signal to any thread that does not block it.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that blocks all signals from its start.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let _blocked = Blocked::all();
    Builder::new().name(name.to_owned()).spawn(run)
}

/// Blocks all signals in this thread, and in threads that it starts, until this is dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Self {
        // SAFETY: a set of signals is plain memory, and each call gets sets that live until it returns.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the system filled in this set, and it lives until the call returns.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}
