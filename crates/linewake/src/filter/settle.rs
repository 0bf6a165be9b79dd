//! Debounce: waits until a line is quiet. The glitch filter does the same, but stamps the result with its last edge.

use super::Stamp;
use crate::{EdgeEvent, EdgeKind, Missed};

/// Passes one edge, or none, for each bounce of a line.
///
/// The caller gives the time with each edge. Before `push` it calls `settle` for everything that was due.
#[derive(Debug)]
pub(super) struct Settle {
    /// How long the line must be quiet at the active level, and at the inactive level.
    press_ns: u64,
    release_ns: u64,
    stamp: Stamp,
    /// True if both edges are watched. Otherwise the level is unknown.
    has_levels: bool,
    /// The level of the last edge that passed.
    active: Option<bool>,
    bounce: Option<Bounce>,
    /// Edges that were missing before dropped edges; the next edge that passes reports them.
    carry: Missed,
}

#[derive(Debug)]
struct Bounce {
    /// The edge that passes if the line stays at its level.
    candidate: Option<EdgeEvent>,
    active: bool,
    due_ns: u64,
}

impl Settle {
    pub(super) fn new(periods_ns: (u64, u64), stamp: Stamp, has_levels: bool, active: Option<bool>) -> Self {
        let (press_ns, release_ns) = periods_ns;
        Self { press_ns, release_ns, stamp, has_levels, active, bounce: None, carry: Missed::default() }
    }

    /// Takes an edge at `now_ns`, and returns the edge that passes at once because of it, if any.
    pub(super) fn push(&mut self, edge: EdgeEvent, now_ns: u64) -> Option<EdgeEvent> {
        let active = edge.kind == EdgeKind::Rising;
        let period_ns = if active { self.press_ns } else { self.release_ns };
        let due_ns = now_ns.saturating_add(period_ns);
        if !self.has_levels {
            let is_first = self.bounce.is_none();
            self.bounce = Some(Bounce { candidate: None, active, due_ns });
            return if is_first { Some(self.tell_missed(edge)) } else { self.drop_edge(edge) };
        }
        let stable = *self.active.get_or_insert(!active);
        let mut candidate = self.bounce.take().and_then(|bounce| bounce.candidate);
        if active != stable && (candidate.is_none() || self.stamp == Stamp::Last) {
            if let Some(before) = candidate.replace(edge) {
                self.drop_edge(before);
            }
            candidate = candidate.map(|edge| self.tell_missed(edge));
        } else {
            if self.stamp == Stamp::Last
                && let Some(before) = candidate.take()
            {
                self.drop_edge(before);
            }
            self.drop_edge(edge);
        }
        self.bounce = Some(Bounce { candidate, active, due_ns });
        if period_ns == 0 { self.settle() } else { None }
    }

    /// When the bounce ends, unless another edge comes.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.bounce.as_ref().map(|bounce| bounce.due_ns)
    }

    /// Ends the bounce, and returns the edge that passes, if any.
    pub(super) fn settle(&mut self) -> Option<EdgeEvent> {
        let Bounce { candidate, active, .. } = self.bounce.take()?;
        let edge = candidate?;
        if self.active == Some(active) {
            return self.drop_edge(edge);
        }
        self.active = Some(active);
        Some(edge)
    }

    /// How many edges may still pass.
    pub(super) fn held(&self) -> u64 {
        self.bounce.as_ref().map_or(0, |bounce| u64::from(bounce.candidate.is_some()))
    }

    /// The stamp of the edge that may still pass.
    pub(super) fn held_ns(&self) -> Option<u64> {
        Some(self.bounce.as_ref()?.candidate.as_ref()?.axis_ns)
    }

    fn drop_edge(&mut self, edge: EdgeEvent) -> Option<EdgeEvent> {
        self.carry = self.carry.and(edge.missed);
        None
    }

    fn tell_missed(&mut self, mut edge: EdgeEvent) -> EdgeEvent {
        edge.missed = std::mem::take(&mut self.carry).and(edge.missed);
        edge
    }
}
