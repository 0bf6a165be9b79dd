//! A line of the chip, as the hardware has it.

use zerocopy::FromZeros;

use crate::protocol::{LINE_BIAS, LINE_DRIVE, LINE_INPUT, LINE_OUTPUT, Name};
use crate::set::ReaderSet;

/// Where edges went. `driven` counts an edge when it happens, and the other fields when it ends; so their sum is a
/// check.
#[derive(Clone, Copy, Debug, Default, FromZeros)]
pub(crate) struct Counts {
    pub(crate) driven: u64,
    pub(crate) delivered: u64,
    pub(crate) overflowed: u64,
    pub(crate) merged: u64,
    pub(crate) discarded: u64,
}

impl Counts {
    pub(crate) const ZERO: Counts = Counts { driven: 0, delivered: 0, overflowed: 0, merged: 0, discarded: 0 };

    pub(crate) fn add(&mut self, other: &Counts) {
        self.driven += other.driven;
        self.delivered += other.delivered;
        self.overflowed += other.overflowed;
        self.merged += other.merged;
        self.discarded += other.discarded;
    }
}

#[derive(Clone, Copy, Debug, FromZeros)]
pub(crate) struct LineState {
    pub(crate) name: Name,
    pub(crate) holders: ReaderSet,
    pub(crate) watchers: ReaderSet,
    /// Readers whose pended waits for this line must be tried again.
    pub(crate) ready: ReaderSet,
    /// Readers that get information about this line.
    pub(crate) informed: ReaderSet,
    /// The reader that holds it alone, as a set of one.
    pub(crate) exclusive: ReaderSet,
    /// An edge that follows another one faster than this is merged.
    pub(crate) window_ns: u64,
    /// The time from an edge to the handling of its interrupt.
    pub(crate) delay_ns: u64,
    pub(crate) changes: u64,
    pub(crate) closed: Counts,
    pub(crate) closed_readers: u32,
    bias: u32,
    drive: u32,
    pub(crate) level: bool,
    pub(crate) output: bool,
}

impl LineState {
    pub(crate) const NEW: LineState = LineState {
        name: [0; 32],
        holders: ReaderSet::EMPTY,
        watchers: ReaderSet::EMPTY,
        ready: ReaderSet::EMPTY,
        informed: ReaderSet::EMPTY,
        exclusive: ReaderSet::EMPTY,
        window_ns: 0,
        delay_ns: 0,
        changes: 0,
        closed: Counts::ZERO,
        closed_readers: 0,
        bias: 0,
        drive: 0,
        level: false,
        output: false,
    };

    /// Direction, bias and drive, as the `LINE_*` flags of the protocol.
    pub(crate) fn flags(&self) -> u32 {
        self.bias | self.drive | if self.output { LINE_OUTPUT } else { LINE_INPUT }
    }

    /// Takes direction, drive and bias from a reader's configuration, where its flags name them.
    pub(crate) fn configure(&mut self, flags: u32) {
        if flags & (LINE_INPUT | LINE_OUTPUT) != 0 {
            self.output = flags & LINE_OUTPUT != 0;
            self.drive = flags & LINE_DRIVE;
        }
        if flags & LINE_BIAS != 0 {
            self.bias = flags & LINE_BIAS;
        }
    }

    /// A reader no longer holds the line.
    pub(crate) fn release(&mut self, slot: usize) {
        self.holders.remove(slot);
        self.watchers.remove(slot);
        self.exclusive.remove(slot);
        if self.holders.is_empty() {
            self.output = false;
            self.drive = 0;
        }
    }
}
