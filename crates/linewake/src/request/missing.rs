//! The rules by which a request finds how many edges are missing before an edge that came. Each rule has a type that
//! remembers what it needs of earlier edges; [`WatchedLine`](super::WatchedLine) combines them.

/// Numbers of the edges of one line: a gap is edges that the chip's queue dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct LineNumbers {
    last: u32,
}

impl LineNumbers {
    pub(super) fn begin_after(number: u32) -> Self {
        Self { last: number }
    }

    /// How many numbers were left out before this one. More than half of the range: the numbers go back.
    pub(super) fn gap_before(&mut self, number: u32) -> u32 {
        number.wrapping_sub(std::mem::replace(&mut self.last, number)).wrapping_sub(1)
    }
}

/// Numbers of interrupts, which are given before edges can merge: an interrupt that brought no edge is an edge that
/// merged.
#[derive(Clone, Debug, Default)]
pub(super) struct InterruptNumbers {
    last: u32,
    /// Edges shown to be merged.
    merged: i64,
}

impl InterruptNumbers {
    pub(super) fn begin_after(number: u32) -> Self {
        Self { last: number, merged: 0 }
    }

    /// How many numbers a number is ahead of the expected one. -1: the number comes twice. An interrupt came while the
    /// kernel's thread handled the edge before, which took the new number and the new level.
    pub(super) fn ahead(&mut self, number: u32) -> i32 {
        number.wrapping_sub(std::mem::replace(&mut self.last, number)).wrapping_sub(1) as i32
    }

    /// Books the interrupts before an edge, if all of them are of its line. `gap` edges reached the queue and were
    /// dropped.
    pub(super) fn book(&mut self, ahead: i32, gap: u32) {
        if ahead >= -1 {
            self.merged += i64::from(ahead) - i64::from(gap);
        }
    }

    pub(super) fn merged(&self) -> i64 {
        self.merged
    }
}

/// Directions of edges: every edge turns the level over, so the same direction twice is at least one edge that is
/// missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Directions {
    /// True if the line was active after the edge before; `None` if unknown.
    active: Option<bool>,
    /// Edges shown to be missing.
    missing: i64,
    /// True if the direction of the edge before showed a missing edge.
    was_same_way: bool,
}

impl Directions {
    /// The level that the next edge is compared with.
    pub(super) fn set_level(&mut self, active: Option<bool>) {
        self.active = active;
    }

    /// True if an edge shows that one more is missing before it than the `known` ones. `is_late`: the edge before may
    /// have taken the direction of this one, so neither of the two shows anything.
    pub(super) fn shows_missing(&mut self, active: bool, known: u64, is_late: bool) -> bool {
        let Some(before) = self.active else { return false };
        let turns_over = known.is_multiple_of(2);
        let is_same_way = turns_over == (before == active);
        self.missing += match (is_same_way, self.was_same_way && is_late) {
            (true, false) => 1,
            (true, true) => -1,
            (false, _) => 0,
        };
        self.was_same_way = is_same_way;
        is_same_way
    }

    pub(super) fn missing(&self) -> i64 {
        self.missing
    }
}

/// The level at the start, which may have been read while an edge was on its way: an edge that happened before the
/// reading tells the level before itself.
#[derive(Clone, Debug, Default)]
pub(super) struct StartLevel {
    /// When the level was read, until an edge has come.
    read_ns: Option<u64>,
}

impl StartLevel {
    pub(super) fn read_at(read_ns: Option<u64>) -> Self {
        Self { read_ns }
    }

    /// True if the level was read after this edge. Only the first edge is compared; later calls return false.
    pub(super) fn is_after(&mut self, axis_ns: u64) -> bool {
        self.read_ns.take().is_some_and(|read_ns| axis_ns <= read_ns)
    }
}

/// The interrupts of a whole request, where they are numbered for all of its lines together.
#[derive(Debug, Default)]
pub(super) struct InterruptCount {
    /// The highest number seen, without the wrap.
    highest: u64,
}

impl InterruptCount {
    /// Notes the number of an edge. They may come out of order, by less than half the range of the number.
    pub(super) fn note(&mut self, seqno: u32) {
        let ahead = seqno.wrapping_sub(self.highest as u32);
        if ahead <= u32::MAX / 2 {
            self.highest += u64::from(ahead);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_left_out_are_a_gap_also_across_the_wrap() {
        let mut numbers = LineNumbers::begin_after(u32::MAX - 2);
        let gaps = [u32::MAX - 1, 0, 1, 5].map(|number| numbers.gap_before(number));
        assert_eq!(gaps, [0, 1, 0, 3]);
        assert!(numbers.gap_before(4) > u32::MAX / 2, "it goes back");
    }

    #[test]
    fn an_interrupt_without_an_edge_is_a_merged_edge() {
        let mut numbers = InterruptNumbers::default();
        for (number, gap, merged) in [(1, 0, 0), (3, 0, 1), (7, 1, 3), (7, 0, 2), (2, 0, 2)] {
            let ahead = numbers.ahead(number);
            numbers.book(ahead, gap);
            assert_eq!(numbers.merged(), merged, "{number}");
        }
    }

    #[test]
    fn the_same_direction_shows_one_missing_unless_an_even_number_is_known() {
        for (known, expected) in [(0, true), (1, false), (2, true)] {
            let mut directions = Directions::default();
            assert!(!directions.shows_missing(true, 0, false), "no level is known");
            directions.set_level(Some(true));
            assert_eq!(directions.shows_missing(true, known, false), expected, "{known}");
        }
    }

    #[test]
    fn a_direction_that_came_late_takes_back_what_the_one_before_showed() {
        let mut directions = Directions::default();
        directions.set_level(Some(false));
        assert!(directions.shows_missing(false, 0, false) && directions.missing() == 1);
        assert!(directions.shows_missing(false, 0, true) && directions.missing() == 0);
    }

    #[test]
    fn only_the_first_edge_corrects_the_level_at_the_start() {
        for (axis_ns, expected) in [(9, true), (10, true), (11, false)] {
            let mut start = StartLevel::read_at(Some(10));
            assert_eq!(start.is_after(axis_ns), expected);
            assert!(!start.is_after(9));
        }
        assert!(!StartLevel::default().is_after(0));
    }

    #[test]
    fn interrupts_are_counted_across_the_wrap_and_out_of_order() {
        let mut interrupts = InterruptCount::default();
        for seqno in [1, 3, 2, 7, 5] {
            interrupts.note(seqno);
        }
        assert_eq!(interrupts.get(), 7);
        interrupts.highest = (1 << 32) - 2;
        for seqno in [u32::MAX, 1, 0, 2] {
            interrupts.note(seqno);
        }
        assert_eq!(interrupts.get(), (1 << 32) + 2);
    }
}
