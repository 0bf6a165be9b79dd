//! The clock of a chip's time stamps, and what is known of its relation to the time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// What is known of the clock that stamps a chip's edges.
///
/// ```
/// let clock = linewake::Chip::open("sim")?.clock();
/// assert_eq!(clock.name, "simulated");
/// assert!(clock.utc.is_some());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clock {
    /// `simulated`: nanoseconds since the chip was opened. `monotonic`: nanoseconds since some moment the driver chose.
    pub name: &'static str,
    /// Its relation to the time of day, where the two can be read together.
    pub utc: Option<UtcOffset>,
}

/// What to add to a time stamp to get the system's UTC, in nanoseconds since 1970.
///
/// ```
/// let utc = linewake::Chip::open("sim")?.clock().utc.expect("it can be read");
/// assert!(utc.offset_ns > 0);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset {
    /// To be added.
    pub offset_ns: i64,
    /// How far the two readings may be apart. It says nothing of whether the system's UTC is right.
    pub error_ns: u64,
}

impl Clock {
    /// A clock that only the driver can read.
    pub(crate) fn unrelated(name: &'static str) -> Self {
        Self { name, utc: None }
    }

    /// Reads the system's UTC between two readings of the clock.
    pub(crate) fn read(name: &'static str, now_ns: impl Fn() -> u64) -> Self {
        let before_ns = now_ns();
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).map(|utc| utc.as_nanos());
        let after_ns = now_ns();
        let middle_ns = before_ns.midpoint(after_ns);
        let offset_ns = utc.ok().and_then(|utc_ns| i64::try_from(utc_ns.checked_sub(middle_ns.into())?).ok());
        let error_ns = (after_ns - before_ns).div_ceil(2);
        Self { name, utc: offset_ns.map(|offset_ns| UtcOffset { offset_ns, error_ns }) }
    }
}
