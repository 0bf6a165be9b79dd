//! What to hold, and how: checked, asked for, started.

use std::collections::HashSet;
use std::time::Duration;

use super::ask::{as_asked, check};
use super::line::WatchedLine;
use super::part::Part;
use crate::backend::Ask;
use crate::{Bias, Chip, Edges, Error, ErrorKind, EventClock, LineConfig, LineId, Offset, Request};

/// What to hold, and how.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// let edges = chip.request().lines(["pps", "door"]).consumer("watchman").queue_size(256).start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// Lines are watched, both edges, unless something else is said: [`edges`](Self::edges),
/// [`active_low`](Self::active_low), [`bias`](Self::bias), [`debounce`](Self::debounce) and [`clock`](Self::clock) say
/// it of all lines but those that were given a [`LineConfig`] of their own.
#[derive(Clone, Debug)]
#[must_use = "nothing is held before `start`"]
pub struct RequestBuilder {
    chip: Chip,
    lines: Vec<(LineId, Option<LineConfig>)>,
    config: LineConfig,
    consumer: String,
    queue_size: u32,
    witness: bool,
    /// `None`: as whoever takes the edges sees fit.
    gather: Option<Duration>,
}

impl RequestBuilder {
    pub(crate) fn new(chip: Chip) -> Self {
        let config = LineConfig::watch(Edges::Both);
        Self {
            chip,
            lines: Vec::new(),
            config,
            consumer: "linewake".to_owned(),
            queue_size: 0,
            witness: false,
            gather: None,
        }
    }

    pub(crate) fn chip(&self) -> &Chip {
        &self.chip
    }

    /// The same of another chip.
    pub(crate) fn on(self, chip: Chip) -> Self {
        Self { chip, ..self }
    }

    /// [`gather`](Self::gather), unless something was said of it.
    pub(crate) fn gather_unless_set(self, gather: Duration) -> Self {
        Self { gather: self.gather.or(Some(gather)), ..self }
    }

    /// One more line, by offset or name.
    pub fn line(self, line: impl Into<LineId>) -> Self {
        self.lines([line])
    }

    /// More lines.
    pub fn lines<L: Into<LineId>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.lines.extend(lines.into_iter().map(|line| (line.into(), None)));
        self
    }

    /// Every line of the chip.
    pub fn all_lines(self) -> Self {
        let all = 0..self.chip.info().lines;
        self.lines(all)
    }

    /// One more line, held in a way of its own.
    pub fn line_with(mut self, line: impl Into<LineId>, config: LineConfig) -> Self {
        self.lines.push((line.into(), Some(config)));
        self
    }

    /// One more line, as an output with this first value.
    pub fn output(self, line: impl Into<LineId>, active: bool) -> Self {
        self.line_with(line, LineConfig::output(active))
    }

    /// How to hold the lines: all but those with a [`LineConfig`] of their own.
    pub fn config(mut self, config: LineConfig) -> Self {
        self.config = config;
        self
    }

    /// Which edges to watch: both unless set.
    pub fn edges(mut self, edges: Edges) -> Self {
        self.config.edges = Some(edges);
        self
    }

    /// Whether the low level is the active one.
    pub fn active_low(mut self, active_low: bool) -> Self {
        self.config.active_low = active_low;
        self
    }

    /// What pulls the lines.
    pub fn bias(mut self, bias: Bias) -> Self {
        self.config.bias = Some(bias);
        self
    }

    /// Has the chip ignore changes shorter than this. On a gpiochip edges are then stamped at the *end* of the quiet
    /// period, in steps of the kernel's tick.
    pub fn debounce(mut self, period: Duration) -> Self {
        self.config.debounce = period;
        self
    }

    /// Which clock stamps the edges.
    pub fn clock(mut self, clock: EventClock) -> Self {
        self.config.clock = clock;
        self
    }

    /// Who holds them, for others to see: `linewake` unless set. Cut at 32 bytes, or at what the chip takes.
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = consumer.into();
        self
    }

    /// How many events the driver queues, rounded up to a power of two: 16 for each line unless set, as on Linux; 0 is
    /// as unset. When it is full the oldest is dropped, and counted.
    pub fn queue_size(mut self, events: u32) -> Self {
        self.queue_size = events;
        self
    }

    /// How long an edge may stay in the chip's queue, for others to be taken with it: not at all unless set, and in a
    /// [`Monitor`](crate::Monitor) for its [window](crate::MonitorBuilder::window), at most 1 ms.
    ///
    /// The first edge after a rest is taken at once. From then on the queue is emptied this often, as long as there is
    /// something in it, so that a wake-up and a few system calls are paid for many edges and not for each. Time stamps
    /// are those of the edges. On a gpiochip the queue is then as large as the kernel has it, unless
    /// [`queue_size`](Self::queue_size) says otherwise; a smaller one is emptied more often, and one below 256 at once.
    /// A chip for which it makes no difference takes no notice.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// let mut edges = chip.request().line("flow").gather(Duration::from_millis(5)).start()?;
    /// chip.world().drive("flow", true)?;
    /// assert_eq!(edges.wait_next().expect("nobody stopped it")?.line_seqno, 1);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    pub fn gather(mut self, time: Duration) -> Self {
        self.gather = Some(time);
        self
    }

    /// Whether to hold one more line, a *witness*, where one line alone would hide what merges: no, unless set.
    ///
    /// A gpiochip's kernel numbers interrupts as they come only in a request of two lines or more. Of one line alone,
    /// edges that come while it is busy with the one before leave no trace but the direction of the next. With a
    /// witness they are counted: [`Missed::merged`](crate::Missed::merged) tells of them, edge by edge. Now and then
    /// the kernel counts one twice, when it comes just as the one before is handled; `cargo xtask test --only vm` shows
    /// how often.
    ///
    /// The witness is the last line of the chip that nobody holds. It is taken as it is, and nothing is watched of it.
    /// Even so it is not free of effects: some pin controllers make a line that is taken, or given back, an input, and
    /// cut off what it was wired to by other means. To choose it yourself, ask for a line that does no harm [as it
    /// is](LineConfig::as_is).
    ///
    /// [`Request::witnesses`] tells if there is one: only on a gpiochip, where one line is asked for, which is watched,
    /// another is free, and the chip is not behind a bus such as I²C, SPI or USB, where no interrupt is numbered as it
    /// comes.
    ///
    /// ```no_run
    /// use linewake::{Chip, Edges, LineConfig};
    /// let chip = Chip::open("gpiochip0")?;
    /// let edges = chip.request().line("flow").witness(true).start()?;
    /// println!("{:?}", edges.witnesses().collect::<Vec<_>>());
    /// # drop(edges);
    /// // The same with a line of one's own choice:
    /// let edges = chip.request().line("flow").line_with("spare", LineConfig::as_is()).start()?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    pub fn witness(mut self, witness: bool) -> Self {
        self.witness = witness;
        self
    }

    /// Takes the lines, and begins to watch.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], [`ErrorKind::LineTwice`]; [`ErrorKind::InvalidInput`] without a line, and for a queue
    /// the chip cannot have; [`ErrorKind::Unsupported`] for what the chip [cannot do](Chip::capabilities);
    /// [`ErrorKind::Busy`] when somebody else holds a line; and what the device says. Then nothing is held.
    pub fn start(self) -> Result<Request, Error> {
        let (chip, info) = (&self.chip, self.chip.info());
        let offsets = chip.find_all(self.lines.iter().map(|(line, _)| line.clone()))?;
        if offsets.is_empty() {
            let message = format!("no line of chip \"{}\" is asked for; name one, or ask for all", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let can = chip.capabilities();
        if self.queue_size == 1 || self.queue_size > info.max_queue_size {
            let (size, most, chip) = (self.queue_size, info.max_queue_size, &info.name);
            let message = match most {
                0 => format!("chip \"{chip}\" has no queue whose size could be chosen; leave the size out"),
                _ => format!("a queue of {size} is not possible on chip \"{chip}\": it has 2 to {most}"),
            };
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let configs: Vec<_> = self.lines.iter().map(|(_, config)| config.unwrap_or(self.config)).collect();
        for config in configs.iter().collect::<HashSet<_>>() {
            check(chip, config)?;
        }
        let asked = offsets.iter().zip(&configs).map(|(&offset, config)| (offset, as_asked(config, can.active_low)));
        let asked: Vec<(Offset, LineConfig)> = asked.collect();
        let mut parts = Vec::new();
        for lines in asked.chunks(can.max_lines.max(1)) {
            let first = parts.last().map_or(0, |part: &Part| part.lines.end);
            let Self { queue_size, witness, .. } = self;
            let gather = self.gather.unwrap_or(Duration::ZERO);
            let ask = Ask { consumer: &self.consumer, queue_size, witness, gather, lines };
            parts.push(Part::new(chip.backend().request(&ask)?, first..first + lines.len()));
        }
        let lines = offsets.iter().zip(&configs).map(|(&offset, config)| {
            WatchedLine::new(offset, chip.name(offset), *config, config.active_low && !can.active_low)
        });
        let lines = lines.collect();
        Ok(Request::new(self.chip, lines, parts))
    }
}

impl Chip {
    /// Makes lines outputs with these values. They stay so while the request that is given is held; with it they are
    /// set again.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// let mut outputs = chip.set_values([("relay-1", true), ("led", false)])?;
    /// assert!(chip.value("relay-1")?);
    /// outputs.set_value("led", true)?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`RequestBuilder::start`]. Then none was set.
    pub fn set_values<L: Into<LineId>>(&self, values: impl IntoIterator<Item = (L, bool)>) -> Result<Request, Error> {
        let request = |request: RequestBuilder, (line, active)| request.output(line, active);
        values.into_iter().fold(self.request(), request).start()
    }

    /// Asks for lines, to watch their edges, or to set them.
    pub fn request(&self) -> RequestBuilder {
        RequestBuilder::new(self.clone())
    }
}
