//! Filters of the lines: what of their edges is written. See [`linewake::filter`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use linewake::filter::{Filter, FilterEvent, FilterTally, LineFilter};
use linewake::{EdgeEvent, Edges, Error};

use super::summary::plural;

/// The filter of each line that something is known of.
pub(crate) struct Filters {
    filter: Filter,
    edges: Edges,
    lines: Vec<Option<LineFilter>>,
    /// The last time stamp, and when it came: what the clock shows now follows from it.
    seen: Option<(u64, Instant)>,
    /// What one filter says.
    said: VecDeque<FilterEvent>,
    /// What passes, in order of time: the filters say it when it is decided, which takes them longer or shorter.
    events: BTreeMap<(u64, u64), (usize, FilterEvent)>,
    number: u64,
    /// How long it takes them at most, but for chatter.
    delay_ns: u64,
    /// Events from before this are all there.
    decided_ns: u64,
}

impl Filters {
    /// For so many lines, of which these edges are watched.
    pub(crate) fn new(filter: Filter, edges: Edges, lines: usize) -> Result<Self, Error> {
        // Whether it makes sense is told before anything is watched.
        LineFilter::new(&filter, edges, None)?;
        let delay = filter.glitch.saturating_add(filter.press.max(filter.release));
        Ok(Self {
            filter,
            edges,
            lines: std::iter::repeat_with(|| None).take(lines).collect(),
            seen: None,
            said: VecDeque::new(),
            events: BTreeMap::new(),
            number: 0,
            delay_ns: u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX),
            decided_ns: 0,
        })
    }

    /// The level of a line at the start, or when its chip is back.
    pub(crate) fn begin(&mut self, line: usize, active: Option<bool>) {
        self.with(line, LineFilter::finish);
        self.lines[line] = LineFilter::new(&self.filter, self.edges, active).ok();
    }

    pub(crate) fn push(&mut self, line: usize, edge: &EdgeEvent) {
        if self.lines[line].is_none() {
            self.begin(line, None);
        }
        // Others of the same time may have something before it.
        self.pass(edge.timestamp_ns);
        self.seen = Some((edge.timestamp_ns, Instant::now()));
        self.with(line, |filter, said| filter.push(edge.clone(), said));
    }

    /// Has a line's filter say something.
    fn with(&mut self, line: usize, with: impl FnOnce(&mut LineFilter, &mut VecDeque<FilterEvent>)) {
        let Some(filter) = &mut self.lines[line] else { return };
        with(filter, &mut self.said);
        for event in self.said.drain(..) {
            let at_ns = match &event {
                FilterEvent::Edge(edge) => edge.timestamp_ns,
                FilterEvent::Chatter(chatter) => chatter.timestamp_ns,
                _ => continue,
            };
            self.number += 1;
            self.events.insert((at_ns, self.number), (line, event));
        }
    }

    /// When something happens without another edge.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (seen_ns, seen) = self.seen?;
        let decided = self.events.first_key_value().map(|((at_ns, _), _)| at_ns.saturating_add(self.delay_ns));
        let due_ns = self.lines.iter().flatten().filter_map(LineFilter::deadline_ns).chain(decided).min()?;
        seen.checked_add(Duration::from_nanos(due_ns.saturating_sub(seen_ns)))
    }

    /// Time passes.
    pub(crate) fn poll(&mut self, now: Instant) {
        if let Some((seen_ns, seen)) = self.seen {
            let passed = u64::try_from(now.saturating_duration_since(seen).as_nanos()).unwrap_or(u64::MAX);
            self.pass(seen_ns.saturating_add(passed));
        }
    }

    fn pass(&mut self, now_ns: u64) {
        for line in 0..self.lines.len() {
            let deadline_ns = self.lines[line].as_ref().and_then(LineFilter::deadline_ns);
            if deadline_ns.is_some_and(|due_ns| due_ns <= now_ns) {
                self.with(line, |filter, said| filter.poll(now_ns, said));
            }
        }
        self.decided_ns = self.decided_ns.max(now_ns.saturating_sub(self.delay_ns));
    }

    /// No more edges come.
    pub(crate) fn finish(&mut self) {
        (0..self.lines.len()).for_each(|line| self.with(line, LineFilter::finish));
        self.decided_ns = u64::MAX;
    }

    /// What passes, and of which line.
    pub(crate) fn next(&mut self) -> Option<(usize, FilterEvent)> {
        let first = self.events.first_entry()?;
        (first.key().0 <= self.decided_ns).then(|| first.remove())
    }

    /// What became of the edges, in words.
    pub(crate) fn summary(&self) -> String {
        let mut total = FilterTally::default();
        for tally in self.lines.iter().flatten().map(LineFilter::tally) {
            total.delivered += tally.delivered;
            total.passed += tally.passed;
            total.filtered += tally.filtered;
            total.held += tally.held;
            total.blocks += tally.blocks;
        }
        let FilterTally { delivered, passed, filtered, held, blocks, .. } = total;
        let mut text =
            format!("--filter: {} delivered, {passed} passed, {filtered} filtered", plural(delivered, "edge"));
        for (number, what) in [(held, "held when it ended"), (blocks, "times a line was blocked for chatter")] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        text.push('\n');
        text
    }
}
