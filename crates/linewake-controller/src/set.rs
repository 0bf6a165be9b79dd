//! Sets as bitmaps: lines (part of the protocol) and readers (internal).

use core::fmt;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The most lines of a chip: [`LineSet`] has this many bits.
pub const MAX_LINES: usize = 1024;

/// A set of line offsets, or a level for each line: 1,024 bits, offset 0 in the lowest bit of the first word.
///
/// ```
/// use linewake_controller::protocol::LineSet;
///
/// let mut lines = LineSet::from_iter([3, 1000]);
/// lines.set(7, true);
/// lines.set(3, false);
/// assert!(lines.contains(1000) && !lines.contains(3) && !lines.contains(5000));
/// assert_eq!(lines.iter().collect::<Vec<_>>(), [7, 1000]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LineSet {
    words: [u64; MAX_LINES / 64],
}

impl LineSet {
    pub(crate) const EMPTY: LineSet = LineSet { words: [0; MAX_LINES / 64] };

    /// Whether the offset is in the set; an offset of 1,024 or more never is.
    #[must_use]
    pub const fn contains(&self, offset: u32) -> bool {
        let word = offset as usize / 64;
        word < self.words.len() && self.words[word] >> (offset % 64) & 1 == 1
    }

    /// Adds the offset or removes it. Ignored for an offset of 1,024 or more.
    pub const fn set(&mut self, offset: u32, member: bool) {
        let word = offset as usize / 64;
        if word < self.words.len() {
            let bit = 1 << (offset % 64);
            self.words[word] = if member { self.words[word] | bit } else { self.words[word] & !bit };
        }
    }

    /// The lowest offset in the set.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// How many offsets are in the set.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no offset is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The offsets, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.words).flat_map(|(index, &word)| bits(u128::from(word)).map(move |bit| index * 64 + bit))
    }
}

impl FromIterator<u32> for LineSet {
    fn from_iter<I: IntoIterator<Item = u32>>(offsets: I) -> Self {
        let mut set = LineSet::default();
        for offset in offsets {
            set.set(offset, true);
        }
        set
    }
}

impl fmt::Debug for LineSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The positions of the ones, ascending.
fn bits(mut word: u128) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}

/// A set of reader slots; a controller has at most 128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromZeros)]
pub(crate) struct ReaderSet(u128);

impl ReaderSet {
    pub(crate) const MAX: usize = 128;

    pub(crate) const EMPTY: ReaderSet = ReaderSet(0);

    pub(crate) fn contains(self, slot: usize) -> bool {
        self.0 >> slot & 1 == 1
    }

    pub(crate) fn insert(&mut self, slot: usize) {
        self.0 |= 1 << slot;
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.0 &= !(1 << slot);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it contains another slot than this one.
    pub(crate) fn has_other(self, slot: usize) -> bool {
        self.0 & !(1 << slot) != 0
    }

    pub(crate) fn first(self) -> Option<usize> {
        (!self.is_empty()).then(|| self.0.trailing_zeros() as usize)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        bits(self.0).map(|bit| bit as usize)
    }
}
