//! Comma-separated values, as RFC 4180 has them: one row for each edge, state, gap, and line that is blocked. The layout is
//! frozen: docs/csv.md states it.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use linewake::{EdgeEvent, EdgeKind};

use super::files::{Existing, Format};
use super::line_text::LineTexts;
use super::sink::{Closing, Item, Out, Sink, View};
use crate::exit::Failure;
use crate::readers;

/// The first row.
pub(crate) const HEAD: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged";

/// How long rows wait for a time: a program that stamps edges may have another clock than this computer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The columns of [`HEAD`]; no cell of a number is empty.
pub(crate) struct Csv {
    out: Out,
    /// What is between the first column of an edge and its numbers, by the kind of edge.
    texts: LineTexts,
    /// That of the last row which has one.
    last_ns: Option<u64>,
    /// What the clock showed when the watch began.
    began_ns: Option<u64>,
    /// Rows before there is a time, without their first column, and since when they wait.
    held: Vec<Vec<u8>>,
    since: Option<Instant>,
}

impl Csv {
    pub(crate) fn open(path: &Path, existing: Existing) -> Result<Self, Failure> {
        Ok(Self::new(Out::open(path, Format::Rows(HEAD), existing)?))
    }

    pub(super) fn new(out: Out) -> Self {
        Self { out, texts: LineTexts::new(), last_ns: None, began_ns: None, held: Vec::new(), since: None }
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> io::Result<()> {
        self.at(edge.timestamp_ns)?;
        let out = &mut self.out;
        out.number(edge.timestamp_ns)?;
        out.write_all(self.texts.get(line, edge, |kind| common(edge, kind)))?;
        out.number(edge.seqno)?;
        for number in [edge.line_seqno, edge.missed.overflowed, edge.missed.merged] {
            out.write_all(b",")?;
            out.number(number)?;
        }
        out.write_all(b"\n")
    }

    /// A row has this time: so have those before it that have none.
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

    /// Writes a row that is no edge, from the comma behind its time on.
    fn row(
        &mut self,
        at_ns: Option<u64>,
        chip: &str,
        offset: i64,
        name: &str,
        event: &str,
        level: i8,
    ) -> io::Result<()> {
        let (chip, name) = (quoted(chip), quoted(name));
        let row = format!(",{chip},{offset},{name},{event},{level},0,0,0,0\n").into_bytes();
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

/// The columns that all edges of a line and kind have in common, with the commas around them.
fn common(edge: &EdgeEvent, kind: EdgeKind) -> Vec<u8> {
    let level = u8::from(kind == EdgeKind::Rising);
    let (chip, name) = (quoted(&edge.chip), quoted(edge.name.as_deref().unwrap_or_default()));
    format!(",{chip},{},{name},{},{level},", edge.offset, kind.as_str()).into_bytes()
}

impl Sink for Csv {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.began_ns = view.began_ns;
        if self.out.is_empty() { writeln!(self.out, "{HEAD}") } else { Ok(()) }
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            Item::State { state, .. } => {
                let level = state.active.map_or(-1, i8::from);
                let name = state.name.as_deref().unwrap_or_default();
                self.row(None, &state.chip, state.offset.get().into(), name, "state", level)
            }
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { gap, .. } => {
                let (event, at_ns) = if gap.is_over { ("back", gap.to_ns) } else { ("gone", gap.from_ns) };
                self.row(at_ns, &gap.chip, -1, "", event, -1)
            }
            Item::Chatter(chatter) => {
                let (at_ns, name) = (Some(chatter.timestamp_ns), chatter.name.as_deref().unwrap_or_default());
                self.row(at_ns, &chatter.chip, chatter.offset.get().into(), name, chatter.kind.as_str(), -1)
            }
            Item::Clock(step) => {
                self.row(Some(step.arrival_ns), &step.chip, -1, "", "clock", 0)?;
                self.row(Some(step.after_ns), &step.chip, -1, "", "clock", 1)
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

    fn place(&self) -> Option<readers::Place<'_>> {
        Some(self.out.place())
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.release(self.began_ns.unwrap_or(0))?;
        self.out.end()
    }

    fn reopen(&mut self, _: Closing<'_>) -> io::Result<bool> {
        let Some(log) = self.out.successor() else { return Ok(false) };
        // Those of the levels come again.
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

/// A field, in quotes where it has to be.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        return Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")));
    }
    Cow::Borrowed(field)
}
