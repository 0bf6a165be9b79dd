//! Puts the events of many sources into order of time.
//!
//! An event leaves when it is the earliest of those held, and
//! - the window has passed since it or a later event arrived, so that a late event is still put in order, and
//! - every source that has more events has already given a later one.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::event::Event;

/// The action of a [`Monitor`](crate::Monitor) whose buffer is full because the program is too slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Takes no more edges from the chips. Their own queues fill up, drop their oldest edges, and report that.
    #[default]
    Block,
    /// Drops the oldest edge and counts it as overflowed.
    DropOldest,
}

/// Counts of what a [`Monitor`](crate::Monitor) did so far.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let monitor = linewake::Monitor::builder().request(chip.request().line("door")).start()?;
/// assert_eq!(monitor.stats(), linewake::MonitorStats::default());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorStats {
    /// Edges given to the program.
    pub delivered: u64,
    /// Edges given after an edge with a later time, because they arrived too late to be put in order.
    pub late: u64,
    /// Edges dropped because the program was too slow; see [`WhenFull::DropOldest`]. The account counts them as
    /// overflowed.
    pub dropped: u64,
    /// How often an unplugged chip came back.
    pub reattached: u64,
}

#[derive(Default)]
pub(super) struct Merge {
    window: Duration,
    capacity: usize,
    when_full: WhenFull,
    held: HeldEvent,
    /// Held events up to this time may leave now.
    limit_ns: Option<u64>,
    /// States, gaps and the like that a full buffer pushed out. They leave first.
    pushed_out: VecDeque<(Event, usize)>,
    /// The arrival of each batch, and the latest time in it.
    arrivals: VecDeque<(Instant, u64)>,
    /// The latest time in the present batch.
    latest: Option<u64>,
    /// Events up to this time have waited for the window.
    ripe: Option<u64>,
    /// The sources that may have more, each with the latest time that it gave.
    undrained: Vec<(usize, u64)>,
    /// The latest time of an event that left.
    last_ns: u64,
    dropped: Vec<(usize, usize)>,
    pub(super) stats: MonitorStats,
}

/// The events held, in order of time and then of arrival.
///
/// Each source has its own queue in this order. An event that comes in order is added at the end, which is cheap. The
/// queues are merged by their first events.
#[derive(Default)]
struct HeldEvent {
    queues: Vec<VecDeque<Shelved>>,
    /// Time, number and queue of the first event of each queue. An entry may be out of date, but the earliest one never is.
    firsts: BinaryHeap<Reverse<(u64, u64, usize)>>,
    len: usize,
    /// Numbers the events, so that those with equal times keep their order.
    count: u64,
}

struct Shelved {
    time_ns: u64,
    number: u64,
    place: usize,
    event: Event,
}

impl HeldEvent {
    fn push(&mut self, source: usize, time_ns: u64, place: usize, event: Event) {
        self.count += 1;
        self.len += 1;
        let number = self.count;
        if self.queues.len() <= source {
            self.queues.resize_with(source + 1, VecDeque::new);
        }
        let queue = &mut self.queues[source];
        let at = match queue.back() {
            Some(last) if last.time_ns > time_ns => queue.partition_point(|shelved| shelved.time_ns <= time_ns),
            _ => queue.len(),
        };
        let shelved = Shelved { time_ns, number, place, event };
        if at == queue.len() {
            queue.push_back(shelved);
        } else {
            queue.insert(at, shelved);
        }
        if at == 0 {
            self.firsts.push(Reverse((time_ns, number, source)));
        }
    }

    /// The time of the earliest event.
    fn first_ns(&self) -> Option<u64> {
        self.firsts.peek().map(|Reverse((time_ns, ..))| *time_ns)
    }

    fn pop(&mut self) -> Option<(usize, Shelved)> {
        let mut first = self.firsts.peek_mut()?;
        let source = first.0.2;
        let shelved = self.queues[source].pop_front()?;
        self.len -= 1;
        match self.queues[source].front() {
            // Replace it in its place: if the order stays the same, nothing moves.
            Some(next) => {
                *first = Reverse((next.time_ns, next.number, source));
                drop(first);
            }
            None => drop(PeekMut::pop(first)),
        }
        self.forget_the_gone();
        Some((source, shelved))
    }

    /// Removes entries of `firsts` that are out of date, until the least one is valid.
    fn forget_the_gone(&mut self) {
        while let Some(first) = self.firsts.peek_mut()
            && let Reverse((_, number, source)) = *first
            && self.queues[source].front().is_none_or(|shelved| shelved.number != number)
        {
            PeekMut::pop(first);
        }
    }
}

impl Merge {
    pub(super) fn new(window: Duration, capacity: usize, when_full: WhenFull) -> Self {
        Self { window, capacity: capacity.max(1), when_full, ..Self::default() }
    }

    pub(super) fn begin(&mut self) {
        debug_assert!(!self.has_released(), "released events leave before more come");
        self.undrained.clear();
    }

    /// True if sources may be polled.
    pub(super) fn has_room(&self) -> bool {
        self.when_full == WhenFull::DropOldest || self.held.len < self.capacity
    }

    /// Adds an event of the line at `place` of the source.
    pub(super) fn push(&mut self, source: usize, place: usize, time_ns: u64, event: Event) {
        self.latest = self.latest.max(Some(time_ns));
        self.held.push(source, time_ns, place, event);
        if self.held.len > self.capacity && self.when_full == WhenFull::DropOldest {
            self.drop_oldest_edge();
        }
    }

    /// Makes room by dropping the oldest edge. Only edges are dropped: older events of other kinds leave in their
    /// order.
    fn drop_oldest_edge(&mut self) {
        let Some((source, oldest)) = self.held.pop() else {
            return;
        };
        if matches!(oldest.event, Event::Edge { .. }) {
            self.stats.dropped += 1;
            self.dropped.push((source, oldest.place));
        } else {
            self.pushed_out.push_back((oldest.event, oldest.place));
        }
    }

    /// Adds an event, such as a state or a gap, that belongs after everything given so far and before everything that
    /// comes.
    pub(super) fn push_now(&mut self, source: usize, place: usize, time_ns: Option<u64>, event: Event) {
        let time_ns = time_ns.unwrap_or(self.last_ns).max(self.last_ns);
        self.push(source, place, time_ns, event);
    }

    pub(super) fn drained(&mut self, source: usize) {
        self.undrained.retain(|(other, _)| *other != source);
    }

    /// The source may have more. It has given events up to this time.
    pub(super) fn has_more(&mut self, source: usize, latest: u64) {
        self.drained(source);
        self.undrained.push((source, latest));
    }

    pub(super) fn has_undrained(&self) -> bool {
        !self.undrained.is_empty()
    }

    pub(super) fn is_everyone_asked(&self, sources: usize) -> bool {
        self.undrained.len() >= sources || self.held.len >= self.capacity
    }

    pub(super) fn take_dropped(&mut self) -> std::vec::Drain<'_, (usize, usize)> {
        self.dropped.drain(..)
    }

    /// Ends the present batch.
    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(latest) = self.latest.take() {
            self.arrivals.push_back((now, latest));
        }
    }

    /// Releases the events that have waited long enough, or all of them if nothing more will come. They must be
    /// [taken](Self::pop) before more are added.
    pub(super) fn release(&mut self, now: Instant, all: bool) {
        // A full buffer must not wait, because no more events could come.
        let is_full = self.held.len >= self.capacity;
        while let Some(&(came, latest)) = self.arrivals.front()
            && (all || is_full || now.saturating_duration_since(came) >= self.window)
        {
            self.ripe = self.ripe.max(Some(latest));
            self.arrivals.pop_front();
        }
        let undrained = self.undrained.iter().map(|(_, latest)| *latest).min();
        let bound = undrained.filter(|_| !is_full && !all).unwrap_or(u64::MAX);
        self.limit_ns = self.ripe.map(|ripe| ripe.min(bound));
    }

    pub(super) fn has_released(&self) -> bool {
        !self.pushed_out.is_empty() || self.held.first_ns().is_some_and(|first_ns| Some(first_ns) <= self.limit_ns)
    }

    /// When the next of the held events may be released.
    pub(super) fn release_at(&self) -> Option<Instant> {
        self.arrivals.front().map(|(came, _)| *came + self.window)
    }

    pub(super) fn pop(&mut self) -> Option<(Event, usize)> {
        if !self.pushed_out.is_empty() {
            return self.pushed_out.pop_front();
        }
        let first_ns = self.held.first_ns().filter(|&first_ns| Some(first_ns) <= self.limit_ns)?;
        let (_, Shelved { event, place, .. }) = self.held.pop()?;
        if first_ns < self.last_ns {
            self.stats.late += 1;
        }
        self.last_ns = self.last_ns.max(first_ns);
        if self.held.len == 0 {
            self.arrivals.clear();
        }
        Some((event, place))
    }

    /// The request and place of each edge that the program did not take.
    pub(super) fn drain(&mut self) -> Vec<(usize, usize)> {
        let held = std::mem::take(&mut self.held).queues.into_iter().flatten().map(|held| (held.event, held.place));
        let whose = |(event, place)| match event {
            Event::Edge { request, .. } => Some((request, place)),
            _ => None,
        };
        self.pushed_out.drain(..).chain(held).filter_map(whose).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::LineState;

    const WINDOW: Duration = Duration::from_millis(10);

    fn merge(capacity: usize, when_full: WhenFull) -> Merge {
        Merge::new(WINDOW, capacity, when_full)
    }

    fn push(merge: &mut Merge, source: usize, time_ns: u64) {
        // The kind of event only matters for dropping.
        let state = LineState { chip: "chip".into(), offset: (time_ns as u32).into(), name: None, active: None };
        merge.push(source, 0, time_ns, Event::State { request: source, state });
    }

    /// The times of the released events.
    fn released(merge: &mut Merge) -> Vec<u64> {
        let time = |(event, _)| match event {
            Event::State { state, .. } => state.offset.get().into(),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| merge.pop()).map(time).collect()
    }

    #[test]
    fn events_within_the_window_are_put_in_order() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        for (source, times, after) in [(0, [5, 9], 0), (1, [3, 7], 4), (2, [1, 8], 9)] {
            times.into_iter().for_each(|time_ns| push(&mut merge, source, time_ns));
            merge.arrived(start + Duration::from_millis(after));
            merge.release(start + Duration::from_millis(after), false);
            assert!(!merge.has_released(), "the window has not passed");
        }
        assert_eq!(merge.release_at(), Some(start + WINDOW));
        merge.release(start + WINDOW, false);
        assert_eq!(released(&mut merge), [1, 3, 5, 7, 8, 9]);
        assert_eq!((merge.stats.late, merge.release_at()), (0, None));
    }

    #[test]
    fn many_sources_out_of_order_leave_in_order() {
        let (mut merge, start) = (merge(1 << 20, WhenFull::Block), Instant::now());
        let (mut chance, mut expected, mut given) = (1_u32, Vec::new(), Vec::new());
        for _ in 0..300 {
            for _ in 0..20 {
                chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let time_ns = u64::from(chance >> 20);
                push(&mut merge, (chance >> 8) as usize % 7, time_ns);
                expected.push(time_ns);
            }
            merge.arrived(start);
            // Some events leave before others come.
            merge.has_more(0, u64::from(chance >> 22));
            merge.release(start + WINDOW, false);
            let some = released(&mut merge);
            assert!(some.is_sorted());
            given.extend(some);
            merge.begin();
        }
        merge.release(start + WINDOW, false);
        given.extend(released(&mut merge));
        assert_eq!(merge.drain(), []);
        assert_eq!(merge.held.len, 0);
        expected.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, expected);
    }

    #[test]
    fn a_late_event_is_given_after_its_own_window_and_counted() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        push(&mut merge, 0, 9);
        merge.arrived(start);
        merge.release(start + WINDOW, false);
        assert_eq!(released(&mut merge), [9]);
        push(&mut merge, 1, 4);
        merge.arrived(start + WINDOW);
        merge.release(start + WINDOW * 2, false);
        assert_eq!(released(&mut merge), [4]);
        assert_eq!(merge.stats.late, 1);
    }

    #[test]
    fn a_source_with_more_to_give_is_waited_for() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        push(&mut merge, 0, 2);
        push(&mut merge, 0, 3);
        merge.has_more(0, 3);
        push(&mut merge, 1, 8);
        merge.arrived(start);
        merge.release(start + WINDOW, false);
        assert_eq!(released(&mut merge), [2, 3], "source 0 may have something before 8");
        merge.drained(0);
        merge.release(start + WINDOW, false);
        assert_eq!(released(&mut merge), [8]);
    }

    #[test]
    fn a_full_buffer_waits_for_nothing() {
        let (mut merge, start) = (merge(2, WhenFull::Block), Instant::now());
        push(&mut merge, 0, 1);
        assert!(merge.has_room());
        push(&mut merge, 1, 5);
        assert!(!merge.has_room());
        merge.has_more(0, 1);
        merge.arrived(start);
        merge.release(start, false);
        assert_eq!(released(&mut merge), [1, 5]);
        assert!(merge.has_room());
    }

    #[test]
    fn at_the_end_all_events_leave() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        [4, 2, 2, 9].into_iter().for_each(|time_ns| push(&mut merge, 0, time_ns));
        merge.has_more(0, 2);
        merge.arrived(start);
        merge.release(start, true);
        assert_eq!(released(&mut merge), [2, 2, 4, 9]);
    }
}
