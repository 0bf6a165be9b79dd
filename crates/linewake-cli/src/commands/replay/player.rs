//! The player: what a capture has is told at its time to every place that it is written to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use linewake::filter::{ChatterEvent, ChatterKind, Filter, FilterEvent, FilterTally, FilteredRecording, Passed};
use linewake::record::{ChatterState, Heartbeat};
use linewake::{Clock, ClockStep, EdgeEvent, Gap, LineState};
use linewake_capture::{Capture, Edge, Error, Item as Recorded, Segment};

use super::bell::Bell;
use super::ledger::Ledger;
use super::roll::{Called, Roll};
use super::speed::Speed;
use crate::exit;
use crate::shown::Printable;
use crate::sinks::said;
use crate::sinks::sink::{self, Closing, Lost, Origin, Sinks, View};
use crate::sinks::stats::Stats;
use crate::sinks::summary::plural;

/// When it ends, and how fast it goes. All times are the capture's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// `None` does not wait.
    pub(super) speed: Option<Speed>,
    pub(super) edges: Option<u64>,
    pub(super) period: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) stats: Option<Duration>,
}

/// What ended it before the end of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Enough,
    Period,
    Idle,
    Asked,
}

/// Why it cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    Output(Lost),
    Capture(Error),
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Output(lost)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Capture(error)
    }
}

/// What is no edge, on its way through the filters.
#[derive(Debug)]
enum Other {
    State { place: usize, state: LineState },
    Gap { request: usize, gap: Gap },
    Clock(ClockStep),
    Chatter { place: usize, chatter: ChatterEvent },
    Heartbeat(Option<u64>),
}

pub(super) struct Player<'a> {
    plan: Plan,
    capture: &'a mut Capture,
    pub(super) roll: Roll,
    sinks: &'a mut Sinks,
    pub(super) ledger: Ledger,
    filter: Option<FilteredRecording<Other>>,
    stats: Option<Stats>,
    is_asked: &'a AtomicBool,
    bell: &'a Bell,
    /// What was read before anything was told.
    ahead: VecDeque<Recorded>,
    pub(super) segments: u64,
    /// A segment is being played.
    is_open: bool,
    /// Lines whose level was told, and whether an edge came.
    has_state: Vec<bool>,
    has_edges: bool,
    /// Something was told since the last flush.
    is_dirty: bool,
    /// Nothing depends on time.
    is_timeless: bool,
    /// A moment, and the time of the capture then.
    anchor: Option<(Instant, u64)>,
    /// The first time, that of the last edge, and when figures are due.
    first_ns: Option<u64>,
    edge_ns: u64,
    stats_ns: Option<u64>,
    stats_began: Instant,
    left: u64,
    pub(super) told: u64,
    /// Chips that were gone.
    pub(super) gaps: u64,
    pub(super) over: Option<Over>,
}

/// So much is read to know the lines before the first is told.
const AHEAD: usize = 1 << 16;
/// From so long a wait on it is said.
const LONG: Duration = Duration::from_secs(600);

/// What is read before anything is told: as far as the lines of the first segment are known.
///
/// # Errors
/// It cannot be read, or is no capture.
pub(super) fn look_ahead(capture: &mut Capture, roll: &mut Roll) -> Result<VecDeque<Recorded>, Error> {
    let mut ahead = VecDeque::new();
    while ahead.len() < AHEAD
        // What a pipe has not brought yet may come much later.
        && (capture.lines().is_empty() || capture.is_ready())
        && let Some(item) = capture.next()?
    {
        let is_first = matches!(
            item,
            Recorded::Begin(_) | Recorded::Line(_) | Recorded::State { .. } | Recorded::Notice(_) | Recorded::Quiet
        );
        match item {
            Recorded::Line(line) => _ = roll.call(capture, line),
            item => ahead.push_back(item),
        }
        if !is_first {
            break;
        }
    }
    Ok(ahead)
}

impl<'a> Player<'a> {
    pub(super) fn new(
        plan: Plan,
        (capture, ahead): (&'a mut Capture, VecDeque<Recorded>),
        roll: Roll,
        filter: Option<Filter>,
        sinks: &'a mut Sinks,
        (is_asked, bell): (&'a AtomicBool, &'a Bell),
    ) -> Result<Self, linewake::Error> {
        let mut player = Self {
            plan,
            capture,
            sinks,
            ledger: Ledger::default(),
            filter: filter.map(FilteredRecording::new).transpose()?,
            stats: plan.stats.map(|_| Stats::new(&roll.watched, None)),
            roll,
            is_asked,
            bell,
            ahead,
            segments: 0,
            is_open: false,
            has_state: Vec::new(),
            has_edges: false,
            is_dirty: false,
            is_timeless: filter.is_none() && plan == (Plan { edges: plan.edges, ..Plan::default() }),
            anchor: None,
            first_ns: None,
            edge_ns: 0,
            stats_ns: None,
            stats_began: Instant::now(),
            left: plan.edges.unwrap_or(u64::MAX),
            told: 0,
            gaps: 0,
            over: None,
        };
        (0..player.roll.watched.len()).for_each(|_| player.add_line());
        Ok(player)
    }

    fn add_line(&mut self) {
        self.ledger.add_line();
        if let Some(filter) = &mut self.filter {
            filter.add_line();
        }
    }

    /// Plays to the end, or until it is to end.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        let played = self.play();
        if let Some(filter) = &mut self.filter {
            filter.finish();
        }
        let drained = self.drain();
        self.close_segment(None);
        self.say_stats(self.capture.latest_ns().unwrap_or(0));
        played.and(drained.map_err(Stop::from))
    }

    /// What the filters made of the edges, if there are any.
    pub(super) fn tally(&self) -> Option<FilterTally> {
        self.filter.as_ref().map(FilteredRecording::total)
    }

    fn play(&mut self) -> Result<(), Stop> {
        while self.over.is_none() {
            if self.is_asked.load(Relaxed) {
                self.over = Some(Over::Asked);
                break;
            }
            let item = match self.ahead.pop_front() {
                Some(item) => item,
                None => {
                    if self.is_dirty && !self.capture.is_ready() {
                        // It may be long until there is more.
                        self.flush()?;
                    }
                    match self.capture.next()? {
                        Some(item) => item,
                        None => break,
                    }
                }
            };
            self.item(item)?;
        }
        if self.is_asked.load(Relaxed) && self.over.is_none() {
            // What ended may be what was read from.
            self.over = Some(Over::Asked);
        }
        Ok(())
    }

    #[inline]
    fn item(&mut self, item: Recorded) -> Result<(), Stop> {
        match item {
            Recorded::Edge(edge) => self.edge(edge),
            item => self.rarely(item),
        }
    }

    #[inline]
    fn edge(&mut self, edge: Edge) -> Result<(), Stop> {
        let Some(place) = self.roll.place(edge.line) else { return Ok(()) };
        if !self.pass_until(edge.axis_ns)? {
            return Ok(());
        }
        if !self.has_edges {
            self.begin_edges()?;
        }
        self.edge_ns = edge.axis_ns;
        let event = &mut self.roll.edges[place];
        event.kind = edge.kind;
        (event.timestamp_ns, event.axis_ns) = (edge.timestamp_ns, edge.axis_ns);
        (event.seqno, event.line_seqno, event.missed) = (edge.seqno, edge.line_seqno, edge.missed);
        self.ledger.edge(place, event);
        match &mut self.filter {
            Some(filter) => {
                filter.push(place, event.clone());
                self.drain()?;
            }
            None => self.tell_edge(place, None)?,
        }
        Ok(())
    }

    /// Of what is not known by the first edge nothing is known.
    fn begin_edges(&mut self) -> Result<(), Stop> {
        self.has_edges = true;
        for place in 0..self.roll.watched.len() {
            if self.has_state.get(place) != Some(&true) {
                self.state(place, None)?;
            }
        }
        Ok(())
    }

    fn state(&mut self, place: usize, active: Option<bool>) -> Result<(), Stop> {
        self.has_state.resize(self.roll.watched.len(), false);
        self.has_state[place] = true;
        let EdgeEvent { chip, offset, name, .. } = self.roll.edges[place].clone();
        self.other(None, Other::State { place, state: LineState { chip, offset, name, active } })
    }

    fn rarely(&mut self, item: Recorded) -> Result<(), Stop> {
        match item {
            Recorded::Begin(segment) => self.begin(&segment)?,
            Recorded::End(account) => {
                if let Some(filter) = &mut self.filter {
                    filter.finish();
                }
                self.drain()?;
                self.close_segment(account.as_deref());
            }
            Recorded::Line(line) => {
                if self.roll.call(self.capture, line) == Called::New
                    && let Some(watched) = self.roll.watched.last()
                {
                    self.sinks.add_line(watched)?;
                    if let Some(stats) = &mut self.stats {
                        stats.line(watched);
                    }
                    self.add_line();
                }
            }
            Recorded::State { line, active } => {
                let Some(place) = self.roll.place(line) else { return Ok(()) };
                if let Some(filter) = &mut self.filter {
                    filter.begin(place, active);
                }
                self.state(place, active)?;
            }
            Recorded::Gap(gap) => self.gap(&gap)?,
            Recorded::Clock(step) => {
                let Some(request) = self.roll.request(step.chip) else { return Ok(()) };
                let chip = self.roll.chips[request].name.clone();
                let (before_ns, after_ns, arrival_ns) = (step.before_ns, step.after_ns, step.arrival_ns);
                self.other(None, Other::Clock(ClockStep { chip, before_ns, after_ns, arrival_ns }))?;
            }
            Recorded::Chatter(chatter) => {
                let Some(place) = self.roll.place(chatter.line) else { return Ok(()) };
                if !self.pass_until(chatter.axis_ns)? {
                    return Ok(());
                }
                let EdgeEvent { chip, offset, name, .. } = self.roll.edges[place].clone();
                let kind = match chatter.state {
                    ChatterState::Blocked => ChatterKind::Blocked,
                    ChatterState::Unblocked => ChatterKind::Unblocked,
                };
                let times = [chatter.timestamp_ns, chatter.axis_ns];
                let counts = (chatter.changes, chatter.withheld);
                let event = ChatterEvent::recorded(chip, offset, name, kind, times, counts);
                self.other(Some(chatter.axis_ns), Other::Chatter { place, chatter: event })?;
            }
            Recorded::Heartbeat(heartbeat) => self.other(None, Other::Heartbeat(heartbeat.utc_ns))?,
            // What was cut off was not the capture.
            Recorded::Notice(_) if self.is_asked.load(Relaxed) => {}
            Recorded::Notice(notice) => exit::say(&format!("{}\n", Printable(&notice.to_string()))),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, segment: &Segment) -> Result<(), Stop> {
        self.segments += 1;
        self.is_open = true;
        // What lies between two segments is not waited for: nobody watched then.
        self.anchor = None;
        let clock = Clock::recorded(&segment.clock, segment.utc);
        let named = self.roll.named(self.capture);
        let origin = Origin {
            host: segment.host.as_deref(),
            boot_id: segment.boot_id.as_deref(),
            utc_synchronised: segment.utc_synchronised,
        };
        let origin = Some(origin);
        let view = View { clock: &clock, chips: &named, began_ns: None, lines: &self.roll.watched, origin };
        if self.segments == 1 {
            return Ok(self.sinks.begin(view)?);
        }
        let (accounts, tallies) = self.ledger.segment(&self.roll);
        let tallies = tallies.as_deref();
        let ended = Closing { accounts: &accounts, tallies, threads: None, now_ns: None, of_last: None };
        self.sinks.next_watch(ended, view)?;
        self.ledger.begin_segment();
        if let Some(filter) = &mut self.filter {
            (0..self.roll.watched.len()).for_each(|place| filter.begin(place, None));
        }
        Ok(())
    }

    /// A segment is over, or what is played of it.
    fn close_segment(&mut self, account: Option<&linewake_capture::Account>) {
        if std::mem::take(&mut self.is_open) {
            let filter = self.filter.as_ref();
            self.ledger.end_segment(&self.roll, account, |place| Some(filter?.tally(place)));
        }
    }

    fn gap(&mut self, gap: &linewake_capture::Gap) -> Result<(), Stop> {
        let Some(request) = self.roll.request(gap.chip) else { return Ok(()) };
        let chip = self.roll.chips[request].name.clone();
        self.gaps += u64::from(!gap.is_over);
        let what = if gap.is_over { "was back" } else { "was gone" };
        exit::say(&format!("the chip \"{}\" {what}\n", Printable(&chip)));
        if !gap.is_over
            && let Some(filter) = &mut self.filter
        {
            let lines = self.roll.watched.iter().enumerate().filter(|(_, line)| line.request == request);
            lines.for_each(|(place, _)| filter.rest(place));
            self.drain()?;
        }
        let gap = Gap::recorded(chip, gap.from_ns, gap.to_ns, gap.is_over, gap.figures);
        self.other(None, Other::Gap { request, gap })
    }

    /// Something that keeps its place between the edges.
    fn other(&mut self, axis_ns: Option<u64>, other: Other) -> Result<(), Stop> {
        match &mut self.filter {
            Some(filter) => {
                filter.other(axis_ns, other);
                Ok(self.drain()?)
            }
            None => Ok(self.tell(other)?),
        }
    }

    /// Tells what passed the filters.
    fn drain(&mut self) -> Result<(), Lost> {
        while self.left > 0
            && let Some(passed) = self.filter.as_mut().and_then(FilteredRecording::pop)
        {
            match passed {
                Passed::Line { place, event: FilterEvent::Edge(edge) } => self.tell_edge(place, Some(&edge))?,
                Passed::Line { place, event: FilterEvent::Chatter(chatter) } => {
                    self.tell(Other::Chatter { place, chatter })?;
                }
                Passed::Line { .. } => {}
                Passed::Other(other) => self.tell(other)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn tell_edge(&mut self, place: usize, edge: Option<&EdgeEvent>) -> Result<(), Lost> {
        let edge = edge.unwrap_or(&self.roll.edges[place]);
        if let Some(stats) = &mut self.stats {
            let passed = Duration::from_nanos(edge.axis_ns.saturating_sub(self.first_ns.unwrap_or(edge.axis_ns)));
            stats.edge(place, edge, self.stats_began.checked_add(passed).unwrap_or(self.stats_began));
            // How late they are written says nothing.
            stats.written(None);
        }
        self.is_dirty = true;
        self.told += 1;
        self.left -= 1;
        if self.left == 0 {
            self.over = Some(Over::Enough);
        }
        self.sinks.item(sink::Item::Edge { line: place, edge })
    }

    fn tell(&mut self, other: Other) -> Result<(), Lost> {
        self.is_dirty = true;
        match &other {
            Other::State { place, state } => {
                if let Some(stats) = &mut self.stats {
                    stats.state(*place, state);
                }
                self.sinks.item(sink::Item::State { line: *place, state })
            }
            Other::Gap { request, gap } => {
                if let Some(stats) = &mut self.stats {
                    stats.gap(*request);
                }
                self.sinks.item(sink::Item::Gap { request: *request, gap })
            }
            Other::Clock(step) => {
                said::step(step);
                self.sinks.item(sink::Item::Clock(step))
            }
            Other::Chatter { place, chatter } => {
                said::chatter(chatter, self.roll.watched[*place].shares_name);
                self.sinks.item(sink::Item::Chatter(chatter))
            }
            Other::Heartbeat(utc_ns) => {
                let (utc_ns, delivered) = (*utc_ns, self.told);
                self.sinks.item(sink::Item::Heartbeat(Heartbeat { utc_ns, delivered }))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Lost> {
        self.is_dirty = false;
        self.sinks.flush()
    }

    /// Lets time pass, and what is due in it happen. `false` if it is over before then.
    fn pass_until(&mut self, axis_ns: u64) -> Result<bool, Stop> {
        if self.first_ns.is_none() {
            (self.first_ns, self.edge_ns) = (Some(axis_ns), axis_ns);
            self.stats_ns = self.plan.stats.map(|period| later(axis_ns, period));
        }
        if self.is_timeless {
            return Ok(true);
        }
        let first_ns = self.first_ns.unwrap_or(axis_ns);
        let end_ns = self.plan.period.map(|period| later(first_ns, period));
        let idle_ns = self.plan.idle.map(|idle| later(self.edge_ns, idle));
        while self.over.is_none() {
            let is_before = |ns: &u64| *ns < axis_ns;
            let due_ns = self.filter.as_ref().and_then(FilteredRecording::due_ns);
            let next = [due_ns, self.stats_ns, end_ns, idle_ns].into_iter().flatten().filter(is_before).min();
            let Some(next_ns) = next else {
                self.wait_until(axis_ns)?;
                return Ok(self.over.is_none());
            };
            self.wait_until(next_ns)?;
            if self.over.is_some() {
                break;
            }
            if let Some(filter) = self.filter.as_mut().filter(|_| due_ns == Some(next_ns)) {
                filter.pass(next_ns);
                self.drain()?;
            }
            if self.stats_ns == Some(next_ns) {
                self.say_stats(next_ns);
                let period = self.plan.stats.unwrap_or_default();
                // A long silence is one.
                let is_long = later(next_ns, period.saturating_mul(1000)) < axis_ns;
                self.stats_ns = Some(later(if is_long { axis_ns } else { next_ns }, period));
            }
            if end_ns == Some(next_ns) {
                self.over = self.over.or(Some(Over::Period));
            } else if idle_ns == Some(next_ns) {
                self.over = self.over.or(Some(Over::Idle));
            }
        }
        Ok(false)
    }

    /// Waits until it is time, unless it does not wait at all.
    fn wait_until(&mut self, axis_ns: u64) -> Result<(), Stop> {
        let Some(speed) = self.plan.speed else { return Ok(()) };
        let now = Instant::now();
        let (began, began_ns) = *self.anchor.get_or_insert((now, axis_ns));
        let wait = speed.wait(axis_ns.saturating_sub(began_ns));
        // What is centuries away does not come.
        let until = began.checked_add(wait).unwrap_or(now + Duration::from_secs(1 << 32));
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return Ok(());
        }
        self.flush()?;
        if left >= LONG {
            let hours = left.as_secs() / 3600;
            let (number, unit) = match hours {
                0 => (left.as_secs() / 60, "minute"),
                1..48 => (hours, "hour"),
                _ => (hours / 24, "day"),
            };
            exit::say(&format!("nothing comes for {}; --fast does not wait\n", plural(number, unit)));
        }
        self.bell.wait_until(until);
        if self.is_asked.load(Relaxed) {
            self.over = Some(Over::Asked);
        }
        Ok(())
    }

    fn say_stats(&mut self, axis_ns: u64) {
        if let Some(stats) = &mut self.stats {
            let passed = Duration::from_nanos(axis_ns.saturating_sub(self.first_ns.unwrap_or(axis_ns)));
            exit::say(&stats.report(self.stats_began.checked_add(passed).unwrap_or(self.stats_began)));
        }
    }
}

fn later(ns: u64, by: Duration) -> u64 {
    ns.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX))
}
