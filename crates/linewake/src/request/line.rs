//! A line that is watched: its level at the start, what is missing before each of its edges, and its account.

use std::sync::Arc;

use super::missing::{Directions, InterruptNumbers, LineNumbers, StartLevel};
use super::processors;
use crate::backend::{Interrupts, Numbering, RawEdge, Settlement};
use crate::{EdgeKind, Edges, Figures, LineAccount, LineConfig, Missed, Offset, Trust};

/// A line of a [`Request`](crate::Request).
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").start()?;
/// assert_eq!(request.lines()[0].active_at_start, Some(false));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchedLine {
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// Its settings in the request.
    pub config: LineConfig,
    /// True if the line was active when the watch began, before the first edge of the stream. `None` if the line
    /// changed too fast to tell. An edge that was still in the kernel when the levels were read corrects this when it
    /// comes.
    pub active_at_start: Option<bool>,
    start: StartLevel,
    /// True if the polarity is inverted here, because the chip cannot invert it.
    pub(super) inverted: bool,
    delivered: u64,
    discarded: u64,
    missed: Figures,
    numbers: LineNumbers,
    interrupts: InterruptNumbers,
    directions: Directions,
    /// Edges counted as delivered that were lost before they reached the program.
    lost_here: Figures,
    /// The chip contradicted itself about this line.
    pub(super) contradicted: bool,
    /// Merged edges were concluded from a kernel's numbers or directions; see [`Numbering::Kernel`].
    concluded: bool,
}

impl WatchedLine {
    pub(super) fn new(offset: Offset, name: Option<Arc<str>>, config: LineConfig, inverted: bool) -> Self {
        Self {
            offset,
            name,
            config,
            active_at_start: None,
            start: StartLevel::default(),
            inverted,
            delivered: 0,
            discarded: 0,
            missed: Figures::default(),
            numbers: LineNumbers::default(),
            interrupts: InterruptNumbers::default(),
            directions: Directions::default(),
            lost_here: Figures::default(),
            contradicted: false,
            concluded: false,
        }
    }

    /// Begins the watch with the level that the chip read, and the time of the reading if an edge from before may come.
    pub(super) fn begin(&mut self, active: Option<bool>, read_ns: Option<u64>) {
        self.start = StartLevel::read_at(read_ns);
        self.active_at_start = active.map(|active| active != self.inverted);
        self.directions.set_level(self.active_at_start);
    }

    /// Its first edge has the number after `number`.
    pub(super) fn number_after(&mut self, number: u32) {
        self.numbers = LineNumbers::begin_after(number);
        self.interrupts = InterruptNumbers::begin_after(number);
    }

    /// The direction of an edge of the chip, as the program sees it.
    pub(super) fn kind(&self, edge: &RawEdge) -> EdgeKind {
        if self.inverted { edge.kind.opposite() } else { edge.kind }
    }

    /// Books an edge as delivered. Returns what is missing before it.
    pub(super) fn take(&mut self, edge: &RawEdge, axis_ns: u64, numbering: Numbering) -> Missed {
        self.delivered += 1;
        self.book_missing(edge, axis_ns, numbering)
    }

    /// Books an edge as discarded: the program will not get it.
    pub(super) fn discard(&mut self, edge: &RawEdge, axis_ns: u64, numbering: Numbering) {
        self.discarded += 1;
        self.book_missing(edge, axis_ns, numbering);
    }

    fn book_missing(&mut self, edge: &RawEdge, axis_ns: u64, numbering: Numbering) -> Missed {
        let missed = self.missing_before(edge, axis_ns, numbering);
        self.missed.overflowed += u64::from(missed.overflowed);
        self.missed.merged += u64::from(missed.merged);
        missed
    }

    fn missing_before(&mut self, edge: &RawEdge, axis_ns: u64, numbering: Numbering) -> Missed {
        let gap = self.numbers.gap_before(edge.line_seqno);
        let ahead = self.interrupts.ahead(edge.seqno);
        let is_numbered = matches!(numbering, Numbering::Kernel(Interrupts::OfLine | Interrupts::OfRequest));
        let mut missed = edge.missed;
        match numbering {
            Numbering::Told => self.contradicted |= gap != edge.missed.overflowed,
            Numbering::Kernel(_) if gap > u32::MAX / 2 => self.contradicted = true,
            Numbering::Kernel(counted) => {
                missed.overflowed = missed.overflowed.saturating_add(gap);
                if counted == Interrupts::OfLine {
                    self.interrupts.book(ahead, gap);
                }
            }
            Numbering::Polarity | Numbering::Unnumbered => {}
        }
        let active = self.kind(edge) == EdgeKind::Rising;
        self.correct_start(active, axis_ns, numbering == Numbering::Told && missed.total() == 0);
        if matches!(numbering, Numbering::Kernel(_) | Numbering::Polarity) && self.config.edges == Some(Edges::Both) {
            let is_late = is_numbered && ahead == -1;
            let is_missing = self.directions.shows_missing(active, missed.total(), is_late);
            missed.merged = missed.merged.saturating_add(u32::from(is_missing));
        }
        self.directions.set_level(Some(active));
        if is_numbered {
            // The interrupts and the directions show the same missing edges, perhaps one of them earlier. So the
            // greater number counts. If too many were counted as missing, the excess is subtracted at the next edges.
            let shown = self.interrupts.merged().max(self.directions.missing()).max(0) as u64;
            missed.merged = u32::try_from(shown.saturating_sub(self.missed.merged)).unwrap_or(u32::MAX);
        }
        self.concluded |= missed.merged > 0 && matches!(numbering, Numbering::Kernel(_));
        missed
    }

    /// Corrects the level at the start by an edge that made the line active or not. `nothing_before`: the chip says
    /// that no edge is missing before it.
    fn correct_start(&mut self, active: bool, axis_ns: u64, nothing_before: bool) {
        if self.start.is_after(axis_ns) {
            self.active_at_start = Some(!active);
            self.directions.set_level(self.active_at_start);
        }
        let is_first = self.delivered + self.discarded == 1;
        if is_first && nothing_before && self.config.edges == Some(Edges::Both) {
            // If the level was another, it was read after this edge.
            self.active_at_start = self.active_at_start.map(|_| !active);
        }
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.delivered > self.lost_here.lost()
    }

    /// An edge that was taken from the chip did not reach the program: books why.
    pub(super) fn rebook(&mut self, book: impl FnOnce(&mut Figures)) {
        book(&mut self.lost_here);
    }

    /// Edges booked as merged so far.
    pub(super) fn merged(&self) -> u64 {
        self.missed.merged
    }

    /// Edges booked as missing so far.
    pub(super) fn lost(&self) -> u64 {
        self.missed.overflowed + self.missed.merged
    }

    /// Edges that came, and those known to be dropped from the queue.
    pub(super) fn numbered(&self) -> u64 {
        self.delivered + self.discarded + self.missed.overflowed
    }

    pub(super) fn account(&self) -> LineAccount {
        let figures = Figures { delivered: self.delivered, discarded: self.discarded, ..self.missed };
        self.booked(figures, self.trust(processors::several))
    }

    /// How reliable the figures are if the chip keeps no account.
    fn trust(&self, several_processors: impl FnOnce() -> bool) -> Trust {
        if self.contradicted {
            Trust::None
        } else if self.concluded && several_processors() {
            Trust::About
        } else {
            Trust::AtLeast
        }
    }

    /// The final account, from the chip's own account.
    pub(super) fn settled(&self, settled: &Settlement) -> LineAccount {
        let theirs = settled.figures;
        let untaken = theirs.delivered.checked_sub(self.delivered);
        let plausible =
            settled.is_closed && theirs.overflowed >= self.missed.overflowed && theirs.merged >= self.missed.merged;
        let figures = Figures {
            delivered: self.delivered,
            overflowed: theirs.overflowed.max(self.missed.overflowed),
            merged: theirs.merged.max(self.missed.merged),
            discarded: theirs.discarded.saturating_add(untaken.unwrap_or(0)),
        };
        let trust = if self.contradicted || untaken.is_none() || !plausible { Trust::None } else { Trust::Exact };
        self.booked(figures, trust)
    }

    fn booked(&self, mut figures: Figures, trust: Trust) -> LineAccount {
        figures.delivered = figures.delivered.saturating_sub(self.lost_here.lost());
        figures.add(self.lost_here);
        LineAccount { offset: self.offset, name: self.name.clone(), figures, trust }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(kind: EdgeKind, line_seqno: u32) -> RawEdge {
        RawEdge { offset: 0.into(), kind, timestamp_ns: 0, seqno: line_seqno, line_seqno, missed: Missed::default() }
    }

    fn line(active: Option<bool>) -> WatchedLine {
        let mut line = WatchedLine::new(0.into(), None, LineConfig::watch(Edges::Both), false);
        line.begin(active, None);
        line
    }

    const KERNEL: Numbering = Numbering::Kernel(Interrupts::Uncounted);

    fn missed(overflowed: u32, merged: u32) -> Missed {
        Missed { overflowed, merged }
    }

    #[test]
    fn a_gap_of_the_line_is_an_overflow() {
        let mut line = line(Some(false));
        assert_eq!(line.take(&edge(EdgeKind::Rising, 1), 0, KERNEL), missed(0, 0));
        assert_eq!(line.take(&edge(EdgeKind::Rising, 3), 0, KERNEL), missed(1, 0));
        assert_eq!(line.take(&edge(EdgeKind::Falling, 6), 0, KERNEL), missed(2, 0));
        assert_eq!(line.account().figures, Figures { delivered: 3, overflowed: 3, ..Figures::default() });
    }

    #[test]
    fn the_same_direction_twice_is_one_missing_edge() {
        let mut line = line(Some(true));
        assert_eq!(line.take(&edge(EdgeKind::Rising, 1), 0, KERNEL), missed(0, 1), "it was active already");
        assert_eq!(line.take(&edge(EdgeKind::Rising, 2), 0, KERNEL), missed(0, 1));
        assert_eq!(line.take(&edge(EdgeKind::Rising, 3), 0, Numbering::Unnumbered), missed(0, 0));
        // One edge was dropped between two edges of opposite directions, so another one must be missing.
        assert_eq!(line.take(&edge(EdgeKind::Falling, 5), 0, KERNEL), missed(1, 1));
        assert_eq!(line.merged(), 3);
    }

    #[test]
    fn a_first_edge_before_which_nothing_is_missing_corrects_the_level() {
        for (edges, missing, expected) in [(Edges::Both, 0, false), (Edges::Both, 1, true), (Edges::Rising, 0, true)] {
            let mut line = WatchedLine::new(0.into(), None, LineConfig::watch(edges), false);
            line.begin(Some(true), None);
            let first = RawEdge { missed: missed(missing, 0), ..edge(EdgeKind::Rising, 1 + missing) };
            line.take(&first, 0, Numbering::Told);
            assert_eq!(line.active_at_start, Some(expected), "{edges:?} {missing}");
            line.take(&edge(EdgeKind::Rising, 2 + missing), 0, Numbering::Told);
            assert_eq!(line.active_at_start, Some(expected), "the second tells nothing of the start");
        }
    }

    #[test]
    fn merged_edges_on_several_processors_are_an_estimate() {
        for (several, numbering, expected) in [
            (false, KERNEL, Trust::AtLeast),
            (true, KERNEL, Trust::About),
            (true, Numbering::Kernel(Interrupts::OfLine), Trust::About),
            (true, Numbering::Polarity, Trust::AtLeast),
        ] {
            let mut line = line(Some(false));
            line.take(&edge(EdgeKind::Rising, 1), 0, numbering);
            line.take(&edge(EdgeKind::Rising, 3), 0, numbering);
            assert_eq!(line.trust(|| several), Trust::AtLeast, "an overflow is none");
            line.take(&edge(EdgeKind::Rising, 4), 0, numbering);
            assert_eq!(
                (line.trust(|| several), line.merged()),
                (expected, 1 + u64::from(numbering == Numbering::Polarity))
            );
        }
    }

    #[test]
    fn interrupts_of_one_line_that_brought_nothing_are_merged_edges() {
        let numbering = Numbering::Kernel(Interrupts::OfLine);
        let mut line = line(Some(false));
        let mut take = |kind, line_seqno, seqno| line.take(&RawEdge { seqno, ..edge(kind, line_seqno) }, 0, numbering);
        assert_eq!(take(EdgeKind::Rising, 1, 1), missed(0, 0));
        assert_eq!(take(EdgeKind::Rising, 2, 3), missed(0, 1), "the falling one between them");
        assert_eq!(take(EdgeKind::Falling, 4, 7), missed(1, 2), "one dropped, two merged");
        // The kind is the level when the interrupt's thread ran, so it may show an edge whose number comes with the
        // next event.
        assert_eq!(take(EdgeKind::Falling, 5, 8), missed(0, 0));
        assert_eq!(take(EdgeKind::Rising, 6, 9), missed(0, 0));
        // If the hardware merges two edges into one interrupt, only the direction shows it.
        for number in 0..4 {
            let _ = take(EdgeKind::Rising, 7 + number, 10 + number);
        }
        assert_eq!(take(EdgeKind::Rising, 11, 14), missed(0, 1));
    }

    #[test]
    fn a_number_that_comes_twice_shows_a_late_direction() {
        for counted in [Interrupts::OfRequest, Interrupts::OfLine] {
            let mut line = line(Some(false));
            let mut take = |kind, line_seqno, seqno| {
                line.take(&RawEdge { seqno, ..edge(kind, line_seqno) }, 0, Numbering::Kernel(counted))
            };
            // The line rose, and fell while the thread ran, which took the level and the number of the second edge.
            assert_eq!(take(EdgeKind::Falling, 1, 2), missed(0, 1), "this is all that can be known of it now");
            assert_eq!(take(EdgeKind::Falling, 2, 2), missed(0, 0), "and that it was too much is known now");
            assert_eq!(take(EdgeKind::Rising, 3, 3), missed(0, 0));
            // The hardware merges two edges. The excess that was reported before accounts for one of them.
            assert_eq!(take(EdgeKind::Rising, 4, 4), missed(0, 0));
            assert_eq!(take(EdgeKind::Rising, 5, 5), missed(0, 1));
            assert_eq!(line.merged(), 2);
        }
    }

    #[test]
    fn the_first_level_may_be_unknown() {
        let mut line = line(None);
        assert_eq!(line.take(&edge(EdgeKind::Rising, 1), 0, KERNEL), missed(0, 0));
        assert_eq!(line.take(&edge(EdgeKind::Rising, 2), 0, KERNEL), missed(0, 1));
    }

    #[test]
    fn an_edge_from_before_the_level_was_read_corrects_it() {
        let stamped = |timestamp_ns, line_seqno| RawEdge { timestamp_ns, ..edge(EdgeKind::Rising, line_seqno) };
        for (timestamp_ns, active, expected) in [(10, false, missed(0, 0)), (11, true, missed(0, 1))] {
            let mut line = line(None);
            line.begin(Some(true), Some(10));
            assert_eq!(line.take(&stamped(timestamp_ns, 1), timestamp_ns, KERNEL), expected);
            assert_eq!(line.active_at_start, Some(active));
            assert_eq!(line.take(&stamped(9, 2), timestamp_ns, KERNEL), missed(0, 1), "it is not the first");
        }
    }

    #[test]
    fn an_edge_behind_a_clock_that_was_set_back_corrects_no_level() {
        let mut line = line(None);
        line.begin(Some(true), Some(10));
        let rising = RawEdge { timestamp_ns: 4, ..edge(EdgeKind::Rising, 1) };
        assert_eq!(line.take(&rising, 12, KERNEL), missed(0, 1), "it fell before, and that is missing");
        assert_eq!(line.active_at_start, Some(true));
    }

    #[test]
    fn numbers_wrap_through_zero_and_never_go_back() {
        let mut line = line(Some(true));
        line.number_after(u32::MAX - 1);
        for (number, kind) in [(u32::MAX, EdgeKind::Falling), (0, EdgeKind::Rising), (1, EdgeKind::Falling)] {
            assert_eq!(line.take(&edge(kind, number), 0, KERNEL), missed(0, 0));
        }
        assert_eq!(line.account().trust, Trust::AtLeast);
        line.take(&edge(EdgeKind::Rising, 1), 0, KERNEL);
        assert_eq!(line.account().trust, Trust::None);
    }
}
