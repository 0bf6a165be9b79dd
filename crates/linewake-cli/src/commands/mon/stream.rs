//! The stream of events: a monitor, with filters or without.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use linewake::filter::{Filter, FilterTally, FilteredMonitor};
use linewake::{Account, Error, Event, Monitor};
use overlapped::Port;

use super::nudge::Nudge;

/// A monitor, with filters or without.
pub(crate) enum EdgeStream {
    Plain(Box<Monitor>),
    Filtered(Box<FilteredMonitor>),
}

impl EdgeStream {
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

    /// Waits for the next event, at most for `timeout`, and no longer when there is a nudge.
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

    /// The figures of all filters together, if there are any.
    pub(crate) fn filtered(&self) -> Option<FilterTally> {
        match self {
            Self::Plain(_) => None,
            Self::Filtered(filtered) => Some(filtered.total()),
        }
    }

    /// The account of each request so far, and the figures of the filter of each line.
    pub(crate) fn so_far(&self) -> (Vec<Account>, Option<Vec<FilterTally>>) {
        (self.monitor().accounts(), self.tallies())
    }

    /// The account of each request, and the figures of the filter of each line.
    pub(crate) fn finish(self) -> (Vec<Account>, Option<Vec<FilterTally>>) {
        let tallies = self.tallies();
        let accounts = match self {
            Self::Plain(monitor) => monitor.finish(),
            Self::Filtered(filtered) => filtered.into_inner().finish(),
        };
        (accounts, tallies)
    }

    fn tallies(&self) -> Option<Vec<FilterTally>> {
        match self {
            Self::Plain(_) => None,
            Self::Filtered(filtered) => Some(filtered.tallies().into_iter().flatten().collect()),
        }
    }
}

/// The result of a wait.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Event),
    /// The stream ended with an error.
    Failed(Error),
    /// The stream ended as requested.
    Over,
    /// The timeout is over, or there is a nudge.
    Nothing,
}
