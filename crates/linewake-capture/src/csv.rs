//! Comma-separated values, as `linewake mon --csv` writes them: `docs/csv.md` has the columns.

mod rows;

use std::collections::{HashMap, HashSet};
use std::io::Read;

use linewake::record::ChatterState;
use linewake::{EdgeKind, Figures, Missed};

pub(crate) use self::rows::HEAD;
use self::rows::{Row, Shape};
use crate::error::Error;
use crate::foreign::{Doubt, Foreign};
use crate::item::{self, Item, Segment};
use crate::line_reader::LineReader;
use crate::members::Members;
use crate::outbox::Outbox;
use crate::table::{LineLookup, Table};

/// How many lines are found by their columns; more take the slow way.
const MOST_KNOWN: usize = 1 << 16;

const CUT: &str = "a row is cut off, and another capture begins after it";
const REMEDY: &str = "the columns are those of \"linewake mon --csv\"";

/// Reads rows.
pub(crate) struct Csv<R> {
    outbox: Outbox,
    source: LineReader<Members<R>>,
    row: Row,
    foreign: Foreign,
    /// A row that is invalid, unless something that follows explains it.
    doubt: Option<Doubt>,
    /// Lines by the columns that name them.
    known: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
    segments: u64,
    /// In this segment all rows so far were levels at the start.
    is_fresh: bool,
    /// Chips that are gone, or are back and had no edge since.
    gone: HashSet<usize>,
    /// The time that a chip's clock would have shown without its step; the row with its real time follows.
    arrival_ns: Option<u64>,
    /// The last stamp of an edge.
    last_ns: u64,
    has_ended: bool,
}

impl<R: Read> Csv<R> {
    pub(crate) fn new(name: &str, source: LineReader<Members<R>>) -> Self {
        Self {
            outbox: Outbox::new(name),
            source,
            row: Row::new(),
            foreign: Foreign::new("row"),
            doubt: None,
            known: HashMap::new(),
            key: Vec::new(),
            segments: 0,
            is_fresh: true,
            gone: HashSet::new(),
            arrival_ns: None,
            last_ns: 0,
            has_ended: false,
        }
    }

    /// Whether the next item can be had without waiting for more bytes.
    pub(crate) fn is_ready(&self) -> bool {
        !self.outbox.is_empty() || self.source.has_line()
    }

    /// The next item; `None` at the end.
    pub(crate) fn next(&mut self, table: &mut Table) -> Result<Option<Item>, Error> {
        let mut is_first = true;
        loop {
            if let Some(item) = self.outbox.pop() {
                return Ok(Some(item));
            }
            if !std::mem::take(&mut is_first) && self.segments > 0 && !self.is_ready() {
                return Ok(Some(Item::Quiet));
            }
            let found = self.row.read(&mut self.source);
            match found.map_err(|error| crate::error::cannot_read(&self.outbox.name, &error))? {
                rows::RowRead::End => return self.end(),
                rows::RowRead::TooLong => return Err(self.error(&format!("this row has no end; {REMEDY}"))),
                rows::RowRead::TooMany if self.row.shape() != Shape::Foreign => {
                    return Err(self.error(&format!("this row has too many fields; {REMEDY}")));
                }
                rows::RowRead::Zeros => {
                    self.outbox.zeros();
                    continue;
                }
                rows::RowRead::Cut if self.segments > 0 => {
                    self.explain();
                    self.outbox.notice_at(self.row.line, CUT);
                    self.is_fresh = false;
                    self.gone.clear();
                }
                rows::RowRead::Cut | rows::RowRead::Line | rows::RowRead::TooMany => {}
            }
            if self.row.has_zeros {
                self.outbox.zeros();
            }
            let shape = self.row.shape();
            let made = self.row(table, shape);
            if let Some(item) = made.or_else(|what| self.doubt(&what))? {
                return Ok(Some(item));
            }
        }
    }

    /// Another capture begins, which explains an invalid row: it was cut off.
    fn explain(&mut self) {
        if let Some(doubt) = self.doubt.take() {
            self.outbox.notice_at(doubt.line, CUT);
        }
    }

    /// An invalid row: the rest of the file may show that it was cut off.
    fn doubt(&mut self, what: &str) -> Result<Option<Item>, Error> {
        if self.segments == 0 {
            return Err(self.error(what));
        }
        let error = self.error(&format!("{what}; {REMEDY}"));
        match self.doubt.take() {
            Some(doubt) => Err(doubt.error),
            None => {
                self.doubt = Some(Doubt { line: self.row.line, error, is_whole: self.row.is_whole });
                Ok(None)
            }
        }
    }

    fn row(&mut self, table: &mut Table, shape: Shape) -> Result<Option<Item>, String> {
        match shape {
            Shape::Head => {
                // It explains what was wrong before it.
                self.explain();
                self.begin(table);
                return Ok(self.outbox.pop());
            }
            Shape::Spoiled if self.segments > 0 => return Err(self.row.fault()),
            Shape::Foreign | Shape::Spoiled | Shape::Event | Shape::Later if self.segments == 0 => {
                let what = self.row.no_head();
                if self.row.names_time() || shape == Shape::Event {
                    return Err(what);
                }
                let error = self.error(&what);
                self.foreign.add_first(self.row.line, error);
                return if self.foreign.is_all_there_is() { Err(what) } else { Ok(None) };
            }
            Shape::Foreign => {
                self.foreign.add(self.row.line);
                if let Some(doubt) = &mut self.doubt {
                    doubt.is_whole = false;
                }
                return Ok(None);
            }
            _ => {}
        }
        if self.doubt.is_some() && self.row.field(4) != b"state" {
            return Err(String::new());
        }
        let kind = match self.row.field(4) {
            b"rising" => EdgeKind::Rising,
            b"falling" => EdgeKind::Falling,
            _ => return self.other_row(table),
        };
        let row = &self.row;
        let timestamp_ns = row.need(0)?;
        let (seqno, line_seqno) = (row.need(6)?, row.need(7)?);
        let missed = Missed { overflowed: row.need(8)?, merged: row.need(9)? };
        let LineLookup { line, is_new } = self.line(table)?;
        (self.is_fresh, self.last_ns) = (false, timestamp_ns);
        if !self.gone.is_empty() {
            self.gone.remove(&table.lines[line].chip);
        }
        // `outbox.edge` finds its time on the axis.
        let edge = item::Edge { line, kind, timestamp_ns, axis_ns: 0, seqno, line_seqno, missed };
        Ok(Some(self.outbox.edge(table, self.row.line, is_new, edge)))
    }

    /// A row that is not an edge.
    fn other_row(&mut self, table: &mut Table) -> Result<Option<Item>, String> {
        let at_ns: Option<u64> = self.row.number(0)?;
        let event = self.row.field(4);
        match event {
            b"state" => return self.state(table).map(Some),
            b"gone" | b"back" => {
                let is_over = event == b"back";
                let chip = table.chip(&self.row.utf8(1)?)?;
                self.gone.insert(chip);
                if let Some(at_ns) = at_ns {
                    table.axis.at(chip, at_ns);
                }
                let (from_ns, to_ns) = if is_over { (None, at_ns) } else { (at_ns, None) };
                let figures = Figures::default();
                self.outbox.push(Item::Gap(item::Gap { chip, is_over, from_ns, to_ns, figures }));
            }
            b"blocked" | b"unblocked" => {
                let is_blocked = event == b"blocked";
                let state = if is_blocked { ChatterState::Blocked } else { ChatterState::Unblocked };
                let timestamp_ns = self.row.need(0)?;
                let found = self.line(table)?;
                self.outbox.found(found);
                let line = found.line;
                let axis_ns = table.axis.at(table.lines[line].chip, timestamp_ns);
                let chatter = item::Chatter { line, state, timestamp_ns, axis_ns, changes: 0, withheld: 0 };
                self.outbox.push(Item::Chatter(chatter));
            }
            b"clock" => {
                let (at_ns, chip) = (self.row.need(0)?, table.chip(&self.row.utf8(1)?)?);
                match (self.row.number::<u8>(5)?, self.arrival_ns.take()) {
                    (Some(0), _) => self.arrival_ns = Some(at_ns),
                    (_, Some(arrival_ns)) => {
                        table.axis.step(chip, at_ns, arrival_ns);
                        let (before_ns, after_ns) = (self.last_ns, at_ns);
                        let step = item::ClockStep { chip, before_ns, after_ns, arrival_ns };
                        self.outbox.push(Item::Clock(step));
                    }
                    (_, None) => return Err("expected a \"clock\" row with level 0 before this one".to_owned()),
                }
            }
            // Events that later versions of linewake may add are skipped.
            _ => {}
        }
        self.is_fresh = false;
        Ok(self.outbox.pop())
    }

    fn state(&mut self, table: &mut Table) -> Result<Item, String> {
        let active = self.row.number::<u8>(5)?.map(|level| level != 0);
        let chip = table.chip(&self.row.utf8(1)?)?;
        if self.doubt.is_some() || !self.is_fresh && !self.gone.contains(&chip) {
            // Another watch was appended.
            self.explain();
            self.begin(table);
        }
        let found = self.line(table)?;
        self.outbox.found(found);
        let line = found.line;
        self.outbox.push(Item::State { line, active });
        // The queue is not empty.
        Ok(self.outbox.pop().unwrap_or(Item::Line(line)))
    }

    /// The line that a row names.
    fn line(&mut self, table: &mut Table) -> Result<LineLookup, String> {
        let row = &self.row;
        self.key.clear();
        for column in 1..=3 {
            self.key.extend_from_slice(row.field(column));
            // UTF-8 never contains this byte.
            self.key.push(0xff);
        }
        if let Some(&line) = self.known.get(&*self.key) {
            return Ok(LineLookup { line, is_new: false });
        }
        let (chip, offset, name) = (self.row.utf8(1)?, self.row.need(2)?, self.row.utf8(3)?);
        let found = table.line(&chip, offset, Some(&name))?;
        if found.is_new || self.known.len() == MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(self.key.clone().into_boxed_slice(), found.line);
        Ok(found)
    }

    fn begin(&mut self, table: &mut Table) {
        if self.segments > 0 {
            self.outbox.push(Item::End(None));
        }
        self.segments += 1;
        self.gone.clear();
        self.known.clear();
        (self.is_fresh, self.arrival_ns, self.last_ns) = (true, None, 0);
        table.begin_segment();
        table.axis.begin_segment(None, None, false);
        self.outbox.push(Item::Begin(Segment::plain(self.segments, crate::error::DEVICE)));
    }

    /// The end of the file.
    fn end(&mut self) -> Result<Option<Item>, Error> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Ok(self.outbox.pop());
        }
        if self.segments == 0 {
            return self.foreign.nothing_else(&self.outbox.name, self.outbox.has_zeros()).map_or(Ok(None), Err);
        }
        self.foreign.finish(self.doubt.take(), self.source.inner().is_cut(), &mut self.outbox)?;
        self.outbox.push(Item::End(None));
        Ok(self.outbox.pop())
    }

    fn error(&self, what: &str) -> Error {
        Error::new(format!("\"{}\":{}: {what}", self.outbox.name, self.row.line))
    }
}
