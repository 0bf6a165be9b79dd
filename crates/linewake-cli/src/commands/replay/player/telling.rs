//! Gives what passes the filters to the sinks.

use std::time::Duration;

use linewake::EdgeEvent;
use linewake::filter::{FilterEvent, FilteredRecording, Passed};
use linewake::record::Heartbeat;

use super::{EndCause, Other, PlayError, Player};
use crate::sinks::notices;
use crate::sinks::sink::{self, WriteError};

impl Player<'_> {
    /// Passes on an item that keeps its place between the edges.
    pub(super) fn other(&mut self, axis_ns: Option<u64>, other: Other) -> Result<(), PlayError> {
        match &mut self.filter {
            Some(filter) => {
                filter.other(axis_ns, other);
                Ok(self.drain()?)
            }
            None => Ok(self.tell(other)?),
        }
    }

    /// Writes what passed the filters.
    pub(super) fn drain(&mut self) -> Result<(), WriteError> {
        while self.left > 0
            && let Some(passed) = self.filter.as_mut().and_then(FilteredRecording::pop)
        {
            match passed {
                Passed::Line { place, event: FilterEvent::Edge(edge) } => self.tell_edge(place, Some(&edge))?,
                Passed::Line { place, event: FilterEvent::Chatter(chatter) } => {
                    self.tell(Other::Chatter { place, chatter })?;
                }
                Passed::Line { .. } => {}
                Passed::Other(other) => self.tell(other)?,
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn tell_edge(&mut self, place: usize, edge: Option<&EdgeEvent>) -> Result<(), WriteError> {
        let edge = edge.unwrap_or(&self.table.edges[place]);
        if let Some(stats) = &mut self.stats {
            let passed = Duration::from_nanos(edge.axis_ns.saturating_sub(self.first_ns.unwrap_or(edge.axis_ns)));
            stats.edge(place, edge, self.stats_began.checked_add(passed).unwrap_or(self.stats_began));
            // The delay of a recorded edge means nothing.
            stats.written(None);
        }
        self.is_dirty = true;
        self.told += 1;
        self.left -= 1;
        if self.left == 0 {
            self.over = Some(EndCause::Enough);
        }
        self.sinks.item(sink::Item::Edge { line: place, edge })
    }

    pub(super) fn tell(&mut self, other: Other) -> Result<(), WriteError> {
        self.is_dirty = true;
        match &other {
            Other::State { place, state } => {
                if let Some(stats) = &mut self.stats {
                    stats.state(*place, state);
                }
                self.sinks.item(sink::Item::State { line: *place, state })
            }
            Other::Gap { request, gap } => {
                if let Some(stats) = &mut self.stats {
                    stats.gap(*request);
                }
                self.sinks.item(sink::Item::Gap { request: *request, gap })
            }
            Other::Clock(step) => {
                notices::step(step);
                self.sinks.item(sink::Item::Clock(step))
            }
            Other::Chatter { place, chatter } => {
                notices::chatter(chatter, self.table.watched[*place].shares_name);
                self.sinks.item(sink::Item::Chatter(chatter))
            }
            Other::Heartbeat(utc_ns) => {
                let (utc_ns, delivered) = (*utc_ns, self.told);
                self.sinks.item(sink::Item::Heartbeat(Heartbeat { utc_ns, delivered }))
            }
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        self.is_dirty = false;
        self.sinks.flush()
    }
}
