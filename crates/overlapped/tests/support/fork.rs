//! Children of a fork.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// One that takes longer hangs.
const LONG: Duration = Duration::from_secs(60);

/// Runs `child` in a forked process; its number is what the process ends with. One that hangs is ended.
pub(crate) fn in_a_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs what needs no other thread: that it does not is what is tested.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // One that panics is no second run of the tests.
        let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: it ends the child at once.
        unsafe { libc::_exit(code) }
    }
    let begin = Instant::now();
    let mut status = 0;
    loop {
        // SAFETY: the status is an integer that lives until the call returns.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 if begin.elapsed() > LONG => {
                // SAFETY: the process is our own child, which was not waited for yet.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            0 => std::thread::yield_now(),
            _ => return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 },
        }
    }
}
