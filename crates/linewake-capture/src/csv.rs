//! Comma-separated values, as `linewake mon --csv` writes them: `docs/csv.md` has the columns.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{BufRead as _, Read};
use std::sync::Arc;

use csv_core::{ReadRecordResult, Reader};
use linewake::record::ChatterState;
use linewake::{EdgeKind, Figures, Missed};

use crate::error::Error;
use crate::item::{self, Item, Notice, Segment};
use crate::members::Members;
use crate::source::Source;
use crate::table::{Found, Table};

/// The columns. What a later version adds comes behind them.
pub(crate) const HEAD: [&str; 10] =
    ["timestamp_ns", "chip", "offset", "name", "event", "level", "seqno", "line_seqno", "overflowed", "merged"];

/// A longer row is none.
const MOST_BYTES: usize = 1 << 16;
const MOST_FIELDS: usize = 64;
/// More lines than this are looked up the long way.
const MOST_KNOWN: usize = 1 << 16;

const REMEDY: &str = "the columns are those of \"linewake mon --csv\"";

/// Reads rows.
pub(crate) struct Csv<R> {
    name: String,
    source: Source<Members<R>>,
    reader: Reader,
    row: Row,
    pending: VecDeque<Item>,
    /// Lines by the columns that name them.
    known: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
    segments: u64,
    /// In this segment no row was anything but the level of a line at the start.
    is_fresh: bool,
    /// Chips that are gone, or back and no edge came since.
    gone: HashSet<usize>,
    /// What the clock of a chip would have shown without its step: the other row comes next.
    arrival_ns: Option<u64>,
    /// The last stamp of an edge.
    last_ns: u64,
    has_zeros: bool,
    has_ended: bool,
}

/// The fields of a row.
struct Row {
    text: Box<[u8]>,
    ends: [usize; MOST_FIELDS],
    fields: usize,
    /// Where it begins in the file.
    line: u64,
    /// It ends as rows do, and not because the file does.
    is_whole: bool,
}

impl Row {
    fn field(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[begin..self.ends[at]]
    }

    /// The field in which the columns begin, if they do.
    fn head(&self) -> Option<usize> {
        let begins = |at: &usize| {
            self.field(*at).ends_with(HEAD[0].as_bytes())
                && (1..HEAD.len()).all(|column| self.field(at + column) == HEAD[column].as_bytes())
        };
        (0..(self.fields + 1).saturating_sub(HEAD.len())).find(begins)
    }

    /// A number, if there is one: -1 and nothing are none.
    fn number<T: TryFrom<u64>>(&self, at: usize) -> Result<Option<T>, String> {
        let field = self.field(at);
        if matches!(field, b"" | b"-1") {
            return Ok(None);
        }
        let digits = field.iter().map(|byte| byte.wrapping_sub(b'0'));
        let value = digits.into_iter().try_fold(0_u64, |value, digit| {
            (digit < 10).then_some(())?;
            value.checked_mul(10)?.checked_add(u64::from(digit))
        });
        match value.and_then(|value| T::try_from(value).ok()) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("\"{}\" is no number for the column \"{}\"", text(field), HEAD[at])),
        }
    }

    fn need<T: TryFrom<u64>>(&self, at: usize) -> Result<T, String> {
        self.number(at)?.ok_or_else(|| format!("the column \"{}\" is empty", HEAD[at]))
    }

    /// Takes leading zero bytes out of the first field: blocks of a disk that were never written to.
    fn drop_zeros(&mut self) -> bool {
        let zeros = self.field(0).iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            self.text.copy_within(zeros..self.ends[self.fields - 1], 0);
            self.ends[..self.fields].iter_mut().for_each(|end| *end -= zeros);
        }
        zeros > 0
    }
}

fn text(field: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&field[..field.len().min(80)])
}

impl<R: Read> Csv<R> {
    pub(crate) fn new(name: &str, source: Source<Members<R>>) -> Self {
        let text = vec![0; MOST_BYTES].into_boxed_slice();
        Self {
            name: name.to_owned(),
            source,
            reader: Reader::new(),
            row: Row { text, ends: [0; MOST_FIELDS], fields: 0, line: 1, is_whole: true },
            pending: VecDeque::new(),
            known: HashMap::new(),
            key: Vec::new(),
            segments: 0,
            is_fresh: true,
            gone: HashSet::new(),
            arrival_ns: None,
            last_ns: 0,
            has_zeros: false,
            has_ended: false,
        }
    }

    /// Whether the next item can be had without waiting for more bytes.
    pub(crate) fn is_ready(&self) -> bool {
        !self.pending.is_empty() || self.source.has_line()
    }

    /// The next item; `None` at the end.
    pub(crate) fn next(&mut self, table: &mut Table) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            if !self.read_row()? {
                return Ok(self.end());
            }
            if self.row.field(0).first() == Some(&0) {
                let is_first = self.segments == 0;
                if !is_first && self.row.drop_zeros() && !std::mem::replace(&mut self.has_zeros, true) {
                    self.notice("has zeros where nothing was written, as a power loss leaves them; they are left out");
                }
                if self.row.fields == 1 && self.row.field(0).is_empty() {
                    continue;
                }
            }
            match self.row(table) {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(what) => self.doubt(&what)?,
            }
        }
    }

    fn read_row(&mut self) -> Result<bool, Error> {
        let (mut length, mut fields) = (0, 0);
        self.row.line = self.reader.line();
        let mut last = b'\n';
        loop {
            if self.source.buffered().is_empty() {
                self.source.more().map_err(|error| crate::error::cannot_read(&self.name, &error))?;
            }
            let input = self.source.buffered();
            let row = &mut self.row;
            let (result, taken, out, ends) =
                self.reader.read_record(input, &mut row.text[length..], &mut row.ends[fields..]);
            last = taken.checked_sub(1).map_or(last, |at| input[at]);
            self.source.consume(taken);
            (length, fields) = (length + out, fields + ends);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    (row.fields, row.is_whole) = (fields, last == b'\n');
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull => return Err(self.error("this row does not end")),
                ReadRecordResult::OutputEndsFull => {
                    return Err(self.error(&format!("this row has more than {MOST_FIELDS} fields")));
                }
            }
        }
    }

    /// A row that makes no sense: it may have been cut off.
    fn doubt(&mut self, what: &str) -> Result<(), Error> {
        let peeked =
            self.source.peek(HEAD[0].len() + 1).map_err(|error| crate::error::cannot_read(&self.name, &error))?;
        let is_last = peeked.is_empty() && !self.row.is_whole;
        if self.segments > 0 && is_last {
            self.notice("ends in the middle of a row; what is before it is played");
            return Ok(());
        }
        if self.segments > 0 && peeked.starts_with(HEAD[0].as_bytes()) {
            self.notice_at("a row is cut off, and another capture begins behind it");
            return Ok(());
        }
        Err(self.error(what))
    }

    fn row(&mut self, table: &mut Table) -> Result<Option<Item>, String> {
        if let Some(at) = self.row.head() {
            if at > 0 || self.row.field(0).len() > HEAD[0].len() {
                self.notice_at("a row is cut off, and another capture begins behind it");
            }
            self.begin(table);
            return Ok(self.pending.pop_front());
        }
        if self.segments == 0 {
            return Err("it does not begin with the names of the columns".to_owned());
        }
        if self.row.fields < HEAD.len() {
            let (fields, columns) = (self.row.fields, HEAD.len());
            return Err(format!("this row has {fields} fields, and there are {columns} columns"));
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
        let Found { line, is_new } = self.line(table)?;
        (self.is_fresh, self.last_ns) = (false, timestamp_ns);
        if !self.gone.is_empty() {
            self.gone.remove(&table.lines[line].chip);
        }
        let (axis_ns, step_ns) = table.edge_at(line, timestamp_ns);
        let edge = Item::Edge(item::Edge { line, kind, timestamp_ns, axis_ns, seqno, line_seqno, missed });
        if !is_new && step_ns.is_none() {
            return Ok(Some(edge));
        }
        if is_new {
            self.pending.push_back(Item::Line(line));
        }
        if let Some(step_ns) = step_ns {
            self.notice_at(&crate::error::set_back(step_ns));
        }
        self.pending.push_back(edge);
        Ok(self.pending.pop_front())
    }

    /// A row that is no edge.
    fn other_row(&mut self, table: &mut Table) -> Result<Option<Item>, String> {
        let at_ns: Option<u64> = self.row.number(0)?;
        let event = self.row.field(4);
        match event {
            b"state" => return self.state(table).map(Some),
            b"gone" | b"back" => {
                let is_over = event == b"back";
                let chip = table.chip(&self.utf8(1)?)?;
                self.gone.insert(chip);
                if let Some(at_ns) = at_ns {
                    table.axis.at(chip, at_ns);
                }
                let (from_ns, to_ns) = if is_over { (None, at_ns) } else { (at_ns, None) };
                let figures = Figures::default();
                self.pending.push_back(Item::Gap(item::Gap { chip, is_over, from_ns, to_ns, figures }));
            }
            b"blocked" | b"unblocked" => {
                let is_blocked = event == b"blocked";
                let state = if is_blocked { ChatterState::Blocked } else { ChatterState::Unblocked };
                let timestamp_ns = self.row.need(0)?;
                let Found { line, is_new } = self.line(table)?;
                if is_new {
                    self.pending.push_back(Item::Line(line));
                }
                let axis_ns = table.axis.at(table.lines[line].chip, timestamp_ns);
                let chatter = item::Chatter { line, state, timestamp_ns, axis_ns, changes: 0, withheld: 0 };
                self.pending.push_back(Item::Chatter(chatter));
            }
            b"clock" => {
                let (at_ns, chip) = (self.row.need(0)?, table.chip(&self.utf8(1)?)?);
                match (self.row.number::<u8>(5)?, self.arrival_ns.take()) {
                    (Some(0), _) => self.arrival_ns = Some(at_ns),
                    (_, Some(arrival_ns)) => {
                        table.axis.step(chip, at_ns, arrival_ns);
                        let (before_ns, after_ns) = (self.last_ns, at_ns);
                        let step = item::ClockStep { chip, before_ns, after_ns, arrival_ns };
                        self.pending.push_back(Item::Clock(step));
                    }
                    (_, None) => return Err("here a row with level 0 is to come first".to_owned()),
                }
            }
            // Of a later version.
            _ => {}
        }
        self.is_fresh = false;
        Ok(self.pending.pop_front())
    }

    fn state(&mut self, table: &mut Table) -> Result<Item, String> {
        let active = self.row.number::<u8>(5)?.map(|level| level != 0);
        let chip = table.chip(&self.utf8(1)?)?;
        if !self.is_fresh && !self.gone.contains(&chip) {
            // Another watch was written behind the one before.
            self.begin(table);
        }
        let Found { line, is_new } = self.line(table)?;
        if is_new {
            self.pending.push_back(Item::Line(line));
        }
        self.pending.push_back(Item::State { line, active });
        // There is one.
        Ok(self.pending.pop_front().unwrap_or(Item::Line(line)))
    }

    /// The line that a row is of.
    fn line(&mut self, table: &mut Table) -> Result<Found, String> {
        let row = &self.row;
        self.key.clear();
        for column in 1..=3 {
            self.key.extend_from_slice(row.field(column));
            // In no text of UTF-8.
            self.key.push(0xff);
        }
        if let Some(&line) = self.known.get(&*self.key) {
            return Ok(Found { line, is_new: false });
        }
        let (chip, offset, name) = (self.utf8(1)?, self.row.need(2)?, self.utf8(3)?);
        let found = table.line(&chip, offset, Some(&name))?;
        if found.is_new || self.known.len() == MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(self.key.clone().into_boxed_slice(), found.line);
        Ok(found)
    }

    fn utf8(&self, at: usize) -> Result<String, String> {
        let field = self.row.field(at).to_vec();
        String::from_utf8(field).map_err(|_| format!("the column \"{}\" is not UTF-8", HEAD[at]))
    }

    fn begin(&mut self, table: &mut Table) {
        if self.segments > 0 {
            self.pending.push_back(Item::End(None));
        }
        self.segments += 1;
        self.gone.clear();
        self.known.clear();
        (self.is_fresh, self.arrival_ns, self.last_ns) = (true, None, 0);
        table.begin_segment();
        table.axis.begin_segment(None, None, false);
        self.pending.push_back(Item::Begin(Arc::new(Segment {
            number: self.segments,
            clock: crate::error::DEVICE.into(),
            utc: None,
            host: None,
            boot_id: None,
            utc_synchronised: None,
        })));
    }

    fn end(&mut self) -> Option<Item> {
        if !std::mem::replace(&mut self.has_ended, true) && self.segments > 0 {
            if self.source.inner().is_cut() {
                self.notice("ends in the middle of what was compressed; what is before it is played");
            }
            self.pending.push_back(Item::End(None));
        }
        self.pending.pop_front()
    }

    fn notice(&mut self, what: &str) {
        self.pending.push_back(Item::Notice(Notice(format!("\"{}\" {what}", self.name))));
    }

    fn notice_at(&mut self, what: &str) {
        let line = self.row.line;
        self.pending.push_back(Item::Notice(Notice(format!("\"{}\":{line}: {what}", self.name))));
    }

    fn error(&self, what: &str) -> Error {
        Error::new(format!("\"{}\":{}: {what}; {REMEDY}", self.name, self.row.line))
    }
}
