//! The watch itself: takes what a monitor has, tells every place it is written to, and keeps the time.

use std::time::{Duration, Instant};

use linewake::filter::FilterEvent;
use linewake::record::Heartbeat;
use linewake::{EdgeEvent, Event, Monitor};

use super::filters::Filters;
use super::select::{Index, Selection};
use super::sink::{Item, Lost, Sinks, View};
use super::stats::Stats;
use super::summary::plural;
use crate::exit;
use crate::shown::{LineId, Printable};

/// When it ends, and what it says meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// After so many edges.
    pub(crate) edges: Option<u64>,
    /// When so many edges came or are known to be missing.
    pub(crate) enough: Option<u64>,
    /// After this.
    pub(crate) period: Option<Duration>,
    /// When nothing came for this.
    pub(crate) idle: Option<Duration>,
    /// How often figures are said.
    pub(crate) stats: Option<Duration>,
    /// How often it shows that it is alive.
    pub(crate) heartbeat: Option<Duration>,
    /// Whether that is said on standard error too.
    pub(crate) says_heartbeat: bool,
    /// Whether a chip that goes away is waited for.
    pub(crate) reattach: bool,
}

/// What ended the watch early.
#[derive(Debug)]
pub(crate) enum Ended {
    Output(Lost),
    Device(linewake::Error),
}

impl From<Lost> for Ended {
    fn from(lost: Lost) -> Self {
        Self::Output(lost)
    }
}

/// The time of the clock that stamps edges, from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    at: Instant,
    ns: Option<u64>,
}

impl Now {
    /// The clock is read once: it goes on as the computer's monotonic clock does.
    pub(crate) fn read(clock: &linewake::Clock) -> Self {
        let utc = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let offset_ns = clock.utc.map(|utc| utc.offset_ns);
        let ns = utc.ok().zip(offset_ns).and_then(|(utc, offset_ns)| {
            let ns = i128::try_from(utc.as_nanos()).ok()? - i128::from(offset_ns);
            u64::try_from(ns).ok()
        });
        Self { at: Instant::now(), ns }
    }

    /// What it showed at a moment.
    pub(crate) fn at(&self, at: Instant) -> Option<u64> {
        let ns = self.ns?;
        let since = |duration: Duration| u64::try_from(duration.as_nanos()).ok();
        match at.checked_duration_since(self.at) {
            Some(later) => ns.checked_add(since(later)?),
            None => Some(ns.saturating_sub(since(self.at.duration_since(at))?)),
        }
    }
}

/// A watch at work.
pub(crate) struct Watch<'a> {
    pace: Pace,
    sinks: &'a mut Sinks,
    index: Index,
    stats: Option<Stats>,
    filters: Option<Filters>,
    now: Now,
    left: u64,
    /// Edges that came.
    came: u64,
    /// And those that are known to be missing.
    known: u64,
    /// Edges given to the sinks: those that pass the filters.
    told: u64,
    /// Chips that were gone.
    pub(crate) gaps: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        pace: Pace,
        selection: &Selection,
        filters: Option<Filters>,
        sinks: &'a mut Sinks,
        now: Now,
    ) -> Self {
        Self {
            pace,
            sinks,
            index: selection.index(),
            stats: pace.stats.map(|_| Stats::new(&selection.lines)),
            filters,
            now,
            left: pace.edges.unwrap_or(u64::MAX),
            came: 0,
            known: 0,
            told: 0,
            gaps: 0,
        }
    }

    pub(crate) fn run(&mut self, monitor: &mut Monitor, view: View<'_>) -> Result<(), Ended> {
        self.sinks.begin(view)?;
        let began = Instant::now();
        let after = |period: Option<Duration>, from: Instant| period.and_then(|period| from.checked_add(period));
        let mut end = after(self.pace.period, began);
        let mut idle = after(self.pace.idle, began);
        let mut stats = after(self.pace.stats, began);
        let mut heartbeat = after(self.pace.heartbeat, began);
        loop {
            let now = Instant::now();
            let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if is_due(end) || is_due(idle) {
                // What has happened by now is still told.
                monitor.stopper().stop();
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
            if self.filters.as_ref().and_then(Filters::due).is_some_and(|due| due <= now) {
                self.filtered(|filters| filters.poll(now))?;
                self.flush()?;
                if self.left == 0 {
                    break;
                }
            }
            let due = self.filters.as_ref().and_then(Filters::due);
            let deadline = [end, idle, stats, heartbeat, due].into_iter().flatten().min();
            let next = match deadline {
                Some(deadline) => monitor.wait_next_timeout(deadline.saturating_duration_since(now)),
                None => monitor.wait_next(),
            };
            match next {
                Some(Ok(event)) => {
                    if self.events(monitor, &event)? {
                        // A watch that has been stopped goes to its end.
                        idle = idle.and(after(self.pace.idle, Instant::now()));
                    }
                    if self.left == 0 || self.pace.enough.is_some_and(|enough| self.known >= enough) {
                        break;
                    }
                }
                Some(Err(error)) if error.is_timeout() => {}
                Some(Err(error)) => {
                    self.finish()?;
                    return Err(Ended::Device(error));
                }
                None => break,
            }
        }
        self.finish()?;
        Ok(())
    }

    /// Tells what one wake-up brought, and flushes once. Whether there was an edge.
    fn events(&mut self, monitor: &mut Monitor, first: &Event) -> Result<bool, Lost> {
        let came = self.came;
        self.event(first)?;
        while self.left > 0
            && let Some(event) = monitor.next_ready()
        {
            self.event(&event)?;
        }
        self.flush()?;
        Ok(self.came > came)
    }

    fn flush(&mut self) -> Result<(), Lost> {
        self.sinks.flush()?;
        if let Some(stats) = &mut self.stats {
            stats.written(self.now.at(Instant::now()));
        }
        Ok(())
    }

    /// No more comes.
    fn finish(&mut self) -> Result<(), Lost> {
        if self.left > 0 {
            self.filtered(Filters::finish)?;
            self.flush()?;
        }
        self.say_stats(Instant::now());
        if let Some(filters) = &self.filters {
            exit::say(&filters.summary());
        }
        Ok(())
    }

    /// Tells what passes the filters when they are told something.
    fn filtered(&mut self, tell: impl FnOnce(&mut Filters)) -> Result<(), Lost> {
        let Some(filters) = &mut self.filters else { return Ok(()) };
        tell(filters);
        while self.left > 0
            && let Some((line, event)) = self.filters.as_mut().and_then(Filters::next)
        {
            match event {
                FilterEvent::Edge(edge) => self.edge(line, &edge)?,
                FilterEvent::Chatter(chatter) => {
                    let line = LineId {
                        chip: &chatter.chip,
                        offset: chatter.offset.get(),
                        name: chatter.name.as_deref(),
                        with_chip: false,
                        unquoted: false,
                    };
                    let (kind, changes) = (chatter.kind.as_str(), chatter.changes);
                    exit::say(&format!("{line} is {kind}: {}\n", plural(changes.into(), "change")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), Lost> {
        match event {
            Event::Edge { request, edge } => {
                let Some(line) = self.index.get(*request, edge.offset) else { return Ok(()) };
                self.came += 1;
                self.known = self.known.saturating_add(1).saturating_add(edge.missed.total());
                match self.filters {
                    Some(_) => self.filtered(|filters| filters.push(line, edge)),
                    None => self.edge(line, edge),
                }
            }
            Event::State { request, state } => {
                let Some(line) = self.index.get(*request, state.offset) else { return Ok(()) };
                if let Some(stats) = &mut self.stats {
                    stats.state(line, state);
                }
                self.filtered(|filters| filters.begin(line, state.active))?;
                self.sinks.item(Item::State { line, state })
            }
            Event::Gap { request, gap } => {
                self.gaps += u64::from(!gap.is_over);
                // Else it ends the watch, and the error says so.
                if self.pace.reattach {
                    let gone = || format!("is gone: {}; waiting for it", gap.reason);
                    let what = if gap.is_over { "is back".to_owned() } else { gone() };
                    exit::say(&format!("the chip \"{}\" {what}\n", Printable(&gap.chip)));
                }
                self.sinks.item(Item::Gap { request: *request, gap })
            }
            _ => Ok(()),
        }
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> Result<(), Lost> {
        self.left -= 1;
        self.told += 1;
        if let Some(stats) = &mut self.stats {
            stats.edge(line, edge);
        }
        self.sinks.item(Item::Edge { line, edge })
    }

    fn say_stats(&mut self, now: Instant) {
        if let Some(stats) = &mut self.stats {
            exit::say(&stats.report(now));
        }
    }

    fn heartbeat(&mut self) -> Result<(), Lost> {
        let utc = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok();
        let utc_ns = utc.and_then(|utc| u64::try_from(utc.as_nanos()).ok());
        if self.pace.says_heartbeat {
            exit::say(&format!("alive: {} so far\n", plural(self.told, "edge")));
        }
        self.sinks.item(Item::Heartbeat(Heartbeat { utc_ns, delivered: self.told }))?;
        self.sinks.flush()
    }
}
