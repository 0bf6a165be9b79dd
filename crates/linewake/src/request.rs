//! Requests: lines that are watched, as one stream of their edges, with the account of it.

mod builder;
mod line;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use linewake_controller::protocol::{self, EdgeRecord, LineConfig};
use overlapped::{InvertedCall, Reply};

pub use self::builder::RequestBuilder;
pub use self::line::WatchedLine;

use crate::account::Taken;
use crate::backend::driver::{BATCH, Client};
use crate::{Account, ChipInfo, EdgeEvent, EdgeKind, Error, ErrorKind, Tally, Trust};

/// Lines that are watched: an endless stream of their edges.
///
/// The driver always has two waits of it to complete, so there is no gap between two edges, and no thread waits: one
/// thread dispatches the completions of all requests of the process. Each request is a reader of its own to the driver,
/// with its own queue and numbering. In steady state an edge costs no allocation.
///
/// ```no_run
/// use linewake::Chip;
/// # async fn example() -> Result<(), linewake::Error> {
/// let chip = Chip::open(r"\\.\LineWake0")?;
/// let mut edges = chip.request().all_lines().start()?;
/// while let Some(edge) = edges.next().await {
///     let edge = edge?;
///     println!("{} {}", edge.offset, edge.kind.as_str());
/// }
/// println!("{:?}", edges.finish().total());
/// # Ok(())
/// # }
/// ```
///
/// Dropping it gives the lines back; edges that nobody took are discarded, and [`tally`](Self::tally) says how many.
#[must_use = "a request that is dropped gives its lines back"]
pub struct Request {
    chip: Arc<str>,
    client: Client,
    phase: Phase,
    lines: Vec<WatchedLine>,
    /// The place in `lines` of each offset of the chip; `NOT_WATCHED` for the others.
    places: Box<[u16]>,
    /// The edges that came last, of which those before `at` are taken.
    batch: Vec<EdgeRecord>,
    at: usize,
    taken: Arc<Taken>,
    calls: overlapped::Tally,
    stopper: Stopper,
    doubt: Option<Error>,
}

/// A chip has at most 1,024 lines.
const NOT_WATCHED: u16 = u16::MAX;

enum Phase {
    /// The driver completes waits.
    Live(InvertedCall<[u8]>),
    /// It was stopped; so many edges were queued then, and are still taken.
    Stopped {
        left: u64,
    },
    Over,
}

/// Ends a [`Request`] from elsewhere: from a signal handler's thread, say.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("door").start()?;
/// let stopper = edges.stopper();
/// std::thread::spawn(move || stopper.stop());
/// assert!(edges.wait_next().is_none());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    calls: overlapped::Stopper,
    stopped: Arc<AtomicBool>,
}

impl Stopper {
    /// Ends the stream: what had happened by then is still delivered, then it is over, without an error.
    pub fn stop(&self) {
        if !self.stopped.swap(true, AcqRel) {
            self.calls.stop();
        }
    }
}

impl Request {
    pub(crate) fn new(info: &ChipInfo, client: Client, lines: Vec<WatchedLine>) -> Self {
        let mut places = vec![NOT_WATCHED; info.lines as usize].into_boxed_slice();
        for (place, line) in (0..).zip(&lines) {
            places[line.offset.index()] = place;
        }
        let calls = client.waits();
        Self {
            chip: info.name.clone(),
            calls: calls.tally(),
            stopper: Stopper { calls: calls.stopper(), stopped: Arc::default() },
            client,
            phase: Phase::Live(calls),
            lines,
            places,
            batch: Vec::with_capacity(BATCH),
            at: 0,
            taken: Arc::default(),
            doubt: None,
        }
    }

    /// The lines, in the order they were asked for.
    #[must_use]
    pub fn lines(&self) -> &[WatchedLine] {
        &self.lines
    }

    /// The next edge, or `None` after the stream was [stopped](Self::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// What ended the stream, once: the device is gone ([`Error::is_disconnected`]), or the driver does not keep to its
    /// protocol ([`ErrorKind::Malformed`]). What had happened before is delivered before.
    pub async fn next(&mut self) -> Option<Result<EdgeEvent, Error>> {
        loop {
            if let Some(edge) = self.next_ready() {
                return Some(Ok(edge));
            }
            let arrived = match &mut self.phase {
                Phase::Live(calls) => calls.next().await,
                _ => None,
            };
            if let ControlFlow::Break(end) = self.arrived(arrived) {
                return end;
            }
        }
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`next`](Self::next); and on the thread that dispatches completions an error of kind
    /// [`Deadlock`](overlapped::ErrorKind), which ends nothing.
    pub fn wait_next(&mut self) -> Option<Result<EdgeEvent, Error>> {
        self.wait_with(InvertedCall::wait_next)
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and one that [`is_timeout`](Error::is_timeout), which ends nothing.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<EdgeEvent, Error>> {
        self.wait_with(|calls| calls.wait_next_timeout(timeout))
    }

    fn wait_with(&mut self, wait: impl Fn(&mut InvertedCall<[u8]>) -> Arrived) -> Option<Result<EdgeEvent, Error>> {
        loop {
            if let Some(edge) = self.next_ready() {
                return Some(Ok(edge));
            }
            let arrived = match &mut self.phase {
                Phase::Live(calls) => wait(calls),
                _ => None,
            };
            if let ControlFlow::Break(end) = self.arrived(arrived) {
                return end;
            }
        }
    }

    /// The next edge of those that came with the last one, without waiting or asking the driver: for programs that
    /// write out what one wake-up brought.
    pub fn next_ready(&mut self) -> Option<EdgeEvent> {
        let edge = self.batch.get(self.at)?;
        self.at += 1;
        let line = &mut self.lines[usize::from(self.places[edge.offset as usize])];
        let missed = line.take(edge);
        self.taken.delivered.fetch_add(1, Relaxed);
        Some(EdgeEvent {
            chip: self.chip.clone(),
            offset: line.offset,
            name: line.name.clone(),
            kind: if edge.is_rising() { EdgeKind::Rising } else { EdgeKind::Falling },
            timestamp_ns: edge.timestamp_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed,
        })
    }

    /// Looks at what the driver completed a wait with. Goes on if there is a new batch, or may be.
    fn arrived(&mut self, arrived: Arrived) -> ControlFlow<Option<Result<EdgeEvent, Error>>> {
        let result = match (&self.phase, arrived) {
            (Phase::Live(_), Some(Ok(batch))) => self.client.batch(&batch, &mut self.batch).and_then(|()| self.check()),
            (Phase::Live(_), Some(Err(error))) => match error.kind() {
                overlapped::ErrorKind::Cancelled if self.stopper.stopped.load(Acquire) => self.stop(),
                // Without a code it is about this wait, and not the driver's word about its own.
                overlapped::ErrorKind::TimedOut | overlapped::ErrorKind::Deadlock if error.code().is_none() => {
                    return ControlFlow::Break(Some(Err(error.into())));
                }
                _ => Err(error.into()),
            },
            (&Phase::Stopped { left }, _) if left > 0 => self.take_queued(left),
            _ => {
                self.phase = Phase::Over;
                return ControlFlow::Break(None);
            }
        };
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.phase = Phase::Over;
                if error.kind() == ErrorKind::Malformed {
                    self.lines.iter_mut().for_each(|line| line.contradicted = true);
                }
                self.doubt = Some(error.clone());
                ControlFlow::Break(Some(Err(error)))
            }
        }
    }

    /// A new batch: every edge has to be of a line that was asked for.
    fn check(&mut self) -> Result<(), Error> {
        self.at = 0;
        let is_ours = |edge: &EdgeRecord| self.places.get(edge.offset as usize).is_some_and(|&at| at != NOT_WATCHED);
        match self.batch.iter().find(|edge| !is_ours(edge)) {
            None => Ok(()),
            Some(edge) => {
                let what = format!("it reports an edge of line {}, which was not asked for", edge.offset);
                self.batch.clear();
                Err(self.client.malformed(what))
            }
        }
    }

    /// The waits are over. What is queued now had happened, and is still to be taken.
    fn stop(&mut self) -> Result<(), Error> {
        let queued = self.client.counters()?.iter().fold(0, |sum: u64, line| sum.saturating_add(line.queued));
        self.phase = Phase::Stopped { left: queued };
        Ok(())
    }

    fn take_queued(&mut self, left: u64) -> Result<(), Error> {
        let most = usize::try_from(left).unwrap_or(BATCH);
        self.client.take(most, &mut self.batch)?;
        self.phase = Phase::Stopped { left: left.saturating_sub(self.batch.len() as u64) };
        self.check()
    }

    /// Something that can end the stream from elsewhere while a thread or a task waits for its next edge.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The account so far, from the edges that were taken. It is [`Trust::AtLeast`]: the driver tells what is missing
    /// with the next edge of the line, and [`finish`](Self::finish) asks it.
    #[must_use]
    pub fn account(&self) -> Account {
        Account { lines: self.lines.iter().map(WatchedLine::account).collect(), doubt: self.doubt.clone() }
    }

    /// What became of the edges on their way from the driver, also after the request is gone.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally { edges: self.taken.clone(), calls: self.calls.clone() }
    }

    /// Gives the lines back and asks the driver for the last figures. Edges that happened and were not taken are
    /// discarded: to take them all, [stop](Self::stopper) and read to the end first.
    ///
    /// When the driver cannot answer any more the account stays [`Trust::AtLeast`], and says why.
    #[must_use]
    pub fn finish(mut self) -> Account {
        let give_back = |line: &WatchedLine| LineConfig { offset: line.offset.get(), flags: protocol::LINE_RELEASE };
        let give_back: Vec<_> = self.lines.iter().map(give_back).collect();
        let counters = self.client.configure(&give_back).and_then(|()| self.client.counters());
        let mut account = self.account();
        match counters {
            Ok(counters) => {
                account.lines = self.lines.iter().map(|line| line.settled(&counters[line.offset.index()])).collect();
                if account.trust() != Trust::Exact {
                    account.doubt.get_or_insert_with(|| self.client.malformed("its counters do not add up"));
                }
            }
            Err(error) => {
                account.doubt.get_or_insert(error);
            }
        }
        self.phase = Phase::Over;
        account
    }
}

type Arrived = Option<Result<Reply<[u8]>, overlapped::Error>>;

impl Drop for Request {
    fn drop(&mut self) {
        // First, so that what it discards is counted when the tally is final.
        self.phase = Phase::Over;
        self.taken.discarded.fetch_add((self.batch.len() - self.at) as u64, Relaxed);
        self.taken.over.store(true, Release);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("chip", &self.chip).field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}
