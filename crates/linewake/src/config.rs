//! The settings of a line in a request.

use std::time::Duration;

use crate::Edges;
use crate::names::names;

/// The settings of a line: those that a request asks for, and those that a chip reports.
///
/// ```
/// use std::time::Duration;
/// use linewake::{Bias, Edges, LineConfig};
/// let button = LineConfig::watch(Edges::Both).active_low(true).bias(Bias::PullUp);
/// let relay = LineConfig::output(false);
/// let quiet = LineConfig::watch(Edges::Rising).debounce(Duration::from_millis(5));
/// assert!(button.active_low && relay.output == Some(false) && quiet.debounce.as_millis() == 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LineConfig {
    /// Input or output. `None` leaves it unchanged.
    pub direction: Option<Direction>,
    /// True if the low level is the active one.
    pub active_low: bool,
    /// The pull of the line while nothing drives it. `None` leaves it unchanged.
    pub bias: Option<Bias>,
    /// How an output drives.
    pub drive: Drive,
    /// The edges to watch, if any.
    pub edges: Option<Edges>,
    /// The chip ignores changes that last less than this. Zero turns this off.
    pub debounce: Duration,
    /// The clock that stamps the edges.
    pub clock: EventClock,
    /// The first value of an output.
    pub output: Option<bool>,
}

impl LineConfig {
    /// Leaves the line unchanged.
    #[must_use]
    pub fn as_is() -> Self {
        Self::default()
    }

    /// An input whose edges are not watched.
    #[must_use]
    pub fn input() -> Self {
        Self { direction: Some(Direction::Input), ..Self::default() }
    }

    /// An input whose edges are watched.
    #[must_use]
    pub fn watch(edges: Edges) -> Self {
        Self { edges: Some(edges), ..Self::input() }
    }

    /// An output, with its first value.
    #[must_use]
    pub fn output(active: bool) -> Self {
        Self { direction: Some(Direction::Output), output: Some(active), ..Self::default() }
    }

    /// Sets whether the low level is the active one.
    #[must_use]
    pub fn active_low(mut self, active_low: bool) -> Self {
        self.active_low = active_low;
        self
    }

    /// Sets the bias.
    #[must_use]
    pub fn bias(mut self, bias: Bias) -> Self {
        self.bias = Some(bias);
        self
    }

    /// Sets how an output drives.
    #[must_use]
    pub fn drive(mut self, drive: Drive) -> Self {
        self.drive = drive;
        self
    }

    /// Sets the debounce period of the chip.
    #[must_use]
    pub fn debounce(mut self, period: Duration) -> Self {
        self.debounce = period;
        self
    }

    /// Sets the clock that stamps the edges.
    #[must_use]
    pub fn clock(mut self, clock: EventClock) -> Self {
        self.clock = clock;
        self
    }

    /// The debounce period in microseconds, rounded up, so that none becomes zero.
    pub(crate) fn debounce_us(&self) -> u32 {
        u32::try_from(self.debounce.as_nanos().div_ceil(1_000)).unwrap_or(u32::MAX)
    }
}

/// The direction of a line: input or output.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// assert_eq!(chip.line_info("door")?.direction, linewake::Direction::Input);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The outside world sets its level.
    Input,
    /// The program that holds it sets its level.
    Output,
}

/// The pull of a line while nothing drives it.
///
/// ```
/// assert_eq!(linewake::Bias::PullUp.as_str(), "pull-up");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bias {
    /// Towards the high level.
    PullUp,
    /// Towards the low level.
    PullDown,
    /// Nothing pulls the line.
    Disabled,
}

names! {
    /// `pull-up`, `pull-down` or `disabled`, as in libgpiod's tools.
    Bias { PullUp = "pull-up", PullDown = "pull-down", Disabled = "disabled" }
}

/// How an output drives its line.
///
/// ```
/// assert_eq!(linewake::Drive::OpenDrain.as_str(), "open-drain");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Drive {
    /// Both levels.
    #[default]
    PushPull,
    /// The low level only.
    OpenDrain,
    /// The high level only.
    OpenSource,
}

names! {
    /// `push-pull`, `open-drain` or `open-source`, as in libgpiod's tools.
    Drive { PushPull = "push-pull", OpenDrain = "open-drain", OpenSource = "open-source" }
}

/// The clock that stamps the edges of a line.
///
/// ```
/// assert_eq!(linewake::EventClock::default().as_str(), "monotonic");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EventClock {
    /// The chip's own clock, which never jumps. On a gpiochip it is the system's monotonic clock.
    #[default]
    Monotonic,
    /// The time of day: nanoseconds since 1970 in UTC. It jumps when the clock is set.
    Realtime,
    /// A hardware time stamp engine.
    Hte,
}

names! {
    /// `monotonic`, `realtime` or `hte`, as in libgpiod's tools.
    EventClock { Monotonic = "monotonic", Realtime = "realtime", Hte = "hte" }
}
