//! The rows of a file that other programs may have written to: which of its lines are rows, and which belong together.

use std::io::{self, BufRead as _, Read};

use csv_core::Reader;

use crate::line_reader::LineReader;

/// The columns. A later version adds columns after these.
pub(crate) const HEAD: [&str; 10] =
    ["timestamp_ns", "chip", "offset", "name", "event", "level", "seqno", "line_seqno", "overflowed", "merged"];

/// A longer row is invalid.
const MOST_BYTES: usize = 1 << 16;
const MOST_FIELDS: usize = 64;
/// The events that a row may have.
const EVENTS: [&[u8]; 8] = [b"rising", b"falling", b"state", b"gone", b"back", b"blocked", b"unblocked", b"clock"];
/// The column of the event.
const EVENT: usize = 4;

/// The row that was read last.
pub(super) struct Row {
    reader: Reader,
    text: Box<[u8]>,
    ends: [usize; MOST_FIELDS],
    pub(super) fields: usize,
    /// The line of the file where the row begins, and where the next one does.
    pub(super) line: u64,
    next_line: u64,
    /// The row ends with a line end, and not with the file.
    pub(super) is_whole: bool,
    /// The text begins as a row does.
    begins: bool,
    /// The row with the names of the columns was read.
    has_begun: bool,
    /// The row's quotes are in pairs.
    is_sound: bool,
    /// Zero bytes come before the row, or the line has nothing else.
    pub(super) has_zeros: bool,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowRead {
    /// A row, or another line.
    Line,
    /// A row was cut off, and the first row of another capture follows on the same line. [`Row`] holds that first row.
    Cut,
    /// The line has only zero bytes.
    Zeros,
    TooLong,
    TooMany,
    End,
}

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Head,
    Event,
    /// An event of a later version.
    Later,
    /// The line begins as a row, but does not continue as one.
    Spoiled,
    /// Not a row at all.
    Foreign,
}

/// The state of the quotes at the end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// At the beginning of a field.
    Begin,
    /// In a field without quotes.
    Plain,
    Open,
    /// After a quote that may be the first of two.
    Closed,
    /// Other text follows a quote that ended a field.
    Wrong,
}

impl Quotes {
    fn over(self, text: &[u8]) -> Self {
        text.iter().fold(self, |quotes, byte| match (quotes, byte) {
            (Self::Wrong, _) => Self::Wrong,
            (Self::Open, b'"') => Self::Closed,
            (Self::Open, _) | (Self::Begin | Self::Closed, b'"') => Self::Open,
            (_, b',' | b'\n') => Self::Begin,
            (Self::Closed, b'\r') => Self::Closed,
            (Self::Closed, _) => Self::Wrong,
            _ => Self::Plain,
        })
    }
}

impl Row {
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::new(),
            text: vec![0; MOST_BYTES].into_boxed_slice(),
            ends: [0; MOST_FIELDS],
            fields: 0,
            line: 1,
            next_line: 1,
            is_whole: true,
            begins: false,
            has_begun: false,
            is_sound: true,
            has_zeros: false,
        }
    }

    /// Reads the next row.
    pub(super) fn read<R: Read>(&mut self, source: &mut LineReader<R>) -> io::Result<RowRead> {
        loop {
            self.line = self.next_line;
            let Some(length) = source.line_behind(0, MOST_BYTES)? else { return Ok(RowRead::TooLong) };
            if length == 0 {
                return Ok(RowRead::End);
            }
            let zeros = source.buffered()[..length].iter().take_while(|byte| **byte == 0).count();
            self.has_zeros = zeros > 0;
            if source.buffered()[zeros..length].iter().all(u8::is_ascii_whitespace) {
                source.consume(length);
                self.next_line += 1;
                if zeros > 0 {
                    return Ok(RowRead::Zeros);
                }
                continue;
            }
            let length = self.lines_of_row(source, zeros, length)?;
            let text = &source.buffered()[zeros..length];
            self.next_line += memchr::memchr_iter(b'\n', text).count() as u64;
            self.is_whole = text.ends_with(b"\n");
            let found = self.take(text);
            source.consume(length);
            return Ok(found);
        }
    }

    /// The length of the row: a name may contain line ends.
    fn lines_of_row<R: Read>(&mut self, source: &mut LineReader<R>, from: usize, first: usize) -> io::Result<usize> {
        let text = &source.buffered()[from..first];
        if memchr::memchr(b'"', text).is_none() || !begins(text) || head_in(text).is_some() {
            return Ok(first);
        }
        let mut quotes = Quotes::Begin.over(text);
        let mut length = first;
        while quotes == Quotes::Open {
            let Some(more) = source.line_behind(length, MOST_BYTES)?.filter(|more| *more > 0) else { return Ok(first) };
            let next = &source.buffered()[length..length + more];
            quotes = quotes.over(next);
            // A name that contains a whole row is no name: the row was cut off.
            if length + more > MOST_BYTES || head_in(next).is_some() || self.is_row(next) {
                return Ok(first);
            }
            length += more;
        }
        Ok(if quotes == Quotes::Wrong { first } else { length })
    }

    /// Whether a line alone is a row.
    fn is_row(&mut self, text: &[u8]) -> bool {
        begins(text) && self.parse(text) == RowRead::Line && matches!(self.shape(), Shape::Event | Shape::Later)
    }

    /// Parses a row, or the capture that begins after a part of a row on its line.
    fn take(&mut self, text: &[u8]) -> RowRead {
        let found = self.parse(text);
        let shape = self.shape();
        self.has_begun |= shape == Shape::Head;
        if !self.has_begun || !matches!(shape, Shape::Spoiled | Shape::Foreign) {
            return found;
        }
        if let Some(at) = head_in(text).filter(|at| *at > 0) {
            let before = text[..at].iter().rposition(|byte| *byte != 0).map_or(&text[..0], |last| &text[..=last]);
            let is_cut = begins(before);
            let behind = self.parse(&text[at..]);
            if behind == RowRead::Line && self.shape() == Shape::Head {
                return if is_cut { RowRead::Cut } else { RowRead::Line };
            }
        }
        // A capture without the names of the columns begins with the level of a line.
        if self.begins && memchr::memmem::find(text, b",state,").is_some() && text.len() <= MOST_BYTES / 16 {
            let is_digit = |at: usize| text[at].is_ascii_digit();
            for at in (1..text.len()).filter(|&at| is_digit(at) && (!is_digit(at - 1) || text[at - 1] == b',')) {
                if self.parse(&text[at..]) == RowRead::Line
                    && self.shape() == Shape::Event
                    && self.field(EVENT) == b"state"
                {
                    return RowRead::Cut;
                }
            }
        }
        self.parse(text)
    }

    fn parse(&mut self, text: &[u8]) -> RowRead {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        self.begins = begins(text);
        self.is_sound =
            memchr::memchr(b'"', text).is_none() || !matches!(Quotes::Begin.over(text), Quotes::Wrong | Quotes::Open);
        self.reader.reset();
        self.fields = 0;
        let (mut input, mut length) = (text, 0);
        loop {
            let (result, taken, out, ends) =
                self.reader.read_record(input, &mut self.text[length..], &mut self.ends[self.fields..]);
            (length, self.fields) = (length + out, self.fields + ends);
            input = &input[taken..];
            match result {
                // The parser has read the whole text and wants its end.
                InputEmpty => {}
                Record | End => return RowRead::Line,
                OutputFull => return RowRead::TooLong,
                OutputEndsFull => return RowRead::TooMany,
            }
        }
    }

    pub(super) fn shape(&self) -> Shape {
        if self.is_head() {
            return Shape::Head;
        }
        let has_all = self.is_sound && self.fields >= HEAD.len();
        if has_all && EVENTS.contains(&self.field(EVENT)) {
            return Shape::Event;
        }
        let is_number = |at: usize| self.number::<u64>(at).is_ok();
        let is_word = |text: &[u8]| {
            text.first().is_some_and(u8::is_ascii_lowercase)
                && text.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b' ' | b'_' | b'-'))
        };
        if has_all && self.begins && [0, 2, 5, 6, 7, 8, 9].into_iter().all(is_number) && is_word(self.field(EVENT)) {
            return Shape::Later;
        }
        if self.begins { Shape::Spoiled } else { Shape::Foreign }
    }

    fn is_head(&self) -> bool {
        self.fields >= HEAD.len() && (0..HEAD.len()).all(|column| self.field(column) == HEAD[column].as_bytes())
    }

    /// Whether the row contains the name of the first column.
    pub(super) fn names_time(&self) -> bool {
        let length = self.fields.checked_sub(1).map_or(0, |last| self.ends[last]);
        memchr::memmem::find(&self.text[..length], HEAD[0].as_bytes()).is_some()
    }

    pub(super) fn field(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[begin..self.ends[at]]
    }

    /// A number, or `None` for an empty field and for -1.
    pub(super) fn number<T: TryFrom<u64>>(&self, at: usize) -> Result<Option<T>, String> {
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
            None => Err(format!("expected a number for the column \"{}\", found \"{}\"", HEAD[at], text(field))),
        }
    }

    pub(super) fn need<T: TryFrom<u64>>(&self, at: usize) -> Result<T, String> {
        self.number(at)?.ok_or_else(|| format!("the column \"{}\" is empty", HEAD[at]))
    }

    pub(super) fn utf8(&self, at: usize) -> Result<String, String> {
        let field = self.field(at).to_vec();
        String::from_utf8(field).map_err(|_| format!("the column \"{}\" is not UTF-8", HEAD[at]))
    }

    /// The error for a spoiled row.
    pub(super) fn fault(&self) -> String {
        if !self.is_sound {
            return "a quote of this row is not closed".to_owned();
        }
        if self.fields < HEAD.len() {
            return format!("expected {} fields, found {}", HEAD.len(), self.fields);
        }
        let wrong = [0, 2, 5, 6, 7, 8, 9].into_iter().find_map(|at| self.number::<u64>(at).err());
        wrong.unwrap_or_else(|| format!("expected an event, found \"{}\"", text(self.field(EVENT))))
    }

    /// The error for a line before the first row.
    pub(super) fn no_head(&self) -> String {
        let header = format!("expected the header \"{}\"", HEAD.join(","));
        if (1..self.fields).any(|at| self.field(at) == HEAD[0].as_bytes()) {
            let remedy = "remove it, as with \"to_csv(FILE, index=False)\" of pandas";
            return format!("{header}, found another column before it; {remedy}");
        }
        match self.field(0)[HEAD[0].len().min(self.field(0).len())..].first() {
            Some(other @ (b';' | b'\t' | b'|' | b' ')) if self.names_time() => {
                let other = char::from(*other).escape_default().to_string();
                format!("{header}, found \"{other}\" between its names; write commas")
            }
            _ => format!("{header}, as \"linewake mon --csv\" writes it"),
        }
    }
}

fn text(field: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&field[..field.len().min(80)])
}

/// Whether a text begins as a row: with a number or nothing, and a comma.
fn begins(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-1").unwrap_or(text);
    let rest = &digits[digits.iter().take_while(|byte| byte.is_ascii_digit()).count()..];
    // The number itself may be cut off.
    rest.first() == Some(&b',') || rest.trim_ascii_end().is_empty()
}

/// The place in a text where the names of the columns begin.
fn head_in(text: &[u8]) -> Option<usize> {
    let at = memchr::memmem::find(text, b"timestamp_ns,chip,offset,")?;
    let rest = &text[at..];
    let names = HEAD.join(",");
    rest.strip_prefix(names.as_bytes())?;
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of the rows of a text, with their line numbers.
    fn shapes(text: &str) -> Vec<(u64, RowRead, Shape)> {
        let mut source = LineReader::new(text.as_bytes(), 1 << 18);
        let mut row = Row::new();
        row.has_begun = true;
        let mut shapes = Vec::new();
        loop {
            match row.read(&mut source).unwrap() {
                RowRead::End => return shapes,
                found => shapes.push((row.line, found, row.shape())),
            }
        }
    }

    #[test]
    fn a_quoted_name_ends_where_another_row_begins() {
        let head = HEAD.join(",");
        let row = |name: &str| format!("5,c,1,{name},rising,1,1,1,0,0\n");
        let all = [row("\"a\nb\""), row("\"a\n\n, \"\"b\"\"\""), row("\"a, b\""), row("a")].concat();
        let event = |line| (line, RowRead::Line, Shape::Event);
        assert_eq!(shapes(&all), [event(1), event(3), event(6), event(7)]);
        for cut in ["5,c,1,\"Pum", "5,c,1,\"", "5,c,1,\"Pump \"\""] {
            for name in ["a", "\", 2\"", "\"Pump, 2\"", "\"Pump \"\"2\"\"\"", "\"\"\"\"", "\"a\nb\""] {
                let state = row(name).replace("rising", "state");
                let [glued, lines, bare] = [
                    shapes(&format!("{cut}{head}\n{state}")),
                    shapes(&format!("{cut}\n{head}\n{state}")),
                    shapes(&format!("{cut}{state}")),
                ];
                assert_eq!(glued, [(1, RowRead::Cut, Shape::Head), event(2)], "{cut} {name}");
                let spoiled = (1, RowRead::Line, Shape::Spoiled);
                assert_eq!(lines, [spoiled, (2, RowRead::Line, Shape::Head), event(3)], "{cut} {name}");
                if !name.contains('\n') {
                    assert_eq!(bare, [(1, RowRead::Cut, Shape::Event)], "{cut} {name}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_does_not_begin_as_a_row_is_foreign() {
        for line in ["sim: 9 edges", "  \"a\": 9, 3 lost", "\"x", "a,b,c,d,e,f,g,h,i,j,k", "9 edges, 3 lost", "[1]"] {
            assert_eq!(shapes(line), [(1, RowRead::Line, Shape::Foreign)], "{line}");
        }
        for (line, shape) in [
            ("5,c,1,a,of_later,-1,0,0,0,0,more", Shape::Later),
            ("5,c,1,a,,-1,0,0,0,0", Shape::Spoiled),
            ("5,c,1,a,2\",-1,0,0,0,0", Shape::Spoiled),
            ("5,c,1,a,later,x,0,0,0,0", Shape::Spoiled),
            ("5,c,1,a,rising", Shape::Spoiled),
            ("5", Shape::Spoiled),
        ] {
            assert_eq!(shapes(line), [(1, RowRead::Line, shape)], "{line}");
        }
    }
}
