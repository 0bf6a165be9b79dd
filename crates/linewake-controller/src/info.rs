//! Line information that one reader has not taken yet: a bounded queue that drops the oldest record, and counts.

use zerocopy::FromZeros;

use crate::protocol::{INFO_QUEUE, InfoRecord, LineInfo, LineSet};

#[derive(Debug, FromZeros)]
pub(crate) struct Information {
    /// The lines about which the reader gets information.
    pub(crate) lines: LineSet,
    records: [InfoRecord; INFO_QUEUE],
    head: u32,
    len: u32,
    /// How many records were dropped directly before the oldest one, or before the next one if the queue is empty.
    lost: u32,
}

impl Information {
    pub(crate) const NEW: Information = Information {
        lines: LineSet::EMPTY,
        records: [InfoRecord {
            timestamp_ns: 0,
            kind: 0,
            lost: 0,
            line: LineInfo { offset: 0, flags: 0, name: [0; 32], consumer: [0; 32], debounce_us: 0, reserved: 0 },
        }; INFO_QUEUE],
        head: 0,
        len: 0,
        lost: 0,
    };

    /// Watches nothing, and empties the queue.
    pub(crate) fn clear(&mut self) {
        self.lines = LineSet::EMPTY;
        (self.head, self.len, self.lost) = (0, 0, 0);
    }

    pub(crate) fn push(&mut self, record: InfoRecord) {
        if self.len as usize == INFO_QUEUE {
            let dropped = self.pop();
            self.lost = dropped.map_or(0, |dropped| dropped.lost).saturating_add(1);
        }
        let at = (self.head + self.len) as usize % INFO_QUEUE;
        self.records[at] = record;
        self.len += 1;
    }

    /// The oldest record, with how many were dropped before it.
    pub(crate) fn pop(&mut self) -> Option<InfoRecord> {
        if self.len == 0 {
            return None;
        }
        let oldest = self.records[self.head as usize];
        self.head = (self.head + 1) % INFO_QUEUE as u32;
        self.len -= 1;
        Some(InfoRecord { lost: core::mem::take(&mut self.lost), ..oldest })
    }
}
