//! Random numbers by SplitMix64 (Steele, Lea, Flood 2014). The same seed gives the same numbers.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below<N: TryInto<u64> + TryFrom<u64>>(&mut self, bound: N) -> N {
        let bound: Option<u64> = bound.try_into().ok();
        let number = bound.and_then(|bound| self.number().checked_rem(bound));
        number.and_then(|number| number.try_into().ok()).expect("a bound is above zero, and has at most 64 bits")
    }
}
