//! `linewake profile try`: what a device is sent and answers, byte by byte, and the edges that come of it.

mod transcript;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linewake::Chip;
use linewake::profile::{Profile, Trace};

use self::transcript::Transcript;
use crate::exit::{self, Code, Failure, say};
use crate::signals::Meaning;
use crate::sinks::summary::{plural, summary};
use crate::{number, period, readers, signals};

/// Open the device, and show each call and each record with what it means
///
/// All lines are asked for, as "linewake mon" does it: the calls that set up are made, then it waits. Each answer is
/// shown in hexadecimal, with what the profile says of it, and with the edges that come of it. Times are seconds since
/// the beginning. Without --allow-writes nothing is sent that may change the device: such a call is shown with what it
/// would send, and left out.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit::help("\
Examples:
  linewake profile try card.toml                       what it would send; changes nothing
  linewake profile try card.toml --allow-writes -n 4   until four edges came
  linewake profile try card.toml --for 10s > try.txt   for a bug report", &[(Code::Early, ": fewer than -n edges came")])
)]
pub(crate) struct Arguments {
    /// The profile
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Send what may change the device too; see "linewake profile explain"
    #[arg(long)]
    allow_writes: bool,

    /// End after N edges; 0 is no limit
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = number::count(),
        allow_hyphen_values = true)]
    num_events: u32,

    /// End after this period: 500ms, 10s, 1m
    #[arg(long = "for", value_name = "PERIOD", value_parser = period::parse)]
    period: Option<Duration>,
}

/// Why it is over.
enum End {
    Enough,
    Period,
    Stopped,
    Failed(linewake::Error),
    /// What would tell of edges was left out.
    Nothing(String),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let begun = Instant::now();
    let deadline = arguments.period.and_then(|period| begun.checked_add(period));
    let profile = Profile::read(&arguments.file)?.allow_writes(arguments.allow_writes).dry(!arguments.allow_writes);
    let shown = Arc::new(Transcript::new(&profile, begun));
    let sink = shown.clone();
    let traced = profile.clone().traced(move |trace: Trace<'_>| sink.trace(&trace));
    let chip = Chip::of_profile(&traced)?;
    let offsets: Vec<_> = chip.lines()?.iter().map(|line| line.offset).collect();
    let mut request = chip.request().lines(offsets).consumer("linewake profile try").start()?;
    let stopper = request.stopper();
    let left = shown.clone();
    signals::on_end_or_left(std::iter::once(readers::Destination::Stdout).collect(), move |meant| {
        if meant == Meaning::Left {
            left.leave();
        }
        stopper.stop();
    })?;
    let mut seen = 0;
    let over = loop {
        if let Some(reason) = shown.tells_nothing() {
            break End::Nothing(reason);
        }
        // What is written by the threads that are traced may have found no reader.
        let slice = Duration::from_millis(200);
        let left = deadline.map_or(slice, |deadline| deadline.saturating_duration_since(Instant::now()).min(slice));
        match request.wait_next_timeout(left) {
            Some(Ok(edge)) => {
                shown.edge(&edge);
                seen += 1;
                if arguments.num_events > 0 && seen == arguments.num_events {
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
        if shown.has_left() {
            break End::Stopped;
        }
    };
    let name = chip.info().name.to_string();
    let account = request.finish();
    shown.end()?;
    if !shown.has_left() {
        say(&summary(&[(name, account)], None));
    }
    let why = match over {
        End::Enough => return Ok(()),
        End::Failed(error) => return Err(error.into()),
        End::Period => "--for was over",
        End::Stopped if shown.has_left() => "its reader left",
        End::Stopped => "a signal ended it",
        End::Nothing(reason) => {
            say(&format!("{reason}\n"));
            "nothing could come"
        }
    };
    let awaited = arguments.num_events;
    match seen < awaited {
        true => Err(Failure::early(format!("{seen} of {} came, and {why}", plural(awaited.into(), "edge")))),
        false => Ok(()),
    }
}
