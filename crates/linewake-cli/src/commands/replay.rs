//! `linewake replay`: plays a capture into the same outputs as a watch.

mod bell;
mod ledger;
mod lines;
mod pipe;
mod player;
mod speed;

use std::collections::VecDeque;
use std::iter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use linewake::filter::{Filter, LineFilter};
use linewake::{Bias, Clock, Edges};
use linewake_capture::{Capture, Error, Item};

use self::bell::Bell;
use self::lines::LineTable;
use self::pipe::Plug;
use self::player::{EndCause, Plan, PlayError, Player};
use self::speed::Speed;
use super::mon::{options, outcome};
use crate::display::Printable;
use crate::exit::{self, Code, Failure};
use crate::signals::Meaning;
use crate::sinks::distinct::Inputs;
use crate::sinks::options::OutputOptions;
use crate::sinks::sink::{Closing, Sinks};
use crate::sinks::summary::{plural, summary};
use crate::sinks::{destination, notices, text, unfinished};
use crate::{number, period, settings, signals, threads};

/// Play a capture, and print its edges
///
/// A capture is a record stream from "linewake record" or "linewake mon --json", a table from "linewake mon --csv", or
/// a waveform, whose bits are lines. It may be compressed (gzip, zstd), and "-" is standard input. The contents decide
/// the format, not the name. The capture is played with its timing, faster, slower, or as fast as it can be read, and
/// written with the same options as those of mon.
///
/// Lines have the names, chips, numbers and time stamps of the capture, whatever the speed. Losses are shown as they
/// were shown then. Periods of options are in the time of the capture. Where a clock was set, the stamps show it, and
/// the timing does not jump.
///
/// A file may hold several captures, one behind the other, as ">>" and a service that starts again leave them. They are
/// played one after the other, without waiting in between; --json has an account of each.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples:
  linewake replay door.jsonl                        with its timing
  linewake replay door.jsonl --fast --vcd door.vcd  make a waveform of a capture
  linewake replay bench.vcd --speed 0.1 clk data    two lines of a waveform, ten times slower
  linewake replay cpu.vcd.zst --fast 'PORTB[0]'     a bit of a vector
  ssh pi cat door.jsonl.gz | linewake replay -      from elsewhere",
        &[
            (Code::Loss, "; takes precedence over 3"),
            (Code::Early, ": fewer than -n edges came, or a signal ended the replay before its end"),
        ]
    )
)]
pub(crate) struct Arguments {
    /// File with the capture; "-" is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Lines, each as a name, an offset or CHIP:LINE; all lines of the capture if none is given. Of a waveform with
    /// more than 1024 bits some have to be named; a vector is all of its bits
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Factor of the speed; below 1 is slower than it was
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = Speed::parse, allow_hyphen_values = true)]
    speed: Speed,

    /// Play as fast as the file can be read
    #[arg(long)]
    fast: bool,

    /// Level of a wire that nobody drives (z) in a waveform: pull-up is high, pull-down is low; unknown unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::one_of(BIASES, Bias::as_str))]
    bias: Option<Bias>,

    /// End after N edges; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, hide_default_value = true, allow_hyphen_values = true,
        value_parser = number::count())]
    num_events: u32,

    /// End when no edge comes for this period
    #[arg(long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,

    /// End this long after the first edge
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    period: Option<Duration>,

    /// Print statistics on standard error this often, for each line: edges, missing edges, the level
    #[arg(long, value_name = "PERIOD", value_parser = options::some_period, allow_hyphen_values = true)]
    stats: Option<Duration>,

    /// Filter the edges, as "linewake mon --filter" does
    #[arg(long, value_name = "FILTER", value_parser = options::filter)]
    filter: Option<Filter>,

    /// Exit with 2 if an edge was lost in the capture (overflowed or merged), or if a chip was gone
    #[arg(long)]
    fail_on_loss: bool,

    #[command(flatten)]
    output: OutputOptions,
}

/// A disabled bias gives an undriven wire no level.
const BIASES: &[Bias] = &[Bias::PullDown, Bias::PullUp];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Printable(&error.to_string()).to_string())
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(filter) = &arguments.filter {
        LineFilter::new(filter, Edges::Both, None)?;
    }
    let name = Printable(&arguments.file.display().to_string()).to_string();
    let (is_asked, bell) = (Arc::new(AtomicBool::new(false)), Bell::default());
    let (mut capture, plug) = arguments.open(&name)?;
    let end =
        EndSwitch { is_asked: is_asked.clone(), has_left: Arc::default(), bell: bell.clone(), plug: plug.clone() };
    let has_left = end.has_left.clone();
    let told = end.clone();
    signals::on_end_or_left(arguments.output.prints().into_iter().collect(), move |meant| told.tell(meant))?;
    let (table, ahead) = lines_of(arguments, &name, &mut capture, plug.is_none())?;
    let mut sinks = sinks(arguments, &table, &ahead, &is_asked)?;
    sinks.readers_of_files().watch(move || end.tell(Meaning::Left))?;
    let plan = arguments.plan();
    let input = (&mut capture, ahead);
    let mut player = Player::new(plan, input, table, arguments.filter, &mut sinks, (&is_asked, &bell))?;
    let played = player.run();

    let (all, of_segment) = (player.ledger.all(&player.table), player.ledger.segment(&player.table));
    let (segments, told, gaps, over) = (player.segments, player.told, player.gaps, player.over);
    let tally = player.tally();
    if segments > 1 {
        exit::say(&format!("\"{name}\" has {}, one after the other\n", plural(segments, "segment")));
    }
    let (accounts, tallies) = all;
    let threads = threads::count();
    let ended = sinks.end(Closing {
        accounts: &accounts,
        tallies: tallies.as_deref(),
        threads,
        now_ns: None,
        of_last: (segments > 1).then_some((&of_segment.0, of_segment.1.as_deref())),
    });
    let is_written = ended.is_ok() && !matches!(played, Err(PlayError::Output(_)));
    if let Some(tally) = tally {
        notices::filter(tally);
    }
    if !arguments.output.has_json_on_stdout() || !is_written {
        exit::say(&summary(&accounts, threads));
    }
    let lost = if arguments.fail_on_loss { outcome::loss(&accounts, gaps) } else { Ok(()) };
    let has_left = has_left.load(Relaxed);
    let early = arguments.early(told, &played, over, has_left);
    let ended = ended.as_ref().err();
    match played {
        Err(PlayError::Output(lost)) => outcome::outputs_failed(iter::once(&lost).chain(ended), has_left)?,
        Ok(()) => outcome::outputs_failed(ended, has_left)?,
        Err(PlayError::Capture(error)) => {
            if let Err(lost) = outcome::outputs_failed(ended, has_left) {
                lost.report();
            }
            return Err(error.into());
        }
    }
    outcome::verdict(lost, early)
}

/// The lines that are played, and the items that were read to find them.
fn lines_of(
    arguments: &Arguments,
    name: &str,
    capture: &mut Capture,
    is_file: bool,
) -> Result<(LineTable, VecDeque<Item>), Failure> {
    capture.pull(arguments.bias.map(|bias| bias == Bias::PullUp));
    // A waveform lists its lines at the beginning. Then the capture itself leaves out the lines that were not chosen.
    let has_chosen = capture.choose(&arguments.lines)?;
    let mut table = LineTable::new(if has_chosen { &[] } else { &arguments.lines });
    let ahead = player::look_ahead(capture, &mut table)?;
    if capture.lines().is_empty() {
        let remedy = "a capture has a state record for each line, as \"linewake record\" writes it";
        return Err(Failure::new(format!("\"{name}\" has no lines; {remedy}")));
    }
    if !has_chosen && is_file && (!table.is_complete() || arguments.output.has_vcd()) {
        // Later segments may have other lines, and a waveform names all lines at its beginning.
        outline(arguments, name, &mut table)?;
        // A line that has several names is called by the first one.
        (0..capture.lines().len()).for_each(|line| _ = table.call(capture, line));
    }
    table.missing(name, capture)?;
    Ok((table, ahead))
}

/// Opens all places that the capture is written to.
fn sinks(
    arguments: &Arguments,
    table: &LineTable,
    ahead: &VecDeque<Item>,
    is_asked: &Arc<AtomicBool>,
) -> Result<Sinks, Failure> {
    let clock = ahead.iter().find_map(|item| match item {
        Item::Begin(segment) => Some(Clock::recorded(&segment.clock, segment.utc)),
        _ => None,
    });
    let output = &arguments.output;
    let time = output.stamp(None);
    text::check_clock(time, &clock.unwrap_or_else(|| Clock::recorded("", None)))?;
    let destinations = output.destinations(time, table.chips.len() > 1);
    destination::open(destinations, output.existing(), &Inputs::capture(&arguments.file), is_asked)
}

/// Reads a file once to know all of its lines.
fn outline(arguments: &Arguments, name: &str, table: &mut LineTable) -> Result<(), Failure> {
    let (mut capture, _) = arguments.open(name)?;
    // Errors are reported when the capture is played.
    while let Ok(Some(item)) = capture.next() {
        if let Item::Line(line) = item {
            table.call(&capture, line);
        }
    }
    table.missing(name, &capture)
}

impl Arguments {
    fn open(&self, name: &str) -> Result<(Capture, Option<Plug>), Failure> {
        match pipe::open(&self.file).map_err(|error| Capture::cannot_read(name, &error))? {
            Some((pipe, plug)) => Ok((Capture::read(name, pipe)?, Some(plug))),
            None => Ok((Capture::open(&self.file)?, None)),
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            speed: (!self.fast).then_some(self.speed),
            edges: Some(u64::from(self.num_events)).filter(|&edges| edges > 0),
            period: self.period,
            // Zero means no timeout, as in mon.
            idle: self.idle_timeout.filter(|idle| !idle.is_zero()),
            stats: self.stats,
        }
    }

    /// The message if it ended before all awaited edges came.
    fn early(
        &self,
        told: u64,
        played: &Result<(), PlayError>,
        over: Option<EndCause>,
        has_left: bool,
    ) -> Option<String> {
        let why = match (played, over) {
            (Err(PlayError::Capture(_)), _) => return None,
            (Err(PlayError::Output(_)), _) => "its reader left",
            (Ok(()), Some(EndCause::Asked)) if has_left => "its reader left",
            (Ok(()), Some(EndCause::Asked)) => "a signal ended it",
            (Ok(()), Some(EndCause::Period)) => "--for was over",
            (Ok(()), Some(EndCause::Idle)) => "--idle-timeout was over",
            (Ok(()), Some(EndCause::Enough)) => return None,
            (Ok(()), None) => "the capture was over",
        };
        if self.num_events > 0 {
            let edges = plural(self.num_events.into(), "edge");
            return Some(format!("{told} of {edges} came, and {why}"));
        }
        (over == Some(EndCause::Asked) && played.is_ok() && !has_left)
            .then(|| format!("not all of the capture was played: {why}"))
    }
}

/// Ends the player from another thread.
#[derive(Clone)]
struct EndSwitch {
    is_asked: Arc<AtomicBool>,
    has_left: Arc<AtomicBool>,
    bell: Bell,
    plug: Option<Plug>,
}

impl EndSwitch {
    /// The first signal, or a reader that leaves, ends the player and prints the summary. A second signal ends the
    /// program at once, because the output may be stuck.
    fn tell(&self, meant: Meaning) {
        let is_second = self.is_asked.swap(true, Relaxed);
        if meant == Meaning::Left {
            self.has_left.store(true, Relaxed);
        } else if is_second {
            unfinished::end_process();
        }
        self.bell.ring();
        if let Some(plug) = &self.plug {
            plug.end();
        }
    }
}
