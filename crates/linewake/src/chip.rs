//! Chips: what a text opens, what the chip is, and its lines.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use linewake_controller::protocol::{self, LineConfig, MAX_LINES};
use overlapped::Device;

use crate::backend::driver::Client;
use crate::backend::sim;
use crate::line::named;
use crate::{Clock, Error, ErrorKind, Figures, LineId, LineInfo, LineTotals, Offset, RequestBuilder, World};

/// The seed of a simulated chip unless another is given.
pub const DEFAULT_SEED: u64 = 1;

/// A chip: a device with lines. Clones share it.
///
/// ```
/// use linewake::Chip;
/// let chip = Chip::open("sim")?;
/// for line in chip.lines()? {
///     println!("{}: {}", line.offset, line.name.as_deref().unwrap_or("unnamed"));
/// }
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// Its calls are answered by the driver at once, so they wait for the answer, and nothing here is `async`; only edges are
/// waited for.
#[derive(Clone, Debug)]
pub struct Chip {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    client: Client,
    info: ChipInfo,
    names: Vec<Option<Arc<str>>>,
}

/// Where a handle comes from. Each request has its own.
#[derive(Clone)]
enum Source {
    Simulated(Arc<sim::Host>),
    Devices(Arc<Opener>),
}

type Opener = dyn Fn() -> Result<Device, overlapped::Error> + Send + Sync;

/// What a chip is.
///
/// ```
/// let chip = linewake::Chip::open("sim:64")?;
/// assert_eq!((&*chip.info().name, chip.info().lines), ("sim", 64));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChipInfo {
    /// Its name, as events carry it.
    pub name: Arc<str>,
    /// What the hardware calls itself.
    pub label: Arc<str>,
    /// How many lines it has: the offsets are `0..lines`.
    pub lines: u32,
    /// The most events a request can have queued.
    pub max_queue_size: u32,
}

/// How to open a chip.
///
/// ```
/// use linewake::Chip;
/// let repeatable = Chip::options().seed(42).open("sim")?;
/// let still = Chip::options().life(false).open("sim:8")?; // nothing changes unless a test drives it
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChipOptions {
    seed: Option<u64>,
    life: Option<bool>,
}

impl ChipOptions {
    /// What the life of a simulated chip is made from: the same seed, the same edges at the same times of its clock.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether the named lines of a simulated chip change by themselves: yes unless set.
    #[must_use]
    pub fn life(mut self, life: bool) -> Self {
        self.life = Some(life);
        self
    }

    /// Opens the chip that `spec` names; see [`Chip::open`].
    ///
    /// # Errors
    /// As [`Chip::open`]; and [`ErrorKind::InvalidInput`] for an option that a chip of this kind does not have.
    pub fn open(&self, spec: &str) -> Result<Chip, Error> {
        let source = if let Some(lines) = simulated_lines(spec)? {
            let seed = self.seed.unwrap_or(DEFAULT_SEED);
            Source::Simulated(sim::Host::new(sim::Setup { lines, seed, life: self.life.unwrap_or(true) })?)
        } else if spec.starts_with(r"\\.\") || spec.starts_with(r"\\?\") {
            if self.seed.is_some() || self.life.is_some() {
                let message = format!("chip \"{spec}\" is not simulated: only the chip \"sim\" has a seed and a life");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            let path = spec.to_owned();
            Source::Devices(Arc::new(move || Device::open(&path)))
        } else {
            let known = r#""sim" (simulated), "sim:64" (with 64 lines) or a device such as "\\.\LineWake0""#;
            return Err(Error::new(ErrorKind::UnknownChip, format!("there is no chip \"{spec}\"; try {known}")));
        };
        let remedy = "is it plugged in, and its driver running?";
        Chip::from_source(source, spec).map_err(|error| error.with_remedy_if_not_found(remedy))
    }
}

/// How many lines the simulated chip has that `spec` names, if it names one.
fn simulated_lines(spec: &str) -> Result<Option<u32>, Error> {
    let Some(rest) = spec.strip_prefix("sim") else {
        return Ok(None);
    };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok(Some(sim::LINES)),
        None => Ok(None),
        Some(number) => match number.parse() {
            Ok(lines) if (1..=MAX_LINES as u32).contains(&lines) => Ok(Some(lines)),
            _ => Err(Error::new(
                ErrorKind::UnknownChip,
                format!("there is no chip \"{spec}\"; a simulated chip has 1 to {MAX_LINES} lines, as in \"sim:64\""),
            )),
        },
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simulated(_) => "Simulated",
            Self::Devices(_) => "Devices",
        })
    }
}

impl Source {
    fn open(&self) -> Result<Device, overlapped::Error> {
        match self {
            Self::Simulated(host) => Device::simulated(host.clone()),
            Self::Devices(open) => open(),
        }
    }
}

impl Chip {
    /// Opens the chip that `spec` names:
    ///
    /// | spec | chip |
    /// |---|---|
    /// | `sim` | a simulated one, with named lines that live: `pps`, `button`, `encoder-a`, `encoder-b`, `flow`, `door`, and quiet ones |
    /// | `sim:64` | the same with 64 lines, 1 to 1024 |
    /// | `\\.\Name` | the device of that name, whose driver speaks the reference driver's protocol |
    ///
    /// Each opening of `sim` makes a chip of its own; to share one, clone it.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownChip`] for any other text; [`ErrorKind::Device`] when the device cannot be opened, which on a
    /// platform without such devices is always; [`ErrorKind::Malformed`] when it does not speak the protocol.
    pub fn open(spec: &str) -> Result<Self, Error> {
        Self::options().open(spec)
    }

    /// A chip behind a device that speaks the reference driver's protocol ([`linewake_controller::protocol`]), however it
    /// is opened. Each request opens one more.
    ///
    /// ```
    /// use linewake::Chip;
    /// use overlapped::{Device, Status, sim};
    /// let open = || Device::simulated(sim::from_fn(|request| request.complete(Status::INVALID_DEVICE_REQUEST)));
    /// let error = Chip::from_devices("nonsense", open).unwrap_err();
    /// assert!(error.to_string().contains("STATUS_INVALID_DEVICE_REQUEST"));
    /// ```
    ///
    /// # Errors
    /// What opening it says; [`ErrorKind::Malformed`] when it does not speak the protocol.
    pub fn from_devices(
        name: &str,
        open: impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::from_source(Source::Devices(Arc::new(open)), name)
    }

    /// How to open.
    #[must_use]
    pub fn options() -> ChipOptions {
        ChipOptions::default()
    }

    fn from_source(source: Source, spec: &str) -> Result<Self, Error> {
        let (client, info) = Client::new(source.open()?)?;
        let info = ChipInfo {
            name: named(&info.name).unwrap_or_else(|| spec.into()),
            label: named(&info.label).unwrap_or_default(),
            lines: client.lines(),
            max_queue_size: info.max_queue,
        };
        let names = client.line_infos()?.iter().map(|line| named(&line.name)).collect();
        Ok(Self { inner: Arc::new(Inner { source, client, info, names }) })
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &ChipInfo {
        &self.inner.info
    }

    /// The clock of its time stamps.
    #[must_use]
    pub fn clock(&self) -> Clock {
        match &self.inner.source {
            Source::Simulated(host) => Clock::read("simulated", || host.now_ns()),
            Source::Devices(_) => Clock::unrelated("monotonic"),
        }
    }

    /// Finds a line by offset or by name; of several with the same name, the first.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`].
    pub fn find(&self, line: impl Into<LineId>) -> Result<Offset, Error> {
        let ChipInfo { name: chip, lines, .. } = self.info();
        let line = line.into();
        let number = match &line {
            LineId::Offset(offset) => Some(offset.get()),
            LineId::Text(text) => offset_in(text),
        };
        if let Some(offset) = number.filter(|offset| offset < lines) {
            return Ok(offset.into());
        }
        if let LineId::Text(text) = &line
            && let Some(at) = self.inner.names.iter().position(|name| name.as_deref() == Some(text))
        {
            return Ok(Offset::from(at as u32));
        }
        let message = match number {
            Some(_) => format!("offset {line} is out of range on chip \"{chip}\", which has {lines} lines from 0"),
            None => format!("cannot find line \"{line}\" on chip \"{chip}\", which has {}", self.some_names()),
        };
        Err(Error::new(ErrorKind::NoSuchLine, message))
    }

    /// The names a user may have meant.
    fn some_names(&self) -> String {
        const MOST: usize = 16;
        let names: Vec<_> = self.inner.names.iter().flatten().map(|name| format!("\"{name}\"")).collect();
        match names.len() {
            0 => format!("{} lines without names: use an offset from 0", self.info().lines),
            1..=MOST => names.join(", "),
            more => format!("{} and {} more", names[..MOST].join(", "), more - MOST),
        }
    }

    /// Finds several lines.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`]; [`ErrorKind::LineTwice`] when two of them are the same line.
    pub fn find_all<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<Vec<Offset>, Error> {
        let mut asked = HashMap::new();
        let mut offsets = Vec::new();
        for line in lines {
            let line = line.into();
            let offset = self.find(line.clone())?;
            offsets.push(offset);
            if let Some(before) = asked.insert(offset, line.clone()) {
                let chip = &self.info().name;
                let message = format!("lines \"{before}\" and \"{line}\" are the same line of chip \"{chip}\"");
                return Err(Error::new(ErrorKind::LineTwice, message));
            }
        }
        Ok(offsets)
    }

    /// The name of a line, if it has one.
    pub(crate) fn name(&self, offset: Offset) -> Option<Arc<str>> {
        self.inner.names.get(offset.index()).cloned().flatten()
    }

    /// What the chip says of a line now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], and what the device says.
    pub fn line_info(&self, line: impl Into<LineId>) -> Result<LineInfo, Error> {
        Ok(LineInfo::from_record(&self.inner.client.line_info(self.find(line)?)?))
    }

    /// What the chip says of all its lines now.
    ///
    /// # Errors
    /// What the device says.
    pub fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        Ok(self.inner.client.line_infos()?.iter().map(LineInfo::from_record).collect())
    }

    /// Whether a line is active now.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// println!("the door is {}", if chip.value("door")? { "open" } else { "closed" });
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], and what the device says.
    pub fn value(&self, line: impl Into<LineId>) -> Result<bool, Error> {
        let offset = self.find(line)?;
        Ok(self.inner.client.values()?.contains(offset.get()))
    }

    /// Whether lines are active, all read at the same moment.
    ///
    /// # Errors
    /// As [`find_all`](Self::find_all), and what the device says.
    pub fn values<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<Vec<bool>, Error> {
        let offsets = self.find_all(lines)?;
        let values = self.inner.client.values()?;
        Ok(offsets.iter().map(|offset| values.contains(offset.get())).collect())
    }

    /// Makes lines outputs with these values, all at the same moment. They stay so while this chip is open.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// chip.set_values([("relay-1", true), ("led", false)])?;
    /// assert!(chip.value("relay-1")?);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`find_all`](Self::find_all); [`ErrorKind::Busy`] when another reader holds one of them alone; and what the
    /// device says. Then none was set.
    pub fn set_values<L: Into<LineId>>(&self, values: impl IntoIterator<Item = (L, bool)>) -> Result<(), Error> {
        let (lines, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let offsets = self.find_all(lines)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let configs: Vec<_> = offsets
            .iter()
            .zip(values)
            .map(|(offset, value)| LineConfig {
                offset: offset.get(),
                flags: protocol::LINE_OUTPUT | if value { protocol::LINE_ACTIVE } else { 0 },
            })
            .collect();
        self.inner.client.configure(&configs).map_err(|error| self.explain_busy(error, &offsets))
    }

    /// Says which line is busy, and who holds it.
    pub(crate) fn explain_busy(&self, error: Error, asked: &[Offset]) -> Error {
        if error.device().is_none_or(|device| device.kind() != overlapped::ErrorKind::Busy) {
            return error;
        }
        let Ok(lines) = self.inner.client.line_infos() else {
            return error;
        };
        let holder = lines.iter().find(|line| {
            let alone = line.flags & protocol::LINE_EXCLUSIVE != 0;
            alone && asked.iter().any(|offset| offset.get() == line.offset)
        });
        let Some(line) = holder.map(LineInfo::from_record) else {
            return error;
        };
        let name = line.name.as_deref().map(|name| format!(" (\"{name}\")")).unwrap_or_default();
        let consumer = line.consumer.as_deref().unwrap_or("a program that gave no name");
        let chip = &self.info().name;
        error.busy(format!("line {}{name} of chip \"{chip}\" is held alone by \"{consumer}\"", line.offset))
    }

    /// Asks for lines, to watch their edges.
    pub fn request(&self) -> RequestBuilder {
        RequestBuilder::new(self.clone())
    }

    /// What the driver says of each line, over all readers that were closed.
    ///
    /// # Errors
    /// What the device says.
    pub fn totals(&self) -> Result<Vec<LineTotals>, Error> {
        let totals = self.inner.client.totals()?;
        let line = |line: &protocol::LineTotals| LineTotals {
            offset: line.offset.into(),
            readers: line.readers,
            changes: line.changes,
            figures: Figures {
                delivered: line.delivered,
                overflowed: line.overflowed,
                merged: line.merged,
                discarded: line.discarded,
            },
        };
        Ok(totals.iter().map(line).collect())
    }

    /// The world outside a chip that is there for tests: the simulated one and the reference driver's.
    #[must_use]
    pub fn world(&self) -> World<'_> {
        World::new(self, &self.inner.client)
    }

    /// A handle of its own, for a new reader.
    pub(crate) fn open_reader(&self) -> Result<Client, Error> {
        let (client, _) = Client::new(self.inner.source.open()?)?;
        if client.lines() == self.info().lines {
            Ok(client)
        } else {
            Err(client.malformed("the number of its lines has changed"))
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.info().name)
    }
}

/// An offset in decimal digits; `+5` and ` 5` are names.
fn offset_in(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
