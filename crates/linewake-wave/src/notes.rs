//! Warnings: oddities of a file that can still be read.

use std::fmt;

/// The kinds of oddities. Each kind is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    Cut,
    TimeWentBack,
    NegativeTime,
    UnknownCode,
    CommandWithoutEnd,
    CommentWithoutEnd,
    Stray,
    Segment,
    SegmentHasMore,
}

/// The warnings, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

#[derive(Debug)]
struct Note {
    oddity: Oddity,
    first: String,
    count: u64,
}

impl Notes {
    /// Counts the oddity, and keeps its text if it is the first of its kind.
    pub(crate) fn add(&mut self, oddity: Oddity, first: impl FnOnce() -> String) {
        match self.0.iter_mut().find(|note| note.oddity == oddity) {
            Some(note) => note.count += 1,
            None => self.0.push(Note { oddity, first: first(), count: 1 }),
        }
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Note::to_string)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        match self.count {
            1 => Ok(()),
            2 => f.write_str(" (and once more)"),
            count => write!(f, " (and {} more times)", count - 1),
        }
    }
}
