//! Waits until another thread, another process or the system has done something.

use std::thread;
use std::time::{Duration, Instant};

/// No test waits longer than this, even on a slow machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold after [`LONG`].
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LONG, "timed out after {LONG:?}: {what}");
        thread::sleep(Duration::from_micros(500));
    }
}
