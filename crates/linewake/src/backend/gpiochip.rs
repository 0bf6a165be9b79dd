//! The chips of Linux: `/dev/gpiochipN`.
//!
//! - `uapi` is the kernel's interface, `config` makes configurations of lines for it.
//! - `file` is a chip on the caller's thread, for libgpiod's tools.
//! - `chip` is an open chip, `find` lists those that exist, `help` has remedies when one does not open.
//! - `lines` are the lines of a request, `held` knows which this process still wants, `watch` reports changes of lines.

mod chip;
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
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::Arc;
use std::time::Duration;

use overlapped::Device;
use zerocopy::FromZeros;

use self::chip::{GpioChip, MAX_QUEUE, now_ns};
use self::find::{LABEL, chips, path_of};
pub(crate) use self::find::{is_spec, names};
pub(crate) use self::help::labelled;
use self::lines::GpioLines;
use super::{Ask, Backend, Capabilities, HeldLines, InfoWatch};
use crate::{ChipInfo, Clock, Error, ErrorKind, EventClock, LineConfig, LineInfo, Offset, Trust};

impl GpioChip {
    /// A free line that was not requested.
    fn witness(&self, asked: &[(Offset, LineConfig)]) -> Result<Option<Offset>, Error> {
        // The last lines are the least likely to be wired.
        for offset in (0..self.info.lines).rev().map(Offset::from) {
            if asked.iter().all(|line| line.0 != offset) && !self.line_info(offset)?.used {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// Takes the lines without watching their edges yet. `None` if the driver reports success and makes no file.
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
            // Gathering edges need room.
            0 if !ask.gather.is_zero() => MAX_QUEUE,
            size => size,
        };
        // A line that was given back can be taken again at once, but its last user closes the file, which may be the
        // dispatcher a moment later.
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

impl Backend for GpioChip {
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
            EventClock::Hte => Clock::unrelated(clock.into()),
            _ => Clock::read(clock.into(), || now_ns(clock).unwrap_or(0)),
        }
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        (0..self.info.lines).map(|offset| self.line(offset.into())).collect()
    }

    fn line(&self, offset: Offset) -> Result<LineInfo, Error> {
        self.line_info(offset)
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        let configs = || ask.lines.iter().map(|line| line.1);
        let wants_witness = ask.witness && ask.lines.len() == 1 && configs().any(|config| config.edges.is_some());
        let witness = match wants_witness && self.place.interrupts_directly() {
            true => self.witness(ask.lines)?,
            false => None,
        };
        let whole = |lines: &mut dyn Iterator<Item = LineConfig>| {
            config::encode(&self.info.name, lines.chain(witness.map(|_| LineConfig::as_is())))
        };
        // Edges are watched once the levels are known: see `GpioLines::start`.
        let watched = whole(&mut configs())?;
        let unwatched = whole(&mut configs().map(|config| match config.edges {
            Some(_) => LineConfig { edges: None, debounce: Duration::ZERO, ..config },
            None => config,
        }))?;
        let device = match self.take(ask, witness, unwatched) {
            // The witness may have been taken meanwhile; the request goes on without it.
            Err(error) if error.kind() == overlapped::ErrorKind::Busy && witness.is_some() => {
                return self.request(&Ask { witness: false, ..*ask });
            }
            taken => taken.map_err(|error| help::not_taken(self, error, ask.lines))?,
        };
        let device = device.ok_or_else(|| {
            let path = self.info.path.as_deref().unwrap_or(&self.info.name);
            let message =
                format!("\"{path}\" granted lines without a file for them; report this to the author of its driver");
            Error::new(ErrorKind::Device, message)
        })?;
        let queue = if ask.queue_size == 0 { MAX_QUEUE } else { ask.queue_size };
        let gather = super::gather_in(queue, ask.gather);
        Ok(Box::new(GpioLines::start(self, device, ask.lines.to_vec(), witness, watched, gather)?))
    }

    fn watch_info(&self, offsets: &[Offset]) -> Result<Box<dyn InfoWatch>, Error> {
        // The kernel keeps watches by open file, so each watch has its own.
        let path = self.info.path.as_deref().unwrap_or_default();
        let device = Device::open(path).map_err(|error| self.error(error))?;
        let same = uapi::chip_info(&device).map_err(|error| self.error(error))?;
        if uapi::text(&same.label) != *self.info.label {
            let message = format!("\"{path}\" is no longer chip \"{}\"; open it again", self.info.label);
            return Err(Error::new(ErrorKind::UnknownChip, message));
        }
        let watch = watch::GpioInfoWatch::start(&self.info, device, offsets).map_err(|error| self.error(error))?;
        Ok(Box::new(watch))
    }

    fn holders(&self) -> HashMap<Offset, crate::LineHolder> {
        help::holders(&self.info.name)
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        again(self)
    }
}

/// Opens the chip that a spec names: a number, a name, a path under /dev, `label:` and a label.
pub(crate) fn open(spec: &str) -> Result<Arc<dyn Backend>, Error> {
    if let Some(label) = spec.strip_prefix(LABEL) {
        return open_labelled(spec, label);
    }
    let path = path_of(spec);
    // A link may lead elsewhere when the chip comes back. The chip is what it leads to now.
    let real = fs::canonicalize(&path).map_or_else(|_| path.clone(), |real| real.to_string_lossy().into_owned());
    // Opening a pipe would wait, and a plain file would give a misleading error.
    if fs::metadata(&real).is_ok_and(|found| !found.file_type().is_char_device()) {
        return Err(help::no_device(&real));
    }
    let device = Device::open(&real).map_err(|error| help::not_opened(spec, &real, error))?;
    Ok(Arc::new(GpioChip::new(device, &real).map_err(|error| help::no_chip(spec, &real, error))?))
}

fn open_labelled(spec: &str, label: &str) -> Result<Arc<dyn Backend>, Error> {
    let mut chips = chips().filter(|chip| *chip.info.label == *label);
    match (chips.next(), chips.next()) {
        (Some(chip), None) => Ok(Arc::new(chip)),
        (None, _) => Err(Error::new(ErrorKind::UnknownChip, format!("there is no chip \"{spec}\"; {}", help::chips()))),
        (Some(one), Some(two)) => {
            let (one, two) = (&one.info.name, &two.info.name);
            let message = format!(
                "\"{spec}\" is the label of several chips, such as \"{one}\" and \"{two}\"; use a name, or a link in \
                 /dev that udev makes"
            );
            Err(Error::new(ErrorKind::UnknownChip, message))
        }
    }
}

/// The same chip after it was unplugged and plugged in: the same label at the same place; or, where the place is
/// another, the only chip with that label.
fn again(before: &GpioChip) -> Result<Arc<dyn Backend>, Error> {
    let mut alike: Vec<_> = chips().filter(|chip| chip.info.label == before.info.label).collect();
    let at_its_place = alike.iter().position(|chip| chip.place == before.place);
    match at_its_place.or((alike.len() == 1).then_some(0)) {
        Some(at) => Ok(Arc::new(alike.swap_remove(at))),
        // The error of its own file tells best that it is gone.
        None => Err(match uapi::chip_info(&before.device) {
            Err(error) => before.error(error),
            Ok(_) => {
                let (name, label) = (&before.info.name, &before.info.label);
                let message = format!("chip \"{name}\" (\"{label}\") still exists, but is no longer in /dev");
                Error::new(ErrorKind::UnknownChip, message)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::open;
    use crate::ErrorKind;

    #[test]
    fn an_unknown_chip_is_reported_with_the_chips_that_exist() {
        for spec in ["label:no such chip", "gpiochip4294967295", "4294967295", "/dev/no such chip"] {
            let error = open(spec).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("\"{spec}\"")), "{said}");
            assert!(said.contains("there is none") || said.contains("there are"), "{said}");
        }
        let error = open("/dev/null").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownChip);
        assert!(error.to_string().contains("\"/dev/null\" is no gpiochip"), "{error}");
    }
}
