//! A request whose edges are filtered: the lines' filters, and the passing of time between the edges.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use overlapped::Call;

use super::{Filter, FilterEvent, FilterTally, LineFilter};
use crate::timer::Timer;
use crate::wait::wait;
use crate::{EdgeEvent, Error, EventClock, LineId, Request};

/// A [`Request`] whose edges go through a [`Filter`] for each line: [`Request::filtered`], [`Request::filtered_lines`].
///
/// ```
/// use linewake::Chip;
/// use linewake::filter::FilterEvent;
/// let chip = Chip::open("sim")?; // with a button that bounces, pressed every second or so
/// let mut events = chip.request().line("button").start()?.filtered("button".parse()?)?;
/// for _ in 0..2 {
///     if let FilterEvent::Edge(edge) = events.wait_next().expect("nobody stopped it")? {
///         println!("{} {}", edge.timestamp_ns, edge.kind.as_str());
///     }
/// }
/// let tally = events.tally("button")?;
/// assert_eq!(tally.delivered, tally.passed + tally.filtered + tally.held);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// Time passes by the edges' stamps, so what comes out does not depend on when it is read; only when the request has no edge
/// to give does it pass by itself. Then an edge that was stamped before it is through the driver's queue late, and may find
/// its bounce decided: it begins another. An edge that passes comes later than its stamp by the filter's periods, so those of
/// several lines are not in order of time.
///
/// All filters of a process sleep on the one thread that dispatches completions.
#[must_use = "a request that is dropped gives its lines back"]
pub struct Filtered {
    request: Request,
    /// By the place of the line in the request; a line without a filter passes as it is.
    lines: Vec<Line>,
    clocks: [Time; 3],
    events: VecDeque<FilterEvent>,
    timer: Timer,
    sleep: Option<(Instant, Call<()>)>,
    /// How the request ended, to be told when all events are taken.
    end: Option<Option<Error>>,
}

/// A line, and the filter it may have.
#[derive(Debug)]
struct Line {
    filter: Option<LineFilter>,
    /// The deadline under which it waits; of others it is left that they are ignored when they come up.
    waits_ns: u64,
}

/// The time of one clock, and who waits for it.
#[derive(Debug, Default)]
struct Time {
    /// A stamp, and when it came: of all that came the one that shows the latest time.
    seen: Option<(u64, Instant)>,
    /// Deadlines, some of them old, and the places of their lines.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Request {
    /// Filters the edges of all its lines.
    ///
    /// # Errors
    /// As [`LineFilter::new`], naming the line; and what the system says when it has no timer.
    pub fn filtered(self, filter: Filter) -> Result<Filtered, Error> {
        let lines: Vec<_> = self.lines().iter().map(|line| (line.offset, filter)).collect();
        self.filtered_lines(lines)
    }

    /// Filters the edges of some of its lines. The others pass as they are.
    ///
    /// ```
    /// # let chip = linewake::Chip::options().life(false).open("sim")?;
    /// use linewake::filter::Filter;
    /// let request = chip.request().lines(["button", "door", "pps"]).start()?;
    /// let events = request.filtered_lines([("button", Filter::button()), ("door", "reed,release=20ms".parse()?)])?;
    /// assert_eq!(events.tally("pps")?.filtered, 0);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`filtered`](Self::filtered); [`ErrorKind::NoSuchLine`](crate::ErrorKind) when one is not of this request.
    pub fn filtered_lines<L: Into<LineId>>(
        self,
        filters: impl IntoIterator<Item = (L, Filter)>,
    ) -> Result<Filtered, Error> {
        let no_filter = || Line { filter: None, waits_ns: u64::MAX };
        let mut lines: Vec<_> = self.lines().iter().map(|_| no_filter()).collect();
        for (line, filter) in filters {
            let place = self.place(line)?;
            let line = &self.lines()[place];
            if let Some(edges) = line.config.edges {
                lines[place].filter = Some(LineFilter::new(&filter, edges, line.active_at_start)?);
            }
        }
        Ok(Filtered {
            request: self,
            lines,
            clocks: Default::default(),
            events: VecDeque::new(),
            timer: Timer::new()?,
            sleep: None,
            end: None,
        })
    }
}

impl Filtered {
    /// The next event, or `None` after the request was [stopped](Request::stopper). Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Request::next`], after what the filters still held.
    pub async fn next(&mut self) -> Option<Result<FilterEvent, Error>> {
        poll_fn(|cx| self.poll_next_event(cx)).await
    }

    /// [`next`](Self::next) for a thread.
    ///
    /// # Errors
    /// As [`Request::wait_next`].
    pub fn wait_next(&mut self) -> Option<Result<FilterEvent, Error>> {
        wait(None, |cx| self.poll_next_event(cx)).or_error("an edge")
    }

    /// [`wait_next`](Self::wait_next), at most for `timeout`.
    ///
    /// # Errors
    /// As [`Request::wait_next_timeout`].
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Option<Result<FilterEvent, Error>> {
        wait(Some(timeout), |cx| self.poll_next_event(cx)).or_error("an edge")
    }

    /// The next event of those that are there, without waiting.
    pub fn next_ready(&mut self) -> Option<FilterEvent> {
        self.events.pop_front()
    }

    /// The request: its lines, its values, its stopper.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Gives the request back, without filters. What they held is filtered.
    pub fn into_inner(self) -> Request {
        self.request
    }

    /// What the filter of a line made of its edges. Of a line without a filter all have passed, and none is counted.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchLine`](crate::ErrorKind) when it is not of this request.
    pub fn tally(&self, line: impl Into<LineId>) -> Result<FilterTally, Error> {
        let place = self.request.place(line)?;
        Ok(self.lines[place].filter.as_ref().map(LineFilter::tally).unwrap_or_default())
    }

    /// What the filters of all lines made of their edges.
    #[must_use]
    pub fn total(&self) -> FilterTally {
        let filters = self.lines.iter().filter_map(|line| line.filter.as_ref());
        filters.map(LineFilter::tally).fold(FilterTally::default(), |sum, line| FilterTally {
            delivered: sum.delivered + line.delivered,
            passed: sum.passed + line.passed,
            filtered: sum.filtered + line.filtered,
            held: sum.held + line.held,
            missed: sum.missed.saturating_add(line.missed),
            blocks: sum.blocks + line.blocks,
        })
    }

    fn poll_next_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FilterEvent, Error>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(end) = &mut self.end {
                return Poll::Ready(end.take().map(Err));
            }
            match self.request.poll_next_edge(cx) {
                Poll::Ready(Some(Ok(edge))) => self.push(edge),
                Poll::Ready(Some(Err(error))) => self.finish(Some(error)),
                Poll::Ready(None) => self.finish(None),
                Poll::Pending => {
                    let now = Instant::now();
                    for clock in 0..self.clocks.len() {
                        if let Some(now_ns) = self.clocks[clock].at(now) {
                            self.pass_time(clock, now_ns);
                        }
                    }
                    if self.events.is_empty() && self.poll_sleep(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn push(&mut self, edge: EdgeEvent) {
        let Some(place) = self.request.place_of(edge.offset) else {
            return;
        };
        let clock_kind = self.request.lines()[place].config.clock;
        let clock = index(clock_kind);
        let stamp_ns = edge.timestamp_ns;
        // What the other lines waited for was before this edge.
        self.pass_time(clock, stamp_ns);
        self.clocks[clock].see(stamp_ns, clock_kind == EventClock::Realtime);
        let Line { filter: Some(filter), waits_ns } = &mut self.lines[place] else {
            return self.events.push_back(FilterEvent::Edge(edge));
        };
        filter.push(edge, &mut self.events);
        self.clocks[clock].wait(place, filter, waits_ns);
    }

    /// It is `now_ns` by a clock.
    fn pass_time(&mut self, clock: usize, now_ns: u64) {
        let clock = &mut self.clocks[clock];
        while let Some(&Reverse((due_ns, place))) = clock.waiting.peek()
            && due_ns <= now_ns
        {
            clock.waiting.pop();
            if let Line { filter: Some(filter), waits_ns } = &mut self.lines[place]
                && *waits_ns == due_ns
            {
                filter.poll(now_ns, &mut self.events);
                *waits_ns = u64::MAX;
                clock.wait(place, filter, waits_ns);
            }
        }
    }

    /// Sleeps until the first deadline. Ready when it may have come; pending too if there is none.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.clocks.iter().filter_map(Time::first_due).min() else {
            self.sleep = None;
            return Poll::Pending;
        };
        let sleep = match &mut self.sleep {
            Some((until, sleep)) if *until <= due => sleep,
            sleep => {
                let left = due.saturating_duration_since(Instant::now());
                &mut sleep.insert((due, self.timer.sleep(left))).1
            }
        };
        let ended = Pin::new(sleep).poll(cx).map(|_| ());
        if ended.is_ready() {
            self.sleep = None;
        }
        ended
    }

    fn finish(&mut self, end: Option<Error>) {
        for filter in self.lines.iter_mut().filter_map(|line| line.filter.as_mut()) {
            filter.finish(&mut self.events);
        }
        self.sleep = None;
        self.end = Some(end);
    }
}

impl Time {
    /// What time it is, as far as the stamps that were seen show: never later than it is.
    fn at(&self, now: Instant) -> Option<u64> {
        let (stamp_ns, came) = self.seen?;
        let passed = u64::try_from(now.saturating_duration_since(came).as_nanos()).unwrap_or(u64::MAX);
        Some(stamp_ns.saturating_add(passed))
    }

    /// A stamp came just now.
    fn see(&mut self, stamp_ns: u64, can_jump: bool) {
        let now = Instant::now();
        if can_jump || self.at(now).is_none_or(|known_ns| known_ns < stamp_ns) {
            self.seen = Some((stamp_ns, now));
        }
    }

    /// A line waits for its deadline, unless it waits for an earlier time already: then it is looked at again.
    fn wait(&mut self, place: usize, filter: &LineFilter, waits_ns: &mut u64) {
        if let Some(due_ns) = filter.deadline_ns().filter(|due_ns| due_ns < waits_ns) {
            *waits_ns = due_ns;
            self.waiting.push(Reverse((due_ns, place)));
        }
    }

    /// When the first deadline comes. One that is not in this age does not.
    fn first_due(&self) -> Option<Instant> {
        let (stamp_ns, came) = self.seen?;
        let Reverse((due_ns, _)) = self.waiting.peek()?;
        came.checked_add(Duration::from_nanos(due_ns.saturating_sub(stamp_ns)))
    }
}

fn index(clock: EventClock) -> usize {
    match clock {
        EventClock::Monotonic => 0,
        EventClock::Realtime => 1,
        EventClock::Hte => 2,
    }
}

impl futures_core::Stream for Filtered {
    type Item = Result<FilterEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_event(cx)
    }
}

impl fmt::Debug for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filtered").field("request", &self.request).finish_non_exhaustive()
    }
}
