//! Signals as the world makes them: a button bounces, a shaft turns in spurts, a meter pulses while water runs.
//!
//! A signal is made of *episodes*: one press, one turn, one opening. Each begins and ends with its lines low.

use std::collections::VecDeque;

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// A line takes a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// When, in nanoseconds of the chip's clock.
    pub(super) due_ns: u64,
    pub(super) offset: u32,
    pub(super) level: bool,
}

/// An endless source of changes, in order of time.
pub(super) struct Signal {
    episode: Episode,
    next: Box<dyn FnMut(&mut Episode) + Send>,
}

/// The changes that are written and not taken yet.
pub(super) struct Episode {
    random: Random,
    /// Where the next change is written.
    at_ns: u64,
    changes: VecDeque<Change>,
}

impl Signal {
    /// `next` writes one episode. The signal depends on the seed and on the signal's kind alone, not on other signals.
    pub(super) fn new<F: FnMut(&mut Episode) + Send + 'static>(seed: u64, (kind, next): (u64, F)) -> Self {
        let random = Random(seed ^ kind.wrapping_mul(0xD129_0E0F_5A3C_71B5));
        let mut episode = Episode { random, at_ns: 0, changes: VecDeque::new() };
        let mut next = Box::new(next);
        next(&mut episode);
        Self { episode, next }
    }

    /// When the next change is due.
    pub(super) fn due_ns(&self) -> u64 {
        self.episode.changes.front().map_or(u64::MAX, |change| change.due_ns)
    }

    pub(super) fn take(&mut self) -> Option<Change> {
        let change = self.episode.changes.pop_front();
        if self.episode.changes.is_empty() {
            (self.next)(&mut self.episode);
        }
        change
    }
}

impl std::fmt::Debug for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signal").field("at_ns", &self.episode.at_ns).finish_non_exhaustive()
    }
}

impl Episode {
    fn wait(&mut self, from_ns: u64, to_ns: u64) {
        self.at_ns += self.random.between(from_ns, to_ns);
    }

    fn set(&mut self, offset: u32, level: bool) {
        self.changes.push_back(Change { due_ns: self.at_ns, offset, level });
    }

    /// The first episode of a signal comes soon, so that there is something to see.
    fn pause(&mut self, first: (u64, u64), later: (u64, u64)) {
        let (from_ns, to_ns) = if self.at_ns == 0 { first } else { later };
        self.wait(from_ns, to_ns);
    }

    /// A mechanical contact: it closes or opens several times before it stays.
    fn bounce(&mut self, offset: u32, level: bool) {
        self.set(offset, level);
        for _ in 0..self.random.between(1, 4) {
            self.wait(60 * US, 900 * US);
            self.set(offset, !level);
            self.wait(40 * US, 500 * US);
            self.set(offset, level);
        }
    }
}

/// A clock's pulse: 100 ms high at the start of every second, the first one half a second in.
pub(super) fn pulse_per_second(offset: u32) -> (u64, impl FnMut(&mut Episode)) {
    (1, move |episode: &mut Episode| {
        episode.pause((500 * MS, 500 * MS), (900 * MS, 900 * MS));
        episode.set(offset, true);
        episode.at_ns += 100 * MS;
        episode.set(offset, false);
    })
}

/// A push button, every one to three seconds, with bounces.
pub(super) fn button(offset: u32) -> (u64, impl FnMut(&mut Episode)) {
    (2, move |episode: &mut Episode| {
        episode.pause((600 * MS, 1200 * MS), (1000 * MS, 3000 * MS));
        episode.bounce(offset, true);
        episode.wait(80 * MS, 300 * MS);
        episode.bounce(offset, false);
    })
}

/// A rotary encoder: turned by one to four notches, this way or that; each notch is a whole quadrature cycle.
pub(super) fn encoder(a: u32, b: u32) -> (u64, impl FnMut(&mut Episode)) {
    (3, move |episode: &mut Episode| {
        episode.pause((200 * MS, 900 * MS), (800 * MS, 2500 * MS));
        let (first, second) = if episode.random.between(0, 1) == 0 { (a, b) } else { (b, a) };
        for _ in 0..episode.random.between(1, 4) {
            for (offset, level) in [(first, true), (second, true), (first, false), (second, false)] {
                episode.wait(3 * MS, 12 * MS);
                episode.set(offset, level);
            }
        }
    })
}

/// A flow meter: 4 to 16 pulses of 12 to 24 ms, then nothing for a while.
pub(super) fn flow(offset: u32) -> (u64, impl FnMut(&mut Episode)) {
    (4, move |episode: &mut Episode| {
        episode.pause((300 * MS, 1500 * MS), (1500 * MS, 4000 * MS));
        let half_ns = episode.random.between(6 * MS, 12 * MS);
        for _ in 0..episode.random.between(4, 16) {
            for level in [true, false] {
                episode.at_ns += half_ns;
                episode.set(offset, level);
            }
        }
    })
}

/// A door: opened for some seconds, closed for longer.
pub(super) fn door(offset: u32) -> (u64, impl FnMut(&mut Episode)) {
    (5, move |episode: &mut Episode| {
        episode.pause((1000 * MS, 2200 * MS), (6000 * MS, 20_000 * MS));
        episode.set(offset, true);
        episode.wait(2000 * MS, 8000 * MS);
        episode.set(offset, false);
    })
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good for every seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Both bounds included.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from + 1)
    }
}
