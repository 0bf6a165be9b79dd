//! The player: it gives the items of a capture to the sinks, each at its time.

mod segments;
mod telling;
mod time;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use linewake::filter::{ChatterEvent, Filter, FilterTally, FilteredRecording};
use linewake::{ClockStep, EdgeEvent, Gap, LineState};
use linewake_capture::{Capture, Edge, Error, Item as Recorded};

use super::bell::Bell;
use super::ledger::Ledger;
use super::lines::{LineChange, LineTable};
use super::speed::Speed;
use crate::display::Printable;
use crate::exit;
use crate::sinks::sink::{Sinks, WriteError};
use crate::sinks::stats::Stats;

/// When the player ends, and how fast it plays. All times are times of the capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// `None` plays without waiting.
    pub(super) speed: Option<Speed>,
    pub(super) edges: Option<u64>,
    pub(super) period: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) stats: Option<Duration>,
}

/// The reason for an end of the player before the end of the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCause {
    Enough,
    Period,
    Idle,
    Asked,
}

/// Why the player cannot go on.
#[derive(Debug)]
pub(super) enum PlayError {
    Output(WriteError),
    Capture(Error),
}

impl From<WriteError> for PlayError {
    fn from(lost: WriteError) -> Self {
        Self::Output(lost)
    }
}

impl From<Error> for PlayError {
    fn from(error: Error) -> Self {
        Self::Capture(error)
    }
}

/// An item that is no edge, on its way through the filters.
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
    pub(super) table: LineTable,
    sinks: &'a mut Sinks,
    pub(super) ledger: Ledger,
    filter: Option<FilteredRecording<Other>>,
    stats: Option<Stats>,
    is_asked: &'a AtomicBool,
    bell: &'a Bell,
    /// Items that were read ahead.
    ahead: VecDeque<Recorded>,
    pub(super) segments: u64,
    /// A segment is being played.
    is_open: bool,
    /// Which lines have had their first level.
    has_state: Vec<bool>,
    has_edges: bool,
    /// Something was written since the last flush.
    is_dirty: bool,
    /// Nothing depends on time.
    is_timeless: bool,
    /// A moment, and the time of the capture at that moment.
    anchor: Option<(Instant, u64)>,
    /// The times of the first item and of the last edge, and when statistics are due.
    first_ns: Option<u64>,
    edge_ns: u64,
    stats_ns: Option<u64>,
    stats_began: Instant,
    left: u64,
    pub(super) told: u64,
    /// Number of times that a chip was gone.
    pub(super) gaps: u64,
    pub(super) over: Option<EndCause>,
}

/// At most this many items are read ahead.
const AHEAD: usize = 1 << 16;

/// Reads ahead until the lines of the first segment are known.
///
/// # Errors
/// When the file cannot be read, or is no capture.
pub(super) fn look_ahead(capture: &mut Capture, table: &mut LineTable) -> Result<VecDeque<Recorded>, Error> {
    let mut ahead = VecDeque::new();
    while ahead.len() < AHEAD
        // The next item of a pipe may come much later.
        && (capture.lines().is_empty() || capture.is_ready())
        && let Some(item) = capture.next()?
    {
        let is_first = matches!(
            item,
            Recorded::Begin(_) | Recorded::Line(_) | Recorded::State { .. } | Recorded::Notice(_) | Recorded::Quiet
        );
        match item {
            Recorded::Line(line) => _ = table.call(capture, line),
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
        table: LineTable,
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
            stats: plan.stats.map(|_| Stats::new(&table.watched, None)),
            table,
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
        (0..player.table.watched.len()).for_each(|_| player.add_line());
        Ok(player)
    }

    fn add_line(&mut self) {
        self.ledger.add_line();
        if let Some(filter) = &mut self.filter {
            filter.add_line();
        }
    }

    /// Plays until the capture ends or a limit is reached.
    pub(super) fn run(&mut self) -> Result<(), PlayError> {
        let played = self.play();
        if let Some(filter) = &mut self.filter {
            filter.finish();
        }
        let drained = self.drain();
        self.close_segment(None);
        self.say_stats(self.capture.latest_ns().unwrap_or(0));
        played.and(drained.map_err(PlayError::from))
    }

    /// The figures of all filters together, if there are any.
    pub(super) fn tally(&self) -> Option<FilterTally> {
        self.filter.as_ref().map(FilteredRecording::total)
    }

    fn play(&mut self) -> Result<(), PlayError> {
        while self.over.is_none() {
            if self.is_asked.load(Relaxed) {
                self.over = Some(EndCause::Asked);
                break;
            }
            let item = match self.ahead.pop_front() {
                Some(item) => item,
                None => {
                    if self.is_dirty && !self.capture.is_ready() {
                        // The next item may take long.
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
            // The signal may have ended the pipe.
            self.over = Some(EndCause::Asked);
        }
        Ok(())
    }

    #[inline]
    fn item(&mut self, item: Recorded) -> Result<(), PlayError> {
        match item {
            Recorded::Edge(edge) => self.edge(edge),
            item => self.rarely(item),
        }
    }

    #[inline]
    fn edge(&mut self, edge: Edge) -> Result<(), PlayError> {
        let Some(place) = self.table.place(edge.line) else { return Ok(()) };
        if !self.pass_until(edge.axis_ns)? {
            return Ok(());
        }
        if !self.has_edges {
            self.begin_edges()?;
        }
        self.edge_ns = edge.axis_ns;
        let event = &mut self.table.edges[place];
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

    /// Lines that have had no level before the first edge have an unknown one.
    fn begin_edges(&mut self) -> Result<(), PlayError> {
        self.has_edges = true;
        for place in 0..self.table.watched.len() {
            if self.has_state.get(place) != Some(&true) {
                self.state(place, None)?;
            }
        }
        Ok(())
    }

    fn state(&mut self, place: usize, active: Option<bool>) -> Result<(), PlayError> {
        self.has_state.resize(self.table.watched.len(), false);
        self.has_state[place] = true;
        let EdgeEvent { chip, offset, name, .. } = self.table.edges[place].clone();
        self.other(None, Other::State { place, state: LineState { chip, offset, name, active } })
    }

    fn rarely(&mut self, item: Recorded) -> Result<(), PlayError> {
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
                if self.table.call(self.capture, line) == LineChange::New
                    && let Some(watched) = self.table.watched.last()
                {
                    self.sinks.add_line(watched)?;
                    if let Some(stats) = &mut self.stats {
                        stats.line(watched);
                    }
                    self.add_line();
                }
            }
            Recorded::State { line, active } => {
                let Some(place) = self.table.place(line) else { return Ok(()) };
                if let Some(filter) = &mut self.filter {
                    filter.begin(place, active);
                }
                self.state(place, active)?;
            }
            Recorded::Gap(gap) => self.gap(&gap)?,
            Recorded::Clock(step) => {
                let Some(request) = self.table.request(step.chip) else { return Ok(()) };
                let chip = self.table.chips[request].name.clone();
                let (before_ns, after_ns, arrival_ns) = (step.before_ns, step.after_ns, step.arrival_ns);
                self.other(None, Other::Clock(ClockStep { chip, before_ns, after_ns, arrival_ns }))?;
            }
            Recorded::Chatter(chatter) => {
                let Some(place) = self.table.place(chatter.line) else { return Ok(()) };
                if !self.pass_until(chatter.axis_ns)? {
                    return Ok(());
                }
                let EdgeEvent { chip, offset, name, .. } = self.table.edges[place].clone();
                let times = [chatter.timestamp_ns, chatter.axis_ns];
                let counts = (chatter.changes, chatter.withheld);
                let event = ChatterEvent::recorded(chip, offset, name, chatter.state, times, counts);
                self.other(Some(chatter.axis_ns), Other::Chatter { place, chatter: event })?;
            }
            Recorded::Heartbeat(heartbeat) => self.other(None, Other::Heartbeat(heartbeat.utc_ns))?,
            // The signal cut the pipe, and not the capture.
            Recorded::Notice(_) if self.is_asked.load(Relaxed) => {}
            Recorded::Notice(notice) => exit::say(&format!("{}\n", Printable(&notice.to_string()))),
            _ => {}
        }
        Ok(())
    }
}
