//! The chip: its facts, and requests for its lines.

use std::fmt;
use std::sync::Arc;

use overlapped::{Device, Port};

use super::decoder::{self, EdgeDecoder};
use super::levels::{all_known, levels_now};
use super::lines::ProfileLines;
use super::link::Link;
use super::opener::{Opener, opener};
use super::pending::Signal;
use crate::backend::{Ask, Backend, Capabilities, HeldLines};
use crate::clock::program_ns as now_ns;
use crate::profile::{self, Levels, Means, Place, Plan, Profile, Role, Trace};
use crate::{ChipInfo, Clock, ClockName, Direction, Error, ErrorKind, EventClock, LineConfig, LineInfo, Offset, Trust};

/// A chip behind a driver that a profile describes.
pub(crate) struct ProfileChip {
    plan: Arc<Plan>,
    profile: Profile,
    open: Arc<Opener>,
    timer: Port,
    info: ChipInfo,
}

/// Opens the chip that a file describes.
pub(crate) fn open(path: &str, allow_writes: bool) -> Result<Arc<dyn Backend>, Error> {
    let profile = Profile::read(path)?.allow_writes(allow_writes);
    Ok(Arc::new(ProfileChip::of_profile(&profile)?))
}

impl ProfileChip {
    /// The chip whose device the profile names.
    pub(crate) fn of_profile(profile: &Profile) -> Result<Self, Error> {
        let plan = profile.plan();
        let Some(target) = plan.target.clone() else {
            let message = format!(
                "the profile \"{}\" names no device; add [device] with `path`, `interface` or `subsystem`",
                plan.file
            );
            return Err(Error::new(ErrorKind::BadFile, message));
        };
        Self::open(profile, Arc::new(opener(plan, target)))
    }

    /// The chip whose device a program opens.
    pub(crate) fn opened_by(
        profile: &Profile,
        open: impl Fn() -> Result<Device, overlapped::Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        Self::open(profile, Arc::new(move || Ok(open()?)))
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the profile needs permission to write and has none; else the error of opening
    /// the device.
    fn open(profile: &Profile, open: Arc<Opener>) -> Result<Self, Error> {
        profile.check_consent()?;
        let plan = profile.plan().clone();
        let info = ChipInfo {
            name: plan.name.clone(),
            id: format!("profile:{}", plan.file).into(),
            label: plan.label.clone(),
            path: None,
            lines: plan.lines.len() as u32,
            max_queue_size: plan.max_queue,
        };
        let mut chip = Self { plan, profile: profile.clone(), open, timer: Port::global()?, info };
        let foreign = chip.plan.target.as_ref().and_then(|target| target.place.is_foreign());
        let remedy = match foreign {
            Some(foreign) => format!("the profile opens {foreign}"),
            None => "is it plugged in, and is its driver running? The profile says what to open".to_owned(),
        };
        // This only checks that the device is there. Each request opens its own handle.
        let not_found = overlapped::ErrorKind::NotFound;
        let device = chip.device().map_err(|error| chip.not_listed(error.with_remedy_if(not_found, &remedy)))?;
        chip.info.path = match chip.plan.target.as_ref().map(|target| &target.place) {
            Some(Place::Path(path)) => Some(path.as_str().into()),
            Some(Place::Interface { .. } | Place::Subsystem { .. }) => Some(device.name().into()),
            None => None,
        };
        Ok(chip)
    }

    /// Names the interface whose devices the system does not list, with a remedy.
    fn not_listed(&self, error: Error) -> Error {
        let target = self.plan.target.as_ref().map(|target| &target.place);
        let is_list = error.device().is_some_and(|device| device.operation() == overlapped::Operation::Interface);
        match target {
            Some(Place::Interface { guid, .. }) if is_list => {
                let remedy = "name the device by `path` in the profile's [device]";
                let message = format!("the devices of the interface \"{guid}\" cannot be listed: {error}; {remedy}");
                error.saying(message)
            }
            Some(place) if error.device().is_none() => match place.is_foreign() {
                Some(foreign) => Error::gone(format!("the profile opens {foreign}")),
                None => error,
            },
            _ => error,
        }
    }

    fn device(&self) -> Result<Device, Error> {
        let device = (self.open)()?;
        #[cfg(all(target_os = "linux", not(miri)))]
        if let profile::By::Read(_) = self.plan.wait.by {
            super::terminal::is_raw(&device)?;
        } else if waits_in_calls(&self.plan) {
            super::ioctl::let_calls_wait(&device)?;
        }
        self.profile.tracer().tell(Trace::Opened { name: device.name() });
        Ok(device)
    }

    /// Opens the device for requested lines.
    fn link(&self, ask: &Ask<'_>, event: u64) -> Result<Link, Error> {
        Ok(Link {
            plan: self.plan.clone(),
            device: self.device()?,
            asked: decoder::asked(&self.plan, ask),
            queue_size: ask.queue_size,
            is_over: std::cell::Cell::new(false),
            event,
            tracer: self.profile.tracer().clone(),
            left_out: self.profile.left_out(),
            #[cfg(all(target_os = "linux", not(miri)))]
            room: std::cell::RefCell::default(),
        })
    }
}

/// True if the call of the wait blocks in the driver.
#[cfg(all(target_os = "linux", not(miri)))]
fn waits_in_calls(plan: &Plan) -> bool {
    let profile::By::Call(call) = plan.wait.by else { return false };
    plan.call(call).request().is_some_and(|request| matches!(request.when, profile::When::Blocks { .. }))
}

impl Backend for ProfileChip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let is_exact = self.plan.account.is_some() && self.plan.tells(Role::Overflowed);
        Capabilities {
            shared_lines: !self.plan.target.as_ref().is_some_and(|target| target.exclusive),
            atomic_values: self.plan.levels.calls().len() == 1 && !self.plan.levels_each_line(),
            ..Capabilities::inputs_only(self.plan.lines.len(), if is_exact { Trust::Exact } else { Trust::AtLeast })
        }
    }

    fn clock(&self, _: EventClock) -> Clock {
        match self.plan.tells(Role::Timestamp) {
            true => Clock::unrelated(ClockName::Device),
            false => Clock::read(ClockName::Program, now_ns),
        }
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        let line = |(offset, line): (u32, &profile::ProfileLine)| LineInfo {
            offset: offset.into(),
            name: line.name.clone(),
            direction: Direction::Input,
            active: None,
            used: false,
            consumer: None,
            config: LineConfig::default(),
        };
        Ok((0..).zip(&self.plan.lines).map(line).collect())
    }

    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let lines: Vec<_> = offsets.iter().map(|&offset| (offset, LineConfig::as_is())).collect();
        let ask = Ask::new("", &lines);
        let link = self.link(&ask, 0)?;
        let decoder = EdgeDecoder::new(self.plan.clone(), &ask, &link.asked);
        let levels = match levels_now(&link, &decoder) {
            // Some drivers report no levels before they are set up.
            Err(_) if !self.plan.setup.is_empty() => {
                link.set_up()?;
                let levels = levels_now(&link, &decoder);
                link.release();
                levels?
            }
            levels => levels?,
        };
        all_known(&self.plan, levels)
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        let signal = Signal::made(&self.plan)?;
        let link = self.link(ask, signal.as_ref().map_or(0, |signal| signal.handle))?;
        let mut decoder = EdgeDecoder::new(self.plan.clone(), ask, &link.asked);
        // Some drivers report no levels before they are set up.
        let before = levels_now(&link, &decoder).unwrap_or_else(|_| vec![None; link.asked.len()]);
        link.set_up()?;
        let after = levels_now(&link, &decoder).inspect_err(|_| {
            if !self.plan.setup.is_empty() {
                link.release();
            }
        })?;
        // A level that changed between the two readings may be the one before or after the first edge. If an edge is a
        // difference from the last level, it is the one before.
        let steady = |(before, after): (&Option<bool>, &Option<bool>)| after.filter(|_| before == after);
        let (levels, active_at_start) = match self.plan.levels {
            Levels::Start(active) => (vec![Some(active); after.len()], vec![Some(active); after.len()]),
            _ if self.plan.wait.means == Means::Level => (after.clone(), after),
            _ => (after.clone(), before.iter().zip(&after).map(steady).collect()),
        };
        decoder.begin(&levels, now_ns());
        Ok(Box::new(ProfileLines::start(link, decoder, self.timer.clone(), active_at_start, signal)?))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        Ok(Arc::new(Self::open(&self.profile, self.open.clone())?))
    }
}

impl fmt::Debug for ProfileChip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileChip").field("profile", &self.profile).finish_non_exhaustive()
    }
}
