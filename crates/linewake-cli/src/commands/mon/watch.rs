//! The loop of a watch: it takes events from the stream, gives them to the sinks, and keeps the deadlines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use linewake::record::Heartbeat;
use linewake::{EdgeEvent, Event};

use super::nudge::Nudge;
use super::stream::{EdgeStream, Next};
use crate::display::Printable;
use crate::sinks::notices;
use crate::sinks::select::{Index, Selection};
use crate::sinks::sink::{Closing, Item, Sinks, View, WriteError};
use crate::sinks::stats::Stats;
use crate::sinks::summary::plural;
use crate::{exit, threads};

/// When a watch ends, and what it reports meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Ends after this number of edges.
    pub(crate) edges: Option<u64>,
    /// Ends after this period.
    pub(crate) period: Option<Duration>,
    /// Ends when no edge came for this period.
    pub(crate) idle: Option<Duration>,
    /// Prints statistics this often.
    pub(crate) stats: Option<Duration>,
    /// Shows a sign of life this often.
    pub(crate) heartbeat: Option<Duration>,
    /// The sign of life goes to standard error too.
    pub(crate) says_heartbeat: bool,
    /// Waits for a chip that is gone.
    pub(crate) reattach: bool,
}

/// The time limit that ended the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeLimit {
    Period,
    Idle,
}

/// The end of a watch: as requested, by an error of a device, or because an output cannot be written.
pub(crate) type WatchEnd = Result<Option<linewake::Error>, WriteError>;

/// The present time of the clock that stamps edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    at: Instant,
    ns: Option<u64>,
}

impl Now {
    /// Reads the clock once. From then on it runs with the computer's monotonic clock.
    pub(crate) fn read(clock: &linewake::Clock) -> Self {
        let ns = utc_ns()
            .zip(clock.utc)
            .and_then(|(ns, utc)| u64::try_from(i128::from(ns) - i128::from(utc.offset_ns)).ok());
        Self { at: Instant::now(), ns }
    }

    /// The time of the clock at a moment.
    pub(crate) fn at(&self, at: Instant) -> Option<u64> {
        let ns = self.ns?;
        let since = |duration: Duration| u64::try_from(duration.as_nanos()).ok();
        match at.checked_duration_since(self.at) {
            Some(later) => ns.checked_add(since(later)?),
            None => Some(ns.saturating_sub(since(self.at.duration_since(at))?)),
        }
    }
}

/// A watch that runs.
pub(crate) struct WatchLoop<'a> {
    pace: Pace,
    sinks: &'a mut Sinks,
    index: Index,
    /// For each line, whether another watched line has the same name.
    shares_name: Vec<bool>,
    stats: Option<Stats>,
    now: Now,
    left: u64,
    /// Number of edges given to the sinks, which are those that passed the filters.
    told: u64,
    /// Number of times that a chip was gone.
    pub(crate) gaps: u64,
    /// The limit that was reached, if one was.
    over: Option<TimeLimit>,
}

impl<'a> WatchLoop<'a> {
    pub(crate) fn new(pace: Pace, selection: &Selection, sinks: &'a mut Sinks, now: Now, began: Instant) -> Self {
        Self {
            pace,
            sinks,
            index: selection.index(),
            shares_name: selection.lines.iter().map(|line| line.shares_name).collect(),
            stats: pace.stats.map(|_| Stats::new(&selection.lines, now.at(began))),
            now,
            left: pace.edges.unwrap_or(u64::MAX),
            told: 0,
            gaps: 0,
            over: None,
        }
    }

    pub(crate) fn run(&mut self, stream: &mut EdgeStream, view: View<'_>, nudge: &Nudge) -> WatchEnd {
        self.sinks.begin(view)?;
        let began = Instant::now();
        let mut end = after(self.pace.period, began);
        let mut idle = after(self.pace.idle, began);
        let mut stats = after(self.pace.stats, began);
        let mut heartbeat = after(self.pace.heartbeat, began);
        let mut written = began;
        loop {
            let now = Instant::now();
            let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if is_due(idle) {
                // The last edge is looked up only when the quiet period seems over: a filter may hold edges back, and
                // while edges were written no other edge was taken.
                let last = stream.monitor().last_edge_at().unwrap_or(began);
                idle = after(self.pace.idle, last.max(written));
            }
            if is_due(end) || is_due(idle) {
                self.over = Some(if is_due(end) { TimeLimit::Period } else { TimeLimit::Idle });
                // Edges that have happened by now are still delivered.
                stream.monitor().stopper().stop();
                (end, idle) = (None, None);
            }
            if is_due(stats) {
                stats = after(self.pace.stats, now);
                self.say_stats(now);
            }
            if is_due(heartbeat) {
                heartbeat = after(self.pace.heartbeat, now);
                self.heartbeat()?;
            }
            if nudge.take_reopen() {
                self.reopen(stream, view)?;
            }
            let held = self.flush_held(now)?;
            let deadline = [end, idle, stats, heartbeat, held].into_iter().flatten().min();
            match stream.wait(deadline.map(|deadline| deadline.saturating_duration_since(now)), nudge) {
                Next::Event(event) => {
                    let told = self.told;
                    self.events(stream, &event)?;
                    if self.told > told {
                        written = Instant::now();
                    }
                    if self.left == 0 {
                        break;
                    }
                }
                Next::Nothing => {}
                Next::Failed(error) => {
                    self.finish(stream);
                    return Ok(Some(error));
                }
                Next::Over => break,
            }
        }
        self.finish(stream);
        Ok(None)
    }

    /// Flushes sinks whose rows waited long enough, and returns when the next flush is due.
    fn flush_held(&mut self, now: Instant) -> Result<Option<Instant>, WriteError> {
        if self.sinks.due().is_some_and(|due| due <= now) {
            self.sinks.flush()?;
        }
        Ok(self.sinks.due())
    }

    /// True if all awaited edges came.
    pub(crate) fn has_all(&self) -> bool {
        self.left == 0
    }

    /// The message if the watch ended before all awaited edges came. `is_asked` is whether a signal asked for the end,
    /// `has_left` whether a reader left.
    pub(crate) fn early(&self, outcome: &WatchEnd, is_asked: bool, has_left: bool) -> Option<String> {
        let why = match (outcome, self.over) {
            (Ok(Some(_)), _) => "the chip was gone",
            (Err(_), _) => "its reader left",
            _ if has_left => "its reader left",
            _ if is_asked => "a signal ended it",
            (Ok(None), Some(TimeLimit::Period)) => "--for was over",
            (Ok(None), Some(TimeLimit::Idle)) => "--idle-timeout was over",
            (Ok(None), None) => "it was ended",
        };
        match self.pace.edges {
            Some(edges) if self.left > 0 => Some(format!("{} of {} came, and {why}", self.told, plural(edges, "edge"))),
            _ => None,
        }
    }

    /// Closes files that were moved away, with the account so far, and goes on in files of the same names.
    fn reopen(&mut self, stream: &EdgeStream, view: View<'_>) -> Result<(), WriteError> {
        let (accounts, tallies) = stream.so_far();
        let accounts: Vec<_> = view.chips.iter().map(|chip| chip.chip.to_string()).zip(accounts).collect();
        let (tallies, now_ns) = (tallies.as_deref(), self.now.at(Instant::now()));
        self.sinks.reopen(Closing { accounts: &accounts, tallies, threads: threads::count(), now_ns, of_last: None })
    }

    /// Passes on all events of one wake-up, and flushes once.
    fn events(&mut self, stream: &mut EdgeStream, first: &Event) -> Result<(), WriteError> {
        self.event(first)?;
        while self.left > 0
            && let Some(event) = stream.next_ready()
        {
            self.event(&event)?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.sinks.flush()?;
        if let Some(stats) = &mut self.stats {
            stats.written(self.now.at(Instant::now()));
        }
        Ok(())
    }

    /// No more events come.
    fn finish(&mut self, stream: &EdgeStream) {
        self.say_stats(Instant::now());
        if let Some(tally) = stream.filtered() {
            notices::filter(tally);
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        match event {
            Event::Edge { request, edge } => {
                let Some(line) = self.index.get(*request, edge.offset) else { return Ok(()) };
                self.edge(line, edge)
            }
            Event::State { request, state } => {
                let Some(line) = self.index.get(*request, state.offset) else { return Ok(()) };
                if let Some(stats) = &mut self.stats {
                    stats.state(line, state);
                }
                self.sinks.item(Item::State { line, state })
            }
            Event::Gap { request, gap } => {
                self.gaps += u64::from(!gap.is_over);
                if let Some(stats) = &mut self.stats {
                    stats.gap(*request);
                }
                // Without --reattach the chip's absence ends the watch, and the error reports it.
                if self.pace.reattach {
                    let gone = || format!("is gone: {}; waiting for it", gap.reason);
                    let what = if gap.is_over { "is back".to_owned() } else { gone() };
                    exit::say(&format!("the chip \"{}\" {what}\n", Printable(&gap.chip)));
                }
                self.sinks.item(Item::Gap { request: *request, gap })
            }
            Event::Clock { step, .. } => {
                notices::step(step);
                self.sinks.item(Item::Clock(step))
            }
            Event::Chatter { request, chatter } => {
                let at = self.index.get(*request, chatter.offset);
                notices::chatter(chatter, at.is_some_and(|at| self.shares_name[at]));
                self.sinks.item(Item::Chatter(chatter))
            }
            _ => Ok(()),
        }
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> Result<(), WriteError> {
        self.left -= 1;
        self.told += 1;
        if let Some(stats) = &mut self.stats {
            stats.edge(line, edge, Instant::now());
        }
        self.sinks.item(Item::Edge { line, edge })
    }

    fn say_stats(&mut self, now: Instant) {
        if let Some(stats) = &mut self.stats {
            exit::say(&stats.report(now));
        }
    }

    fn heartbeat(&mut self) -> Result<(), WriteError> {
        if self.pace.says_heartbeat {
            exit::say(&format!("alive: {} so far\n", plural(self.told, "edge")));
        }
        self.sinks.item(Item::Heartbeat(Heartbeat { utc_ns: utc_ns(), delivered: self.told }))?;
        self.sinks.flush()
    }
}

/// The time of day in nanoseconds since 1970, in UTC.
fn utc_ns() -> Option<u64> {
    let utc = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(utc.as_nanos()).ok()
}

/// The end of a period; `None` if there is no period.
fn after(period: Option<Duration>, from: Instant) -> Option<Instant> {
    period.and_then(|period| from.checked_add(period))
}
