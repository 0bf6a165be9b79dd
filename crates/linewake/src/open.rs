//! What a text opens: the chips that there are, and how each is made.

use std::sync::Arc;
use std::time::Duration;

use linewake_controller::protocol::MAX_LINES;
use overlapped::Device;

use crate::backend::exec::{self, Exec};
use crate::backend::{Backend, driver, gpiochip, profile, serial, sim};
use crate::profile::Profile;
use crate::sim::{ClockKind, Script};
use crate::{Chip, Error, ErrorKind};

/// The device of the reference driver.
const REFERENCE_DEVICE: &str = r"\\.\LineWake0";

/// The seed of a simulated chip unless another is given.
pub const DEFAULT_SEED: u64 = 1;

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
    ///   [set](crate::RequestBuilder::queue_size), 1024 at most. Of a full one the oldest event is dropped, and
    ///   counted.
    /// - Lines of a request may be held in different ways. Each setting in which some differ from the others takes one of the
    ///   ten that the kernel keeps: [`ErrorKind::InvalidInput`] says when they are used up.
    /// - With both edges watched, the kernel takes the level for the kind of an edge when its interrupt's thread runs: of a
    ///   short pulse both may be `falling`. An edge that comes too early after another merges with it; in a request of two
    ///   lines or more that is [counted](crate::Account::unattributed), of one line alone with a
    ///   [witness](crate::RequestBuilder::witness).
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

    /// How to open.
    #[must_use]
    pub fn options() -> ChipOptions {
        ChipOptions::default()
    }
}

impl Script {
    /// Opens a chip on which this happens, as [`ChipOptions::simulate`] does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the script makes no sense: two lines at one place, a signal that never ends a moment.
    pub fn open(&self) -> Result<Chip, Error> {
        ChipOptions::default().simulate(self)
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
