//! A change on a simulated chip, and the kinds of clock that time it.

use crate::Offset;

/// The kind of clock of a simulated chip.
///
/// ```
/// use std::time::Duration;
/// use linewake::Chip;
/// use linewake::sim::ClockKind;
/// let chip = Chip::options().clock(ClockKind::Manual).open("sim")?;
/// chip.world().advance(Duration::from_millis(550))?;
/// assert!(chip.value("pps")?);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockKind {
    /// The system's clock: a second takes a second.
    #[default]
    Real,
    /// Time stands still, and jumps to the next change whenever a program waits for an edge. So a second takes only as
    /// long as the program needs to read its edges. Time waits for every request that the program reads, so that its
    /// queue loses nothing, except while the script makes [readers slow](crate::sim::Script::slow). A request that was
    /// never read does not stop time, and its queue may lose edges.
    Virtual,
    /// Time stands still until it is [advanced](crate::World::advance). As with `Virtual`, it waits for requests that
    /// are read.
    Manual,
}

/// A change on a simulated chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The time, in nanoseconds of the chip's clock.
    pub at_ns: u64,
    /// The kind of the change.
    pub what: What,
}

/// What happens on a simulated chip; see [`Script::changes`](crate::sim::Script::changes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A line gets this physical level. Nothing happens if it already has it, or if it is an output.
    Level {
        /// Offset of the line.
        offset: Offset,
        /// True for high.
        level: bool,
    },
    /// The level of a line is unknown. The line keeps its last level.
    Unknown {
        /// Offset of the line.
        offset: Offset,
    },
    /// The chip is unplugged: all requests end, and their queued edges are discarded.
    Unplug,
    /// The chip is plugged in again: it can be [reopened](crate::Chip::reopen).
    Replug,
    /// From now on readers are too slow: edges are queued and not delivered.
    Slow,
    /// Readers are fast enough again.
    Prompt,
}

impl Change {
    /// A line gets a level.
    pub(super) fn level(at_ns: u64, offset: u32, level: bool) -> Self {
        Self { at_ns, what: What::Level { offset: offset.into(), level } }
    }
}
