//! Edges as a chip gives them, and how what is missing between them is known.

use std::time::Duration;

use crate::{EdgeKind, Figures, Missed, Offset};

/// One edge, as a chip gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEdge {
    /// Which line of the chip.
    pub offset: Offset,
    /// Which way.
    pub kind: EdgeKind,
    /// When, in nanoseconds of the chip's clock.
    pub timestamp_ns: u64,
    /// The number the chip gave it among all of the request; zero if it numbers none.
    pub seqno: u32,
    /// The number the chip gave it among those of its line; zero if it numbers none.
    pub line_seqno: u32,
    /// What the chip says is missing directly before it; see [`Numbering`].
    pub missed: Missed,
}

/// How what is missing before an edge is known: which of the rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Numbering {
    /// The chip says it with each edge, and [`HeldLines::settle`](crate::backend::HeldLines::settle) closes the account.
    Told,
    /// As the Linux kernel numbers: a gap in `line_seqno` is edges dropped from the queue; where interrupts are numbered
    /// before edges can merge, a gap in `seqno` that is no gap in a `line_seqno` is edges merged; and the same direction
    /// twice is one missing at least.
    ///
    /// On several processors the last two can say too much, of edges that follow each other faster than an interrupt's thread
    /// (`edge_irq_thread` of gpiolib-cdev.c) is done. Where both directions are watched it is the thread that reads the level:
    /// an edge whose thread is late has the direction of the one behind it, and two that were told look as if others had
    /// merged. (With numbered interrupts it has the number of that one too, and so it is seen.) And the thread clears the
    /// time stamp that the next interrupt may have left already; its next run then takes itself for an interrupt that nobody
    /// numbered, and counts it again. So with merged edges the account is [`About`](crate::Trust::About) there, and not
    /// [`AtLeast`](crate::Trust::AtLeast).
    Kernel(Interrupts),
    /// There are no numbers: the same direction twice is one missing at least, beside what the chip says with the edge.
    Polarity,
    /// There are no numbers, and one direction only is watched: what is missing is what the chip says with the edge.
    Unnumbered,
}

/// Whether, and for whom, [`RawEdge::seqno`] numbers interrupts before edges can merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// It does not: it numbers what was queued.
    Uncounted,
    /// It numbers those of all lines of the request: what is merged is known, and not on which line.
    OfRequest,
    /// One line of the request is watched, so they are all its.
    OfLine,
}

/// A chip's own account of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// What became of its edges; delivered are those that were given to a wait.
    pub figures: Figures,
    /// Whether they add up to what happened, by the chip's own count.
    pub is_closed: bool,
}

/// How long edges may gather in a queue of so many events: as long as 256,000 in a second would not fill it. A small queue is
/// one that somebody wants emptied at once.
pub(crate) fn gather_in(queue: u32, asked: Duration) -> Duration {
    asked.min(Duration::from_millis(u64::from(queue / 256)))
}
