//! A script of a simulated chip: lines with their signals, faults, and recorded changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::change::{Change, ClockKind, What};
use super::play::Play;
use super::signal::{Quadrature, Signal};
use crate::clock::nanoseconds;
use crate::{Error, ErrorKind, Offset};

/// A simulated chip: what happens on it, and how it loses edges. See the [module](crate::sim).
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(crate) label: Option<String>,
    pub(crate) lines: Vec<SimLine>,
    /// The least number of lines, with and without a name.
    pub(crate) line_count: u32,
    pub(crate) seed: Option<u64>,
    pub(crate) clock: Option<ClockKind>,
    pub(crate) queue_size: u32,
    pub(crate) merge_within: Duration,
    pub(crate) interrupt_delay: Duration,
    quadratures: Vec<Wheel>,
    faults: Vec<Change>,
    recordings: Vec<Recording>,
    /// The file it comes from, for error messages.
    pub(super) file: Option<Arc<str>>,
    /// Notes for the user about the file.
    pub(super) notes: Vec<String>,
}

/// Two lines, and what turns between them.
#[derive(Clone, Debug)]
struct Wheel {
    a: String,
    b: String,
    quadrature: Quadrature,
}

/// A line of a [`Script`].
///
/// ```
/// use std::time::Duration;
/// use linewake::sim::{SimLine, Script, Signal};
/// let closed = SimLine::new("door").offset(3).initially(true);
/// let hum = Signal::period(Duration::from_millis(20)).jitter(Duration::from_micros(300));
/// let chip = Script::new().line(closed).line(SimLine::new("hum").signal(hum)).open()?;
/// assert_eq!((chip.info().lines, chip.find("hum")?.get()), (5, 4));
/// assert!(chip.value("door")?);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimLine {
    pub(crate) name: String,
    pub(crate) offset: Option<u32>,
    pub(crate) initially: bool,
    signal: Option<Signal>,
    pub(crate) merge_within: Option<Duration>,
    pub(crate) interrupt_delay: Option<Duration>,
}

impl SimLine {
    /// A line with this name, which may be empty. It is low, and nothing changes it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            offset: None,
            initially: false,
            signal: None,
            merge_within: None,
            interrupt_delay: None,
        }
    }

    /// Sets its offset on the chip. By default it comes after the line before it.
    #[must_use]
    pub fn offset(mut self, offset: impl Into<Offset>) -> Self {
        self.offset = Some(offset.into().get());
        self
    }

    /// Sets its level at the beginning. If it is high, its signal is inverted: pulses go low.
    #[must_use]
    pub fn initially(mut self, high: bool) -> Self {
        self.initially = high;
        self
    }

    /// Sets its signal.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.signal = Some(signal);
        self
    }

    /// As [`Script::merge_within`], for this line only.
    #[must_use]
    pub fn merge_within(mut self, window: Duration) -> Self {
        self.merge_within = Some(window);
        self
    }

    /// As [`Script::interrupt_delay`], for this line only.
    #[must_use]
    pub fn interrupt_delay(mut self, delay: Duration) -> Self {
        self.interrupt_delay = Some(delay);
        self
    }
}

/// Recorded changes. They start from the beginning each time the script is opened.
#[derive(Clone)]
struct Recording(Arc<dyn Fn() -> Box<dyn Iterator<Item = Change> + Send> + Send + Sync>);

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recording")
    }
}

impl Script {
    /// A script without lines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes on the file of the script: what was left out, and what is odd.
    ///
    /// ```
    /// assert!(linewake::sim::Script::new().notes().is_empty());
    /// ```
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sets the label of the chip's hardware.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the least number of lines. The chip has more if the lines of the script need them.
    #[must_use]
    pub fn line_count(mut self, lines: u32) -> Self {
        self.line_count = lines;
        self
    }

    /// Sets the seed of random values, for a chip that is opened without one: 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the clock, for a chip that is opened without one: the system's clock by default.
    #[must_use]
    pub fn clock(mut self, clock: ClockKind) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets the queue size, in events, of requests that do not set their own: 16 for each line by default, as on Linux.
    /// It is rounded up to a power of two, and is at most 1,024.
    #[must_use]
    pub fn queue_size(mut self, events: u32) -> Self {
        self.queue_size = events;
        self
    }

    /// Merges edges into the last edge of their line if they follow it within this time. Merged edges are not reported.
    #[must_use]
    pub fn merge_within(mut self, window: Duration) -> Self {
        self.merge_within = window;
        self
    }

    /// Sets the time from an edge to the handling of its interrupt. Edges of the line in this time are merged into one
    /// event, with the time of the last edge and the level at the end. So when a line is faster than its interrupts,
    /// the same direction can come twice, as on Linux.
    #[must_use]
    pub fn interrupt_delay(mut self, delay: Duration) -> Self {
        self.interrupt_delay = delay;
        self
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, line: SimLine) -> Self {
        self.lines.push(line);
        self
    }

    /// Makes two lines of the script, given by name, the two channels of a rotary encoder.
    #[must_use]
    pub fn quadrature(mut self, a: impl Into<String>, b: impl Into<String>, quadrature: Quadrature) -> Self {
        self.quadratures.push(Wheel { a: a.into(), b: b.into(), quadrature });
        self
    }

    /// Unplugs the chip at this time of its clock. It is plugged in again after `gone_for`, or never with `None`.
    #[must_use]
    pub fn unplug(self, at: Duration, gone_for: Option<Duration>) -> Self {
        let back = gone_for.map(|gone_for| at.saturating_add(gone_for));
        let script = self.fault(at, What::Unplug);
        back.into_iter().fold(script, |script, back| script.fault(back, What::Replug))
    }

    /// Makes readers too slow from this time of the chip's clock on, for `slow_for`: no request gets an edge.
    #[must_use]
    pub fn slow(self, at: Duration, slow_for: Duration) -> Self {
        self.fault(at, What::Slow).fault(at.saturating_add(slow_for), What::Prompt)
    }

    fn fault(mut self, at: Duration, what: What) -> Self {
        let at_ns = nanoseconds(at);
        let place = self.faults.partition_point(|fault| fault.at_ns <= at_ns);
        self.faults.insert(place, Change { at_ns, what });
        self
    }

    /// Adds changes that were recorded or computed elsewhere, in order of time. A change that is out of order happens
    /// at the time of the one before it. A change of a line that the chip does not have is ignored.
    ///
    /// ```
    /// use linewake::sim::{Change, SimLine, Script, What};
    /// let level = |n| What::Level { offset: 0.into(), level: n % 2 == 1 };
    /// let blink = (1..).map(move |n| Change { at_ns: n * 250_000_000, what: level(n) });
    /// let chip = Script::new().line(SimLine::new("led")).changes(blink).open()?;
    /// let mut edges = chip.request().line("led").start()?;
    /// assert_eq!(edges.wait_next().unwrap()?.timestamp_ns, 250_000_000);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn changes<I>(self, changes: I) -> Self
    where
        I: IntoIterator<Item = Change> + Clone + Send + Sync + 'static,
        I::IntoIter: Send,
    {
        self.recording(move || Box::new(changes.clone().into_iter()))
    }

    /// Like [`changes`](Self::changes), from a function that starts the changes from the beginning.
    pub(super) fn recording(
        mut self,
        begin: impl Fn() -> Box<dyn Iterator<Item = Change> + Send> + Send + Sync + 'static,
    ) -> Self {
        self.recordings.push(Recording(Arc::new(begin)));
        self
    }

    /// The changes that were added with [`changes`](Self::changes), without the signals and faults of the script.
    ///
    /// ```
    /// use linewake::sim::{Change, SimLine, Script, What};
    /// let up = Change { at_ns: 250, what: What::Level { offset: 0.into(), level: true } };
    /// let script = Script::new().line(SimLine::new("led")).changes([up]);
    /// assert_eq!(script.recorded().collect::<Vec<_>>(), [up]);
    /// let slower = script.map_recorded(|change| Change { at_ns: change.at_ns * 2, ..change });
    /// assert_eq!(slower.recorded().map(|change| change.at_ns).collect::<Vec<_>>(), [500]);
    /// ```
    pub fn recorded(&self) -> impl Iterator<Item = Change> + '_ {
        self.recordings.iter().flat_map(|Recording(begin)| begin())
    }

    /// Replaces each [recorded](Self::recorded) change, for example to play slower or on other lines.
    #[must_use]
    pub fn map_recorded(mut self, map: impl Fn(Change) -> Change + Clone + Send + Sync + 'static) -> Self {
        for Recording(begin) in &mut self.recordings {
            let (map, all) = (map.clone(), begin.clone());
            *begin = Arc::new(move || Box::new(all().map(map.clone())));
        }
        self
    }

    /// The script of the chip `sim`.
    pub(crate) fn life() -> Self {
        let (ms, us) = (Duration::from_millis, Duration::from_micros);
        let pps = Signal::period(ms(1000)).duty(0.1).phase(ms(500));
        let button = Signal::pulses(ms(80)..=ms(300), ms(1000)..=ms(3000)).first(ms(600)..=ms(1200)).bounce(
            1..=4,
            us(60)..=us(900),
            us(40)..=us(500),
        );
        let encoder = Quadrature::new(ms(3)..=ms(12), ms(800)..=ms(2500)).first(ms(200)..=ms(900)).notches(1..=4);
        let flow = Signal::burst(4..=16, ms(6)..=ms(12), ms(1500)..=ms(4000)).first(ms(300)..=ms(1500)).stream(4);
        let door = Signal::pulses(ms(2000)..=ms(8000), ms(6000)..=ms(20_000)).first(ms(1000)..=ms(2200)).stream(5);
        let named = Self::still().with_signal(0, pps).with_signal(1, button).with_signal(4, flow).with_signal(5, door);
        named.quadrature("encoder-a", "encoder-b", encoder)
    }

    /// The chip `sim` without signals.
    pub(crate) fn still() -> Self {
        const NAMES: [&str; 12] = [
            "pps",
            "button",
            "encoder-a",
            "encoder-b",
            "flow",
            "door",
            "tamper",
            "estop",
            "relay-1",
            "relay-2",
            "led",
            "",
        ];
        NAMES.into_iter().fold(Self::new(), |script, name| script.line(SimLine::new(name)))
    }

    /// Sets the number of lines, and drops those beyond it. An encoder that loses a line is dropped too.
    pub(crate) fn cut_to(mut self, lines: u32) -> Self {
        self.line_count = lines;
        self.lines.truncate(lines as usize);
        let known: Vec<_> = self.lines.iter().map(|line| line.name.clone()).collect();
        self.quadratures.retain(|wheel| known.contains(&wheel.a) && known.contains(&wheel.b));
        self
    }

    fn with_signal(mut self, line: usize, signal: Signal) -> Self {
        self.lines[line].signal = Some(signal);
        self
    }

    /// The offset of each line.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (u32, &SimLine)> {
        let mut next = 0_u32;
        self.lines.iter().map(move |line| {
            let offset = line.offset.unwrap_or(next);
            next = offset.saturating_add(1);
            (offset, line)
        })
    }

    /// The number of lines of the chip.
    pub(crate) fn size(&self) -> u32 {
        self.offsets().map(|(offset, _)| offset.saturating_add(1)).max().unwrap_or(0).max(self.line_count)
    }

    /// Refuses a script that contradicts itself or is out of range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_lines().map_err(|message| {
            let (kind, what) = match &self.file {
                Some(file) => (ErrorKind::BadFile, format!("{file}: {message}")),
                None => (ErrorKind::InvalidInput, format!("cannot play the script: {message}")),
            };
            Error::new(kind, what)
        })
    }

    pub(super) fn check_lines(&self) -> Result<(), String> {
        const MOST: u32 = linewake_controller::protocol::MAX_LINES as u32;
        let mut names = std::collections::HashMap::new();
        for (offset, line) in self.offsets() {
            let name = &line.name;
            if let Some(before) = names.insert(offset, name) {
                return Err(format!("lines \"{before}\" and \"{name}\" both have the offset {offset}"));
            }
            if let Some(signal) = &line.signal {
                signal.check().map_err(|what| format!("line \"{name}\": {what}"))?;
            }
        }
        match self.size() {
            0 => return Err("expected at least one line".to_owned()),
            size if size > MOST => return Err(format!("{size} lines are too many; a chip has at most {MOST}")),
            _ => {}
        }
        if self.queue_size == 1 || self.queue_size > 1024 {
            return Err(format!("a queue size of {} is out of range; expected 2 to 1024", self.queue_size));
        }
        for Wheel { a, b, quadrature } in &self.quadratures {
            quadrature.check().map_err(|what| format!("quadrature of \"{a}\" and \"{b}\": {what}"))?;
            let (first, second) = (self.find(a)?, self.find(b)?);
            if first.0 == second.0 {
                return Err(format!("expected two lines for a quadrature, found \"{a}\" twice"));
            }
            if first.1.signal.is_some() || second.1.signal.is_some() {
                return Err(format!("one of \"{a}\" and \"{b}\" has a signal; remove it, or the quadrature"));
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<(u32, &SimLine), String> {
        self.offsets().find(|(_, line)| line.name == name).ok_or_else(|| format!("unknown line \"{name}\""))
    }

    /// The changes of this script with the random values of `seed`, in order of time, without opening a chip. There may
    /// be no end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use linewake::sim::{SimLine, Script, Signal};
    /// let script = Script::new().line(SimLine::new("clk").signal(Signal::period(Duration::from_micros(10))));
    /// let times: Vec<_> = script.timeline(1)?.map(|change| change.at_ns).take(4).collect();
    /// assert_eq!(times, [0, 5_000, 10_000, 15_000]);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn timeline(&self, seed: u64) -> Result<impl Iterator<Item = Change> + use<>, Error> {
        self.check()?;
        let mut play = self.play(seed);
        Ok(std::iter::from_fn(move || play.take()))
    }

    /// All changes from the beginning. The script must have been checked.
    pub(crate) fn play(&self, seed: u64) -> Play {
        let mut play = Play::default();
        for (offset, line) in self.offsets() {
            if let Some(signal) = &line.signal {
                play.add(offset, vec![offset], signal.play(seed, offset, line.initially));
            }
        }
        for Wheel { a, b, quadrature } in &self.quadratures {
            if let (Ok((a, first)), Ok((b, second))) = (self.find(a), self.find(b)) {
                let lines = [(a, first.initially), (b, second.initially)];
                play.add(a.min(b), vec![a, b], quadrature.play(seed, lines));
            }
        }
        for Recording(begin) in &self.recordings {
            play.add(u32::MAX, vec![], begin());
        }
        if !self.faults.is_empty() {
            play.add(u32::MAX, vec![], Box::new(self.faults.clone().into_iter()));
        }
        play
    }
}
