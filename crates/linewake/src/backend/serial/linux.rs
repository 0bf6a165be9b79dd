//! Serial ports of Linux, which are polled. TIOCMIWAIT, which waits, can be neither polled nor interrupted.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use overlapped::{Device, ErrorKind as Kind};

use super::ioctls::{ARE_GENERIC, BITS, Counters, TIOCGICOUNT, TIOCMBIC, TIOCMBIS, TIOCMGET};
use super::look::{INPUTS, Levels, Look};
use super::ticker::Ticker;
use crate::backend::again::uninterrupted;
use crate::backend::unsupported;
use crate::{ClockName, Error, ErrorKind};

/// Each watch has counters of its own.
pub(super) const SEVERAL_WATCHES: bool = true;

/// A terminal with modem lines.
#[derive(Debug)]
pub(super) struct Port {
    device: Device,
    /// True if the driver counts changes.
    counts: bool,
    /// True if each look reads the levels. A UART on the bus may count changes only when its levels are read, and the
    /// read is cheap. A USB adapter reports changes by itself, and a read costs a transfer.
    is_uart: bool,
}

/// Edges are stamped with CLOCK_MONOTONIC, as a gpiochip's are.
pub(super) const CLOCK: ClockName = ClockName::Monotonic;

/// The clock's time now.
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

impl Port {
    pub(super) fn open(path: &str) -> Result<Self, Error> {
        if !ARE_GENERIC {
            return Err(unsupported(path, "is a serial port, whose requests have other numbers on this architecture"));
        }
        let device = Device::options().read(true).write(true).open(path).map_err(|error| {
            let missing = match path.contains('/') {
                true => "is it plugged in?",
                false => "name a port by its path, as in \"serial:/dev/ttyUSB0\"",
            };
            Error::from(error).with_remedy_if(Kind::NotFound, missing).with_remedy_if(
                Kind::AccessDenied,
                "join the group that owns it: \"dialout\" on Debian, \"uucp\" on Arch",
            )
        })?;
        if let Err(error) = uninterrupted(|| device.ioctl(TIOCMGET, 0)) {
            // The errors of drivers without modem lines.
            return Err(match error.kind() {
                Kind::Unsupported | Kind::InvalidInput => {
                    let what = "has no modem lines; pseudo terminals and consoles have none; name a serial port";
                    Error::new(ErrorKind::Unsupported, format!("\"{path}\" {what} ({error})"))
                }
                _ => error.into(),
            });
        }
        let counts = uninterrupted(|| device.ioctl(TIOCGICOUNT, Counters::default())).is_ok();
        Ok(Self { device, counts, is_uart: is_uart(Path::new(path)) })
    }

    pub(super) fn levels(&self) -> Result<Levels, Error> {
        let set = uninterrupted(|| self.device.ioctl(TIOCMGET, 0))?;
        let level = |(offset, bit): (usize, &u32)| u8::from(set & bit != 0) << offset;
        Ok(BITS.iter().enumerate().map(level).sum())
    }

    pub(super) fn set(&self, offset: usize, active: bool) -> Result<(), Error> {
        uninterrupted(|| self.device.ioctl(if active { TIOCMBIS } else { TIOCMBIC }, BITS[offset]))?;
        Ok(())
    }

    fn counters(&self) -> Result<Option<[u32; INPUTS]>, Error> {
        if !self.counts {
            return Ok(None);
        }
        Ok(Some(uninterrupted(|| self.device.ioctl(TIOCGICOUNT, Counters::default()))?.inputs()))
    }
}

/// True if the port belongs to the kernel's serial core, whose ports have a base clock.
fn is_uart(path: &Path) -> bool {
    // The kernel knows the name that a link leads to.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let Some(name) = real.file_name() else {
        return false;
    };
    let tty = Path::new("/sys/class/tty").join(name);
    tty.join("uartclk").exists() || !tty.exists()
}

/// Polls a port.
#[derive(Debug)]
pub(super) struct PortWatch {
    ticker: Arc<Ticker>,
    ticks: u64,
    counted: Option<[u32; INPUTS]>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    Stopping,
    Over,
}

impl PortWatch {
    /// Begins to poll. Also returns the levels at the start.
    pub(super) fn start(port: &Arc<Port>, period: Duration) -> Result<(Self, Option<Levels>), Error> {
        let ticker = Ticker::of(period)?;
        // Reading the levels may make the driver count earlier changes.
        port.levels()?;
        let counted = port.counters()?;
        let levels = port.levels()?;
        Ok((Self { ticks: ticker.ticks(), ticker, counted, phase: Phase::Live }, Some(levels)))
    }

    /// The next look. `None` after a stop, when everything was seen.
    pub(super) fn poll(&mut self, port: &Port, cx: &mut Context<'_>) -> Poll<Option<Result<Look, Error>>> {
        loop {
            match self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Stopping => self.phase = Phase::Over,
                Phase::Live => ready!(self.ticker.poll(&mut self.ticks, cx)),
            }
            match self.look(port) {
                Ok(None) => {}
                Ok(Some(look)) => return Poll::Ready(Some(Ok(look))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    /// Ends after one last look.
    pub(super) fn stop(&mut self) {
        if self.phase == Phase::Live {
            self.phase = Phase::Stopping;
        }
    }

    /// Looks at the port. `None` if the counters are as before and no levels are needed.
    fn look(&mut self, port: &Port) -> Result<Option<Look>, Error> {
        if port.is_uart {
            port.levels()?;
        }
        let counted = port.counters()?;
        if counted.is_some() && counted == self.counted && !port.is_uart {
            return Ok(None);
        }
        let levels = port.levels()?;
        let mut changes = [0; INPUTS];
        if let (Some(before), Some(now)) = (self.counted, counted) {
            changes = std::array::from_fn(|line| now[line].wrapping_sub(before[line]));
        }
        self.counted = counted;
        Ok(Some(Look { levels, changes }))
    }
}
