//! All bits, and the watched ones among them. Turns values into changes.

use std::collections::VecDeque;

use crate::variable::Variable;

/// The level of a bit.
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
    /// `0`, and `l`: pulled down.
    Low,
    /// `1`, and `h`: pulled up.
    High,
    /// `x`, `u`, `w`, `-`.
    Unknown,
    /// `z`: nobody drives it. If you know of a pull-up, take it for high.
    Released,
}

impl Level {
    /// The level for a digit, in upper or lower case.
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

    /// The level as a `bool`, where it is known.
    #[must_use]
    pub const fn known(self) -> Option<bool> {
        match self {
            Self::Low => Some(false),
            Self::High => Some(true),
            Self::Unknown | Self::Released => None,
        }
    }
}

/// A bit changes. The first change of each wire is its level at the beginning.
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
    /// The time; never less than that of the change before.
    pub at_ns: u64,
    /// Its place in [`Reader::wires`](crate::Reader::wires).
    pub wire: u32,
    /// The level from then on.
    pub level: Level,
}

/// The level is not known yet.
const NEW: u8 = 4;
/// The wire is not watched.
const UNWATCHED: u8 = 5;
/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The bits of all variables.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    pub(crate) variables: Vec<Variable>,
    /// For each wire: its level, or [`NEW`], or [`UNWATCHED`].
    levels: Vec<u8>,
    /// For each variable: the source of its values.
    sources: Vec<u32>,
    /// For each source: its first variable with a watched wire.
    heads: Vec<u32>,
    /// For each variable: the next one of its source with a watched wire.
    nexts: Vec<u32>,
    pending: VecDeque<Change>,
    watch_count: u32,
}

impl Bits {
    /// Adds a source of values: a code in the file, which several variables may share.
    pub(crate) fn add_source(&mut self) -> u32 {
        self.heads.push(NONE);
        (self.heads.len() - 1) as u32
    }

    /// How many sources there are.
    pub(crate) fn source_count(&self) -> usize {
        self.heads.len()
    }

    /// The source of a variable's values.
    pub(crate) fn source_of(&self, variable: usize) -> u32 {
        self.sources[variable]
    }

    /// How many wires there are.
    pub(crate) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Adds a variable, and assigns its first wire.
    pub(crate) fn add(&mut self, source: u32, variable: Variable) {
        let variable = Variable { first: self.len() as u32, ..variable };
        self.levels.resize(self.len() + variable.width as usize, NEW);
        self.sources.push(source);
        self.nexts.push(NONE);
        self.variables.push(variable);
    }

    /// From now on reports only these wires. Without a call it reports all.
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

    /// How often the watched wires were set.
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

    /// Whether a change waits to be taken.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next change from the values so far.
    pub(crate) fn pop(&mut self) -> Option<Change> {
        self.pending.pop_front()
    }

    /// Notes a value of one digit.
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

    /// Notes a value of several digits, the highest first.
    pub(crate) fn vector(&mut self, source: u32, digits: &[Level], at_ns: u64) {
        let mut at = self.heads[source as usize];
        while at != NONE {
            self.spread(at as usize, digits, at_ns);
            at = self.nexts[at as usize];
        }
    }

    /// Digits that are missing on the left equal the first one, or are 0 if that is 1.
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

    /// Notes the level of a wire.
    #[inline]
    pub(crate) fn note(&mut self, wire: u32, level: Level, at_ns: u64) {
        let known = &mut self.levels[wire as usize];
        if *known != level as u8 && *known != UNWATCHED {
            *known = level as u8;
            self.pending.push_back(Change { at_ns, wire, level });
        }
    }
}
