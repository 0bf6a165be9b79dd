//! Edges as a chip gives them, and how missing ones between them are known.

use std::time::Duration;

use crate::{EdgeKind, Figures, Missed, Offset};

/// An edge, as a chip gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEdge {
    /// The line of the chip.
    pub offset: Offset,
    /// The direction.
    pub kind: EdgeKind,
    /// The time, in nanoseconds of the chip's clock.
    pub timestamp_ns: u64,
    /// Its number among all edges of the request; zero if the chip does not number them.
    pub seqno: u32,
    /// Its number among the edges of its line; zero if the chip does not number them.
    pub line_seqno: u32,
    /// The edges that the chip reports as missing directly before it; see [`Numbering`].
    pub missed: Missed,
}

/// How a request knows of missing edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Numbering {
    /// The chip reports them with each edge, and [`HeldLines::settle`](crate::backend::HeldLines::settle) closes the
    /// account.
    Told,
    /// The numbers of the Linux kernel. A gap in `line_seqno` is edges that the queue dropped. Where interrupts are
    /// numbered before edges can merge, a gap in `seqno` without one in `line_seqno` is merged edges. The same
    /// direction twice is at least one missing edge.
    ///
    /// On several processors the last two rules can count too much, if edges follow each other faster than the
    /// interrupt's thread (`edge_irq_thread` of gpiolib-cdev.c). With both directions watched, the thread reads the
    /// level: a late thread gives its edge the direction of the next one, as if edges between the two had merged. (With
    /// numbered interrupts it also takes the number of the next one, which shows the mistake.) The thread also clears
    /// the time stamp, which the next interrupt may have set already; the next run then believes that the interrupt was
    /// not numbered, and counts it again. So the account of merged edges is [`About`](crate::Trust::About) there, and
    /// not [`AtLeast`](crate::Trust::AtLeast).
    Kernel(Interrupts),
    /// No numbers: the same direction twice is at least one missing edge, beside those that the chip reports.
    Polarity,
    /// No numbers, and only one direction: the missing edges are those that the chip reports.
    Unnumbered,
}

/// The things that [`RawEdge::seqno`] numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// Events of the queue: merged edges have no number.
    Uncounted,
    /// Interrupts of all lines of the request: merged edges are counted, but not by line.
    OfRequest,
    /// Interrupts of the one watched line: merged edges are counted.
    OfLine,
}

/// The chip's own account of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The figures of its edges; delivered means given to a wait.
    pub figures: Figures,
    /// True if they add up to the chip's count of edges that happened.
    pub is_closed: bool,
}

/// How long edges may gather in a queue of `queue` events, so that 256,000 edges a second do not fill it. A queue of
/// fewer than 256 is emptied at once.
pub(crate) fn gather_in(queue: u32, asked: Duration) -> Duration {
    asked.min(Duration::from_millis(u64::from(queue / 256)))
}
