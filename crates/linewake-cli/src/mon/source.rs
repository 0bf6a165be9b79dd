//! What is watched: a monitor, and the filters of its lines if there are any.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use linewake::filter::{Filter, FilterTally, FilteredMonitor};
use linewake::{Account, Error, Event, Monitor};
use overlapped::Port;

use super::nudge::Nudge;
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

    /// The next event, for so long if there is no other end to waiting, and not beyond a nudge.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, nudge: &Nudge) -> Next {
        let next = poll_fn(|cx| {
            let polled = match self {
                Self::Plain(monitor) => pin!(monitor.next()).poll(cx),
                Self::Filtered(filtered) => pin!(filtered.next()).poll(cx),
            };
            match polled {
                Poll::Pending if nudge.is_due(cx) => Poll::Ready(Next::Nothing),
                polled => polled.map(|next| match next {
                    Some(Ok(event)) => Next::Event(event),
                    Some(Err(error)) => Next::Failed(error),
                    None => Next::Over,
                }),
            }
        });
        match Port::global().and_then(|port| port.block_on_timeout(next, timeout)) {
            Ok(next) => next.unwrap_or(Next::Nothing),
            Err(error) => Next::Failed(error.into()),
        }
    }

    pub(crate) fn next_ready(&mut self) -> Option<Event> {
        match self {
            Self::Plain(monitor) => monitor.next_ready(),
            Self::Filtered(filtered) => filtered.next_ready(),
        }
    }

    /// What the filters made of the edges.
    pub(crate) fn filtered(&self) -> Option<FilterTally> {
        match self {
            Self::Plain(_) => None,
            Self::Filtered(filtered) => Some(filtered.total()),
        }
    }

    /// So far: the account of each request, and what filters made of the edges of each of its lines.
    pub(crate) fn so_far(&self) -> (Vec<Account>, Option<Vec<FilterTally>>) {
        let tallies = match self {
            Self::Plain(_) => None,
            Self::Filtered(filtered) => Some(filtered.tallies().into_iter().flatten().collect()),
        };
        (self.monitor().accounts(), tallies)
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

/// What waiting brought.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Event),
    /// The stream ended early.
    Failed(Error),
    /// The stream ended as it was asked to.
    Over,
    /// The time is over, or somebody nudges.
    Nothing,
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
