//! What completions mean: from the bytes a driver gave to the edges of the lines of a request. No I/O here.
//!
//! It claims no edge that may not have happened. A driver that says only *that* a line changed, and whose levels are read
//! after, may have changed it again before the reading: what the next completion says may be in the levels already.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::{Ask, Numbering, RawEdge};
use crate::profile::{Asked, By, Means, Output, Plan, Role};
use crate::{EdgeKind, Edges, Missed, Offset};

/// A change that is told so long after the levels were read is not in them.
const STALE_NS: u64 = 100_000_000;

#[derive(Debug)]
pub(super) struct Judge {
    plan: Arc<Plan>,
    lines: Vec<Line>,
    /// The place in `lines` of each number a driver may name; `None` for a line nobody asked for.
    places: HashMap<u64, Option<usize>>,
    /// The driver says with each edge what is missing before it.
    is_told: bool,
    /// Edges in a direction nobody wants are dropped here.
    filters: bool,
}

#[derive(Debug)]
struct Line {
    offset: Offset,
    asked: Asked,
    level_bit: u32,
    active: Option<bool>,
    /// Completions that said it changed, since the levels were read.
    changes: u32,
    /// When levels were read that may show a change nobody has told of yet.
    ahead_ns: Option<u64>,
    /// The driver's last count.
    count: Option<u64>,
    /// The driver's last number.
    last: Option<u64>,
    /// What to take from the driver's numbers so that they begin at 1.
    base: Option<u32>,
    /// The number that the last edge got here.
    line_seqno: u32,
    /// Edges of the other direction that were dropped, and what was missing, since the last edge that was wanted.
    unwanted: Missed,
    unwanted_seen: u32,
}

/// Where an edge is from, beside its line and direction.
#[derive(Clone, Copy)]
struct Stamp {
    timestamp_ns: u64,
    seqno: u32,
    line_seqno: Option<u32>,
    missed: Missed,
}

impl Stamp {
    fn now(timestamp_ns: u64) -> Self {
        Self { timestamp_ns, seqno: 0, line_seqno: None, missed: Missed::default() }
    }

    fn missing(self, merged: u64) -> Self {
        let merged = u32::try_from(merged).unwrap_or(u32::MAX);
        Self { missed: Missed { merged, ..self.missed }, ..self }
    }
}

pub(super) fn asked(plan: &Plan, ask: &Ask<'_>) -> Vec<Asked> {
    let asked = ask.lines.iter().filter_map(|(offset, config)| {
        let line = plan.lines.get(offset.index())?;
        Some(Asked { number: line.number, event_bit: line.event_bit, edges: config.edges })
    });
    asked.collect()
}

impl Judge {
    pub(super) fn new(plan: Arc<Plan>, ask: &Ask<'_>, asked: &[Asked]) -> Self {
        let mut places: HashMap<_, _> = plan.lines.iter().map(|line| (line.number, None)).collect();
        let lines = ask.lines.iter().zip(asked).enumerate().map(|(place, (&(offset, _), asked))| {
            places.insert(asked.number, Some(place));
            Line {
                offset,
                asked: *asked,
                level_bit: plan.lines[offset.index()].level_bit,
                active: None,
                changes: 0,
                ahead_ns: None,
                count: None,
                last: None,
                base: None,
                line_seqno: 0,
                unwanted: Missed::default(),
                unwanted_seen: 0,
            }
        });
        let lines: Vec<_> = lines.collect();
        let one_way = |line: &Line| matches!(line.asked.edges, Some(Edges::Rising | Edges::Falling));
        Self {
            filters: lines.iter().any(one_way) && !plan.selects_edges(),
            is_told: plan.told().has(Role::Overflowed) || plan.wait.means == Means::Count,
            lines,
            places,
            plan,
        }
    }

    pub(super) fn numbering(&self) -> Numbering {
        if self.is_told { Numbering::Told } else { Numbering::Polarity }
    }

    /// Whether counters of the driver are about the same edges as those that are given here.
    pub(super) fn sees_all(&self) -> bool {
        !self.filters
    }

    /// The levels at the start, as far as they are known. A change that is told at once may be in them.
    pub(super) fn begin(&mut self, levels: &[Option<bool>], now_ns: u64) {
        for (line, level) in self.lines.iter_mut().zip(levels) {
            line.active = *level;
            line.ahead_ns = Some(now_ns);
        }
    }

    /// Whether levels have to be read to know which way lines changed.
    pub(super) fn wants_levels(&self) -> bool {
        self.lines.iter().any(|line| line.changes > 0)
    }

    /// The next line that changed, from a place on.
    pub(super) fn next_changed(&self, from: usize) -> Option<usize> {
        (from..self.lines.len()).find(|&place| self.lines[place].changes > 0)
    }

    /// What came: of the line at a place, or of the card. `Err` says what is wrong with it.
    pub(super) fn take(
        &mut self,
        place: Option<usize>,
        bytes: &[u8],
        now_ns: u64,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let plan = self.plan.clone();
        let told = plan.told();
        for (index, record) in told.records(bytes)?.enumerate() {
            let stamp = self.stamp(told, record, now_ns);
            if plan.wait.means == Means::Mask || (plan.wait.means == Means::Level && told.has(Role::Levels)) {
                self.masks(told, place, record, stamp, into);
                continue;
            }
            let named = told.get(Role::Line, record);
            let place = match (place, named) {
                (Some(place), None) => Some(place),
                (_, Some(number)) => match self.places.get(&number) {
                    Some(place) => *place,
                    None => return Err(format!("it tells of line {number}, which the profile does not have")),
                },
                (None, None) => plan.lines.get(index).and_then(|line| self.places.get(&line.number).copied().flatten()),
            };
            let Some(place) = place else { continue };
            match plan.wait.means {
                Means::Edge => self.edge(told, place, record, stamp, into)?,
                Means::Level => {
                    let active = told.get(Role::Level, record).unwrap_or(0) != 0;
                    // What is told of one line is told because it changed.
                    let is_change =
                        (named.is_some() || plan.wait.each_line) && matches!(plan.wait.by, By::Call(_) | By::Read(_));
                    if is_change || self.lines[place].active.is_some_and(|before| before != active) {
                        self.emit(place, active, stamp, into);
                    }
                    self.lines[place].active = Some(active);
                }
                Means::Count => self.count(told, place, record, stamp, into),
                Means::Mask => {}
            }
        }
        Ok(())
    }

    fn stamp(&self, told: &Output, record: &[u8], now_ns: u64) -> Stamp {
        let number = |role| told.get(role, record).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let ticks = told.get(Role::Timestamp, record).map(|ticks| ticks.saturating_mul(told.tick_ns));
        Stamp {
            timestamp_ns: ticks.unwrap_or(now_ns),
            seqno: told.get(Role::Seqno, record).unwrap_or(0) as u32,
            line_seqno: told.get(Role::LineSeqno, record).map(|number| number as u32),
            missed: Missed {
                overflowed: number(Role::Overflowed).unwrap_or(0),
                merged: number(Role::Merged).unwrap_or(0),
            },
        }
    }

    fn edge(
        &mut self,
        told: &Output,
        place: usize,
        record: &[u8],
        mut stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let active = match told.get(Role::Edge, record) {
            Some(edge) if edge == told.rising => true,
            Some(edge) if edge == told.falling => false,
            edge => {
                let (edge, rising, falling) = (edge.unwrap_or(0), told.rising, told.falling);
                return Err(format!(
                    "it tells of edge {edge}, which is neither {rising} (rising) nor {falling} (falling)"
                ));
            }
        };
        if let Some(field) = told.field(Role::LineSeqno)
            && let Some(number) = field.number(record)
            && let Some(last) = self.lines[place].last.replace(number)
            && !self.is_told
        {
            let gap = number.wrapping_sub(last).wrapping_sub(1) & field.greatest();
            if gap > field.greatest() / 2 {
                let offset = self.lines[place].offset;
                return Err(format!("the numbers of line {offset} go back, from {last} to {number}"));
            }
            let gap = u32::try_from(gap).unwrap_or(u32::MAX);
            stamp.missed.overflowed = stamp.missed.overflowed.saturating_add(gap);
        }
        self.emit(place, active, stamp, into);
        Ok(())
    }

    fn count(&mut self, told: &Output, place: usize, record: &[u8], stamp: Stamp, into: &mut Vec<RawEdge>) {
        let Some(field) = told.field(Role::Count) else { return };
        let Some(count) = field.number(record) else { return };
        let line = &mut self.lines[place];
        let level = told.get(Role::Level, record).map(|level| level != 0);
        let level = level.or_else(|| told.field(Role::Levels)?.bit(record, line.level_bit));
        let new = match (told.since_last, line.count.replace(count)) {
            (true, _) => count,
            (false, Some(last)) => count.wrapping_sub(last) & field.greatest(),
            // The first reading of a counter that ran before: nothing is known of when.
            (false, None) => {
                line.active = level.or(line.active);
                return;
            }
        };
        if new == 0 {
            return;
        }
        let by_parity = line.active.map(|active| active != (new % 2 == 1));
        if let Some(active) = level.or(by_parity) {
            self.emit(place, active, stamp.missing(new - 1), into);
        }
    }

    fn masks(&mut self, told: &Output, only: Option<usize>, record: &[u8], stamp: Stamp, into: &mut Vec<RawEdge>) {
        let places = only.map_or(0..self.lines.len(), |place| place..place + 1);
        for place in places {
            let line = &mut self.lines[place];
            let (event_bit, level_bit) = (line.asked.event_bit, line.level_bit);
            let event = |role| told.field(role).and_then(|field| field.bit(record, event_bit));
            let level = told.field(Role::Levels).and_then(|field| field.bit(record, level_bit));
            if self.plan.wait.means == Means::Level {
                if let Some(active) = level {
                    if line.active.is_some_and(|before| before != active) {
                        self.emit(place, active, stamp, into);
                    }
                    self.lines[place].active = Some(active);
                }
                continue;
            }
            match (event(Role::Changed), level) {
                (Some(false), _) => {}
                (Some(true), None) => line.changes = line.changes.saturating_add(1),
                // Both are of the same moment.
                (Some(true), Some(active)) => {
                    let there_and_back = line.active == Some(active);
                    self.emit(place, active, stamp.missing(there_and_back.into()), into);
                }
                (None, _) => {
                    let (rose, fell) = (event(Role::Rising) == Some(true), event(Role::Falling) == Some(true));
                    match (rose, fell) {
                        (false, false) => {}
                        (true, true) => {
                            let first = line.active != Some(true);
                            self.emit(place, first, stamp, into);
                            self.emit(place, !first, stamp, into);
                        }
                        (rose, _) => self.emit(place, rose, stamp, into),
                    }
                }
            }
        }
    }

    /// Whether lines are active, by what a reading of levels gave: of the line at a place, or of all.
    pub(super) fn read_levels(
        &self,
        output: &Output,
        only: Option<usize>,
        bytes: &[u8],
    ) -> Result<Vec<(usize, bool)>, String> {
        let mut levels = Vec::new();
        for (index, record) in output.records(bytes)?.enumerate() {
            if let Some(field) = output.field(Role::Levels) {
                let all = only.map_or(0..self.lines.len(), |place| place..place + 1);
                let bits = all.filter_map(|place| Some((place, field.bit(record, self.lines[place].level_bit)?)));
                levels.extend(bits);
                continue;
            }
            let level = output.get(Role::Level, record).unwrap_or(0) != 0;
            let named = output.get(Role::Line, record);
            let number = named.or_else(|| self.plan.lines.get(index).map(|line| line.number));
            let place = match (only, named) {
                (Some(place), None) => Some(place),
                _ => number.and_then(|number| self.places.get(&number).copied().flatten()),
            };
            levels.extend(place.map(|place| (place, level)));
        }
        Ok(levels)
    }

    /// The levels were read after lines changed.
    pub(super) fn resolve(&mut self, levels: &[(usize, bool)], now_ns: u64, into: &mut Vec<RawEdge>) {
        for &(place, active) in levels {
            let line = &mut self.lines[place];
            let changes = std::mem::take(&mut line.changes);
            if changes == 0 {
                // If it has changed, that is still to be told.
                continue;
            }
            let ahead = line.ahead_ns.take().is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < STALE_NS);
            let sure = changes - u32::from(ahead);
            // Every edge turned the level over: so many there were, or one more.
            let happened = match line.active {
                None => changes,
                Some(before) if (before != active) == (sure % 2 == 1) => sure,
                Some(_) => sure + 1,
            };
            if happened > sure {
                line.ahead_ns = Some(now_ns);
            }
            let given = happened.min(sure.max(1));
            for left in (0..given).rev() {
                let first = left + 1 == given;
                let missing = if first { happened - given } else { 0 };
                self.emit(place, active != (left % 2 == 1), Stamp::now(now_ns).missing(missing.into()), into);
            }
        }
        // A line that the answer does not have is not asked for again until it changes once more.
        self.lines.iter_mut().for_each(|line| line.changes = 0);
    }

    /// Only one line's levels were read.
    pub(super) fn resolve_one(&mut self, place: usize, levels: &[(usize, bool)], now_ns: u64, into: &mut Vec<RawEdge>) {
        let others: Vec<_> = self.lines.iter().map(|line| line.changes).collect();
        self.resolve(levels, now_ns, into);
        for (at, (line, changes)) in self.lines.iter_mut().zip(others).enumerate() {
            line.changes = if at == place { 0 } else { changes };
        }
    }

    /// An edge of the line at a place, after which it is active or not.
    fn emit(&mut self, place: usize, active: bool, stamp: Stamp, into: &mut Vec<RawEdge>) {
        let line = &mut self.lines[place];
        line.active = Some(active);
        let kind = if active { EdgeKind::Rising } else { EdgeKind::Falling };
        let wanted = match line.asked.edges {
            None => return,
            Some(Edges::Both) => true,
            Some(Edges::Rising) => active,
            Some(Edges::Falling) => !active,
        };
        let mut missed = stamp.missed;
        if self.filters {
            let overflowed = line.unwanted.overflowed.saturating_add(missed.overflowed);
            let merged = line.unwanted.merged.saturating_add(missed.merged);
            if !wanted {
                line.unwanted = Missed { overflowed, merged };
                line.unwanted_seen = line.unwanted_seen.saturating_add(1);
                return;
            }
            if line.asked.edges != Some(Edges::Both) {
                // Directions take turns: every second one of those between was in the direction that is wanted.
                let between = u64::from(overflowed) + u64::from(merged) + u64::from(line.unwanted_seen);
                let lost = u32::try_from(between / 2).unwrap_or(u32::MAX).min(overflowed.saturating_add(merged));
                missed.overflowed = lost.min(overflowed);
                missed.merged = lost - missed.overflowed;
                (line.unwanted, line.unwanted_seen) = (Missed::default(), 0);
            }
        }
        let counted = line.line_seqno.wrapping_add(missed.overflowed).wrapping_add(1);
        let line_seqno = match stamp.line_seqno {
            Some(number) if self.is_told && !self.filters => {
                let base = *line.base.get_or_insert_with(|| number.wrapping_sub(counted));
                number.wrapping_sub(base)
            }
            _ if self.is_told => counted,
            number => number.unwrap_or(0),
        };
        line.line_seqno = line_seqno;
        into.push(RawEdge {
            offset: line.offset,
            kind,
            timestamp_ns: stamp.timestamp_ns,
            seqno: stamp.seqno,
            line_seqno,
            missed,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::LineConfig;
    use crate::profile::Profile;

    const SECOND: u64 = 1_000_000_000;
    /// Of CTS: SERIAL_EV_CTS, as a wait brings it.
    const CHANGED: [u8; 4] = 0x0008_u32.to_le_bytes();

    /// Of a driver that says which lines changed, and whose levels are read after: CTS, inactive at time zero.
    fn judge() -> Judge {
        let serial = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/serial.toml"));
        let plan = Profile::parse("serial.toml", serial).unwrap().plan().clone();
        let lines = [(0.into(), LineConfig::watch(Edges::Both))];
        let ask = Ask { consumer: "", queue_size: 0, witness: false, gather: Duration::ZERO, lines: &lines };
        let asked = asked(&plan, &ask);
        let mut judge = Judge::new(plan, &ask, &asked);
        judge.begin(&[Some(false)], 0);
        judge
    }

    /// The driver says that it changed, and it has this level when that is read: the edges, and what is missing before each.
    fn change(judge: &mut Judge, active: bool, now_ns: u64) -> Vec<(EdgeKind, u32)> {
        let mut edges = Vec::new();
        judge.take(None, &CHANGED, now_ns, &mut edges).unwrap();
        assert!(edges.is_empty() && judge.wants_levels());
        judge.resolve(&[(0, active)], now_ns, &mut edges);
        assert!(!judge.wants_levels());
        edges.iter().map(|edge| (edge.kind, edge.missed.merged)).collect()
    }

    #[test]
    fn a_line_that_went_and_came_back_is_an_edge_and_one_missing() {
        let mut judge = judge();
        assert_eq!(change(&mut judge, false, SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut judge, true, 2 * SECOND), [(EdgeKind::Rising, 0)]);
    }

    #[test]
    fn a_change_that_the_levels_showed_already_is_not_told_again() {
        let mut judge = judge();
        // Two changes, of which the driver has told one: the levels showed both.
        assert_eq!(change(&mut judge, false, SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut judge, false, SECOND + 1), [], "the second one is told");
        // After a while it is another one.
        assert_eq!(change(&mut judge, false, 2 * SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut judge, false, 2 * SECOND + STALE_NS), [(EdgeKind::Falling, 1)]);
    }

    #[test]
    fn a_change_that_is_told_at_once_may_be_in_the_levels_at_the_start() {
        assert_eq!(change(&mut judge(), false, 1), []);
        assert_eq!(change(&mut judge(), true, 1), [(EdgeKind::Rising, 0)]);
    }
}
