//! What the bits are, and which of them are watched: where values become changes.

use std::collections::VecDeque;

use crate::variable::Variable;

/// What a bit is.
///
/// ```
/// use linewake_wave::Level;
/// assert_eq!(Level::of(b'h'), Some(Level::High)); // weak is as good as strong
/// assert_eq!(Level::of(b'u'), Some(Level::Unknown));
/// assert_eq!(Level::of(b'q'), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Level {
    /// `0`, and `l`: pulled to it.
    Low,
    /// `1`, and `h`: pulled to it.
    High,
    /// `x`, `u`, `w`, `-`.
    Unknown,
    /// `z`: nobody drives it. Whoever knows of a pull-up may take it for high.
    Released,
}

impl Level {
    /// The level a digit stands for, in either case.
    #[must_use]
    pub const fn of(digit: u8) -> Option<Self> {
        match digit {
            b'0' | b'l' | b'L' => Some(Self::Low),
            b'1' | b'h' | b'H' => Some(Self::High),
            b'x' | b'X' | b'u' | b'U' | b'w' | b'W' | b'-' => Some(Self::Unknown),
            b'z' | b'Z' => Some(Self::Released),
            _ => None,
        }
    }

    /// What is known by it.
    #[must_use]
    pub const fn known(self) -> Option<bool> {
        match self {
            Self::Low => Some(false),
            Self::High => Some(true),
            Self::Unknown | Self::Released => None,
        }
    }
}

/// A bit changes. The first one of each wire is the level it has at the beginning.
///
/// ```
/// # use linewake_wave::{Level, Reader};
/// let dump = "$var wire 1 ! a $end $enddefinitions $end #0 0! #5 1!";
/// let mut reader = Reader::vcd("x.vcd", Box::new(dump.as_bytes()))?;
/// let first = reader.next().unwrap()?;
/// assert_eq!((first.at_ns, first.wire, first.level), (0, 0, Level::Low));
/// # Ok::<_, linewake_wave::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When; never less than that of the change before.
    pub at_ns: u64,
    /// Its place in [`Reader::wires`](crate::Reader::wires).
    pub wire: u32,
    /// What it is from then on.
    pub level: Level,
}

/// Nothing is known yet.
const NEW: u8 = 4;
/// Nobody wants to know.
const UNWATCHED: u8 = 5;
/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The bits of all variables.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    pub(crate) variables: Vec<Variable>,
    /// Of each wire: its level, or [`NEW`], or [`UNWATCHED`].
    levels: Vec<u8>,
    /// Of each variable: where its values come from.
    sources: Vec<u32>,
    /// Of each source: its first variable with a wire that is watched.
    heads: Vec<u32>,
    /// Of each variable: the next one of its source with a wire that is watched.
    nexts: Vec<u32>,
    pending: VecDeque<Change>,
    watch_count: u32,
}

impl Bits {
    /// A place that values come from: a code in the file, which several variables may share.
    pub(crate) fn add_source(&mut self) -> u32 {
        self.heads.push(NONE);
        (self.heads.len() - 1) as u32
    }

    /// How many sources there are.
    pub(crate) fn source_count(&self) -> usize {
        self.heads.len()
    }

    /// Where the values of a variable come from.
    pub(crate) fn source_of(&self, variable: usize) -> u32 {
        self.sources[variable]
    }

    /// How many wires there are.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Adds a variable; its first wire is given here.
    pub(crate) fn add(&mut self, source: u32, variable: Variable) {
        let variable = Variable { first: self.len() as u32, ..variable };
        self.levels.resize(self.len() + variable.width as usize, NEW);
        self.sources.push(source);
        self.nexts.push(NONE);
        self.variables.push(variable);
    }

    /// From now on these are told. All are if this is never called.
    pub(crate) fn watch(&mut self, wires: impl IntoIterator<Item = usize>) {
        let before = std::mem::take(&mut self.levels);
        self.levels.resize(before.len(), UNWATCHED);
        for wire in wires {
            if let (Some(level), Some(&before)) = (self.levels.get_mut(wire), before.get(wire)) {
                *level = if before == UNWATCHED { NEW } else { before };
            }
        }
        self.watch_count += 1;
        self.link();
    }

    /// How often other wires were chosen.
    pub(crate) fn watch_count(&self) -> u32 {
        self.watch_count
    }

    /// Whether a wire is watched.
    pub(crate) fn is_told(&self, wire: u32) -> bool {
        self.levels[wire as usize] != UNWATCHED
    }

    /// Chains the variables of each source, in the order of the file.
    pub(crate) fn link(&mut self) {
        self.heads.fill(NONE);
        for (at, variable) in self.variables.iter().enumerate().rev() {
            let is_watched = self.levels[variable.wires()].iter().any(|&level| level != UNWATCHED);
            if let Some(head) = self.heads.get_mut(self.sources[at] as usize).filter(|_| is_watched) {
                self.nexts[at] = std::mem::replace(head, at as u32);
            }
        }
    }

    /// Whether a source has a variable that is watched.
    pub(crate) fn is_watched(&self, source: u32) -> bool {
        self.heads[source as usize] != NONE
    }

    /// Whether a change came of them that was not taken.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next change that came of the values so far.
    pub(crate) fn pop(&mut self) -> Option<Change> {
        self.pending.pop_front()
    }

    /// A source has a value of one digit.
    #[inline]
    pub(crate) fn scalar(&mut self, source: u32, level: Level, at_ns: u64) {
        let mut at = self.heads[source as usize];
        while at != NONE {
            let Variable { first: wire, width, .. } = self.variables[at as usize];
            if width == 1 {
                self.note(wire, level, at_ns);
            } else {
                self.spread(at as usize, &[level], at_ns);
            }
            at = self.nexts[at as usize];
        }
    }

    /// A source has a value of several digits, the highest first.
    pub(crate) fn vector(&mut self, source: u32, digits: &[Level], at_ns: u64) {
        let mut at = self.heads[source as usize];
        while at != NONE {
            self.spread(at as usize, digits, at_ns);
            at = self.nexts[at as usize];
        }
    }

    /// Digits that are missing on the left are as the first one is, or 0 if that is 1.
    fn spread(&mut self, at: usize, digits: &[Level], at_ns: u64) {
        let Variable { first, width, range, .. } = self.variables[at];
        let rest = match digits.first() {
            None | Some(Level::Low | Level::High) => Level::Low,
            Some(&level) => level,
        };
        let is_upwards = range.is_some_and(|(left, right)| left < right);
        for bit in 0..width {
            let from_right = if is_upwards { width - 1 - bit } else { bit } as usize;
            let level = digits.len().checked_sub(from_right + 1).map_or(rest, |place| digits[place]);
            self.note(first + bit, level, at_ns);
        }
    }

    /// A wire has a level.
    #[inline]
    pub(crate) fn note(&mut self, wire: u32, level: Level, at_ns: u64) {
        let known = &mut self.levels[wire as usize];
        if *known != level as u8 && *known != UNWATCHED {
            *known = level as u8;
            self.pending.push_back(Change { at_ns, wire, level });
        }
    }
}
