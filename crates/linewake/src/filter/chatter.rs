//! Chatter: blocks a line that changes too often, and reports this.

use std::collections::VecDeque;

use super::event::{ChatterEvent, ChatterKind, FilterEvent};
use super::{ChatterLimit, nanoseconds};
use crate::{EdgeEvent, EdgeKind, Missed};

/// How often a line changed within the window.
#[derive(Debug)]
pub(super) struct Chatter {
    changes: usize,
    resume: usize,
    window_ns: u64,
    has_levels: bool,
    /// The times of its changes, oldest first. At most `changes + 1` of them.
    recent: VecDeque<u64>,
    /// The level of the last edge that passed.
    active: Option<bool>,
    /// The last edge that came while the line is blocked. `None` if it is not blocked.
    held: Option<EdgeEvent>,
    withheld: u64,
    carry: Missed,
    pub(super) blocks: u64,
}

impl Chatter {
    pub(super) fn new(limit: ChatterLimit, has_levels: bool, active: Option<bool>) -> Self {
        let changes = limit.changes as usize;
        Self {
            changes,
            resume: limit.resume as usize,
            window_ns: nanoseconds(limit.window),
            has_levels,
            recent: VecDeque::with_capacity(changes + 1),
            active,
            held: None,
            withheld: 0,
            carry: Missed::default(),
            blocks: 0,
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.held.is_some()
    }

    /// Takes an edge at `now_ns`, and returns the event that follows, if any.
    pub(super) fn push(&mut self, edge: EdgeEvent, now_ns: u64) -> Option<FilterEvent> {
        // An edge may come after time had already passed beyond it. It then counts at that later time.
        let now_ns = self.recent.back().map_or(now_ns, |&latest| now_ns.max(latest));
        self.forget_until(now_ns);
        let too_many = self.changes + 1;
        let changes = usize::try_from(edge.missed.total()).unwrap_or(too_many).saturating_add(1).min(too_many);
        for _ in 0..changes {
            if self.recent.len() == too_many {
                self.recent.pop_front();
            }
            self.recent.push_back(now_ns);
        }
        let was_blocked = self.is_blocked();
        if !was_blocked && self.recent.len() <= self.changes {
            return Some(FilterEvent::Edge(self.pass(edge)));
        }
        self.withheld += 1;
        let event = (!was_blocked).then(|| {
            self.blocks += 1;
            FilterEvent::Chatter(self.event(&edge, ChatterKind::Blocked, edge.axis_ns))
        });
        if let Some(before) = self.held.replace(edge) {
            self.carry = self.carry.and(before.missed);
        }
        event
    }

    /// When the line is unblocked, unless more edges come.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.held.as_ref()?;
        let last_to_go = self.recent.len().checked_sub(self.resume + 1)?;
        Some(self.recent[last_to_go].saturating_add(self.window_ns))
    }

    /// Unblocks the line. `axis_ns` is the same moment as `now_ns`, on the edges' axis.
    pub(super) fn unblock(&mut self, now_ns: u64, axis_ns: u64, into: &mut VecDeque<FilterEvent>) {
        let Some(edge) = self.held.take() else {
            return;
        };
        self.forget_until(now_ns);
        into.push_back(FilterEvent::Chatter(self.event(&edge, ChatterKind::Unblocked, axis_ns)));
        self.withheld = 0;
        if self.has_levels && self.active != Some(edge.kind == EdgeKind::Rising) {
            into.push_back(FilterEvent::Edge(self.pass(edge)));
        } else {
            self.carry = self.carry.and(edge.missed);
        }
    }

    fn forget_until(&mut self, now_ns: u64) {
        while self.recent.front().is_some_and(|&at_ns| now_ns.saturating_sub(at_ns) >= self.window_ns) {
            self.recent.pop_front();
        }
    }

    fn pass(&mut self, mut edge: EdgeEvent) -> EdgeEvent {
        self.active = Some(edge.kind == EdgeKind::Rising);
        edge.missed = std::mem::take(&mut self.carry).and(edge.missed);
        edge
    }

    fn event(&self, edge: &EdgeEvent, kind: ChatterKind, axis_ns: u64) -> ChatterEvent {
        // Turns the time on the axis into one of the chip's clock, by the difference that this edge has.
        let timestamp_ns = i128::from(axis_ns) + i128::from(edge.timestamp_ns) - i128::from(edge.axis_ns);
        ChatterEvent {
            chip: edge.chip.clone(),
            offset: edge.offset,
            name: edge.name.clone(),
            kind,
            timestamp_ns: u64::try_from(timestamp_ns.max(0)).unwrap_or(u64::MAX),
            axis_ns,
            changes: u32::try_from(self.recent.len()).unwrap_or(u32::MAX),
            withheld: if kind == ChatterKind::Unblocked { self.withheld } else { 0 },
        }
    }
}
