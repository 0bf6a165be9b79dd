//! gpiomon: the edges of lines.

use std::time::Duration;

use linewake::{Edges, EventClock, LineConfig};

use super::chip::{LineRequest, RequestConfig};
use super::get::some_lines;
use super::getopt::{self, Opt, flag, long_flag, long_value, value};
use super::resolve::{self, FoundLines, Group, Scope};
use super::{Context, Exit, help, number, print, strerror, wait};
use crate::commands::mon::Arguments;
use crate::settings;
use crate::stamp::Stamp;

pub(super) const OPTIONS: &[Opt] = &[
    flag("active-low", b'l'),
    long_flag("banner", b'-'),
    value("bias", b'b'),
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    value("consumer", b'C'),
    value("debounce-period", b'p'),
    value("edges", b'e'),
    value("event-clock", b'E'),
    value("format", b'F'),
    flag("help", b'h'),
    long_value("idle-timeout", b'i'),
    long_flag("localtime", b'L'),
    value("num-events", b'n'),
    flag("quiet", b'q'),
    long_flag("silent", b'q'),
    flag("strict", b's'),
    long_flag("unquoted", b'Q'),
    long_flag("utc", b'U'),
    flag("version", b'v'),
    flag("initial-state", b'I'),
    flag("numeric", b'N'),
];

/// The options about output and the end.
#[derive(Default)]
struct Options<'a> {
    scope: Scope<'a>,
    format: Option<&'a [u8]>,
    stamp: Stamp,
    idle: Option<u64>,
    /// 0 is no limit.
    wanted: u32,
    banner: bool,
    quiet: bool,
    unquoted: bool,
    initial_state: bool,
    numeric: bool,
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let mut options = Options::default();
    let mut config = RequestConfig { consumer: b"gpiomon", line: LineConfig::watch(Edges::Both) };
    let (mut clock, mut debounce, mut stamp) = (None, 0, None);
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'-' => options.banner = true,
            b'b' => config.line.bias = Some(number::bias_or_die(value)?),
            b'B' => options.scope.by_name = true,
            b'c' => options.scope.chip = Some(value),
            b'C' => config.consumer = value,
            b'e' => config.line.edges = Some(number::word_or_die(value, "edges", settings::EDGES, Edges::as_str)?),
            b'E' => clock = Some(number::word_or_die(value, "event clock", settings::CLOCKS, EventClock::as_str)?),
            b'F' => options.format = Some(value),
            b'i' => options.idle = Some(number::period_or_die(value)?),
            b'l' => config.line.active_low = true,
            b'L' => stamp = Some(Stamp::Local),
            b'n' => options.wanted = number::uint_or_die(value)?,
            b'p' => debounce = number::period_or_die(value)?,
            b'q' => options.quiet = true,
            b'Q' => options.unquoted = true,
            b's' => options.scope.strict = true,
            b'U' => stamp = Some(Stamp::Utc),
            b'I' => options.initial_state = true,
            b'N' => options.numeric = true,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    (config.line.clock, options.stamp) = match (clock, stamp) {
        (None, None) => (EventClock::Monotonic, Stamp::Seconds),
        (None, Some(stamp)) => (EventClock::Realtime, stamp),
        (Some(EventClock::Realtime), None) => (EventClock::Realtime, Stamp::Utc),
        (Some(clock), stamp) => (clock, stamp.unwrap_or_default()),
    };
    let ids = some_lines(operands)?;
    if debounce > u32::MAX.into() {
        return Err(Exit::new(format!("maximum debounce period is {}us, got {debounce}us", u32::MAX)));
    }
    config.line.debounce = Duration::from_micros(debounce);
    let lines = resolve::resolve(context, &ids, options.scope)?;
    let groups = lines.groups();
    let mut held = Vec::with_capacity(groups.len());
    for group in &groups {
        let spec = &lines.chips[group.chip].spec;
        let lines = lines.hold(group, &config, 0);
        held.push(
            lines.map_err(|error| Exit::of("unable to request lines on chip ", spec.path(), &format!(": {error}")))?,
        );
    }
    if options.initial_state {
        initial_state(context, &ids, &groups, &held, &options)?;
    }
    if options.banner {
        print::banner(&mut context.out, "Monitoring", &ids);
    }
    EdgePrinter { options, lines: &lines, done: 0 }.run(context, &groups, held)?;
    Ok(0)
}

fn initial_state(
    context: &mut Context,
    ids: &[&[u8]],
    groups: &[Group],
    held: &[LineRequest],
    options: &Options<'_>,
) -> Result<(), Exit> {
    let mut values = vec![false; ids.len()];
    for (group, held) in groups.iter().zip(held) {
        FoundLines::read(group, held, &mut values)?;
    }
    print::values(&mut context.out, ids.iter().copied().zip(values), options.unquoted, options.numeric);
    Ok(())
}

struct EdgePrinter<'a> {
    options: Options<'a>,
    lines: &'a FoundLines<'a>,
    /// The number of edges so far.
    done: u32,
}

/// An edge.
#[derive(Clone, Copy)]
struct Edge {
    ns: u64,
    /// 1 is rising, 2 is falling.
    kind: u32,
    offset: u32,
}

impl EdgePrinter<'_> {
    #[cfg_attr(not(target_os = "linux"), expect(clippy::never_loop, reason = "elsewhere a chip is a simulated one"))]
    fn run(&mut self, context: &mut Context, groups: &[Group], held: Vec<LineRequest>) -> Result<(), Exit> {
        let idle = wait::idle(self.options.idle);
        #[cfg(target_os = "linux")]
        let mut files = Vec::with_capacity(held.len());
        for held in held {
            match held {
                #[cfg(target_os = "linux")]
                LineRequest::File(file) => files.push(file),
                // Tests have one simulated chip at most.
                LineRequest::Sim(mut request, _) => return self.simulated(context, &mut request, idle),
            }
        }
        #[cfg(target_os = "linux")]
        self.watch(context, groups, &files, idle)?;
        let _ = groups;
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn watch(
        &mut self,
        context: &mut Context,
        groups: &[Group],
        files: &[linewake::gpiochip::LinesFile],
        idle: Option<Duration>,
    ) -> Result<(), Exit> {
        let mut events = linewake::gpiochip::FileEvents::default();
        loop {
            context.out.flush()?;
            let ready = wait::wait(files, rustix::event::PollFlags::IN, idle, "error polling for events")?;
            if ready.is_empty() {
                return Ok(());
            }
            for at in ready {
                let read = files[at].read(&mut events);
                let read =
                    read.map_err(|error| Exit::new(format!("error reading line events: {}", strerror::of(&error))))?;
                for event in read {
                    let edge = Edge { ns: event.timestamp_ns, kind: event.kind, offset: event.offset };
                    if self.edge(context, groups[at].chip, edge) {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn simulated(
        &mut self,
        context: &mut Context,
        request: &mut linewake::Request,
        idle: Option<Duration>,
    ) -> Result<(), Exit> {
        loop {
            context.out.flush()?;
            let event = match idle {
                Some(idle) => request.wait_next_timeout(idle),
                None => request.wait_next(),
            };
            let event = match event {
                None => return Ok(()),
                Some(Err(error)) if error.is_timeout() => return Ok(()),
                Some(event) => event.map_err(|error| {
                    Exit::new(format!("error reading line events: {}", strerror::of_library(&error)))
                })?,
            };
            let kind = if event.kind == linewake::EdgeKind::Rising { 1 } else { 2 };
            if self.edge(context, 0, Edge { ns: event.timestamp_ns, kind, offset: event.offset.get() }) {
                return Ok(());
            }
        }
    }

    /// Writes an edge, and says whether it was the last.
    fn edge(&mut self, context: &mut Context, chip: usize, edge: Edge) -> bool {
        if !self.options.quiet {
            self.show(context, chip, edge);
        }
        self.done = self.done.wrapping_add(1);
        self.done == self.options.wanted
    }

    fn show(&self, context: &mut Context, chip: usize, edge: Edge) {
        let out = &mut context.out;
        let Edge { ns, kind, offset } = edge;
        let direction = if kind == 1 { "rising" } else { "falling" };
        let (name, chip_name) = (self.lines.name_of(chip, offset), &self.lines.chips[chip].name);
        if let Some(format) = self.options.format {
            return print::format(out, format, |out, letter| {
                match letter {
                    b'c' => out.printable(chip_name),
                    b'e' => out.number(kind),
                    b'E' => out.text(direction),
                    b'l' => out.printable(if name.is_empty() { b"unnamed" } else { name }),
                    b'L' => print::time(out, ns, Stamp::Local),
                    b'o' => out.number(offset),
                    b'S' => print::time(out, ns, Stamp::Seconds),
                    b'U' => print::time(out, ns, Stamp::Utc),
                    _ => return false,
                }
                true
            });
        }
        print::time(out, ns, self.options.stamp);
        out.text("\t");
        out.text(direction);
        out.text("\t");
        print::line_id(out, chip_name, offset, name, self.options.scope.chip.is_some(), self.options.unquoted);
        out.text("\n");
    }
}
