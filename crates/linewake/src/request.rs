//! Requests: lines that are held, a stream of the edges of the watched ones, and its account.

mod ask;
mod builder;
mod line;
mod missing;
mod part;
mod processors;
mod times;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

pub use self::builder::RequestBuilder;
pub use self::line::WatchedLine;
use self::part::Part;
pub(crate) use self::times::Times;
use crate::account::EdgeCounters;
use crate::axis::Step;
use crate::backend::{RawEdge, unsupported};
use crate::ready::{Ready, wait_next};
use crate::{Account, Chip, EdgeEvent, Error, ErrorKind, Figures, LineConfig, LineId, Offset, Stopper, Tally, Trust};

/// Lines that are held: an endless stream of the edges of the watched ones, and the values of all.
///
/// No thread waits for an edge: one thread dispatches the completions of all requests of the process. To a driver each
/// request is a reader, with a queue and numbers of its own. In steady state an edge costs no allocation.
///
/// ```no_run
/// use linewake::Chip;
/// # async fn example() -> Result<(), linewake::Error> {
/// let chip = Chip::open("gpiochip0")?;
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
/// A request with more lines than the chip holds at once ([`Capabilities::max_lines`](crate::backend::Capabilities)) is
/// split. The edges of the parts are put in order of time as they arrive, and each part numbers its own edges.
///
/// Dropping it gives the lines back and discards the edges that were not taken; [`tally`](Self::tally) counts them.
#[must_use = "a request that is dropped gives its lines back"]
pub struct Request {
    chip: Chip,
    parts: Vec<Part>,
    lines: Vec<WatchedLine>,
    /// The place in `lines` of each offset of the chip, or `NOT_HELD`.
    places: Box<[u32]>,
    ready: Ready,
    /// Edges that came and are not taken yet.
    batch: VecDeque<PendingEdge>,
    /// Their times on an axis that never goes back.
    times: Times,
    /// Buffer for the edges of a part.
    arrived: Vec<RawEdge>,
    taken: Arc<EdgeCounters>,
    calls: Vec<overlapped::Tally>,
    stopper: Stopper,
    is_stopping: bool,
    /// The error that ended the stream, until the edges before it are taken.
    end: Option<Error>,
    is_over: bool,
    doubt: Option<Error>,
}

/// An edge that came and is not taken yet.
#[derive(Debug)]
struct PendingEdge {
    /// The place of its line in the request.
    place: usize,
    edge: RawEdge,
    /// Its time on the axis of its line, which never goes back.
    axis_ns: u64,
    /// A step of the clock directly before it.
    step: Option<Step>,
}

const NOT_HELD: u32 = u32::MAX;

/// The most edges taken from the chip before the program gets them.
const BATCH: usize = 256;

impl Request {
    fn new(chip: Chip, mut lines: Vec<WatchedLine>, parts: Vec<Part>) -> Self {
        let mut places = vec![NOT_HELD; chip.info().lines as usize].into_boxed_slice();
        for (place, line) in (0..).zip(&lines) {
            places[line.offset.index()] = place;
        }
        let mut ready = Ready::new();
        for part in &parts {
            ready.add();
            for (line, active) in lines[part.lines.clone()].iter_mut().zip(part.held.active_at_start()) {
                line.begin(active, part.held.levels_read_ns());
                line.number_after(part.held.numbers_begin_after());
            }
        }
        Self {
            times: Times::new(&chip, &lines, parts.len()),
            calls: parts.iter().filter_map(|part| part.held.tally()).collect(),
            stopper: Stopper::new(&ready),
            chip,
            parts,
            lines,
            places,
            ready,
            batch: VecDeque::with_capacity(BATCH),
            arrived: Vec::with_capacity(BATCH),
            taken: Arc::default(),
            is_stopping: false,
            end: None,
            is_over: false,
            doubt: None,
        }
    }

    /// The chip of the lines.
    #[must_use]
    pub fn chip(&self) -> &Chip {
        &self.chip
    }

    /// The lines, in the order of the request.
    #[must_use]
    pub fn lines(&self) -> &[WatchedLine] {
        &self.lines
    }

    /// The next edge, or `None` after the stream was [stopped](Self::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// The reason that ended the stream, once: the device is gone ([`Error::is_disconnected`]), or the driver breaks
    /// its protocol ([`ErrorKind::Malformed`]). Earlier edges are delivered first.
    pub async fn next(&mut self) -> Option<Result<EdgeEvent, Error>> {
        poll_fn(|cx| self.poll_next_edge(cx)).await
    }

    /// Blocks the thread until [`next`](Self::next) is ready.
    ///
    /// # Errors
    /// As [`next`](Self::next); and [`ErrorKind::Deadlock`] on the thread that dispatches completions, which does not
    /// end the stream.
    pub fn wait_next(&mut self) -> Option<Result<EdgeEvent, Error>> {
        self.wait(None)
    }

    /// As [`wait_next`](Self::wait_next), but at most for `timeout`.
    ///
    /// # Errors
    /// As [`wait_next`](Self::wait_next); and an error that [`is_timeout`](Error::is_timeout), which does not end the
    /// stream.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<EdgeEvent, Error>> {
        self.wait(Some(timeout))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Option<Result<EdgeEvent, Error>> {
        if let Some(edge) = self.next_ready() {
            return Some(Ok(edge));
        }
        wait_next(timeout, "an edge", |cx| self.poll_next_edge(cx))
    }

    pub(crate) fn poll_next_edge(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<EdgeEvent, Error>>> {
        loop {
            if let Some(edge) = self.next_ready() {
                return Poll::Ready(Some(Ok(edge)));
            }
            match ready!(self.poll_batch(cx)) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Fetches edges for [`next_ready`](Self::next_ready).
    pub(crate) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), Error>>> {
        if !self.batch.is_empty() {
            return Poll::Ready(Some(Ok(())));
        }
        if let Some(error) = self.end.take() {
            self.is_over = true;
            return Poll::Ready(Some(Err(error)));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        if !self.is_stopping && self.stopper.is_stopped() {
            self.is_stopping = true;
            self.parts.iter_mut().filter(|part| !part.is_over).for_each(|part| part.held.stop());
            (0..self.parts.len()).for_each(|part| self.ready.push(part));
        }
        self.poll_parts(cx.waker());
        if !self.batch.is_empty() {
            Poll::Ready(Some(Ok(())))
        } else if let Some(error) = self.end.take() {
            self.is_over = true;
            Poll::Ready(Some(Err(error)))
        } else if self.parts.iter().all(|part| part.is_over) {
            self.is_over = true;
            Poll::Ready(None)
        } else {
            if !self.is_stopping && self.stopper.is_stopped() {
                // The stop came after the check above, and its wake-up was taken for that of a part.
                cx.waker().wake_by_ref();
            }
            self.parts.iter_mut().filter(|part| !part.is_over).for_each(|part| part.held.waits(cx));
            Poll::Pending
        }
    }

    /// Takes the edges of the woken parts.
    fn poll_parts(&mut self, parent: &Waker) {
        let mut idle = 0;
        while self.batch.len() < BATCH
            && self.end.is_none()
            && let Some(index) = self.ready.pop(parent)
        {
            if idle > 2 * self.parts.len() {
                // Parts may be woken again and again without an edge. Return, so that other tasks run and a timeout of
                // the caller is seen.
                self.ready.push(index);
                parent.wake_by_ref();
                break;
            }
            let part = &mut self.parts[index];
            if part.is_over {
                continue;
            }
            let _relay = self.ready.relay(parent, index);
            let polled = part.poll_edges(&mut Context::from_waker(self.ready.waker(index)), &mut self.arrived);
            let places = &self.places;
            let held = |edge: &RawEdge| {
                let place = places.get(edge.offset.index()).copied().unwrap_or(NOT_HELD) as usize;
                part.lines.contains(&place).then_some(place)
            };
            let before = self.batch.len();
            let mut foreign: Option<Offset> = None;
            let came = (!self.arrived.is_empty()).then(|| self.times.came(index));
            for (edge, now) in self.arrived.drain(..).zip(came.iter().cycle()) {
                match held(&edge) {
                    Some(place) => {
                        let line = (place, self.lines[place].config.clock);
                        let (axis_ns, step) = self.times.put(index, line, edge.timestamp_ns, now);
                        self.batch.push_back(PendingEdge { place, edge, axis_ns, step });
                    }
                    None => foreign = foreign.or(Some(edge.offset)),
                }
            }
            if let Some(offset) = foreign {
                self.batch.truncate(before);
                let chip = &self.chip.info().name;
                let message = format!("chip \"{chip}\" reports an edge of line {offset}, which was not asked for");
                self.end_with(Error::new(ErrorKind::Malformed, message));
                continue;
            }
            match polled {
                Poll::Ready(Some(Ok(()))) => self.ready.push(index),
                Poll::Ready(Some(Err(error))) => self.end_with(error),
                Poll::Ready(None) | Poll::Pending => idle += 1,
            }
        }
        // The edges of a line are in order: its time never goes back.
        if !self.batch.iter().is_sorted_by_key(|came| came.axis_ns) {
            self.batch.make_contiguous().sort_by_key(|came| came.axis_ns);
        }
    }

    fn end_with(&mut self, error: Error) {
        if error.kind() == ErrorKind::Malformed {
            self.lines.iter_mut().for_each(|line| line.contradicted = true);
        }
        self.doubt = Some(error.clone());
        self.end = Some(error);
    }

    /// The next edge that came with the last one, without waiting or asking the driver: for programs that write out all
    /// edges of one wake-up.
    pub fn next_ready(&mut self) -> Option<EdgeEvent> {
        self.next_placed().map(|(_, edge, _)| edge)
    }

    /// [`next_ready`](Self::next_ready), with the place of its line, and a step of its clock directly before it.
    pub(crate) fn next_placed(&mut self) -> Option<(usize, EdgeEvent, Option<Step>)> {
        let PendingEdge { place, edge, axis_ns, step } = self.batch.pop_front()?;
        let part = self.part_of(place);
        let (line, part) = (&mut self.lines[place], &mut self.parts[part]);
        part.interrupts.note(edge.seqno);
        let missed = line.take(&edge, axis_ns, part.numbering);
        // It has no other writer.
        self.taken.delivered.store(self.taken.delivered.load(Relaxed) + 1, Relaxed);
        let event = EdgeEvent {
            chip: self.chip.info().name.clone(),
            offset: line.offset,
            name: line.name.clone(),
            kind: line.kind(&edge),
            timestamp_ns: edge.timestamp_ns,
            axis_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed,
        };
        Some((place, event, step))
    }

    /// Continues the time of the request before this one, whose chip was unplugged.
    pub(crate) fn go_on_from(&mut self, before: Times) {
        let parts = &self.parts;
        self.times.go_on(before, &self.lines, |place| parts.partition_point(|part| part.lines.end <= place));
    }

    /// The time so far, for the [request after this one](Self::go_on_from).
    pub(crate) fn times(&self) -> Times {
        self.times.clone()
    }

    /// True if the program got an edge of the line at `place`.
    pub(crate) fn has_delivered(&self, place: usize) -> bool {
        self.lines[place].has_delivered()
    }

    /// Corrects the booking of an edge that was not delivered.
    pub(crate) fn rebook(&mut self, place: usize, book: impl FnOnce(&mut Figures)) {
        self.lines[place].rebook(book);
    }

    /// The values of the lines now, in the order of the request: true for active. All are read at the same moment if
    /// the chip [can](crate::backend::Capabilities::atomic_values) and holds them all at once.
    ///
    /// # Errors
    /// The error of the device.
    pub fn values(&self) -> Result<Vec<bool>, Error> {
        let mut values = Vec::with_capacity(self.lines.len());
        for part in &self.parts {
            values.extend(part.held.values()?);
        }
        for (value, line) in values.iter_mut().zip(&self.lines) {
            *value ^= line.inverted;
        }
        Ok(values)
    }

    /// The value of one of its lines now: true for active.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`] when it is not one of this request; and the error of the device.
    pub fn value(&self, line: impl Into<LineId>) -> Result<bool, Error> {
        let place = self.place(line)?;
        Ok(self.values()?[place])
    }

    /// Sets outputs. All change at the same moment if the chip [can](crate::backend::Capabilities::atomic_values) and
    /// holds them all at once.
    ///
    /// ```
    /// # let chip = linewake::Chip::open("sim")?;
    /// let mut led = chip.request().output("led", false).start()?;
    /// led.set_values([("led", true)])?;
    /// assert!(chip.value("led")?);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`] when a line is not of this request, [`ErrorKind::InvalidInput`] when it is no output;
    /// then no line was set. And the error of the device.
    pub fn set_values<L: Into<LineId>>(&mut self, values: impl IntoIterator<Item = (L, bool)>) -> Result<(), Error> {
        let mut of_parts = vec![Vec::new(); self.parts.len()];
        for (line, active) in values {
            let place = self.place(line)?;
            let line = &self.lines[place];
            if line.config.direction == Some(crate::Direction::Input) {
                let (offset, chip) = (line.offset, self.chip.info());
                let message =
                    format!("line {offset} of chip \"{}\" is held as an input; ask for it as an output", chip.name);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            if !self.chip.capabilities().outputs {
                return Err(unsupported(&self.chip.info().name, "has no outputs"));
            }
            let part = self.part_of(place);
            of_parts[part].push((place - self.parts[part].lines.start, active != line.inverted));
        }
        for (part, values) in self.parts.iter_mut().zip(of_parts).filter(|(_, values)| !values.is_empty()) {
            part.held.set_values(&values)?;
        }
        Ok(())
    }

    /// Sets one output.
    ///
    /// # Errors
    /// As [`set_values`](Self::set_values).
    pub fn set_value(&mut self, line: impl Into<LineId>, active: bool) -> Result<(), Error> {
        self.set_values([(line, active)])
    }

    /// Reconfigures some of the lines. The other lines, the stream, its numbers and its account stay as they are.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`] when one is not of this request; [`ErrorKind::Unsupported`] for what the chip [cannot
    /// do](Chip::capabilities); and the error of the device. Then that part of the request is unchanged.
    pub fn reconfigure<L: Into<LineId>>(
        &mut self,
        lines: impl IntoIterator<Item = (L, LineConfig)>,
    ) -> Result<(), Error> {
        let mut configs: Vec<_> = self.lines.iter().map(|line| line.config).collect();
        let mut changed = vec![false; self.parts.len()];
        for (line, config) in lines {
            let place = self.place(line)?;
            ask::check(&self.chip, &config)?;
            configs[place] = config;
            changed[self.part_of(place)] = true;
        }
        if !self.chip.capabilities().reconfigure {
            return Err(unsupported(&self.chip.info().name, "cannot reconfigure lines while they are held"));
        }
        let inverts = self.chip.capabilities().active_low;
        for (part, _) in self.parts.iter_mut().zip(changed).filter(|(_, changed)| *changed) {
            let range = part.lines.clone();
            let asked: Vec<_> = configs[range.clone()].iter().map(|config| ask::as_asked(config, inverts)).collect();
            part.held.reconfigure(&asked)?;
            part.numbering = part.held.numbering();
            for (place, config) in range.clone().zip(&configs[range]) {
                let line = &mut self.lines[place];
                if line.config.clock != config.clock {
                    self.times.begin_anew(place);
                }
                line.config = *config;
                line.inverted = config.active_low && !inverts;
            }
        }
        // A part of the request that had no watched line may have one now, so all parts are polled again.
        (0..self.parts.len()).for_each(|part| self.ready.push(part));
        Ok(())
    }

    /// The lines that are held beside the requested ones; see [`RequestBuilder::witness`].
    pub fn witnesses(&self) -> impl Iterator<Item = Offset> + '_ {
        self.parts.iter().filter_map(|part| part.held.witness())
    }

    pub(crate) fn place(&self, line: impl Into<LineId>) -> Result<usize, Error> {
        let line = line.into();
        match self.place_of(self.chip.find(line.clone())?) {
            Some(place) => Ok(place),
            None => {
                let message =
                    format!("line \"{line}\" of chip \"{}\" is not held by this request", self.chip.info().name);
                Err(Error::new(ErrorKind::NoSuchLine, message))
            }
        }
    }

    /// The index of the part that holds the line at a place.
    fn part_of(&self, place: usize) -> usize {
        self.parts.partition_point(|part| part.lines.end <= place)
    }

    /// The place of a line among those of the request.
    pub(crate) fn place_of(&self, offset: Offset) -> Option<usize> {
        let place = self.places.get(offset.index()).copied().filter(|&place| place != NOT_HELD)?;
        Some(place as usize)
    }

    /// A handle that can end the stream from another thread or task.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The account so far, of the edges that were taken. It is [`Trust::AtLeast`] at best: missing edges are known with
    /// the next edge of their line, and only [`finish`](Self::finish) asks the chip.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut lines: Vec<_> = self.lines.iter().map(WatchedLine::account).collect();
        let mut unattributed = 0;
        for part in &self.parts {
            let of_part = self.unattributed(part);
            unattributed += of_part;
            if of_part > 0 && part.counts_interrupts() && processors::several() {
                lines[part.lines.clone()].iter_mut().for_each(|line| line.trust = line.trust.min(Trust::About));
            }
        }
        Account { lines, unattributed, doubt: self.doubt.clone() }
    }

    /// Edges missing that are booked on no line: those that the chip reports, or interrupts without an edge.
    fn unattributed(&self, part: &Part) -> u64 {
        let lines = &self.lines[part.lines.clone()];
        if !part.counts_interrupts() {
            let booked = lines.iter().map(WatchedLine::lost).sum();
            return part.held.unattributed().saturating_sub(booked);
        }
        let booked: u64 = lines.iter().map(|line| line.numbered() + line.merged()).sum();
        part.interrupts.get().saturating_sub(booked)
    }

    /// The figures of edges on their way from the driver, also after the request is gone.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally { edges: self.taken.clone(), calls: self.calls.clone() }
    }

    /// Gives the lines back and asks the chip for the final figures. Edges that were not taken are discarded; to take
    /// them all, [stop](Self::stopper) and read to the end first.
    ///
    /// If the chip keeps no account, or does not answer any more, the account stays [`Trust::AtLeast`]; in the second
    /// case it [says why](Account::doubt).
    #[must_use]
    pub fn finish(mut self) -> Account {
        let settled: Vec<_> = self.parts.iter_mut().map(|part| part.held.settle()).collect();
        let mut books = Vec::new();
        for (index, settled) in settled.into_iter().enumerate() {
            match settled {
                Ok(Some(settled)) => books.push((self.parts[index].lines.clone(), settled)),
                Ok(None) => self.discard_the_rest(index),
                Err(error) => {
                    self.doubt.get_or_insert(error);
                }
            }
        }
        if let Some(doubt) = self.parts.iter().find_map(|part| part.held.doubt()) {
            self.doubt.get_or_insert(doubt);
        }
        let mut account = self.account();
        for (lines, settled) in books {
            for ((book, line), settled) in account.lines[lines.clone()].iter_mut().zip(&self.lines[lines]).zip(&settled)
            {
                *book = line.settled(settled);
            }
        }
        if account.trust() == Trust::None {
            let message = format!("the counters of chip \"{}\" do not add up", self.chip.info().name);
            account.doubt.get_or_insert_with(|| Error::new(ErrorKind::Malformed, message));
        }
        self.is_over = true;
        account
    }

    /// Takes the edges that the chip has queued in a part, and books them as discarded.
    fn discard_the_rest(&mut self, index: usize) {
        let part = &mut self.parts[index];
        let mut cx = Context::from_waker(Waker::noop());
        if !part.is_over {
            part.held.stop();
            while let Poll::Ready(Some(Ok(()))) = part.poll_edges(&mut cx, &mut self.arrived) {}
        }
        let lines = part.lines.clone();
        let (queued, others) = self.batch.drain(..).partition::<Vec<_>, _>(|came| lines.contains(&came.place));
        self.batch.extend(others);
        let arrived: Vec<_> = self.arrived.drain(..).collect();
        let place = |edge: &RawEdge| Some(*self.places.get(edge.offset.index())? as usize);
        let arrived = arrived.into_iter().filter_map(|edge| Some((place(&edge)?, edge)));
        // An edge of a line that was not requested belongs to no account.
        let arrived: Vec<_> = arrived.filter(|(place, _)| lines.contains(place)).collect();
        let now = self.times.came(index);
        let of_queue = |came: PendingEdge| (came.place, came.edge, Some(came.axis_ns));
        let of_chip = |(place, edge)| (place, edge, None);
        for (place, edge, axis_ns) in queued.into_iter().map(of_queue).chain(arrived.into_iter().map(of_chip)) {
            part.interrupts.note(edge.seqno);
            let line = (place, self.lines[place].config.clock);
            let axis_ns = axis_ns.unwrap_or_else(|| self.times.put(index, line, edge.timestamp_ns, &now).0);
            self.lines[place].discard(&edge, axis_ns, part.numbering);
            self.taken.discarded.fetch_add(1, Relaxed);
        }
    }
}

impl futures_core::Stream for Request {
    type Item = Result<EdgeEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_edge(cx)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // First, so that the edges it discards are counted when the tally is final.
        self.parts.clear();
        self.taken.discarded.fetch_add(self.batch.len() as u64, Relaxed);
        self.taken.over.store(true, Release);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chip = &self.chip.info().name;
        f.debug_struct("Request").field("chip", chip).field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}
