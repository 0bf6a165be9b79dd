//! Serial ports of Windows: one wait is kept pending, and reports which lines changed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_core::Stream as _;
use overlapped::{Call, Device, ErrorKind as Kind, InvertedCall};

use super::codes::{
    CLR_DTR, CLR_RTS, EVENTS, GET_DTRRTS, GET_MODEMSTATUS, OUTPUTS, SET_DTR, SET_RTS, SET_WAIT_MASK, STATES,
    WAIT_ON_MASK,
};
use super::look::{INPUTS, Levels, Look};
use crate::backend::unsupported;
use crate::{ClockName, Error, ErrorKind};

/// A driver accepts one wait for each handle, and a port has one handle.
pub(super) const SEVERAL_WATCHES: bool = false;

/// How often the start of a watch is tried while lines change.
const TRIES: usize = 8;

/// A port that speaks a serial driver's protocol.
#[derive(Debug)]
pub(super) struct Port {
    device: Device,
    /// The outputs as set here, for drivers that do not report them, such as Wine's.
    set: AtomicU8,
}

/// Edges are stamped here, not by the driver.
pub(super) const CLOCK: ClockName = ClockName::Program;

pub(super) fn now_ns() -> u64 {
    crate::clock::program_ns()
}

impl Port {
    pub(super) fn open(path: &str) -> Result<Self, Error> {
        if !cfg!(windows) {
            return Err(unsupported(path, "is a serial port; serial ports work on Linux and Windows"));
        }
        // Windows opens ports above COM9 only by the full name.
        let full = if path.starts_with('\\') { path.to_owned() } else { format!(r"\\.\{path}") };
        // CreateFile, "Communications Resources": a port is not shared.
        let device = Device::options().read(true).write(true).share_mode(0).open(full).map_err(|error| {
            Error::from(error)
                .with_remedy_if(Kind::NotFound, "is it plugged in?")
                .with_remedy_if(Kind::AccessDenied, "does another program have it open?")
        })?;
        Self::with(device)
    }

    pub(super) fn with(device: Device) -> Result<Self, Error> {
        let status = device.call(GET_MODEMSTATUS, &()).wait();
        let port = Self { device, set: AtomicU8::new(0) };
        match status {
            Err(error) if is_unknown(&error) => {
                let message = format!("\"{}\" has no modem lines; name a serial port ({error})", port.name());
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            status => status.map(|_| port).map_err(Error::from),
        }
    }

    pub(super) fn name(&self) -> String {
        self.device.name().to_owned()
    }

    pub(super) fn levels(&self) -> Result<Levels, Error> {
        let inputs = *self.device.call(GET_MODEMSTATUS, &()).wait()?;
        let outputs = match self.device.call(GET_DTRRTS, &()).wait() {
            Ok(outputs) => {
                let [rts, dtr] = OUTPUTS.map(|bit| u8::from(*outputs & bit != 0));
                rts << INPUTS | dtr << (INPUTS + 1)
            }
            Err(error) if is_unknown(&error) => self.set.load(Relaxed),
            Err(error) => return Err(error.into()),
        };
        Ok(levels(inputs) | outputs)
    }

    pub(super) fn set(&self, offset: usize, active: bool) -> Result<(), Error> {
        let code = match (offset == INPUTS, active) {
            (true, true) => SET_RTS,
            (true, false) => CLR_RTS,
            (false, true) => SET_DTR,
            (false, false) => CLR_DTR,
        };
        self.device.call(code, &()).wait()?;
        let bit = 1 << offset;
        if active {
            self.set.fetch_or(bit, Relaxed)
        } else {
            self.set.fetch_and(!bit, Relaxed)
        };
        Ok(())
    }
}

/// The errors of drivers that do not know a code.
fn is_unknown(error: &overlapped::Error) -> bool {
    matches!(error.kind(), Kind::Unsupported | Kind::InvalidInput)
}

/// The levels of the inputs in a modem status.
fn levels(status: u32) -> Levels {
    STATES.iter().enumerate().map(|(offset, bit)| u8::from(status & bit != 0) << offset).sum()
}

/// The wait, and the read of the levels after it.
#[derive(Debug)]
pub(super) struct PortWatch {
    waits: InvertedCall<u32>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    /// The wait has ended with these events, and the levels are being read.
    Reading(u32, Call<u32>),
    /// The watch was stopped, and the driver reports the events that it has kept.
    Ending(Call<u32>, #[expect(dead_code, reason = "it is not to be cancelled")] Call<()>),
    /// The levels are read once more.
    Last(u32, Call<u32>),
    Over,
}

impl PortWatch {
    /// Begins to wait. Also returns the levels at the start; `None` if the lines change too fast to know them.
    pub(super) fn start(port: &Arc<Port>, _: Duration) -> Result<(Self, Option<Levels>), Error> {
        let mask = EVENTS.iter().fold(0, |mask, event| mask | event);
        let mut tries = TRIES;
        loop {
            // This drops earlier events.
            port.device.call(SET_WAIT_MASK, &mask).wait()?;
            let levels = port.levels()?;
            let mut waits = port.device.inverted(WAIT_ON_MASK, &()).pending(1).start();
            let ended = Pin::new(&mut waits).poll_next(&mut Context::from_waker(Waker::noop()));
            let phase = match ended {
                Poll::Ready(Some(Ok(events))) => Phase::Reading(*events, port.device.call(GET_MODEMSTATUS, &())),
                Poll::Ready(Some(Err(error))) => return Err(error.into()),
                Poll::Ready(None) | Poll::Pending => Phase::Waiting,
            };
            let is_quiet = matches!(phase, Phase::Waiting);
            tries -= 1;
            // The watch is dropped before the next try, since a driver accepts one wait at a time.
            if is_quiet || tries == 0 {
                return Ok((Self { waits, phase }, is_quiet.then_some(levels)));
            }
        }
    }

    /// The next look. `None` after a stop, when everything was seen.
    pub(super) fn poll(&mut self, port: &Port, cx: &mut Context<'_>) -> Poll<Option<Result<Look, Error>>> {
        let status = || port.device.call(GET_MODEMSTATUS, &());
        loop {
            let (events, next) = match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Waiting => {
                    self.phase = match ready!(Pin::new(&mut self.waits).poll_next(cx)) {
                        Some(Ok(events)) => Phase::Reading(*events, status()),
                        Some(Err(error)) if error.kind() != Kind::Cancelled => {
                            return Poll::Ready(Some(Err(error.into())));
                        }
                        Some(Err(_)) | None => kept(port),
                    };
                    continue;
                }
                Phase::Ending(wait, _) => {
                    let events = ready!(Pin::new(wait).poll(cx)).map_or(0, |events| *events);
                    self.phase = Phase::Last(events, status());
                    continue;
                }
                Phase::Reading(events, reading) => {
                    (ready!(Pin::new(reading).poll(cx)).map(|status| (*events, *status)), Phase::Waiting)
                }
                Phase::Last(events, reading) => {
                    (ready!(Pin::new(reading).poll(cx)).map(|status| (*events, *status)), Phase::Over)
                }
            };
            self.phase = next;
            return Poll::Ready(Some(events.map(|(events, status)| look(events, status)).map_err(Error::from)));
        }
    }

    /// Ends after one last look.
    pub(super) fn stop(&mut self) {
        self.waits.stopper().stop();
    }
}

/// Asks for the events since the last wait: the driver keeps them for the next one. If there are none, setting the mask
/// again ends this wait.
fn kept(port: &Port) -> Phase {
    /// The longest wait for a driver that breaks this rule.
    const PATIENCE: Duration = Duration::from_secs(1);
    let wait = port.device.call(WAIT_ON_MASK, &());
    let mask = port.device.call(SET_WAIT_MASK, &0);
    Phase::Ending(wait.timeout(PATIENCE), mask)
}

/// Makes a look of events and the levels read after them.
fn look(events: u32, status: u32) -> Look {
    Look { levels: levels(status), changes: EVENTS.map(|event| u32::from(events & event != 0)) }
}
