//! Signals as in the real world: a button bounces, a shaft turns now and then, a meter gives pulses while water runs.
//!
//! A signal consists of *episodes*: one press, one turn, one opening. Each episode begins and ends with the levels at
//! rest.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::change::Change;
use crate::clock::nanoseconds;

pub(super) type Changes = Box<dyn Iterator<Item = Change> + Send>;

/// A length of time: always the same, or random within a range.
///
/// ```
/// use std::time::Duration;
/// use linewake::sim::Span;
/// let exactly: Span = Duration::from_millis(5).into();
/// let about: Span = (Duration::from_millis(4)..=Duration::from_millis(6)).into();
/// # let _ = (exactly, about);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from_ns: u64,
    to_ns: u64,
}

/// A count: always the same, or random within a range.
///
/// ```
/// use linewake::sim::Count;
/// let (three, some): (Count, Count) = (3.into(), (1..=4).into());
/// # let _ = (three, some);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    from: u32,
    to: u32,
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Self { from_ns: nanoseconds(time), to_ns: nanoseconds(time) }
    }
}

impl From<RangeInclusive<Duration>> for Span {
    fn from(times: RangeInclusive<Duration>) -> Self {
        Self { from_ns: nanoseconds(*times.start()), to_ns: nanoseconds(*times.end()) }
    }
}

impl From<u32> for Count {
    fn from(count: u32) -> Self {
        Self { from: count, to: count }
    }
}

impl From<RangeInclusive<u32>> for Count {
    fn from(counts: RangeInclusive<u32>) -> Self {
        Self { from: *counts.start(), to: *counts.end() }
    }
}

impl Span {
    fn check(self, what: &str) -> Result<(), String> {
        check_range(self.from_ns, self.to_ns, what)
    }
}

impl Count {
    fn check(self, what: &str) -> Result<(), String> {
        check_range(self.from.into(), self.to.into(), what)
    }
}

fn check_range(from: u64, to: u64, what: &str) -> Result<(), String> {
    if from > to { Err(format!("{what}: the start of the range is after its end")) } else { Ok(()) }
}

/// The signal of a line.
///
/// ```
/// use std::time::Duration;
/// use linewake::sim::Signal;
/// let (ms, us) = (Duration::from_millis, Duration::from_micros);
/// // A clock that is 20 millionths too slow, with spikes.
/// let clock = Signal::period(ms(1)).drift_ppm(20.0).glitch(ms(50)..=ms(90), us(1)..=us(5));
/// // A relay that takes three bounces to settle.
/// let relay = Signal::pulses(ms(200), ms(800)).bounce(3, us(500), us(200));
/// // A meter: ten pulses, then a second of nothing.
/// let meter = Signal::burst(10, ms(5), ms(1000));
/// // A wire that nothing holds.
/// let loose = Signal::noise(us(10)..=ms(30));
/// # let _ = (clock, relay, meter, loose);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    shape: Shape,
    first: Option<Span>,
    bounce: Option<Bounce>,
    glitch: Option<Glitch>,
    times: Option<u32>,
    /// The number of its stream of random values, if it is not the one of its offset.
    stream: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Rest,
    Period(Period),
    Pulses { high: Span, low: Span },
    Burst { pulses: Count, half: Span, pause: Span },
    Noise { every: Span },
}

#[derive(Clone, Debug, PartialEq)]
struct Period {
    period_ns: u64,
    duty: f64,
    phase_ns: u64,
    jitter_ns: u64,
    drift_ppm: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounce {
    count: Count,
    spacing: Span,
    width: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Glitch {
    every: Span,
    width: Span,
}

impl Period {
    fn check(&self) -> Result<(), String> {
        let Self { period_ns, duty, jitter_ns, drift_ppm, .. } = *self;
        let (period, high_ns) = (period_ns as f64, period_ns as f64 * duty);
        if period_ns < 2 {
            return Err(format!("a period of {period_ns} ns is too short; expected at least 2 ns"));
        }
        if !(high_ns >= 1.0 && period - high_ns >= 1.0) {
            return Err(format!("a duty of {duty} is out of range; expected more than 0 and less than 1"));
        }
        if jitter_ns as f64 > high_ns.min(period - high_ns) / 2.0 {
            let most = "half of a pulse and half of the time between pulses";
            return Err(format!("the jitter is too large; expected at most {most}"));
        }
        if !drift_ppm.is_finite() || drift_ppm.abs() >= 1_000_000.0 {
            return Err(format!("a drift of {drift_ppm} ppm is out of range; expected between -1000000 and 1000000"));
        }
        Ok(())
    }
}

impl Signal {
    fn new(shape: Shape) -> Self {
        Self { shape, first: None, bounce: None, glitch: None, times: None, stream: None }
    }

    /// No changes, except [glitches](Self::glitch).
    #[must_use]
    pub fn rest() -> Self {
        Self::new(Shape::Rest)
    }

    /// One pulse in every period. It is high for half of the period by default; see [`duty`](Self::duty).
    #[must_use]
    pub fn period(period: Duration) -> Self {
        let period_ns = nanoseconds(period);
        Self::new(Shape::Period(Period { period_ns, duty: 0.5, phase_ns: 0, jitter_ns: 0, drift_ppm: 0.0 }))
    }

    /// Pulses that are high for `high`, with `low` between them.
    #[must_use]
    pub fn pulses(high: impl Into<Span>, low: impl Into<Span>) -> Self {
        Self::new(Shape::Pulses { high: high.into(), low: low.into() })
    }

    /// Bursts of `pulses` pulses, each high for `half` and low for `half`, and a pause between bursts. A random `half`
    /// is chosen once for each burst.
    #[must_use]
    pub fn burst(pulses: impl Into<Count>, half: impl Into<Span>, pause: impl Into<Span>) -> Self {
        Self::new(Shape::Burst { pulses: pulses.into(), half: half.into(), pause: pause.into() })
    }

    /// Changes with the time `every` between them.
    #[must_use]
    pub fn noise(every: impl Into<Span>) -> Self {
        Self::new(Shape::Noise { every: every.into() })
    }

    /// Sets which part of its period a periodic signal is high: more than 0 and less than 1. Other signals ignore it.
    #[must_use]
    pub fn duty(self, part: f64) -> Self {
        self.periodic(|period| period.duty = part)
    }

    /// Sets when the first period of a periodic signal begins: at 0 by default. Other signals ignore it.
    #[must_use]
    pub fn phase(self, phase: Duration) -> Self {
        self.periodic(|period| period.phase_ns = nanoseconds(phase))
    }

    /// Moves each change of a periodic signal by a random time, earlier or later by at most `most`. The next change
    /// does not move with it. Other signals ignore it.
    #[must_use]
    pub fn jitter(self, most: Duration) -> Self {
        self.periodic(|period| period.jitter_ns = nanoseconds(most))
    }

    /// Makes the period of a periodic signal longer by this many millionths, so that it drifts away from the chip's
    /// clock. Other signals ignore it.
    #[must_use]
    pub fn drift_ppm(self, ppm: f64) -> Self {
        self.periodic(|period| period.drift_ppm = ppm)
    }

    fn periodic(mut self, set: impl FnOnce(&mut Period)) -> Self {
        if let Shape::Period(period) = &mut self.shape {
            set(period);
        }
        self
    }

    /// Sets the time before the first pulse, burst or change: the same as between two of them by default. A periodic
    /// signal must not have it; it has a [phase](Self::phase).
    #[must_use]
    pub fn first(mut self, first: impl Into<Span>) -> Self {
        self.first = Some(first.into());
        self
    }

    /// Bounces like a mechanical contact. After each change the line keeps the new level for `spacing` and goes back
    /// for `width`, and does this `count` times before it stays. The length of a pulse counts from there.
    #[must_use]
    pub fn bounce(mut self, count: impl Into<Count>, spacing: impl Into<Span>, width: impl Into<Span>) -> Self {
        self.bounce = Some(Bounce { count: count.into(), spacing: spacing.into(), width: width.into() });
        self
    }

    /// Adds spikes: after each time `every` the line has the other level for `width`, unless it changes in that time.
    #[must_use]
    pub fn glitch(mut self, every: impl Into<Span>, width: impl Into<Span>) -> Self {
        self.glitch = Some(Glitch { every: every.into(), width: width.into() });
        self
    }

    /// Ends the signal after this many pulses, bursts or changes; glitches go on. By default it does not end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use linewake::sim::{ClockKind, SimLine, Script, Signal};
    /// let (ms, s) = (Duration::from_millis, Duration::from_secs);
    /// let door = SimLine::new("door").signal(Signal::pulses(ms(300), s(2)).times(3));
    /// let chip = Script::new().line(door).clock(ClockKind::Virtual).open()?;
    /// let mut edges = chip.request().line("door").start()?;
    /// assert!((0..6).all(|_| edges.wait_next().is_some()));
    /// assert!(edges.wait_next_timeout(ms(20)).unwrap().unwrap_err().is_timeout()); // there is no seventh
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Sets the number of its stream of random values: its offset plus one by default. Two signals with the same stream
    /// get the same values.
    #[must_use]
    pub fn stream(mut self, stream: u64) -> Self {
        self.stream = Some(stream);
        self
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match &self.shape {
            Shape::Rest => {}
            Shape::Period(_) if self.first.is_some() => {
                return Err("a periodic signal cannot have \"first\"; use \"phase\"".to_owned());
            }
            Shape::Period(period) => period.check()?,
            Shape::Pulses { high, low } => {
                high.check("\"high\"")?;
                low.check("\"low\"")?;
                if high.from_ns == 0 || low.from_ns == 0 {
                    return Err("\"high\" and \"low\" must be longer than 0".to_owned());
                }
            }
            Shape::Burst { pulses, half, pause } => {
                pulses.check("\"pulses\"")?;
                half.check("\"half\"")?;
                pause.check("\"pause\"")?;
                if pulses.from == 0 || half.from_ns == 0 {
                    return Err("a burst needs at least 1 pulse, and \"half\" must be longer than 0".to_owned());
                }
            }
            Shape::Noise { every } => {
                every.check("\"every\"")?;
                if every.from_ns == 0 {
                    return Err("\"every\" must be longer than 0".to_owned());
                }
            }
        }
        self.first.map_or(Ok(()), |first| first.check("\"first\""))?;
        if let Some(Bounce { count, spacing, width }) = self.bounce {
            count.check("\"count\"")?;
            spacing.check("\"spacing\"")?;
            width.check("\"width\"")?;
        }
        if let Some(Glitch { every, width }) = self.glitch {
            every.check("\"every\"")?;
            width.check("\"width\"")?;
            if every.from_ns == 0 || width.from_ns == 0 {
                return Err("\"every\" and \"width\" of a glitch must be longer than 0".to_owned());
            }
        }
        Ok(())
    }

    /// The changes of this signal on a line.
    pub(super) fn play(&self, seed: u64, offset: u32, is_high: bool) -> Changes {
        let stream = self.stream.unwrap_or(u64::from(offset) + 1);
        let mut write = self.episodes();
        if let Some(mut left) = self.times {
            let mut each = write;
            write = Box::new(move |episode| {
                if left > 0 {
                    left -= 1;
                    each(episode);
                }
            });
        }
        let changes = Episodes::new(Random::new(seed, stream), [(offset, is_high); 2], self.bounce, write);
        match self.glitch {
            None => Box::new(changes),
            Some(Glitch { every, width }) => {
                let mut random = Random::new(!seed, stream);
                let at_ns = random.of(every);
                let width_ns = random.of(width);
                let changes = changes.peekable();
                Box::new(Glitches { changes, every, width, random, at_ns, width_ns, offset, is_high, end: None })
            }
        }
    }

    /// A function that writes its episodes, one per call.
    fn episodes(&self) -> Write {
        let first = self.first;
        match self.shape.clone() {
            Shape::Rest => Box::new(|_| {}),
            Shape::Period(Period { period_ns, duty, phase_ns, jitter_ns, drift_ppm }) => {
                let mut begun = 0_u64;
                Box::new(move |episode| {
                    let period = period_ns as f64 * (drift_ppm / 1_000_000.0);
                    let nominal = phase_ns.checked_add(begun.saturating_mul(period_ns));
                    let Some(start_ns) = nominal.map(|ns| ns.saturating_add_signed((begun as f64 * period) as i64))
                    else {
                        return;
                    };
                    begun += 1;
                    episode.wait_until(start_ns, jitter_ns);
                    episode.change(0, true);
                    episode.wait_until(start_ns.saturating_add((period_ns as f64 * duty).round() as u64), jitter_ns);
                    episode.change(0, false);
                })
            }
            Shape::Pulses { high, low } => Box::new(move |episode| {
                episode.pause(first, low);
                episode.change(0, true);
                episode.wait(high);
                episode.change(0, false);
            }),
            Shape::Burst { pulses, half, pause } => Box::new(move |episode| {
                episode.pause(first, pause);
                let half_ns = episode.random.of(half);
                for _ in 0..episode.random.between(pulses.from.into(), pulses.to.into()) {
                    for level in [true, false] {
                        episode.at_ns = episode.at_ns.saturating_add(half_ns);
                        episode.change(0, level);
                    }
                }
            }),
            Shape::Noise { every } => {
                let mut level = false;
                Box::new(move |episode| {
                    episode.pause(first, every);
                    level = !level;
                    episode.change(0, level);
                })
            }
        }
    }
}

/// The direction of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Random for each turn.
    #[default]
    Either,
    /// The first channel leads.
    Forward,
    /// The second channel leads.
    Backward,
}

/// The two channels of a rotary encoder.
///
/// ```
/// use std::time::Duration;
/// use linewake::sim::{SimLine, Quadrature, Script, Turn};
/// let ms = Duration::from_millis;
/// let wheel = Quadrature::new(ms(2), ms(500)).notches(1..=20).turn(Turn::Forward);
/// let chip = Script::new().line(SimLine::new("a")).line(SimLine::new("b")).quadrature("a", "b", wheel).open()?;
/// let mut edges = chip.request().lines(["a", "b"]).start()?;
/// assert_eq!(edges.wait_next().unwrap()?.name.as_deref(), Some("a"));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quadrature {
    quarter: Span,
    pause: Span,
    first: Option<Span>,
    notches: Count,
    turn: Turn,
}

impl Quadrature {
    /// Turns of one notch, with pauses between them. A notch is four changes, one after each `quarter`.
    #[must_use]
    pub fn new(quarter: impl Into<Span>, pause: impl Into<Span>) -> Self {
        let (quarter, pause) = (quarter.into(), pause.into());
        Self { quarter, pause, first: None, notches: 1.into(), turn: Turn::Either }
    }

    /// Sets the time before the first turn: a pause by default.
    #[must_use]
    pub fn first(mut self, first: impl Into<Span>) -> Self {
        self.first = Some(first.into());
        self
    }

    /// Sets how many notches a turn has.
    #[must_use]
    pub fn notches(mut self, notches: impl Into<Count>) -> Self {
        self.notches = notches.into();
        self
    }

    /// Sets the direction of the turns.
    #[must_use]
    pub fn turn(mut self, turn: Turn) -> Self {
        self.turn = turn;
        self
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.quarter.check("\"quarter\"")?;
        self.pause.check("\"pause\"")?;
        self.first.map_or(Ok(()), |first| first.check("\"first\""))?;
        self.notches.check("\"notches\"")?;
        if self.quarter.from_ns == 0 || self.notches.from == 0 {
            return Err("a turn needs at least 1 notch, and \"quarter\" must be longer than 0".to_owned());
        }
        Ok(())
    }

    pub(super) fn play(&self, seed: u64, lines: [(u32, bool); 2]) -> Changes {
        let Self { quarter, pause, first, notches, turn } = self.clone();
        let write: Write = Box::new(move |episode| {
            episode.pause(first, pause);
            let is_forward = match turn {
                Turn::Either => episode.random.between(0, 1) == 0,
                turn => turn == Turn::Forward,
            };
            let (first, second) = if is_forward { (0, 1) } else { (1, 0) };
            for _ in 0..episode.random.between(notches.from.into(), notches.to.into()) {
                for (line, level) in [(first, true), (second, true), (first, false), (second, false)] {
                    episode.wait(quarter);
                    episode.change(line, level);
                }
            }
        });
        let stream = u64::from(lines[0].0) + 1;
        Box::new(Episodes::new(Random::new(seed, stream), lines, None, write))
    }
}

/// Writes one episode.
type Write = Box<dyn FnMut(&mut Episode) + Send>;

/// Iterates over the changes of a signal's episodes.
struct Episodes {
    episode: Episode,
    write: Write,
}

/// The changes that are written but not taken yet.
struct Episode {
    random: Random,
    /// The time of the next change to write.
    at_ns: u64,
    is_first: bool,
    /// The lines, and whether each is high at rest.
    lines: [(u32, bool); 2],
    bounce: Option<Bounce>,
    changes: VecDeque<Change>,
}

impl Episodes {
    fn new(random: Random, lines: [(u32, bool); 2], bounce: Option<Bounce>, write: Write) -> Self {
        let episode = Episode { random, at_ns: 0, is_first: true, lines, bounce, changes: VecDeque::new() };
        Self { episode, write }
    }
}

impl Iterator for Episodes {
    type Item = Change;

    /// Ends when an episode has no changes, or at the end of the clock's range.
    fn next(&mut self) -> Option<Change> {
        if self.episode.changes.is_empty() {
            (self.write)(&mut self.episode);
            self.episode.is_first = false;
        }
        self.episode.changes.pop_front().filter(|change| change.at_ns < u64::MAX)
    }
}

impl Episode {
    fn wait(&mut self, time: Span) {
        self.at_ns = self.at_ns.saturating_add(self.random.of(time));
    }

    /// Moves to a moment, shifted by random jitter. Time does not go back.
    fn wait_until(&mut self, moment_ns: u64, jitter_ns: u64) {
        let early_ns = moment_ns.saturating_sub(jitter_ns);
        let moment_ns = self.random.between(early_ns, moment_ns.saturating_add(jitter_ns));
        self.at_ns = if self.is_first { moment_ns } else { moment_ns.max(self.at_ns.saturating_add(1)) };
    }

    fn pause(&mut self, first: Option<Span>, later: Span) {
        self.wait(first.filter(|_| self.is_first).unwrap_or(later));
    }

    fn set(&mut self, line: usize, level: bool) {
        let (offset, is_high) = self.lines[line];
        self.changes.push_back(Change::level(self.at_ns, offset, level != is_high));
    }

    /// Changes a line, and adds its bounces.
    fn change(&mut self, line: usize, level: bool) {
        self.set(line, level);
        let Some(Bounce { count, spacing, width }) = self.bounce else {
            return;
        };
        for _ in 0..self.random.between(count.from.into(), count.to.into()) {
            self.wait(spacing);
            self.set(line, !level);
            self.wait(width);
            self.set(line, level);
        }
    }
}

/// A signal with spikes on it.
struct Glitches {
    changes: Peekable<Episodes>,
    every: Span,
    width: Span,
    random: Random,
    /// The next spike.
    at_ns: u64,
    width_ns: u64,
    offset: u32,
    is_high: bool,
    /// The end of the spike that began.
    end: Option<Change>,
}

impl Iterator for Glitches {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if let Some(end) = self.end.take() {
            return Some(end);
        }
        loop {
            let next_ns = self.changes.peek().map_or(u64::MAX, |change| change.at_ns);
            if next_ns <= self.at_ns {
                let change = self.changes.next()?;
                if let super::change::What::Level { level, .. } = change.what {
                    self.is_high = level;
                }
                return Some(change);
            }
            let (at_ns, end_ns) = (self.at_ns, self.at_ns.saturating_add(self.width_ns));
            self.at_ns = end_ns.saturating_add(self.random.of(self.every));
            self.width_ns = self.random.of(self.width);
            if end_ns < next_ns {
                self.end = Some(Change::level(end_ns, self.offset, self.is_high));
                return Some(Change::level(at_ns, self.offset, !self.is_high));
            }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good with every seed.
struct Random(u64);

impl Random {
    /// The values of a stream depend only on the seed and its number, not on other streams.
    fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xD129_0E0F_5A3C_71B5))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A random number from `from` to `to`, both included.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        let next = self.next();
        match (to - from).checked_add(1) {
            Some(count) => from + next % count,
            None => next,
        }
    }

    fn of(&mut self, span: Span) -> u64 {
        self.between(span.from_ns, span.to_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Script, What};
    use super::*;
    use crate::sim::SimLine;

    const SECOND: u64 = 1_000_000_000;
    const DOOR: u32 = 5;

    /// Time, offset, level.
    fn play(script: &Script, seed: u64, until_ns: u64) -> Vec<(u64, u32, bool)> {
        script.check().unwrap();
        let mut play = script.play(seed);
        std::iter::from_fn(|| play.take())
            .take_while(|change| change.at_ns <= until_ns)
            .map(|change| match change.what {
                What::Level { offset, level } => (change.at_ns, offset.get(), level),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn alone(signal: Signal, until_ns: u64) -> Vec<(u64, bool)> {
        let changes = play(&Script::new().line(SimLine::new("it").signal(signal)), 1, until_ns);
        changes.into_iter().map(|(at_ns, _, level)| (at_ns, level)).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_changes() {
        let life = Script::life();
        assert_eq!(play(&life, 7, 30 * SECOND), play(&life, 7, 30 * SECOND));
        assert_ne!(play(&life, 7, 30 * SECOND), play(&life, 8, 30 * SECOND));
    }

    #[test]
    fn changes_come_in_order_and_alternate_on_each_line() {
        for seed in 0..50 {
            let mut levels = [false; 12];
            let mut last_ns = 0;
            for (at_ns, offset, is_high) in play(&Script::life(), seed, 60 * SECOND) {
                assert!(at_ns >= last_ns);
                last_ns = at_ns;
                let level = &mut levels[offset as usize];
                assert_ne!(*level, is_high, "line {offset} at {last_ns} with seed {seed}");
                *level = is_high;
            }
        }
    }

    #[test]
    fn several_lines_change_within_two_and_a_half_seconds() {
        for seed in 0..200 {
            let early = play(&Script::life(), seed, 5 * SECOND / 2);
            let lively = (0..=DOOR).filter(|&line| early.iter().any(|change| change.1 == line));
            assert!(lively.count() >= 5, "seed {seed}");
        }
    }

    #[test]
    fn quiet_lines_are_not_waited_for() {
        let life = Script::life().play(1);
        assert!((0..12).all(|line| life.of(|it| it == line).next().is_some() == (line <= DOOR)));
    }

    #[test]
    fn a_pulse_per_second_is_one() {
        let all = play(&Script::life(), 1, 10 * SECOND);
        let rising: Vec<_> =
            all.into_iter().filter(|change| change.1 == 0 && change.2).map(|change| change.0).collect();
        assert_eq!(rising.len(), 10);
        assert!(rising.windows(2).all(|two| two[1] - two[0] == SECOND));
    }

    const fn us(time: u64) -> Duration {
        Duration::from_micros(time)
    }

    #[test]
    fn a_period_has_phase_and_duty() {
        let signal = Signal::period(us(10)).duty(0.3).phase(us(4));
        assert_eq!(alone(signal, 18_000), [(4_000, true), (7_000, false), (14_000, true), (17_000, false)]);
        let rising = |signal| alone(signal, SECOND).into_iter().filter(|change| change.1).map(|change| change.0);
        let drifting: Vec<_> = rising(Signal::period(us(1000)).drift_ppm(1000.0)).take(500).collect();
        assert!((0..).zip(&drifting).all(|(n, &at_ns)| at_ns == n * 1_001_000), "{drifting:?}");
        let trembling: Vec<_> = rising(Signal::period(us(1000)).phase(us(100)).jitter(us(100))).collect();
        let off = (0..).zip(&trembling).map(|(n, &at_ns)| at_ns.abs_diff(100_000 + n * 1_000_000));
        assert!(off.clone().all(|off_ns| off_ns <= 100_000) && off.max() > Some(50_000), "it does not drift away");
    }

    #[test]
    fn a_contact_bounces_before_its_pulse_begins() {
        let signal = Signal::pulses(us(100), us(50)).first(us(10)).bounce(2, us(3), us(1));
        let on = [(10, true), (13, false), (14, true), (17, false), (18, true)];
        let off = [(118, false), (121, true), (122, false), (125, true), (126, false), (176, true)];
        let expected: Vec<_> = on.into_iter().chain(off).map(|(at, level)| (at * 1_000, level)).collect();
        assert_eq!(alone(signal, 176_000), expected);
    }

    #[test]
    fn glitches_are_short_and_leave_the_signal_as_it_is() {
        let plain = Signal::period(us(100));
        let spiked = plain.clone().glitch(us(7)..=us(90), us(1)..=us(3));
        let (plain, spiked) = (alone(plain, SECOND / 10), alone(spiked, SECOND / 10));
        assert!(spiked.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 != two[1].1));
        assert!(plain.iter().all(|change| spiked.contains(change)));
        let mut spikes: Vec<_> = spiked.iter().filter(|change| !plain.contains(change)).collect();
        assert!(spikes.len() > 2000 && spikes.len() + plain.len() == spiked.len());
        assert!(spikes.chunks_mut(2).all(|two| (1_000..=3_000).contains(&(two[1].0 - two[0].0))));
        let alone = alone(Signal::rest().glitch(us(10), us(1)), 40_000);
        assert_eq!(
            alone,
            [(10_000, true), (11_000, false), (21_000, true), (22_000, false), (32_000, true), (33_000, false)]
        );
    }

    #[test]
    fn noise_changes_and_bursts_pause() {
        let noise = alone(Signal::noise(us(1)..=us(9)), 1_000_000);
        assert!(noise.windows(2).all(|two| two[0].1 != two[1].1 && (1_000..=9_000).contains(&(two[1].0 - two[0].0))));
        assert_eq!(
            alone(Signal::burst(2, us(1), us(10)), 26_000),
            [(11_000, true), (12_000, false), (13_000, true), (14_000, false), (25_000, true), (26_000, false)]
        );
    }

    #[test]
    fn a_line_that_is_high_at_rest_pulses_low() {
        let line = SimLine::new("it").initially(true).signal(Signal::pulses(us(1), us(5)));
        assert_eq!(play(&Script::new().line(line), 1, 6_000), [(5_000, 0, false), (6_000, 0, true)]);
    }

    #[test]
    fn a_signal_ends_with_the_clock() {
        let centuries = Duration::from_secs(10_000_000_000);
        let last = alone(Signal::pulses(centuries, centuries), u64::MAX);
        assert_eq!(last, [(10_000_000_000 * SECOND, true)]);
        assert_eq!(alone(Signal::period(centuries), u64::MAX).len(), 4);
        assert!(alone(Signal::rest(), u64::MAX).is_empty());
    }

    #[test]
    fn impossible_signals_are_refused() {
        for signal in [
            Signal::period(us(0)),
            Signal::period(us(1)).duty(0.0),
            Signal::period(us(1)).duty(1.0),
            Signal::period(us(1)).duty(f64::NAN),
            Signal::period(us(1)).jitter(us(1)),
            Signal::period(us(1)).drift_ppm(f64::INFINITY),
            Signal::period(us(1)).first(us(1)),
            Signal::pulses(us(0), us(1)),
            Signal::pulses(us(2)..=us(1), us(1)),
            Signal::burst(0, us(1), us(1)),
            Signal::noise(us(0)),
            Signal::rest().glitch(us(1), us(0)),
            Signal::rest().bounce(Count { from: 3, to: 1 }, us(1), us(1)),
        ] {
            assert!(signal.check().is_err(), "{signal:?}");
        }
    }
}
