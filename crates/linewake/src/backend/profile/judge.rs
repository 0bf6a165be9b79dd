//! What completions mean: from the bytes a driver gave to the edges of the lines of a request. No I/O here.
//!
//! It claims no edge that may not have happened. A driver that says only *that* a line changed, and whose levels are read
//! after, may have changed it again before the reading: what the next completion says may be in the levels already.

use std::collections::HashMap;
use std::sync::Arc;

use crate::backend::{Ask, Numbering, RawEdge};
use crate::profile::{Asked, Field, Means, Output, Plan, Role, Since};
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
    /// The driver tells of edges of one direction alone.
    is_one_way: bool,
    /// The last time that each of those that tell gave: in its own ticks, as if its counter had no end, and when it came.
    times: Vec<Option<(u64, u64)>>,
    /// What those that tell said last of levels and counts, of the card or of the line at a place.
    said: HashMap<(Option<usize>, Option<usize>), Vec<u8>>,
    /// Memory for what they say now.
    says: Vec<u8>,
    /// A gap in the numbers of all edges is an edge that is missing: of some line, and all of them are watched.
    numbers_all: bool,
    /// The last number that each of those that tell gave.
    numbers: Vec<Option<u64>>,
    /// The gaps so far.
    unattributed: u64,
    /// How often the device said that it lost records.
    losses: u64,
}

#[derive(Debug)]
struct Line {
    offset: Offset,
    asked: Asked,
    level_bit: u32,
    active: Option<bool>,
    /// Completions that said it changed, since the levels were read.
    changes: u32,
    /// What is known of its level may be over, since the device lost records.
    is_stale: bool,
    /// When levels were read that may show a change nobody has told of yet.
    ahead_ns: Option<u64>,
    /// The driver's last count.
    count: Option<u64>,
    /// The driver's last number.
    last: Option<u64>,
    /// What to take from the driver's numbers so that they begin at 1.
    base: Option<u32>,
    /// What was missing before reports that were no edges.
    carried: Missed,
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
        let (number, event_bit, active_low) = (line.number, line.event_bit, line.active_low);
        Some(Asked { number, event_bit, edges: config.edges, active_low })
    });
    asked.collect()
}

impl Judge {
    pub(super) fn new(plan: Arc<Plan>, ask: &Ask<'_>, asked: &[Asked]) -> Self {
        let counts_from_zero = plan.all_told().any(|told| told.since == Since::Open);
        let mut places: HashMap<_, _> = plan.lines.iter().map(|line| (line.number, None)).collect();
        let lines = ask.lines.iter().zip(asked).enumerate().map(|(place, (&(offset, _), asked))| {
            places.insert(asked.number, Some(place));
            Line {
                offset,
                asked: *asked,
                level_bit: plan.lines[offset.index()].level_bit,
                active: None,
                changes: 0,
                is_stale: false,
                ahead_ns: None,
                count: counts_from_zero.then_some(0),
                last: None,
                base: None,
                carried: Missed::default(),
                line_seqno: 0,
                unwanted: Missed::default(),
                unwanted_seen: 0,
            }
        });
        let lines: Vec<_> = lines.collect();
        let one_way = |line: &Line| matches!(line.asked.edges, Some(Edges::Rising | Edges::Falling));
        let filters = lines.iter().any(one_way) && !plan.selects_edges();
        Self {
            filters,
            is_told: plan.tells(Role::Overflowed) || plan.wait.means == Means::Count,
            numbers_all: plan.numbers_all() && !filters && lines.len() == plan.lines.len(),
            numbers: vec![None; plan.tellers.len()],
            unattributed: 0,
            is_one_way: plan.is_one_way(),
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
        match (self.is_told, self.is_one_way) {
            (true, _) => Numbering::Told,
            (false, true) => Numbering::Unnumbered,
            (false, false) => Numbering::Polarity,
        }
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

    /// How often the device said that it lost records.
    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// Whether levels have to be read to know which way lines changed.
    pub(super) fn wants_levels(&self) -> bool {
        self.next_changed().is_some()
    }

    /// The first line that changed, or may have.
    pub(super) fn next_changed(&self) -> Option<usize> {
        self.lines.iter().position(|line| line.changes > 0 || line.is_stale)
    }

    /// Whether this says anything that was not said before, be it of lines that nobody asked for or of edges that nobody
    /// wants. A driver that has nothing to say and does not wait can be asked less often, and no other.
    pub(super) fn is_news(&mut self, teller: Option<usize>, place: Option<usize>, bytes: &[u8]) -> bool {
        let plan = self.plan.clone();
        let told = plan.told(teller);
        let Ok(records) = told.records(bytes) else { return true };
        if told.length == 0 {
            return true;
        }
        self.says.clear();
        for (_, record) in records {
            let part = |role| told.field(role).and_then(|field| field.bytes(record)).unwrap_or_default();
            let is_set = |role| part(role).iter().any(|&byte| byte != 0);
            let is_edge = |edge| edge == told.rising || edge == told.falling;
            let is_news = match plan.wait.means {
                Means::Edge => plan.wait.edge.is_some() || told.get(Role::Edge, record).is_some_and(is_edge),
                Means::Mask => [Role::Changed, Role::Rising, Role::Falling].into_iter().any(is_set),
                Means::Count if told.since == Since::Last => is_set(Role::Count),
                Means::Count | Means::Level => {
                    let parts = [Role::Line, Role::Level, Role::Levels, Role::Count].map(part);
                    parts.into_iter().for_each(|part| self.says.extend_from_slice(part));
                    false
                }
            };
            if is_news {
                return true;
            }
        }
        let said = self.said.entry((teller, place)).or_default();
        let is_news = *said != self.says;
        std::mem::swap(said, &mut self.says);
        is_news
    }

    /// What came from one of those that tell: of the line at a place, or of the card. `Err` says what is wrong with it.
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
            // The completion is all there is.
            let stamp = Stamp::now(now_ns);
            return self.record(told, self.place_of(told, place, 0, &[])?, &[], stamp, into);
        }
        let at = plan.tellers.iter().position(|&one| one == teller);
        let is_mask = plan.wait.means == Means::Mask || (plan.wait.means == Means::Level && told.has(Role::Levels));
        let losses = told.losses(bytes);
        self.losses += losses as u64;
        if losses > 0 && plan.wait.means == Means::Level && !plan.levels.calls().is_empty() {
            // A level that is another one now has changed, and where it is as before nobody knows.
            self.lines.iter_mut().for_each(|line| line.is_stale = true);
        }
        // A wait may end without a byte. Who is asked after it, or asked again and again, says something.
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

    /// Books what is missing before a record, where a gap in its number shows that and its line is not known.
    fn number(&mut self, told: &Output, at: Option<usize>, record: &[u8]) -> Result<(), String> {
        let Some(field) = told.field(Role::Seqno).filter(|_| self.numbers_all) else { return Ok(()) };
        let Some((number, last)) = field.number(record).zip(at.and_then(|at| self.numbers.get_mut(at))) else {
            return Ok(());
        };
        let Some(last) = last.replace(number) else { return Ok(()) };
        let gap = gap(field, last, number).ok_or_else(|| format!("its numbers go back, from {last} to {number}"))?;
        self.unattributed = self.unattributed.saturating_add(gap);
        Ok(())
    }

    /// How many edges are missing of which only that is known.
    pub(super) fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// The place of the line that a record is about; none if nobody asked for it.
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
                    "it tells of line {number}, which the profile does not have (`unknown_line = \"ignore\"` if that is no \
                     fault)"
                )),
            },
            (None, None) => match lines.get(if lines.len() == 1 { 0 } else { index }) {
                Some(line) => Ok(self.places.get(&line.number).copied().flatten()),
                None => Err(format!("it gives a record of line {index}, and there are {} lines", lines.len())),
            },
        }
    }

    /// One record of one line.
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

    /// The level that a line has: an edge if it had another one.
    fn level(&mut self, place: usize, active: bool, stamp: Stamp, into: &mut Vec<RawEdge>) {
        let repeats_are_losses = self.plan.wait.repeats_are_losses && self.plan.tells(Role::Level);
        match self.lines[place].active {
            None => self.lines[place].active = Some(active),
            // What was missing before it is missing before the next edge.
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

    /// `at` is the place of what tells among all that do.
    fn stamp(&mut self, told: &Output, at: Option<usize>, record: &[u8], now_ns: u64) -> Stamp {
        let number = |role| told.get(role, record).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Stamp {
            timestamp_ns: self.time(told, at, record, now_ns).unwrap_or(now_ns),
            seqno: told.get(Role::Seqno, record).unwrap_or(0) as u32,
            line_seqno: told.get(Role::LineSeqno, record).map(|number| number as u32),
            missed: Missed {
                overflowed: number(Role::Overflowed).unwrap_or(0),
                merged: number(Role::Merged).unwrap_or(0),
            },
        }
    }

    /// When a record says that it happened, in nanoseconds of the device's clock.
    fn time(&mut self, told: &Output, at: Option<usize>, record: &[u8], now_ns: u64) -> Option<u64> {
        let field = told.field(Role::Timestamp)?;
        let ticks = field.number(record)?;
        if let Some((part, tick)) = &told.fraction {
            return Some(told.tick.ns(ticks).saturating_add(tick.ns(part.number(record)?)));
        }
        let last = self.times.get_mut(at?)?;
        let ticks = match *last {
            Some((before, came_ns)) => {
                unwrapped(before, ticks, field.greatest(), told.tick.ticks(now_ns.saturating_sub(came_ns)))
            }
            None => ticks,
        };
        *last = Some((ticks, now_ns));
        Some(told.tick.ns(ticks))
    }

    /// What is missing before a record of a line, where the numbers of the line show that.
    fn line_number(&mut self, told: &Output, place: usize, record: &[u8], stamp: &mut Stamp) -> Result<(), String> {
        if let Some(field) = told.field(Role::LineSeqno)
            && let Some(number) = field.number(record)
            && let Some(last) = self.lines[place].last.replace(number)
            && !self.is_told
        {
            let offset = self.lines[place].offset;
            let gap = gap(field, last, number)
                .ok_or_else(|| format!("the numbers of line {offset} go back, from {last} to {number}"))?;
            let gap = u32::try_from(gap).unwrap_or(u32::MAX);
            stamp.missed.overflowed = stamp.missed.overflowed.saturating_add(gap);
        }
        Ok(())
    }

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
                    "it tells of edge {edge}, which is neither {rising} (rising) nor {falling} (falling) (`others = \
                     \"ignore\"` in `edge` if that is no fault)"
                ));
            }
        };
        let active = rises != self.lines[place].asked.active_low;
        self.line_number(told, place, record, &mut stamp)?;
        self.emit(place, active, stamp, into);
        Ok(())
    }

    fn count(
        &mut self,
        told: &Output,
        place: usize,
        record: &[u8],
        stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let Some(field) = told.field(Role::Count) else { return Ok(()) };
        let Some(count) = field.number(record) else { return Ok(()) };
        let line = &mut self.lines[place];
        let level = told.get(Role::Level, record).map(|level| level != 0);
        let level = level.or_else(|| told.field(Role::Levels)?.bit(record, line.level_bit));
        let level = level.map(|level| level != line.asked.active_low);
        let new = match (told.since, line.count.replace(count)) {
            (Since::Last, _) => count,
            (Since::Start | Since::Open, Some(last)) => {
                let new = count.wrapping_sub(last) & field.greatest();
                // So many at once is a counter that began anew. A narrow one may well get that far.
                if field.greatest() >= 0xffff && new > field.greatest() / 2 {
                    return Err(format!("the count of line {} goes back, from {last} to {count}", line.offset));
                }
                new
            }
            // It is told because of an edge: of the others nobody knows whether they were before.
            (Since::Start, None) if told.first_is_edge => 1,
            // The first reading of a counter that ran before: nothing is known of when.
            (Since::Start | Since::Open, None) => {
                line.active = level.or(line.active);
                return Ok(());
            }
        };
        if new == 0 {
            return Ok(());
        }
        let fixed = self.plan.wait.edge.map(|edge| (edge == EdgeKind::Rising) != line.asked.active_low);
        let by_parity = line.active.map(|active| active != (new % 2 == 1));
        if let Some(active) = fixed.or(level).or(by_parity) {
            self.emit(place, active, stamp.missing(new - 1), into);
        }
        Ok(())
    }

    fn masks(
        &mut self,
        teller: Option<usize>,
        only: Option<usize>,
        record: &[u8],
        stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) {
        let plan = self.plan.clone();
        let told = plan.told(teller);
        let places = only.map_or(0..self.lines.len(), |place| place..place + 1);
        for place in places {
            let line = &mut self.lines[place];
            if !plan.lines[line.offset.index()].is_in(teller) {
                continue;
            }
            let (event_bit, level_bit, low) = (line.asked.event_bit, line.level_bit, line.asked.active_low);
            let event = |role| told.field(role).and_then(|field| field.bit(record, event_bit));
            let level =
                told.field(Role::Levels).and_then(|field| field.bit(record, level_bit)).map(|level| level != low);
            if plan.wait.means == Means::Level {
                if let Some(active) = level {
                    self.level(place, active, stamp, into);
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
                    let (up, down) = if low { (Role::Falling, Role::Rising) } else { (Role::Rising, Role::Falling) };
                    match (event(up) == Some(true), event(down) == Some(true)) {
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

    /// Whether lines are active, by what a call for levels gave: of the line at a place, or of all.
    pub(super) fn read_levels(
        &self,
        call: usize,
        only: Option<usize>,
        bytes: &[u8],
    ) -> Result<Vec<(usize, bool)>, String> {
        let output = &self.plan.call(call).output;
        let mut levels = Vec::new();
        output.is_answer(bytes)?;
        for (index, record) in output.records(bytes)? {
            if let Some(field) = output.field(Role::Levels) {
                let all = only.map_or(0..self.lines.len(), |place| place..place + 1);
                let told = all.filter(|&place| self.plan.lines[self.lines[place].offset.index()].is_in(Some(call)));
                levels.extend(told.filter_map(|place| Some((place, field.bit(record, self.lines[place].level_bit)?))));
                continue;
            }
            let level = output.get(Role::Level, record).unwrap_or(0) != 0;
            levels.extend(self.place_of(output, only, index, record)?.map(|place| (place, level)));
        }
        Ok(levels.into_iter().map(|(place, high)| (place, high != self.lines[place].asked.active_low)).collect())
    }

    /// The levels were read after lines changed.
    pub(super) fn resolve(&mut self, levels: &[(usize, bool)], now_ns: u64, into: &mut Vec<RawEdge>) {
        for &(place, active) in levels {
            let line = &mut self.lines[place];
            let changes = std::mem::take(&mut line.changes);
            if changes == 0 && std::mem::take(&mut line.is_stale) {
                let was_known = line.active.replace(active);
                if was_known.is_some_and(|before| before != active) {
                    self.emit(place, active, Stamp::now(now_ns), into);
                }
                continue;
            }
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
        self.lines.iter_mut().for_each(|line| (line.changes, line.is_stale) = (0, false));
    }

    /// Only one line's levels were read.
    pub(super) fn resolve_one(&mut self, place: usize, levels: &[(usize, bool)], now_ns: u64, into: &mut Vec<RawEdge>) {
        let others: Vec<_> = self.lines.iter().map(|line| (line.changes, line.is_stale)).collect();
        self.resolve(levels, now_ns, into);
        for (at, (line, before)) in self.lines.iter_mut().zip(others).enumerate() {
            (line.changes, line.is_stale) = if at == place { (0, false) } else { before };
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
            let all = line.unwanted.and(missed);
            if !wanted {
                line.unwanted = all;
                line.unwanted_seen = line.unwanted_seen.saturating_add(1);
                return;
            }
            // Where all are of one direction, so are those that are missing.
            if line.asked.edges != Some(Edges::Both) && !self.is_one_way {
                // Directions take turns: every second one of those between was in the direction that is wanted.
                let between = all.total() + u64::from(line.unwanted_seen);
                let lost =
                    u32::try_from(between / 2).unwrap_or(u32::MAX).min(all.overflowed.saturating_add(all.merged));
                missed.overflowed = lost.min(all.overflowed);
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

/// How many numbers are left out between two that follow each other; none if they go back.
fn gap(field: &Field, last: u64, number: u64) -> Option<u64> {
    let gap = number.wrapping_sub(last).wrapping_sub(1) & field.greatest();
    (gap <= field.greatest() / 2).then_some(gap)
}

/// The reading of a counter as if it had no end: the one that is nearest to what the time since the last one says.
fn unwrapped(before: u64, reading: u64, greatest: u64, passed: u64) -> u64 {
    let Some(period) = greatest.checked_add(1) else { return reading };
    let (period, ahead) = (i128::from(period), i128::from(reading.wrapping_sub(before) & greatest));
    let periods = (i128::from(passed) - ahead + period / 2).div_euclid(period);
    u64::try_from(i128::from(before) + ahead + periods * period).unwrap_or(reading)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::LineConfig;
    use crate::profile::Profile;

    const SECOND: u64 = 1_000_000_000;
    /// The second call of the profile.
    const WAIT: usize = 1;
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
        judge.take(Some(WAIT), None, &CHANGED, now_ns, &mut edges).unwrap();
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
