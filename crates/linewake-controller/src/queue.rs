//! The events that one reader has not taken yet: a bounded queue in order of time. Each line has a chain through it, so
//! that a wait for one line takes from the middle in constant time.

use zerocopy::FromZeros;

use crate::protocol::EdgeRecord;

/// The place of a slot plus one; zero means none. So an all-zero queue is empty.
type Link = u16;

#[derive(Clone, Copy, Debug, FromZeros)]
struct Slot {
    record: EdgeRecord,
    previous: Link,
    next: Link,
    line_next: Link,
    /// A wait got this event and left it here. It counts as delivered, whatever happens to it later.
    shown: bool,
}

impl Slot {
    const NEW: Slot = Slot {
        record: EdgeRecord { timestamp_ns: 0, offset: 0, kind: 0, seqno: 0, line_seqno: 0, overflowed: 0, merged: 0 },
        previous: 0,
        next: 0,
        line_next: 0,
        shown: false,
    };
}

/// The events of one line in a [`Queue`], oldest first.
#[derive(Clone, Copy, Debug, Default, FromZeros)]
pub(crate) struct Chain {
    head: Link,
    tail: Link,
    len: u32,
}

impl Chain {
    pub(crate) const EMPTY: Chain = Chain { head: 0, tail: 0, len: 0 };

    pub(crate) fn len(&self) -> u32 {
        self.len
    }
}

#[derive(Debug, FromZeros)]
pub(crate) struct Queue<const QUEUE: usize> {
    slots: [Slot; QUEUE],
    head: Link,
    tail: Link,
    free: Link,
    /// How many slots were ever used; the free list consists of these.
    used: u16,
    len: u32,
}

impl<const QUEUE: usize> Queue<QUEUE> {
    pub(crate) const EMPTY: Self = {
        assert!(QUEUE >= 2 && QUEUE <= 0x8000 && QUEUE.is_power_of_two());
        Queue { slots: [Slot::NEW; QUEUE], head: 0, tail: 0, free: 0, used: 0, len: 0 }
    };

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The line of the oldest event of all, which is also the oldest of its line.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.slot(self.head).map(|slot| slot.record.offset)
    }

    /// The oldest event of a line, and whether it was shown.
    pub(crate) fn first(&mut self, chain: &Chain) -> Option<(&mut EdgeRecord, &mut bool)> {
        let slot = self.slots.get_mut(usize::from(chain.head).checked_sub(1)?)?;
        Some((&mut slot.record, &mut slot.shown))
    }

    /// Appends an event to the queue and to its line's chain. The queue must have room.
    pub(crate) fn push(&mut self, chain: &mut Chain, record: EdgeRecord) {
        let link = match self.free {
            0 => {
                self.used += 1;
                self.used
            }
            link => {
                self.free = self.slots[at(link)].next;
                link
            }
        };
        self.slots[at(link)] = Slot { record, previous: self.tail, ..Slot::NEW };
        match self.tail {
            0 => self.head = link,
            tail => self.slots[at(tail)].next = link,
        }
        self.tail = link;
        match chain.tail {
            0 => chain.head = link,
            tail => self.slots[at(tail)].line_next = link,
        }
        chain.tail = link;
        chain.len += 1;
        self.len += 1;
    }

    /// Takes the oldest event of a line, and whether it was shown.
    pub(crate) fn take(&mut self, chain: &mut Chain) -> Option<(EdgeRecord, bool)> {
        let link = chain.head;
        let slot = *self.slot(link)?;
        match slot.previous {
            0 => self.head = slot.next,
            previous => self.slots[at(previous)].next = slot.next,
        }
        match slot.next {
            0 => self.tail = slot.previous,
            next => self.slots[at(next)].previous = slot.previous,
        }
        chain.head = slot.line_next;
        if chain.head == 0 {
            chain.tail = 0;
        }
        chain.len -= 1;
        self.len -= 1;
        self.slots[at(link)].next = self.free;
        self.free = link;
        Some((slot.record, slot.shown))
    }

    fn slot(&self, link: Link) -> Option<&Slot> {
        self.slots.get(usize::from(link).checked_sub(1)?)
    }
}

/// The index of a link that is not zero.
fn at(link: Link) -> usize {
    usize::from(link) - 1
}
