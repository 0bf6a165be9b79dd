//! The port's timers: deadlines of operations, and ends of sleeps. The thread that dispatches the port runs them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, Weak};
use std::task::Waker;
use std::time::Instant;

use super::devices::Device;
use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

#[derive(Default)]
pub(crate) struct Timers {
    kept: Mutex<Kept>,
    /// There is at least one timer. Most programs have none, and this saves them a lock.
    any: AtomicBool,
}

#[derive(Default)]
struct Kept {
    heap: BinaryHeap<Timer>,
    sleeps: Vec<Asleep>,
    /// The indexes of the unused places in `sleeps`.
    free: Vec<usize>,
}

struct Timer {
    at: Instant,
    what: What,
}

enum What {
    Operation(InFlight, Due),
    /// The sleep in this place. If the place's `timer` has another time, this timer is obsolete.
    Sleep(usize),
}

/// The action for an operation when its timer expires.
pub(crate) enum Due {
    /// The operation has reached its deadline: the device must cancel it.
    Timeout(Weak<dyn Device>),
    /// After the cancellation, the driver has had enough time to end the operation.
    Grace,
    /// The operation is parked: it waits for earlier reads, whose driver has had enough time.
    Parked(Weak<dyn Device>),
}

/// The action at the end of a sleep.
pub(crate) enum Alarm {
    Wake(Waker),
    /// A callback, for a thread that runs callbacks. It owns the sleep: no `Sleep` value exists any more.
    Run(Box<dyn FnOnce() + Send>),
}

/// A place for a sleep.
struct Asleep {
    until: Instant,
    /// The time of its timer in the heap. It is earlier than `until` if the sleep was put off later. When the sleep is
    /// dropped, the timer stays, and the next sleep in this place uses it.
    timer: Option<Instant>,
    /// `None`: the place is unused, or its sleep has ended.
    alarm: Option<Alarm>,
    is_unattended: bool,
}

/// A timer that has expired.
pub(crate) enum Expired {
    Operation(InFlight, Due),
    Sleep(Ended),
}

/// A sleep that has ended, or was dropped.
pub(crate) struct Ended {
    pub(crate) alarm: Option<Alarm>,
    pub(crate) was_unattended: bool,
}

/// The changes that [`Timers::sleep`] made.
pub(crate) struct Slept {
    /// The next timer expires at another time than before.
    pub(crate) is_first: bool,
    pub(crate) becomes_unattended: bool,
    /// The former alarm. Drop it without a lock: that runs foreign code.
    pub(crate) old: Option<Alarm>,
}

/// Obsolete timers are removed only if there are at least this many timers.
const FEW: usize = 64;

impl Timers {
    /// Adds the timer of an operation. Returns whether the next timer now expires at another time than before.
    pub(crate) fn add(&self, at: Instant, operation: InFlight, due: Due, is_over: impl Fn(InFlight) -> bool) -> bool {
        let what = What::Operation(operation, due);
        lock(&self.kept).push(&self.any, Timer { at, what }, is_over)
    }

    /// Sets the end of a sleep and its alarm; they replace the former ones. A sleep without a place gets one.
    pub(crate) fn sleep(
        &self,
        place: &mut Option<usize>,
        until: Instant,
        alarm: Alarm,
        is_unattended: bool,
        is_over: impl Fn(InFlight) -> bool,
    ) -> Slept {
        let mut kept = lock(&self.kept);
        let place = *place.get_or_insert_with(|| kept.place(until));
        let asleep = &mut kept.sleeps[place];
        let old = asleep.alarm.replace(alarm);
        let becomes_unattended = is_unattended && !asleep.is_unattended;
        asleep.is_unattended |= is_unattended;
        asleep.until = until;
        let needs_timer = asleep.timer.is_none_or(|timer| timer > until);
        if needs_timer {
            asleep.timer = Some(until);
        }
        let is_first = needs_timer && kept.push(&self.any, Timer { at: until, what: What::Sleep(place) }, is_over);
        Slept { is_first, becomes_unattended, old }
    }

    /// Ends the sleep in this place, and frees the place.
    pub(crate) fn leave(&self, place: usize) -> Ended {
        let mut kept = lock(&self.kept);
        kept.free.push(place);
        kept.sleeps[place].end()
    }

    /// Takes the callbacks of all sleeps, and ends these sleeps.
    pub(crate) fn take_callbacks(&self) -> Vec<Alarm> {
        let mut kept = lock(&self.kept);
        let runs = |asleep: &&mut Asleep| matches!(asleep.alarm, Some(Alarm::Run(_)));
        kept.sleeps.iter_mut().filter(runs).filter_map(|asleep| asleep.end().alarm).collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.kept).heap.len()
    }

    /// The time at which the next timer expires.
    pub(crate) fn next(&self) -> Option<Instant> {
        // A thread that adds a timer after this wakes the dispatching thread, which then looks again.
        if !self.any.load(SeqCst) {
            return None;
        }
        lock(&self.kept).heap.peek().map(|timer| timer.at)
    }

    /// Takes a timer that has expired by `now`.
    pub(crate) fn expired(&self, now: Instant) -> Option<Expired> {
        let mut kept = lock(&self.kept);
        let expired = loop {
            if kept.heap.peek().is_none_or(|first| first.at > now) {
                break None;
            }
            match kept.heap.pop()? {
                Timer { what: What::Operation(operation, due), .. } => break Some(Expired::Operation(operation, due)),
                Timer { what: What::Sleep(place), at } => {
                    if let Some(ended) = kept.ring(place, at, now) {
                        break Some(Expired::Sleep(ended));
                    }
                }
            }
        };
        self.any.store(!kept.heap.is_empty(), SeqCst);
        expired
    }
}

impl Kept {
    /// Adds a timer. When the heap is full, this first removes the obsolete timers, and then doubles the room that the
    /// rest needs. So the heap never grows beyond twice what is needed.
    fn push(&mut self, any: &AtomicBool, timer: Timer, is_over: impl Fn(InFlight) -> bool) -> bool {
        let before = self.heap.peek().map(|first| first.at);
        if self.heap.len() >= FEW && self.heap.len() == self.heap.capacity() {
            let sleeps = &mut self.sleeps;
            self.heap.retain(|timer| match timer.what {
                What::Operation(operation, _) => !is_over(operation),
                What::Sleep(place) => sleeps[place].needs(timer.at),
            });
            let needed = self.heap.len();
            self.heap.reserve(needed.max(FEW));
        }
        self.heap.push(timer);
        any.store(true, SeqCst);
        self.heap.peek().map(|first| first.at) != before
    }

    /// Takes an unused place.
    fn place(&mut self, until: Instant) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.sleeps.push(Asleep { until, timer: None, alarm: None, is_unattended: false });
            self.sleeps.len() - 1
        })
    }

    /// Handles an expired timer of a sleep, which was set to `at`. `None`: the timer is obsolete, or the sleep was put
    /// off and goes on.
    fn ring(&mut self, place: usize, at: Instant, now: Instant) -> Option<Ended> {
        let asleep = &mut self.sleeps[place];
        if !asleep.needs(at) {
            return None;
        }
        if asleep.until > now {
            asleep.timer = Some(asleep.until);
            self.heap.push(Timer { at: asleep.until, what: What::Sleep(place) });
            return None;
        }
        asleep.timer = None;
        let ended = asleep.end();
        if matches!(ended.alarm, Some(Alarm::Run(_))) {
            self.free.push(place);
        }
        Some(ended)
    }
}

impl Asleep {
    /// Whether this sleep still needs its timer that was set to `at`. If the sleep has ended, forgets that timer.
    fn needs(&mut self, at: Instant) -> bool {
        let is_its_own = self.timer == Some(at);
        if is_its_own && self.alarm.is_none() {
            self.timer = None;
        }
        is_its_own && self.alarm.is_some()
    }

    fn end(&mut self) -> Ended {
        Ended { alarm: self.alarm.take(), was_unattended: std::mem::take(&mut self.is_unattended) }
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
            // At most one of these calls finds the heap full, and removes all other timers.
            let is_first = add(number, 9, &|_| true);
            assert_eq!(is_first, timers.len() == 1, "{number}");
            number += 1;
        }
        assert_eq!(timers.next(), Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_sleep_has_one_timer_however_often_it_is_put_off() {
        let (timers, now) = (Timers::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut place = None;
        let mut sleep = |seconds| {
            timers.sleep(&mut place, after(seconds), Alarm::Wake(Waker::noop().clone()), false, |_| false).is_first
        };
        assert!(sleep(1));
        assert!((2..100).all(|seconds| !sleep(seconds)));
        assert_eq!((timers.len(), timers.next()), (1, Some(after(1))));
        assert!(timers.expired(after(98)).is_none(), "it is put off to the 99th second");
        assert_eq!((timers.len(), timers.next()), (1, Some(after(99))));
        assert!(sleep(50), "it is to end sooner");
        assert!(matches!(timers.expired(after(50)), Some(Expired::Sleep(Ended { alarm: Some(_), .. }))));
        assert!(timers.expired(after(1000)).is_none(), "the timer of the 99th second is obsolete");
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn timers_of_dropped_sleeps_wake_nobody_and_do_not_pile_up() {
        let (timers, now) = (Timers::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        let sleep = |until| {
            let mut place = None;
            timers.sleep(&mut place, until, Alarm::Wake(Waker::noop().clone()), true, |_| false);
            place.unwrap()
        };
        let ended = timers.leave(sleep(until));
        assert!(ended.alarm.is_some() && ended.was_unattended);
        assert!(timers.expired(until).is_none() && timers.len() == 0);
        // The next sleep gets the place and the timer of the dropped one.
        timers.leave(sleep(until));
        let second = sleep(until);
        assert_eq!(timers.len(), 1);
        assert!(matches!(timers.expired(until), Some(Expired::Sleep(Ended { alarm: Some(_), .. }))));
        assert!(timers.expired(until).is_none() && timers.len() == 0);
        assert!(timers.leave(second).alarm.is_none());
        // Each of these ends sooner than the one before it.
        for micros in (0..10_000).rev() {
            timers.leave(sleep(now + Duration::from_micros(micros)));
        }
        assert!(timers.len() <= 2 * FEW, "{}", timers.len());
        timers.leave(sleep(until));
        assert!(timers.expired(until).is_none() && timers.len() == 0);
    }
}
