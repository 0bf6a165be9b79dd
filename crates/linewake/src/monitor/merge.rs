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
    held: BinaryHeap<Reverse<Held>>,
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

struct Held {
    time_ns: u64,
    count: u64,
    source: usize,
    place: usize,
    event: Event,
}

impl Held {
    fn key(&self) -> (u64, u64) {
        (self.time_ns, self.count)
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Merge {
    pub(super) fn new(window: Duration, capacity: usize, when_full: WhenFull) -> Self {
        Self {
            window,
            capacity: capacity.max(1),
            when_full,
            held: BinaryHeap::new(),
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
        self.held.push(Reverse(Held { time_ns, count: self.count, source, place, event }));
        if self.held.len() > self.capacity && self.when_full == WhenFull::DropOldest {
            self.drop_oldest_edge();
        }
    }

    /// What is no edge is never dropped, and leaves in its order.
    fn drop_oldest_edge(&mut self) {
        let Some(Reverse(oldest)) = self.held.pop() else {
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
        while let Some(Reverse(first)) = self.held.peek()
            && self.ripe.is_some_and(|ripe| first.time_ns <= ripe)
            && first.time_ns <= bound
            && let Some(Reverse(first)) = self.held.pop()
        {
            if first.time_ns < self.last_ns {
                self.stats.late += 1;
            }
            self.last_ns = self.last_ns.max(first.time_ns);
            self.released.push_back((first.event, first.place));
        }
        if self.held.is_empty() {
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
        let held = self.held.drain().map(|Reverse(held)| (held.event, held.place));
        let whose = |(event, place)| match event {
            Event::Edge { request, .. } => Some((request, place)),
            _ => None,
        };
        released.chain(held).filter_map(whose).collect()
    }
}
