//! One thing that happens on a simulated chip, and the clock that it happens by.

use crate::Offset;

/// Which clock a simulated chip has.
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
    /// The system's: a second takes a second.
    #[default]
    Real,
    /// Time stands still, and jumps to the next change whenever a program waits for an edge: a second takes as long as its
    /// edges take to be read. It waits for requests that are read: from their queues nothing is lost, except where the
    /// script says that [readers are slow](crate::sim::Script::slow). A request that was never read does not hold it
    /// up, and loses.
    Virtual,
    /// Time stands still until it is [advanced](crate::World::advance). As there, it waits for requests that are read.
    Manual,
}

/// Something happens on a simulated chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When, in nanoseconds of the chip's clock.
    pub at_ns: u64,
    /// What.
    pub what: What,
}

/// What happens on a simulated chip; see [`Script::changes`](crate::sim::Script::changes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A line has this physical level. Nothing happens if it has it already, or is an output.
    Level {
        /// Which line.
        offset: Offset,
        /// High or not.
        level: bool,
    },
    /// It is not known which level a line has: it keeps the one it had.
    Unknown {
        /// Which line.
        offset: Offset,
    },
    /// The chip is pulled out: every request ends, and what it had queued is discarded.
    Unplug,
    /// It is put back: it can be [reopened](crate::Chip::reopen).
    Replug,
    /// From here on readers are too slow: edges are queued, and none is delivered.
    Slow,
    /// Readers are in time again.
    Prompt,
}

impl Change {
    /// A line takes a level.
    pub(super) fn level(at_ns: u64, offset: u32, level: bool) -> Self {
        Self { at_ns, what: What::Level { offset: offset.into(), level } }
    }
}
