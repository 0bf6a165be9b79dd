//! A waveform: a value change dump (IEEE 1364-2005, 18.2), for GTKWave, Surfer and PulseView.
//!
//! Its time begins one tick before the first stamp of an edge, and goes on where a clock steps: a comment says so. Beside
//! each line is a wire `<line>_lost`. In a span in which edges of the line are known lost, the line is `x` and that wire is 1: PulseView reads `x` as 0. A span is known when it is
//! over, by the edge that says what is missing before it: edges are written as they come, with a pulse on that wire where
//! something is missing, and the spans are put in at the end, in one pass over the file. Until then marks on the disk say
//! where they begin, so that memory is the same after a year as after a day. libsigrok reads up to the first comment among
//! the changes: there are some at the very end.

mod aside;
mod file;
mod marks;
mod permissions;
mod spans;
mod temporary;
#[cfg(test)]
mod tests;
mod timescale;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use linewake::{ClockStep, EdgeKind, Figures, Gap};
use vcd::{IdCode, SimulationCommand, Value};

use self::file::Dump;
use self::marks::Marks;
use self::spans::Pair;
pub(crate) use self::timescale::Timescale;
use super::files::{Existing, quoted};
use super::select::{self, Watched};
use super::sink::{Closing, Item, Out, Sink, View};
use super::summary::{figures, plural};
use crate::exit::{self, Failure};
use crate::shown::Printable;

/// Writes a waveform.
pub(crate) struct Vcd {
    dump: Dump,
    writer: vcd::Writer<Out>,
    timescale: Timescale,
    clock: &'static str,
    began_ns: Option<u64>,
    wires: Vec<Wire>,
    requests: Vec<Request>,
    /// The time stamp that is 0 in the file, once an edge has one.
    base_ns: Option<u64>,
    has_dumped: bool,
    /// Lines of which no level at the beginning was told yet.
    untold: usize,
    /// Where the file is.
    tick: u64,
    latest_ns: u64,
    /// When what is latest was taken, unless that is not looked at yet.
    latest_at: Option<Instant>,
    marks: Marks,
    /// Changes of lines so far.
    changes: u64,
    /// Wires that are 1 for the tick.
    pulses: Vec<IdCode>,
    /// Lines that return to their other level with the next tick.
    returns: Vec<usize>,
    /// Edges that follow another of their line within a tick.
    hidden: u64,
    /// The first steps of clocks in this file, in words, and how many more there were.
    steps: Vec<String>,
    more_steps: u64,
    /// The last step of each clock.
    last_steps: Vec<ClockStep>,
}

/// How many steps of clocks are told.
const STEPS: usize = 1000;

struct Wire {
    line: Watched,
    pair: Pair,
    /// The level at the beginning.
    first: Option<Option<bool>>,
    /// The level since its chip is back.
    state: Option<Option<bool>>,
    /// Whether its next change is the first since its chip is back.
    is_back: bool,
    /// The level that was written last.
    level: Value,
    /// Its last change: which of all, and at which tick.
    last: Option<(u64, u64)>,
    /// Edges of this direction alone come.
    one_way: Option<EdgeKind>,
    /// The tick of its last edge.
    edge: Option<u64>,
    /// In this file.
    here: Figures,
    /// Edges that are said to be missing in this file and those before.
    told: u64,
}

impl Wire {
    fn last_tick(&self) -> Option<u64> {
        self.last.map(|(_, tick)| tick)
    }
}

/// Of a chip's lines together.
#[derive(Default)]
struct Request {
    /// Their places.
    lines: Vec<usize>,
    /// The last change of them.
    last: Option<u64>,
    /// Whether its chip is gone, or back at a time that nobody knows.
    is_gone: bool,
    /// In files before this one.
    before: Figures,
    /// What makes the time of the axis of a stamp.
    shift_ns: i64,
}

/// How much later than the last edge the clock may be than the time that has passed since: what edges wait for.
const LATENESS: Duration = Duration::from_secs(10);

impl Vcd {
    /// The file is to be one that can be read again.
    pub(crate) fn open(path: &Path, timescale: Timescale, existing: Existing) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let message = "a waveform cannot go to standard output, since it is gone over again when it is complete; \
                name a file with --vcd FILE";
            return Err(Failure::new(message));
        }
        let dump = Dump::open(path, existing)?;
        let writer = dump.writer().map_err(|error| super::files::cannot_write(path, &error))?;
        Ok(Self {
            marks: Marks::beside(&dump.path),
            dump,
            writer,
            timescale,
            clock: "",
            began_ns: None,
            wires: Vec::new(),
            requests: Vec::new(),
            base_ns: None,
            has_dumped: false,
            untold: 0,
            tick: 0,
            latest_ns: 0,
            latest_at: None,
            changes: 0,
            pulses: Vec::new(),
            returns: Vec::new(),
            hidden: 0,
            steps: Vec::new(),
            more_steps: 0,
            last_steps: Vec::new(),
        })
    }

    fn tick_of(&self, ns: u64) -> u64 {
        ns.saturating_sub(self.base_ns.unwrap_or_default()) / self.timescale.ns
    }

    /// All before the first change.
    fn head(&mut self) -> io::Result<()> {
        let (Timescale { number, unit, .. }, writer) = (self.timescale, &mut self.writer);
        writer.version(concat!("linewake ", env!("CARGO_PKG_VERSION")))?;
        match self.base_ns {
            Some(ns) => writer.comment(&format!("time 0 is {ns} ns of the clock \"{}\"", self.clock))?,
            None => writer.comment("nothing has happened yet")?,
        }
        writer.timescale(number, unit)?;
        let mut names = HashSet::new();
        for Request { lines, .. } in &self.requests {
            let Some(&first) = lines.first() else { continue };
            writer.add_module(&unique(&mut names, String::new(), &sane(&self.wires[first].line.chip)))?;
            let mut of_module = HashSet::new();
            for &at in lines {
                let Wire { line, pair, .. } = &mut self.wires[at];
                let name = line.name.as_deref().map_or_else(|| format!("line{}", line.offset), sane);
                let name = unique(&mut of_module, String::new(), &name);
                pair.level = writer.add_wire(1, &name)?;
                pair.lost = writer.add_wire(1, &unique(&mut of_module, name, "_lost"))?;
            }
            writer.upscope()?;
        }
        writer.enddefinitions()
    }

    /// The levels at the beginning.
    fn dump(&mut self) -> io::Result<()> {
        self.has_dumped = true;
        self.writer.timestamp(0)?;
        self.writer.begin(SimulationCommand::Dumpvars)?;
        for Wire { pair, first, level, .. } in &mut self.wires {
            *level = value(first.flatten());
            self.writer.change_scalar(pair.level, value(first.flatten()))?;
            self.writer.change_scalar(pair.lost, Value::from(pair.is_gone_at_first))?;
        }
        self.writer.end()
    }

    /// There is a time: what is in the file begins anew with it.
    fn begin_at(&mut self, ns: u64) -> io::Result<()> {
        self.base_ns = Some(ns);
        self.writer.flush()?;
        self.dump.empty()?;
        self.writer = self.dump.writer()?;
        self.head()?;
        self.dump()
    }

    /// The same a tick before the first time.
    fn begin_before(&mut self, ns: u64) -> io::Result<()> {
        if self.base_ns.is_some() { Ok(()) } else { self.begin_at(ns.saturating_sub(self.timescale.ns)) }
    }

    /// Goes on to a time; the file's never goes back.
    fn go_to(&mut self, ns: u64) -> io::Result<()> {
        self.begin_before(ns)?;
        if ns >= self.latest_ns {
            (self.latest_ns, self.latest_at) = (ns, None);
        }
        self.go_to_tick(self.tick_of(ns))
    }

    fn go_to_tick(&mut self, tick: u64) -> io::Result<()> {
        if tick > self.tick && !self.returns.is_empty() {
            self.write_tick(self.tick + 1)?;
            for at in std::mem::take(&mut self.returns) {
                let level = self.wires[at].level;
                self.change(at, if level == Value::V1 { Value::V0 } else { Value::V1 })?;
            }
        }
        if tick > self.tick { self.write_tick(tick) } else { Ok(()) }
    }

    fn write_tick(&mut self, tick: u64) -> io::Result<()> {
        self.tick = tick;
        self.writer.timestamp(tick)?;
        for wire in self.pulses.drain(..) {
            self.writer.change_scalar(wire, Value::V0)?;
        }
        Ok(())
    }

    /// Goes on by a tick. At the end of time what comes is hidden by what is there.
    fn next_tick(&mut self) -> io::Result<()> {
        match self.tick.checked_add(1) {
            Some(tick) => self.go_to_tick(tick),
            None => {
                self.hidden += 1;
                Ok(())
            }
        }
    }

    fn edge(&mut self, at: usize, edge: &linewake::EdgeEvent) -> io::Result<()> {
        let request = self.wires[at].line.request;
        let shift_ns = i128::from(edge.axis_ns) - i128::from(edge.timestamp_ns);
        self.requests[request].shift_ns = i64::try_from(shift_ns).unwrap_or(0);
        if edge.missed.total() == 0 {
            self.level_before(at, edge)?;
        }
        self.go_to(edge.axis_ns)?;
        let wire = &mut self.wires[at];
        wire.one_way = wire.one_way.filter(|kind| *kind == edge.kind);
        // A return to the level before, or a span in which edges are missing, has a tick of its own.
        let needs_room = wire.one_way.is_some() || edge.missed.total() > 0;
        if wire.edge == Some(self.tick) || (needs_room && wire.last_tick().unwrap_or(0) == self.tick) {
            // There is no finer scale: it is shown a tick later.
            if self.timescale.ns == 1 {
                self.next_tick()?;
            } else {
                self.hidden += 1;
            }
        }
        self.back(request)?;
        let wire = &mut self.wires[at];
        wire.edge = Some(self.tick);
        wire.told += edge.missed.total();
        wire.here.note(edge);
        let (lost, is_one_way) = (wire.pair.lost, wire.one_way.is_some());
        if edge.missed.total() > 0 {
            self.lost(at, Some(self.tick))?;
            self.writer.change_scalar(lost, Value::V1)?;
            self.pulses.push(lost);
        }
        if is_one_way {
            self.returns.push(at);
        }
        self.change(at, value(Some(edge.kind == EdgeKind::Rising)))
    }

    /// The level before an edge before which none is missing: the other one. Where the level was not known, or edges of one
    /// direction alone are watched, the file does not have it yet: it is shown for the tick before. In the second case the
    /// line returns to it by itself from then on, a tick after each edge.
    fn level_before(&mut self, at: usize, edge: &linewake::EdgeEvent) -> io::Result<()> {
        let level = Some(edge.kind == EdgeKind::Falling);
        if self.base_ns.is_none() {
            // It knows better than who read the level, when the edge may have been on its way.
            self.wires[at].first = Some(level);
            self.begin_before(edge.axis_ns)?;
        }
        let tick = self.tick_of(edge.axis_ns);
        if tick > self.tick && !self.returns.is_empty() {
            // Then it is there.
            self.next_tick()?;
        }
        let wire = &mut self.wires[at];
        if wire.level == value(level) {
            return Ok(());
        }
        wire.one_way = (wire.level != Value::X).then_some(edge.kind);
        let behind_the_last = wire.last_tick().map_or(0, |tick| tick.saturating_add(1));
        self.go_to_tick(tick.saturating_sub(1).max(behind_the_last))?;
        self.back(self.wires[at].line.request)?;
        self.change(at, value(level))?;
        self.next_tick()
    }

    fn change(&mut self, at: usize, value: Value) -> io::Result<()> {
        let wire = &mut self.wires[at];
        wire.level = value;
        if std::mem::take(&mut wire.is_back) {
            self.marks.add(self.changes, marks::BACK)?;
            self.writer.change_scalar(wire.pair.lost, Value::V0)?;
        }
        wire.last = Some((self.changes, self.tick));
        self.requests[wire.line.request].last = Some(self.changes);
        self.changes += 1;
        self.writer.change_scalar(wire.pair.level, value)
    }

    /// Edges of a line are lost between its last change and a tick, or the end.
    fn lost(&mut self, at: usize, to: Option<u64>) -> io::Result<()> {
        let (change, from) = self.wires[at].last.unzip();
        let from = from.unwrap_or(0);
        // The level that was known is seen, if there is time for it.
        let mark = match to {
            Some(to) if to <= from => return Ok(()),
            Some(to) if to == from + 1 => marks::HERE,
            None if from == self.tick => marks::HERE,
            _ => marks::NEXT,
        };
        self.mark(change, at, mark)
    }

    /// Marks a change, or the beginning of a line.
    fn mark(&mut self, change: Option<u64>, at: usize, mark: u8) -> io::Result<()> {
        match change {
            Some(change) => self.marks.add(change, mark),
            None => {
                self.wires[at].pair.at_first |= mark;
                Ok(())
            }
        }
    }

    fn state(&mut self, at: usize, level: Option<bool>) -> io::Result<()> {
        let wire = &mut self.wires[at];
        let is_gone = self.requests[wire.line.request].is_gone && (self.has_dumped || !wire.pair.is_gone_at_first);
        match self.base_ns {
            _ if is_gone => wire.state = Some(level),
            None => self.untold -= usize::from(wire.first.replace(level).is_none()),
            Some(_) => return self.change(at, value(level)),
        }
        if !self.has_dumped && self.untold == 0 { self.dump() } else { Ok(()) }
    }

    /// A clock made a step, on which the axis goes on. A file that begins anew is told of the last one again.
    fn step(&mut self, step: &ClockStep) {
        if self.last_steps.contains(step) {
            return;
        }
        self.last_steps.retain(|last| last.chip != step.chip);
        self.last_steps.push(step.clone());
        if self.steps.len() == STEPS {
            self.more_steps += 1;
            return;
        }
        let ClockStep { chip, before_ns, after_ns, arrival_ns } = step;
        let tick = self.base_ns.map_or(1, |_| self.tick_of(*arrival_ns));
        self.steps.push(format!(
            "{}: the clock stepped at time {tick}: it showed {before_ns} ns before and {after_ns} ns after, when {arrival_ns} ns \
             was due",
            sane(chip)
        ));
    }

    /// A chip is gone, or back.
    fn gap(&mut self, request: usize, gap: &linewake::Gap) -> io::Result<()> {
        if !self.requests[request].is_gone {
            if let (None, Some(from_ns)) = (self.base_ns, gap.from_ns) {
                self.go_to(from_ns.saturating_add_signed(self.requests[request].shift_ns))?;
            }
            self.requests[request].is_gone = true;
            let last = self.requests[request].last;
            if let Some(&first) = self.requests[request].lines.first() {
                self.mark(last, first, marks::GONE)?;
            }
            for &at in &self.requests[request].lines {
                let wire = &mut self.wires[at];
                wire.state = None;
                if self.has_dumped {
                    self.writer.change_scalar(wire.pair.lost, Value::V1)?;
                }
            }
        }
        match gap.to_ns {
            Some(to_ns) if gap.is_over => {
                self.go_to(to_ns.saturating_add_signed(self.requests[request].shift_ns))?;
                self.back(request)
            }
            // Its next edge tells.
            _ => Ok(()),
        }
    }

    /// A chip is known to be back, if it was gone.
    fn back(&mut self, request: usize) -> io::Result<()> {
        if !std::mem::take(&mut self.requests[request].is_gone) {
            return Ok(());
        }
        for place in 0..self.requests[request].lines.len() {
            let at = self.requests[request].lines[place];
            let wire = &mut self.wires[at];
            wire.is_back = true;
            // Else its level follows.
            if let Some(level) = wire.state.take() {
                self.change(at, value(level))?;
            }
        }
        Ok(())
    }

    /// What was lost behind the last edges.
    fn last_spans(&mut self, closing: Closing<'_>) -> io::Result<()> {
        let lost: HashMap<_, _> =
            closing.lines().map(|(request, line)| ((request, line.offset.get()), line.figures.lost())).collect();
        for at in 0..self.wires.len() {
            let Wire { line, told, .. } = &self.wires[at];
            if lost.get(&(line.request, line.offset)).is_some_and(|lost| lost > told) {
                self.lost(at, None)?;
            }
        }
        Ok(())
    }

    /// When it ends. The clock may be another one than that of the stamps, or have stepped.
    fn end_ns(&self, now_ns: Option<u64>) -> u64 {
        let (Some(now_ns), Some(latest_at)) = (now_ns, self.latest_at) else { return self.latest_ns };
        let elapsed = latest_at.elapsed();
        match now_ns.checked_sub(self.latest_ns) {
            Some(later) if Duration::from_nanos(later) <= elapsed + LATENESS => now_ns,
            _ => self.latest_ns.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(0)),
        }
    }

    /// Completes the file.
    fn finish(&mut self, closing: Closing<'_>, is_last: bool) -> io::Result<()> {
        if self.base_ns.is_some() {
            self.go_to(self.end_ns(closing.now_ns))?;
        } else if let (Some(began_ns), Some(now_ns)) = (self.began_ns, closing.now_ns) {
            self.begin_at(began_ns)?;
            self.go_to(now_ns.max(began_ns))?;
        } else if !self.has_dumped {
            self.dump()?;
        }
        if is_last {
            self.last_spans(closing)?;
        }
        for step in &self.steps {
            self.writer.comment(step)?;
        }
        if self.more_steps > 0 {
            self.writer.comment(&format!("{} of clocks are not told here", plural(self.more_steps, "step")))?;
        }
        for (request, (chip, account)) in closing.accounts.iter().enumerate() {
            let of_request =
                if is_last { account.total().less(self.requests[request].before) } else { self.here(request) };
            self.writer.comment(&format!("{}: {}", sane(chip), figures(of_request, account.trust())))?;
        }
        self.writer.flush()?;
        if self.hidden > 0 {
            let shown = quoted(&self.dump.path);
            let remedy = match self.timescale.ns {
                1 => "its time has no more ticks",
                _ => "a smaller --vcd-timescale shows them",
            };
            let edges = plural(self.hidden, "edge");
            exit::say(&format!("{shown}: {edges} within a tick of the one before; {remedy}\n"));
        }
        let pairs: Vec<_> = self.wires.iter().map(|wire| wire.pair).collect();
        if self.marks.is_empty() && pairs.iter().all(|pair| pair.at_first == 0) {
            return Ok(());
        }
        let put_in = || {
            self.dump.remake(|part| {
                let from = BufReader::with_capacity(1 << 16, self.dump.reader()?);
                spans::put_in(from, &self.marks, &pairs, part)
            })
        };
        let but = "the edges are there, and the spans in which some are lost are in its comments only";
        let part = put_in().map_err(|error: io::Error| io::Error::new(error.kind(), format!("{error}; {but}")));
        match part.and_then(|part| self.dump.replace(part)) {
            Err(error) if !is_last => {
                exit::say(&format!("linewake: cannot complete {}: {error}\n", quoted(&self.dump.path)));
                Ok(())
            }
            done => done,
        }
    }

    /// Another file begins, which is empty.
    fn begin_anew(&mut self, began_ns: Option<u64>) -> io::Result<()> {
        for request in 0..self.requests.len() {
            let here = self.here(request);
            self.requests[request].before.add(here);
            self.requests[request].last = None;
        }
        self.marks = Marks::beside(&self.dump.path);
        self.writer = self.dump.writer()?;
        (self.base_ns, self.began_ns, self.has_dumped) = (None, began_ns, false);
        (self.tick, self.changes, self.hidden, self.more_steps) = (0, 0, 0, 0);
        self.steps.clear();
        self.pulses.clear();
        self.returns.clear();
        Ok(())
    }

    /// What is in this file of a chip's lines.
    fn here(&self, request: usize) -> Figures {
        let mut sum = Figures::default();
        self.requests[request].lines.iter().for_each(|&at| sum.add(self.wires[at].here));
        sum
    }
}

impl Sink for Vcd {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.clock = view.clock.name;
        self.began_ns = self.began_ns.or(view.began_ns);
        let of_requests = select::by_request(view.lines);
        self.requests.resize_with(of_requests.len(), Request::default);
        self.requests.iter_mut().zip(of_requests).for_each(|(request, lines)| request.lines = lines);
        let told: Vec<_> = self.wires.iter().map(|wire| wire.told).collect();
        // Until the head has named it.
        let none = IdCode::FIRST;
        let wire = |(at, line): (usize, &Watched)| Wire {
            line: line.clone(),
            pair: Pair {
                level: none,
                lost: none,
                request: line.request,
                at_first: 0,
                is_gone_at_first: self.requests[line.request].is_gone,
            },
            first: None,
            state: None,
            is_back: false,
            level: Value::X,
            last: None,
            one_way: None,
            edge: None,
            here: Figures::default(),
            told: told.get(at).copied().unwrap_or(0),
        };
        self.wires = view.lines.iter().enumerate().map(wire).collect();
        self.untold = self.wires.len();
        self.head()
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            // One that was not known when the waveform began.
            Item::State { line, .. } | Item::Edge { line, .. } if line >= self.wires.len() => Ok(()),
            Item::Gap { request, .. } if request >= self.requests.len() => Ok(()),
            Item::State { line, state } => self.state(line, state.active),
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { request, gap } => self.gap(request, gap),
            Item::Clock(step) => {
                self.step(step);
                Ok(())
            }
            Item::Chatter(_) | Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.latest_at.get_or_insert_with(Instant::now);
        self.writer.flush()
    }

    fn end(&mut self, closing: Closing<'_>) -> io::Result<()> {
        self.dump.is_there()?;
        if self.dump.was_emptied() {
            return Err(io::Error::other(EMPTIED));
        }
        self.finish(closing, true)
    }

    /// Nobody watched in between: nothing is known of the lines until their next edges.
    fn next_watch(&mut self, _: Closing<'_>, _: View<'_>) -> io::Result<()> {
        if self.base_ns.is_none() {
            return Ok(());
        }
        let gap = Gap::recorded("".into(), None, None, false, Figures::default());
        (0..self.requests.len()).try_for_each(|request| self.gap(request, &gap))
    }

    fn add_line(&mut self, line: &Watched) -> io::Result<()> {
        let (path, line) = (quoted(&self.dump.path), Printable(&line.said));
        let remedy = "play a file, and not a pipe, for all of them";
        exit::say(&format!("{path}: the line \"{line}\" comes too late for the waveform, and is left out; {remedy}\n"));
        Ok(())
    }

    fn reopen(&mut self, closing: Closing<'_>) -> io::Result<bool> {
        if self.was_emptied() {
            return Ok(true);
        }
        let next = match self.dump.next() {
            Ok(next) => next,
            Err(error) => {
                let path = quoted(&self.dump.path);
                let but = "what was open is still written";
                exit::say(&format!("linewake: cannot begin {path} anew: {error}; {but}\n"));
                return Ok(false);
            }
        };
        self.finish(closing, false)?;
        self.dump.say_if_removed();
        self.dump.go_on_in(next)?;
        self.begin_anew(closing.now_ns)?;
        Ok(true)
    }

    /// A rotation that copies a waveform and empties it has a copy that was not completed.
    fn was_emptied(&mut self) -> bool {
        if !self.dump.was_emptied() {
            return false;
        }
        exit::say(&format!("linewake: {}: {EMPTIED}\n", quoted(&self.dump.path)));
        self.dump.empty().and_then(|()| self.begin_anew(None)).is_ok()
    }
}

const EMPTIED: &str = "it was emptied while it was written, and a copy of it does not show where edges are lost; to begin \
    another one, send SIGHUP (logrotate: no copytruncate)";

fn value(level: Option<bool>) -> Value {
    level.map_or(Value::X, Value::from)
}

/// A name as the readers of these files take it.
fn sane(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// `prefix` and `name`, with a number if there is such a name.
fn unique(names: &mut HashSet<String>, prefix: String, name: &str) -> String {
    let base = format!("{prefix}{name}");
    let mut unique = base.clone();
    for number in 2_u64.. {
        if names.insert(unique.clone()) {
            break;
        }
        unique = format!("{base}_{number}");
    }
    unique
}
