//! Waveforms: turns levels into edges. `linewake_wave` reads them.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use linewake::{EdgeKind, Missed};
use linewake_wave::{Change, Level, Reader};

use crate::error::{self, Error};
use crate::item::{self, Account, Item, Notice, Segment};
use crate::table::Table;

/// How many lines are watched at once if none is named.
const MOST_UNASKED: usize = 1024;
/// How many names a message lists if one is not found.
const MOST_NAMED: usize = 12;

/// Reads a waveform.
pub(crate) struct Wave {
    /// The file's name, in quotes.
    name: String,
    reader: Reader,
    /// The watched wires, and the meaning of each.
    wires: HashMap<u32, Role>,
    states: Vec<State>,
    /// The meaning of time 0.
    base_ns: u64,
    /// The level of an undriven wire.
    pull: Option<bool>,
    /// How often a line became undriven while `pull` was not set.
    released: u64,
    seqno: u32,
    pending: VecDeque<Item>,
    has_chosen: bool,
    segments: u64,
    /// [`Item::Quiet`] was returned.
    is_quiet: bool,
    has_ended: bool,
}

/// The meaning of a wire, with its line's place.
#[derive(Clone, Copy, Debug)]
enum Role {
    Line(usize),
    /// A mark beside the line: while it is 1, edges of the line are lost.
    Lost(usize),
}

/// The state of a line.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    level: Option<bool>,
    line_seqno: u32,
    /// Edges were lost since the last one.
    is_lost: bool,
    /// The level is unknown. The next known edge ends that, whatever the level was before.
    is_unknown: bool,
    /// When the level stopped being unknown without an edge: the chip came back. A level at this time is not an edge.
    back_ns: Option<u64>,
}

impl Wave {
    pub(crate) fn new(name: &str, reader: Reader) -> Self {
        let base_ns = reader.base().map_or(0, |base| base.ns);
        Self {
            name: name.to_owned(),
            reader,
            wires: HashMap::new(),
            states: Vec::new(),
            base_ns,
            pull: None,
            released: 0,
            seqno: 0,
            pending: VecDeque::new(),
            has_chosen: false,
            segments: 0,
            is_quiet: false,
            has_ended: false,
        }
    }

    /// Whether the next item can be had without waiting for more bytes.
    pub(crate) fn is_ready(&self) -> bool {
        !self.pending.is_empty() || self.reader.is_ready()
    }

    /// Sets the level of an undriven wire.
    pub(crate) fn pull(&mut self, level: Option<bool>) {
        self.pull = level;
    }

    /// Watches these lines, by name or place; all of them if none is named.
    pub(crate) fn choose(&mut self, table: &mut Table, names: &[String]) -> Result<(), Error> {
        self.has_chosen = true;
        let lines = self.reader.lines();
        if lines.is_empty() {
            let left_out = self.reader.left_out().first().map(|left_out| format!(": {left_out}")).unwrap_or_default();
            return Err(self.error(&format!("has no variable with bits, and so no lines{left_out}")));
        }
        let chosen = if names.is_empty() {
            if lines.len() > MOST_UNASKED {
                let (count, examples) = (lines.len(), self.examples(&lines));
                return Err(self.error(&format!(
                    "has {count} lines, and at most {MOST_UNASKED} are played without being named; \
                     choose some, by name or by number from 0: {examples}"
                )));
            }
            lines.clone()
        } else {
            let mut chosen = Vec::new();
            for name in names {
                for wire in self.find(&lines, name)? {
                    if !chosen.contains(&wire) {
                        chosen.push(wire);
                    }
                }
            }
            chosen
        };
        self.watch(table, &lines, &chosen)
    }

    fn find(&self, lines: &[usize], name: &str) -> Result<Vec<usize>, Error> {
        if let Some(&wire) = name.parse::<usize>().ok().and_then(|place| lines.get(place)) {
            return Ok(vec![wire]);
        }
        let found = |name: &str| {
            let mut found = self.reader.find(name);
            found.retain(|wire| lines.binary_search(wire).is_ok());
            found
        };
        let mut wires = found(name);
        if wires.is_empty() {
            // A chip's line is named `chip:line` elsewhere, and `chip.line` in a waveform.
            wires = found(&name.replace(':', "."));
        }
        if wires.is_empty() {
            return Err(self.error(&format!("has no line \"{name}\"; it has {}", self.examples(lines))));
        }
        Ok(wires)
    }

    /// The names of some lines.
    fn examples(&self, lines: &[usize]) -> String {
        let some = &lines[..lines.len().min(MOST_NAMED)];
        let names: Vec<_> = self.reader.names(some).into_iter().map(|name| format!("\"{name}\"")).collect();
        match lines.len() - some.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    fn watch(&mut self, table: &mut Table, lines: &[usize], chosen: &[usize]) -> Result<(), Error> {
        let is_ours = self.reader.is_ours();
        let stem = Path::new(self.name.trim_matches('"')).file_stem().map(|stem| stem.to_string_lossy());
        let stem = stem.as_deref().filter(|stem| *stem != "-").unwrap_or("waveform");
        let names = self.reader.names(chosen);
        let mut watched = Vec::new();
        for (&wire, name) in chosen.iter().zip(&names) {
            let place = lines.binary_search(&wire).unwrap_or_default();
            let scope = self.reader.wire(wire).scope();
            // In a file that linewake wrote, each chip has a scope.
            let (chip, offset, name) = if is_ours && !scope.is_empty() {
                let before = lines[..place].iter().filter(|&&other| self.reader.wire(other).scope() == scope).count();
                (scope, before, self.reader.wire(wire).name())
            } else {
                (stem.to_owned(), place, name.clone())
            };
            let found = table.line(&chip, offset as u32, Some(&name)).map_err(|what| self.error(&what))?;
            self.pending.push_back(Item::Line(found.line));
            self.states.resize(self.states.len().max(found.line + 1), State::default());
            self.wires.insert(wire as u32, Role::Line(found.line));
            watched.push(wire);
            let has_mark = wire + 1 < self.reader.wire_count() && self.reader.wire(wire + 1).variable().is_lost_mark();
            if is_ours && has_mark {
                self.wires.insert(wire as u32 + 1, Role::Lost(found.line));
                watched.push(wire + 1);
            }
        }
        self.reader.watch(&watched);
        Ok(())
    }

    /// The next item; `None` at the end.
    pub(crate) fn next(&mut self, table: &mut Table) -> Result<Option<Item>, Error> {
        if !self.has_chosen {
            self.choose(table, &[])?;
        }
        if self.segments == 0 {
            // The segment begins before its lines.
            let lines = std::mem::take(&mut self.pending);
            self.begin(table);
            self.say_left_out();
            self.pending.extend(lines);
        }
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            let here = self.reader.next_here();
            if here.is_none() && !self.reader.is_ready() && !std::mem::replace(&mut self.is_quiet, true) {
                return Ok(Some(Item::Quiet));
            }
            self.is_quiet = false;
            match here.map(Ok).or_else(|| self.reader.next()) {
                Some(Ok(change)) => {
                    if u64::from(self.reader.segments()) > self.segments {
                        let account = self.account();
                        self.pending.push_back(Item::End(account));
                        self.begin(table);
                    }
                    if let Some(item) = self.change(table, change) {
                        if self.pending.is_empty() {
                            return Ok(Some(item));
                        }
                        self.pending.push_back(item);
                    }
                }
                Some(Err(error)) => return Err(Error::new(error.to_string())),
                None => return Ok(self.end()),
            }
        }
    }

    fn change(&mut self, table: &mut Table, change: Change) -> Option<Item> {
        let Change { at_ns, wire, level } = change;
        let line = match self.wires.get(&wire)? {
            Role::Line(line) => *line,
            Role::Lost(line) => {
                let state = &mut self.states[*line];
                if level == Level::High {
                    (state.is_lost, state.is_unknown) = (true, true);
                } else if std::mem::take(&mut state.is_unknown) {
                    state.back_ns = Some(at_ns);
                }
                return None;
            }
        };
        let state = &mut self.states[line];
        if level == Level::Released && self.pull.is_none() {
            self.released += 1;
        }
        let active = if level == Level::Released { self.pull? } else { level.known()? };
        let before = state.level.replace(active);
        let is_edge = std::mem::take(&mut state.is_unknown) || before == Some(!active);
        if state.back_ns.take() == Some(at_ns) || before.is_none() && !is_edge {
            return Some(Item::State { line, active: Some(active) });
        }
        if !is_edge {
            return None;
        }
        let kind = if active { EdgeKind::Rising } else { EdgeKind::Falling };
        self.seqno = self.seqno.wrapping_add(1);
        state.line_seqno = state.line_seqno.wrapping_add(1);
        // How many were lost is not recorded.
        let overflowed = u32::from(std::mem::take(&mut state.is_lost));
        let line_seqno = state.line_seqno;
        let timestamp_ns = at_ns.saturating_add(self.base_ns);
        let (axis_ns, ..) = table.edge_at(line, timestamp_ns);
        let missed = Missed { overflowed, merged: 0 };
        Some(Item::Edge(item::Edge { line, kind, timestamp_ns, axis_ns, seqno: self.seqno, line_seqno, missed }))
    }

    fn begin(&mut self, table: &mut Table) {
        self.segments += 1;
        // The reader below has put its time on one axis.
        table.axis.begin_segment(None, None, true);
        let clock = self.reader.base().map_or(error::DEVICE, |base| &base.clock);
        self.pending.push_back(Item::Begin(Segment::plain(self.segments, clock)));
    }

    fn say_left_out(&mut self) {
        let left_out = self.reader.left_out();
        let some: Vec<_> = left_out.iter().take(MOST_NAMED).map(ToString::to_string).collect();
        let more = match left_out.len() - some.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        if !some.is_empty() {
            let what = format!("{}: left out, since they have no bits: {}{more}", self.name, some.join(", "));
            self.pending.push_back(Item::Notice(Notice(what)));
        }
    }

    fn end(&mut self) -> Option<Item> {
        if !std::mem::replace(&mut self.has_ended, true) {
            for warning in self.reader.warnings() {
                self.pending.push_back(Item::Notice(Notice(warning)));
            }
            if self.released > 0 {
                let times = if self.released == 1 { "once".to_owned() } else { format!("{} times", self.released) };
                let remedy = "set its level with --bias pull-up or --bias pull-down";
                let what = format!("{}: nobody drives a line (z), {times}; {remedy}", self.name);
                self.pending.push_back(Item::Notice(Notice(what)));
            }
            let account = self.account();
            self.pending.push_back(Item::End(account));
        }
        self.pending.pop_front()
    }

    /// A waveform of another tool is complete by itself. One that linewake wrote may lack edges.
    fn account(&self) -> Option<Box<Account>> {
        (!self.reader.is_ours()).then(|| Box::new(Account { lines: Vec::new(), unattributed: 0 }))
    }

    fn error(&self, what: &str) -> Error {
        Error::new(format!("{} {what}", self.name))
    }
}
