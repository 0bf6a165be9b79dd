//! One line of a device: the state between its edges, and which of its edges the request gets.

use super::stamp::Stamp;
use crate::backend::RawEdge;
use crate::profile::RequestedLine;
use crate::{EdgeKind, Edges, Missed, Offset};

/// A line, and what its edge decoder remembers of it.
#[derive(Debug, Default)]
pub(super) struct DeviceLine {
    pub(super) offset: Offset,
    pub(super) asked: RequestedLine,
    pub(super) level_bit: u32,
    pub(super) active: Option<bool>,
    /// How many changes were reported since the levels were read.
    pub(super) changes: u32,
    /// The device lost records, so the known level may be old.
    pub(super) is_stale: bool,
    /// When the levels were read. They may show a change that is still to be reported.
    pub(super) ahead_ns: Option<u64>,
    /// The last count of edges that the driver gave.
    pub(super) count: Option<u64>,
    /// The last sequence number that the driver gave.
    pub(super) last: Option<u64>,
    /// Subtracted from the numbers of the driver so that they begin at 1.
    pub(super) base: Option<u32>,
    /// How many edges are missing before reports that gave no edge.
    pub(super) carried: Missed,
    /// The number that the decoder gave to the last edge.
    pub(super) line_seqno: u32,
    /// The edges missing before edges of the unwatched direction, since the last watched edge. `unwanted_seen` is how
    /// many edges of the unwatched direction came.
    pub(super) unwanted: Missed,
    pub(super) unwanted_seen: u32,
}

/// The rules for all lines of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The driver says with each edge what is missing before it.
    pub(super) is_told: bool,
    /// Edges of directions that are not watched are dropped here.
    pub(super) filters: bool,
    /// The driver reports edges of one direction only.
    pub(super) is_one_way: bool,
}

impl DeviceLine {
    pub(super) fn new(offset: Offset, asked: RequestedLine, level_bit: u32, count: Option<u64>) -> Self {
        Self { offset, asked, level_bit, count, ..Self::default() }
    }

    /// The edge that makes the line `active` or inactive, if the request wants it.
    pub(super) fn edge(&mut self, active: bool, stamp: Stamp, rules: Rules) -> Option<RawEdge> {
        self.active = Some(active);
        let kind = EdgeKind::to(active);
        let wanted = self.asked.edges?.includes(kind);
        let missed = if rules.filters { self.filtered(wanted, stamp.missed, rules)? } else { stamp.missed };
        let counted = self.line_seqno.wrapping_add(missed.overflowed).wrapping_add(1);
        self.line_seqno = match stamp.line_seqno {
            Some(number) if rules.is_told && !rules.filters => {
                let base = *self.base.get_or_insert_with(|| number.wrapping_sub(counted));
                number.wrapping_sub(base)
            }
            _ if rules.is_told => counted,
            number => number.unwrap_or(0),
        };
        Some(RawEdge {
            offset: self.offset,
            kind,
            timestamp_ns: stamp.timestamp_ns,
            seqno: stamp.seqno,
            line_seqno: self.line_seqno,
            missed,
        })
    }

    /// How many edges of the watched direction are missing before an edge. `None` if the edge itself is not wanted.
    fn filtered(&mut self, wanted: bool, missed: Missed, rules: Rules) -> Option<Missed> {
        let all = self.unwanted.and(missed);
        if !wanted {
            self.unwanted = all;
            self.unwanted_seen = self.unwanted_seen.saturating_add(1);
            return None;
        }
        // If the driver reports one direction only, the missing edges have that direction too.
        if self.asked.edges == Some(Edges::Both) || rules.is_one_way {
            return Some(missed);
        }
        // Directions alternate: every second edge in between was of the watched direction.
        let between = all.total() + u64::from(self.unwanted_seen);
        let lost = u32::try_from(between / 2).unwrap_or(u32::MAX).min(all.overflowed.saturating_add(all.merged));
        (self.unwanted, self.unwanted_seen) = (Missed::default(), 0);
        let overflowed = lost.min(all.overflowed);
        Some(Missed { overflowed, merged: lost - overflowed })
    }
}
