//! The options of `mon` and `replay` that choose the outputs and their looks.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use linewake::EventClock;

use super::destination::Destination;
use super::files::{ExistingFile, FileOptions};
use super::text::Look;
use super::vcd::Timescale;
use crate::readers::WatchedOutput;
use crate::settings::BEYOND;
use crate::stamp::Stamp;
use crate::{number, period};

// No documentation comment: clap would take it for that of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputOptions {
    /// Print which lines are watched, as soon as they are
    #[arg(long)]
    banner: bool,

    /// Format of an edge; see "Format specifiers"
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

    /// Write the record stream: one JSON object per line, by docs/record.schema.json; the last record is the summary
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-",
        help_heading = BEYOND)]
    json: Option<PathBuf>,

    /// Write 64-bit integers of the record stream as strings, because jq 1.6 and JavaScript round numbers above 2^53
    #[arg(long, requires = "json", help_heading = BEYOND)]
    json_strings: bool,

    /// Write comma-separated values; see "Columns"
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-",
        help_heading = BEYOND)]
    csv: Option<PathBuf>,

    /// Write a waveform for GTKWave, Surfer and PulseView. Where edges are known lost, the line is x and a second wire,
    /// LINE_lost, is 1. Its time begins with the first edge and does not jump where a clock steps; a comment says so
    #[arg(long, value_name = "FILE", help_heading = BEYOND)]
    vcd: Option<PathBuf>,

    /// Tick of the waveform: 1, 10 or 100 with ns, us or ms. PulseView needs memory for every tick. A second edge
    /// within a tick is hidden and counted; with 1ns it is shown one tick later
    #[arg(long, value_name = "TIME", default_value = "1us", value_parser = Timescale::parse,
        allow_hyphen_values = true, help_heading = BEYOND)]
    vcd_timescale: Timescale,

    #[command(flatten)]
    keeping: FileOptions,

    /// Run this shell command for every edge, one at a time; see below
    #[arg(long, value_name = "COMMAND", help_heading = BEYOND)]
    exec: Option<OsString>,

    /// Ignore further edges of a line for this period after one that ran the command
    #[arg(long, value_name = "PERIOD", default_value = "0", value_parser = period::parse,
        allow_hyphen_values = true, help_heading = BEYOND)]
    exec_cooldown: Duration,

    /// Number of edges that may wait for the command; further ones are counted and do not run it
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = number::within(1..=u16::MAX),
        allow_hyphen_values = true, help_heading = BEYOND)]
    exec_queue: u16,
}

impl OutputOptions {
    /// How to write times. `said` is the clock that the user chose.
    pub(crate) fn stamp(&self, said: Option<EventClock>) -> Stamp {
        match (self.utc, self.localtime) {
            (true, _) => Stamp::Utc,
            (_, true) => Stamp::Local,
            _ if said == Some(EventClock::Realtime) => Stamp::Utc,
            _ => Stamp::Seconds,
        }
    }

    pub(crate) fn existing(&self) -> ExistingFile {
        self.keeping.existing()
    }

    pub(crate) fn has_vcd(&self) -> bool {
        self.vcd.is_some()
    }

    pub(crate) fn has_json(&self) -> bool {
        self.json.is_some()
    }

    pub(crate) fn has_json_on_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(is_stdout)
    }

    /// Standard output, if edges are written there.
    pub(crate) fn prints(&self) -> Option<WatchedOutput<'static>> {
        (self.has_file_on_stdout() || !self.quiet).then_some(WatchedOutput::Stdout)
    }

    fn has_file_on_stdout(&self) -> bool {
        self.files().iter().any(Destination::is_on_stdout)
    }

    /// All sinks that the user asked for. `with_chip` is whether lines of text name the chip.
    pub(crate) fn destinations(&self, time: Stamp, with_chip: bool) -> Vec<Destination> {
        let text = (!self.has_file_on_stdout()).then(|| Destination::Text(self.look(time, with_chip)));
        let exec = self.exec.clone().map(|command| Destination::Exec {
            command,
            queue: self.exec_queue.into(),
            cooldown: self.exec_cooldown,
        });
        text.into_iter().chain(self.files()).chain(exec).collect()
    }

    /// The sinks whose option names a file.
    fn files(&self) -> Vec<Destination> {
        let (option, has_strings, timescale) = (Some("--json"), self.json_strings, self.vcd_timescale);
        let json = self.json.clone().map(|path| Destination::Json { path, option, has_strings });
        let csv = self.csv.clone().map(|path| Destination::Csv { path });
        let vcd = self.vcd.clone().map(|path| Destination::Vcd { path, timescale });
        [json, csv, vcd].into_iter().flatten().collect()
    }

    fn look(&self, time: Stamp, with_chip: bool) -> Look {
        Look {
            format: self.format.clone(),
            time,
            unquoted: self.unquoted,
            with_chip,
            initial: self.initial_state,
            numeric: self.numeric,
            quiet: self.quiet,
            banner: self.banner,
            colour: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}
