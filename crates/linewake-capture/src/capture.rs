//! A capture: its format, and its next item.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::Path;

use linewake::text::is_utf16;
use linewake_wave::Reader;

use crate::csv::Csv;
use crate::error::{Error, cannot_read};
use crate::item::Item;
use crate::json::Json;
use crate::kind::{FST, Kind, is_fst, kind, packed};
use crate::line_reader::LineReader;
use crate::members::Members;
use crate::table::{CapturedChip, CapturedLine, Table};
use crate::wave::Wave;

/// Reads a capture. See [the crate](crate) for an example.
pub struct Capture {
    name: String,
    format: Format,
    table: Table,
    has_failed: bool,
}

/// The source of the bytes.
type Bytes = Box<dyn Read + Send>;

enum Format {
    Json(Box<Json<Bytes>>),
    Csv(Box<Csv<Bytes>>),
    Wave(Box<Wave>),
}

/// How many bytes to read at once.
const BUFFER: usize = 1 << 18;

impl Capture {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// When the file cannot be read, or cannot be a capture.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::of(&name, Box::new(io::stdin()));
        }
        let mut file = File::open(path).map_err(|error| cannot_read(&name, &error))?;
        let mut first = Vec::new();
        let read = file.by_ref().take(FST.len() as u64).read_to_end(&mut first);
        read.map_err(|error| cannot_read(&name, &error))?;
        if is_fst(&first) {
            return Self::of_wave(&name, |name| Reader::fst(name, file));
        }
        file.rewind().map_err(|error| cannot_read(&name, &error))?;
        Self::of(&name, Box::new(file))
    }

    /// Reads from any source; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, from: impl Read + Send + 'static) -> Result<Self, Error> {
        Self::of(name, Box::new(from))
    }

    /// The error for a file that cannot be opened.
    #[must_use]
    pub fn cannot_read(name: &str, error: &io::Error) -> Error {
        cannot_read(name, error)
    }

    fn of(name: &str, bytes: Bytes) -> Result<Self, Error> {
        let mut source = LineReader::new(Members::new(bytes), BUFFER);
        let cannot = |error: io::Error| cannot_read(name, &error);
        if let Some((how, tool)) = packed(source.peek(6).map_err(cannot)?) {
            let remedy = format!("unpack it first, as in \"{tool} FILE | linewake replay -\"");
            return Err(Error::new(format!("\"{name}\" is compressed with {how}: {remedy}")));
        }
        let format = match kind(name, &mut source).map_err(cannot)? {
            Kind::Json => {
                if is_utf16(source.buffered()) {
                    return Err(Error::new(format!("\"{name}\" is UTF-16; save it as UTF-8, or record it to a file")));
                }
                Format::Json(Box::new(Json::new(name, source)))
            }
            Kind::Csv => Format::Csv(Box::new(Csv::new(name, source))),
            Kind::Vcd => return Self::of_wave(name, |name| Reader::vcd(name, Box::new(source))),
            Kind::Ghw => return Self::of_wave(name, |name| Reader::ghw(name, Box::new(source))),
            Kind::Fst => {
                let remedy = "give it as a file, without further compression";
                return Err(Error::new(format!("\"{name}\" is an FST, which cannot be read from a pipe; {remedy}")));
            }
        };
        Ok(Self { name: name.to_owned(), format, table: Table::default(), has_failed: false })
    }

    fn of_wave(name: &str, open: impl FnOnce(&str) -> Result<Reader, linewake_wave::Error>) -> Result<Self, Error> {
        let name = format!("\"{name}\"");
        let reader = open(&name).map_err(|error| Error::new(error.to_string()))?;
        let format = Format::Wave(Box::new(Wave::new(&name, reader)));
        Ok(Self { name, format, table: Table::default(), has_failed: false })
    }

    /// Chooses the lines to read, by name or offset, if the format lists its lines at the beginning, as a waveform
    /// does. For other formats it returns `false`, and all lines are read.
    ///
    /// # Errors
    /// When there is no such line; or when none is named, and there are more than 1,024.
    pub fn choose(&mut self, lines: &[String]) -> Result<bool, Error> {
        match &mut self.format {
            Format::Wave(wave) => wave.choose(&mut self.table, lines).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Sets the level of a waveform's wire while nobody drives it (`z`): high if something pulls it up. Without a call
    /// that level is unknown.
    pub fn pull(&mut self, level: Option<bool>) {
        if let Format::Wave(wave) = &mut self.format {
            wave.pull(level);
        }
    }

    /// The chips so far, each at its place.
    #[must_use]
    pub fn chips(&self) -> &[CapturedChip] {
        &self.table.chips
    }

    /// The lines so far, each at its place.
    #[must_use]
    pub fn lines(&self) -> &[CapturedLine] {
        &self.table.lines
    }

    /// The latest time on the axis so far, if anything had a time.
    #[must_use]
    pub fn latest_ns(&self) -> Option<u64> {
        self.table.axis.latest_ns()
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// When the capture cannot be read, or is invalid from here on. After that it returns `None`.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "the caller needs its lines between two items")]
    pub fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.has_failed {
            return Ok(None);
        }
        let next = match &mut self.format {
            Format::Json(json) => json.next(&mut self.table),
            Format::Csv(csv) => csv.next(&mut self.table),
            Format::Wave(wave) => wave.next(&mut self.table),
        };
        self.has_failed = next.is_err();
        next
    }

    /// Whether the next item is here already, so that nothing has to wait.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.format {
            Format::Json(json) => json.is_ready(),
            Format::Csv(csv) => csv.is_ready(),
            Format::Wave(wave) => wave.is_ready(),
        }
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("name", &self.name).field("table", &self.table).finish_non_exhaustive()
    }
}
