//! An open chip, its facts, and its place in the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use overlapped::Device;
use rustix::time::{ClockId, clock_gettime};

use super::{config, uapi};
use crate::{ChipInfo, Error, ErrorKind, EventClock, LineInfo, Offset};

/// The most events that the kernel queues for a request.
pub(super) const MAX_QUEUE: u32 = 1024;

/// Buses with messages: a thread asks a chip behind them which line interrupted.
const MESSAGE_BUSES: &[&str] = &["i2c", "i3c", "spi", "usb", "hid", "mdio_bus", "w1", "serial", "sdio", "greybus"];

/// The place of a chip in the machine, whatever its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(Option<PathBuf>);

impl Place {
    /// The place of the chip that has this name now.
    pub(super) fn of(name: &str) -> Self {
        let path = fs::canonicalize(Path::new("/sys/bus/gpio/devices").join(name)).ok();
        Self(path.and_then(|path| Some(path.parent()?.to_owned())))
    }

    /// An id of a chip at this place, whatever its number.
    pub(super) fn id(&self, name: &str, label: &str) -> Arc<str> {
        let path = self.0.as_ref().map(|path| path.strip_prefix("/sys/devices").unwrap_or(path).to_string_lossy());
        let place = path.as_deref().map_or(name, |path| path.trim_start_matches('/'));
        format!("{place}:{label}").into()
    }

    /// True if the kernel probably numbers this chip's interrupts as they happen, and not when a thread has read them
    /// from the chip.
    pub(super) fn interrupts_directly(&self) -> bool {
        let Some(path) = &self.0 else { return true };
        let bus = |device: &Path| Some(fs::read_link(device.join("subsystem")).ok()?.file_name()?.to_owned());
        path.ancestors().filter_map(bus).all(|bus| MESSAGE_BUSES.iter().all(|slow| bus != *slow))
    }
}

/// A chip, and its file.
#[derive(Debug)]
pub(crate) struct GpioChip {
    pub(super) device: Device,
    pub(super) info: ChipInfo,
    pub(super) place: Place,
}

impl GpioChip {
    /// Takes the chip that was opened, from `path`.
    pub(super) fn new(device: Device, path: &str) -> Result<Self, overlapped::Error> {
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

    /// Adds the name of the chip to an error, which names the chip's file.
    pub(super) fn error(&self, error: overlapped::Error) -> Error {
        of_chip(&self.info.name, error)
    }

    /// A line as it is now.
    pub(super) fn line_info(&self, offset: Offset) -> Result<LineInfo, Error> {
        let said = uapi::line_info(&self.device, offset.get()).map_err(|error| self.error(error))?;
        Ok(config::line_info(&said))
    }
}

/// Adds the name of a chip to an error.
pub(super) fn of_chip(name: &str, error: overlapped::Error) -> Error {
    let message = format!("chip \"{name}\": {error}");
    Error::from(error).saying(message)
}

/// The error of a chip whose file gives something else than `linux/gpio.h` says.
pub(super) fn malformed(name: &str, what: String) -> Error {
    Error::new(ErrorKind::Malformed, format!("chip \"{name}\" does not keep to its protocol: {what}"))
}

/// The time of a clock that stamps edges, if it can be read.
pub(super) fn now_ns(clock: EventClock) -> Option<u64> {
    let now = match clock {
        EventClock::Monotonic => clock_gettime(ClockId::Monotonic),
        EventClock::Realtime => clock_gettime(ClockId::Realtime),
        EventClock::Hte => return None,
    };
    u64::try_from(now.tv_sec).ok()?.checked_mul(1_000_000_000)?.checked_add(u64::try_from(now.tv_nsec).ok()?)
}
