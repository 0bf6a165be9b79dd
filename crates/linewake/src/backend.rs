//! What is behind a chip: one small trait, and those who implement it.
//!
//! ```text
//!   Chip ──► Backend ── request(Ask) ──► HeldLines ── poll_edges ──► RawEdge ──► Request, Monitor: accounts, merges, names
//! ```
//!
//! A backend says what it [can do](Capabilities), and nobody papers over what it cannot: a request that asks for more
//! is refused, by name, before the backend sees it. Two things only are done for it: a request with more lines than the
//! backend holds at once is split, and `active_low` is done here where the chip has no such thing.

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

/// A chip, as the thing behind it sees it. Everything here completes at once; only edges are waited for.
pub trait Backend: Any + fmt::Debug + Send + Sync {
    /// What it is.
    fn info(&self) -> &ChipInfo;

    /// What a user should know of it.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// The clock that stamps the edges of a line with this [`LineConfig::clock`].
    fn clock(&self, clock: EventClock) -> Clock;

    /// What is known of all its lines now, in order of their offsets.
    ///
    /// # Errors
    /// What the device says.
    fn lines(&self) -> Result<Vec<LineInfo>, Error>;

    /// What is known of one line now.
    ///
    /// # Errors
    /// What the device says.
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

    /// Takes lines. What [`capabilities`](Self::capabilities) exclude is not asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when somebody else holds one, naming who if that can be known; and what the device says.
    /// Then nothing is held.
    fn request(&self, ask: &Ask<'_>) -> Result<Box<dyn HeldLines>, Error>;

    /// Whether lines are active now, whoever holds them, all read at the same moment if
    /// [`Capabilities::atomic_values`].
    ///
    /// # Errors
    /// As [`request`](Self::request).
    fn values(&self, offsets: &[Offset]) -> Result<Vec<bool>, Error> {
        let mut values = Vec::with_capacity(offsets.len());
        for part in offsets.chunks(self.capabilities().max_lines.max(1)) {
            let lines: Vec<_> = part.iter().map(|&offset| (offset, LineConfig::as_is())).collect();
            values.extend(
                self.request(&Ask {
                    consumer: "linewake",
                    queue_size: 0,
                    witness: false,
                    gather: Duration::ZERO,
                    lines: &lines,
                })?
                .values()?,
            );
        }
        Ok(values)
    }

    /// Watches what becomes of the lines themselves: who takes them, gives them back, changes how they are held.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless [`Capabilities::info_watch`]; and what the device says.
    fn watch_info(&self, offsets: &[Offset]) -> Result<Box<dyn InfoWatch>, Error> {
        let _ = offsets;
        Err(unsupported(&self.info().name, "does not tell when its lines are taken or given back"))
    }

    /// Looks for the same chip again, by what does not change when it is unplugged and plugged in.
    ///
    /// # Errors
    /// One that [`is_disconnected`](Error::is_disconnected) while it is not back; and what the device says.
    fn reopen(&self) -> Result<Arc<dyn Backend>, Error>;

    /// The processes that hold its lines, as far as the system tells.
    fn holders(&self) -> HashMap<Offset, LineHolder> {
        HashMap::new()
    }
}

/// What is asked for in one request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who asks, for others to see.
    pub consumer: &'a str,
    /// How many events are to be queued; zero is the chip's own default.
    pub queue_size: u32,
    /// Whether to hold one more line, where the chip numbers interrupts only then: see
    /// [`RequestBuilder::witness`](crate::RequestBuilder::witness).
    pub witness: bool,
    /// How long an edge may stay in the chip's queue for others to be taken with it; zero: each is wanted at once. A
    /// chip for which that makes no difference takes no notice.
    pub gather: Duration,
    /// The lines, each once, and how to hold each. At most [`Capabilities::max_lines`].
    pub lines: &'a [(Offset, LineConfig)],
}

/// Lines that are held: what [`Backend::request`] gives. Dropping it gives them back.
///
/// Lines go by their place in the [`Ask`] here, except in [`RawEdge::offset`].
pub trait HeldLines: fmt::Debug + Send {
    /// Appends the edges that have happened, at least one, in the order the chip gave them.
    ///
    /// Ready with `None` when it was [stopped](Self::stop) and all that had happened was given. After an error, or
    /// `None`, it is not called again. An error that [`is_disconnected`](Error::is_disconnected) means that the chip is
    /// gone.
    fn poll_edges(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>>;

    /// The program has all that [`poll_edges`](Self::poll_edges) gave, and waits for more. The clock of a simulated
    /// chip may go on then; others have nothing to do.
    fn waits(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// No edge that happens from now on is wanted; those that have happened are still [given](Self::poll_edges).
    fn stop(&mut self);

    /// Whether each line was active directly before the first edge that is given for it; `None` where it cannot be
    /// told.
    fn active_at_start(&self) -> Vec<Option<bool>>;

    /// When the levels at the start were read, by the clock of the edges, if an edge that happened before may be given
    /// after: that one tells itself which level was before it.
    fn levels_read_ns(&self) -> Option<u64> {
        None
    }

    /// Whether each line is active now, all read at the same moment if [`Capabilities::atomic_values`].
    ///
    /// # Errors
    /// What the device says.
    fn values(&self) -> Result<Vec<bool>, Error>;

    /// Sets outputs, all at the same moment if [`Capabilities::atomic_values`].
    ///
    /// # Errors
    /// What the device says; then none was set, where that can be.
    fn set_values(&mut self, values: &[(usize, bool)]) -> Result<(), Error>;

    /// Holds the same lines otherwise: one [`LineConfig`] for each.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]; and what the device says. Then nothing changed.
    fn reconfigure(&mut self, lines: &[LineConfig]) -> Result<(), Error>;

    /// How what is missing is known.
    fn numbering(&self) -> Numbering;

    /// How many edges the chip has shown to be missing, without saying of which line. What is booked on lines is taken
    /// from them.
    fn unattributed(&self) -> u64 {
        0
    }

    /// The [`RawEdge::line_seqno`] before the first edge of each line: 0 unless the chip begins elsewhere.
    fn numbers_begin_after(&self) -> u32 {
        0
    }

    /// The line that is held beside those asked for, if one is: see
    /// [`RequestBuilder::witness`](crate::RequestBuilder::witness).
    fn witness(&self) -> Option<Offset> {
        None
    }

    /// The chip's own account of each line, once no more edges are wanted; lines may be given back by it. `None` if the
    /// chip keeps none: then what can still be taken is, and counted as discarded.
    ///
    /// # Errors
    /// What the device says: the account stays open.
    fn settle(&mut self) -> Result<Option<Vec<Settlement>>, Error> {
        Ok(None)
    }

    /// Why there may be edges that are in no figure, where the chip has said something like that.
    fn doubt(&self) -> Option<Error> {
        None
    }

    /// The figures of the calls that wait for edges, where such calls are kept pending.
    fn tally(&self) -> Option<overlapped::Tally> {
        None
    }
}

/// What [`Backend::watch_info`] gives.
pub trait InfoWatch: fmt::Debug + Send {
    /// The next event. After an error it is not called again.
    fn poll_info(&mut self, cx: &mut Context<'_>) -> Poll<Result<InfoEvent, Error>>;
}
