//! The filters of many lines, and the time of their clocks. A heap holds the deadlines, so that an edge does not cost
//! more when there are more lines.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Filter, FilterEvent, FilterTally, LineFilter, nanoseconds};
use crate::{EdgeEvent, Edges, Error, WatchedLine};

/// Lines by their place, each with its filter. The edges of a line without a filter pass unchanged.
#[derive(Debug, Default)]
pub(super) struct LineFilters {
    lines: Vec<FilteredLine>,
    clocks: Vec<Time>,
    /// The events of one filter, reused as a buffer.
    said: VecDeque<FilterEvent>,
    /// Stamps of undecided edges and the places of their lines. Some entries are out of date. `None` if they are not
    /// needed.
    undecided: Option<BinaryHeap<Reverse<(u64, usize)>>>,
}

#[derive(Debug)]
struct FilteredLine {
    filter: Option<(Filter, Edges, LineFilter)>,
    clock: usize,
    /// The deadline for which this line waits. Other deadlines of it may still be in the heap; they are ignored when
    /// they come up.
    waits_ns: u64,
    /// The stamp of its entry in `undecided`.
    held_ns: Option<u64>,
    /// The tally from before its filter was last started again.
    before: FilterTally,
}

/// The time of one clock, and the lines that wait for it.
#[derive(Debug, Default)]
pub(super) struct Time {
    /// A stamp, and the moment it came. Of all stamps, this one shows the latest time.
    seen: Option<(u64, Instant)>,
    /// Deadlines and the places of their lines. Some entries are out of date.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
}

/// Takes each event of a filter, with the place of its line.
pub(super) type Say<'a> = &'a mut dyn FnMut(usize, FilterEvent);

/// A chip's clocks: monotonic, realtime, hte.
const CLOCKS: usize = 3;

impl LineFilters {
    /// Adds a line. Lines with the same `group` have the same time.
    pub(super) fn add(&mut self, group: usize, line: &WatchedLine, filter: Option<Filter>) -> Result<(), Error> {
        let clock = CLOCKS * group + line.config.clock as usize;
        let filter = filter.zip(line.config.edges).map(|(filter, edges)| {
            let at_work = LineFilter::new(&filter, edges, line.active_at_start).map_err(|error| {
                let name = line.name.as_deref().map_or_else(|| line.offset.to_string(), str::to_owned);
                Error::new(error.kind(), format!("line \"{name}\": {error}"))
            })?;
            Ok::<_, Error>((filter, edges, at_work))
        });
        self.add_line(clock, filter.transpose()?);
        Ok(())
    }

    fn add_line(&mut self, clock: usize, filter: Option<(Filter, Edges, LineFilter)>) {
        if self.clocks.len() <= clock {
            self.clocks.resize_with(clock + 1, Time::default);
        }
        let before = FilterTally::default();
        self.lines.push(FilteredLine { filter, clock, waits_ns: u64::MAX, held_ns: None, before });
    }

    /// Adds a line of a recording. All of these have the same time, and both of their edges were watched.
    pub(super) fn add_recorded(&mut self, filter: Filter) -> Result<(), Error> {
        let at_work = LineFilter::new(&filter, Edges::Both, None)?;
        self.add_line(0, Some((filter, Edges::Both, at_work)));
        Ok(())
    }

    /// How long the debounce and glitch filters hold an edge if no second edge comes.
    pub(super) fn delay_ns(&self) -> u64 {
        let filters = self.lines.iter().filter_map(|line| line.filter.as_ref());
        let delay = |filter: &Filter| filter.glitch.saturating_add(filter.press.max(filter.release));
        filters.map(|(filter, ..)| nanoseconds(delay(filter))).max().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Takes an edge, and gives `into` the events that follow from it, on its line and on others.
    pub(super) fn push(&mut self, place: usize, edge: EdgeEvent, now: Instant, into: Say<'_>) {
        let (clock, stamp_ns) = (self.lines[place].clock, edge.axis_ns);
        // The other lines' deadlines from before this edge come first.
        self.pass_time(clock, stamp_ns, into);
        self.clocks[clock].see(stamp_ns, now);
        for other in 0..self.clocks.len() {
            // Another clock may be wrong or stand still. So let no more time pass there than this computer measured.
            if other != clock
                && let Some(due_ns) = self.clocks[other].first_due_ns().filter(|&due_ns| due_ns <= stamp_ns)
                && let Some(now_ns) = self.clocks[other].at(now).filter(|&now_ns| now_ns >= due_ns)
            {
                self.pass_time(other, now_ns.min(stamp_ns), into);
            }
        }
        let line = &mut self.lines[place];
        let Some((_, _, filter)) = &mut line.filter else {
            return into(place, FilterEvent::Edge(edge));
        };
        filter.push(edge, &mut self.said);
        self.clocks[clock].wait(place, filter, &mut line.waits_ns);
        self.say(place, into);
    }

    /// Hands on the events of a line's filter.
    fn say(&mut self, place: usize, into: Say<'_>) {
        self.said.drain(..).for_each(|event| into(place, event));
        if let Some(undecided) = &mut self.undecided {
            let line = &mut self.lines[place];
            let held_ns = line.filter.as_ref().and_then(|(_, _, filter)| filter.held_ns());
            if line.held_ns != held_ns {
                line.held_ns = held_ns;
                undecided.extend(held_ns.map(|held_ns| Reverse((held_ns, place))));
            }
        }
    }

    /// From now on, keeps track of which undecided edge is the first.
    pub(super) fn know_the_undecided(&mut self) {
        self.undecided = Some(BinaryHeap::new());
    }

    /// The stamp of the first undecided edge at or after `from_ns`. `from_ns` must not go back from one call to the
    /// next.
    pub(super) fn first_undecided_ns(&mut self, from_ns: u64) -> Option<u64> {
        let undecided = self.undecided.as_mut()?;
        while let Some(&Reverse((held_ns, place))) = undecided.peek() {
            if held_ns >= from_ns && self.lines[place].held_ns == Some(held_ns) {
                return Some(held_ns);
            }
            undecided.pop();
        }
        None
    }

    /// There is no edge to take, so time passes by itself.
    pub(super) fn pass(&mut self, now: Instant, into: Say<'_>) {
        for clock in 0..self.clocks.len() {
            if let Some(now_ns) = self.clocks[clock].at(now) {
                self.pass_time(clock, now_ns, into);
            }
        }
    }

    /// When the next event may come without another edge, by the stamps of the first clock. For callers that have only
    /// one clock.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.clocks.first().and_then(Time::first_due_ns)
    }

    /// Lets the time of a clock pass up to `now_ns`.
    pub(super) fn pass_time(&mut self, clock: usize, now_ns: u64, into: Say<'_>) {
        while let Some(&Reverse((due_ns, place))) = self.clocks[clock].waiting.peek()
            && due_ns <= now_ns
        {
            self.clocks[clock].waiting.pop();
            let line = &mut self.lines[place];
            if let Some((_, _, filter)) = &mut line.filter
                && line.waits_ns == due_ns
            {
                filter.poll(now_ns, &mut self.said);
                line.waits_ns = u64::MAX;
                self.clocks[clock].wait(place, filter, &mut line.waits_ns);
                self.say(place, into);
            }
        }
    }

    /// When the next event may come without another edge.
    pub(super) fn due(&self) -> Option<Instant> {
        self.clocks.iter().filter_map(|clock| clock.when(clock.first_due_ns()?)).min()
    }

    /// No more edges come from these lines, so each of them counts as quiet.
    pub(super) fn finish(&mut self, places: Range<usize>, into: Say<'_>) {
        for place in places {
            if let Some((_, _, filter)) = &mut self.lines[place].filter {
                filter.finish(&mut self.said);
                self.say(place, into);
            }
        }
    }

    /// The chip of these lines is unplugged: each counts as quiet, and none stays blocked. Their clock is reset, unless
    /// other lines use it too.
    pub(super) fn gone(&mut self, places: Range<usize>, into: Say<'_>) {
        self.finish(places.clone(), into);
        for place in places.clone() {
            if let Some((_, _, filter)) = &mut self.lines[place].filter {
                filter.unblock(&mut self.said);
                self.say(place, into);
            }
        }
        let group = |line: &FilteredLine| line.clock / CLOCKS;
        let Some(its) = self.lines.get(places.start).map(group) else { return };
        let is_shared =
            self.lines.iter().enumerate().any(|(place, line)| group(line) == its && !places.contains(&place));
        if !is_shared {
            self.clocks.iter_mut().skip(CLOCKS * its).take(CLOCKS).for_each(|clock| *clock = Time::default());
        }
    }

    /// Starts the filter of a line again when the line is watched again.
    pub(super) fn begin(&mut self, place: usize, active: Option<bool>) {
        let tally = self.tally(place);
        let line = &mut self.lines[place];
        if let Some((filter, edges, at_work)) = &mut line.filter
            // This cannot fail: the same filter was accepted before.
            && let Ok(anew) = LineFilter::new(filter, *edges, active)
        {
            // The edges that the old filter held can no longer pass.
            line.before = FilterTally { filtered: tally.filtered + tally.held, held: 0, ..tally };
            (*at_work, line.waits_ns, line.held_ns) = (anew, u64::MAX, None);
        }
    }

    pub(super) fn tally(&self, place: usize) -> FilterTally {
        let line = &self.lines[place];
        let now = line.filter.as_ref().map(|(_, _, filter)| filter.tally());
        line.before.and(now.unwrap_or_default())
    }
}

impl Time {
    /// The time that the stamps so far show. It is never later than the true time.
    pub(super) fn at(&self, now: Instant) -> Option<u64> {
        let (stamp_ns, came) = self.seen?;
        let passed = nanoseconds(now.saturating_duration_since(came));
        Some(stamp_ns.saturating_add(passed))
    }

    /// Takes a stamp that came at `now`.
    pub(super) fn see(&mut self, stamp_ns: u64, now: Instant) {
        if self.at(now).is_none_or(|known_ns| known_ns < stamp_ns) {
            self.seen = Some((stamp_ns, now));
        }
    }

    /// When the clock will show `due_ns`; `None` if that is later than an `Instant` can be.
    pub(super) fn when(&self, due_ns: u64) -> Option<Instant> {
        let (stamp_ns, came) = self.seen?;
        came.checked_add(Duration::from_nanos(due_ns.saturating_sub(stamp_ns)))
    }

    /// Makes a line wait for its filter's deadline. If it already waits for an earlier time, that stays: the filter is
    /// polled then, and asked again.
    fn wait(&mut self, place: usize, filter: &LineFilter, waits_ns: &mut u64) {
        if let Some(due_ns) = filter.deadline_ns().filter(|due_ns| due_ns < waits_ns) {
            *waits_ns = due_ns;
            self.waiting.push(Reverse((due_ns, place)));
        }
    }

    fn first_due_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((due_ns, _))| *due_ns)
    }
}
