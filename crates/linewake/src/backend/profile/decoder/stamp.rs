//! The time, the numbers and the losses that come with an edge.

use crate::Missed;

/// The data of an edge in a record, apart from its line and direction.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) timestamp_ns: u64,
    pub(super) seqno: u32,
    pub(super) line_seqno: Option<u32>,
    pub(super) missed: Missed,
}

impl Stamp {
    pub(super) fn now(timestamp_ns: u64) -> Self {
        Self { timestamp_ns, seqno: 0, line_seqno: None, missed: Missed::default() }
    }

    pub(super) fn missing(self, merged: u64) -> Self {
        let merged = u32::try_from(merged).unwrap_or(u32::MAX);
        Self { missed: Missed { merged, ..self.missed }, ..self }
    }
}
