//! The time of a capture: the player waits for it, and what is due meanwhile happens.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use linewake::filter::FilteredRecording;

use super::{EndCause, PlayError, Player};
use crate::exit;
use crate::sinks::summary::plural;

/// A wait of this length or longer is announced.
const LONG: Duration = Duration::from_secs(600);

impl Player<'_> {
    /// Lets time pass until `axis_ns`, with all that is due before. `false` if the player ends before then.
    pub(super) fn pass_until(&mut self, axis_ns: u64) -> Result<bool, PlayError> {
        if self.first_ns.is_none() {
            (self.first_ns, self.edge_ns) = (Some(axis_ns), axis_ns);
            self.stats_ns = self.plan.stats.map(|period| later(axis_ns, period));
        }
        if self.is_timeless {
            return Ok(true);
        }
        let first_ns = self.first_ns.unwrap_or(axis_ns);
        let end_ns = self.plan.period.map(|period| later(first_ns, period));
        let idle_ns = self.plan.idle.map(|idle| later(self.edge_ns, idle));
        while self.over.is_none() {
            let is_before = |ns: &u64| *ns < axis_ns;
            let due_ns = self.filter.as_ref().and_then(FilteredRecording::due_ns);
            let next = [due_ns, self.stats_ns, end_ns, idle_ns].into_iter().flatten().filter(is_before).min();
            let Some(next_ns) = next else {
                self.wait_until(axis_ns)?;
                return Ok(self.over.is_none());
            };
            self.wait_until(next_ns)?;
            if self.over.is_some() {
                break;
            }
            if let Some(filter) = self.filter.as_mut().filter(|_| due_ns == Some(next_ns)) {
                filter.pass(next_ns);
                self.drain()?;
            }
            if self.stats_ns == Some(next_ns) {
                self.say_stats(next_ns);
                let period = self.plan.stats.unwrap_or_default();
                // A long silence is reported once.
                let is_long = later(next_ns, period.saturating_mul(1000)) < axis_ns;
                self.stats_ns = Some(later(if is_long { axis_ns } else { next_ns }, period));
            }
            if end_ns == Some(next_ns) {
                self.over = self.over.or(Some(EndCause::Period));
            } else if idle_ns == Some(next_ns) {
                self.over = self.over.or(Some(EndCause::Idle));
            }
        }
        Ok(false)
    }

    /// Waits until this time of the capture, unless the player never waits.
    pub(super) fn wait_until(&mut self, axis_ns: u64) -> Result<(), PlayError> {
        let Some(speed) = self.plan.speed else { return Ok(()) };
        let now = Instant::now();
        let (began, began_ns) = *self.anchor.get_or_insert((now, axis_ns));
        let wait = speed.wait(axis_ns.saturating_sub(began_ns));
        // A time that is centuries away never comes.
        let until = began.checked_add(wait).unwrap_or(now + Duration::from_secs(1 << 32));
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return Ok(());
        }
        self.flush()?;
        if left >= LONG {
            let hours = left.as_secs() / 3600;
            let (number, unit) = match hours {
                0 => (left.as_secs() / 60, "minute"),
                1..48 => (hours, "hour"),
                _ => (hours / 24, "day"),
            };
            exit::say(&format!("nothing comes for {}; --fast does not wait\n", plural(number, unit)));
        }
        self.bell.wait_until(until);
        if self.is_asked.load(Relaxed) {
            self.over = Some(EndCause::Asked);
        }
        Ok(())
    }

    pub(super) fn say_stats(&mut self, axis_ns: u64) {
        if let Some(stats) = &mut self.stats {
            let passed = Duration::from_nanos(axis_ns.saturating_sub(self.first_ns.unwrap_or(axis_ns)));
            exit::say(&stats.report(self.stats_began.checked_add(passed).unwrap_or(self.stats_began)));
        }
    }
}

fn later(ns: u64, by: Duration) -> u64 {
    ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}
