//! Packets that Windows queues for operations that ended at once. Nobody waits for these packets. A program whose calls
//! all end at once has no dispatcher, so they would fill the queue. Therefore the thread that submits takes them out
//! when there may be many.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// As many as one look at the queue can take.
const MANY: usize = 64;
/// A look that finds none doubles the limit, up to this. A file may queue no packets at all, and under Wine a look
/// costs as much as hundreds of calls.
const MOST: usize = 8192;

/// How many such packets there may be.
#[derive(Debug)]
pub(in crate::port) struct Strays {
    due: AtomicUsize,
    limit: AtomicUsize,
}

impl Default for Strays {
    fn default() -> Self {
        Self { due: AtomicUsize::new(0), limit: AtomicUsize::new(MANY) }
    }
}

impl Strays {
    /// An operation has ended at once. If two threads do this at the same time, only one may count: an estimate is
    /// enough, and this is cheap.
    pub(in crate::port) fn add(&self) {
        self.due.store(self.due.load(Relaxed) + 1, Relaxed);
    }

    /// The number of such packets if there may be many; otherwise 0.
    pub(in crate::port) fn many(&self) -> usize {
        Some(self.due.load(Relaxed)).filter(|due| *due >= MANY).unwrap_or(0)
    }

    /// The queue was empty.
    pub(in crate::port) fn clear(&self) {
        if self.due.load(Relaxed) > 0 {
            self.due.store(0, Relaxed);
        }
    }

    /// Whether to take them out now.
    pub(in crate::port) fn are_too_many(&self) -> bool {
        self.due.load(Relaxed) >= self.limit.load(Relaxed)
    }

    /// Takes them out. `look` returns how many packets it found.
    pub(in crate::port) fn take_out(&self, mut look: impl FnMut() -> usize) {
        let mut found = 0;
        // Other threads may add packets meanwhile; the limit keeps this thread from looping for ever.
        for _ in 0..MANY {
            found += look();
            if self.many() == 0 {
                break;
            }
        }
        let limit = if found > 0 { MANY } else { (self.limit.load(Relaxed) * 2).min(MOST) };
        self.limit.store(limit, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the operations that end at once until the next look, which finds `found` packets.
    fn until_looked(strays: &Strays, found: usize) -> usize {
        let mut ended = 0;
        while !strays.are_too_many() {
            strays.add();
            ended += 1;
        }
        strays.take_out(|| {
            strays.clear();
            found
        });
        ended
    }

    #[test]
    fn looks_are_rare_while_they_find_nothing() {
        let strays = Strays::default();
        let ended: Vec<_> = (0..9).map(|_| until_looked(&strays, 0)).collect();
        assert_eq!(ended, [64, 128, 256, 512, 1024, 2048, 4096, 8192, 8192]);
        assert_eq!(until_looked(&strays, 1), 8192);
        assert_eq!(until_looked(&strays, 0), 64);
    }

    #[test]
    fn polls_go_on_until_the_queue_is_empty_or_others_keep_filling_it() {
        let strays = Strays::default();
        (0..64).for_each(|_| strays.add());
        let mut looks = 0;
        strays.take_out(|| {
            looks += 1;
            if looks == 3 {
                strays.clear();
            }
            64
        });
        assert_eq!(looks, 3);
        (0..64).for_each(|_| strays.add());
        strays.take_out(|| {
            looks += 1;
            64
        });
        assert_eq!(looks, 3 + MANY);
    }
}
