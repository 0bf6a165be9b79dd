//! All changes of a chip, merged in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;

use super::change::Change;

/// Several sources of changes, merged. At the same time, the change of the first line comes first.
#[derive(Default)]
pub(crate) struct Play {
    tracks: Vec<Track>,
    /// The next change of each track that has one.
    next: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

struct Track {
    rank: u32,
    /// The lines that it changes. If empty, it may change any line and the chip itself.
    lines: Vec<u32>,
    next: Option<Change>,
    rest: Box<dyn Iterator<Item = Change> + Send>,
}

impl Play {
    pub(super) fn add(&mut self, rank: u32, lines: Vec<u32>, mut changes: Box<dyn Iterator<Item = Change> + Send>) {
        let next = changes.next();
        if let Some(next) = next {
            self.next.push(Reverse((next.at_ns, rank, self.tracks.len())));
        }
        self.tracks.push(Track { rank, lines, next, rest: changes });
    }

    /// The time of the next change.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.next.peek().map(|Reverse((at_ns, ..))| *at_ns)
    }

    /// The next change.
    pub(crate) fn peek(&self) -> Option<Change> {
        let Reverse((at_ns, _, index)) = self.next.peek()?;
        self.tracks[*index].next.map(|next| Change { at_ns: *at_ns, ..next })
    }

    pub(crate) fn take(&mut self) -> Option<Change> {
        let Reverse((at_ns, rank, index)) = self.next.pop()?;
        let track = &mut self.tracks[index];
        let taken = track.next.take()?;
        track.next = track.rest.next();
        if let Some(next) = track.next {
            self.next.push(Reverse((next.at_ns.max(at_ns), rank, index)));
        }
        Some(Change { at_ns, ..taken })
    }

    /// The time of the next change of each track that has a `watched` line or that may change the chip.
    pub(crate) fn of(&self, watched: impl Fn(u32) -> bool) -> impl Iterator<Item = u64> {
        let is_seen = move |track: &&Track| track.lines.is_empty() || track.lines.iter().any(|&line| watched(line));
        self.tracks.iter().filter(is_seen).filter_map(|track| Some(track.next?.at_ns))
    }

    /// True if an unplugged chip may come back.
    pub(crate) fn may_replug(&self) -> bool {
        self.tracks.iter().any(|track| track.lines.is_empty() && track.next.is_some())
    }
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Play").field("tracks", &self.tracks.len()).field("next_ns", &self.next_ns()).finish()
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("rank", &self.rank).finish_non_exhaustive()
    }
}
