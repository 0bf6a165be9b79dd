//! The clock of a chip's time stamps, and its relation to the time of day.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::EventClock;
use crate::names::names;

/// The clock that stamps a chip's edges.
///
/// ```
/// let clock = linewake::Chip::open("sim")?.clock();
/// assert_eq!(clock.name, linewake::ClockName::Simulated);
/// assert!(clock.utc.is_some());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clock {
    /// The name of the clock.
    pub name: ClockName,
    /// Its relation to the time of day, where both can be read together.
    pub utc: Option<UtcOffset>,
}

/// The clocks that stamp edges.
///
/// ```
/// use linewake::{ClockName, EventClock};
/// assert_eq!(ClockName::from(EventClock::Realtime), ClockName::Realtime);
/// assert_eq!(ClockName::Monotonic.to_string(), "monotonic");
/// assert_eq!(ClockName::named("sundial"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockName {
    /// Nanoseconds since a simulated chip was opened.
    Simulated,
    /// Nanoseconds since a moment that the driver chose. On Linux the system's `CLOCK_MONOTONIC`: one clock for all
    /// chips.
    Monotonic,
    /// Nanoseconds since 1970 in UTC.
    Realtime,
    /// A hardware timestamp engine.
    Hte,
    /// Nanoseconds since this program first used the clock.
    Program,
    /// A clock of the device's own.
    Device,
}

names! {
    /// The name in records and messages.
    ClockName {
        Simulated = "simulated",
        Monotonic = "monotonic",
        Realtime = "realtime",
        Hte = "hte",
        Program = "program",
        Device = "device",
    }
}

impl ClockName {
    const ALL: [Self; 6] = [Self::Simulated, Self::Monotonic, Self::Realtime, Self::Hte, Self::Program, Self::Device];

    /// The clock of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|clock| clock.as_str() == name)
    }
}

impl fmt::Display for ClockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<EventClock> for ClockName {
    fn from(clock: EventClock) -> Self {
        match clock {
            EventClock::Monotonic => Self::Monotonic,
            EventClock::Realtime => Self::Realtime,
            EventClock::Hte => Self::Hte,
        }
    }
}

/// A length of time in nanoseconds. More than 584 years becomes `u64::MAX`.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// This program's clock, for edges that the driver does not stamp.
pub(crate) fn program_ns() -> u64 {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    nanoseconds(STARTED.get_or_init(Instant::now).elapsed())
}

/// The number to add to a time stamp to get the system's UTC, in nanoseconds since 1970.
///
/// ```
/// let utc = linewake::Chip::open("sim")?.clock().utc.expect("it can be read");
/// assert!(utc.offset_ns > 0);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset {
    /// The number to add.
    pub offset_ns: i64,
    /// The time between the two readings. The error of the system's UTC itself is not in it.
    pub error_ns: u64,
}

impl Clock {
    /// A clock by its name in a recording. An unknown name is a clock of the device's own.
    ///
    /// ```
    /// use linewake::{Clock, ClockName};
    /// assert_eq!(Clock::recorded("realtime", None).name, ClockName::Realtime);
    /// assert_eq!(Clock::recorded("sundial", None).name, ClockName::Device);
    /// ```
    #[must_use]
    pub fn recorded(name: &str, utc: Option<UtcOffset>) -> Self {
        match ClockName::named(name).unwrap_or(ClockName::Device) {
            ClockName::Realtime => Self::utc(),
            name => Self { name, utc },
        }
    }

    /// The system's UTC, in nanoseconds since 1970.
    pub(crate) fn utc() -> Self {
        Self { name: ClockName::Realtime, utc: Some(UtcOffset { offset_ns: 0, error_ns: 0 }) }
    }

    /// The system's UTC now, in nanoseconds since 1970.
    pub(crate) fn utc_now_ns() -> Option<u64> {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(utc.as_nanos()).ok()
    }

    /// The time that this clock shows now; `None` if its relation to UTC is unknown.
    pub(crate) fn now_ns(&self) -> Option<u64> {
        let now_ns = i128::from(Self::utc_now_ns()?) - i128::from(self.utc?.offset_ns);
        u64::try_from(now_ns).ok()
    }

    /// True if each chip has its own clock with this name.
    pub(crate) fn is_of_its_own(&self) -> bool {
        matches!(self.name, ClockName::Simulated | ClockName::Device)
    }

    /// A clock that only the driver reads.
    pub(crate) fn unrelated(name: ClockName) -> Self {
        Self { name, utc: None }
    }

    /// Reads the system's UTC between two readings of the clock: the closest of five tries.
    pub(crate) fn read(name: ClockName, now_ns: impl Fn() -> u64) -> Self {
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
