//! The free slots: a lock-free stack that is linked through the slots themselves.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::system::sync::AtomicU64;

/// The link of a free slot: in the low half the number of the slot below it, in the high half how many slots there are
/// from here down. A thread that takes the slot may store something else there.
pub(crate) type Link = AtomicU64;

/// A slot with a link.
pub(crate) trait Linked {
    fn link(&self) -> &Link;
}

/// No slot has this number.
const NONE: u32 = u32::MAX;

/// The low half is the number of the slot on top. The high half counts the changes of the top. So if the top was taken
/// and given back meanwhile, the exchange of a thread that read the old link fails.
#[derive(Debug)]
pub(crate) struct Free(AtomicU64);

impl Free {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(NONE.into()))
    }

    /// Adds a slot that belongs to the caller and has this number. `get` finds a slot by its number.
    #[inline]
    pub(crate) fn push<'a, S: Linked + 'a>(&self, slot: &S, index: u32, get: impl Fn(u32) -> Option<&'a S>) {
        let _ = self.0.fetch_update(AcqRel, Acquire, |top| {
            let below = top as u32;
            let depth = get(below).map_or(0, depth) + 1;
            slot.link().store(depth << 32 | u64::from(below), Relaxed);
            Some(changed(top, index))
        });
    }

    /// Takes the slot that was added last.
    #[inline]
    pub(crate) fn pop<'a, S: Linked>(&self, get: impl Fn(u32) -> Option<&'a S>) -> Option<(u32, &'a S)> {
        let mut first = None;
        let taken = self.0.fetch_update(AcqRel, Acquire, |top| {
            let slot = get(top as u32)?;
            first = Some((top as u32, slot));
            Some(changed(top, slot.link().load(Relaxed) as u32))
        });
        taken.ok().and(first)
    }

    /// How many free slots there are, or were a moment ago.
    pub(crate) fn len<'a, S: Linked + 'a>(&self, get: impl Fn(u32) -> Option<&'a S>) -> usize {
        let mut top = self.0.load(Acquire);
        loop {
            let depth = get(top as u32).map_or(0, |slot| slot.link().load(Acquire) >> 32);
            // If the top has changed, another thread may have taken the slot and stored something else in its link.
            match self.0.load(Acquire) {
                now if now == top => return depth as usize,
                now => top = now,
            }
        }
    }
}

fn depth(slot: &impl Linked) -> u64 {
    slot.link().load(Relaxed) >> 32
}

fn changed(top: u64, index: u32) -> u64 {
    ((top >> 32) + 1) << 32 | u64::from(index)
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;
    use crate::system::models::spawn;

    struct World {
        free: Free,
        links: [Link; 3],
        taken: [AtomicBool; 3],
    }

    impl Linked for Link {
        fn link(&self) -> &Link {
            self
        }
    }

    impl World {
        fn get<'a>(&'a self) -> impl Fn(u32) -> Option<&'a Link> {
            |index| self.links.get(index as usize)
        }

        fn take(&self) -> Option<u32> {
            let (index, _) = self.free.pop(self.get())?;
            assert!(!self.taken[index as usize].swap(true, SeqCst), "a slot was taken twice");
            Some(index)
        }

        fn give_back(&self, index: u32) {
            self.taken[index as usize].store(false, SeqCst);
            self.free.push(&self.links[index as usize], index, self.get());
        }
    }

    /// One thread has read the top while another takes two slots and gives the first one back.
    #[test]
    fn loom_a_slot_is_taken_once() {
        loom::model(|| {
            let world = Arc::new(World {
                free: Free::new(),
                links: std::array::from_fn(|_| Link::new(0)),
                taken: std::array::from_fn(|_| AtomicBool::new(false)),
            });
            (0..3).for_each(|index| world.give_back(index));
            let other = spawn(&world, move |world| {
                let (first, second) = (world.take(), world.take());
                first.into_iter().for_each(|index| world.give_back(index));
                usize::from(second.is_some())
            });
            let mine = usize::from(world.take().is_some());
            let held = mine + other.join().unwrap();
            assert_eq!(held + world.free.len(world.get()), 3);
            assert_eq!((held..3).filter_map(|_| world.take()).count(), 3 - held);
            assert_eq!(world.take(), None);
        });
    }
}
