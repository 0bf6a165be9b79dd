//! `linewake replay`: plays a capture on a simulated chip.

mod capture;

use std::path::PathBuf;
use std::time::Duration;

use linewake::Chip;
use linewake::sim::{Change, ClockKind, Script};

use crate::exit::Failure;
use crate::mon;

/// Play a capture on a simulated chip, and print its edges
///
/// A capture is a record stream, from "linewake record" or "linewake mon --json", or a value change dump (".vcd"), whose
/// variables of one bit are the lines. It is played as it was timed, faster or slower, or as fast as it can be read; and it
/// is watched as mon watches, with the same options for what is written.
///
/// What a capture says was lost is not there to be played. Where an edge is missing between two of the same direction, one is
/// put in the middle between them, and how many is said. Time stamps begin anew: the first change comes after 200 ms.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit_codes!(
        "\
Examples:
  linewake replay door.jsonl                        with its timing
  linewake replay door.jsonl --fast --vcd door.vcd  make a waveform of a capture
  linewake replay bench.vcd --speed 0.1 clk data    two lines of a waveform, ten times slower";
        "2" "edges were lost, and --fail-on-loss said so; also where 3 would be right too",
        "3" "it ended before what was awaited: fewer than -n edges came, or a signal ended it before the capture"
    )
)]
pub(crate) struct Arguments {
    /// The capture
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Lines, by name or offset; every line of the capture if none is given
    #[arg(value_name = "LINE")]
    lines: Vec<String>,

    /// How much faster than it was; below 1 it is slower
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed, allow_hyphen_values = true)]
    speed: f64,

    /// As fast as the edges can be taken: the chip's clock jumps from one to the next, and its time stamps are as with
    /// --speed
    #[arg(long)]
    fast: bool,

    #[command(flatten)]
    ending: mon::Ending,

    #[command(flatten)]
    output: mon::Output,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| (1e-6..=1e6).contains(speed));
    speed.ok_or_else(|| "a factor is a number from 0.000001 to 1000000, as in 10 or 0.5".to_owned())
}

/// When the first change of a capture is due: the lines are watched by then.
const LEAD: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = &arguments.file;
    let is_dump = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("vcd"));
    let script = if is_dump { Script::load(file)? } else { capture::read(file)? };
    let (speed, lead_ns) = (arguments.speed, LEAD.as_nanos() as u64);
    let first_ns = script.recorded().map(|change| change.at_ns).min().unwrap_or(0);
    let script = script.map_recorded(move |change| Change {
        // A factor within its bounds makes finite numbers of these, and what is too great is cut.
        at_ns: (((change.at_ns - first_ns) as f64 / speed) as u64).saturating_add(lead_ns),
        ..change
    });
    let clock = if arguments.fast { ClockKind::Virtual } else { ClockKind::Real };
    let last_ns = script.recorded().map(|change| change.at_ns).max().unwrap_or(lead_ns);
    let chip = Chip::options().clock(clock).simulate(&script)?;
    let offsets: Vec<_> = match arguments.lines.is_empty() {
        true => (0..chip.info().lines).map(Into::into).collect(),
        false => chip.find_all(&arguments.lines)?,
    };
    let edges = capture::edges(&chip, &offsets, script.recorded())?;
    let period = Duration::from_nanos(last_ns).saturating_add(LEAD);
    mon::replay(&chip, &offsets, &arguments.ending, &arguments.output, edges, (!arguments.fast).then_some(period))
}
