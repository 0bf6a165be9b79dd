//! The settings of a line as bits: a table for each setting serves to write and to read them.

/// The bits of each value of a setting. A value whose bits include those of another comes first.
pub(super) struct FlagTable<T: 'static>(pub(super) &'static [(u64, T)]);

impl<T: Copy + PartialEq> FlagTable<T> {
    /// The bits of a value; none if the table does not have it.
    pub(super) fn bits(&self, value: T) -> u64 {
        self.0.iter().find(|(_, other)| *other == value).map_or(0, |(bits, _)| *bits)
    }

    /// The value whose bits are all set.
    pub(super) fn value(&self, flags: u64) -> Option<T> {
        self.0.iter().find(|(bits, _)| flags & bits == *bits).map(|(_, value)| *value)
    }
}
