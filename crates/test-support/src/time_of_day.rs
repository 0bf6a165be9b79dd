//! The time of day of the virtual machine, which a test may set.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

/// Moves the time of day forward or back.
pub fn set(by: Duration, back: bool) {
    let now = clock_gettime(ClockId::Realtime);
    let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    let then = if back { now - by } else { now + by };
    let then = Timespec { tv_sec: then.as_secs() as i64, tv_nsec: then.subsec_nanos().into() };
    clock_settime(ClockId::Realtime, then).unwrap();
}
