//! Edges: a level that changed, when, and what is known to be missing before it.

use std::sync::Arc;

use linewake_controller::protocol;

use crate::Offset;

/// Which way the level changed.
///
/// ```
/// assert_eq!(linewake::EdgeKind::Rising.as_str(), "rising");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EdgeKind {
    /// From inactive to active.
    Rising,
    /// From active to inactive.
    Falling,
}

impl EdgeKind {
    /// `rising` or `falling`, as in libgpiod's output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
        }
    }

    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Rising => Self::Falling,
            Self::Falling => Self::Rising,
        }
    }
}

/// Which edges a request watches.
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

impl Edges {
    /// `rising`, `falling` or `both`, as in libgpiod's tools.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
            Self::Both => "both",
        }
    }

    pub(crate) fn includes(self, kind: EdgeKind) -> bool {
        match self {
            Self::Rising => kind == EdgeKind::Rising,
            Self::Falling => kind == EdgeKind::Falling,
            Self::Both => true,
        }
    }

    pub(crate) const fn flags(self) -> u32 {
        match self {
            Self::Rising => protocol::LINE_EDGE_RISING,
            Self::Falling => protocol::LINE_EDGE_FALLING,
            Self::Both => protocol::LINE_EDGES,
        }
    }
}

/// Edges of a line that happened directly before one that was delivered, and were not.
///
/// ```
/// use linewake::Missed;
/// let missed = Missed { overflowed: 3, merged: 1 };
/// assert_eq!(missed.total(), 4);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Missed {
    /// Dropped from the full queue, because nobody took them in time.
    pub overflowed: u32,
    /// Merged into one interrupt, before any queue.
    pub merged: u32,
}

impl Missed {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.overflowed as u64 + self.merged as u64
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
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Which way.
    pub kind: EdgeKind,
    /// When, in nanoseconds of the chip's [`Clock`](crate::Clock).
    pub timestamp_ns: u64,
    /// Counts the interrupts of the whole request, merged ones too. Starts at 1 and wraps through 0, as on Linux.
    pub seqno: u32,
    /// Counts what was queued for this line. Starts at 1 and wraps through 0.
    pub line_seqno: u32,
    /// What is missing directly before it.
    pub missed: Missed,
}
