//! A waveform: a value change dump (IEEE 1364-2005, 18.2), for GTKWave, Surfer and PulseView.
//!
//! Beside each line is a wire `<line>_lost`. In a span in which edges of the line are known lost, the line is `x` and that
//! wire is 1: PulseView reads `x` as 0. A span is known when it is over, by the edge that says what is missing before it:
//! edges are written as they come, with a pulse on that wire where something is missing, and the spans are put in at the
//! end, in one pass over the file. libsigrok reads up to the first comment among the changes: there is one at the very end.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use linewake::EdgeKind;
use vcd::{Command, IdCode, SimulationCommand, TimescaleUnit, Value};

use super::select::Watched;
use super::sink::{Closing, Item, Out, Sink, View, create};
use super::summary::{figures, plural};
use crate::exit::{self, Failure};

/// What a tick of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timescale {
    number: u32,
    unit: TimescaleUnit,
    ns: u64,
}

impl Timescale {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = match &text[..digits] {
            "1" => Some(1),
            "10" => Some(10),
            "100" => Some(100),
            _ => None,
        };
        let unit = match &text[digits..] {
            "ns" => Some((TimescaleUnit::NS, 1)),
            "us" => Some((TimescaleUnit::US, 1_000)),
            "ms" => Some((TimescaleUnit::MS, 1_000_000)),
            _ => None,
        };
        match (number, unit) {
            (Some(number), Some((unit, ns))) => Ok(Self { number, unit, ns: u64::from(number) * ns }),
            _ => Err("a timescale is 1, 10 or 100 with a unit: ns, us or ms, as in 1us".to_owned()),
        }
    }
}

/// Writes a waveform.
pub(crate) struct Vcd {
    path: PathBuf,
    writer: vcd::Writer<Out>,
    timescale: Timescale,
    wires: Vec<Wire>,
    /// The time stamp that is 0 in the file.
    base_ns: Option<u64>,
    has_dumped: bool,
    /// Where the file is.
    tick: u64,
    latest_ns: u64,
    spans: Vec<Span>,
    /// Wires that are 1 for the tick.
    pulses: Vec<IdCode>,
    /// Of each request whose chip is gone, or back at a time that nobody knows: since when nothing is known.
    gone: Vec<(usize, u64)>,
    /// Edges that follow another of their line within a tick.
    hidden: u64,
}

struct Wire {
    line: Watched,
    level: IdCode,
    lost: IdCode,
    state: Option<Option<bool>>,
    last_ns: Option<u64>,
    /// Edges that are said to be missing in the file so far.
    told: u64,
}

/// In which edges of a line are known to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    wire: usize,
    /// The level is known until this.
    from_ns: u64,
    /// And again from this; `None` is never.
    to_ns: Option<u64>,
}

impl Vcd {
    /// The file is to be one that can be read again.
    pub(crate) fn create(path: &Path, timescale: Timescale) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let message = "a waveform cannot go to standard output, since it is gone over again when it is complete; \
                name a file with --vcd FILE";
            return Err(Failure::new(message));
        }
        let file = create(path)?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Failure::new(format!(
                "cannot write \"{}\": it is not a file; name one: a waveform is gone over again when it is complete",
                path.display()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            writer: vcd::Writer::new(Out::new(Box::new(file))),
            timescale,
            wires: Vec::new(),
            base_ns: None,
            has_dumped: false,
            tick: 0,
            latest_ns: 0,
            spans: Vec::new(),
            pulses: Vec::new(),
            gone: Vec::new(),
            hidden: 0,
        })
    }

    fn tick_of(&self, ns: u64) -> u64 {
        ns.saturating_sub(self.base_ns.unwrap_or_default()) / self.timescale.ns
    }

    /// The levels at the beginning.
    fn dump(&mut self) -> io::Result<()> {
        self.has_dumped = true;
        self.writer.timestamp(0)?;
        self.writer.begin(SimulationCommand::Dumpvars)?;
        for wire in &self.wires {
            self.writer.change_scalar(wire.level, value(wire.state.flatten()))?;
            self.writer.change_scalar(wire.lost, Value::V0)?;
        }
        self.writer.end()
    }

    /// Goes on to a time; the file's never goes back.
    fn go_to(&mut self, ns: u64) -> io::Result<()> {
        let base_ns = *self.base_ns.get_or_insert_with(|| ns.saturating_sub(self.timescale.ns));
        self.latest_ns = self.latest_ns.max(ns).max(base_ns);
        if !self.has_dumped {
            self.dump()?;
        }
        let tick = self.tick_of(ns);
        if tick > self.tick {
            self.tick = tick;
            self.writer.timestamp(tick)?;
            for wire in self.pulses.drain(..) {
                self.writer.change_scalar(wire, Value::V0)?;
            }
        }
        Ok(())
    }

    fn edge(&mut self, at: usize, edge: &linewake::EdgeEvent) -> io::Result<()> {
        let ns = edge.timestamp_ns;
        let before = self.tick;
        self.go_to(ns)?;
        self.back(self.wires[at].line.request, ns);
        let base_ns = self.base_ns.unwrap_or_default();
        let wire = &mut self.wires[at];
        let missing = edge.missed.total();
        if missing > 0 {
            wire.told += missing;
            self.spans.push(Span { wire: at, from_ns: wire.last_ns.unwrap_or(base_ns), to_ns: Some(ns) });
            self.writer.change_scalar(wire.lost, Value::V1)?;
            self.pulses.push(wire.lost);
        }
        let is_hidden = before == self.tick
            && wire.last_ns.is_some_and(|last_ns| last_ns.saturating_sub(base_ns) / self.timescale.ns == self.tick);
        self.hidden += u64::from(is_hidden);
        wire.last_ns = Some(ns);
        self.writer.change_scalar(wire.level, value(Some(edge.kind == EdgeKind::Rising)))
    }

    /// A chip is gone, or back.
    fn gap(&mut self, request: usize, gap: &linewake::Gap) -> io::Result<()> {
        if !self.gone.iter().any(|gone| gone.0 == request) {
            self.gone.push((request, gap.from_ns.unwrap_or(self.base_ns.unwrap_or(self.latest_ns))));
        }
        match gap.to_ns {
            Some(to_ns) if gap.is_over => {
                self.go_to(to_ns)?;
                self.back(request, to_ns);
            }
            // Its next edge tells.
            _ => {}
        }
        Ok(())
    }

    /// A chip is known to be back, if it was gone.
    fn back(&mut self, request: usize, to_ns: u64) {
        let Some(at) = self.gone.iter().position(|gone| gone.0 == request) else { return };
        let (_, from_ns) = self.gone.swap_remove(at);
        let lines = (0..).zip(&self.wires).filter(|(_, wire)| wire.line.request == request);
        self.spans.extend(lines.map(|(wire, _)| Span { wire, from_ns, to_ns: Some(to_ns.max(from_ns)) }));
    }

    /// What was lost behind the last edges.
    fn last_spans(&mut self, closing: Closing<'_>) {
        for (at, wire) in self.wires.iter().enumerate() {
            let base_ns = self.base_ns.unwrap_or_default();
            let account = closing.accounts.get(wire.line.request).map(|(_, account)| account.lines());
            let account = account.and_then(|lines| lines.iter().find(|line| line.offset.get() == wire.line.offset));
            if account.is_some_and(|account| account.figures.lost() > wire.told) {
                self.spans.push(Span { wire: at, from_ns: wire.last_ns.unwrap_or(base_ns), to_ns: None });
            }
            if let Some((_, from_ns)) = self.gone.iter().find(|gone| gone.0 == wire.line.request) {
                self.spans.push(Span { wire: at, from_ns: *from_ns, to_ns: None });
            }
        }
    }

    /// Puts the spans into the file.
    fn put_spans_in(&self) -> io::Result<()> {
        let mut part = self.path.clone().into_os_string();
        part.push(".part");
        let put_in = || {
            let mut writer = vcd::Writer::new(Out::new(Box::new(File::create(&part)?)));
            let file = BufReader::with_capacity(1 << 16, File::open(&self.path)?);
            self.copy(vcd::Parser::new(file), &mut writer)?;
            writer.flush()?;
            // Windows replaces no file that is open, by one that is open.
            drop(writer);
            fs::rename(&part, &self.path)
        };
        put_in().inspect_err(|_| drop(fs::remove_file(&part)))
    }

    fn copy(&self, from: vcd::Parser<BufReader<File>>, to: &mut vcd::Writer<Out>) -> io::Result<()> {
        let mut turns = self.turns().into_iter().peekable();
        let mut levels = vec![Value::X; self.wires.len()];
        let mut is_lost = vec![0_u32; self.wires.len()];
        let mut tick = 0;
        let mut has_begun = false;
        let lost: HashSet<_> = self.wires.iter().map(|wire| wire.lost).collect();
        let places: HashMap<_, _> = self.wires.iter().enumerate().map(|(at, wire)| (wire.level, at)).collect();
        let turn = |turn: Turn, levels: &[Value], is_lost: &mut [u32], to: &mut vcd::Writer<Out>| {
            let wire = &self.wires[turn.wire];
            let lost = &mut is_lost[turn.wire];
            let was = *lost > 0;
            *lost = if turn.is_begin { *lost + 1 } else { *lost - 1 };
            match (was, *lost > 0) {
                (false, true) => {
                    to.change_scalar(wire.level, Value::X)?;
                    to.change_scalar(wire.lost, Value::V1)
                }
                (true, false) => {
                    to.change_scalar(wire.level, levels[turn.wire])?;
                    to.change_scalar(wire.lost, Value::V0)
                }
                _ => Ok(()),
            }
        };
        for command in from {
            match command? {
                Command::Timestamp(next) => {
                    // What begins at a tick begins behind its changes, and what ends there ends before them.
                    while let Some(due) = turns.next_if(|due| due.tick < next || (due.tick == next && !due.is_begin)) {
                        if due.tick > tick {
                            tick = due.tick;
                            to.timestamp(tick)?;
                        }
                        turn(due, &levels, &mut is_lost, to)?;
                    }
                    if next > tick || next == 0 {
                        tick = next;
                        to.timestamp(next)?;
                    }
                }
                // Pulses, but for those at the beginning.
                Command::ChangeScalar(id, _) if lost.contains(&id) && has_begun => {}
                Command::End(SimulationCommand::Dumpvars) => {
                    has_begun = true;
                    to.end()?;
                }
                Command::ChangeScalar(id, value) => {
                    let place = places.get(&id);
                    if let Some(&place) = place {
                        levels[place] = value;
                    }
                    if place.is_none_or(|&place| is_lost[place] == 0) {
                        to.change_scalar(id, value)?;
                    }
                }
                other => to.command(&other)?,
            }
        }
        for due in turns {
            if due.tick > tick {
                tick = due.tick;
                to.timestamp(tick)?;
            }
            turn(due, &levels, &mut is_lost, to)?;
        }
        Ok(())
    }

    /// Where spans begin and end, in order.
    fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        for span in &self.spans {
            let (mut from, to) = (self.tick_of(span.from_ns), span.to_ns.map(|ns| self.tick_of(ns)));
            // The level that was known is seen, if there is time for it.
            from += u64::from(from + 1 < to.unwrap_or(self.tick + 1));
            if to.is_some_and(|to| to <= from) {
                continue;
            }
            turns.push(Turn { tick: from, is_begin: true, wire: span.wire });
            turns.extend(to.map(|tick| Turn { tick, is_begin: false, wire: span.wire }));
        }
        turns.sort_by_key(|turn| (turn.tick, turn.is_begin));
        turns
    }
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    tick: u64,
    is_begin: bool,
    wire: usize,
}

impl Sink for Vcd {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.base_ns = view.began_ns;
        let (Timescale { number, unit, .. }, writer) = (self.timescale, &mut self.writer);
        writer.version(concat!("linewake ", env!("CARGO_PKG_VERSION")))?;
        match view.began_ns {
            Some(ns) => writer.comment(&format!("time 0 is {ns} ns of the clock \"{}\"", view.clock.name))?,
            None => writer.comment("time 0 is the first edge's")?,
        }
        writer.timescale(number, unit)?;
        let mut names = HashSet::new();
        let requests = view.lines.iter().map(|line| line.request).max().map_or(0, |last| last + 1);
        let mut wires: Vec<Option<Wire>> = Vec::new();
        wires.resize_with(view.lines.len(), || None);
        for request in 0..requests {
            let of_request = || (0..).zip(view.lines).filter(|(_, line)| line.request == request);
            let Some((_, first)) = of_request().next() else { continue };
            writer.add_module(&unique(&mut names, String::new(), &sane(&first.chip)))?;
            let mut of_module = HashSet::new();
            for (at, line) in of_request() {
                let name = line.name.as_deref().map_or_else(|| format!("line{}", line.offset), sane);
                let name = unique(&mut of_module, String::new(), &name);
                let level = writer.add_wire(1, &name)?;
                let lost = writer.add_wire(1, &unique(&mut of_module, name, "_lost"))?;
                wires[at] = Some(Wire { line: line.clone(), level, lost, state: None, last_ns: None, told: 0 });
            }
            writer.upscope()?;
        }
        self.wires = wires.into_iter().flatten().collect();
        self.writer.enddefinitions()
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            Item::State { line, state } if !self.has_dumped => {
                self.wires[line].state = Some(state.active);
                if self.wires.iter().all(|wire| wire.state.is_some()) { self.dump() } else { Ok(()) }
            }
            Item::State { line, state } => self.writer.change_scalar(self.wires[line].level, value(state.active)),
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { request, gap } => self.gap(request, gap),
            Item::Clock(_) | Item::Chatter(_) | Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn end(&mut self, closing: Closing<'_>) -> io::Result<()> {
        let end_ns = closing.now_ns.unwrap_or(0).max(self.latest_ns);
        self.go_to(end_ns)?;
        self.last_spans(closing);
        for (chip, account) in closing.accounts {
            self.writer.comment(&format!("{}: {}", sane(chip), figures(account.total(), account.trust())))?;
        }
        self.writer.flush()?;
        if self.hidden > 0 {
            let shown = self.path.display();
            let remedy = "a smaller --vcd-timescale shows them";
            let edges = plural(self.hidden, "edge");
            exit::say(&format!("\"{shown}\": {edges} within a tick of the one before; {remedy}\n"));
        }
        if self.spans.is_empty() {
            return Ok(());
        }
        self.writer = vcd::Writer::new(Out::new(Box::new(io::sink())));
        self.put_spans_in().map_err(|error| {
            let but = "the edges are there, and the spans in which some are lost are in its comments only";
            io::Error::new(error.kind(), format!("{error}; {but}"))
        })
    }
}

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

#[cfg(test)]
mod tests;
