//! An event that leaves a filter.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::{EdgeEvent, Offset};

/// An event that leaves a filter.
///
/// ```
/// use linewake::filter::FilterEvent;
/// fn show(event: &FilterEvent) {
///     match event {
///         FilterEvent::Edge(edge) => println!("{} {}", edge.offset, edge.kind.as_str()),
///         FilterEvent::Chatter(chatter) => println!("{} {}", chatter.offset, chatter.kind.as_str()),
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterEvent {
    /// An edge passes. Its [`missed`](EdgeEvent::missed) counts all edges that were missing since the last edge that
    /// passed.
    Edge(EdgeEvent),
    /// A line was blocked or unblocked.
    Chatter(ChatterEvent),
}

/// A line was blocked because it changed too often, or was unblocked. See
/// [`ChatterLimit`](crate::filter::ChatterLimit).
///
/// ```
/// use linewake::Chip;
/// use linewake::filter::{ChatterKind, FilterEvent};
/// let chip = Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("tamper").queue_size(128).start()?.filtered("chatter=10/100ms".parse()?)?;
/// chip.world().toggle("tamper", 100)?;
/// let events: Vec<_> = (0..12).map_while(|_| edges.wait_next()).collect::<Result<_, _>>()?;
/// let FilterEvent::Chatter(blocked) = &events[10] else { panic!("ten edges, and then") };
/// assert_eq!((blocked.kind, blocked.changes), (ChatterKind::Blocked, 11));
/// let FilterEvent::Chatter(unblocked) = &events[11] else { panic!("a tenth of a second later") };
/// assert_eq!((unblocked.kind, unblocked.withheld), (ChatterKind::Unblocked, 90));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatterEvent {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// Blocked or unblocked.
    pub kind: ChatterKind,
    /// The time in nanoseconds of the chip's clock: the stamp of the edge that was one too many, or the moment the line
    /// had calmed down.
    pub timestamp_ns: u64,
    /// The same time on the axis of the edges' [`axis_ns`](EdgeEvent::axis_ns).
    pub axis_ns: u64,
    /// How many changes of the line were in the window at that time.
    pub changes: u32,
    /// How many edges were withheld while the line was blocked. If the last of them passes after all, it is the next
    /// event.
    pub withheld: u64,
}

impl ChatterEvent {
    /// An event from a recording that was filtered while it was recorded.
    ///
    /// ```
    /// use linewake::filter::{ChatterEvent, ChatterKind};
    /// let kind = ChatterKind::Unblocked;
    /// let event = ChatterEvent::recorded("gpiochip0".into(), 5.into(), None, kind, [9, 9], (50, 90));
    /// assert_eq!((event.changes, event.withheld), (50, 90));
    /// ```
    #[must_use]
    pub fn recorded(
        chip: Arc<str>,
        offset: Offset,
        name: Option<Arc<str>>,
        kind: ChatterKind,
        [timestamp_ns, axis_ns]: [u64; 2],
        (changes, withheld): (u32, u64),
    ) -> Self {
        Self { chip, offset, name, kind, timestamp_ns, axis_ns, changes, withheld }
    }
}

/// The kind of a [`ChatterEvent`]: the line was blocked or unblocked.
///
/// ```
/// assert_eq!(linewake::filter::ChatterKind::Blocked.as_str(), "blocked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatterKind {
    /// The line changes too often; none of its edges pass.
    Blocked,
    /// The line's edges pass again.
    Unblocked,
}

names! {
    /// `blocked` or `unblocked`.
    ChatterKind { Blocked = "blocked", Unblocked = "unblocked" }
}
