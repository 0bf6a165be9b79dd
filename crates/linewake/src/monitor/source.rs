//! One request of a monitor. Its chip may be unplugged and come back.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::builder::MonitorBuilder;
use super::event::{Event, Gap, LineState};
use super::merge::Merge;

use crate::axis::Step;
use crate::request::Times;
use crate::{
    Account, Chip, ChipInfo, Clock, ClockStep, EdgeEvent, Error, ErrorKind, EventClock, Figures, Request,
    RequestBuilder,
};

pub(super) struct MonitoredRequest {
    builder: RequestBuilder,
    /// The name of the chip in events.
    chip_name: Arc<str>,
    /// True if the chip's own name now differs from `chip_name`.
    is_renamed: bool,
    state: State,
    /// The sum of the accounts of the requests that ended when the chip was unplugged.
    before: Option<Account>,
    /// The monitor's clock.
    clock: Clock,
    /// The number to add to a time stamp of the chip to get the monitor's time. `None` until it is known.
    shift_ns: Option<i128>,
    /// The last stamp, and the latest time on the axis, both in the monitor's time.
    last_ns: Option<u64>,
    latest_ns: Option<u64>,
    /// All edges that come are later than this, because they happened after a gap.
    floor_ns: u64,
    /// How many edges of each line were dropped here and are not reported yet.
    dropped: Vec<u32>,
}

enum State {
    Live(Box<Request>),
    /// The chip is unplugged. `retry_at` is when to look for it again.
    Gone {
        retry_at: Instant,
        reason: Error,
        /// The times of the last edges of the request.
        times: Option<Times>,
    },
    Over,
}

/// The result of polling a source.
pub(super) enum Status {
    /// The source has no more now, or is over.
    Drained,
    /// The source may have more.
    More,
    /// The monitor must end with this error.
    Ended(Error),
}

/// The most edges taken from a source in one turn.
const TURN: usize = 1024;

/// The clock that all sources share, or UTC.
pub(super) fn common_clock(sources: &[MonitoredRequest]) -> Clock {
    let mut clocks = sources.iter().map(MonitoredRequest::own_clock);
    match clocks.next() {
        Some(first)
            if sources.len() == 1 || (!first.is_of_its_own() && clocks.all(|other| other.name == first.name)) =>
        {
            first
        }
        _ => Clock::utc(),
    }
}

/// Gives each chip a name for events that no other chip has.
pub(super) fn name_chips(sources: &mut [MonitoredRequest]) {
    let names = ChipInfo::distinct_names(sources.iter().map(|source| source.chip().info()));
    sources.iter_mut().zip(names).for_each(|(source, name)| source.call_chip(name));
}

impl MonitoredRequest {
    pub(super) fn start(builder: RequestBuilder) -> Result<Self, Error> {
        let request = builder.clone().start()?;
        let lines = request.lines().len();
        let chip_name = builder.chip().info().name.clone();
        Ok(Self {
            builder,
            chip_name,
            is_renamed: false,
            state: State::Live(Box::new(request)),
            before: None,
            clock: Clock::utc(),
            shift_ns: None,
            last_ns: None,
            latest_ns: None,
            floor_ns: 0,
            dropped: vec![0; lines],
        })
    }

    pub(super) fn chip(&self) -> &Chip {
        self.builder.chip()
    }

    pub(super) fn chip_name(&self) -> &Arc<str> {
        &self.chip_name
    }

    fn call_chip(&mut self, name: Arc<str>) {
        self.is_renamed = self.chip().info().name != name;
        self.chip_name = name;
    }

    /// The request, while its lines are held.
    pub(super) fn request(&self) -> Result<&Request, Error> {
        match &self.state {
            State::Live(request) => Ok(request),
            State::Gone { reason, .. } => Err(reason.clone()),
            State::Over => {
                Err(Error::new(ErrorKind::InvalidInput, "the monitor has ended; add filters before you read it"))
            }
        }
    }

    pub(super) fn own_clock(&self) -> Clock {
        let clock = match &self.state {
            State::Live(request) => request.lines().first().map(|line| line.config.clock),
            _ => None,
        };
        self.chip().backend().clock(clock.unwrap_or(EventClock::Monotonic))
    }

    /// Finds the shift from the chip's time stamps to the monitor's.
    fn synchronise(&mut self) {
        let own = self.own_clock();
        self.shift_ns = if own.name == self.clock.name { Some(0) } else { own.utc.map(|utc| utc.offset_ns.into()) };
    }

    /// Sets the clock to which time stamps are converted.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        self.synchronise();
    }

    fn on_monitor_clock(&mut self, timestamp_ns: u64) -> u64 {
        let shift = *self.shift_ns.get_or_insert_with(|| {
            // The chip's clock cannot be read. Assume that the first edge arrived without delay.
            i128::from(Clock::utc_now_ns().unwrap_or(timestamp_ns)) - i128::from(timestamp_ns)
        });
        if shift == 0 {
            return timestamp_ns;
        }
        u64::try_from(i128::from(timestamp_ns) + shift).unwrap_or(0)
    }

    /// Adds the state of each line to the stream.
    pub(super) fn states(&self, index: usize, time_ns: Option<u64>, merge: &mut Merge) {
        let State::Live(request) = &self.state else {
            return;
        };
        for (place, line) in request.lines().iter().enumerate() {
            let state = LineState {
                chip: self.chip_name.clone(),
                offset: line.offset,
                name: line.name.clone(),
                active: line.active_at_start,
            };
            merge.push_now(index, place, time_ns, Event::State { request: index, state });
        }
    }

    /// The latest time among the source's events.
    pub(super) fn last_ns(&self) -> u64 {
        self.latest_ns.unwrap_or(0)
    }

    pub(super) fn stop(&mut self) {
        match &self.state {
            State::Live(request) => request.stopper().stop(),
            State::Gone { .. } => self.state = State::Over,
            State::Over => {}
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.state {
            State::Gone { retry_at, .. } => Some(retry_at),
            _ => None,
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.retry_at().is_some_and(|retry_at| retry_at <= now)
    }

    /// Takes the edges that are there.
    pub(super) fn poll(
        &mut self,
        index: usize,
        cx: &mut Context<'_>,
        now: Instant,
        options: &MonitorBuilder,
        merge: &mut Merge,
    ) -> Status {
        if self.is_due(now) {
            match self.reattach(index, options, merge) {
                Ok(true) => {}
                Ok(false) => return Status::Drained,
                Err(error) => return Status::Ended(error),
            }
        }
        let mut taken = 0;
        loop {
            let State::Live(request) = &mut self.state else {
                return Status::Drained;
            };
            match request.poll_batch(cx) {
                Poll::Pending => return Status::Drained,
                Poll::Ready(None) => {
                    let _ = self.close();
                    return Status::Drained;
                }
                Poll::Ready(Some(Err(error))) => return self.gone(index, error, now, options, merge),
                Poll::Ready(Some(Ok(()))) => {}
            }
            while let State::Live(request) = &mut self.state
                && let Some((place, mut edge, step)) = request.next_placed()
            {
                taken += 1;
                if let Some(step) = step {
                    self.step(index, step, merge);
                }
                edge.timestamp_ns = self.on_monitor_clock(edge.timestamp_ns);
                edge.axis_ns = self.on_monitor_clock(edge.axis_ns).max(self.floor_ns);
                if self.is_renamed {
                    edge.chip = self.chip_name.clone();
                }
                self.last_ns = Some(edge.timestamp_ns);
                self.latest_ns = self.latest_ns.max(Some(edge.axis_ns));
                merge.push(index, place, edge.axis_ns, Event::Edge { request: index, edge });
            }
            if taken >= TURN || !merge.has_room() {
                return Status::More;
            }
        }
    }

    /// Adds the event that the chip's clock stepped before the next edge.
    fn step(&mut self, index: usize, step: Step, merge: &mut Merge) {
        let step = ClockStep {
            chip: self.chip_name.clone(),
            before_ns: self.on_monitor_clock(step.before_ns),
            after_ns: self.on_monitor_clock(step.after_ns),
            arrival_ns: self.on_monitor_clock(step.arrival_ns),
        };
        merge.push(index, 0, step.arrival_ns, Event::Clock { request: index, step });
    }

    /// Ends the request and keeps its account. Returns the times of its last edges.
    fn close(&mut self) -> Option<Times> {
        let mut times = None;
        if let State::Live(request) = std::mem::replace(&mut self.state, State::Over) {
            times = Some(request.times());
            let account = request.finish();
            self.before = Some(match self.before.take() {
                Some(before) => before.and(account),
                None => account,
            });
        }
        times
    }

    fn gone(
        &mut self,
        index: usize,
        error: Error,
        now: Instant,
        options: &MonitorBuilder,
        merge: &mut Merge,
    ) -> Status {
        let times = self.close();
        if !error.is_disconnected() {
            return Status::Ended(error);
        }
        let gap = self.gap(None, error.clone());
        merge.push_now(index, 0, self.latest_ns, Event::Gap { request: index, gap });
        if !options.reattach {
            return Status::Ended(error);
        }
        self.state = State::Gone { retry_at: now + options.retry, reason: error, times };
        Status::Drained
    }

    fn gap(&self, to_ns: Option<u64>, reason: Error) -> Gap {
        let figures = self.before.as_ref().map(Account::total).unwrap_or_default();
        Gap { chip: self.chip_name.clone(), from_ns: self.last_ns, to_ns, is_over: false, figures, reason }
    }

    /// Looks for the chip, and returns true if it is back.
    fn reattach(&mut self, index: usize, options: &MonitorBuilder, merge: &mut Merge) -> Result<bool, Error> {
        let again = self.chip().reopen().and_then(|chip| {
            let builder = self.builder.clone().on(chip);
            // Read the clock before the first edge can come.
            let now_ns = builder.chip().clock().now_ns();
            builder.clone().start().map(|request| (builder, request, now_ns))
        });
        let State::Gone { retry_at, reason, times } = &mut self.state else {
            return Ok(true);
        };
        let (builder, request, now_ns) = match again {
            Ok(again) => again,
            // The chip is still gone, or there but not ready: somebody may hold its lines, or its access rights are not
            // set yet.
            Err(error) if error.is_disconnected() || error.may_pass() => {
                *retry_at = Instant::now() + options.retry;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let reason = reason.clone();
        let times = times.take();
        self.builder = builder;
        self.is_renamed = self.chip().info().name != self.chip_name;
        self.state = State::Live(Box::new(request));
        let own = self.own_clock();
        if own.name != self.clock.name && own.is_of_its_own() {
            // The chip's clock may have started again, so compare it again.
            self.synchronise();
            self.floor_ns = self.latest_ns.unwrap_or(0);
        } else if let (Some(times), State::Live(request)) = (times, &mut self.state) {
            request.go_on_from(times);
        }
        let now_ns = now_ns.map(|now_ns| self.on_monitor_clock(now_ns));
        let gap = Gap { is_over: true, ..self.gap(now_ns, reason) };
        merge.push_now(index, 0, now_ns, Event::Gap { request: index, gap });
        merge.stats.reattached += 1;
        if options.states {
            self.states(index, now_ns, merge);
        }
        Ok(true)
    }

    /// Counts an edge of the line at `place` that was dropped here.
    pub(super) fn drop_edge(&mut self, place: usize) {
        self.dropped[place] += 1;
        self.rebook(place, |figures| figures.overflowed += 1);
    }

    /// Counts an edge that was taken from the chip but not by the program.
    pub(super) fn discard_edge(&mut self, place: usize) {
        self.rebook(place, |figures| figures.discarded += 1);
    }

    fn rebook(&mut self, place: usize, book: impl FnOnce(&mut Figures)) {
        match &mut self.state {
            State::Live(request) if request.has_delivered(place) => request.rebook(place, book),
            _ => {
                if let Some(line) = self.before.as_mut().and_then(|before| before.lines.get_mut(place)) {
                    line.figures.delivered = line.figures.delivered.saturating_sub(1);
                    book(&mut line.figures);
                }
            }
        }
    }

    /// Adds to the edge how many edges of its line were dropped before it.
    pub(super) fn tell_dropped(&mut self, place: usize, edge: &mut EdgeEvent) {
        if let Some(dropped) = self.dropped.get_mut(place) {
            edge.missed.overflowed = edge.missed.overflowed.saturating_add(std::mem::take(dropped));
        }
    }

    pub(super) fn account(&self) -> Account {
        match (&self.state, &self.before) {
            (State::Live(request), None) => request.account(),
            (State::Live(request), Some(before)) => before.clone().and(request.account()),
            (_, before) => before.clone().unwrap_or_default(),
        }
    }

    pub(super) fn finish(mut self) -> Account {
        let _ = self.close();
        self.before.unwrap_or_default()
    }
}
