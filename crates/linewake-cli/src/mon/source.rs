//! What is watched: a monitor, and the filters of its lines if there are any.

use std::time::Duration;

use linewake::filter::{Filter, FilterTally, FilteredMonitor};
use linewake::{Account, Error, Event, Monitor};

use super::summary::plural;

/// A monitor, with filters or without.
pub(crate) enum Source {
    Plain(Box<Monitor>),
    Filtered(Box<FilteredMonitor>),
}

impl Source {
    pub(crate) fn new(monitor: Monitor, filter: Option<Filter>) -> Result<Self, Error> {
        match filter {
            Some(filter) => Ok(Self::Filtered(Box::new(monitor.filtered(filter)?))),
            None => Ok(Self::Plain(Box::new(monitor))),
        }
    }

    pub(crate) fn monitor(&self) -> &Monitor {
        match self {
            Self::Plain(monitor) => monitor,
            Self::Filtered(filtered) => filtered.monitor(),
        }
    }

    /// The next event, for so long if there is no other end to waiting.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Option<Result<Event, Error>> {
        match (self, timeout) {
            (Self::Plain(monitor), Some(timeout)) => monitor.wait_next_timeout(timeout),
            (Self::Plain(monitor), None) => monitor.wait_next(),
            (Self::Filtered(filtered), Some(timeout)) => filtered.wait_next_timeout(timeout),
            (Self::Filtered(filtered), None) => filtered.wait_next(),
        }
    }

    pub(crate) fn next_ready(&mut self) -> Option<Event> {
        match self {
            Self::Plain(monitor) => monitor.next_ready(),
            Self::Filtered(filtered) => filtered.next_ready(),
        }
    }

    /// Whether edges come that are not told.
    pub(crate) fn is_filtered(&self) -> bool {
        matches!(self, Self::Filtered(_))
    }

    /// What the filters made of the edges.
    pub(crate) fn filtered(&self) -> Option<FilterTally> {
        match self {
            Self::Plain(_) => None,
            Self::Filtered(filtered) => Some(filtered.total()),
        }
    }

    /// The account of each request, and what filters made of the edges of each of its lines.
    pub(crate) fn finish(self) -> (Vec<Account>, Option<Vec<FilterTally>>) {
        match self {
            Self::Plain(monitor) => (monitor.finish(), None),
            Self::Filtered(filtered) => {
                let tallies = filtered.tallies().into_iter().flatten().collect();
                (filtered.into_inner().finish(), Some(tallies))
            }
        }
    }
}

/// What became of the edges, in words.
pub(crate) fn said(tally: FilterTally) -> String {
    let FilterTally { delivered, passed, filtered, held, blocks, .. } = tally;
    let mut text = format!("--filter: {} delivered, {passed} passed, {filtered} filtered", plural(delivered, "edge"));
    for (number, what) in [(held, "held when it ended"), (blocks, "times a line was blocked for chatter")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text.push('\n');
    text
}
