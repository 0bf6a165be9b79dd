//! Serial ports: the modem lines as a chip. CTS, DSR, RI and DCD are inputs, RTS and DTR outputs.
//!
//! No system hands over the edges of a serial port, so they are made from *looks*: a look has the levels, and how many
//! changes are known since the look before. On Linux one timer for all ports reads the driver's counters (TIOCGICOUNT).
//! On Windows a pended IOCTL_SERIAL_WAIT_ON_MASK reports when to look, and at which lines.
//!
//! `n` changes in a look make one edge, the last, with `n - 1` merged before it.

#[cfg(any(not(target_os = "linux"), test))]
#[expect(unsafe_code, reason = "declaring what a control code reads and writes is a promise")]
mod codes;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "declaring what an ioctl reads and writes is a promise")]
mod ioctls;
mod look;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "a test brings a device of its own"))]
mod mask;
#[cfg(target_os = "linux")]
#[path = "serial/linux.rs"]
mod port;
#[cfg(not(target_os = "linux"))]
use self::mask as port;
#[cfg(target_os = "linux")]
mod ticker;

use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Release},
};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use self::look::{INPUTS, Levels, Look};
use self::port::{Port, PortWatch};
use super::{Ask, Backend, Capabilities, HeldLines, Numbering, RawEdge, unsupported};
use crate::{
    ChipInfo, Clock, Direction, EdgeKind, Edges, Error, ErrorKind, EventClock, LineConfig, LineInfo, Missed, Offset,
    Trust,
};

/// The default poll period, on systems that poll ports.
pub(crate) const POLL_PERIOD: Duration = Duration::from_millis(10);

/// The lines by their offsets. The first four are inputs.
const NAMES: [&str; 6] = ["CTS", "DSR", "RI", "DCD", "RTS", "DTR"];
/// Drivers count or report only the end of a ring on the ring indicator.
const RI: usize = 2;

/// A serial port.
#[derive(Debug)]
pub(crate) struct SerialChip {
    port: Arc<SharedPort>,
    path: String,
    poll_period: Duration,
    info: ChipInfo,
    /// True while the port has a watcher, on systems where it can have only one.
    is_watched: Arc<AtomicBool>,
}

/// Opens the port at `path`; its whole spec is `spec`.
pub(crate) fn open(path: &str, spec: &str, poll_period: Duration) -> Result<Arc<dyn Backend>, Error> {
    if path.is_empty() {
        let message =
            format!("there is no chip \"{spec}\"; name the port, as in \"serial:/dev/ttyUSB0\" or \"serial:COM3\"");
        return Err(Error::new(ErrorKind::UnknownChip, message));
    }
    Ok(Arc::new(SerialChip::with(Port::open(path)?, path, poll_period)))
}

impl SerialChip {
    fn with(port: Port, path: &str, poll_period: Duration) -> Self {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let info = ChipInfo {
            name: name.into(),
            id: format!("serial:{path}").into(),
            label: "serial port".into(),
            path: Some(path.into()),
            lines: NAMES.len() as u32,
            max_queue_size: 0,
        };
        let port = Arc::new(SharedPort(Mutex::new(Ok(Arc::new(port)))));
        Self { port, path: path.to_owned(), poll_period, info, is_watched: Arc::default() }
    }

    /// Refuses a configuration that a line cannot have.
    fn check(&self, offset: Offset, config: &LineConfig) -> Result<(), Error> {
        let name = NAMES[offset.index()];
        let refuse = |what: &str| {
            Err(unsupported(&self.info.name, &format!("cannot hold line \"{name}\" in this direction: it {what}")))
        };
        match (offset.index() < INPUTS, config.direction) {
            (true, Some(Direction::Output)) => refuse("is an input; the outputs are \"RTS\" and \"DTR\""),
            (false, Some(Direction::Input)) => refuse(
                "is an output; read its level without a direction, or watch \"CTS\", \"DSR\", \"RI\" and \"DCD\"",
            ),
            _ => Ok(()),
        }
    }
}

impl Backend for SerialChip {
    fn info(&self) -> &ChipInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shared_lines: port::SEVERAL_WATCHES,
            outputs: true,
            ..Capabilities::inputs_only(NAMES.len(), Trust::AtLeast)
        }
    }

    fn clock(&self, _: EventClock) -> Clock {
        Clock::read(port::CLOCK, port::now_ns)
    }

    fn lines(&self) -> Result<Vec<LineInfo>, Error> {
        let levels = self.port.levels()?;
        let line = |(offset, name): (usize, &&str)| LineInfo {
            offset: Offset::from(offset as u32),
            name: Some((*name).into()),
            direction: if offset < INPUTS { Direction::Input } else { Direction::Output },
            active: Some(levels >> offset & 1 == 1),
            used: false,
            consumer: None,
            config: LineConfig::as_is(),
        };
        Ok(NAMES.iter().enumerate().map(line).collect())
    }

    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let levels = self.port.levels()?;
        Ok(offsets.iter().map(|offset| levels >> offset.get() & 1 == 1).collect())
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error> {
        ask.lines.iter().try_for_each(|(offset, config)| self.check(*offset, config))?;
        let watches = ask.lines.iter().any(|(_, config)| config.edges.is_some());
        let alone = match (watches, port::SEVERAL_WATCHES) {
            (true, false) => Some(Alone::new(&self.is_watched, &self.info.name)?),
            _ => None,
        };
        let port = self.port.get()?;
        let (watch, start) = if watches {
            let (watch, start) = PortWatch::start(&port, self.poll_period)?;
            (Some(watch), start)
        } else {
            (None, Some(port.levels()?))
        };
        for (offset, config) in ask.lines {
            if let Some(active) = config.output {
                port.set(offset.index(), active)?;
            }
        }
        Ok(Box::new(SerialLines {
            port,
            chip: self.port.clone(),
            lines: ask.lines.to_vec(),
            watch,
            start,
            levels: start,
            known: [0; INPUTS],
            is_stopped: false,
            _alone: alone,
        }))
    }

    fn reopen(&self) -> Result<Arc<dyn Backend>, Error> {
        // This notices that the port was unplugged, and closes it.
        let _ = self.port.levels();
        open(&self.path, &self.path, self.poll_period)
    }
}

/// The port of a chip, until it is unplugged. A replugged port gets its name back only when the old one is closed.
#[derive(Debug)]
struct SharedPort(Mutex<Result<Arc<Port>, Error>>);

impl SharedPort {
    fn get(&self) -> Result<Arc<Port>, Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn levels(&self) -> Result<Levels, Error> {
        let levels = self.get()?.levels();
        levels.inspect_err(|error| self.note(error))
    }

    /// Closes a port that is gone.
    fn note(&self, error: &Error) {
        if error.is_disconnected() {
            let gone =
                std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Err(error.clone()));
            drop(gone);
        }
    }
}

/// The right to watch a port, where it can have only one watcher.
#[derive(Debug)]
struct Alone(Arc<AtomicBool>);

impl Alone {
    fn new(is_watched: &Arc<AtomicBool>, chip: &str) -> Result<Self, Error> {
        if is_watched.swap(true, AcqRel) {
            let message = format!(
                "another request of this program watches chip \"{chip}\", and the port accepts one watcher at a time; \
                 watch all of them in one request"
            );
            return Err(Error::new(ErrorKind::Busy, message));
        }
        Ok(Self(is_watched.clone()))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

/// Lines of a port that are held.
#[derive(Debug)]
struct SerialLines {
    port: Arc<Port>,
    chip: Arc<SharedPort>,
    lines: Vec<(Offset, LineConfig)>,
    /// `None` if no line is watched.
    watch: Option<PortWatch>,
    start: Option<Levels>,
    /// Levels at the last look.
    levels: Option<Levels>,
    /// Changes that the levels already showed and that the next look may count again.
    known: [u32; INPUTS],
    is_stopped: bool,
    // Dropped after the watch, so that the next request finds the port free.
    _alone: Option<Alone>,
}

impl SerialLines {
    /// The edges that one look at the inputs found.
    fn tell(&mut self, look: Look, now_ns: u64, into: &mut Vec<RawEdge>) {
        for (line, known) in self.known.iter_mut().enumerate() {
            let is_active = |levels: Levels| levels >> line & 1 == 1;
            let (before, after) = (self.levels.map(is_active), is_active(look.levels));
            let changes = changes(line == RI, look.changes[line], before, after, known);
            let config = self.lines.iter().find(|(offset, _)| offset.index() == line);
            let Some((offset, LineConfig { edges: Some(edges), .. })) = config else {
                continue;
            };
            // The line went to and fro; the last edge led to the level now.
            let (kind, count) = match edges {
                Edges::Both => (EdgeKind::to(after), changes),
                Edges::Rising => (EdgeKind::Rising, (changes + u32::from(after)) / 2),
                Edges::Falling => (EdgeKind::Falling, (changes + u32::from(!after)) / 2),
            };
            if let Some(merged) = count.checked_sub(1) {
                let missed = Missed { overflowed: 0, merged };
                into.push(RawEdge { offset: *offset, kind, timestamp_ns: now_ns, seqno: 0, line_seqno: 0, missed });
            }
        }
        self.levels = Some(look.levels);
    }
}

/// The least number of changes of a line, by the driver's count and the levels.
///
/// The levels are read after the counts. A change in between shows in the level now and is counted in the next look; it
/// is `known` then. `counts_ends`: the driver counts only changes from active.
fn changes(counts_ends: bool, counted: u32, before: Option<bool>, after: bool, known: &mut u32) -> u32 {
    let proved = counted.saturating_sub(*known);
    let turned = before.map_or(proved % 2 == 1, |before| before != after);
    let changes = proved.saturating_add(u32::from((proved % 2 == 1) != turned));
    *known = if counts_ends { u32::from(turned && !after && counted == 0) } else { changes - proved };
    changes
}

impl HeldLines for SerialLines {
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        loop {
            let look = match &mut self.watch {
                Some(watch) => std::task::ready!(watch.poll(&self.port, cx)),
                None if self.is_stopped => None,
                None => return Poll::Pending,
            };
            let came = into.len();
            match look {
                Some(Ok(look)) => self.tell(look, port::now_ns(), into),
                Some(Err(error)) => {
                    self.chip.note(&error);
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            }
            if into.len() > came {
                return Poll::Ready(Some(Ok(())));
            }
        }
    }

    fn stop(&mut self) {
        self.is_stopped = true;
        if let Some(watch) = &mut self.watch {
            watch.stop();
        }
    }

    fn active_at_start(&self) -> Vec<Option<bool>> {
        self.lines.iter().map(|(offset, _)| Some(self.start? >> offset.get() & 1 == 1)).collect()
    }

    fn values(&self) -> Result<Vec<bool>, Error> {
        let levels = self.port.levels()?;
        Ok(self.lines.iter().map(|(offset, _)| levels >> offset.get() & 1 == 1).collect())
    }

    fn set_values(&mut self, values: &[(usize, bool)]) -> Result<(), Error> {
        values.iter().try_for_each(|&(line, active)| self.port.set(self.lines[line].0.index(), active))
    }

    fn numbering(&self) -> Numbering {
        Numbering::Polarity
    }
}

#[cfg(test)]
#[path = "serial/tests.rs"]
mod tests;
