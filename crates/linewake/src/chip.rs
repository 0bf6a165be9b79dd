//! Chips: what a text opens, what the chip is, and its lines.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use linewake_controller::protocol::{self, MAX_LINES};
use overlapped::Device;

use crate::backend::exec::{self, Exec};
use crate::backend::{Backend, Capabilities, ReferenceDriver, driver, gpiochip, profile, serial, sim};
use crate::profile::Profile;
use crate::sim::{ClockKind, Script};
use crate::{
    Clock, Error, ErrorKind, EventClock, Figures, LineId, LineInfo, LineTotals, Offset, Request, RequestBuilder, World,
};

/// The device of the reference driver.
const REFERENCE_DEVICE: &str = r"\\.\LineWake0";

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
    backend: Arc<dyn Backend>,
    names: Vec<Option<Arc<str>>>,
    /// The lines of each name, in order.
    by_name: HashMap<Arc<str>, Vec<Offset>>,
    world: Option<Chip>,
}

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
    /// What it is called whatever its name is now, and the next time: of a gpiochip its place in the machine with its
    /// label, of any other chip the words that open it.
    pub id: Arc<str>,
    /// What the hardware calls itself.
    pub label: Arc<str>,
    /// Where it is in the file system, if it is there.
    pub path: Option<Arc<str>>,
    /// How many lines it has: the offsets are `0..lines`.
    pub lines: u32,
    /// The most events a request can have queued; zero if that cannot be chosen.
    pub max_queue_size: u32,
}

impl ChipInfo {
    /// What to call each of these chips, where they are shown together: its name; of chips that have the same name, each by
    /// its [`id`](Self::id), with a number where these are the same too.
    ///
    /// ```
    /// use linewake::{Chip, ChipInfo};
    /// let chips = [Chip::open("sim")?, Chip::open("sim:4")?];
    /// let names = ChipInfo::distinct_names(chips.iter().map(Chip::info));
    /// assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["sim", "sim:4"]);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    pub fn distinct_names<'a>(chips: impl IntoIterator<Item = &'a Self>) -> Vec<Arc<str>> {
        let chips: Vec<_> = chips.into_iter().collect();
        let mut uses = HashMap::<_, usize>::new();
        for chip in &chips {
            *uses.entry(&chip.name).or_default() += 1;
        }
        let mut taken: HashSet<_> =
            uses.iter().filter(|(_, uses)| **uses == 1).map(|(name, _)| (*name).clone()).collect();
        let name = |chip: &Self| {
            if uses[&chip.name] == 1 {
                return chip.name.clone();
            }
            let mut name = chip.id.clone();
            for number in 2_u64.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{}#{number}", chip.id).into();
            }
            name
        };
        chips.into_iter().map(name).collect()
    }
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
    poll_period: Option<Duration>,
    clock: Option<ClockKind>,
    allow_writes: bool,
    start_timeout: Option<Duration>,
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

    /// How often a chip is looked at that does not tell of its edges by itself: a serial port, on Linux. 10 ms unless set.
    ///
    /// A shorter period sees shorter pulses whole and stamps them closer; all ports with one period are looked at together,
    /// so it costs that many wake-ups in all, and one system call or two for each port.
    #[must_use]
    pub fn poll_period(mut self, period: Duration) -> Self {
        self.poll_period = Some(period);
        self
    }

    /// Which clock a simulated chip has: the system's, or one that stands still and jumps.
    ///
    /// ```
    /// use linewake::Chip;
    /// use linewake::sim::ClockKind;
    /// let chip = Chip::options().clock(ClockKind::Virtual).open("sim")?;
    /// let mut seconds = chip.request().line("pps").edges(linewake::Edges::Rising).start()?;
    /// for second in 0..1000 {
    ///     assert_eq!(seconds.wait_next().unwrap()?.timestamp_ns, second * 1_000_000_000 + 500_000_000);
    /// }
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: ClockKind) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens a simulated chip on which this happens. A seed and a clock that were set here are taken, and not the script's.
    ///
    /// ```
    /// use linewake::Chip;
    /// use linewake::sim::{Line, Script};
    /// let chip = Chip::options().seed(3).simulate(&Script::new().line(Line::new("door")))?;
    /// assert_eq!(chip.find("door")?.get(), 0);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the script makes no sense, [`ErrorKind::BadFile`] if it comes from a file.
    pub fn simulate(&self, script: &Script) -> Result<Chip, Error> {
        Chip::from_backend(self.simulated(script, "sim")?)
    }

    fn simulated(&self, script: &Script, spec: &str) -> Result<Arc<dyn Backend>, Error> {
        script.check()?;
        let seed = self.seed.or(script.seed).unwrap_or(DEFAULT_SEED);
        let clock = self.clock.or(script.clock).unwrap_or_default();
        let host = sim::Host::new(script, seed, clock)?;
        Ok(Arc::new(driver::Chip::open(driver::Source::Simulated(host), spec)?))
    }

    /// Allows a [profile](crate::profile) what may change a device: no unless set. The user has to say it, since the file
    /// may be from somewhere. For any other chip it has no meaning.
    #[must_use]
    pub fn allow_writes(mut self, allow: bool) -> Self {
        self.allow_writes = allow;
        self
    }

    /// How long a [program](Exec) may take to say which lines it has: 10 s unless set. For any other chip it has no meaning.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use linewake::Chip;
    /// # if cfg!(unix) {
    /// let silent = Chip::options().start_timeout(Duration::from_millis(50)).open("exec:sleep 60");
    /// assert!(silent.unwrap_err().is_timeout());
    /// # }
    /// ```
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Opens the chip that `spec` names; see [`Chip::open`].
    ///
    /// # Errors
    /// As [`Chip::open`]; and [`ErrorKind::InvalidInput`] for an option that a chip of this kind does not have.
    pub fn open(&self, spec: &str) -> Result<Chip, Error> {
        if let Some(period) = self.poll_period
            && (period.is_zero() || !spec.starts_with("serial:"))
        {
            let message = match period.is_zero() {
                true => format!("chip \"{spec}\" cannot be looked at every 0 ms"),
                false => format!(
                    "chip \"{spec}\" tells of its edges: only a serial port is looked at, and has a poll period"
                ),
            };
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let backend: Arc<dyn Backend> = if let Some(script) = simulated_script(spec, self.life.unwrap_or(true))? {
            self.simulated(&script, spec)?
        } else if self.seed.is_some() || self.life.is_some() || self.clock.is_some() {
            let message =
                format!("chip \"{spec}\" is not simulated: only the chip \"sim\" has a seed, a life and such a clock");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        } else if let Some(path) = spec.strip_prefix("serial:") {
            serial::open(path, spec, self.poll_period.unwrap_or(serial::POLL_PERIOD))?
        } else if spec.starts_with(r"\\.\") || spec.starts_with(r"\\?\") {
            let path = spec.to_owned();
            let source = driver::Source::Devices(Arc::new(move || Device::open(&path)));
            let remedy = "is it plugged in, and its driver running?";
            Arc::new(driver::Chip::open(source, spec).map_err(|error| error.with_remedy_if_not_found(remedy))?)
        } else if let Some(command) = spec.strip_prefix("exec:") {
            exec::open(command, self.start_timeout)?
        } else if let Some(path) = profile_path(spec) {
            let is_script = || Script::load(path).is_ok();
            let remedy = format!("it is a script of the simulator, which \"sim:{path}\" opens");
            profile::open(path, self.allow_writes).map_err(|error| unless_mistaken(error, is_script, &remedy))?
        } else if gpiochip::is_spec(spec) {
            gpiochip::open(spec)?
        } else {
            let known = concat!(
                r#""sim" (simulated), "sim:64" (with 64 lines), "sim:FILE" (a script or a waveform), "#,
                r#""gpiochip0" (of Linux), "serial:COM3", "#,
                r#""exec:COMMAND", "profile:FILE" or a device such as "\\.\LineWake0""#
            );
            let message =
                gpiochip::labelled(spec).unwrap_or_else(|| format!("there is no chip \"{spec}\"; try {known}"));
            return Err(Error::new(ErrorKind::UnknownChip, message));
        };
        Chip::from_backend(backend)
    }
}

/// The chips of this system, each by a text that [opens](Chip::open) it: on Linux the gpiochips in `/dev` in the order of
/// their numbers, on Windows the reference driver's device. Simulated ones, which are everywhere, are not among them; nor
/// are those behind a profile or a program.
///
/// ```
/// for name in linewake::chips() {
///     match linewake::Chip::open(&name) {
///         Ok(chip) => println!("{name} has {} lines", chip.info().lines),
///         Err(error) => println!("{error}"),
///     }
/// }
/// ```
#[must_use]
pub fn chips() -> Vec<String> {
    let mut chips = gpiochip::names();
    if cfg!(windows) {
        let is_there = |path: &&str| match Device::open(path) {
            Ok(_) => true,
            // One that is there and cannot be opened is for whoever opens it to complain of.
            Err(error) => error.kind() != overlapped::ErrorKind::NotFound,
        };
        chips.extend(Some(REFERENCE_DEVICE).filter(is_there).map(str::to_owned));
    }
    chips
}

/// The profile that `spec` names, if it names one.
fn profile_path(spec: &str) -> Option<&str> {
    spec.strip_prefix("profile:").or_else(|| spec.ends_with(".toml").then_some(spec))
}

/// Says of a file that is not what it is opened as what it is.
fn unless_mistaken(error: Error, is_the_other: impl FnOnce() -> bool, remedy: &str) -> Error {
    if error.kind() == ErrorKind::BadFile && is_the_other() {
        let message = format!("{error}; {remedy}");
        return error.saying(message);
    }
    error
}

/// What happens on the simulated chip that `spec` names, if it names one.
fn simulated_script(spec: &str, is_alive: bool) -> Result<Option<Script>, Error> {
    let Some(rest) = spec.strip_prefix("sim") else {
        return Ok(None);
    };
    let script = || if is_alive { Script::life() } else { Script::still() };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok(Some(script())),
        None => Ok(None),
        Some(file) if Script::is_of_file(file) => {
            if !is_alive {
                let message = format!("chip \"{spec}\" has the life that is written there: it cannot be without");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            let is_profile = || Profile::read(file).is_ok();
            let remedy = format!("it is the profile of a driver, which \"profile:{file}\" opens");
            Script::load(file).map(Some).map_err(|error| unless_mistaken(error, is_profile, &remedy))
        }
        Some(number) => match number.parse() {
            Ok(lines) if (1..=MAX_LINES as u32).contains(&lines) => Ok(Some(script().cut_to(lines))),
            _ => Err(Error::new(
                ErrorKind::UnknownChip,
                format!(
                    "there is no chip \"{spec}\"; a simulated chip has 1 to {MAX_LINES} lines, as in \"sim:64\", or a \
                     script or a waveform, as in \"sim:FILE.toml\" or \"sim:FILE.vcd\""
                ),
            )),
        },
    }
}

impl Chip {
    /// Opens the chip that `spec` names:
    ///
    /// | spec | chip |
    /// |---|---|
    /// | `sim` | a simulated one, with named lines that live: `pps`, `button`, `encoder-a`, `encoder-b`, `flow`, `door`, and quiet ones |
    /// | `sim:64` | the same with 64 lines, 1 to 1024 |
    /// | `gpiochip0`, `0`, `/dev/gpiochip0` | a chip of Linux, by its name, number or path, also by a link under /dev |
    /// | `label:pinctrl-bcm2711` | the one that has this label |
    /// | `serial:COM3`, `serial:/dev/ttyUSB0` | a serial port's modem lines, see below |
    /// | `sim:FILE.toml` | a simulated one, with the lines, signals and faults of a [script](crate::sim) |
    /// | `sim:FILE.vcd`, `.fst`, `.ghw` | a simulated one, on which happens what a waveform has: each bit is a line |
    /// | `\\.\Name` | the device of that name, whose driver speaks the reference driver's protocol |
    /// | `exec:COMMAND` | what a program prints, which [`Exec::parse`] finds in the text |
    /// | `profile:FILE`, or a path that ends in `.toml` | the device that a [profile](crate::profile) describes |
    ///
    /// Each opening of `sim` makes a chip of its own; to share one, clone it.
    ///
    /// # Linux's gpiochips
    /// All there is since Linux 5.10 (version 2 of the interface); an older kernel refuses every request.
    /// - The kernel holds 64 lines in one request, so larger ones are split; each has a queue of 16 events a line unless
    ///   [set](RequestBuilder::queue_size), 1024 at most. Of a full one the oldest event is dropped, and counted.
    /// - Lines of a request may be held in different ways. Each setting in which some differ from the others takes one of the
    ///   ten that the kernel keeps: [`ErrorKind::InvalidInput`] says when they are used up.
    /// - With both edges watched, the kernel takes the level for the kind of an edge when its interrupt's thread runs: of a
    ///   short pulse both may be `falling`. An edge that comes too early after another merges with it; in a request of two
    ///   lines or more that is [counted](crate::Account::unattributed), of one line alone with a [witness](RequestBuilder::witness).
    /// - A line has one holder. [`ErrorKind::Busy`] says which process that is, as far as /proc tells this user.
    /// - A chip that is unplugged takes the events that nobody had read with it. It is [found again](Self::reopen) by its
    ///   label and its place in the machine, whatever its number is then; where it was moved, by its label, if no other has
    ///   the same.
    /// - [`watch_info`](Self::watch_info): the kernel queues 32 changes for each watch and drops what comes when it is full,
    ///   without a word; nobody can tell.
    ///
    /// # Serial ports
    /// `CTS`, `DSR`, `RI` and `DCD` are inputs, `RTS` and `DTR` outputs, with the offsets 0 to 5. Nobody hands over their edges,
    /// so they are stamped when they are noticed. Of those that happened in between one is told, with the others as
    /// [merged](crate::Missed), as far as they are known:
    /// - Linux: by the driver's counters, every [10 ms](ChipOptions::poll_period) while somebody waits for the request. A port without counters is watched by its
    ///   levels alone, and so is one whose UART does not interrupt for its modem lines (as when CLOCAL is set), where what it
    ///   counts is what the looks find.
    /// - Windows: the driver says which line changed, not how often, and takes one such wait at a time: one request watches
    ///   all inputs there are to watch.
    /// - Of RI drivers count, or tell, the end of a ring alone.
    ///
    /// So the account is [`AtLeast`](crate::Trust::AtLeast) at best. Opening a port changes its outputs as the system does it: on
    /// Linux DTR and RTS rise, and fall when the last handle is closed, unless the port's HUPCL is off (`stty -hupcl`). Nothing
    /// else is done to them. A USB adapter that is plugged in again may have another number: `/dev/serial/by-id/…` is always
    /// the same one.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownChip`] for any other text; [`ErrorKind::Device`] when the device cannot be opened, which on a
    /// platform without such devices is always; [`ErrorKind::Malformed`] when it does not speak the protocol;
    /// [`ErrorKind::BadFile`] when the file makes no sense.
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
        Self::from_backend(Arc::new(driver::Chip::open(driver::Source::Devices(Arc::new(open)), name)?))
    }

    /// A chip behind a driver that a [`Profile`] describes, however the device is opened: for a test, on a simulated one.
    /// Each request opens one more.
    ///
    /// ```no_run
    /// use linewake::{Chip, profile::Profile};
    /// let profile = Profile::read("profiles/card.toml")?.allow_writes(true);
    /// let chip = Chip::from_profile(&profile, || overlapped::Device::open(r"\\.\Card1"))?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// What opening it says; [`ErrorKind::InvalidInput`] when the profile does something that must be
    /// [allowed](Profile::allow_writes) and is not.
    pub fn from_profile(
        profile: &Profile,
        open: impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::from_backend(Arc::new(profile::Chip::opened_by(profile, open)?))
    }

    /// The chip that a profile describes, by the device that it names.
    ///
    /// ```no_run
    /// use linewake::{Chip, profile::Profile};
    /// let profile = Profile::read("profiles/card.toml")?.traced(|trace| eprintln!("{trace}"));
    /// let chip = Chip::of_profile(&profile)?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_profile`](Self::from_profile); [`ErrorKind::BadFile`] when it names no device; one that
    /// [`is_disconnected`](Error::is_disconnected) when no device is what it names, and [`ErrorKind::InvalidInput`] when
    /// several are.
    pub fn of_profile(profile: &Profile) -> Result<Self, Error> {
        Self::from_backend(Arc::new(profile::Chip::of_profile(profile)?))
    }

    /// The processes that hold its lines, each with the name of its program, where the system tells: for "linewake doctor".
    #[doc(hidden)]
    #[must_use]
    pub fn holders(&self) -> HashMap<Offset, (u32, String)> {
        self.backend().holders()
    }

    /// A handle of the device that speaks the reference driver's protocol, for a test that does so in another way.
    #[doc(hidden)]
    pub fn open_device(&self) -> Result<Device, overlapped::Error> {
        match self.backend().reference() {
            Some(reference) => reference.source.open().map(|(device, _)| device),
            None => Device::open(&*self.info().name),
        }
    }

    /// A chip whose lines a program knows, which prints a line for each change: for a library that has nothing but
    /// callbacks. It runs from now on. Its lines are for one request at a time, with which it ends; the next one starts it
    /// again.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use linewake::{Chip, Exec};
    /// let program = Exec::new("sh").args(["-c", "echo lines door=0; echo 17 door 1; exec sleep 60"]);
    /// let mut edges = Chip::from_command(program)?.request().line("door").start()?;
    /// let edge = edges.wait_next().expect("it prints one")?;
    /// assert_eq!((edge.timestamp_ns, edge.kind), (17, linewake::EdgeKind::Rising));
    /// # }
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when it cannot be started, or ends before it said which lines it has; [`ErrorKind::TimedOut`]
    /// when it does not say so in time; [`ErrorKind::Malformed`] when it prints something else.
    pub fn from_command(program: Exec) -> Result<Self, Error> {
        Self::from_backend(Arc::new(exec::Chip::open(program)?))
    }

    /// This chip, whose outside world is another one's: for a test that drives the same device by two protocols.
    #[doc(hidden)]
    #[must_use]
    pub fn driven_by(self, world: &Self) -> Self {
        let Inner { backend, names, by_name, .. } = &*self.inner;
        let (backend, names, by_name) = (backend.clone(), names.clone(), by_name.clone());
        Self { inner: Arc::new(Inner { backend, names, by_name, world: Some(world.clone()) }) }
    }

    /// How to open.
    #[must_use]
    pub fn options() -> ChipOptions {
        ChipOptions::default()
    }

    /// A chip behind a backend of one's own.
    ///
    /// # Errors
    /// What the backend says when it is asked for its lines.
    pub fn from_backend(backend: Arc<dyn Backend>) -> Result<Self, Error> {
        let names: Vec<_> = backend.lines()?.into_iter().map(|line| line.name).collect();
        let mut by_name = HashMap::<_, Vec<_>>::new();
        for (offset, name) in (0..).zip(&names) {
            if let Some(name) = name {
                by_name.entry(name.clone()).or_default().push(Offset::from(offset));
            }
        }
        Ok(Self { inner: Arc::new(Inner { backend, names, by_name, world: None }) })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &ChipInfo {
        self.backend().info()
    }

    /// What a user should know of it: what was left out of the waveform that a simulated chip plays, for example.
    ///
    /// ```
    /// assert!(linewake::Chip::open("sim")?.notes().is_empty());
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.backend().notes()
    }

    /// What it can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.backend().capabilities()
    }

    /// The clock of its time stamps, unless a line was asked for with another.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.backend().clock(EventClock::Monotonic)
    }

    /// The same chip again after it was unplugged, found by what does not change: of a simulated chip itself, of a driver's
    /// device its path, of a gpiochip its label and its place on the bus. Clones of this one stay as they are.
    ///
    /// # Errors
    /// One that [`is_disconnected`](Error::is_disconnected) while it is not back.
    pub fn reopen(&self) -> Result<Self, Error> {
        Self::from_backend(self.backend().reopen()?)
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
            && let Some(&first) = self.named(text).first()
        {
            return Ok(first);
        }
        let message = match number {
            Some(_) => format!("offset {line} is out of range on chip \"{chip}\", which has {lines} lines from 0"),
            None => format!("cannot find line \"{line}\" on chip \"{chip}\", which has {}", self.some_names()),
        };
        Err(Error::new(ErrorKind::NoSuchLine, message))
    }

    /// The lines of a name, in order: none, one, or several.
    #[must_use]
    pub fn named(&self, name: &str) -> &[Offset] {
        self.inner.by_name.get(name).map_or(&[], Vec::as_slice)
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
    ///
    /// ```
    /// let chip = linewake::Chip::open("sim")?;
    /// assert_eq!(chip.name(5.into()).as_deref(), Some("door"));
    /// # Ok::<(), linewake::Error>(())
    /// ```
    #[must_use]
    pub fn name(&self, offset: Offset) -> Option<Arc<str>> {
        self.inner.names.get(offset.index()).cloned().flatten()
    }

    /// What the chip says of a line now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], and what the device says.
    pub fn line_info(&self, line: impl Into<LineId>) -> Result<LineInfo, Error> {
        self.backend().line(self.find(line)?)
    }

    /// What the chip says of all its lines now.
    ///
    /// # Errors
    /// What the device says.
    pub fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        self.backend().lines()
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
    /// As [`values`](Self::values).
    pub fn value(&self, line: impl Into<LineId>) -> Result<bool, Error> {
        Ok(self.values([line])?[0])
    }

    /// Whether lines are active, all read at the same moment if the chip [can](Capabilities::atomic_values). The lines stay as
    /// they are; where they must be held to be read they are, for a moment.
    ///
    /// # Errors
    /// As [`find_all`](Self::find_all); [`ErrorKind::Busy`] when somebody else holds one and the chip does not share; and
    /// what the device says.
    pub fn values<L: Into<LineId>>(&self, lines: impl IntoIterator<Item = L>) -> Result<Vec<bool>, Error> {
        self.backend().values(&self.find_all(lines)?)
    }

    /// Makes lines outputs with these values. They stay so while the request that is given is held; with it they are set
    /// again.
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

    /// What the driver says of each line, over all readers that were closed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless the chip is simulated or the reference driver's; what the device says.
    pub fn totals(&self) -> Result<Vec<LineTotals>, Error> {
        let totals = self.reference()?.client.totals()?;
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
        World::new(self, self.reference())
    }

    /// The reference driver's protocol, if the chip speaks it.
    fn reference(&self) -> Result<&ReferenceDriver, Error> {
        let other = || crate::backend::unsupported(&self.info().name, "is no simulated chip and no reference driver's");
        let world = self.inner.world.as_ref().unwrap_or(self);
        world.backend().reference().ok_or_else(other)
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
