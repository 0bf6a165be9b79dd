//! The edge decoder: from the bytes that a driver gave to the edges of the lines of a request. No I/O here.
//!
//! It gives only edges that certainly happened. Some drivers report only *that* a line changed, and the level is read
//! afterwards. The line may change again before that reading: then the level already shows the change that the driver
//! reports next.

mod counts;
mod levels;
mod line;
mod masks;
mod news;
mod records;
mod stamp;

use std::collections::HashMap;
use std::sync::Arc;

use self::line::{DeviceLine, Rules};
use self::stamp::Stamp;
use crate::backend::{Ask, Numbering, RawEdge};
use crate::profile::{Means, Output, Plan, RequestedLine, Role, Since};
use crate::{EdgeKind, Edges};

/// Decodes what a driver gives to the lines of one request.
#[derive(Debug)]
pub(super) struct EdgeDecoder {
    plan: Arc<Plan>,
    lines: Vec<DeviceLine>,
    /// The place in `lines` of each line number that a driver may name; `None` for a line that is not requested.
    places: HashMap<u64, Option<usize>>,
    rules: Rules,
    /// For each reporting output: its last timestamp, in its own ticks as if its counter did not wrap, and when it
    /// came.
    times: Vec<Option<(u64, u64)>>,
    /// The last levels and counts of each reporting output, for the card or for the line at a place.
    said: HashMap<(Option<usize>, Option<usize>), Vec<u8>>,
    /// A buffer, kept for reuse, for the levels and counts of the record in hand.
    says: Vec<u8>,
    /// The request has all lines, so a gap in the numbering over all edges means that an edge is missing.
    numbers_all: bool,
    /// The last number in each reporting output.
    numbers: Vec<Option<u64>>,
    /// How many edges are missing in gaps of the numbering over all edges.
    unattributed: u64,
    /// How often the device reported that it lost records.
    losses: u64,
}

/// The lines of a request, as the profile names them.
pub(super) fn asked(plan: &Plan, ask: &Ask<'_>) -> Vec<RequestedLine> {
    let asked = ask.lines.iter().filter_map(|(offset, config)| {
        let line = plan.lines.get(offset.index())?;
        let (number, event_bit, active_low) = (line.number, line.event_bit, line.active_low);
        Some(RequestedLine { number, event_bit, edges: config.edges, active_low })
    });
    asked.collect()
}

impl EdgeDecoder {
    pub(super) fn new(plan: Arc<Plan>, ask: &Ask<'_>, asked: &[RequestedLine]) -> Self {
        let counts_from_zero = plan.all_told().any(|told| told.since == Since::Open);
        let mut places: HashMap<_, _> = plan.lines.iter().map(|line| (line.number, None)).collect();
        let lines = ask.lines.iter().zip(asked).enumerate().map(|(place, (&(offset, _), asked))| {
            places.insert(asked.number, Some(place));
            let level_bit = plan.lines[offset.index()].level_bit;
            DeviceLine::new(offset, *asked, level_bit, counts_from_zero.then_some(0))
        });
        let lines: Vec<_> = lines.collect();
        let one_way = |line: &DeviceLine| matches!(line.asked.edges, Some(Edges::Rising | Edges::Falling));
        let filters = lines.iter().any(one_way) && !plan.selects_edges();
        Self {
            rules: Rules {
                is_told: plan.tells(Role::Overflowed) || plan.wait.means == Means::Count,
                filters,
                is_one_way: plan.is_one_way(),
            },
            numbers_all: plan.numbers_all() && !filters && lines.len() == plan.lines.len(),
            numbers: vec![None; plan.tellers.len()],
            unattributed: 0,
            times: vec![None; plan.tellers.len()],
            said: HashMap::new(),
            says: Vec::new(),
            losses: 0,
            lines,
            places,
            plan,
        }
    }

    pub(super) fn numbering(&self) -> Numbering {
        match (self.rules.is_told, self.rules.is_one_way) {
            (true, _) => Numbering::Told,
            (false, true) => Numbering::Unnumbered,
            (false, false) => Numbering::Polarity,
        }
    }

    /// True if the driver's counters count the same edges as the request gets.
    pub(super) fn sees_all(&self) -> bool {
        !self.rules.filters
    }

    /// Sets the known levels at the start. They may show a change that is reported right after.
    pub(super) fn begin(&mut self, levels: &[Option<bool>], now_ns: u64) {
        for (line, level) in self.lines.iter_mut().zip(levels) {
            line.active = *level;
            line.ahead_ns = Some(now_ns);
        }
    }

    /// How often the device reported that it lost records.
    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// True if levels have to be read to know in which direction lines changed.
    pub(super) fn wants_levels(&self) -> bool {
        self.next_changed().is_some()
    }

    /// Decodes what a call or a read gave about the line at a place, or about the card. `Err` says what is wrong with
    /// it.
    pub(super) fn take(
        &mut self,
        teller: Option<usize>,
        place: Option<usize>,
        bytes: &[u8],
        now_ns: u64,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let plan = self.plan.clone();
        let told = plan.told(teller);
        if told.length == 0 {
            // The completion itself is the report.
            let stamp = Stamp::now(now_ns);
            return self.record(told, self.place_of(told, place, 0, &[])?, &[], stamp, into);
        }
        let at = plan.tellers.iter().position(|&one| one == teller);
        let is_mask = plan.wait.means == Means::Mask || (plan.wait.means == Means::Level && told.has(Role::Levels));
        let losses = told.losses(bytes);
        self.losses += losses as u64;
        if losses > 0 && plan.wait.means == Means::Level && !plan.levels.calls().is_empty() {
            // A line whose level differs now has changed. A line with the same level may have changed twice.
            self.lines.iter_mut().for_each(|line| line.is_stale = true);
        }
        // A wait may end without a byte. A call that follows the wait, or that polls, must give an answer.
        if teller.is_some_and(|call| plan.wait.then.contains(&call)) {
            told.is_answer(bytes)?;
        }
        for (index, record) in told.records(bytes)? {
            self.number(told, at, record)?;
            let stamp = self.stamp(told, at, record, now_ns);
            if is_mask {
                self.masks(teller, place, record, stamp, into);
            } else {
                self.record(told, self.place_of(told, place, index, record)?, record, stamp, into)?;
            }
        }
        Ok(())
    }

    /// How many edges are missing without a known line.
    pub(super) fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// The place of the line that a record is about. `None` if it is not requested.
    fn place_of(
        &self,
        told: &Output,
        place: Option<usize>,
        index: usize,
        record: &[u8],
    ) -> Result<Option<usize>, String> {
        let lines = &self.plan.lines;
        match (place, told.get(Role::Line, record)) {
            (Some(place), None) => Ok(Some(place)),
            (_, Some(number)) => match self.places.get(&number) {
                Some(place) => Ok(*place),
                None if told.ignores_unknown_lines => Ok(None),
                None => Err(format!(
                    "it reports line {number}, which the profile does not have (set `unknown_line = \"ignore\"` if \
                     that is no error)"
                )),
            },
            (None, None) => match lines.get(if lines.len() == 1 { 0 } else { index }) {
                Some(line) => Ok(self.places.get(&line.number).copied().flatten()),
                None => Err(format!("it reports a record for line {index}, but there are {} lines", lines.len())),
            },
        }
    }

    /// The edge of a record of one line.
    fn record(
        &mut self,
        told: &Output,
        place: Option<usize>,
        record: &[u8],
        stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let Some(place) = place else { return Ok(()) };
        match self.plan.wait.means {
            Means::Edge => self.edge(told, place, record, stamp, into),
            Means::Level => {
                let active = (told.get(Role::Level, record).unwrap_or(0) != 0) != self.lines[place].asked.active_low;
                let mut stamp = stamp;
                self.line_number(told, place, record, &mut stamp)?;
                self.level(place, active, stamp, into);
                Ok(())
            }
            Means::Count => self.count(told, place, record, stamp, into),
            Means::Mask => Ok(()),
        }
    }

    /// Notes the level of a line, and gives an edge if the level differs from the one before.
    fn level(&mut self, place: usize, active: bool, stamp: Stamp, into: &mut Vec<RawEdge>) {
        let repeats_are_losses = self.plan.wait.repeats_are_losses && self.plan.tells(Role::Level);
        match self.lines[place].active {
            None => self.lines[place].active = Some(active),
            // This record gives no edge. The edges missing before it are counted as missing before the next edge.
            Some(before) if before == active && !repeats_are_losses => {
                let carried = &mut self.lines[place].carried;
                *carried = carried.and(stamp.missed);
            }
            Some(_) => {
                let missed = std::mem::take(&mut self.lines[place].carried).and(stamp.missed);
                self.emit(place, active, Stamp { missed, ..stamp }, into);
            }
        }
    }

    /// The edge of a record that names its direction.
    fn edge(
        &mut self,
        told: &Output,
        place: usize,
        record: &[u8],
        mut stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let rises = match (self.plan.wait.edge, told.get(Role::Edge, record)) {
            (Some(edge), _) => edge == EdgeKind::Rising,
            (None, Some(edge)) if edge == told.rising => true,
            (None, Some(edge)) if edge == told.falling => false,
            (None, Some(_)) if told.ignores_other_edges => return Ok(()),
            (None, edge) => {
                let (edge, rising, falling) = (edge.unwrap_or(0), told.rising, told.falling);
                return Err(format!(
                    "it reports edge {edge}, which is neither {rising} (rising) nor {falling} (falling) (set `others = \
                     \"ignore\"` in `edge` if that is no error)"
                ));
            }
        };
        let active = rises != self.lines[place].asked.active_low;
        self.line_number(told, place, record, &mut stamp)?;
        self.emit(place, active, stamp, into);
        Ok(())
    }

    /// Gives the edge of the line at a place. `active` is the state of the line after the edge.
    fn emit(&mut self, place: usize, active: bool, stamp: Stamp, into: &mut Vec<RawEdge>) {
        into.extend(self.lines[place].edge(active, stamp, self.rules));
    }
}
