//! gpionotify: requests, releases and changed settings of lines.

use std::time::Duration;

use super::chip::{LineInfo, OpenChip};
use super::get::some_lines;
use super::getopt::{self, Opt, flag, long_flag, long_value, value};
use super::resolve::{self, FoundLines, Scope};
use super::{Context, Exit, help, number, print, strerror, wait};
use crate::commands::notify::Arguments;
use crate::stamp::Stamp;

pub(super) const OPTIONS: &[Opt] = &[
    long_flag("banner", b'-'),
    long_flag("by-name", b'B'),
    value("chip", b'c'),
    value("event", b'e'),
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
];

/// The events by their numbers, from 1.
const EVENTS: [&str; 3] = ["requested", "released", "reconfigured"];

fn event_or_die(text: &[u8]) -> Result<u32, Exit> {
    let at = EVENTS.iter().position(|event| event.as_bytes() == text);
    // libgpiod's tool says "edge" here.
    at.map(|at| at as u32 + 1).ok_or_else(|| Exit::of("invalid edge: ", text, ""))
}

#[derive(Default)]
struct Options<'a> {
    scope: Scope<'a>,
    event: Option<u32>,
    format: Option<&'a [u8]>,
    stamp: Stamp,
    idle: Option<u64>,
    /// 0 is no limit.
    wanted: u32,
    banner: bool,
    quiet: bool,
    unquoted: bool,
}

pub(super) fn run(context: &mut Context, words: &[Vec<u8>]) -> Result<u8, Exit> {
    let mut options = Options::default();
    let operands = getopt::read(context, OPTIONS, words, |context, key, value| {
        match key {
            b'-' => options.banner = true,
            b'B' => options.scope.by_name = true,
            b'c' => options.scope.chip = Some(value),
            b'e' => options.event = Some(event_or_die(value)?),
            b'F' => options.format = Some(value),
            b'i' => options.idle = Some(number::period_or_die(value)?),
            b'L' => options.stamp = Stamp::Local,
            b'n' => options.wanted = number::uint_or_die(value)?,
            b'q' => options.quiet = true,
            b'Q' => options.unquoted = true,
            b's' => options.scope.strict = true,
            b'U' => options.stamp = Stamp::Utc,
            other => return help::show::<Arguments>(context, other),
        }
        Ok(())
    })?;
    let ids = some_lines(operands)?;
    let lines = resolve::resolve(context, &ids, options.scope)?;
    EventPrinter { options, lines: &lines, ids: &ids, done: 0 }.run(context)?;
    Ok(0)
}

struct EventPrinter<'a> {
    options: Options<'a>,
    lines: &'a FoundLines<'a>,
    ids: &'a [&'a [u8]],
    /// The number of events so far.
    done: u32,
}

impl EventPrinter<'_> {
    #[cfg_attr(not(target_os = "linux"), expect(clippy::never_loop, reason = "elsewhere a chip is a simulated one"))]
    fn run(&mut self, context: &mut Context) -> Result<(), Exit> {
        let idle = wait::idle(self.options.idle);
        #[cfg(target_os = "linux")]
        let mut files = Vec::with_capacity(self.lines.chips.len());
        for (place, found) in self.lines.chips.iter().enumerate() {
            let wanted = self.lines.wanted.iter().filter_map(|line| line.place);
            let offsets = wanted.filter(|wanted| wanted.0 == place).map(|wanted| wanted.1);
            let failed =
                |error: String| Exit::of("unable to watch line on chip '", found.spec.path(), &format!("': {error}"));
            match &found.chip {
                #[cfg(target_os = "linux")]
                OpenChip::File(file) => {
                    for offset in offsets {
                        file.watch(offset).map_err(|error| failed(strerror::of(&error)))?;
                    }
                    files.push(file);
                }
                // Tests have one simulated chip at most.
                OpenChip::Sim(chip) => {
                    let watcher = chip.watch_info(offsets.map(linewake::Offset::from));
                    let watcher = watcher.map_err(|error| failed(strerror::of_library(&error)))?;
                    self.banner(context);
                    return self.simulated(context, watcher, idle);
                }
            }
        }
        self.banner(context);
        #[cfg(target_os = "linux")]
        self.watch(context, &files, idle)?;
        Ok(())
    }

    fn banner(&self, context: &mut Context) {
        if self.options.banner {
            print::banner(&mut context.out, "Watching", self.ids);
        }
    }

    #[cfg(target_os = "linux")]
    fn watch(
        &mut self,
        context: &mut Context,
        files: &[&linewake::gpiochip::ChipFile],
        idle: Option<Duration>,
    ) -> Result<(), Exit> {
        loop {
            context.out.flush()?;
            let ready = wait::wait(files, rustix::event::PollFlags::IN, idle, "error polling for events")?;
            if ready.is_empty() {
                return Ok(());
            }
            for at in ready {
                let change = files[at]
                    .changed()
                    .map_err(|error| Exit::new(format!("unable to retrieve chip event: {}", strerror::of(&error))))?;
                if self.event(context, at, change.kind, change.timestamp_ns, &change.line.into()) {
                    return Ok(());
                }
            }
        }
    }

    fn simulated(
        &mut self,
        context: &mut Context,
        watcher: linewake::InfoWatcher,
        idle: Option<Duration>,
    ) -> Result<(), Exit> {
        let mut watchers = [watcher];
        loop {
            context.out.flush()?;
            let deadline = idle.and_then(|period| std::time::Instant::now().checked_add(period));
            let Some((_, Some(event))) = crate::commands::notify::next(&mut watchers, deadline) else { return Ok(()) };
            let event = event.map_err(|error| {
                Exit::new(format!("unable to retrieve chip event: {}", strerror::of_library(&error)))
            })?;
            let kind = EVENTS.iter().position(|name| *name == event.kind.as_str()).map_or(0, |at| at as u32 + 1);
            if self.event(context, 0, kind, event.timestamp_ns, &event.line.into()) {
                return Ok(());
            }
        }
    }

    /// Writes an event, unless `--event` leaves it out, and says whether it was the last.
    fn event(&mut self, context: &mut Context, chip: usize, kind: u32, ns: u64, line: &LineInfo) -> bool {
        if self.options.event.is_some_and(|event| event != kind) {
            return false;
        }
        if !self.options.quiet {
            self.show(context, chip, kind, ns, line);
        }
        self.done = self.done.wrapping_add(1);
        self.done == self.options.wanted
    }

    fn show(&self, context: &mut Context, chip: usize, kind: u32, ns: u64, line: &LineInfo) {
        let out = &mut context.out;
        let unquoted = self.options.unquoted;
        let event = (kind as usize).checked_sub(1).and_then(|at| EVENTS.get(at)).copied().unwrap_or("unknown");
        let chip_name = &self.lines.chips[chip].name;
        // The kernel stamps these events by the monotonic clock only.
        let time = |stamp: Stamp| if stamp == Stamp::Seconds { ns } else { utc_of(ns) };
        if let Some(format) = self.options.format {
            return print::format(out, format, |out, letter| {
                match letter {
                    b'a' => print::attributes(out, line, unquoted),
                    b'c' => out.printable(chip_name),
                    b'C' => out.printable(print::consumer(line)),
                    b'e' => out.number(kind),
                    b'E' => out.text(event),
                    b'l' => out.printable(if line.name.is_empty() { b"unnamed" } else { &line.name }),
                    b'L' => print::time(out, time(Stamp::Local), Stamp::Local),
                    b'o' => out.number(line.offset),
                    b'S' => print::time(out, ns, Stamp::Seconds),
                    b'U' => print::time(out, time(Stamp::Utc), Stamp::Utc),
                    _ => return false,
                }
                true
            });
        }
        print::time(out, time(self.options.stamp), self.options.stamp);
        out.text("\t");
        out.text(event);
        out.text("\t");
        let name = self.lines.name_of(chip, line.offset);
        print::line_id(out, chip_name, line.offset, name, self.options.scope.chip.is_some(), unquoted);
        out.text("\n");
    }
}

/// Converts a time of the monotonic clock to the time of day, by the difference of the two clocks now.
#[cfg(target_os = "linux")]
fn utc_of(ns: u64) -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let now = clock_gettime(clock);
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
    };
    let (before, monotonic, after) = (read(ClockId::Realtime), read(ClockId::Monotonic), read(ClockId::Realtime));
    ns.wrapping_add((before / 2 + after / 2).wrapping_sub(monotonic))
}

#[cfg(not(target_os = "linux"))]
fn utc_of(ns: u64) -> u64 {
    ns
}
