//! `linewake profile try`: what a device is sent and answers, byte by byte, and the edges that come of it.

mod transcript;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linewake::profile::{Profile, Trace};
use linewake::{Chip, Request};

use self::transcript::Transcript;
use crate::exit::{self, Code, Failure, say};
use crate::signals::Meaning;
use crate::sinks::summary::{plural, summary};
use crate::{number, period, readers, signals};

/// Open the device, and show each call and each record with what it means
///
/// It watches all lines, as "linewake mon" does: it makes the calls that set the device up, then it waits. It shows
/// each answer in hexadecimal, with its meaning in the profile and the edges in it. Times are seconds since the start.
/// Without --allow-writes it sends nothing that may change the device: it shows what such a call would send, and leaves
/// the call out.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help(
        "\
Examples:
  linewake profile try card.toml                       what it would send; it changes nothing
  linewake profile try card.toml --allow-writes -n 4   until four edges have come
  linewake profile try card.toml --for 10s > try.txt   for a bug report",
        &[(Code::Early, ": fewer than -n edges came")]
    )
)]
pub(crate) struct Arguments {
    /// The profile
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Send what may change the device too; see "linewake profile explain"
    #[arg(long)]
    allow_writes: bool,

    /// End after N edges; 0 means no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = number::count(),
        allow_hyphen_values = true)]
    num_events: u32,

    /// End after this period: 500ms, 10s, 1m
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse)]
    period: Option<Duration>,
}

/// The reason for the end of the trial.
enum End {
    Enough,
    Period,
    Stopped,
    Failed(linewake::Error),
    /// A call that would report edges was left out, for this reason.
    NoEdges(String),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let begun = Instant::now();
    let profile = Profile::read(&arguments.file)?.allow_writes(arguments.allow_writes).dry(!arguments.allow_writes);
    let transcript = Arc::new(Transcript::new(&profile, begun));
    let trace = transcript.clone();
    let traced = profile.clone().traced(move |step: Trace<'_>| trace.trace(&step));
    let chip = Chip::of_profile(&traced)?;
    let offsets: Vec<_> = chip.lines()?.iter().map(|line| line.offset).collect();
    let mut request = chip.request().lines(offsets).consumer("linewake profile try").start()?;
    let stopper = request.stopper();
    let left = transcript.clone();
    signals::on_end_or_left(std::iter::once(readers::WatchedOutput::Stdout).collect(), move |meaning| {
        if meaning == Meaning::Left {
            left.leave();
        }
        stopper.stop();
    })?;
    let deadline = arguments.period.and_then(|period| begun.checked_add(period));
    let (end, seen) = watch(&mut request, &transcript, deadline, arguments.num_events);
    let name = chip.info().name.to_string();
    let account = request.finish();
    transcript.end()?;
    if !transcript.has_left() {
        say(&summary(&[(name, account)], None));
    }
    let why = match end {
        End::Enough => return Ok(()),
        End::Failed(error) => return Err(error.into()),
        End::Period => "--for was over",
        End::Stopped if transcript.has_left() => "its reader left",
        End::Stopped => "a signal ended it",
        End::NoEdges(reason) => {
            say(&format!("{reason}\n"));
            "no edge could come"
        }
    };
    let wanted = arguments.num_events;
    if seen < wanted {
        return Err(Failure::early(format!("{seen} of {} came, and {why}", plural(wanted.into(), "edge"))));
    }
    Ok(())
}

/// Shows edges until the end; gives it, and the number of edges. With `wanted` 0 there is no limit.
fn watch(request: &mut Request, transcript: &Transcript, deadline: Option<Instant>, wanted: u32) -> (End, u32) {
    /// A thread that traces calls may find that the reader has left, and cannot wake this one.
    const SLICE: Duration = Duration::from_millis(200);
    let mut seen = 0;
    let end = loop {
        if let Some(reason) = transcript.no_edges() {
            break End::NoEdges(reason);
        }
        let left = deadline.map_or(SLICE, |deadline| deadline.saturating_duration_since(Instant::now()).min(SLICE));
        match request.wait_next_timeout(left) {
            Some(Ok(edge)) => {
                transcript.edge(&edge);
                seen += 1;
                if seen == wanted {
                    break End::Enough;
                }
            }
            Some(Err(error)) if error.is_timeout() => {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    break End::Period;
                }
            }
            Some(Err(error)) => break End::Failed(error),
            None => break End::Stopped,
        }
        if transcript.has_left() {
            break End::Stopped;
        }
    };
    (end, seen)
}
