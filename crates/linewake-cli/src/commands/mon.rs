//! `linewake mon`: prints the edges of lines as they happen.

mod nudge;
pub(crate) mod source;
pub(crate) mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use linewake::filter::{Filter, LineFilter};
use linewake::record::NamedChip;
use linewake::{Account, Bias, Clock, Edges, EventClock, LineConfig, Monitor, Stopper};

use self::nudge::Nudge;
use self::source::Source;
use self::watch::{Ended, Now, Pace, Watch};
use crate::exit::{self, Code, Failure};
use crate::lines::{All, Scope};
use crate::readers::{Destination, Readers};
use crate::settings::BEYOND;
use crate::signals::Meaning;
use crate::sinks::csv::{self, Csv};
use crate::sinks::exec::Exec;
pub(crate) use crate::sinks::files::Keeping;
use crate::sinks::files::{Format, place};
use crate::sinks::json::Json;
use crate::sinks::select::Selection;
use crate::sinks::sink::{Closing, Lost, Out, Sinks, View};
use crate::sinks::summary;
use crate::sinks::text::{self, Look, Text};
use crate::sinks::vcd::{Timescale, Vcd};
use crate::stamp::Stamp;
use crate::{number, period, settings, signals, threads};

/// Print the edges of lines as they happen, and account for every one
///
/// Each edge is a line on standard output: time, direction, line. An edge that others were lost before says how many. At
/// the end a summary on standard error says how many edges were delivered and how many lost, and where:
///
///   overflowed  dropped from the driver's full queue, because this program did not take them in time
///   merged      followed each other too fast, and were one to the driver
///   discarded   were on their way when the program ended
///
/// Where nothing else is said the figures are exact: delivered and lost together are all edges that happened. "at least"
/// stands before figures that may be too low: the device is gone, could not be asked, or does not count. "about" stands
/// before some that may be wrong either way: a gpiochip's, where edges came faster than a machine of several processors
/// handles them.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Format specifiers:
  %o  offset of the line            %S  time in seconds
  %l  name of the line              %U  time in UTC
  %c  name of the chip              %L  time in the local time zone
  %e  1 for rising, 2 for falling   %q  number of the edge, of all lines of the request
  %E  rising or falling             %Q  number of the edge, of its line
  %%  a percent sign                %m  how many edges are missing before it

Columns of --csv:
  timestamp_ns, chip, offset, name, event, level, seqno, line_seqno, overflowed, merged
  event is state (the level at the start), rising, falling, gone or back (the chip), blocked or unblocked (the line, by
  a chatter filter), or clock (it stepped); the last two columns say how many edges are missing before an edge, and why.
  What does not apply is -1 in offset and level, else 0: no cell of a number is empty. docs/csv.md has all rules. In pandas:
  d = pandas.read_csv(FILE, keep_default_na=False); d[d.event.isin([\"rising\", \"falling\"])].timestamp_ns.diff()
  A spreadsheet has 15 digits in a number: import the first column as text.

Files:
  A file that is there is emptied, unless --append is given, or systemd, OpenRC or supervisord started this without a
  terminal: a service that starts again keeps what it wrote. Other managers, and those of Windows, need --append. A record
  stream goes on with a further start record, CSV below the header it has, both on a new line; a waveform cannot go on:
  door.vcd is renamed to door.1.vcd, then door.2.vcd, and a new one begins.
  SIGHUP, which ends nothing, has all files opened again, as logrotate wants it: each begins whole, with the levels as they
  are then, and the old one is closed whole, with its account. A waveform is renamed as with --append. If a file cannot be
  opened, that is said and the old one goes on. Windows has no SIGHUP. Where the terminal is gone from which this was
  started, SIGHUP ends the watch, unless nohup started it. JSON and CSV may also be copied and emptied (copytruncate).
  A file that was removed while it was written is an error at the end.
  A waveform has one writer: a second command on its file is refused. Where edges were lost it is made anew at the end,
  beside the file as linewake-*.part or among temporary files (TMPDIR), and takes the file's place, with its owner and
  its rights. A file that was renamed, or has a second name or another owner, is written over. Where FILE is a link,
  that stays, and what it leads to is the waveform.

The command of --exec has the edge in its environment: LINEWAKE_CHIP, LINEWAKE_OFFSET, LINEWAKE_NAME, LINEWAKE_EVENT
(rising or falling), LINEWAKE_TIMESTAMP_NS, LINEWAKE_AXIS_NS (the same, but it goes on where the clock steps),
LINEWAKE_SEQNO, LINEWAKE_LINE_SEQNO, LINEWAKE_MISSING. At the end it is still run for the edges that wait, but not after
Ctrl-C or a signal: then the one that runs is waited for.

Examples:
  linewake mon door bell                   two lines, wherever they are
  linewake mon -c sim                      every input of a simulated chip, until Ctrl-C
  linewake mon -c sim --for 5s pps door    two lines, for five seconds
  linewake mon -c sim -n 10 --json | jq .  ten edges, as records for programs
  linewake mon -c sim --vcd sim.vcd        a waveform, and the edges on standard output
  linewake mon -c '\\\\.\\LineWake0' 0 1 2    three lines of a Windows driver's device

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.
FILE \"-\" is standard output; what else would be there is left out. A waveform needs a file.

The first Ctrl-C ends the watch with its summary; a second one ends the program at once, with 1.",
        &[(Code::Loss, "; this goes before 3"), (Code::Early, ": fewer than -n edges came")]
    )
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) lines: Lines,

    #[command(flatten)]
    pub(crate) ending: Ending,

    #[command(flatten)]
    pub(crate) output: Output,
}

// No documentation comment, here and below: it would be taken for that of the command which has it.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// Say which lines are watched, once they are
    #[arg(long)]
    banner: bool,

    /// What is written of an edge; see "Format specifiers"
    #[arg(short = 'F', long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,

    /// Print the levels of the lines at the start
    #[arg(short = 'I', long)]
    initial_state: bool,

    /// Print these levels as 0 and 1
    #[arg(short = 'N', long)]
    numeric: bool,

    /// Print no edges
    #[arg(short, long, visible_alias = "silent")]
    quiet: bool,

    /// Print names without quotes
    #[arg(long)]
    unquoted: bool,

    /// Print times as local time; edges are stamped with the time of day unless -E says otherwise
    #[arg(long, overrides_with = "utc")]
    localtime: bool,

    /// Print times as UTC; edges are stamped with the time of day unless -E says otherwise
    #[arg(long, overrides_with = "localtime")]
    utc: bool,

    /// Write the record stream: one JSON object a line, by docs/record.schema.json; the summary is its last record
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-",
        help_heading = BEYOND)]
    json: Option<PathBuf>,

    /// Write integers of 64 bits as strings in the record stream: jq 1.6 and JavaScript round numbers above 2^53
    #[arg(long, requires = "json", help_heading = BEYOND)]
    json_strings: bool,

    /// Write comma-separated values; see "Columns"
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-",
        help_heading = BEYOND)]
    csv: Option<PathBuf>,

    /// Write a waveform, for GTKWave, Surfer and PulseView. Where edges are known lost the line is x, and a wire beside it,
    /// LINE_lost, is 1. Its time begins with the first edge and goes on where a clock steps: a comment at the end says so
    #[arg(long, value_name = "FILE", help_heading = BEYOND)]
    vcd: Option<PathBuf>,

    /// How fine its time is: 1, 10 or 100 with ns, us or ms. PulseView needs memory for every tick. An edge within a tick of
    /// the one before is hidden by it, and counted; with 1ns it is shown one tick later
    #[arg(long, value_name = "TIME", default_value = "1us", value_parser = Timescale::parse,
        allow_hyphen_values = true, help_heading = BEYOND)]
    vcd_timescale: Timescale,

    #[command(flatten)]
    keeping: Keeping,

    /// Run this by the shell for every edge, one at a time; see below
    #[arg(long, value_name = "COMMAND", help_heading = BEYOND)]
    exec: Option<OsString>,

    /// Ignore edges of a line for so long after one that ran the command
    #[arg(long, value_name = "PERIOD", default_value = "0", value_parser = period::parse,
        allow_hyphen_values = true, help_heading = BEYOND)]
    exec_cooldown: Duration,

    /// How many edges may wait for the command; others are counted, and do not run it
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = number::within(1..=u16::MAX),
        allow_hyphen_values = true, help_heading = BEYOND)]
    exec_queue: u16,
}

// Which lines, and how they are held.
#[derive(Debug, clap::Args)]
pub(crate) struct Lines {
    #[command(flatten)]
    scope: Scope,

    /// Lines: by name; by offset too, with --chip; or as CHIP:LINE. @SET is a set of lines of the
    /// configuration. With --chip all of its inputs if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// Treat the low level as the active one: rising is to low
    #[arg(short = 'l', long)]
    active_low: bool,

    /// What pulls the lines when nothing drives them; left as it is unless given
    #[arg(short, long, value_name = "BIAS", value_parser = settings::bias())]
    bias: Option<Bias>,

    /// Who holds the lines, for others to see [default: gpiomon]
    #[arg(short = 'C', long, value_name = "NAME", default_value = "gpiomon", hide_default_value = true)]
    consumer: String,

    /// Which edges
    #[arg(short, long, value_name = "EDGES", value_parser = settings::edges(), default_value = "both")]
    edges: Edges,

    /// Which clock stamps them; monotonic unless given
    #[arg(short = 'E', long, value_name = "CLOCK", value_parser = settings::event_clock())]
    event_clock: Option<EventClock>,

    /// Have the chip ignore changes shorter than this. Linux stamps the edge at the end of the quiet period
    #[arg(short = 'p', long, visible_alias = "debounce", value_name = "PERIOD", value_parser = period::parse,
        allow_hyphen_values = true)]
    debounce_period: Option<Duration>,

    /// How many events the driver queues before it drops the oldest; 0 is its default [default: 1024 on a gpiochip, else 16
    /// for each line]
    #[arg(long, value_name = "N", value_parser = number::within(0..=u32::MAX), allow_hyphen_values = true,
        help_heading = BEYOND)]
    queue_size: Option<u32>,

    /// Make the life of a simulated chip from this number; the same number gives the same edges [default: 1]
    #[arg(long, value_name = "N", value_parser = number::within(0..=u64::MAX), allow_hyphen_values = true,
        help_heading = BEYOND)]
    pub(crate) seed: Option<u64>,
}

// When it ends, and what it says meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Ending {
    /// End after N edges; 0 is no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, allow_hyphen_values = true,
        value_parser = number::count())]
    num_events: u32,

    /// End when no edge comes for this period
    #[arg(long, value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true)]
    idle_timeout: Option<Duration>,

    /// End after this period
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse, allow_hyphen_values = true,
        help_heading = BEYOND)]
    period: Option<Duration>,

    /// Wait for a chip that is unplugged, and go on when it is back
    #[arg(long, help_heading = BEYOND)]
    reattach: bool,

    /// Say this often on standard error, line by line: edges, their rate by the stamps of the last ones, with a unit how
    /// much they are and were in all, what is missing, the level, and how long after their time stamp they were written
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    stats: Option<Duration>,

    /// Show this often that it is alive: a record in a record stream, or else a line on standard error
    #[arg(long, value_name = "PERIOD", value_parser = some_period, allow_hyphen_values = true, help_heading = BEYOND)]
    heartbeat: Option<Duration>,

    /// Write what passes a filter: a preset (button, reed, relay, encoder), settings (debounce=5ms, press=5ms, release=20ms,
    /// stamp=first, glitch=50us, chatter=100/s, resume=50), or both with commas between them; none is no filter
    #[arg(long, value_name = "FILTER", value_parser = filter, help_heading = BEYOND)]
    filter: Option<Filter>,

    /// Exit with 2 if an edge was lost: overflowed or merged, or a chip was gone
    #[arg(long, help_heading = BEYOND)]
    fail_on_loss: bool,
}

/// How long edges of one chip may gather. Those of several have to be put in order, and gather for no longer than is waited for
/// late ones.
const GATHER: Duration = Duration::from_millis(4);

pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|error: linewake::Error| error.to_string())
}

/// One that is not nothing.
pub(crate) fn some_period(text: &str) -> Result<Duration, String> {
    match period::parse(text)? {
        Duration::ZERO => Err("it is a period above zero".to_owned()),
        period => Ok(period),
    }
}

impl Lines {
    /// Opens the chips and finds the lines.
    fn select(&self, ending: &Ending) -> Result<Selection, Failure> {
        let mut options = self.scope.consent.options();
        if let Some(period) = ending.period {
            options = options.start_timeout(period.clamp(SOON, SILENT));
        }
        if let Some(seed) = self.seed {
            options = options.seed(seed);
        }
        Ok(Selection::new(&self.scope.resolve_or_all(&self.lines, All::Inputs, &options)?))
    }

    /// How they are held.
    fn config(&self, clock: EventClock) -> Result<LineConfig, Failure> {
        let mut config = LineConfig::watch(self.edges).active_low(self.active_low).clock(clock);
        config.bias = self.bias;
        if let Some(debounce) = self.debounce_period {
            let us = debounce.as_micros();
            if us > u32::MAX.into() {
                let message = format!("maximum debounce period is {}us, got {us}us", u32::MAX);
                return Err(Failure::new(message));
            }
            config.debounce = debounce;
        }
        Ok(config)
    }

    fn monitor(&self, selection: &Selection, clock: EventClock, reattach: bool) -> Result<Monitor, Failure> {
        let config = self.config(clock)?;
        let mut builder = Monitor::builder().states(true).reattach(reattach);
        for (chip, offsets) in &selection.requests {
            let mut request = chip.request().lines(offsets.iter().copied()).config(config).consumer(&*self.consumer);
            if let Some(events) = self.queue_size {
                request = request.queue_size(events);
            }
            if let [_] = selection.requests[..] {
                request = request.gather(GATHER);
            }
            builder = builder.request(request);
        }
        Ok(builder.start()?)
    }
}

impl Output {
    /// How times are written, and which clock the edges are to be stamped by if it is said.
    fn time(&self, said: Option<EventClock>, selection: &Selection) -> (Stamp, EventClock) {
        let time = match (self.utc, self.localtime) {
            (true, _) => Stamp::Utc,
            (_, true) => Stamp::Local,
            _ if said == Some(EventClock::Realtime) => Stamp::Utc,
            _ => Stamp::Seconds,
        };
        let can = || selection.requests.iter().all(|(chip, _)| chip.capabilities().realtime);
        let clock = match said {
            Some(clock) => clock,
            None if time != Stamp::Seconds && can() => EventClock::Realtime,
            None => EventClock::Monotonic,
        };
        (time, clock)
    }

    /// How times of a recording are written.
    pub(crate) fn recorded_time(&self) -> Stamp {
        match (self.utc, self.localtime) {
            (true, _) => Stamp::Utc,
            (_, true) => Stamp::Local,
            _ => Stamp::Seconds,
        }
    }

    pub(crate) fn has_vcd(&self) -> bool {
        self.vcd.is_some()
    }

    pub(crate) fn sinks(
        &self,
        time: Stamp,
        with_chip: bool,
        clock: &Clock,
        is_asked: &Arc<AtomicBool>,
    ) -> Result<Sinks, Failure> {
        let files = [("--json", &self.json), ("--csv", &self.csv), ("--vcd", &self.vcd)];
        let files: Vec<_> = files.iter().filter_map(|(option, path)| Some((option, path.as_deref()?))).collect();
        for (at, (option, path)) in files.iter().enumerate() {
            if let Some((other, _)) = files[..at].iter().find(|(_, other)| other == path) {
                let place = place(path);
                let message = format!("{other} and {option} both write to {place}; say with {option}=FILE where to");
                return Err(Failure::new(message));
            }
        }
        let mut sinks = Sinks::new();
        let to_stdout = files.iter().any(|(_, path)| path.as_os_str() == "-");
        let to_utc_ns = text::to_utc_ns(clock);
        if time != Stamp::Seconds && to_utc_ns.is_none() {
            let message = "it is not known how the clock \"{}\" goes with UTC; leave out --utc and --localtime";
            return Err(Failure::new(message.replace("{}", clock.name.as_str())));
        }
        if !to_stdout {
            let colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
            let look = Look {
                format: self.format.clone(),
                time,
                unquoted: self.unquoted,
                with_chip,
                initial: self.initial_state,
                numeric: self.numeric,
                quiet: self.quiet,
                banner: self.banner,
                colour,
            };
            sinks.add("standard output", Text::new(Out::new(standard_output(colour)), look, to_utc_ns.unwrap_or(0)));
        }
        let existing = self.keeping.existing();
        for (option, path) in files {
            match *option {
                "--json" => {
                    sinks.add(place(path), Json::new(Out::open(path, Format::Records, existing)?, self.json_strings))
                }
                "--csv" => sinks.add(place(path), Csv::new(Out::open(path, Format::Rows(csv::HEAD), existing)?)),
                _ => sinks.add(place(path), Vcd::open(path, self.vcd_timescale, existing)?),
            }
        }
        if let Some(command) = &self.exec {
            let exec = Exec::new(command.clone(), self.exec_queue.into(), self.exec_cooldown, is_asked.clone());
            let cannot =
                |error| Failure::new(format!("cannot start the thread for --exec: {error}; end other programs"));
            sinks.add("--exec", exec.map_err(cannot)?);
        }
        Ok(sinks)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { lines, ending, output } = arguments;
    let selection = lines.select(ending)?;
    let (time, clock) = output.time(lines.event_clock, &selection);
    let filter = ending.filter(lines.edges)?;
    let began = Instant::now();
    let monitor = lines.monitor(&selection, clock, ending.reattach)?;
    let is_asked = Arc::default();
    let sinks = output.sinks(time, lines.scope.has_chip(), &monitor.clock(), &is_asked)?;
    let plan = Plan {
        began,
        pace: ending.pace(output.json.is_none()),
        filter,
        says_summary: !output.has_json_on_stdout(),
        fail_on_loss: ending.fail_on_loss,
        is_asked,
    };
    account_for(&selection, monitor, sinks, plan)
}

/// Watches, and writes the record stream to a file.
pub(crate) fn record(lines: &Lines, ending: &Ending, keeping: Keeping, file: &Path) -> Result<(), Failure> {
    let selection = lines.select(ending)?;
    let filter = ending.filter(lines.edges)?;
    if selection.lines.iter().any(|line| line.name.as_deref().is_some_and(|name| file.as_os_str() == name)) {
        let file = file.display();
        let remedy = format!("say \"./{file}\" if it is to be the file; the file comes first, and then the lines");
        return Err(Failure::new(format!("\"{file}\" is the name of a line, and was given as the file; {remedy}")));
    }
    let began = Instant::now();
    let monitor = lines.monitor(&selection, lines.event_clock.unwrap_or_default(), ending.reattach)?;
    // Not before there is something to write: what is there is overwritten.
    let mut sinks = Sinks::new();
    sinks.add(place(file), Json::new(Out::open(file, Format::Records, keeping.existing())?, false));
    let pace = ending.pace(false);
    account_for(
        &selection,
        monitor,
        sinks,
        Plan { began, pace, filter, says_summary: true, fail_on_loss: ending.fail_on_loss, is_asked: Arc::default() },
    )?;
    exit::say(&format!("written to {}\n", place(file)));
    Ok(())
}

/// Of a watch that ends after a period: how soon and how late a program that has not said its lines is given up.
const SOON: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(10);

/// How a watch is done.
struct Plan {
    /// Before the lines were taken.
    began: Instant,
    pace: Pace,
    filter: Option<Filter>,
    /// On standard error, if all goes well.
    says_summary: bool,
    fail_on_loss: bool,
    /// Whether the user has asked for the end.
    is_asked: Arc<AtomicBool>,
}

/// Watches until the end, and says what became of every edge, whatever happens.
fn account_for(selection: &Selection, monitor: Monitor, mut sinks: Sinks, plan: Plan) -> Result<(), Failure> {
    let nudge = Arc::new(Nudge::default());
    let has_left = Arc::new(AtomicBool::new(false));
    listen(sinks.readers(), monitor.stopper(), nudge.clone(), plan.is_asked.clone(), has_left.clone())?;
    let clock = monitor.clock();
    let now = Now::read(&clock);
    let mut selection = selection.clone();
    selection.call_chips(&monitor);
    let chips: Vec<_> =
        (0..selection.requests.len()).filter_map(|request| monitor.chip_name(request).cloned()).collect();
    let named = chips.iter().zip(&selection.requests).map(|(name, (chip, _))| NamedChip::new(name, chip.info()));
    let named: Vec<_> = named.collect();
    let view =
        View { clock: &clock, chips: &named, began_ns: now.at(plan.began), lines: &selection.lines, origin: None };
    let mut source = Source::new(monitor, plan.filter)?;
    let mut watch = Watch::new(plan.pace, &selection, &mut sinks, now, plan.began);
    let outcome = watch.run(&mut source, view, &nudge);
    let (gaps, has_all) = (watch.gaps, watch.has_all());
    let has_left = has_left.load(Relaxed);
    let early = watch.early(&outcome, plan.is_asked.load(Relaxed), has_left);

    let (accounts, tallies) = source.finish();
    let accounts: Vec<_> = chips.iter().map(|name| name.to_string()).zip(accounts).collect();
    let threads = threads::count();
    let closing = Closing {
        accounts: &accounts,
        tallies: tallies.as_deref(),
        threads,
        now_ns: now.at(Instant::now()),
        of_last: None,
    };
    let ended = sinks.end(closing);
    let is_written = ended.is_ok() && !matches!(outcome, Err(Ended::Output(_)));
    if plan.says_summary || !is_written {
        exit::say(&summary::summary(&accounts, threads));
    }
    let lost = if plan.fail_on_loss { loss(&accounts, gaps) } else { Ok(()) };
    match (outcome, ended) {
        (Err(Ended::Output(lost)), _) | (Ok(()), Err(lost)) => output_failed(&lost, has_left)?,
        (Err(Ended::Device(error)), _) => {
            let is_gone = error.is_disconnected();
            let mut failure = Failure::from(error);
            if is_gone {
                failure = failure.with_remedy("--reattach waits until it is back");
            }
            // That edges were lost is what was asked for, and the more so when the chip is gone.
            if lost.is_ok() && early.is_none() {
                return Err(failure);
            }
            failure.report();
        }
        (Ok(()), Ok(())) => {}
    }
    // That a chip was gone was said, or came after all that was awaited; and the figures say "at least".
    let is_told = |doubt: &&linewake::Error| (gaps > 0 || has_all) && doubt.is_disconnected();
    if let Some(doubt) = accounts.iter().filter_map(|(_, account)| account.doubt()).find(|doubt| !is_told(doubt)) {
        return Err(Failure::new(format!("the account cannot be trusted: {doubt}")));
    }
    verdict(lost, early)
}

/// That edges were lost is said last: those that did not come may be among them.
pub(crate) fn verdict(lost: Result<(), Failure>, early: Option<String>) -> Result<(), Failure> {
    let early = early.map_or(Ok(()), |early| Err(Failure::early(early)));
    if let (Err(_), Err(early)) = (&lost, &early) {
        early.report();
    }
    lost.and(early)
}

/// Whether edges are known lost, but for those on their way when the watch ended.
pub(crate) fn loss(accounts: &[(String, Account)], gaps: u64) -> Result<(), Failure> {
    let totals = accounts.iter().map(|(_, account)| account.total());
    let lost: u64 = totals.map(|total| total.overflowed.saturating_add(total.merged)).sum();
    let gone = (gaps > 0).then(|| format!("a chip was gone {}", summary::plural(gaps, "time")));
    let lost = (lost > 0).then(|| format!("{} lost", summary::plural(lost, "edge")));
    let reasons: Vec<_> = lost.into_iter().chain(gone).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::loss(format!("--fail-on-loss: {}; the summary says on which line", reasons.join(", "))))
}

impl Output {
    /// Standard output, if anything that happens is printed there.
    pub(crate) fn prints(&self) -> Option<Destination<'static>> {
        let files = [&self.json, &self.csv];
        let to_stdout = files.into_iter().flatten().any(|path| path.as_os_str() == "-");
        (to_stdout || !self.quiet).then_some(Destination::Stdout)
    }

    pub(crate) fn has_json_on_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(|path| path.as_os_str() == "-")
    }
}

impl Ending {
    /// Whether it makes sense is told before anything is watched.
    fn filter(&self, edges: Edges) -> Result<Option<Filter>, Failure> {
        if let Some(filter) = &self.filter {
            LineFilter::new(filter, edges, None)?;
        }
        Ok(self.filter)
    }

    fn pace(&self, says_heartbeat: bool) -> Pace {
        Pace {
            edges: Some(u64::from(self.num_events)).filter(|&edges| edges > 0),
            period: self.period,
            // Nothing is no timeout, as in gpiomon.
            idle: self.idle_timeout.filter(|idle| !idle.is_zero()),
            stats: self.stats,
            heartbeat: self.heartbeat,
            says_heartbeat,
            reattach: self.reattach,
        }
    }
}

/// On a terminal, one that understands colours.
fn standard_output(colour: bool) -> Box<dyn Write> {
    if colour { Box::new(AutoStream::auto(io::stdout().lock())) } else { Box::new(io::stdout().lock()) }
}

/// A reader that has left wanted no more: a pipe says so, and a terminal has an input/output error. A full disk is an error.
pub(crate) fn output_failed(lost: &Lost, has_left: bool) -> Result<(), Failure> {
    const EIO: i32 = 5;
    let Lost { place, error, unwritten } = lost;
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    if has_left && cfg!(unix) && error.raw_os_error() == Some(EIO) {
        return Ok(());
    }
    let missing = match unwritten {
        0 => String::new(),
        1 => "; the last edge that was delivered is missing there".to_owned(),
        edges => format!("; the last {edges} edges that were delivered are missing there, or some of them"),
    };
    Err(Failure::new(format!("cannot write to {place}: {error}{missing}")))
}

/// The first signal ends the watch, with all that goes with it. A second one ends the program: the output may be stuck. A
/// hang-up has files opened again, unless it is the terminal that is gone. A reader who leaves ends the watch as a signal does.
fn listen(
    readers: Readers,
    stopper: Stopper,
    nudge: Arc<Nudge>,
    is_asked: Arc<AtomicBool>,
    has_left: Arc<AtomicBool>,
) -> Result<(), Failure> {
    signals::on_end_or_reopen(readers, move |meant| match meant {
        Meaning::Reopen => nudge.reopen(),
        Meaning::Left => {
            has_left.store(true, Relaxed);
            stopper.stop();
        }
        Meaning::End => {
            if is_asked.swap(true, Relaxed) {
                Code::Error.exit_process();
            }
            stopper.stop();
        }
    })
}
