//! The chips of Linux: `/dev/gpiochipN`.
//!
//! - `uapi` is the kernel's interface, `config` what it says of how lines are held.
//! - `file` is a chip on the caller's thread alone, for libgpiod's tools.
//! - `find` opens what a spec names, and finds a chip again; `help` says what to do when it does not open.
//! - `lines` are lines that are held, `held` knows which of them this process still wants, `watch` is who takes them and gives them back.

mod config;
pub mod file;
mod find;
mod held;
mod help;
mod lines;
#[expect(unsafe_code, reason = "declaring what an ioctl reads and writes is a promise")]
mod uapi;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use overlapped::Device;
use rustix::time::{ClockId, clock_gettime};
use zerocopy::FromZeros;

use self::find::Place;
pub(crate) use self::find::{is_spec, names, open};
pub(crate) use self::help::labelled;
use self::lines::Lines;
use super::{Ask, Backend, Capabilities, Held, InfoWatch};
use crate::{ChipInfo, Clock, Error, ErrorKind, EventClock, LineConfig, LineInfo, Offset, Trust};

/// The most events that the kernel queues for a request.
const MAX_QUEUE: u32 = 1024;

/// A chip, and its file.
#[derive(Debug)]
pub(crate) struct Chip {
    device: Device,
    info: ChipInfo,
    place: Place,
}

impl Chip {
    /// Takes the chip that was opened, from `path`.
    fn new(device: Device, path: &str) -> Result<Self, overlapped::Error> {
        let said = uapi::chip_info(&device)?;
        let name = uapi::text(&said.name);
        let label = uapi::text(&said.label);
        let place = Place::of(&name);
        let info = ChipInfo {
            id: place.id(&name, &label),
            label: label.into(),
            path: Some(path.into()),
            lines: said.lines,
            max_queue_size: MAX_QUEUE,
            name: name.into(),
        };
        Ok(Self { device, info, place })
    }

    /// Says which chip an error is of; by itself it names the chip's file.
    fn error(&self, error: overlapped::Error) -> Error {
        let message = format!("chip \"{}\": {error}", self.info.name);
        Error::from(error).saying(message)
    }

    /// A line nobody holds, and that is not among those asked for.
    fn witness(&self, asked: &[(Offset, LineConfig)]) -> Result<Option<Offset>, Error> {
        // The last ones are the least likely to be wired to anything.
        for offset in (0..self.info.lines).rev().map(Offset::from) {
            if asked.iter().all(|line| line.0 != offset) && !self.line(offset)?.used {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Takes the lines as inputs and outputs whose edges are not watched yet; none if the driver says so and makes no file.
    fn take(
        &self,
        ask: &Ask<'_>,
        witness: Option<Offset>,
        config: uapi::LineConfig,
    ) -> Result<Option<Device>, overlapped::Error> {
        let mut request = uapi::LineRequest::new_zeroed();
        let offsets = ask.lines.iter().map(|line| line.0).chain(witness);
        for (slot, offset) in request.offsets.iter_mut().zip(offsets) {
            *slot = offset.get();
            request.lines += 1;
        }
        request.consumer = uapi::name(ask.consumer);
        request.config = config;
        request.event_buffer_size = match ask.queue_size {
            // What gathers must have room.
            0 if !ask.gather.is_zero() => MAX_QUEUE,
            size => size,
        };
        // Who gave a line back may take it again at once; but its file is closed by whoever used it last, and that may be
        // the dispatcher, a moment later.
        let mut tries = 0..50;
        loop {
            match uapi::get_lines(&self.device, &request) {
                Err(error)
                    if error.kind() == overlapped::ErrorKind::Busy
                        && held::is_being_closed(self, ask.lines)
                        && tries.next().is_some() =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                taken => return taken,
            }
        }
    }
}

impl Backend for Chip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            outputs: true,
            active_low: true,
            bias: true,
            drive: true,
            debounce: true,
            realtime: true,
            hte: true,
            max_queue_size: MAX_QUEUE,
            atomic_values: true,
            reconfigure: true,
            info_watch: true,
            ..Capabilities::inputs_only(uapi::LINES, Trust::AtLeast)
        }
    }

    fn clock(&self, clock: EventClock) -> Clock {
        match clock {
            EventClock::Hte => Clock::unrelated(clock.as_str()),
            _ => Clock::read(clock.as_str(), || now_ns(clock).unwrap_or(0)),
        }
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        (0..self.info.lines).map(|offset| self.line(offset.into())).collect()
    }

    fn line(&self, offset: Offset) -> Result<LineInfo, Error> {
        let said = uapi::line_info(&self.device, offset.get()).map_err(|error| self.error(error))?;
        Ok(config::line_info(&said))
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn Held>, Error> {
        let configs = || ask.lines.iter().map(|line| line.1);
        let wants_witness = ask.witness && ask.lines.len() == 1 && configs().any(|config| config.edges.is_some());
        let witness = match wants_witness && self.place.interrupts_directly() {
            true => self.witness(ask.lines)?,
            false => None,
        };
        let whole = |lines: &mut dyn Iterator<Item = LineConfig>| {
            config::encode(&self.info.name, lines.chain(witness.map(|_| LineConfig::as_is())))
        };
        // Edges are watched once the levels are known: see `Lines::start`.
        let watched = whole(&mut configs())?;
        let unwatched = whole(&mut configs().map(|config| match config.edges {
            Some(_) => LineConfig { edges: None, debounce: Duration::ZERO, ..config },
            None => config,
        }))?;
        let device = match self.take(ask, witness, unwatched) {
            // Somebody may have taken the witness since; it is not what was asked for.
            Err(error) if error.kind() == overlapped::ErrorKind::Busy && witness.is_some() => {
                return self.request(&Ask { witness: false, ..*ask });
            }
            taken => taken.map_err(|error| help::not_taken(self, error, ask.lines))?,
        };
        let device = device.ok_or_else(|| {
            let path = self.info.path.as_deref().unwrap_or(&self.info.name);
            let message = format!("\"{path}\" grants lines and makes no file for them; its driver is to be mended");
            Error::new(ErrorKind::Device, message)
        })?;
        let queue = if ask.queue_size == 0 { MAX_QUEUE } else { ask.queue_size };
        let gather = super::gather_in(queue, ask.gather);
        Ok(Box::new(Lines::start(self, device, ask.lines.to_vec(), witness, watched, gather)?))
    }

    fn watch_info(&self, offsets: &[Offset]) -> Result<Box<dyn InfoWatch>, Error> {
        // What is watched belongs to the open file, so each watch has its own.
        let path = self.info.path.as_deref().unwrap_or_default();
        let device = Device::open(path).map_err(|error| self.error(error))?;
        let same = uapi::chip_info(&device).map_err(|error| self.error(error))?;
        if uapi::text(&same.label) != *self.info.label {
            let message = format!("\"{path}\" is not chip \"{}\" any more; open it again", self.info.label);
            return Err(Error::new(ErrorKind::UnknownChip, message));
        }
        let watch = watch::Watch::start(&self.info, device, offsets).map_err(|error| self.error(error))?;
        Ok(Box::new(watch))
    }

    fn holders(&self) -> HashMap<Offset, (u32, String)> {
        help::holders(&self.info.name)
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        find::again(self)
    }
}

/// The time by the clock that stamps edges, where it can be read.
fn now_ns(clock: EventClock) -> Option<u64> {
    let now = match clock {
        EventClock::Monotonic => clock_gettime(ClockId::Monotonic),
        EventClock::Realtime => clock_gettime(ClockId::Realtime),
        EventClock::Hte => return None,
    };
    u64::try_from(now.tv_sec).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(now.tv_nsec).ok()?)
}
