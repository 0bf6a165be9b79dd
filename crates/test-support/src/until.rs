//! Waiting for what another thread, another process or the system does.

use std::thread;
use std::time::{Duration, Instant};

/// No test waits longer, on a slow machine too.
pub const LONG: Duration = Duration::from_secs(30);

/// Waits until it is so.
///
/// # Panics
/// If it is not so after [`LONG`].
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LONG, "{LONG:?} are over, and still not: {what}");
        thread::sleep(Duration::from_micros(500));
    }
}
