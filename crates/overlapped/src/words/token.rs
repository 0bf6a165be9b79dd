//! Tokens: a token names an operation to the kernel, and comes back in its packet. It is never an address, so a packet
//! that comes back late cannot lead to freed memory.

/// How many times the slot has been used. A packet counts only if it has the slot's present generation.
pub(crate) type Generation = u32;

/// The last generation: a slot that has reached it is never used again. A token has 30 bits for it.
pub(crate) const LAST_GENERATION: Generation = (1 << 30) - 1;

/// The high bit marks our packets: no address in user mode has it.
const OURS: u64 = 1 << 63;
/// Together with [`OURS`]: the operation has not completed, and its grace period is over.
pub(crate) const EXPIRE: u64 = 1 << 62;
/// Without [`OURS`]: no completion; it only wakes the thread in the queue. No address in user mode has this bit either.
pub(crate) const LOOK: u64 = 1 << 62;

/// Names an operation in one word: the slot and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlight(u64);

impl InFlight {
    /// No operation.
    pub(crate) const NONE: Self = Self(0);

    #[inline]
    pub(crate) const fn new(index: u32, generation: Generation) -> Self {
        Self(OURS | (generation as u64) << 32 | index as u64)
    }

    /// The number of the slot.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) fn generation(self) -> Generation {
        (self.0 >> 32) as Generation & LAST_GENERATION
    }

    /// The value that passes through the kernel.
    #[inline]
    pub(crate) fn token(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_token(token: u64) -> Option<Self> {
        (token & OURS != 0).then_some(Self(token & !EXPIRE))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_slot_and_generation() {
        for (index, generation) in [(0, 1), (u32::MAX, LAST_GENERATION), (7, LAST_GENERATION - 7)] {
            let op = InFlight::new(index, generation);
            assert_eq!((op.index(), op.generation()), (index, generation));
            assert_eq!(InFlight::from_token(op.token()), Some(op));
            assert_eq!(InFlight::from_token(op.token() | EXPIRE), Some(op));
        }
        assert_eq!(InFlight::from_token(0x7fff_ffff_ffff), None, "an address is taken for a token");
    }
}
