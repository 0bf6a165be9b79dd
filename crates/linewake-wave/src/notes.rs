//! What is odd about a file and does not keep it from being read.

use std::fmt;

/// Kinds of oddities; each is said once.
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

/// What is said, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Note>);

#[derive(Debug)]
struct Note {
    oddity: Oddity,
    first: String,
    count: u64,
}

impl Notes {
    /// Says it if nothing of its kind was said, and counts it.
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
