//! One reader of the chip: its lines, its numbers, its queue and its account. An open handle has a reader, as a line
//! request on Linux has.

use zerocopy::FromZeros;

use crate::info::Information;
use crate::line::{Counts, LineState};
use crate::protocol::{
    EDGE_FALLING, EDGE_RISING, EdgeRecord, LINE_ACTIVE_LOW, LINE_EDGE_FALLING, LINE_EDGE_RISING, LINE_EDGES, LineSet,
    Name,
};
use crate::queue::{Chain, Queue};

/// A reader's configuration of one line, and where that line's edges went.
#[derive(Clone, Copy, Debug, FromZeros)]
pub(crate) struct LineWatch {
    /// `LINE_*` as configured; zero when the line is not held.
    pub(crate) flags: u32,
    line_seqno: u32,
    /// How many edges are missing directly before the next event, while no queued event can say so.
    overflowed: u32,
    merged: u32,
    pub(crate) chain: Chain,
    pub(crate) counts: Counts,
    /// Time of the last edge that was not merged, or of the last interrupt while one is raised.
    last_ns: u64,
    /// The number of that interrupt.
    seqno: u32,
    /// An interrupt happened and will be handled when it is due; until then others are merged into it.
    pub(crate) raised: bool,
    /// With a debounce period, the last physical level that lasted.
    level: bool,
    pub(crate) debounce_us: u32,
    /// When the interrupt is handled, or the level has lasted. Valid while the line is in `Reader::timed`.
    due_ns: u64,
}

impl LineWatch {
    const NEW: LineWatch = LineWatch {
        flags: 0,
        line_seqno: 0,
        overflowed: 0,
        merged: 0,
        chain: Chain::EMPTY,
        counts: Counts::ZERO,
        last_ns: 0,
        seqno: 0,
        raised: false,
        level: false,
        debounce_us: 0,
        due_ns: 0,
    };
}

#[derive(Debug, FromZeros)]
pub(crate) struct Reader<const LINES: usize, const QUEUE: usize> {
    /// The device was unplugged while this reader was open.
    pub(crate) gone: bool,
    pub(crate) generation: u32,
    /// As requested; zero for the default.
    capacity: u32,
    seqno_base: u32,
    seqno: u32,
    pub(crate) consumer: Name,
    pub(crate) held: LineSet,
    held_count: u32,
    pub(crate) watched_count: u32,
    /// How many lines have an unhandled interrupt.
    pub(crate) raised_count: u32,
    /// Lines for which something is due.
    pub(crate) timed: LineSet,
    /// Lines that were ever held: those with an account.
    pub(crate) known: LineSet,
    /// The sums of all lines.
    pub(crate) sums: Counts,
    pub(crate) queue: Queue<QUEUE>,
    pub(crate) information: Information,
    pub(crate) watches: [LineWatch; LINES],
}

impl<const LINES: usize, const QUEUE: usize> Reader<LINES, QUEUE> {
    pub(crate) const NEW: Self = Reader {
        gone: false,
        generation: 0,
        capacity: 0,
        seqno_base: 0,
        seqno: 0,
        consumer: [0; 32],
        held: LineSet::EMPTY,
        held_count: 0,
        watched_count: 0,
        raised_count: 0,
        timed: LineSet::EMPTY,
        known: LineSet::EMPTY,
        sums: Counts::ZERO,
        queue: Queue::EMPTY,
        information: Information::NEW,
        watches: [LineWatch::NEW; LINES],
    };

    /// Begins a new reader in this slot. The queue is empty, since closing discards it.
    pub(crate) fn begin(&mut self) {
        self.gone = false;
        self.generation = self.generation.wrapping_add(1).max(1);
        self.set_up(0, 0, [0; 32]);
        self.known = LineSet::EMPTY;
        self.sums = Counts::ZERO;
        self.information.clear();
    }

    /// Call it only before the first line is held: otherwise numbers would be used twice.
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

    /// Whether this reader sees the line as active, if its physical level is `level`.
    pub(crate) fn sees(&self, offset: u32, level: bool) -> bool {
        let Some(watch) = self.watches.get(offset as usize) else {
            return level;
        };
        let level = if watch.debounce_us > 0 { watch.level } else { level };
        level != (watch.flags & LINE_ACTIVE_LOW != 0)
    }

    /// Holds a line with these flags. Returns whether it is watched now.
    pub(crate) fn hold(&mut self, offset: u32, flags: u32) -> bool {
        self.unwatch(offset, flags);
        if !self.held.contains(offset) {
            self.held.set(offset, true);
            self.held_count += 1;
        }
        let watch = &mut self.watches[offset as usize];
        if !self.known.contains(offset) {
            self.known.set(offset, true);
            *watch = LineWatch { line_seqno: self.seqno_base, ..LineWatch::NEW };
        }
        watch.flags = flags;
        let watched = self.watches(offset);
        self.watched_count += u32::from(watched);
        watched
    }

    pub(crate) fn release(&mut self, offset: u32) {
        self.unwatch(offset, 0);
        let watch = &mut self.watches[offset as usize];
        (watch.flags, watch.debounce_us) = (0, 0);
        self.timed.set(offset, false);
        self.held.set(offset, false);
        self.held_count -= 1;
    }

    /// Stops counting the line as watched. Discards its queued events unless `next` watches it too.
    fn unwatch(&mut self, offset: u32, next: u32) {
        self.watched_count -= u32::from(self.watches(offset));
        if next & (LINE_EDGE_RISING | LINE_EDGE_FALLING) == 0 {
            let watch = &mut self.watches[offset as usize];
            while let Some((_, shown)) = self.queue.take(&mut watch.chain) {
                for counts in [&mut watch.counts, &mut self.sums] {
                    *(if shown { &mut counts.delivered } else { &mut counts.discarded }) += 1;
                }
            }
            self.discard_interrupt(offset);
        }
    }

    /// Discards an unhandled interrupt.
    fn discard_interrupt(&mut self, offset: u32) {
        let watch = &mut self.watches[offset as usize];
        if core::mem::take(&mut watch.raised) {
            watch.counts.discarded += 1;
            self.sums.discarded += 1;
            self.raised_count -= 1;
            self.timed.set(offset, false);
        }
    }

    /// From now on a level of a held line must last; `level` is the current one.
    pub(crate) fn debounce(&mut self, offset: u32, level: bool, period_us: u32) {
        self.discard_interrupt(offset);
        self.timed.set(offset, false);
        let watch = &mut self.watches[offset as usize];
        (watch.debounce_us, watch.level) = (period_us, level);
    }

    /// The physical level of a held line changed. Returns whether an event was queued.
    pub(crate) fn level_changed(&mut self, offset: u32, line: &LineState, now_ns: u64) -> bool {
        let watch = &mut self.watches[offset as usize];
        if watch.debounce_us == 0 {
            return self.edge(offset, line.level, line.window_ns, line.delay_ns, now_ns);
        }
        // If the level is the old one again, there is nothing to wait for.
        self.timed.set(offset, line.level != watch.level);
        watch.due_ns = now_ns.saturating_add(u64::from(watch.debounce_us) * 1_000);
        false
    }

    /// The line for which something is due first, and when.
    pub(crate) fn next_due(&self) -> Option<(u64, u32)> {
        self.timed.iter().map(|offset| (self.watches[offset as usize].due_ns, offset)).min()
    }

    /// Handles what was due for a line with this physical level. Returns whether an event was queued.
    pub(crate) fn fire(&mut self, offset: u32, level: bool) -> bool {
        self.timed.set(offset, false);
        let watch = &mut self.watches[offset as usize];
        if !core::mem::take(&mut watch.raised) {
            watch.level = level;
            let due_ns = watch.due_ns;
            return self.edge(offset, level, 0, 0, due_ns);
        }
        self.raised_count -= 1;
        // As in the Linux kernel: if both edges are watched, the current level decides which one it was.
        let kind = match watch.flags & LINE_EDGES {
            LINE_EDGE_RISING => EDGE_RISING,
            LINE_EDGE_FALLING => EDGE_FALLING,
            _ if level != (watch.flags & LINE_ACTIVE_LOW != 0) => EDGE_RISING,
            _ => EDGE_FALLING,
        };
        self.push(offset, kind);
        true
    }

    /// A level change that counts. Returns whether an event was queued.
    fn edge(&mut self, offset: u32, level: bool, window_ns: u64, delay_ns: u64, now_ns: u64) -> bool {
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
        let is_merged = watch.raised || queued_before && now_ns.saturating_sub(watch.last_ns) < window_ns;
        if is_merged {
            watch.counts.merged += 1;
            self.sums.merged += 1;
            watch.merged = watch.merged.saturating_add(1);
        }
        if watch.raised || !is_merged {
            watch.last_ns = now_ns;
            watch.seqno = self.seqno.wrapping_add(1);
        }
        if several {
            self.seqno = self.seqno.wrapping_add(1);
        }
        if is_merged {
            return false;
        }
        if delay_ns > 0 {
            watch.raised = true;
            watch.due_ns = now_ns.saturating_add(delay_ns);
            self.raised_count += 1;
            self.timed.set(offset, true);
            return false;
        }
        self.push(offset, kind);
        true
    }

    /// Queues the line's event.
    fn push(&mut self, offset: u32, kind: u32) {
        while self.queue.len() >= self.capacity() {
            self.drop_oldest();
        }
        let several = self.held_count > 1;
        let watch = &mut self.watches[offset as usize];
        watch.line_seqno = watch.line_seqno.wrapping_add(1);
        if !several {
            (self.seqno, watch.seqno) = (watch.line_seqno, watch.line_seqno);
        }
        let record = EdgeRecord {
            timestamp_ns: watch.last_ns,
            offset,
            kind,
            seqno: watch.seqno,
            line_seqno: watch.line_seqno,
            overflowed: core::mem::take(&mut watch.overflowed),
            merged: core::mem::take(&mut watch.merged),
        };
        self.queue.push(&mut watch.chain, record);
    }

    /// Makes room. The dropped event, and the edges that were missing before it, are missing before the line's next
    /// event.
    fn drop_oldest(&mut self) {
        let Some(offset) = self.queue.oldest() else { return };
        let watch = &mut self.watches[offset as usize];
        let Some((dropped, shown)) = self.queue.take(&mut watch.chain) else { return };
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

    /// Takes the line's oldest event, which counts as delivered. Also returns whether a wait has got it before.
    fn deliver(&mut self, offset: u32) -> Option<(EdgeRecord, bool)> {
        let watch = self.watches.get_mut(offset as usize)?;
        let taken = self.queue.take(&mut watch.chain)?;
        watch.counts.delivered += 1;
        self.sums.delivered += 1;
        Some(taken)
    }

    /// Takes the line's next event that no wait has got yet.
    pub(crate) fn take(&mut self, offset: u32) -> Option<EdgeRecord> {
        loop {
            let (record, shown) = self.deliver(offset)?;
            if !shown {
                return Some(record);
            }
        }
    }

    /// Takes the next event of any line.
    pub(crate) fn take_any(&mut self) -> Option<EdgeRecord> {
        loop {
            let (record, shown) = self.deliver(self.queue.oldest()?)?;
            if !shown {
                return Some(record);
            }
        }
    }

    /// Whether an event of the line has got `number`, or it is the number before the first.
    pub(crate) fn was_given(&self, offset: u32, number: u32) -> bool {
        self.watches.get(offset as usize).is_some_and(|watch| !is_after(number, watch.line_seqno))
    }

    /// Acknowledges the line's events up to `number`, and returns the next one, which stays.
    pub(crate) fn show_after(&mut self, offset: u32, number: u32) -> Option<EdgeRecord> {
        loop {
            let (record, shown) = self.queue.first(&self.watches.get(offset as usize)?.chain)?;
            if is_after(record.line_seqno, number) {
                *shown = true;
                return Some(*record);
            }
            self.deliver(offset)?;
        }
    }
}

/// Whether number `a` comes after number `b`; numbers wrap.
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}
