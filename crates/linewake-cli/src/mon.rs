//! `linewake mon`: prints the edges of lines as they happen.

use std::io::{self, BufWriter, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use linewake::{Chip, Event, Monitor, Stopper};

use crate::exit::{self, Failure};
use crate::format::{self, Format};
use crate::{period, threads};

/// Print the edges of lines as they happen, and account for every one
///
/// Each edge is a line on standard output: seconds, direction, name of the line. An edge that others were lost before
/// says how many. At the end a summary says how many edges were delivered and how many lost, and where:
///
///   overflowed  dropped from the driver's full queue, because this program did not take them in time
///   merged      followed each other too fast, and were one to the driver
///   discarded   were on their way when the program ended
///
/// Where nothing else is said the figures are exact: delivered and lost together are all edges that happened. "at least"
/// stands before figures that may be too low: the device is gone and could not be asked.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit_codes!(
        "\
Examples:
  linewake mon -c sim                      every line of a simulated chip, until Ctrl-C
  linewake mon -c sim --for 5s pps door    two lines, for five seconds
  linewake mon -c sim -n 10 --json | jq .  ten edges, as records for programs
  linewake mon -c '\\\\.\\LineWake0' 0 1 2    three lines of a Windows driver's device

PERIOD is a whole number of milliseconds, or has a unit: 500, 500ms, 250us, 5s, 1m."
    )
)]
pub(crate) struct Arguments {
    /// The chip: "sim" (simulated), "sim:64" (with 64 lines) or a device such as "\\.\LineWake0"
    #[arg(short, long, value_name = "CHIP")]
    chip: String,

    /// Lines, by offset or name; a number is an offset. Every line of the chip if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// End after N edges; 0 is no limit
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    num_events: u64,

    /// End after this period
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse)]
    period: Option<Duration>,

    /// Write the record stream: one JSON object a line, by docs/record.schema.json; the summary is its last record
    #[arg(long)]
    json: bool,

    /// Make the life of a simulated chip from this number; the same number gives the same edges [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut options = Chip::options();
    if let Some(seed) = arguments.seed {
        options = options.seed(seed);
    }
    let chip = options.open(&arguments.chip)?;
    let request = chip.request().consumer("linewake mon");
    let request = if arguments.lines.is_empty() { request.all_lines() } else { request.lines(&arguments.lines) };
    let mut monitor = Monitor::builder().request(request).states(true).start()?;
    end_on_signal(monitor.stopper())?;

    let colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
    let format = if arguments.json { Format::Json } else { Format::Text { colour } };
    let mut out = BufWriter::with_capacity(1 << 16, standard_output(colour));
    let mut watch = Watch { format, out: &mut out, unwritten: 0 };
    let outcome = watch.run(&mut monitor, arguments);
    let unwritten = watch.unwritten;

    let account = monitor.finish().remove(0);
    let threads = threads::count();
    let summary = || exit::say(&format::summary(&chip.info().name, &account, threads));
    let written = match &outcome {
        Err(Ended::Output(_)) => Ok(()),
        Ok(()) | Err(Ended::Device(_)) => format.end(&mut out, &chip, &account, threads).and_then(|()| out.flush()),
    };
    if !arguments.json || matches!(outcome, Err(Ended::Output(_))) || written.is_err() {
        summary();
    }
    // What is left in it could not be written; dropping the writer would try again.
    let _ = out.into_parts();
    match (outcome, written) {
        (Err(Ended::Output(error)), _) | (Ok(()), Err(error)) => output_failed(&error, unwritten),
        (Err(Ended::Device(error)), _) if error.is_disconnected() => {
            Err(Failure::new(format!("the chip \"{}\" is gone: {error}", arguments.chip)))
        }
        (Err(Ended::Device(error)), _) => Err(error.into()),
        (Ok(()), Ok(())) => match account.doubt() {
            Some(doubt) => Err(Failure::new(format!("the account cannot be trusted: {doubt}"))),
            None => Ok(()),
        },
    }
}

/// What ended the watch early.
enum Ended {
    Output(io::Error),
    Device(linewake::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

struct Watch<'a, W: Write> {
    format: Format,
    out: &'a mut W,
    /// Edges that were taken and may not have reached standard output.
    unwritten: u64,
}

impl<W: Write> Watch<'_, W> {
    fn run(&mut self, monitor: &mut Monitor, arguments: &Arguments) -> Result<(), Ended> {
        self.format.begin(self.out, &monitor.clock())?;
        self.out.flush()?;
        let mut deadline = arguments.period.and_then(|period| Instant::now().checked_add(period));
        let mut left = if arguments.num_events == 0 { u64::MAX } else { arguments.num_events };
        loop {
            let next = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => {
                    // What has happened by now is still printed.
                    monitor.stopper().stop();
                    deadline = None;
                    continue;
                }
                Some(time) => monitor.wait_next_timeout(time),
                None => monitor.wait_next(),
            };
            match next {
                Some(Ok(event)) => {
                    self.events(monitor, &event, &mut left)?;
                    if left == 0 {
                        return Ok(());
                    }
                }
                Some(Err(error)) if error.is_timeout() => {}
                Some(Err(error)) => return Err(Ended::Device(error)),
                None => return Ok(()),
            }
        }
    }

    /// Writes what one wake-up brought, and flushes once.
    fn events(&mut self, monitor: &mut Monitor, first: &Event, left: &mut u64) -> io::Result<()> {
        self.event(first, left)?;
        while *left > 0
            && let Some(event) = monitor.next_ready()
        {
            self.event(&event, left)?;
        }
        self.out.flush()?;
        self.unwritten = 0;
        Ok(())
    }

    fn event(&mut self, event: &Event, left: &mut u64) -> io::Result<()> {
        match event {
            Event::Edge { edge, .. } => {
                *left -= 1;
                self.unwritten += 1;
                self.format.edge(self.out, edge)
            }
            Event::State { state, .. } => self.format.state(self.out, state),
            Event::Gap { gap, .. } => self.format.gap(self.out, gap),
            _ => Ok(()),
        }
    }
}

/// On a terminal, one that understands colours.
fn standard_output(colour: bool) -> Box<dyn Write> {
    if colour { Box::new(AutoStream::auto(io::stdout().lock())) } else { Box::new(io::stdout().lock()) }
}

/// A reader that has left wanted no more. A full disk is an error.
fn output_failed(error: &io::Error, unwritten: u64) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    let missing = match unwritten {
        0 => String::new(),
        1 => "; the last edge that was delivered is missing there".to_owned(),
        edges => format!("; the last {edges} edges that were delivered are missing there, or some of them"),
    };
    Err(Failure::new(format!("cannot write to standard output: {error}{missing}")))
}

/// The first signal ends the watch, with all that goes with it. A second one ends the program: the output may be stuck.
fn end_on_signal(stopper: Stopper) -> Result<(), Failure> {
    let asked = AtomicBool::new(false);
    let handler = move || {
        if asked.swap(true, Relaxed) {
            process::exit(1);
        }
        stopper.stop();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))
}
