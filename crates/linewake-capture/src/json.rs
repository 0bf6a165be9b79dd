//! Record streams: one JSON object on each line, and several streams one after the other.

mod edge;

use std::io::{self, BufRead as _, Read};
use std::sync::Arc;

use linewake::record::{Chatter, Gap, NamedChip, READABLE, Record, Start, State, Step, Summary};
use linewake::{Figures, UtcOffset};
use serde::Deserialize;

use self::edge::{Heads, Numbers};
use crate::error::Error;
use crate::foreign::{Doubt, Foreign};
use crate::item::{self, Account, Item, Segment};
use crate::line_reader::LineReader;
use crate::members::Members;
use crate::outbox::Outbox;
use crate::table::{CapturedChip, LineLookup, Table};

/// A longer line is invalid.
pub(crate) const MOST_BYTES: usize = 1 << 26;

/// Reads record streams.
pub(crate) struct Json<R> {
    /// The items that come before the source's next line.
    outbox: Outbox,
    source: LineReader<Members<R>>,
    /// How many bytes of the source the last line takes.
    taken: usize,
    line: u64,
    heads: Heads,
    segments: u64,
    account: Option<Box<Account>>,
    /// How many accounts this segment has.
    accounts: u64,
    foreign: Foreign,
    doubt: Option<Doubt>,
    has_overlap: bool,
    has_ended: bool,
}

const CUT: &str = "a record is cut off, and another capture begins after it";
const REMEDY: &str = "a capture is what \"linewake record\" writes";

impl<R: Read> Json<R> {
    pub(crate) fn new(name: &str, source: LineReader<Members<R>>) -> Self {
        Self {
            outbox: Outbox::new(name),
            source,
            taken: 0,
            line: 0,
            heads: Heads::default(),
            segments: 0,
            account: None,
            accounts: 0,
            foreign: Foreign::new("record"),
            doubt: None,
            has_overlap: false,
            has_ended: false,
        }
    }

    /// Whether the next item can be had without waiting for more bytes.
    pub(crate) fn is_ready(&self) -> bool {
        !self.outbox.is_empty() || memchr::memchr(b'\n', &self.source.buffered()[self.taken..]).is_some()
    }

    /// The next item; `None` at the end.
    pub(crate) fn next(&mut self, table: &mut Table) -> Result<Option<Item>, Error> {
        if let Some(item) = self.outbox.pop() {
            return Ok(Some(item));
        }
        let mut is_first = true;
        loop {
            if !std::mem::take(&mut is_first) && self.segments > 0 && !self.is_ready() {
                return Ok(Some(Item::Quiet));
            }
            self.source.consume(std::mem::take(&mut self.taken));
            let length = self.source.line(MOST_BYTES).map_err(|error| self.cannot(&error))?;
            self.line += 1;
            let Some(length) = length else {
                return Err(self.error(None, "this line has no end"));
            };
            self.taken = length;
            if length == 0 {
                return self.end();
            }
            let text = &self.source.buffered()[..length];
            if self.doubt.is_none()
                && let Some((line, numbers)) = self.heads.find(text)
            {
                return Ok(Some(self.edge(table, line, numbers, false)));
            }
            if let Some(item) = self.rarely(table)? {
                return Ok(Some(item));
            }
        }
    }

    /// A line that is not an edge of a known line.
    fn rarely(&mut self, table: &mut Table) -> Result<Option<Item>, Error> {
        let text = &self.source.buffered()[..self.taken];
        let is_whole = text.ends_with(b"\n");
        let zeros = text.iter().take_while(|byte| **byte == 0).count();
        let text = &text[zeros..];
        if zeros > 0 {
            self.outbox.zeros();
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(self.outbox.pop());
        }
        let begin = start_at(text).filter(|&at| serde_json::from_slice::<Record<'_>>(&text[at..]).is_ok());
        let text = text.to_vec();
        if let Some(doubt) = self.doubt.take_if(|_| begin.is_some()) {
            self.outbox.notice_at(doubt.line, CUT);
        }
        match begin {
            Some(at) if at > 0 => return self.behind(table, &text, at),
            None if is_foreign(&text) => return self.leave_out(&text),
            _ => {}
        }
        if let Some(doubt) = self.doubt.take() {
            return Err(doubt.error);
        }
        match self.record(table, &text) {
            Err(error) if self.segments > 0 && is_no_json(&text) => {
                self.doubt = Some(Doubt { line: self.line, error, is_whole });
                Ok(self.outbox.pop())
            }
            record => record,
        }
    }

    /// A capture begins in the middle of a line.
    fn behind(&mut self, table: &mut Table, text: &[u8], at: usize) -> Result<Option<Item>, Error> {
        let before = &text[..at];
        let before = &before[..before.len() - before.iter().rev().take_while(|byte| **byte == 0).count()];
        let is_record = self.segments > 0 && serde_json::from_slice::<Record<'_>>(before).is_ok();
        if before.len() < at {
            self.outbox.zeros();
        }
        if is_record {
            // The record is complete; only its line end is missing.
            if let Some(item) = self.record(table, before)? {
                self.outbox.push(item);
            }
        } else if is_foreign(before) {
            self.foreign.add(self.line);
        } else {
            self.outbox.notice_at(self.line, CUT);
        }
        self.record(table, &text[at..])
    }

    /// A line that does not belong to the capture.
    fn leave_out(&mut self, text: &[u8]) -> Result<Option<Item>, Error> {
        if let Some(doubt) = &mut self.doubt {
            doubt.is_whole = false;
        }
        if self.segments > 0 {
            self.foreign.add(self.line);
            return Ok(self.outbox.pop());
        }
        let error = match self.record_of(text) {
            Err(error) => error,
            Ok(_) => return Ok(self.outbox.pop()),
        };
        if text.trim_ascii_start().first() == Some(&b'[')
            && matches!(text.trim_ascii_start()[1..].trim_ascii_start().first(), None | Some(b'{'))
        {
            let remedy = "write one record a line, as in \"jq -c '.[]' FILE | linewake replay -\"";
            return Err(Error::new(format!("\"{}\" has its records in an array: {remedy}", self.outbox.name)));
        }
        self.foreign.add_first(self.line, error.clone());
        if self.foreign.is_all_there_is() { Err(error) } else { Ok(self.outbox.pop()) }
    }

    /// An edge. If it is the first of its line, the line comes before it.
    #[inline]
    fn edge(&mut self, table: &mut Table, line: usize, numbers: Numbers, is_new: bool) -> Item {
        let Numbers { kind, timestamp_ns, seqno, line_seqno, missed } = numbers;
        // `outbox.edge` finds its time on the axis.
        let edge = item::Edge { line, kind, timestamp_ns, axis_ns: 0, seqno, line_seqno, missed };
        self.outbox.edge(table, self.line, is_new, edge)
    }

    /// Parses any record.
    fn record_of<'a>(&self, text: &'a [u8]) -> Result<Record<'a>, Error> {
        serde_json::from_slice::<Record<'a>>(text).map_err(|error| {
            if let Some(what) = unreadable_schema(text) {
                return Error::new(format!("\"{}\" {what}", self.outbox.name));
            }
            if self.segments == 0 && text.trim_ascii() == b"{" {
                let remedy = "write one record a line, as in \"jq -c . FILE | linewake replay -\"";
                return Error::new(format!("\"{}\" has records of several lines: {remedy}", self.outbox.name));
            }
            // The text has only one line, so the line number of the error is always 1.
            let (what, column) = (error.to_string(), error.column());
            self.error(Some(column), what.split(" at line ").next().unwrap_or_default())
        })
    }

    /// Any record.
    fn record(&mut self, table: &mut Table, text: &[u8]) -> Result<Option<Item>, Error> {
        let record = self.record_of(text)?;
        if self.segments == 0 && !matches!(record, Record::Start(_)) {
            let what = "expected a start record, as \"linewake record\" writes it";
            return Err(Error::new(format!("\"{}\":{}:1: {what}", self.outbox.name, self.line)));
        }
        let (name, line) = (self.outbox.name.clone(), self.line);
        let wrong = |what: String| Error::new(format!("\"{name}\":{line}: {what}; {REMEDY}"));
        let item = match record {
            Record::Start(start) => return self.begin(table, &start),
            Record::State(State { chip, offset, name, level }) => {
                let found = table.line(&chip, offset, name.as_deref()).map_err(wrong)?;
                self.note(found);
                Item::State { line: found.line, active: level.map(|level| level != 0) }
            }
            Record::Edge(edge) => {
                let found = table.line(&edge.chip, edge.offset, edge.name.as_deref());
                let LineLookup { line, is_new } = found.map_err(wrong)?;
                if is_new {
                    self.heads.forget();
                }
                self.heads.learn(text, line);
                return Ok(Some(self.edge(table, line, Numbers::of(&edge), is_new)));
            }
            Record::Gap(gap) => {
                let chip = table.chip(&gap.chip).map_err(wrong)?;
                let Gap { over, from_ns, to_ns, delivered, overflowed, merged, discarded, .. } = gap;
                if let Some(at_ns) = if over { to_ns } else { from_ns } {
                    table.axis.at(chip, at_ns);
                }
                let figures = Figures { delivered, overflowed, merged, discarded };
                Item::Gap(item::Gap { chip, is_over: over, from_ns, to_ns, figures })
            }
            Record::Chatter(Chatter { chip, offset, name, state, timestamp_ns, changes, withheld }) => {
                let found = table.line(&chip, offset, name.as_deref()).map_err(wrong)?;
                self.note(found);
                let axis_ns = table.axis.at(table.lines[found.line].chip, timestamp_ns);
                let withheld = withheld.unwrap_or(0);
                Item::Chatter(item::Chatter { line: found.line, state, timestamp_ns, axis_ns, changes, withheld })
            }
            Record::Clock(Step { chip, before_ns, after_ns, arrival_ns }) => {
                let chip = table.chip(&chip).map_err(wrong)?;
                table.axis.step(chip, after_ns, arrival_ns);
                Item::Clock(item::ClockStep { chip, before_ns, after_ns, arrival_ns })
            }
            Record::Info(_) => return Ok(self.outbox.pop()),
            Record::Heartbeat(heartbeat) => Item::Heartbeat(heartbeat),
            Record::Summary(summary) => {
                self.summary(table, summary).map_err(wrong)?;
                return Ok(self.outbox.pop());
            }
        };
        self.outbox.push(item);
        Ok(self.outbox.pop())
    }

    /// The line may appear for the first time.
    fn note(&mut self, found: LineLookup) {
        if found.is_new {
            self.heads.forget();
        }
        self.outbox.found(found);
    }

    fn begin(&mut self, table: &mut Table, start: &Start<'_>) -> Result<Option<Item>, Error> {
        if !READABLE.contains(&start.schema) {
            return Err(Error::new(format!("\"{}\" {}", self.outbox.name, of_schema(start.schema))));
        }
        if self.segments > 0 {
            let account = self.take_account();
            self.outbox.push(Item::End(account));
        }
        (self.segments, self.accounts) = (self.segments + 1, 0);
        self.heads.forget();
        table.begin_segment();
        for NamedChip { chip, id, name, label } in &start.chips {
            let said = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
            let (id, plain_name, label) = (said(id), said(name), said(label));
            let announced = table.announce(chip, CapturedChip { name: (&**chip).into(), id, plain_name, label });
            announced.map_err(|what| self.error(None, &what))?;
        }
        let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(Arc::from);
        table.axis.begin_segment(Some(&start.clock), start.boot_id.as_deref(), start.schema >= 4);
        let utc = start.utc_offset_ns.map(|offset_ns| {
            let error_ns = start.utc_error_ns.unwrap_or(0);
            UtcOffset { offset_ns, error_ns }
        });
        self.outbox.push(Item::Begin(Arc::new(Segment {
            number: self.segments,
            clock: (&*start.clock).into(),
            utc,
            host: text(&start.host),
            boot_id: text(&start.boot_id),
            utc_synchronised: start.utc_synchronised,
        })));
        Ok(self.outbox.pop())
    }

    fn summary(&mut self, table: &mut Table, summary: Summary<'_>) -> Result<(), String> {
        let mut lines = Vec::with_capacity(summary.lines.len());
        for line in summary.lines {
            let found = table.line(&line.chip, line.offset, line.name.as_deref())?;
            self.note(found);
            lines.push((found.line, owned(line)));
        }
        self.account = Some(Box::new(Account { lines, unattributed: summary.unattributed }));
        self.accounts += 1;
        Ok(())
    }

    /// The account of the segment, if it covers the whole segment.
    fn take_account(&mut self) -> Option<Box<Account>> {
        if self.accounts < 2 {
            return self.account.take();
        }
        if !std::mem::replace(&mut self.has_overlap, true) {
            self.outbox.notice("was written by several watches at the same time; the account counts the records in it");
        }
        None
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
        let account = self.take_account();
        self.outbox.push(Item::End(account));
        Ok(self.outbox.pop())
    }

    fn error(&self, column: Option<usize>, what: &str) -> Error {
        let column = column.map(|column| format!(":{column}")).unwrap_or_default();
        Error::new(format!("\"{}\":{}{column}: {what}; {REMEDY}", self.outbox.name, self.line))
    }

    fn cannot(&self, error: &io::Error) -> Error {
        crate::error::cannot_read(&self.outbox.name, error)
    }
}

fn owned(line: linewake::record::LineSummary<'_>) -> linewake::record::LineSummary<'static> {
    linewake::record::LineSummary {
        chip: line.chip.into_owned().into(),
        name: line.name.map(|name| name.into_owned().into()),
        ..line
    }
}

/// Whether a line is neither a record nor the beginning of one.
fn is_foreign(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Any {
        record: Option<serde::de::IgnoredAny>,
    }
    text.trim_ascii_start().first() != Some(&b'{')
        || serde_json::from_slice::<Any>(text).is_ok_and(|any| any.record.is_none())
}

fn is_no_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err()
}

/// The place in a line where a start record may begin. Inside a string its quotes would have backslashes.
fn start_at(text: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(text, b"{\"record\"").find(|&at| {
        let rest = text[at + 9..].iter().filter(|byte| !byte.is_ascii_whitespace());
        rest.take(8).eq(b":\"start\"")
    })
}

/// The message for a start record of an unsupported version, which may have other fields.
fn unreadable_schema(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Version<'a> {
        record: &'a str,
        schema: u32,
    }
    let version: Version<'_> = serde_json::from_slice(text).ok()?;
    (version.record == "start" && !READABLE.contains(&version.schema)).then(|| of_schema(version.schema))
}

fn of_schema(other: u32) -> String {
    let (oldest, newest) = (READABLE.start(), READABLE.end());
    format!("has schema {other}; expected {oldest} to {newest}: play it with the version that recorded it")
}
