//! A waveform: a value change dump (IEEE 1364-2005, 18.2), for GTKWave, Surfer and PulseView.
//!
//! Its time begins one tick before the first edge. Where a clock steps, the time goes on and a comment says so. Each
//! line has a second wire, `<line>_lost`. Where edges of the line are known lost, the line is `x` and that wire is 1,
//! because PulseView reads `x` as 0.
//!
//! Such a span is known when it is over: the edge behind it says what is missing. So edges are written as they come,
//! with a pulse on the second wire where something is missing; the spans are put in at the end, in one pass over the
//! file. Until then marks on the disk say where they begin: memory is the same after a year as after a day. Comments
//! come last, because libsigrok reads no further than the first one behind a change.

mod aside;
mod changes;
mod chips;
mod ending;
mod file;
mod marks;
mod names;
mod permissions;
mod spans;
mod steps;
mod temporary;
#[cfg(test)]
mod tests;
mod timescale;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Instant;

use linewake::{EdgeKind, Figures, Gap};
use vcd::{IdCode, SimulationCommand, Value};

use self::file::Dump;
use self::marks::Marks;
use self::names::{sane, unique};
use self::spans::WirePair;
use self::steps::Steps;
pub(crate) use self::timescale::Timescale;
use super::files::{ExistingFile, quoted};
use super::out::Out;
use super::select::{self, OutputLine};
use super::sink::{Closing, Item, Sink, View};
use crate::display::Printable;
use crate::exit::{self, Failure};

/// Writes a waveform.
pub(crate) struct Vcd {
    dump: Dump,
    writer: vcd::Writer<Out>,
    timescale: Timescale,
    clock: &'static str,
    began_ns: Option<u64>,
    wires: Vec<Wire>,
    requests: Vec<RequestWires>,
    /// The time stamp of tick 0; `None` until the first edge.
    base_ns: Option<u64>,
    has_dumped: bool,
    /// Number of lines whose first level has not come.
    untold: usize,
    /// The last tick in the file.
    tick: u64,
    latest_ns: u64,
    /// When the latest time was taken; noted at the next flush.
    latest_at: Option<Instant>,
    marks: Marks,
    /// Number of changes so far.
    changes: u64,
    /// The second wires that are 1 for this tick only.
    pulses: Vec<IdCode>,
    /// Lines that return to their other level at the next tick.
    returns: Vec<usize>,
    /// Number of edges that are hidden by another one in the same tick.
    hidden: u64,
    steps: Steps,
}

struct Wire {
    line: OutputLine,
    pair: WirePair,
    /// The first level; outer `None` until it is known.
    first: Option<Option<bool>>,
    /// The level that came after its chip was back; outer `None` until it is known.
    state: Option<Option<bool>>,
    /// Its next change is the first one after its chip was back.
    is_back: bool,
    /// The last level in the file.
    level: Value,
    /// Its last change: the number among all changes, and the tick.
    last: Option<(u64, u64)>,
    /// The direction of its edges, if only one direction is watched.
    one_way: Option<EdgeKind>,
    /// The tick of its last edge.
    edge: Option<u64>,
    /// The figures of this file.
    here: Figures,
    /// Number of missing edges that were told by edges in this file and those before.
    told: u64,
}

impl Wire {
    fn last_tick(&self) -> Option<u64> {
        self.last.map(|(_, tick)| tick)
    }
}

/// The wires of a chip.
#[derive(Default)]
struct RequestWires {
    /// The places of its lines.
    lines: Vec<usize>,
    /// The last change of any of them.
    last: Option<u64>,
    /// The chip is gone, or came back at an unknown time.
    is_gone: bool,
    /// The figures of the files before this one.
    before: Figures,
    /// The difference from a time stamp to the time on the axis.
    shift_ns: i64,
}

impl Vcd {
    /// Opens the file, which must be readable and seekable.
    pub(crate) fn open(path: &Path, timescale: Timescale, existing: ExistingFile) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let message = "a waveform cannot go to standard output, because it is read again at the end; \
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
            steps: Steps::default(),
        })
    }

    /// Writes everything before the first change.
    fn head(&mut self) -> io::Result<()> {
        let (Timescale { number, unit, .. }, writer) = (self.timescale, &mut self.writer);
        writer.version(concat!("linewake ", env!("CARGO_PKG_VERSION")))?;
        match self.base_ns {
            Some(ns) => writer.comment(&format!("time 0 is {ns} ns of the clock \"{}\"", self.clock))?,
            None => writer.comment("nothing has happened yet")?,
        }
        writer.timescale(number, unit)?;
        let mut names = HashSet::new();
        for RequestWires { lines, .. } in &self.requests {
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

    /// Writes the first levels.
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

    /// The first time is known: writes the file anew, from its beginning.
    fn begin_at(&mut self, ns: u64) -> io::Result<()> {
        self.base_ns = Some(ns);
        self.writer.flush()?;
        self.dump.empty()?;
        self.writer = self.dump.writer()?;
        self.head()?;
        self.dump()
    }

    /// Begins one tick before the first time, unless the file has begun.
    fn begin_before(&mut self, ns: u64) -> io::Result<()> {
        if self.base_ns.is_some() { Ok(()) } else { self.begin_at(ns.saturating_sub(self.timescale.ns)) }
    }

    /// Begins another file, which is empty.
    fn begin_anew(&mut self, began_ns: Option<u64>) -> io::Result<()> {
        for request in 0..self.requests.len() {
            let here = self.here(request);
            self.requests[request].before.add(here);
            self.requests[request].last = None;
        }
        self.marks = Marks::beside(&self.dump.path);
        self.writer = self.dump.writer()?;
        (self.base_ns, self.began_ns, self.has_dumped) = (None, began_ns, false);
        (self.tick, self.changes, self.hidden) = (0, 0, 0);
        self.steps.begin_anew();
        self.pulses.clear();
        self.returns.clear();
        Ok(())
    }
}

impl Sink for Vcd {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.clock = view.clock.name.as_str();
        self.began_ns = self.began_ns.or(view.began_ns);
        let of_requests = select::by_request(view.lines);
        self.requests.resize_with(of_requests.len(), RequestWires::default);
        self.requests.iter_mut().zip(of_requests).for_each(|(request, lines)| request.lines = lines);
        let told: Vec<_> = self.wires.iter().map(|wire| wire.told).collect();
        // The header sets it.
        let none = IdCode::FIRST;
        let wire = |(at, line): (usize, &OutputLine)| Wire {
            line: line.clone(),
            pair: WirePair {
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
            // The waveform does not have lines that appear later.
            Item::State { line, .. } | Item::Edge { line, .. } if line >= self.wires.len() => Ok(()),
            Item::Gap { request, .. } if request >= self.requests.len() => Ok(()),
            Item::State { line, state } => self.state(line, state.active),
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { request, gap } => self.gap(request, gap),
            Item::Clock(step) => {
                let (base_ns, timescale) = (self.base_ns, self.timescale);
                self.steps.add(step, |ns| base_ns.map_or(1, |base_ns| timescale.tick_of(base_ns, ns)));
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

    /// Nobody watched in between: all levels are unknown until the next edges.
    fn next_watch(&mut self, _: Closing<'_>, _: View<'_>) -> io::Result<()> {
        if self.base_ns.is_none() {
            return Ok(());
        }
        let gap = Gap::recorded("".into(), None, None, false, Figures::default());
        (0..self.requests.len()).try_for_each(|request| self.gap(request, &gap))
    }

    fn add_line(&mut self, line: &OutputLine) -> io::Result<()> {
        let (path, line) = (quoted(&self.dump.path), Printable(&line.said));
        let remedy = "play a file instead of a pipe";
        exit::say(&format!("{path} has no line \"{line}\": it appeared after the waveform had begun; {remedy}\n"));
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
                let but = "the old file is still written";
                exit::say(&format!("linewake: cannot begin a new {path}: {error}; {but}\n"));
                return Ok(false);
            }
        };
        self.finish(closing, false)?;
        self.dump.go_on_in(next)?;
        self.begin_anew(closing.now_ns)?;
        Ok(true)
    }

    /// A log rotation may copy the waveform and empty it. The copy is not completed.
    fn was_emptied(&mut self) -> bool {
        if !self.dump.was_emptied() {
            return false;
        }
        exit::say(&format!("linewake: {}: {EMPTIED}\n", quoted(&self.dump.path)));
        self.dump.empty().and_then(|()| self.begin_anew(None)).is_ok()
    }
}

const EMPTIED: &str = "it was emptied while it was written, and a copy of it does not show where edges are lost; to \
    begin another one, send SIGHUP (logrotate: no copytruncate)";

fn value(level: Option<bool>) -> Value {
    level.map_or(Value::X, Value::from)
}
