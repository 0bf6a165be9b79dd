//! The time axis of a clock's stamps. It never goes back, and it leaves out the steps of the clock.
//!
//! A stamp is the time that a driver gave. If its clock is set while lines are watched, stamps jump, and their
//! differences are no longer lengths of time. The axis goes on as the clock did before: time = stamp + shift, and each
//! step changes the shift.
//!
//! - The time of day steps relative to the time since the computer started. The size of this step is known. An edge
//!   must be later than the edge before it and earlier than now; this shows whether its stamp is from before or after
//!   the step.
//! - Any other clock has stepped if the stamps of a line go back while its numbers go on. Then the axis goes on from
//!   the latest time, plus the time that passed since that edge came.

use std::time::{Duration, Instant};

/// Stamps of a line from two processors may go back by this much without a step.
const JITTER_NS: i128 = 1_000_000;

/// Two readings of the time of day that differ by less count as the same.
const SAME_NS: i128 = 200_000;

/// A step of a clock, as a request reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The last stamp before the step.
    pub(crate) before_ns: u64,
    /// The first stamp after the step.
    pub(crate) after_ns: u64,
    /// The time that the clock would have shown for that edge without the step: its time on the axis.
    pub(crate) arrival_ns: u64,
}

/// The moment at which edges arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Instant,
    /// The time of day, if it was read.
    day: Option<Day>,
}

#[derive(Clone, Copy, Debug)]
struct Day {
    ahead_ns: i128,
    steady_ns: i128,
    error_ns: i128,
}

impl Moment {
    /// The present moment. The time of day is read if `reads_day`.
    pub(crate) fn now(reads_day: bool) -> Self {
        Self { at: Instant::now(), day: reads_day.then(Day::read).flatten() }
    }
}

impl Day {
    /// Reads both clocks a few times, and takes the most exact reading.
    fn read() -> Option<Self> {
        let read = || {
            let before_ns = steady_ns()?;
            let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
            let after_ns = steady_ns()?;
            let steady_ns = (before_ns + after_ns) / 2;
            let day_ns = i128::try_from(day.as_nanos()).ok()?;
            Some(Self { ahead_ns: day_ns - steady_ns, steady_ns, error_ns: after_ns - before_ns })
        };
        let mut best = read()?;
        for _ in 0..3 {
            if best.error_ns <= SAME_NS / 4 {
                break;
            }
            best = read().filter(|again| again.error_ns < best.error_ns).unwrap_or(best);
        }
        Some(best)
    }

    /// How far the two clocks may drift apart between two readings.
    fn drift_ns(&self, since: &Self) -> i128 {
        // On Linux a time service changes the speed of both clocks equally.
        let slew = if cfg!(target_os = "linux") { 0 } else { (self.steady_ns - since.steady_ns) / 1000 + 1_000_000 };
        SAME_NS + self.error_ns + since.error_ns + slew
    }
}

/// The time since the computer started, including sleep. The time of day runs with it unless it is set.
#[cfg(target_os = "linux")]
fn steady_ns() -> Option<i128> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
}

#[cfg(not(target_os = "linux"))]
fn steady_ns() -> Option<i128> {
    Some(crate::clock::program_ns().into())
}

/// The position of a line on its axis.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    stamp_ns: Option<u64>,
    axis_ns: u64,
    /// The number of steps before that stamp.
    steps: u32,
}

/// The axis of lines with a common queue and a common clock.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    shift_ns: i128,
    /// The last stamp, the latest time on the axis, and when it arrived.
    last: Option<Last>,
    /// The time of the last step. Later edges are never placed before it.
    floor_ns: u64,
    steps: u32,
    day: Option<DayAxis>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    stamp_ns: u64,
    axis_ns: u64,
    came: Instant,
}

/// The state for a clock that is the time of day.
#[derive(Clone, Copy, Debug)]
struct DayAxis {
    /// The reading that is used to interpret stamps now.
    current: Day,
    /// All edges are later than this, in steady time.
    began_ns: i128,
    /// The last reading.
    seen: Day,
    /// A step that no stamp shows yet.
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    to: Day,
    /// The step happened between these two, in steady time.
    from_ns: i128,
    until_ns: i128,
}

impl Axis {
    /// A new axis. Its times equal the stamps until the clock steps.
    pub(crate) fn new(began: &Moment, is_time_of_day: bool) -> Self {
        let day = began.day.filter(|_| is_time_of_day);
        let day = day.map(|day| DayAxis { current: day, began_ns: day.steady_ns, seen: day, pending: None });
        Self { shift_ns: 0, last: None, floor_ns: 0, steps: 0, day }
    }

    /// Notes that edges arrived, and whether the time of day stepped.
    pub(crate) fn came(&mut self, now: &Moment) {
        let (Some(axis), Some(day)) = (&mut self.day, now.day) else { return };
        if (day.ahead_ns - axis.seen.ahead_ns).abs() > day.drift_ns(&axis.seen) {
            let from_ns = axis.pending.map_or(axis.seen.steady_ns, |pending| pending.from_ns);
            axis.pending = Some(Pending { to: day, from_ns, until_ns: day.steady_ns });
        } else if axis.pending.is_none() {
            // The clocks may drift apart, so the newest reading is the best.
            axis.current = day;
        }
        axis.seen = day;
    }

    /// The time on the axis of a line's next edge, and the step of the clock before it, if there is one.
    pub(crate) fn put(&mut self, line: &mut Place, stamp_ns: u64, now: &Moment) -> (u64, Option<Step>) {
        let mut has_stepped = self.has_day_stepped(stamp_ns, now);
        let latest = self.last.map_or(0, |last| last.axis_ns);
        let before_ns = line.stamp_ns.filter(|_| line.steps == self.steps);
        let goes_back = before_ns.is_some_and(|before_ns| i128::from(stamp_ns) + JITTER_NS < before_ns.into());
        // A known step may not be the whole step: then the time would still go back.
        let is_behind = |shift_ns: i128| i128::from(stamp_ns) + shift_ns + JITTER_NS < latest.into();
        if (goes_back && !has_stepped) || (has_stepped && is_behind(self.shift_ns)) {
            has_stepped = true;
            let passed = self.last.map_or(Duration::ZERO, |last| now.at.saturating_duration_since(last.came));
            self.shift_ns = i128::from(latest) + passed.as_nanos() as i128 - i128::from(stamp_ns);
            if let Some(axis) = &mut self.day {
                axis.current = axis.pending.take().map_or(axis.current, |pending| pending.to);
            }
        }
        let shifted = u64::try_from((i128::from(stamp_ns) + self.shift_ns).max(0)).unwrap_or(u64::MAX);
        let mut axis_ns = shifted.max(line.axis_ns).max(self.floor_ns);
        let step = has_stepped.then(|| {
            axis_ns = axis_ns.max(latest);
            self.floor_ns = axis_ns;
            self.steps = self.steps.wrapping_add(1);
            let before_ns = self.last.map_or(axis_ns, |last| last.stamp_ns);
            Step { before_ns, after_ns: stamp_ns, arrival_ns: axis_ns }
        });
        self.last = Some(Last { stamp_ns, axis_ns: latest.max(axis_ns), came: now.at });
        *line = Place { stamp_ns: Some(stamp_ns), axis_ns, steps: self.steps };
        (axis_ns, step)
    }

    /// True if this stamp is the first after a step of the time of day.
    fn has_day_stepped(&mut self, stamp_ns: u64, now: &Moment) -> bool {
        let Some(axis) = &mut self.day else { return false };
        let (Some(pending), Some(day)) = (axis.pending, now.day) else { return false };
        let stamp_ns = i128::from(stamp_ns);
        let (was_ns, is_ns) = (stamp_ns - axis.current.ahead_ns, stamp_ns - pending.to.ahead_ns);
        let slack_ns = JITTER_NS + day.error_ns;
        // Edges are in the order of the queue. How late an edge may be is unknown.
        let last_ns = self.last.map(|last| i128::from(last.axis_ns) - self.shift_ns - axis.current.ahead_ns);
        let can_be_before =
            was_ns <= pending.until_ns + slack_ns && was_ns + slack_ns >= last_ns.unwrap_or(axis.began_ns);
        let can_be_behind = is_ns + slack_ns >= pending.from_ns && is_ns <= day.steady_ns + slack_ns;
        if !can_be_behind || can_be_before {
            return false;
        }
        self.shift_ns -= pending.to.ahead_ns - axis.current.ahead_ns;
        (axis.current, axis.pending) = (pending.to, None);
        true
    }

    /// The start position of a line on a chip that was unplugged: it goes on from the last time.
    pub(crate) fn place_again(&self) -> Place {
        self.last.map_or(Place::default(), |last| Place {
            stamp_ns: Some(last.stamp_ns),
            axis_ns: last.axis_ns,
            steps: self.steps,
        })
    }

    /// The number to add to a stamp to get its time on the axis.
    pub(crate) fn shift_ns(&self) -> i128 {
        self.shift_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// A moment after the start, with the time of day ahead by `ahead_s`.
    fn moment(start: Instant, seconds: f64, ahead_s: i128) -> Moment {
        let passed = Duration::from_secs_f64(seconds);
        let day = Day { ahead_ns: ahead_s * i128::from(S), steady_ns: passed.as_nanos() as i128, error_ns: 0 };
        Moment { at: start + passed, day: Some(day) }
    }

    fn put(axis: &mut Axis, line: &mut Place, stamp_s: f64, now: &Moment) -> (f64, bool) {
        axis.came(now);
        let (axis_ns, step) = axis.put(line, (stamp_s * S as f64) as u64, now);
        ((axis_ns as f64 / S as f64 * 1000.0).round() / 1000.0, step.is_some())
    }

    #[test]
    fn setting_the_time_of_day_does_not_change_the_time_that_passed() {
        for new_ahead in [1000, 4000, 1_600_000_000] {
            let start = Instant::now();
            let mut axis = Axis::new(&moment(start, 0.0, 5000), true);
            let mut line = Place::default();
            assert_eq!(put(&mut axis, &mut line, 5001.0, &moment(start, 1.01, 5000)), (5001.0, false));
            // The clock is set at 1.5 s. An edge from before that arrives together with one from after it.
            let now = moment(start, 2.0, new_ahead);
            assert_eq!(put(&mut axis, &mut line, 5001.4, &now), (5001.4, false), "{new_ahead}");
            assert_eq!(put(&mut axis, &mut line, new_ahead as f64 + 1.9, &now), (5001.9, true), "{new_ahead}");
            let now = moment(start, 3.0, new_ahead);
            assert_eq!(put(&mut axis, &mut line, new_ahead as f64 + 2.5, &now), (5002.5, false), "{new_ahead}");
        }
    }

    #[test]
    fn a_step_before_the_first_edge_is_found() {
        let start = Instant::now();
        let mut axis = Axis::new(&moment(start, 0.0, 5000), true);
        let mut line = Place::default();
        assert_eq!(put(&mut axis, &mut line, 101.0, &moment(start, 1.01, 100)), (5001.0, true));
    }

    #[test]
    fn stamps_of_another_clock_are_not_changed_by_steps_of_this_one() {
        let start = Instant::now();
        let mut axis = Axis::new(&moment(start, 0.0, 50_000), true);
        let mut line = Place::default();
        for (number, ahead) in [(1, 50_000), (2, 50_000), (3, 90_000), (4, 10)] {
            let stamp = 17.0 + f64::from(number);
            assert_eq!(put(&mut axis, &mut line, stamp, &moment(start, f64::from(number), ahead)), (stamp, false));
        }
    }

    #[test]
    fn a_counter_that_wraps_goes_on_by_the_time_of_arrival() {
        let start = Instant::now();
        let mut axis = Axis::new(&moment(start, 0.0, 0), false);
        let (mut line, mut other) = (Place::default(), Place::default());
        assert_eq!(put(&mut axis, &mut line, 4.2, &moment(start, 1.0, 0)), (4.2, false));
        assert_eq!(put(&mut axis, &mut other, 4.25, &moment(start, 1.05, 0)), (4.25, false));
        assert_eq!(put(&mut axis, &mut line, 0.1, &moment(start, 1.25, 0)), (4.45, true));
        assert_eq!(put(&mut axis, &mut other, 0.2, &moment(start, 1.35, 0)), (4.55, false));
        assert_eq!(put(&mut axis, &mut line, 9.1, &moment(start, 11.0, 0)), (13.45, false));
    }

    #[test]
    fn stamps_of_two_processors_are_not_a_step() {
        let start = Instant::now();
        let mut axis = Axis::new(&moment(start, 0.0, 0), false);
        let mut line = Place::default();
        assert_eq!(put(&mut axis, &mut line, 4.2, &moment(start, 1.0, 0)), (4.2, false));
        assert_eq!(put(&mut axis, &mut line, 4.1995, &moment(start, 1.0, 0)), (4.2, false));
        assert_eq!(put(&mut axis, &mut line, 4.3, &moment(start, 1.1, 0)), (4.3, false));
    }

    #[test]
    fn no_stamp_is_too_great_or_too_small() {
        let now = Moment::now(true);
        let mut axis = Axis::new(&now, true);
        let mut line = Place::default();
        let mut latest = 0;
        for stamp_ns in [u64::MAX, 0, u64::MAX, 1, u64::MAX - 1, 5 * S, 0] {
            axis.came(&Moment::now(true));
            let (axis_ns, _) = axis.put(&mut line, stamp_ns, &now);
            assert!(axis_ns >= latest);
            latest = axis_ns;
        }
    }
}
