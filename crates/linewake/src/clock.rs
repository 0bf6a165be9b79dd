//! The clock of a chip's time stamps, and what is known of its relation to the time of day.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
    /// `simulated`: nanoseconds since the chip was opened. `monotonic`: nanoseconds since some moment the driver chose; on
    /// Linux the system's `CLOCK_MONOTONIC`, and so of all chips of this name the same. `realtime`: nanoseconds since 1970
    /// in UTC. `hte`: of a hardware engine. `program`: nanoseconds since some moment of this program. `device`: by a clock of
    /// the device's own.
    pub name: &'static str,
    /// Its relation to the time of day, where the two can be read together.
    pub utc: Option<UtcOffset>,
}

/// This program's clock, which stamps what a driver does not.
pub(crate) fn program_ns() -> u64 {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    u64::try_from(STARTED.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
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
    /// A clock by its name, as a recording has it. One of another name than those that there are is a device's own.
    ///
    /// ```
    /// use linewake::Clock;
    /// assert_eq!(Clock::recorded("realtime", None).name, "realtime");
    /// assert_eq!(Clock::recorded("sundial", None).name, "device");
    /// ```
    #[must_use]
    pub fn recorded(name: &str, utc: Option<UtcOffset>) -> Self {
        let names = ["simulated", "monotonic", "realtime", "hte", "program"];
        let name = names.into_iter().find(|known| *known == name).unwrap_or("device");
        // It is UTC itself.
        let utc = if name == "realtime" { Some(UtcOffset { offset_ns: 0, error_ns: 0 }) } else { utc };
        Self { name, utc }
    }

    /// The system's UTC, in nanoseconds since 1970.
    pub(crate) fn utc() -> Self {
        Self { name: "realtime", utc: Some(UtcOffset { offset_ns: 0, error_ns: 0 }) }
    }

    /// The system's UTC now, in nanoseconds since 1970.
    pub(crate) fn utc_now_ns() -> Option<u64> {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(utc.as_nanos()).ok()
    }

    /// What this clock shows now, as far as its relation to UTC is known.
    pub(crate) fn now_ns(&self) -> Option<u64> {
        let now_ns = i128::from(Self::utc_now_ns()?) - i128::from(self.utc?.offset_ns);
        u64::try_from(now_ns).ok()
    }

    /// Whether two chips whose clocks have this name have two clocks.
    pub(crate) fn is_of_its_own(&self) -> bool {
        matches!(self.name, "simulated" | "device")
    }

    /// A clock that only the driver can read.
    pub(crate) fn unrelated(name: &'static str) -> Self {
        Self { name, utc: None }
    }

    /// Reads the system's UTC between two readings of the clock: the closest of some.
    pub(crate) fn read(name: &'static str, now_ns: impl Fn() -> u64) -> Self {
        let read = || {
            let before_ns = now_ns();
            let utc = SystemTime::now().duration_since(UNIX_EPOCH).map(|utc| utc.as_nanos());
            let after_ns = now_ns();
            let middle_ns = before_ns.midpoint(after_ns);
            let offset_ns = i64::try_from(utc.ok()?.checked_sub(middle_ns.into())?).ok()?;
            Some(UtcOffset { offset_ns, error_ns: after_ns.saturating_sub(before_ns).div_ceil(2) })
        };
        Self { name, utc: (0..5).filter_map(|_| read()).min_by_key(|utc| utc.error_ns) }
    }
}
