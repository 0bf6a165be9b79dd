//! Events that passed the filters and wait for the program. Events of a request leave as they come. Events of a monitor
//! are put in order of time again.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use super::lines::Time;

/// Events of lines, each with the place of its line.
pub(super) struct Order<E> {
    /// An event waits at most this long for earlier edges that are not decided yet. With `None` nothing is put in
    /// order.
    patience_ns: Option<u64>,
    /// The latest stamp of all events that came, whether they passed or not.
    latest_ns: Option<u64>,
    time: Time,
    horizon_ns: u64,
    held: BinaryHeap<HeldEvent<E>>,
    number: u64,
    /// Events that may leave.
    ready: VecDeque<(usize, E)>,
}

struct HeldEvent<E> {
    at_ns: u64,
    number: u64,
    place: usize,
    event: E,
}

impl<E> Order<E> {
    /// A bounce is decided one delay after its *last* edge, but the other lines wait for it from its first edge on. So
    /// they wait for up to twice the delay.
    pub(super) fn new(delay_ns: Option<u64>) -> Self {
        Self {
            patience_ns: delay_ns.map(|delay_ns| delay_ns.saturating_mul(2)),
            latest_ns: None,
            time: Time::default(),
            horizon_ns: 0,
            held: BinaryHeap::new(),
            number: 0,
            ready: VecDeque::new(),
        }
    }

    /// Notes that an event with this stamp came.
    pub(super) fn see(&mut self, stamp_ns: u64, now: Instant) {
        if self.patience_ns.is_none() {
            return;
        }
        self.latest_ns = self.latest_ns.max(Some(stamp_ns));
        self.time.see(stamp_ns, now);
    }

    pub(super) fn put(&mut self, place: usize, at_ns: u64, event: E) {
        if self.patience_ns.is_none() {
            return self.ready.push_back((place, event));
        }
        self.number += 1;
        self.held.push(HeldEvent { at_ns, number: self.number, place, event });
    }

    /// The time before which events are no longer held back. The caller gives `now` when it has no edge to take; then
    /// time passes without stamps.
    pub(super) fn horizon_ns(&mut self, now: Option<Instant>) -> u64 {
        let passed_ns = now.and_then(|now| self.time.at(now));
        let now_ns = self.latest_ns.max(passed_ns).unwrap_or(0);
        self.horizon_ns = self.horizon_ns.max(now_ns.saturating_sub(self.patience_ns.unwrap_or(0)));
        self.horizon_ns
    }

    /// Releases the events up to the horizon, and those up to the first edge that is not decided.
    pub(super) fn release(&mut self, undecided_ns: Option<u64>) {
        let until_ns = undecided_ns.unwrap_or(u64::MAX).max(self.horizon_ns);
        while self.held.peek().is_some_and(|first| first.at_ns <= until_ns)
            && let Some(HeldEvent { place, event, .. }) = self.held.pop()
        {
            self.ready.push_back((place, event));
        }
    }

    /// When the next event may be released even if no other edge comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.time.when(self.held.peek()?.at_ns.saturating_add(self.patience_ns?))
    }

    /// The same time as [`due`](Self::due), in the clock of the stamps.
    pub(super) fn due_ns(&self) -> Option<u64> {
        Some(self.held.peek()?.at_ns.saturating_add(self.patience_ns?))
    }

    pub(super) fn pop(&mut self) -> Option<E> {
        self.ready.pop_front().map(|(_, event)| event)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The events that the program has not taken yet.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &E)> {
        let ready = self.ready.iter().map(|(place, event)| (*place, event));
        ready.chain(self.held.iter().map(|held| (held.place, &held.event)))
    }
}

impl<E> HeldEvent<E> {
    /// The event that leaves first has the greatest key.
    fn key(&self) -> std::cmp::Reverse<(u64, u64)> {
        std::cmp::Reverse((self.at_ns, self.number))
    }
}

impl<E> PartialEq for HeldEvent<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for HeldEvent<E> {}

impl<E> PartialOrd for HeldEvent<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for HeldEvent<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(order: &mut Order<u64>) -> Vec<u64> {
        std::iter::from_fn(|| order.pop()).collect()
    }

    #[test]
    fn an_event_waits_for_undecided_edges_and_at_most_twice_the_delay() {
        let mut order = Order::new(Some(5));
        let now = Instant::now();
        for at_ns in [7, 5, 20, 5, 9] {
            order.put(0, at_ns, at_ns * 10 + order.number);
        }
        order.see(9, now);
        order.horizon_ns(None);
        order.release(Some(6));
        assert_eq!(given(&mut order), [51, 53], "in the order in which they came");
        assert_eq!(order.iter().count(), 3);
        assert_eq!(order.due(), now.checked_add(std::time::Duration::from_nanos(8)), "7, and twice the delay");
        order.see(18, now);
        assert_eq!(order.horizon_ns(None), 8);
        order.release(Some(6));
        assert_eq!(given(&mut order), [70]);
        order.release(None);
        assert_eq!(given(&mut order), [94, 202]);
        // A late event is out of order, and leaves at once.
        order.put(0, 1, 1);
        order.release(Some(3));
        assert_eq!(given(&mut order), [1]);
    }

    #[test]
    fn a_clock_that_steps_back_holds_nothing() {
        let mut order = Order::new(Some(5));
        order.see(1_000_000_000_000, Instant::now());
        order.put(0, 5, 5);
        let horizon_ns = order.horizon_ns(None);
        assert_eq!(horizon_ns, 1_000_000_000_000 - 10);
        order.release(Some(5));
        assert_eq!(given(&mut order), [5]);
        order.see(6, Instant::now());
        assert_eq!(order.horizon_ns(None), horizon_ns, "it never goes back");
    }

    #[test]
    fn without_a_delay_events_leave_as_they_come() {
        let mut order = Order::new(None);
        [9, 3, 5].into_iter().for_each(|at_ns| order.put(0, at_ns, at_ns));
        assert!(order.has_ready() && order.due().is_none());
        assert_eq!(given(&mut order), [9, 3, 5]);
    }
}
