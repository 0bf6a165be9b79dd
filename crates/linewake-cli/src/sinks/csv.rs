//! Comma-separated values (RFC 4180): one row for each edge, level, gap, blocked line and step of a clock. The layout
//! is frozen: docs/csv.md states it.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use linewake::EdgeEvent;

use super::csv_columns::{COLUMNS, Cell, Numbers, Subject, header};
use super::files::{ExistingFile, Format};
use super::line_text::LineTexts;
use super::out::Out;
use super::sink::{Closing, Item, Sink, View};
use crate::exit::Failure;
use crate::readers;

/// How long rows without a time wait for one. The computer's own clock would not do: a program may stamp by another
/// one.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes the rows.
pub(crate) struct Csv {
    out: Out,
    /// The text cells of the edges of each line, for each direction.
    texts: LineTexts,
    /// The time of the last row that has one.
    last_ns: Option<u64>,
    /// The time of the clock when the watch began.
    began_ns: Option<u64>,
    /// Rows that wait for a time, without their first cell, and since when they wait.
    held: Vec<Vec<u8>>,
    since: Option<Instant>,
}

impl Csv {
    pub(crate) fn open(path: &Path, existing: ExistingFile) -> Result<Self, Failure> {
        Ok(Self::new(Out::open(path, Format::Rows(header()), existing)?))
    }

    pub(super) fn new(out: Out) -> Self {
        Self { out, texts: LineTexts::new(), last_ns: None, began_ns: None, held: Vec::new(), since: None }
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> io::Result<()> {
        self.at(edge.timestamp_ns)?;
        self.out.number(edge.timestamp_ns)?;
        self.out.write_all(self.texts.get(line, edge, |kind| cells_of_subject(&Subject::of_edge(edge, kind))))?;
        write_numbers(&mut self.out, &Numbers::of_edge(edge))
    }

    /// Notes the time of a row. Rows that wait get the same time.
    #[inline]
    fn at(&mut self, ns: u64) -> io::Result<()> {
        self.last_ns = Some(ns);
        if self.held.is_empty() { Ok(()) } else { self.release(ns) }
    }

    fn release(&mut self, ns: u64) -> io::Result<()> {
        self.since = None;
        self.last_ns = Some(ns);
        for row in std::mem::take(&mut self.held) {
            self.out.number(ns)?;
            self.out.write_all(&row)?;
        }
        Ok(())
    }

    /// Writes a row that is no edge.
    fn row(&mut self, at_ns: Option<u64>, subject: &Subject<'_>) -> io::Result<()> {
        let mut row = cells_of_subject(subject);
        write_numbers(&mut row, &Numbers::default())?;
        if let Some(ns) = at_ns {
            self.at(ns)?;
        }
        let Some(ns) = self.last_ns else {
            self.since.get_or_insert_with(Instant::now);
            self.held.push(row);
            return Ok(());
        };
        self.out.number(ns)?;
        self.out.write_all(&row)
    }
}

/// The text cells, each with a comma before it.
fn cells_of_subject(subject: &Subject<'_>) -> Vec<u8> {
    let mut cells = Vec::new();
    for column in &COLUMNS {
        if let Cell::Subject(cell) = column.cell {
            cells.push(b',');
            cells.extend_from_slice(quoted(&cell(subject)).as_bytes());
        }
    }
    cells
}

/// The number cells, and the end of the row.
fn write_numbers(out: &mut impl io::Write, numbers: &Numbers) -> io::Result<()> {
    for column in &COLUMNS {
        if let Cell::Number(cell) = column.cell {
            out.write_all(b",")?;
            out.write_all(itoa::Buffer::new().format(cell(numbers)).as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

impl Sink for Csv {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.began_ns = view.began_ns;
        if self.out.is_empty() { writeln!(self.out, "{}", header()) } else { Ok(()) }
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            Item::State { state, .. } => {
                let line = Some((state.offset, state.name.as_deref()));
                let level = state.active.map_or(-1, i8::from);
                self.row(None, &Subject { chip: &state.chip, line, event: "state", level })
            }
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { gap, .. } => {
                let (event, at_ns) = if gap.is_over { ("back", gap.to_ns) } else { ("gone", gap.from_ns) };
                self.row(at_ns, &Subject { chip: &gap.chip, line: None, event, level: -1 })
            }
            Item::Chatter(chatter) => {
                let line = Some((chatter.offset, chatter.name.as_deref()));
                let event = chatter.kind.as_str();
                self.row(Some(chatter.timestamp_ns), &Subject { chip: &chatter.chip, line, event, level: -1 })
            }
            Item::Clock(step) => {
                let subject = |level| Subject { chip: &step.chip, line: None, event: "clock", level };
                self.row(Some(step.arrival_ns), &subject(0))?;
                self.row(Some(step.after_ns), &subject(1))
            }
            Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.due().is_some_and(|due| Instant::now() >= due) {
            self.release(self.began_ns.unwrap_or(0))?;
        }
        self.out.flush()
    }

    fn place(&self) -> Option<readers::WatchedOutput<'_>> {
        Some(self.out.place())
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.release(self.began_ns.unwrap_or(0))?;
        self.out.end()
    }

    fn reopen(&mut self, _: Closing<'_>) -> io::Result<bool> {
        let Some(log) = self.out.successor() else { return Ok(false) };
        // The next file begins with its own rows of levels.
        self.release(self.last_ns.or(self.began_ns).unwrap_or(0))?;
        self.out.go_on_in(log)?;
        Ok(true)
    }

    fn was_emptied(&mut self) -> bool {
        self.out.was_emptied()
    }

    fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }
}

/// A cell, in quotes where it has to be.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        return Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")));
    }
    Cow::Borrowed(field)
}
