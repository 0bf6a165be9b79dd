//! The builder of requests: it checks lines and their configurations, and requests them from the chip.

use std::collections::HashSet;
use std::time::Duration;

use super::ask::{as_asked, check};
use super::line::WatchedLine;
use super::part::Part;
use crate::backend::Ask;
use crate::{Bias, Chip, Edges, Error, ErrorKind, EventClock, LineConfig, LineId, Offset, Request};

/// Lines to hold, and how to hold them.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// let edges = chip.request().lines(["pps", "door"]).consumer("watchman").queue_size(256).start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// Lines are watched for both edges by default. [`edges`](Self::edges), [`active_low`](Self::active_low),
/// [`bias`](Self::bias), [`debounce`](Self::debounce) and [`clock`](Self::clock) configure all lines without a
/// [`LineConfig`] of their own.
#[derive(Clone, Debug)]
#[must_use = "nothing is held before `start`"]
pub struct RequestBuilder {
    chip: Chip,
    lines: Vec<(LineId, Option<LineConfig>)>,
    config: LineConfig,
    consumer: String,
    queue_size: u32,
    witness: bool,
    /// `None`: the request or the monitor that takes the edges chooses.
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

    /// The same request on another chip.
    pub(crate) fn on(self, chip: Chip) -> Self {
        Self { chip, ..self }
    }

    /// [`gather`](Self::gather), unless it was set.
    pub(crate) fn gather_unless_set(self, gather: Duration) -> Self {
        Self { gather: self.gather.or(Some(gather)), ..self }
    }

    /// Adds a line, by offset or name.
    pub fn line(self, line: impl Into<LineId>) -> Self {
        self.lines([line])
    }

    /// Adds lines.
    pub fn lines<L: Into<LineId>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.lines.extend(lines.into_iter().map(|line| (line.into(), None)));
        self
    }

    /// Adds every line of the chip.
    pub fn all_lines(self) -> Self {
        let all = 0..self.chip.info().lines;
        self.lines(all)
    }

    /// Adds a line with its own configuration.
    pub fn line_with(mut self, line: impl Into<LineId>, config: LineConfig) -> Self {
        self.lines.push((line.into(), Some(config)));
        self
    }

    /// Adds a line as an output with this first value.
    pub fn output(self, line: impl Into<LineId>, active: bool) -> Self {
        self.line_with(line, LineConfig::output(active))
    }

    /// Sets the configuration of all lines without a [`LineConfig`] of their own.
    pub fn config(mut self, config: LineConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the edges to watch: both by default.
    pub fn edges(mut self, edges: Edges) -> Self {
        self.config.edges = Some(edges);
        self
    }

    /// Sets whether the low level is the active one.
    pub fn active_low(mut self, active_low: bool) -> Self {
        self.config.active_low = active_low;
        self
    }

    /// Sets the bias of the lines.
    pub fn bias(mut self, bias: Bias) -> Self {
        self.config.bias = Some(bias);
        self
    }

    /// Makes the chip ignore changes shorter than this. A gpiochip then stamps edges at the *end* of the quiet period,
    /// in steps of the kernel's tick.
    pub fn debounce(mut self, period: Duration) -> Self {
        self.config.debounce = period;
        self
    }

    /// Sets the clock that stamps the edges.
    pub fn clock(mut self, clock: EventClock) -> Self {
        self.config.clock = clock;
        self
    }

    /// Sets the name that other programs see as the holder: `linewake` by default. It is cut at 32 bytes, or at the
    /// chip's limit.
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = consumer.into();
        self
    }

    /// Sets how many events the driver queues, rounded up to a power of two: 16 for each line by default, and for 0. A
    /// full queue drops the oldest event and counts it.
    pub fn queue_size(mut self, events: u32) -> Self {
        self.queue_size = events;
        self
    }

    /// Sets how long an edge may stay in the chip's queue, so that others are taken with it. By default it does not
    /// stay; in a [`Monitor`](crate::Monitor) it stays for the [window](crate::MonitorBuilder::window), at most 1 ms.
    ///
    /// The first edge after a rest is taken at once. From then on the queue is emptied this often until it is found
    /// empty: one wake-up and a few system calls serve many edges. Time stamps do not change. A gpiochip then gets the
    /// longest queue of the kernel, unless [`queue_size`](Self::queue_size) is set; a shorter one is emptied more
    /// often, and one below 256 at once. Other chips may ignore it.
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

    /// Sets whether to hold one more line, a *witness*, where a request of one line hides merged edges: off by default.
    ///
    /// The kernel numbers a gpiochip's interrupts as they come only in a request of two lines or more. In a request of
    /// one line, edges that come while the kernel handles the one before leave no trace but the direction of the next.
    /// A witness makes them count: [`Missed::merged`](crate::Missed::merged) has them, edge by edge. Now and then the
    /// kernel counts one twice, when it comes just as the one before is handled; `cargo xtask test --only vm` shows how
    /// often.
    ///
    /// The witness is the last free line of the chip. It is taken as it is and not watched. This can still have
    /// effects: some pin controllers make a line an input when it is taken or given back, and disconnect its other
    /// function. To choose the witness yourself, request a harmless line [as it is](LineConfig::as_is).
    ///
    /// [`Request::witnesses`] lists it. There is one only on a gpiochip with a free line, in a request of one watched
    /// line, and not behind a bus such as I²C, SPI or USB, where interrupts are not numbered as they come.
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

    /// Takes the lines and begins to watch them.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], [`ErrorKind::LineTwice`]; [`ErrorKind::InvalidInput`] without a line, and for a queue
    /// that the chip cannot have; [`ErrorKind::Unsupported`] for what the chip [cannot do](Chip::capabilities);
    /// [`ErrorKind::Busy`] when a line is held elsewhere; and the error of the device. Then nothing is held.
    pub fn start(self) -> Result<Request, Error> {
        let (chip, info) = (&self.chip, self.chip.info());
        let offsets = chip.find_all(self.lines.iter().map(|(line, _)| line.clone()))?;
        if offsets.is_empty() {
            let message = format!("no line of chip \"{}\" is requested; name one, or request all", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let can = chip.capabilities();
        if self.queue_size == 1 || self.queue_size > info.max_queue_size {
            let (size, most, chip) = (self.queue_size, info.max_queue_size, &info.name);
            let message = match most {
                0 => format!("the queue of chip \"{chip}\" has a fixed size; leave the size out"),
                _ => format!("queue size {size} is out of range on chip \"{chip}\"; expected 2 to {most}"),
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
    /// Makes lines outputs with these values. The returned request holds them, and can set them again.
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
    /// As [`RequestBuilder::start`]. Then no line was set.
    pub fn set_values<L: Into<LineId>>(&self, values: impl IntoIterator<Item = (L, bool)>) -> Result<Request, Error> {
        let request = |request: RequestBuilder, (line, active)| request.output(line, active);
        values.into_iter().fold(self.request(), request).start()
    }

    /// Begins a request for lines, to watch their edges or to set them.
    pub fn request(&self) -> RequestBuilder {
        RequestBuilder::new(self.clone())
    }
}
