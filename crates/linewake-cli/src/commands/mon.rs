//! `linewake mon`: prints the edges of lines as they happen.

mod nudge;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod stream;
pub(crate) mod watch;

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use linewake::filter::Filter;
use linewake::record::NamedChip;
use linewake::{EventClock, Monitor, Stopper};

use self::nudge::Nudge;
use self::options::{EndOptions, LineOptions};
use self::outcome::{loss, outputs_failed, verdict};
use self::stream::EdgeStream;
use self::watch::{Now, Pace, WatchEnd, WatchLoop};
use crate::exit::{self, Code, Failure};
use crate::readers::Readers;
use crate::signals::{self, Meaning};
use crate::sinks::options::OutputOptions;
use crate::sinks::select::Selection;
use crate::sinks::sink::{Closing, Sinks, View, WriteError};
use crate::sinks::{csv_columns, destination, distinct, summary, text, unfinished};
use crate::stamp::Stamp;
use crate::threads;

/// Print the edges of lines as they happen, and account for every one
///
/// Each edge is a line on standard output: time, direction, line. If edges were lost before it, the line says how many.
/// At the end, a summary on standard error says how many edges were delivered, how many were lost, and where:
///
///   overflowed  dropped from the driver's full queue, because this program did not take them in time
///   merged      too close to the next edge for the driver to tell them apart
///   discarded   on their way when the program ended
///
/// The figures are exact unless a word stands before them: delivered and lost edges together are all that happened. "at
/// least" marks figures that may be too low: the device is gone, could not be asked, or does not count. "about" marks
/// figures that may be wrong either way: on a gpiochip, when edges come faster than several processors handle them.
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

Columns of --csv:COLUMNS
  Events are state (the level at the start), rising, falling, gone and back (the chip), blocked and unblocked (the
  line, by a chatter filter) and clock (it stepped). No cell of a number is empty. docs/csv.md has all rules. In pandas:
  d = pandas.read_csv(FILE, keep_default_na=False); d[d.event.isin([\"rising\", \"falling\"])].timestamp_ns.diff()
  A spreadsheet has 15 digits in a number: import the first column as text.

Files:
  An existing file is emptied, unless --append is given, or systemd, OpenRC or supervisord started the program without a
  terminal: then a service that starts again keeps what it wrote. Under other managers, and on Windows, give --append.
  With --append, a record stream goes on with another start record, and CSV goes on below its header. A waveform cannot
  go on: door.vcd is renamed to door.1.vcd, then door.2.vcd, and a new one begins. A file that cannot be renamed,
  because it is mounted by itself, is copied and emptied.
  SIGHUP opens all files again, as logrotate wants it. Each old file ends with its account, and each new one begins with
  the present levels. A waveform is renamed as with --append. If a file cannot be opened, a message says so, and the old
  one goes on. SIGHUP ends the watch only if its terminal is gone, and not if nohup started it. Windows has no SIGHUP.
  A record stream and CSV may also be copied and emptied (logrotate's copytruncate). A waveform should not be: the copy
  does not show where edges are lost.
  A file that was removed while it was written is an error at the end.
  An output must not be a file that is read (a capture, the file of a chip, the configuration), nor that of another
  output, by whatever path or link. It is refused with exit code 1, and nothing is lost. Devices, pipes and terminals
  may be shared.
  A waveform has one writer: a second command on its file is refused. If edges were lost, the waveform is written anew
  at the end, as linewake-*.part beside it or as a temporary file (TMPDIR). That file takes its place, with its owner
  and permissions. A waveform that was renamed, or has a second name or another owner, is overwritten instead. If FILE
  is a link, the link stays, and its target is the waveform.

The command of --exec finds the edge in its environment: LINEWAKE_CHIP, LINEWAKE_OFFSET, LINEWAKE_NAME, LINEWAKE_EVENT
(rising or falling), LINEWAKE_TIMESTAMP_NS, LINEWAKE_AXIS_NS (the same, but it goes on where the clock steps),
LINEWAKE_SEQNO, LINEWAKE_LINE_SEQNO, LINEWAKE_MISSING. When the watch ends, the command still runs for the edges that
wait. After Ctrl-C or a signal it does not: the watch only waits for the command that runs.

Examples:
  linewake mon door bell                   two lines, wherever they are
  linewake mon -c sim                      every input of a simulated chip, until Ctrl-C
  linewake mon -c sim --for 5s pps door    two lines, for five seconds
  linewake mon -c sim -n 10 --json | jq .  ten edges, as records for programs
  linewake mon -c sim --vcd sim.vcd        a waveform, and the edges on standard output
  linewake mon -c '\\\\.\\LineWake0' 0 1 2    three lines of a Windows driver's device

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m, 2h, 1d.

FILE \"-\" is standard output, in place of the lines of text. A waveform needs a file.

The first Ctrl-C ends the watch with its summary. A second one ends the program at once, with exit code 1, and says what
is not complete.",
        &[(Code::Loss, "; takes precedence over 3"), (Code::Early, ": fewer than -n edges came")]
    )
    .replace("COLUMNS", &csv_columns::help())
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    lines: LineOptions,

    #[command(flatten)]
    ending: EndOptions,

    #[command(flatten)]
    output: OutputOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { lines, ending, output } = arguments;
    let time = output.stamp(lines.event_clock);
    let destinations = output.destinations(time, lines.has_chip());
    let files: Vec<_> = destinations.iter().filter_map(destination::Destination::file).collect();
    let inputs = lines.inputs()?;
    distinct::check(&inputs, &files)?;
    let selection = lines.select(ending)?;
    let filter = ending.filter(lines.edges)?;
    let began = Instant::now();
    let monitor = lines.monitor(&selection, clock(lines.event_clock, time, &selection), ending.reattach)?;
    text::check_clock(time, &monitor.clock())?;
    let is_asked = Arc::default();
    let sinks = destination::open(destinations, output.existing(), &inputs, &is_asked)?;
    let plan = Plan {
        began,
        pace: ending.pace(!output.has_json()),
        filter,
        says_summary: !output.has_json_on_stdout(),
        fail_on_loss: ending.fail_on_loss,
        is_asked,
    };
    account_for(&selection, monitor, sinks, plan)
}

/// The clock that stamps the edges. Unless the user chose one, it is one that gives UTC where times are written as UTC.
fn clock(said: Option<EventClock>, time: Stamp, selection: &Selection) -> EventClock {
    let can = || selection.requests.iter().all(|(chip, _)| chip.capabilities().realtime);
    match said {
        Some(clock) => clock,
        None if time != Stamp::Seconds && can() => EventClock::Realtime,
        None => EventClock::Monotonic,
    }
}

/// The options of a watch.
pub(crate) struct Plan {
    /// The time before the lines were requested.
    pub(crate) began: Instant,
    pub(crate) pace: Pace,
    pub(crate) filter: Option<Filter>,
    /// The summary is printed on standard error. It is always printed when an output failed.
    pub(crate) says_summary: bool,
    pub(crate) fail_on_loss: bool,
    /// A signal has asked for the end.
    pub(crate) is_asked: Arc<AtomicBool>,
}

/// Watches until the end, and prints what became of every edge, whatever happens.
pub(crate) fn account_for(
    selection: &Selection,
    monitor: Monitor,
    mut sinks: Sinks,
    plan: Plan,
) -> Result<(), Failure> {
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
    let mut stream = EdgeStream::new(monitor, plan.filter)?;
    let mut watch = WatchLoop::new(plan.pace, &selection, &mut sinks, now, plan.began);
    let outcome = watch.run(&mut stream, view, &nudge);
    let (gaps, has_all) = (watch.gaps, watch.has_all());
    let has_left = has_left.load(Relaxed);
    let early = watch.early(&outcome, plan.is_asked.load(Relaxed), has_left);

    let (accounts, tallies) = stream.finish();
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
    let is_written = ended.is_ok() && outcome.is_ok();
    if plan.says_summary || !is_written {
        exit::say(&summary::summary(&accounts, threads));
    }
    let lost = if plan.fail_on_loss { loss(&accounts, gaps) } else { Ok(()) };
    early_end(outcome, ended, has_left, lost.is_err() || early.is_some())?;
    // A doubt was reported already if a chip was gone. After the last awaited edge it does not matter. In both cases
    // the figures say "at least".
    let is_told = |doubt: &&linewake::Error| (gaps > 0 || has_all) && doubt.is_disconnected();
    if let Some(doubt) = accounts.iter().filter_map(|(_, account)| account.doubt()).find(|doubt| !is_told(doubt)) {
        return Err(Failure::new(format!("the account cannot be trusted: {doubt}")));
    }
    verdict(lost, early)
}

/// Reports what ended the watch early, or what kept its end from being written. When a verdict about lost or missing
/// edges follows, the failure of a device is printed, and the verdict decides the exit code.
fn early_end(
    outcome: WatchEnd,
    ended: Result<(), WriteError>,
    has_left: bool,
    has_verdict: bool,
) -> Result<(), Failure> {
    let ended = ended.as_ref().err();
    let error = match outcome {
        Err(lost) => return outputs_failed(iter::once(&lost).chain(ended), has_left),
        Ok(None) => return outputs_failed(ended, has_left),
        Ok(Some(error)) => error,
    };
    if let Err(lost) = outputs_failed(ended, has_left) {
        lost.report();
    }
    let is_gone = error.is_disconnected();
    let mut failure = Failure::from(error);
    if is_gone {
        failure = failure.with_remedy("--reattach waits until it is back");
    }
    if !has_verdict {
        return Err(failure);
    }
    failure.report();
    Ok(())
}

/// The first signal ends the watch and prints the summary. A second one ends the program at once, because the output
/// may be stuck. SIGHUP opens files again, unless the terminal is gone. When a reader leaves, the watch ends as by a
/// signal.
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
                unfinished::end_process();
            }
            stopper.stop();
        }
    })
}
