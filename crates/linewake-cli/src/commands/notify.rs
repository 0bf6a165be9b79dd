//! `linewake notify`: requests, releases and changed settings of lines.

use std::future::{Future as _, poll_fn};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use linewake::record::{Info, NamedChip, Record, Start};
use linewake::{InfoEvent, InfoEventKind, InfoWatcher, Stopper};
use overlapped::Port;

use crate::display::{Attributes, LineId, Printable, banner, consumer};
use crate::exit::{self, Code, Failure};
use crate::lines::{All, FoundLines, Scope};
use crate::readers;
use crate::settings::BEYOND;
use crate::signals::Meaning;
use crate::sinks::summary::plural;
use crate::stamp::Stamp;
use crate::{number, output, period, settings, signals, specifiers};

/// Say when lines are requested, released or reconfigured
///
/// Each event is a line on standard output: time, event, name of the line. For edges use "linewake mon".
#[derive(Debug, clap::Args)]
#[command(after_help = exit::help(
    "\
Examples:
  linewake notify door                       123.456789012<TAB>requested<TAB>\"door\"
  linewake notify -c 0                       every line of a chip
  linewake notify -n 1 -e released door      wait until it is released
  linewake notify --format '%U %E %l %C' door

Format specifiers:
  %o  offset of the line            %e  1 requested, 2 released, 3 reconfigured
  %l  its name, or unnamed          %E  the same in words
  %c  name of the chip              %S  time in seconds of the chip's clock
  %a  settings of the line          %U  time in UTC, estimated
  %C  its consumer                  %L  local time, estimated
  %%  a percent sign

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.",
    &[(Code::Early, ": fewer than -n events came")]
))]
pub(crate) struct Arguments {
    /// Lines: by name; by offset too, with --chip; or as CHIP:LINE. @SET is a set of lines of the
    /// configuration. With --chip all of its lines if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Print a line when the watch begins
    #[arg(long)]
    banner: bool,

    #[command(flatten)]
    scope: Scope,

    /// Only these events; all events unless given
    #[arg(short, long, value_name = "EVENT", value_parser = settings::one_of(EVENTS, InfoEventKind::as_str))]
    event: Option<InfoEventKind>,

    /// Write events in this format; see "Format specifiers"
    #[arg(short = 'F', long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,

    /// End when no event comes for this period
    #[arg(long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,

    /// Write times as local time
    #[arg(long, overrides_with = "utc")]
    localtime: bool,

    /// End after N events; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, allow_hyphen_values = true,
        value_parser = number::count())]
    num_events: u32,

    /// Write no events
    #[arg(short, long, visible_alias = "silent")]
    quiet: bool,

    /// Write names without quotes
    #[arg(long)]
    unquoted: bool,

    /// Write times as UTC
    #[arg(long, overrides_with = "localtime")]
    utc: bool,

    /// Write `start` and `info` records of docs/record.schema.json, one JSON object on each line
    #[arg(long, help_heading = BEYOND)]
    json: bool,
}

const EVENTS: &[InfoEventKind] = &[InfoEventKind::Requested, InfoEventKind::Released, InfoEventKind::Reconfigured];

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let lines = arguments.scope.resolve_or_all(&arguments.lines, All::Lines, &arguments.scope.consent.options())?;
    let mut watchers = Vec::new();
    for (chip, of_chip) in lines.by_chip() {
        watchers.push(chip.watch_info(of_chip.iter().map(|(_, line)| line.offset))?);
    }
    let has_left = Arc::new(AtomicBool::new(false));
    let stoppers: Vec<_> = watchers.iter().map(InfoWatcher::stopper).collect();
    let readers = (!arguments.quiet).then_some(readers::WatchedOutput::Stdout).into_iter().collect();
    let left = has_left.clone();
    signals::on_end_or_left(readers, move |meant| {
        left.fetch_or(meant == Meaning::Left, Ordering::Relaxed);
        stoppers.iter().for_each(Stopper::stop);
    })?;
    let mut out = output::standard();
    let mut watch = EventPrinter { arguments, lines: &lines, chips: lines.chip_names(), seen: 0 };
    let outcome = watch.run(&mut watchers, &mut out);
    let has_left = has_left.load(Ordering::Relaxed);
    let early = watch.early(&outcome, has_left);
    // Dropping the writer would try again to write the rest.
    let _ = out.into_parts();
    match outcome {
        // A terminal that is gone fails with an error of its own.
        Err(_) if has_left => {}
        Err(error) => exit::unwritten(&error)?,
        Ok(End::Enough | End::Idle | End::Stopped) => {}
        Ok(End::Failed(error)) => {
            let failure = Failure::from(error);
            if early.is_none() {
                return Err(failure);
            }
            failure.report();
        }
    }
    early.map_or(Ok(()), |early| Err(Failure::early(early)))
}

/// The reason for the end of the watch.
#[derive(Debug)]
enum End {
    Enough,
    Idle,
    /// A signal, or a reader that left.
    Stopped,
    Failed(linewake::Error),
}

struct EventPrinter<'a> {
    arguments: &'a Arguments,
    lines: &'a FoundLines,
    /// A name for each chip, all different.
    chips: Vec<Arc<str>>,
    /// The number of events so far.
    seen: u32,
}

type Out = BufWriter<StdoutLock<'static>>;

impl EventPrinter<'_> {
    fn run(&mut self, watchers: &mut [InfoWatcher], out: &mut Out) -> io::Result<End> {
        self.begin(out)?;
        let idle = self.arguments.idle_timeout.filter(|period| !period.is_zero());
        loop {
            out.flush()?;
            let deadline = idle.and_then(|period| Instant::now().checked_add(period));
            let Some((place, event)) = next(watchers, deadline) else { return Ok(End::Idle) };
            let Some(event) = event else { return Ok(End::Stopped) };
            let event = match event {
                Ok(event) => event,
                Err(error) => return Ok(End::Failed(error)),
            };
            if self.arguments.event.is_some_and(|wanted| wanted != event.kind) {
                continue;
            }
            if !self.arguments.quiet {
                self.event(out, place, &event)?;
            }
            self.seen += 1;
            if self.seen == self.arguments.num_events {
                out.flush()?;
                return Ok(End::Enough);
            }
        }
    }

    /// The message, if fewer events came than `-n` asks for.
    fn early(&self, outcome: &io::Result<End>, has_left: bool) -> Option<String> {
        let why = match outcome {
            Ok(End::Enough) => return None,
            Ok(End::Idle) => "--idle-timeout was over",
            Ok(End::Stopped) if !has_left => "a signal ended it",
            Ok(End::Stopped) | Err(_) => "its reader left",
            Ok(End::Failed(_)) => "the chip was gone",
        };
        let (seen, awaited) = (self.seen, self.arguments.num_events);
        let events = plural(awaited.into(), "event");
        (seen < awaited).then(|| format!("{seen} of {events} came, and {why}"))
    }

    fn begin(&self, out: &mut Out) -> io::Result<()> {
        // The banner is not a record.
        if self.arguments.banner && !self.arguments.json {
            out.write_all(banner("Watching", self.lines.lines.iter().map(|line| &*line.id)).as_bytes())?;
        }
        if self.arguments.json
            && !self.arguments.quiet
            && let Some(chip) = self.lines.chips.first()
        {
            let chips = self.chips.iter().zip(&self.lines.chips);
            let chips = chips.map(|(name, chip)| NamedChip::new(name, chip.info()));
            output::json(out, &Record::Start(Start::new(&chip.clock()).with_chips(chips)))?;
        }
        Ok(())
    }

    fn event(&self, out: &mut Out, place: usize, event: &InfoEvent) -> io::Result<()> {
        let chip = &self.lines.chips[place];
        let Arguments { unquoted, json, .. } = *self.arguments;
        if json {
            let called = Info { chip: (&*self.chips[place]).into(), ..Info::from(event) };
            return output::json(out, &Record::Info(called));
        }
        let line = &event.line;
        // A gpiochip stamps these events by the monotonic clock only.
        let time = |stamp: Stamp| {
            let to_utc = || chip.clock().utc.map_or(0, |utc| utc.offset_ns);
            stamp.of(if stamp == Stamp::Seconds {
                event.timestamp_ns
            } else {
                event.timestamp_ns.saturating_add_signed(to_utc())
            })
        };
        if let Some(format) = &self.arguments.format {
            return specifiers::write(out, format, |out, letter| {
                Some(match letter {
                    'a' => write!(out, "{}", Attributes { line, unquoted }),
                    'c' => write!(out, "{}", Printable(&self.chips[place])),
                    'C' => write!(out, "{}", Printable(consumer(line))),
                    'e' => write!(out, "{}", libgpiod_number(event.kind)),
                    'E' => write!(out, "{}", event.kind.as_str()),
                    'l' => write!(out, "{}", Printable(line.name.as_deref().unwrap_or("unnamed"))),
                    'L' => write!(out, "{}", time(Stamp::Local)),
                    'o' => write!(out, "{}", line.offset),
                    'S' => write!(out, "{}", time(Stamp::Seconds)),
                    'U' => write!(out, "{}", time(Stamp::Utc)),
                    _ => return None,
                })
            });
        }
        let stamp = match (self.arguments.utc, self.arguments.localtime) {
            (true, _) => Stamp::Utc,
            (_, true) => Stamp::Local,
            _ => Stamp::Seconds,
        };
        let id = LineId {
            chip: &self.chips[place],
            offset: line.offset.get(),
            name: self.lines.label(place, line.offset).or(line.name.as_deref()),
            with_chip: self.arguments.scope.has_chip(),
            unquoted,
        };
        writeln!(out, "{}\t{}\t{id}", time(stamp), event.kind.as_str())
    }
}

/// The number of an event in libgpiod.
fn libgpiod_number(kind: InfoEventKind) -> u8 {
    match kind {
        InfoEventKind::Requested => 1,
        InfoEventKind::Released => 2,
        InfoEventKind::Reconfigured => 3,
    }
}

/// Waits for the next event of any chip, and gives it with the index of the chip; `None` at the deadline.
pub(crate) fn next(
    watchers: &mut [InfoWatcher],
    deadline: Option<Instant>,
) -> Option<(usize, Option<Result<InfoEvent, linewake::Error>>)> {
    let next = poll_fn(|cx| {
        for (place, watcher) in watchers.iter_mut().enumerate() {
            if let Poll::Ready(event) = pin!(watcher.next()).poll(cx) {
                return Poll::Ready((place, event));
            }
        }
        Poll::Pending
    });
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    match Port::global().and_then(|port| port.block_on_timeout(next, left)) {
        Ok(next) => next,
        Err(error) => Some((0, Some(Err(error.into())))),
    }
}
