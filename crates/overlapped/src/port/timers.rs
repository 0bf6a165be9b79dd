//! The times at which operations are over, kept for the dispatcher.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::sync::{Mutex, Weak};
use std::time::Instant;

use super::devices::Device;
use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

#[derive(Default)]
pub(crate) struct Timers {
    heap: Mutex<BinaryHeap<Timer>>,
    /// Whether there were any when the lock was last released: most programs have none, and nobody locks to see that.
    any: AtomicBool,
}

struct Timer {
    at: Instant,
    operation: InFlight,
    due: Due,
}

/// The action for an operation when its timer expires.
pub(crate) enum Due {
    /// The operation's time is over: the device must cancel it.
    Timeout(Weak<dyn Device>),
    /// After the cancellation, the driver has had enough time to end the operation.
    Grace,
    /// The operation is parked: it waits for earlier reads, whose driver has had enough time.
    Parked(Weak<dyn Device>),
}

/// Below this many timers nobody looks for those that are not needed any more.
const FEW: usize = 64;

impl Timers {
    /// Adds one. Returns whether the first one expires at another time now. The timers of operations that are over go when
    /// there is no room: then at least every second one must be needed before there is more room.
    pub(crate) fn add(&self, at: Instant, operation: InFlight, due: Due, is_over: impl Fn(InFlight) -> bool) -> bool {
        let mut timers = lock(&self.heap);
        let before = timers.peek().map(|first| first.at);
        if timers.len() >= FEW && timers.len() == timers.capacity() {
            timers.retain(|timer| !is_over(timer.operation));
            let needed = timers.len();
            timers.reserve(needed.max(FEW));
        }
        timers.push(Timer { at, operation, due });
        self.any.store(true, Release);
        timers.peek().map(|first| first.at) != before
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.heap).len()
    }

    /// When the first timer expires.
    pub(crate) fn next(&self) -> Option<Instant> {
        // Who adds one after this makes the dispatcher look again.
        if !self.any.load(Acquire) {
            return None;
        }
        lock(&self.heap).peek().map(|timer| timer.at)
    }

    /// Takes one that has expired.
    pub(crate) fn expired(&self, now: Instant) -> Option<(InFlight, Due)> {
        let mut timers = lock(&self.heap);
        if timers.peek()?.at > now {
            return None;
        }
        let first = timers.pop();
        self.any.store(!timers.is_empty(), Release);
        first.map(|timer| (timer.operation, timer.due))
    }
}

/// The earliest timer is the greatest, since a heap gives its greatest element.
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timer_that_replaces_the_removed_first_one_is_reported() {
        let (timers, now) = (Timers::default(), Instant::now());
        let add = |number: usize, seconds, is_over: &dyn Fn(InFlight) -> bool| {
            timers.add(now + Duration::from_secs(seconds), InFlight::new(number as u32, 1), Due::Grace, is_over)
        };
        assert!(add(0, 5, &|_| false), "the first one");
        assert!(!add(1, 6, &|_| false) && add(2, 4, &|_| false) && !add(3, 4, &|_| false));
        let mut number = 4;
        while timers.len() == number {
            // At most one of these finds that the heap is full and that all other operations are over.
            let is_first = add(number, 9, &|_| true);
            assert_eq!(is_first, timers.len() == 1, "{number}");
            number += 1;
        }
        assert_eq!(timers.next(), Some(now + Duration::from_secs(9)));
    }
}
