//! Backends: one trait for what is behind a chip, and its implementations.
//!
//! ```text
//!   Chip ──► Backend ── request(Ask) ──► HeldLines ── poll_edges ──► RawEdge ──► Request, Monitor: accounts, names
//! ```
//!
//! A backend lists its [capabilities](Capabilities). A request for more is refused before the backend sees it. Two
//! things are done for a backend: a request with more lines than it holds at once is split, and levels are inverted for
//! `active_low` if the chip cannot invert them.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(all(target_os = "linux", not(miri)))]
mod again;
pub(crate) mod driver;
mod edge;
pub(crate) mod exec;
mod flags;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod gpiochip;
#[cfg(not(all(target_os = "linux", not(miri))))]
#[path = "backend/gpiochip/elsewhere.rs"]
pub(crate) mod gpiochip;
pub(crate) mod info;
pub(crate) mod profile;
pub(crate) mod serial;
pub(crate) mod sim;

pub(crate) use self::edge::gather_in;
pub use self::edge::{Interrupts, Numbering, RawEdge, Settlement};
pub(crate) use self::info::unsupported;
pub use self::info::{Capabilities, LineHolder};
pub use crate::line::{InfoEvent, InfoEventKind};
use crate::{ChipInfo, Clock, Error, ErrorKind, EventClock, LineConfig, LineInfo, Offset};

/// The device or simulation behind a chip. Every call completes at once; only edges are waited for.
pub trait Backend: Any + fmt::Debug + Send + Sync {
    /// The facts of the chip.
    fn info(&self) -> &ChipInfo;

    /// Notes about it for the user.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// The abilities of the chip.
    fn capabilities(&self) -> Capabilities;

    /// The clock that stamps edges of lines with this [`LineConfig::clock`].
    fn clock(&self, clock: EventClock) -> Clock;

    /// All its lines as they are now, in order of their offsets.
    ///
    /// # Errors
    /// The error of the device.
    fn lines(&self) -> Result<Vec<LineInfo>, Error>;

    /// One line as it is now.
    ///
    /// # Errors
    /// The error of the device.
    fn line(&self, offset: Offset) -> Result<LineInfo, Error> {
        let mut lines = self.lines()?;
        match lines.iter().position(|line| line.offset == offset) {
            Some(at) => Ok(lines.swap_remove(at)),
            None => Err(Error::new(
                ErrorKind::Malformed,
                format!("chip \"{}\" does not list line {offset}", self.info().name),
            )),
        }
    }

    /// Takes lines. The request stays within the [`capabilities`](Self::capabilities).
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when another request or process holds one, with its name if it is known; and what the device
    /// says. Then nothing is held.
    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error>;

    /// The values of lines now, also of lines that others hold: true for active. All are read at the same moment if
    /// [`Capabilities::atomic_values`].
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let mut values = Vec::with_capacity(offsets.len());
        for part in offsets.chunks(self.capabilities().max_lines.max(1)) {
            let lines: Vec<_> = part.iter().map(|&offset| (offset, LineConfig::as_is())).collect();
            values.extend(self.request(&Ask::new("linewake", &lines))?.values()?);
        }
        Ok(values)
    }

    /// Reports when lines are requested, released and reconfigured.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless [`Capabilities::info_watch`]; and the error of the device.
    fn watch_info(&self, offsets: &[Offset]) -> Result<Box<dyn InfoWatch>, Error> {
        let _ = offsets;
        Err(unsupported(&self.info().name, "does not report that its lines are requested and released"))
    }

    /// Finds the same chip after it was unplugged, by properties that do not change when it is plugged in again.
    ///
    /// # Errors
    /// An error that [`is_disconnected`](Error::is_disconnected) while it is not back; and the error of the device.
    fn reopen(&self) -> Result<Arc<dyn Backend>, Error>;

    /// The processes that hold its lines, as far as the system shows them.
    fn holders(&self) -> HashMap<Offset, LineHolder> {
        HashMap::new()
    }
}

/// One request for lines.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The name of the holder, for others to see.
    pub consumer: &'a str,
    /// How many events the chip queues; zero for its own default.
    pub queue_size: u32,
    /// True to hold one more line, for a chip that numbers interrupts only in requests of several lines; see
    /// [`RequestBuilder::witness`](crate::RequestBuilder::witness).
    pub witness: bool,
    /// How long an edge may stay in the chip's queue, so that others are taken with it; zero takes each at once. A chip
    /// may ignore it.
    pub gather: Duration,
    /// The lines, each once, with their configurations; at most [`Capabilities::max_lines`].
    pub lines: &'a [(Offset, LineConfig)],
}

impl<'a> Ask<'a> {
    /// A request with the chip's own queue and without a witness.
    pub(crate) fn new(consumer: &'a str, lines: &'a [(Offset, LineConfig)]) -> Self {
        Self { consumer, queue_size: 0, witness: false, gather: Duration::ZERO, lines }
    }
}

/// The lines of one request, as [`Backend::request`] holds them. Dropping this releases them.
///
/// A line is named by its place in the [`Ask`], except in [`RawEdge::offset`].
pub trait HeldLines: fmt::Debug + Send {
    /// Appends the edges that have happened, at least one, in the order of the chip; of each line only the directions
    /// that its [`LineConfig::edges`] asks for.
    ///
    /// Ready with `None` after a [stop](Self::stop), when all earlier edges were given. It is not called again after
    /// `None` or an error. An error that [`is_disconnected`](Error::is_disconnected) means that the chip is gone.
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>>;

    /// The program has taken all edges of [`poll_edges`](Self::poll_edges) and waits for more. A simulated chip lets
    /// its clock go on then; others do nothing.
    fn waits(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Ends the stream. Edges that have happened are still [given](Self::poll_edges).
    fn stop(&mut self);

    /// For each line, true if it was active directly before its first edge; `None` if unknown.
    fn active_at_start(&self) -> Vec<Option<bool>>;

    /// The time at which the levels at the start were read, by the clock of the edges, if an edge from before that time
    /// may still come. Such an edge shows the level before it.
    fn levels_read_ns(&self) -> Option<u64> {
        None
    }

    /// The values of the lines now: true for active. All are read at the same moment if
    /// [`Capabilities::atomic_values`].
    ///
    /// # Errors
    /// The error of the device.
    fn values(&self) -> Result<Vec<bool>, Error>;

    /// Sets outputs, all at the same moment if [`Capabilities::atomic_values`]. A chip without
    /// [`outputs`](Capabilities::outputs) does not need it.
    ///
    /// # Errors
    /// The error of the device. Where the device allows it, no value was set then.
    fn set_values(&mut self, values: &[(usize, bool)]) -> Result<(), Error> {
        let _ = values;
        Err(Error::new(ErrorKind::Unsupported, "the chip has no outputs"))
    }

    /// Reconfigures the lines: one [`LineConfig`] for each. A chip that [cannot](Capabilities::reconfigure) does not
    /// need it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]; and the error of the device. Then nothing changed.
    fn reconfigure(&mut self, lines: &[LineConfig]) -> Result<(), Error> {
        let _ = lines;
        Err(Error::new(ErrorKind::Unsupported, "the chip cannot reconfigure lines while they are held"))
    }

    /// How the request knows of missing edges.
    fn numbering(&self) -> Numbering;

    /// How many missing edges belong to unknown lines. Edges that are counted for a line later are subtracted.
    fn unattributed(&self) -> u64 {
        0
    }

    /// The [`RawEdge::line_seqno`] before the first edge of each line: 0 unless the chip begins elsewhere.
    fn numbers_begin_after(&self) -> u32 {
        0
    }

    /// The line that is held beside the requested ones, if any; see
    /// [`RequestBuilder::witness`](crate::RequestBuilder::witness).
    fn witness(&self) -> Option<Offset> {
        None
    }

    /// The chip's own account of each line, at the end; it may give the lines back. `None` if the chip keeps no
    /// account: then the remaining edges are taken and counted as discarded.
    ///
    /// # Errors
    /// The error of the device. The account stays open then.
    fn settle(&mut self) -> Result<Option<Vec<Settlement>>, Error> {
        Ok(None)
    }

    /// The reason why some edges may be in no figure, if the chip has reported one.
    fn doubt(&self) -> Option<Error> {
        None
    }

    /// The figures of the calls that wait for edges, if such calls are kept pending.
    fn tally(&self) -> Option<overlapped::Tally> {
        None
    }
}

/// A stream of changes of lines, from [`Backend::watch_info`].
pub trait InfoWatch: fmt::Debug + Send {
    /// The next event. After an error it is not called again.
    fn poll_info(&mut self, cx: &mut Context<'_>) -> Poll<Result<InfoEvent, Error>>;
}
