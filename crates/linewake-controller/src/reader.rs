//! One reader of the chip: what it holds, its numbering, its queue and its account. A reader is to an open handle what a line
//! request is on Linux.

use zerocopy::FromZeros;

use crate::line::Counts;
use crate::protocol::{
    EDGE_FALLING, EDGE_RISING, EdgeRecord, LINE_ACTIVE_LOW, LINE_EDGE_FALLING, LINE_EDGE_RISING, LineSet, Name,
};
use crate::queue::{Chain, Queue};

/// What a reader asked of one line, and what became of that line's edges.
#[derive(Clone, Copy, Debug, FromZeros)]
pub(crate) struct Watch {
    /// `LINE_*` as configured; zero when the line is not held.
    pub(crate) flags: u32,
    line_seqno: u32,
    /// Missing directly before the next event, when none is queued to say so.
    overflowed: u32,
    merged: u32,
    pub(crate) chain: Chain,
    pub(crate) counts: Counts,
    /// Time of the last edge that was queued.
    last_ns: u64,
}

impl Watch {
    const NEW: Watch = Watch {
        flags: 0,
        line_seqno: 0,
        overflowed: 0,
        merged: 0,
        chain: Chain::EMPTY,
        counts: Counts::ZERO,
        last_ns: 0,
    };
}

#[derive(Debug, FromZeros)]
pub(crate) struct Reader<const LINES: usize, const QUEUE: usize> {
    pub(crate) open: bool,
    /// The device was unplugged under it.
    pub(crate) gone: bool,
    pub(crate) generation: u32,
    /// As asked for; zero for the default.
    capacity: u32,
    seqno_base: u32,
    seqno: u32,
    pub(crate) consumer: Name,
    pub(crate) held: LineSet,
    held_count: u32,
    pub(crate) watched_count: u32,
    /// Lines ever held: those with an account.
    pub(crate) known: LineSet,
    /// Over all lines.
    pub(crate) sums: Counts,
    pub(crate) queue: Queue<QUEUE>,
    pub(crate) watches: [Watch; LINES],
}

impl<const LINES: usize, const QUEUE: usize> Reader<LINES, QUEUE> {
    pub(crate) const NEW: Self = Reader {
        open: false,
        gone: false,
        generation: 0,
        capacity: 0,
        seqno_base: 0,
        seqno: 0,
        consumer: [0; 32],
        held: LineSet::EMPTY,
        held_count: 0,
        watched_count: 0,
        known: LineSet::EMPTY,
        sums: Counts::ZERO,
        queue: Queue::EMPTY,
        watches: [Watch::NEW; LINES],
    };

    /// Begins a life in this slot. The queue is empty: closing discards it.
    pub(crate) fn begin(&mut self) {
        self.open = true;
        self.gone = false;
        self.generation = self.generation.wrapping_add(1).max(1);
        self.set_up(0, 0, [0; 32]);
        self.known = LineSet::EMPTY;
        self.sums = Counts::ZERO;
    }

    /// Only while no line was ever held: numbers already given would be given again.
    pub(crate) fn set_up(&mut self, capacity: u32, seqno_base: u32, consumer: Name) {
        self.capacity = match capacity {
            0 => 0,
            asked => asked.min(QUEUE as u32).next_power_of_two(),
        };
        self.seqno_base = seqno_base;
        self.seqno = seqno_base;
        self.consumer = consumer;
    }

    pub(crate) fn capacity(&self) -> u32 {
        match self.capacity {
            0 => (16 * self.held_count).next_power_of_two().clamp(2, QUEUE as u32),
            asked => asked,
        }
    }

    pub(crate) fn watches(&self, offset: u32) -> bool {
        self.flags(offset) & (LINE_EDGE_RISING | LINE_EDGE_FALLING) != 0
    }

    pub(crate) fn flags(&self, offset: u32) -> u32 {
        self.watches.get(offset as usize).map_or(0, |watch| watch.flags)
    }

    /// Holds a line with these flags; `edges` are part of them. Returns whether it is watched now.
    pub(crate) fn hold(&mut self, offset: u32, flags: u32) -> bool {
        self.unwatch(offset, flags);
        if !self.held.contains(offset) {
            self.held.set(offset, true);
            self.held_count += 1;
        }
        let watch = &mut self.watches[offset as usize];
        if !self.known.contains(offset) {
            self.known.set(offset, true);
            *watch = Watch { line_seqno: self.seqno_base, ..Watch::NEW };
        }
        watch.flags = flags;
        let watched = self.watches(offset);
        self.watched_count += u32::from(watched);
        watched
    }

    pub(crate) fn release(&mut self, offset: u32) {
        self.unwatch(offset, 0);
        self.watches[offset as usize].flags = 0;
        self.held.set(offset, false);
        self.held_count -= 1;
    }

    /// Stops counting the line as watched, and discards what is queued for it unless `next` watches it too.
    fn unwatch(&mut self, offset: u32, next: u32) {
        self.watched_count -= u32::from(self.watches(offset));
        if next & (LINE_EDGE_RISING | LINE_EDGE_FALLING) == 0 {
            let watch = &mut self.watches[offset as usize];
            while let Some((_, shown)) = self.queue.take(&mut watch.chain) {
                for counts in [&mut watch.counts, &mut self.sums] {
                    *(if shown { &mut counts.delivered } else { &mut counts.discarded }) += 1;
                }
            }
        }
    }

    /// The physical level of a held line changed. Returns whether an event was queued.
    pub(crate) fn level_changed(&mut self, offset: u32, level: bool, window_ns: u64, now_ns: u64) -> bool {
        let flags = self.flags(offset);
        let rising = level != (flags & LINE_ACTIVE_LOW != 0);
        let (edge, kind) = if rising { (LINE_EDGE_RISING, EDGE_RISING) } else { (LINE_EDGE_FALLING, EDGE_FALLING) };
        if flags & edge == 0 {
            return false;
        }
        let several = self.held_count > 1;
        let watch = &mut self.watches[offset as usize];
        let queued_before = watch.counts.driven > watch.counts.merged;
        watch.counts.driven += 1;
        self.sums.driven += 1;
        if queued_before && now_ns.saturating_sub(watch.last_ns) < window_ns {
            watch.counts.merged += 1;
            self.sums.merged += 1;
            watch.merged = watch.merged.saturating_add(1);
            if several {
                self.seqno = self.seqno.wrapping_add(1);
            }
            return false;
        }
        while self.queue.len() >= self.capacity() {
            self.drop_oldest();
        }
        let watch = &mut self.watches[offset as usize];
        watch.last_ns = now_ns;
        watch.line_seqno = watch.line_seqno.wrapping_add(1);
        self.seqno = if several { self.seqno.wrapping_add(1) } else { watch.line_seqno };
        let record = EdgeRecord {
            timestamp_ns: now_ns,
            offset,
            kind,
            seqno: self.seqno,
            line_seqno: watch.line_seqno,
            overflowed: core::mem::take(&mut watch.overflowed),
            merged: core::mem::take(&mut watch.merged),
        };
        self.queue.push(&mut watch.chain, record);
        true
    }

    /// Makes room. What the dropped event knew to be missing before it, and itself, is missing before the line's next one.
    fn drop_oldest(&mut self) {
        let Some(offset) = self.queue.oldest() else {
            return;
        };
        let watch = &mut self.watches[offset as usize];
        let Some((dropped, shown)) = self.queue.take(&mut watch.chain) else {
            return;
        };
        if shown {
            watch.counts.delivered += 1;
            self.sums.delivered += 1;
            return;
        }
        watch.counts.overflowed += 1;
        self.sums.overflowed += 1;
        let (overflowed, merged) = match self.queue.first(&watch.chain) {
            Some((next, _)) => (&mut next.overflowed, &mut next.merged),
            None => (&mut watch.overflowed, &mut watch.merged),
        };
        *overflowed = overflowed.saturating_add(dropped.overflowed).saturating_add(1);
        *merged = merged.saturating_add(dropped.merged);
    }

    /// Takes the line's next event that no wait was given yet.
    pub(crate) fn take(&mut self, offset: u32) -> Option<EdgeRecord> {
        let watch = self.watches.get_mut(offset as usize)?;
        loop {
            let (record, shown) = self.queue.take(&mut watch.chain)?;
            watch.counts.delivered += 1;
            self.sums.delivered += 1;
            if !shown {
                return Some(record);
            }
        }
    }

    /// Takes the next event of any line.
    pub(crate) fn take_any(&mut self) -> Option<EdgeRecord> {
        while let Some(offset) = self.queue.oldest() {
            let watch = &mut self.watches[offset as usize];
            let (record, shown) = self.queue.take(&mut watch.chain)?;
            watch.counts.delivered += 1;
            self.sums.delivered += 1;
            if !shown {
                return Some(record);
            }
        }
        None
    }

    /// Whether `number` was given to an event of the line, or is the one before the first.
    pub(crate) fn was_given(&self, offset: u32, number: u32) -> bool {
        self.watches.get(offset as usize).is_some_and(|watch| !is_after(number, watch.line_seqno))
    }

    /// Acknowledges the line's events up to `number`, and shows the next.
    pub(crate) fn show_after(&mut self, offset: u32, number: u32) -> Option<EdgeRecord> {
        let watch = self.watches.get_mut(offset as usize)?;
        loop {
            let (record, shown) = self.queue.first(&watch.chain)?;
            if is_after(record.line_seqno, number) {
                *shown = true;
                return Some(*record);
            }
            self.queue.take(&mut watch.chain);
            watch.counts.delivered += 1;
            self.sums.delivered += 1;
        }
    }
}

/// Whether number `a` was given after number `b`; numbers wrap.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}
