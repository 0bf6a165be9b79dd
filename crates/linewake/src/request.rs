//! Requests: lines that are watched, as one stream of their edges, with the account of it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

use linewake_controller::protocol::{self, EdgeRecord, LineConfig, LineCounters, ReaderConfig};
use overlapped::{InvertedCall, Reply};

use crate::account::Taken;
use crate::backend::driver::{BATCH, Client};
use crate::{
    Account, Chip, EdgeEvent, EdgeKind, Edges, Error, ErrorKind, Figures, LineAccount, LineId, Missed, Offset, Tally,
    Trust,
};

/// What to watch, and how.
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// let edges = chip.request().lines(["pps", "door"]).consumer("watchman").queue_size(256).start()?;
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is watched before `start`"]
pub struct RequestBuilder {
    chip: Chip,
    lines: Vec<LineId>,
    edges: Edges,
    consumer: String,
    queue_size: u32,
}

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

/// A line of a [`Request`].
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").start()?;
/// assert_eq!(request.lines()[0].active_at_start, Some(false));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchedLine {
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Whether it was active when the watch began: before the first edge of the stream. `None` if the line changed too
    /// fast to tell.
    pub active_at_start: Option<bool>,
    delivered: u64,
    missed: Figures,
    line_seqno: u32,
    contradicted: bool,
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

impl RequestBuilder {
    pub(crate) fn new(chip: Chip) -> Self {
        Self { chip, lines: Vec::new(), edges: Edges::Both, consumer: "linewake".to_owned(), queue_size: 0 }
    }

    /// One more line, by offset or name.
    pub fn line(self, line: impl Into<LineId>) -> Self {
        self.lines([line])
    }

    /// More lines.
    pub fn lines<L: Into<LineId>>(mut self, lines: impl IntoIterator<Item = L>) -> Self {
        self.lines.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Every line of the chip.
    pub fn all_lines(self) -> Self {
        let all = 0..self.chip.info().lines;
        self.lines(all)
    }

    /// Which edges to watch: both unless set.
    pub fn edges(mut self, edges: Edges) -> Self {
        self.edges = edges;
        self
    }

    /// Who watches, for others to see: `linewake` unless set. Cut at 32 bytes.
    pub fn consumer(mut self, consumer: impl Into<String>) -> Self {
        self.consumer = consumer.into();
        self
    }

    /// How many events the driver queues, rounded up to a power of two: 16 for each line unless set, as on Linux. When it
    /// is full the oldest is dropped, and counted.
    pub fn queue_size(mut self, events: u32) -> Self {
        self.queue_size = events;
        self
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`], [`ErrorKind::LineTwice`]; [`ErrorKind::InvalidInput`] without a line, and for a queue
    /// the chip cannot have; [`ErrorKind::Busy`] when somebody else holds a line alone; and what the device says.
    pub fn start(self) -> Result<Request, Error> {
        let info = self.chip.info();
        let offsets = self.chip.find_all(self.lines)?;
        if offsets.is_empty() {
            let message = format!("no line of chip \"{}\" is asked for; name one, or ask for all", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if self.queue_size == 1 || self.queue_size > info.max_queue_size {
            let (size, most) = (self.queue_size, info.max_queue_size);
            let message = format!("a queue of {size} is not possible on chip \"{}\": it has 2 to {most}", info.name);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let client = self.chip.open_reader()?;
        let consumer = protocol::name(&self.consumer);
        client.set_reader(&ReaderConfig { capacity: self.queue_size, seqno_base: 0, consumer })?;
        let flags = protocol::LINE_INPUT | self.edges.flags();
        let configs: Vec<_> = offsets.iter().map(|offset| LineConfig { offset: offset.get(), flags }).collect();
        client.configure(&configs).map_err(|error| self.chip.explain_busy(error, &offsets))?;

        let mut places = vec![NOT_WATCHED; info.lines as usize].into_boxed_slice();
        for (place, offset) in (0..).zip(&offsets) {
            places[offset.index()] = place;
        }
        let mut lines: Vec<_> =
            offsets.iter().map(|&offset| WatchedLine::new(offset, self.chip.name(offset))).collect();
        read_levels(&client, self.edges, &mut lines)?;

        let calls = client.waits();
        let taken = Arc::<Taken>::default();
        Ok(Request {
            chip: info.name.clone(),
            calls: calls.tally(),
            stopper: Stopper { calls: calls.stopper(), stopped: Arc::default() },
            client,
            phase: Phase::Live(calls),
            lines,
            places,
            batch: Vec::with_capacity(BATCH),
            at: 0,
            taken,
            doubt: None,
        })
    }
}

/// Finds out which level each line had before the first edge that is counted for it.
fn read_levels(client: &Client, edges: Edges, lines: &mut [WatchedLine]) -> Result<(), Error> {
    let mut before = client.counters()?;
    for _ in 0..8 {
        let values = client.values()?;
        let after = client.counters()?;
        for line in lines.iter_mut().filter(|line| line.active_at_start.is_none()) {
            let driven = after[line.offset.index()].driven;
            // Else the value may be from before or after the edges in between.
            if driven == before[line.offset.index()].driven {
                let active = values.contains(line.offset.get());
                line.active_at_start = Some(match edges {
                    Edges::Both => active != (driven % 2 == 1),
                    Edges::Rising => driven == 0 && active,
                    Edges::Falling => driven > 0 || active,
                });
            }
        }
        if lines.iter().all(|line| line.active_at_start.is_some()) {
            break;
        }
        before = after;
    }
    Ok(())
}

impl WatchedLine {
    fn new(offset: Offset, name: Option<Arc<str>>) -> Self {
        Self {
            offset,
            name,
            active_at_start: None,
            delivered: 0,
            missed: Figures::default(),
            line_seqno: 0,
            contradicted: false,
        }
    }

    /// Books an edge. Returns what is missing before it: what the driver says, unless its numbering says more.
    fn take(&mut self, edge: &EdgeRecord) -> Missed {
        let gap = edge.line_seqno.wrapping_sub(self.line_seqno).wrapping_sub(1);
        self.line_seqno = edge.line_seqno;
        self.contradicted |= gap != edge.overflowed;
        let missed = Missed { overflowed: edge.overflowed, merged: edge.merged };
        self.delivered += 1;
        self.missed.overflowed += u64::from(missed.overflowed);
        self.missed.merged += u64::from(missed.merged);
        missed
    }

    fn account(&self) -> LineAccount {
        LineAccount {
            offset: self.offset,
            name: self.name.clone(),
            figures: Figures { delivered: self.delivered, ..self.missed },
            trust: if self.contradicted { Trust::None } else { Trust::AtLeast },
        }
    }

    /// The last account, by the driver's counters.
    fn settled(&self, counters: &LineCounters) -> LineAccount {
        let mut account = self.account();
        let untaken = counters.delivered.checked_sub(self.delivered);
        let plausible = counters.is_closed()
            && counters.queued == 0
            && counters.overflowed >= self.missed.overflowed
            && counters.merged >= self.missed.merged;
        account.figures.overflowed = counters.overflowed.max(self.missed.overflowed);
        account.figures.merged = counters.merged.max(self.missed.merged);
        account.figures.discarded = counters.discarded.saturating_add(untaken.unwrap_or(0));
        account.trust = if self.contradicted || untaken.is_none() || !plausible { Trust::None } else { Trust::Exact };
        account
    }
}

impl Request {
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
