//! Steps of clocks, which a waveform has in comments.

use linewake::ClockStep;

use super::super::summary::plural;
use super::names::sane;

/// A waveform has at most this many.
const MOST: usize = 1000;

/// The steps in a file.
#[derive(Default)]
pub(super) struct Steps {
    /// The first steps, in words.
    told: Vec<String>,
    /// Number of further steps.
    more: u64,
    /// The last step of each clock.
    last: Vec<ClockStep>,
}

impl Steps {
    /// Adds a step; `tick_of` gives the tick of a time. A step that an earlier file has told is not told again.
    pub(super) fn add(&mut self, step: &ClockStep, tick_of: impl Fn(u64) -> u64) {
        if self.last.contains(step) {
            return;
        }
        self.last.retain(|last| last.chip != step.chip);
        self.last.push(step.clone());
        if self.told.len() == MOST {
            self.more += 1;
            return;
        }
        let ClockStep { chip, before_ns, after_ns, arrival_ns } = step;
        self.told.push(format!(
            "{}: the clock stepped at time {}: it showed {before_ns} ns before and {after_ns} ns after, when \
             {arrival_ns} ns was due",
            sane(chip),
            tick_of(*arrival_ns)
        ));
    }

    pub(super) fn comments(&self) -> impl Iterator<Item = String> {
        let more = (self.more > 0).then(|| format!("{} of clocks are not told here", plural(self.more, "step")));
        self.told.iter().cloned().chain(more)
    }

    /// Begins another file.
    pub(super) fn begin_anew(&mut self) {
        self.told.clear();
        self.more = 0;
    }
}
