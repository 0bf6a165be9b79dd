//! The filter of one line: its stages one after the other. The edges' stamps tell the time.

use std::collections::VecDeque;

use super::chatter::Chatter;
use super::event::FilterEvent;
use super::settle::Settle;
use super::{Filter, Stamp, nanoseconds};
use crate::{EdgeEvent, Edges, Error, ErrorKind};

/// Counts of a line's edges in its filter: delivered = passed + filtered + held, at every moment.
///
/// ```
/// let tally = linewake::filter::FilterTally { delivered: 10, passed: 2, filtered: 7, held: 1, missed: 0, blocks: 0 };
/// assert_eq!(tally.delivered, tally.passed + tally.filtered + tally.held);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FilterTally {
    /// Edges that came in. The request's account counts them as delivered.
    pub delivered: u64,
    /// Edges that went on to the program.
    pub passed: u64,
    /// Edges that were dropped.
    pub filtered: u64,
    /// Edges that are not decided yet, and edges that passed but that the program has not taken yet.
    pub held: u64,
    /// Edges that were missing before those that came.
    pub missed: u64,
    /// How often the line was blocked for chatter.
    pub blocks: u64,
}

impl FilterTally {
    /// The sum of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// The difference of both; no number goes below 0.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(self, other: Self, make: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            delivered: make(self.delivered, other.delivered),
            passed: make(self.passed, other.passed),
            filtered: make(self.filtered, other.filtered),
            held: make(self.held, other.held),
            missed: make(self.missed, other.missed),
            blocks: make(self.blocks, other.blocks),
        }
    }

    /// Moves this many edges from `passed` to `held`: the program has not taken them yet.
    pub(super) fn hold_back(&mut self, edges: u64) {
        // A line without a filter counts no edges, so `passed` may be smaller.
        let edges = edges.min(self.passed);
        self.passed -= edges;
        self.held += edges;
    }
}

/// The filter of one line: edges go in, events come out, and the edges' stamps tell the time.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// use std::collections::VecDeque;
/// use linewake::filter::{Filter, FilterEvent, LineFilter};
/// let mut request = chip.request().line("door").start()?;
/// chip.world().toggle("door", 1)?;
/// let edge = request.wait_next().expect("it goes on")?;
///
/// let line = &request.lines()[0];
/// let edges = line.config.edges.expect("it is watched");
/// let mut filter = LineFilter::new(&Filter::reed(), edges, line.active_at_start)?;
/// let mut events = VecDeque::new();
/// filter.push(edge.clone(), &mut events);
/// assert!(events.is_empty(), "it may bounce yet");
/// let due_ns = filter.deadline_ns().expect("it waits");
/// assert_eq!(due_ns, edge.axis_ns + 2_000_000);
/// filter.poll(due_ns, &mut events);
/// assert_eq!(events, [FilterEvent::Edge(edge)]);
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// Time is the edges' [`axis_ns`](EdgeEvent::axis_ns), which does not change when their clock is set. If it goes back
/// nevertheless, the filter's time does not go back: it goes on from the latest.
#[derive(Debug)]
pub struct LineFilter {
    glitch: Option<Settle>,
    glitch_ns: u64,
    later: Later,
    /// The number to add to a stamp to get a time that never goes back.
    ahead_ns: u64,
    latest_ns: u64,
    delivered: u64,
    missed: u64,
}

/// The stages after the glitch filter. Their time is that filter's period behind.
#[derive(Debug)]
struct Later {
    debounce: Option<Settle>,
    chatter: Option<Chatter>,
    passed: u64,
}

impl LineFilter {
    /// A filter for a line. `edges` are the edges that are watched; `active_at_start` is the line's level at the start,
    /// if known.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a filter whose settings contradict each other, and for a glitch filter where
    /// only one kind of edge is watched.
    pub fn new(filter: &Filter, edges: Edges, active_at_start: Option<bool>) -> Result<Self, Error> {
        filter.check()?;
        let has_levels = edges == Edges::Both;
        let glitch_ns = nanoseconds(filter.glitch);
        if glitch_ns > 0 && !has_levels {
            let message = format!(
                "filter \"{filter}\": \"glitch\" needs both edges, but only {} edges are watched; watch both",
                edges.as_str()
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let settle = |periods_ns, stamp| {
            (periods_ns != (0, 0)).then(|| Settle::new(periods_ns, stamp, has_levels, active_at_start))
        };
        let debounce_ns = (nanoseconds(filter.press), nanoseconds(filter.release));
        Ok(Self {
            glitch: settle((glitch_ns, glitch_ns), Stamp::Last),
            glitch_ns,
            later: Later {
                debounce: settle(debounce_ns, filter.stamp),
                chatter: filter.chatter.map(|limit| Chatter::new(limit, has_levels, active_at_start)),
                passed: 0,
            },
            ahead_ns: 0,
            latest_ns: 0,
            delivered: 0,
            missed: 0,
        })
    }

    /// Takes an edge. Everything that was due before its stamp happens first.
    pub fn push(&mut self, edge: EdgeEvent, into: &mut VecDeque<FilterEvent>) {
        self.delivered += 1;
        self.missed = self.missed.saturating_add(edge.missed.total());
        let mut now_ns = edge.axis_ns.saturating_add(self.ahead_ns);
        if now_ns < self.latest_ns {
            self.ahead_ns = self.ahead_ns.saturating_add(self.latest_ns - now_ns);
            now_ns = self.latest_ns;
        }
        self.latest_ns = now_ns;
        self.run_until(now_ns, into);
        match &mut self.glitch {
            Some(glitch) => {
                let passes = glitch.push(edge, now_ns);
                debug_assert!(passes.is_none(), "its period is not zero");
            }
            None => self.later.push(edge, now_ns, into),
        }
    }

    /// Lets time pass up to `now_ns`, by the clock of the edges' stamps. All earlier edges must have come.
    pub fn poll(&mut self, now_ns: u64, into: &mut VecDeque<FilterEvent>) {
        self.run_until(now_ns.saturating_add(self.ahead_ns), into);
    }

    /// When to call [`poll`](Self::poll) if no other edge comes, by the same clock.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        let first = self.glitch.as_ref().and_then(Settle::due_ns);
        let then = self.later.due_ns().map(|due_ns| due_ns.saturating_add(self.glitch_ns));
        let due_ns = first.into_iter().chain(then).min()?;
        Some(due_ns.saturating_sub(self.ahead_ns))
    }

    /// Ends the stream: no more edges come, so the line counts as quiet. A blocked line stays blocked.
    pub fn finish(&mut self, into: &mut VecDeque<FilterEvent>) {
        while let Some(due_ns) = self.glitch.as_ref().and_then(Settle::due_ns) {
            self.run_until(due_ns, into);
        }
        while let Some(due_ns) = self.later.debounce.as_ref().and_then(Settle::due_ns) {
            self.later.settle(due_ns, into);
        }
    }

    /// Unblocks a line whose chip is unplugged, as of the last edge that came.
    pub(super) fn unblock(&mut self, into: &mut VecDeque<FilterEvent>) {
        let at_ns = self.latest_ns;
        if let Some(chatter) = &mut self.later.chatter {
            let came = into.len();
            chatter.unblock(at_ns, at_ns.saturating_sub(self.ahead_ns), into);
            self.later.passed += edges_in(into, came);
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> FilterTally {
        let Later { debounce, chatter, passed } = &self.later;
        let blocked = chatter.as_ref().is_some_and(Chatter::is_blocked);
        let settling = self.glitch.iter().chain(debounce).map(Settle::held).sum::<u64>();
        let held = settling + u64::from(blocked);
        FilterTally {
            delivered: self.delivered,
            passed: *passed,
            filtered: self.delivered - passed - held,
            held,
            missed: self.missed,
            blocks: chatter.as_ref().map_or(0, |chatter| chatter.blocks),
        }
    }

    /// True while the line is blocked for chatter.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.later.chatter.as_ref().is_some_and(Chatter::is_blocked)
    }

    /// The stamp of the first edge that waits for quiet.
    pub(super) fn held_ns(&self) -> Option<u64> {
        self.glitch.iter().chain(&self.later.debounce).filter_map(Settle::held_ns).min()
    }

    /// Does everything that is due by `now_ns`, each at its own time.
    fn run_until(&mut self, now_ns: u64, into: &mut VecDeque<FilterEvent>) {
        if let Some(glitch) = &mut self.glitch
            && let Some(due_ns) = glitch.due_ns().filter(|&due_ns| due_ns <= now_ns)
            && let Some(edge) = glitch.settle()
        {
            // The glitch period began at the last edge before the quiet, so this is the time of that edge.
            let at_ns = due_ns - self.glitch_ns;
            self.later.run_until(at_ns, self.ahead_ns, into);
            self.later.push(edge, at_ns, into);
        }
        if let Some(now_ns) = now_ns.checked_sub(self.glitch_ns) {
            self.later.run_until(now_ns, self.ahead_ns, into);
        }
    }
}

impl Later {
    fn due_ns(&self) -> Option<u64> {
        let debounce = self.debounce.as_ref().and_then(Settle::due_ns);
        debounce.into_iter().chain(self.chatter.as_ref().and_then(Chatter::due_ns)).min()
    }

    fn run_until(&mut self, now_ns: u64, ahead_ns: u64, into: &mut VecDeque<FilterEvent>) {
        while let Some(due_ns) = self.due_ns().filter(|&due_ns| due_ns <= now_ns) {
            if self.debounce.as_ref().and_then(Settle::due_ns) == Some(due_ns) {
                self.settle(due_ns, into);
            } else if let Some(chatter) = &mut self.chatter {
                let came = into.len();
                chatter.unblock(due_ns, due_ns.saturating_sub(ahead_ns), into);
                self.passed += edges_in(into, came);
            }
        }
    }

    fn settle(&mut self, due_ns: u64, into: &mut VecDeque<FilterEvent>) {
        if let Some(edge) = self.debounce.as_mut().and_then(Settle::settle) {
            self.count(edge, due_ns, into);
        }
    }

    fn push(&mut self, edge: EdgeEvent, now_ns: u64, into: &mut VecDeque<FilterEvent>) {
        let edge = match &mut self.debounce {
            Some(debounce) => debounce.push(edge, now_ns),
            None => Some(edge),
        };
        if let Some(edge) = edge {
            self.count(edge, now_ns, into);
        }
    }

    /// Gives an edge that passed debounce at `now_ns` to the chatter stage, and counts what passes.
    fn count(&mut self, edge: EdgeEvent, now_ns: u64, into: &mut VecDeque<FilterEvent>) {
        let came = into.len();
        match &mut self.chatter {
            Some(chatter) => into.extend(chatter.push(edge, now_ns)),
            None => into.push_back(FilterEvent::Edge(edge)),
        }
        self.passed += edges_in(into, came);
    }
}

/// How many of the events after the first `came` are edges.
fn edges_in(events: &VecDeque<FilterEvent>, came: usize) -> u64 {
    events.range(came..).filter(|event| matches!(event, FilterEvent::Edge(_))).count() as u64
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
