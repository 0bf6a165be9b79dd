//! Edges: which line changed, when, and how many edges are missing before it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Offset;
use crate::names::names;

/// The direction in which a level changed.
///
/// ```
/// assert_eq!(linewake::EdgeKind::Rising.as_str(), "rising");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// From inactive to active.
    Rising,
    /// From active to inactive.
    Falling,
}

names! {
    /// `rising` or `falling`, as in libgpiod's output.
    EdgeKind { Rising = "rising", Falling = "falling" }
}

impl EdgeKind {
    /// The direction of an edge after which the line is `active` or not.
    pub(crate) const fn to(active: bool) -> Self {
        if active { Self::Rising } else { Self::Falling }
    }

    /// The other direction.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Rising => Self::Falling,
            Self::Falling => Self::Rising,
        }
    }
}

/// The edges that a request watches.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// use linewake::Edges;
/// let seconds = chip.request().line("pps").edges(Edges::Rising).start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Edges {
    /// From inactive to active.
    Rising,
    /// From active to inactive.
    Falling,
    /// Every change.
    #[default]
    Both,
}

names! {
    /// `rising`, `falling` or `both`, as in libgpiod's tools.
    Edges { Rising = "rising", Falling = "falling", Both = "both" }
}

impl Edges {
    pub(crate) fn includes(self, kind: EdgeKind) -> bool {
        match self {
            Self::Rising => kind == EdgeKind::Rising,
            Self::Falling => kind == EdgeKind::Falling,
            Self::Both => true,
        }
    }

    /// The same edges of a line whose polarity is inverted.
    pub(crate) const fn inverted(self) -> Self {
        match self {
            Self::Rising => Self::Falling,
            Self::Falling => Self::Rising,
            Self::Both => Self::Both,
        }
    }
}

/// Edges of a line that were lost directly before an edge that was delivered.
///
/// ```
/// use linewake::Missed;
/// let missed = Missed { overflowed: 3, merged: 1 };
/// assert_eq!(missed.total(), 4);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// Edges dropped from the full queue, because the program did not take them in time.
    pub overflowed: u32,
    /// Edges merged into one interrupt, before any queue.
    pub merged: u32,
}

impl Missed {
    /// The number of lost edges.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.overflowed as u64 + self.merged as u64
    }

    /// The sum of both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            overflowed: self.overflowed.saturating_add(other.overflowed),
            merged: self.merged.saturating_add(other.merged),
        }
    }
}

/// A step of a clock that was set, wrapped or started again: the stamps of a chip's edges jump.
///
/// ```
/// use linewake::ClockStep;
/// let set_back = ClockStep { chip: "gpiochip0".into(), before_ns: 9_000, after_ns: 4_500, arrival_ns: 9_500 };
/// assert_eq!(set_back.step_ns(), -5_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// The last stamp before the step.
    pub before_ns: u64,
    /// The first stamp after the step: that of the next edge.
    pub after_ns: u64,
    /// The time that the clock would have shown for that edge without any step: its [`axis_ns`](EdgeEvent::axis_ns).
    /// For lengths of time, add `arrival_ns - after_ns` to all stamps from here on.
    pub arrival_ns: u64,
}

impl ClockStep {
    /// How far the clock is now ahead of the clock without any step, in nanoseconds. Negative if it was set back.
    #[must_use]
    pub fn step_ns(&self) -> i128 {
        i128::from(self.after_ns) - i128::from(self.arrival_ns)
    }
}

/// One edge.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("door").start()?;
/// chip.world().drive("door", true)?;
/// let edge = edges.wait_next().expect("the stream goes on")?;
/// assert_eq!((edge.offset.get(), edge.name.as_deref()), (5, Some("door")));
/// assert_eq!((edge.kind.as_str(), edge.line_seqno), ("rising", 1));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeEvent {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// Rising or falling.
    pub kind: EdgeKind,
    /// The time stamp of the driver, in nanoseconds of the chip's [`Clock`](crate::Clock).
    pub timestamp_ns: u64,
    /// The time on an axis for lengths of time, in nanoseconds. It equals the time stamp until the clock steps
    /// ([`ClockStep`](crate::ClockStep)); then it goes on as the clock did before. It never goes back from one edge of
    /// a line to the next.
    pub axis_ns: u64,
    /// The number of the edge among the interrupts of the whole request, with merged ones. It starts at 1 and wraps to
    /// 0, as on Linux.
    pub seqno: u32,
    /// The number of the edge among those queued for this line. It starts at 1 and wraps to 0.
    pub line_seqno: u32,
    /// How many edges are missing directly before it.
    pub missed: Missed,
}
