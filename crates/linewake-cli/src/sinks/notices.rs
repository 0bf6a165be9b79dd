//! Notices on standard error about what is no edge.

use linewake::ClockStep;
use linewake::filter::{ChatterEvent, FilterTally};

use super::summary::plural;
use crate::display::{LineId, Printable};
use crate::exit;
use crate::stamp::Stamp;

/// Reports that a clock stepped.
pub(crate) fn step(step: &ClockStep) {
    let [before, after] = [step.before_ns, step.after_ns].map(|ns| Stamp::Seconds.of(ns));
    let chip = Printable(&step.chip);
    exit::say(&format!("the clock of the chip \"{chip}\" stepped: {before} before, {after} after\n"));
}

/// Reports that a line is blocked for chatter, or no longer is.
pub(crate) fn chatter(chatter: &ChatterEvent, shares_name: bool) {
    let line = LineId {
        chip: &chatter.chip,
        offset: chatter.offset.get(),
        name: chatter.name.as_deref(),
        with_chip: shares_name,
        unquoted: false,
    };
    let (kind, changes) = (chatter.kind.as_str(), chatter.changes);
    exit::say(&format!("{line} is {kind}: {}\n", plural(changes.into(), "change")));
}

/// Reports the figures of the filters.
pub(crate) fn filter(tally: FilterTally) {
    let FilterTally { delivered, passed, filtered, held, blocks, .. } = tally;
    let mut text = format!("--filter: {} delivered, {passed} passed, {filtered} filtered", plural(delivered, "edge"));
    for (number, what) in [(held, "held when it ended"), (blocks, "times a line was blocked for chatter")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    exit::say(&format!("{text}\n"));
}
