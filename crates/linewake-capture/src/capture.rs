//! A capture: what it is, and what comes next in it.

use std::fs::File;
use std::io::{self, BufRead as _, Read};
use std::path::Path;

use linewake::text::is_utf16;

use crate::csv::{Csv, HEAD};
use crate::error::{Error, cannot_read};
use crate::item::Item;
use crate::json::Json;
use crate::members::Members;
use crate::source::Source;
use crate::table::{Chip, Line, Table};

/// A capture that is being read. See [the crate](crate) for an example.
pub struct Capture {
    name: String,
    format: Format,
    table: Table,
    has_failed: bool,
}

/// Where the bytes come from.
type Bytes = Box<dyn Read + Send>;

enum Format {
    Json(Json<Bytes>),
    Csv(Csv<Bytes>),
}

/// How much is read at once.
const BUFFER: usize = 1 << 18;
/// So much says what it is.
const ENOUGH: usize = 64;
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Capture {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// What is there cannot be read, or cannot be a capture.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::of(&name, Box::new(io::stdin()));
        }
        let file = File::open(path).map_err(|error| cannot_read(&name, &error))?;
        Self::of(&name, Box::new(file))
    }

    /// Reads from anything; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, from: impl Read + Send + 'static) -> Result<Self, Error> {
        Self::of(name, Box::new(from))
    }

    fn of(name: &str, bytes: Bytes) -> Result<Self, Error> {
        let mut source = Source::new(Members::new(bytes), BUFFER);
        let mut peek = |count| source.peek(count).map(<[u8]>::to_vec).map_err(|error| cannot_read(name, &error));
        // A pipe may bring a little, and the rest much later.
        let mut first = peek(4)?;
        if is_utf16(&first) {
            return Err(Error::new(format!("\"{name}\" is UTF-16; save it as UTF-8, or record it to a file")));
        }
        if first.starts_with(BOM) {
            source.consume(BOM.len());
            first.drain(..BOM.len());
        }
        let is_csv = match first.first() {
            Some(b't') => source.peek(ENOUGH).map_err(|error| cannot_read(name, &error))?.starts_with(HEAD[0].as_bytes()),
            _ => false,
        };
        let format =
            if is_csv { Format::Csv(Csv::new(name, source)) } else { Format::Json(Json::new(name, source)) };
        Ok(Self { name: name.to_owned(), format, table: Table::default(), has_failed: false })
    }

    /// The chips so far, each at its place.
    #[must_use]
    pub fn chips(&self) -> &[Chip] {
        &self.table.chips
    }

    /// The lines so far, each at its place.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.table.lines
    }

    /// The latest time on the axis so far, if anything had a time.
    #[must_use]
    pub fn latest_ns(&self) -> Option<u64> {
        self.table.axis.latest_ns()
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// It cannot be read, or is no capture from here on. Nothing comes after that.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it is asked for its lines in between")]
    pub fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.has_failed {
            return Ok(None);
        }
        let next = match &mut self.format {
            Format::Json(json) => json.next(&mut self.table),
            Format::Csv(csv) => csv.next(&mut self.table),
        };
        self.has_failed = next.is_err();
        next
    }

    /// Whether what comes next is here already, and needs not be waited for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.format {
            Format::Json(json) => json.is_ready(),
            Format::Csv(csv) => csv.is_ready(),
        }
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("name", &self.name).field("table", &self.table).finish_non_exhaustive()
    }
}
