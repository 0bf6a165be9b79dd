//! Opens chips: from a text, a script, a profile, a program, or devices.

mod options;
mod specs;

use std::sync::Arc;

use overlapped::Device;

pub use self::options::{ChipOptions, DEFAULT_SEED};
pub use self::specs::{ChipSpec, chip_specs};
use crate::backend::exec::{self, Exec};
use crate::backend::{driver, gpiochip, profile};
use crate::profile::Profile;
use crate::sim::Script;
use crate::{Chip, Error};

/// The device of the reference driver.
const REFERENCE_DEVICE: &str = r"\\.\LineWake0";

impl ChipOptions {
    /// Opens the chip that `spec` names; see [`Chip::open`].
    ///
    /// # Errors
    /// As [`Chip::open`]; and [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that such a
    /// chip does not take.
    pub fn open(&self, spec: &str) -> Result<Chip, Error> {
        Chip::from_backend(specs::open(self, spec)?)
    }

    /// Opens a simulated chip that plays a script. A seed and a clock that were set here take the place of the
    /// script's.
    ///
    /// ```
    /// use linewake::Chip;
    /// use linewake::sim::{SimLine, Script};
    /// let chip = Chip::options().seed(3).simulate(&Script::new().line(SimLine::new("door")))?;
    /// assert_eq!(chip.find("door")?.get(), 0);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the script is invalid,
    /// [`ErrorKind::BadFile`](crate::ErrorKind::BadFile) if it comes from a file.
    pub fn simulate(&self, script: &Script) -> Result<Chip, Error> {
        Chip::from_backend(specs::simulated(self, script, "sim")?)
    }
}

impl Chip {
    /// Opens the chip that `spec` names:
    ///
    /// | spec | chip | options |
    /// |---|---|---|
    /// | `sim` | a simulated chip whose lines change by themselves | `seed`, `life`, `clock` |
    /// | `sim:N` | the same chip with N lines, 1 to 1024 | `seed`, `life`, `clock` |
    /// | `sim:FILE` | a chip that plays a script (.toml) or a waveform (.vcd, .fst, .ghw) | `seed`, `life`, `clock` |
    /// | `label:LABEL` | the Linux gpiochip that has this label |  |
    /// | `serial:PORT` | the modem lines of a serial port, as in serial:COM3 and serial:/dev/ttyUSB0 | `poll_period` |
    /// | `exec:COMMAND` | the lines that a program prints | `start_timeout` |
    /// | `\\.\NAME` | a device whose driver speaks the reference driver's protocol |  |
    /// | `profile:FILE` | a device that a profile describes; a .toml FILE needs no prefix | `allow_writes` |
    /// | `gpiochipN` | a Linux gpiochip by its name, its number N or its path, or by a link to it |  |
    ///
    /// The lines of `sim` are `pps`, `button`, `encoder-a`, `encoder-b`, `flow`, `door`, and some that stay as they
    /// are. The options are methods of [`ChipOptions`]; [`chip_specs`] has this table for a program.
    ///
    /// Each opening of `sim` makes a new chip; to share one, clone it.
    ///
    /// # Linux's gpiochips
    /// They need Linux 5.10 (version 2 of the interface); an older kernel refuses every request.
    /// - The kernel holds 64 lines in one request, so linewake splits larger ones. Each part has a queue of 16 events a
    ///   line unless [set](crate::RequestBuilder::queue_size), 1024 at most. A full queue drops its oldest event, which
    ///   the account counts.
    /// - The lines of a request may have different settings. Each setting that differs between lines takes one of the
    ///   ten attributes that the kernel keeps for a request.
    ///   [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) reports that there are too many.
    /// - When both edges are watched, the kernel reads the level in its interrupt thread and derives the kind of the
    ///   edge from it: both edges of a short pulse may be `falling`. An edge that follows another too soon merges with
    ///   it. A request of two or more lines [counts](crate::Account::unattributed) such edges, a request of one line
    ///   does so with a [witness](crate::RequestBuilder::witness).
    /// - A line has one holder. [`ErrorKind::Busy`](crate::ErrorKind::Busy) names its process, as far as this user may
    ///   read /proc.
    /// - A chip that is unplugged loses the events that were not read. [`reopen`](Self::reopen) finds it by its label
    ///   and its place in the machine, whatever its number is then; if it was moved, by its label, unless another chip
    ///   has the same label.
    /// - [`watch_info`](Self::watch_info): the kernel queues 32 changes for each watch. It drops further ones and does
    ///   not report that.
    ///
    /// # Serial ports
    /// `CTS`, `DSR`, `RI` and `DCD` are inputs, `RTS` and `DTR` outputs, with the offsets 0 to 5. The system hands over
    /// no edges, so linewake stamps them when it notices them. It delivers one edge for all changes since the last
    /// look, and counts the others as [merged](crate::Missed) as far as they are known:
    /// - Linux: linewake reads the driver's counters every [10 ms](ChipOptions::poll_period) while the program waits
    ///   for the request. On a port without counters, or whose UART does not interrupt for its modem lines (as when
    ///   CLOCAL is set), it has only the levels.
    /// - Windows: the driver reports which line changed, but not how often. It accepts one such wait at a time, so one
    ///   request watches all inputs.
    /// - Many drivers count or report only the end of a ring on RI.
    ///
    /// So the account is [`AtLeast`](crate::Trust::AtLeast) at best. The system changes the outputs of a port that is
    /// opened: on Linux DTR and RTS rise, and fall when the last handle is closed, unless HUPCL is off (`stty -hupcl`).
    /// linewake changes them only if a request sets them. A USB adapter may get another number when it is plugged in
    /// again: `/dev/serial/by-id/…` stays the same.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownChip`](crate::ErrorKind::UnknownChip) for any other text;
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) when the device cannot be opened, as on a system that has no
    /// such devices; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it does not speak the protocol;
    /// [`ErrorKind::BadFile`](crate::ErrorKind::BadFile) if the file is invalid.
    pub fn open(spec: &str) -> Result<Self, Error> {
        Self::options().open(spec)
    }

    /// A chip behind a device that speaks the reference driver's protocol ([`linewake_controller::protocol`]). `open`
    /// opens the device, once more for each request.
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
    /// The error of opening it; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it does not speak the
    /// protocol.
    pub fn from_devices(
        name: &str,
        open: impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::from_backend(Arc::new(driver::ReferenceChip::open(driver::DeviceOpener::Devices(Arc::new(open)), name)?))
    }

    /// A chip behind a driver that a [`Profile`] describes. `open` opens the device, once more for each request; a test
    /// can give a simulated one.
    ///
    /// ```no_run
    /// use linewake::{Chip, profile::Profile};
    /// let profile = Profile::read("profiles/card.toml")?.allow_writes(true);
    /// let chip = Chip::from_profile(&profile, || overlapped::Device::open(r"\\.\Card1"))?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of opening it; [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the profile does
    /// something that must be [allowed](Profile::allow_writes) and is not.
    pub fn from_profile(
        profile: &Profile,
        open: impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::from_backend(Arc::new(profile::ProfileChip::opened_by(profile, open)?))
    }

    /// The chip that a profile describes, on the device that the profile names.
    ///
    /// ```no_run
    /// use linewake::{Chip, profile::Profile};
    /// let profile = Profile::read("profiles/card.toml")?.traced(|trace| eprintln!("{trace}"));
    /// let chip = Chip::of_profile(&profile)?;
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_profile`](Self::from_profile); [`ErrorKind::BadFile`](crate::ErrorKind::BadFile) when it names no
    /// device; one that [`is_disconnected`](Error::is_disconnected) when no such device is present, and
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when several are.
    pub fn of_profile(profile: &Profile) -> Result<Self, Error> {
        Self::from_backend(Arc::new(profile::ProfileChip::of_profile(profile)?))
    }

    /// A chip whose lines a program watches; it prints a text line for each change. This serves libraries that offer
    /// only callbacks. The program starts now. One request at a time holds its lines; the program ends with the
    /// request, and the next request starts it again.
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
    /// [`ErrorKind::Device`](crate::ErrorKind::Device) when it cannot be started, or ends before it named its lines;
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) when it does not name them in time;
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it prints something else.
    pub fn from_command(program: Exec) -> Result<Self, Error> {
        Self::from_backend(Arc::new(exec::ExecChip::open(program)?))
    }

    /// Options to open a chip with.
    #[must_use]
    pub fn options() -> ChipOptions {
        ChipOptions::default()
    }
}

impl Script {
    /// Opens a simulated chip that plays this, as [`ChipOptions::simulate`] does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if the script is invalid, for example with two lines
    /// at one offset.
    pub fn open(&self) -> Result<Chip, Error> {
        ChipOptions::default().simulate(self)
    }
}

/// The chips of this system, each as a text that [opens](Chip::open) it: on Linux the gpiochips in `/dev` in the order
/// of their numbers, on Windows the reference driver's device. Simulated chips and those of profiles and programs are
/// not among them.
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
            // It exists but cannot be opened; the error of opening it says why.
            Err(error) => error.kind() != overlapped::ErrorKind::NotFound,
        };
        chips.extend(Some(REFERENCE_DEVICE).filter(is_there).map(str::to_owned));
    }
    chips
}
