//! Puts the events of many sources into order of time.
//!
//! An event leaves when it is the earliest that is held, and
//! - the window has passed since it, or something later than it, arrived: so that what comes late has its chance, and
//! - every source that has more to give has given something later.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::{Event, MonitorStats, WhenFull};

pub(super) struct Merge {
    window: Duration,
    capacity: usize,
    when_full: WhenFull,
    held: Held,
    /// Numbers what is put in, so that equal times keep their order.
    count: u64,
    /// What may leave now.
    released: VecDeque<(Event, usize)>,
    /// When batches came, and the latest time among what came with each.
    arrivals: VecDeque<(Instant, u64)>,
    /// The latest time in what came now.
    latest: Option<u64>,
    /// What is not later than this has waited for its window.
    ripe: Option<u64>,
    /// For each source that has more to give: no later than this.
    undrained: Vec<(usize, u64)>,
    /// The latest time that was released.
    last_ns: u64,
    dropped: Vec<(usize, usize)>,
    pub(super) stats: MonitorStats,
}

/// What is held, in order of time and then of coming. The events stay where they are: an order of small things is made of
/// them, since moving the events themselves through a heap costs more than all the rest.
#[derive(Default)]
struct Held {
    /// Time, number, and place on the shelf.
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    shelf: Vec<Option<Shelved>>,
    free: Vec<usize>,
}

struct Shelved {
    source: usize,
    place: usize,
    event: Event,
}

impl Held {
    fn len(&self) -> usize {
        self.order.len()
    }

    fn push(&mut self, time_ns: u64, count: u64, shelved: Shelved) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.shelf.push(None);
            self.shelf.len() - 1
        });
        self.shelf[at] = Some(shelved);
        self.order.push(Reverse((time_ns, count, at)));
    }

    /// The time of the earliest.
    fn first_ns(&self) -> Option<u64> {
        self.order.peek().map(|Reverse((time_ns, ..))| *time_ns)
    }

    fn pop(&mut self) -> Option<Shelved> {
        let Reverse((.., at)) = self.order.pop()?;
        self.free.push(at);
        self.shelf[at].take()
    }
}

impl Merge {
    pub(super) fn new(window: Duration, capacity: usize, when_full: WhenFull) -> Self {
        Self {
            window,
            capacity: capacity.max(1),
            when_full,
            held: Held::default(),
            count: 0,
            released: VecDeque::new(),
            arrivals: VecDeque::new(),
            latest: None,
            ripe: None,
            undrained: Vec::new(),
            last_ns: 0,
            dropped: Vec::new(),
            stats: MonitorStats::default(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.undrained.clear();
    }

    /// Whether sources are to be polled.
    pub(super) fn has_room(&self) -> bool {
        self.when_full == WhenFull::DropOldest || self.held.len() < self.capacity
    }

    /// An edge of the line at `place` of the source.
    pub(super) fn push(&mut self, source: usize, place: usize, time_ns: u64, event: Event) {
        self.count += 1;
        self.latest = self.latest.max(Some(time_ns));
        self.held.push(time_ns, self.count, Shelved { source, place, event });
        if self.held.len() > self.capacity && self.when_full == WhenFull::DropOldest {
            self.drop_oldest_edge();
        }
    }

    /// What is no edge is never dropped, and leaves in its order.
    fn drop_oldest_edge(&mut self) {
        let Some(oldest) = self.held.pop() else {
            return;
        };
        if matches!(oldest.event, Event::Edge { .. }) {
            self.stats.dropped += 1;
            self.dropped.push((oldest.source, oldest.place));
        } else {
            self.released.push_back((oldest.event, oldest.place));
        }
    }

    /// What belongs behind everything that was given before, and before everything that comes: a state, a gap.
    pub(super) fn push_now(&mut self, source: usize, time_ns: Option<u64>, event: Event) {
        let time_ns = time_ns.unwrap_or(self.last_ns).max(self.last_ns);
        self.push(source, 0, time_ns, event);
    }

    pub(super) fn drained(&mut self, source: usize) {
        self.undrained.retain(|(other, _)| *other != source);
    }

    /// The source may have more, and nothing earlier than this.
    pub(super) fn has_more(&mut self, source: usize, latest: u64) {
        self.drained(source);
        self.undrained.push((source, latest));
    }

    pub(super) fn has_undrained(&self) -> bool {
        !self.undrained.is_empty()
    }

    pub(super) fn is_everyone_asked(&self, sources: usize) -> bool {
        self.undrained.len() >= sources || self.held.len() >= self.capacity
    }

    pub(super) fn take_dropped(&mut self) -> std::vec::Drain<'_, (usize, usize)> {
        self.dropped.drain(..)
    }

    /// All that comes now has come.
    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(latest) = self.latest.take() {
            self.arrivals.push_back((now, latest));
        }
    }

    /// Lets go what has waited long enough; all of it if nothing more will come.
    pub(super) fn release(&mut self, now: Instant, all: bool) {
        // A full buffer must not wait: nothing more would come.
        let is_full = self.held.len() >= self.capacity;
        while let Some(&(came, latest)) = self.arrivals.front()
            && (all || is_full || now.saturating_duration_since(came) >= self.window)
        {
            self.ripe = self.ripe.max(Some(latest));
            self.arrivals.pop_front();
        }
        let undrained = self.undrained.iter().map(|(_, latest)| *latest).min();
        let bound = undrained.filter(|_| !is_full && !all).unwrap_or(u64::MAX);
        while let Some(first_ns) = self.held.first_ns()
            && self.ripe.is_some_and(|ripe| first_ns <= ripe)
            && first_ns <= bound
            && let Some(first) = self.held.pop()
        {
            if first_ns < self.last_ns {
                self.stats.late += 1;
            }
            self.last_ns = self.last_ns.max(first_ns);
            self.released.push_back((first.event, first.place));
        }
        if self.held.len() == 0 {
            self.arrivals.clear();
        }
    }

    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// When something may be let go that is held now.
    pub(super) fn release_at(&self) -> Option<Instant> {
        self.arrivals.front().map(|(came, _)| *came + self.window)
    }

    pub(super) fn pop(&mut self) -> Option<(Event, usize)> {
        self.released.pop_front()
    }

    /// Whose edges nobody took.
    pub(super) fn drain(&mut self) -> Vec<(usize, usize)> {
        let released = self.released.drain(..);
        let held = std::mem::take(&mut self.held).shelf.into_iter().flatten().map(|held| (held.event, held.place));
        let whose = |(event, place)| match event {
            Event::Edge { request, .. } => Some((request, place)),
            _ => None,
        };
        released.chain(held).filter_map(whose).collect()
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
        // Which event it is does not matter, but for what may be dropped.
        let state = LineState { chip: "chip".into(), offset: (time_ns as u32).into(), name: None, active: None };
        merge.push(source, 0, time_ns, Event::State { request: source, state });
    }

    /// Times of what is released.
    fn released(merge: &mut Merge) -> Vec<u64> {
        let time = |(event, _)| match event {
            Event::State { state, .. } => state.offset.get().into(),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| merge.pop()).map(time).collect()
    }

    #[test]
    fn what_comes_within_the_window_is_put_in_order() {
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
    fn what_comes_later_is_given_at_once_after_its_own_window_and_counted() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        push(&mut merge, 0, 9);
        merge.arrived(start);
        merge.release(start + WINDOW, false);
        push(&mut merge, 1, 4);
        merge.arrived(start + WINDOW);
        merge.release(start + WINDOW * 2, false);
        assert_eq!(released(&mut merge), [9, 4]);
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
    fn at_the_end_all_leaves() {
        let (mut merge, start) = (merge(100, WhenFull::Block), Instant::now());
        [4, 2, 2, 9].into_iter().for_each(|time_ns| push(&mut merge, 0, time_ns));
        merge.has_more(0, 2);
        merge.arrived(start);
        merge.release(start, true);
        assert_eq!(released(&mut merge), [2, 2, 4, 9]);
    }
}
