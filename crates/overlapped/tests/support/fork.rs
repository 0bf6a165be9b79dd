//! Children of a fork.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A child that takes longer than this hangs.
const LONG: Duration = Duration::from_secs(60);

/// Runs `child` in a forked process and returns its exit code. A child that hangs is killed.
pub(crate) fn in_a_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child must not need another thread, and the test checks that.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // A child that panics must not go on with the other tests.
        let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: the call ends the child at once.
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
