//! The kinds of sinks, each with all that its options say, and the one constructor of them all.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anstream::AutoStream;

use super::csv::Csv;
use super::distinct::{self, Inputs, OutputFile};
use super::exec::Exec;
use super::files::{ExistingFile, place};
use super::json::Json;
use super::out::Out;
use super::sink::{Sink, Sinks};
use super::text::{Look, Text};
use super::vcd::{Timescale, Vcd};
use crate::exit::Failure;

/// A sink that the user asked for.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// Lines for people, on standard output.
    Text(Look),
    /// The record stream. `option` is `None` for `linewake record`.
    Json { path: PathBuf, option: Option<&'static str>, has_strings: bool },
    /// Comma-separated values.
    Csv { path: PathBuf },
    /// A waveform.
    Vcd { path: PathBuf, timescale: Timescale },
    /// A command that runs for each edge. At most `queue` edges wait for it.
    Exec { command: OsString, queue: usize, cooldown: Duration },
}

impl Destination {
    /// The file that the sink writes to; "-" is standard output.
    pub(crate) fn file(&self) -> Option<OutputFile<'_>> {
        let (path, option) = match self {
            Self::Text(look) if look.is_silent() => return None,
            Self::Text(_) => (Path::new("-"), None),
            Self::Json { path, option, .. } => (&**path, *option),
            Self::Csv { path } => (&**path, Some("--csv")),
            Self::Vcd { path, .. } => (&**path, Some("--vcd")),
            Self::Exec { .. } => return None,
        };
        Some(OutputFile { path, option })
    }

    /// True if the user gave "-" as its file.
    pub(crate) fn is_on_stdout(&self) -> bool {
        self.file().is_some_and(|file| file.path.as_os_str() == "-")
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Text(_) => "standard output".to_owned(),
            Self::Json { path, .. } | Self::Csv { path } | Self::Vcd { path, .. } => place(path),
            Self::Exec { .. } => "--exec".to_owned(),
        }
    }

    /// Opens the sink. `is_asked` is true once the user has asked for the end.
    fn open(self, existing: ExistingFile, is_asked: &Arc<AtomicBool>) -> Result<Box<dyn Sink>, Failure> {
        Ok(match self {
            Self::Text(look) => Box::new(Text::new(Out::new(standard_output(look.colour)), look)),
            Self::Json { path, has_strings, .. } => Box::new(Json::open(&path, has_strings, existing)?),
            Self::Csv { path } => Box::new(Csv::open(&path, existing)?),
            Self::Vcd { path, timescale } => Box::new(Vcd::open(&path, timescale, existing)?),
            Self::Exec { command, queue, cooldown } => {
                let exec = Exec::new(command, queue, cooldown, is_asked.clone());
                let cannot =
                    |error| Failure::new(format!("cannot start the thread for --exec: {error}; end other programs"));
                Box::new(exec.map_err(cannot)?)
            }
        })
    }
}

/// Opens all sinks, after checking that none of them is an input or the same file as another.
pub(crate) fn open(
    destinations: Vec<Destination>,
    existing: ExistingFile,
    inputs: &Inputs,
    is_asked: &Arc<AtomicBool>,
) -> Result<Sinks, Failure> {
    let files: Vec<_> = destinations.iter().filter_map(Destination::file).collect();
    distinct::make(inputs, &files)?;
    let mut sinks = Sinks::new();
    for destination in destinations {
        sinks.add(destination.name(), destination.open(existing, is_asked)?);
    }
    Ok(sinks)
}

/// Standard output, with colours if `colour` is set.
fn standard_output(colour: bool) -> Box<dyn Write> {
    if colour { Box::new(AutoStream::auto(io::stdout().lock())) } else { Box::new(io::stdout().lock()) }
}
