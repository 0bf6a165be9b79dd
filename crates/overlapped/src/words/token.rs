//! Tokens: what names an operation to the kernel and comes back in a packet. Never an address, so that nothing dangles
//! when one comes back late.

/// How many times the slot has been used. A packet is for the operation it names only while the generations agree.
pub(crate) type Generation = u32;

/// The last generation: a slot that has reached it is never used again. Tokens carry 30 bits.
pub(crate) const LAST_GENERATION: Generation = (1 << 30) - 1;

/// The high bit tells our packets from others': no address in user mode has it.
const OURS: u64 = 1 << 63;
/// With [`OURS`]: no completion, but the end of the operation's time.
pub(crate) const EXPIRE: u64 = 1 << 62;
/// Without [`OURS`]: nobody's completion, only a reason to look up. No address in user mode either.
pub(crate) const LOOK: u64 = 1 << 62;

/// Names an operation, in one word: the slot and its generation.
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

    /// The value that travels through the kernel.
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
        assert_eq!(InFlight::from_token(0x7fff_ffff_ffff), None, "an address is not one of our tokens");
    }
}
