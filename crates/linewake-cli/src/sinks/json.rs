//! The record stream: one JSON object a line.

use std::io::{self, Write as _};
use std::path::Path;

use linewake::record::{Chatter, Edge, Gap, Record, State, Step};
use linewake::{EdgeEvent, EdgeKind};
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};

use super::files::{ExistingFile, Format};
use super::line_text::LineTexts;
use super::out::Out;
use super::segment::Segment;
use super::sink::{Closing, Item, Sink, View};
use crate::exit::Failure;
use crate::readers;

/// See [`linewake::record`].
pub(crate) struct Json {
    out: Out,
    /// The start of a record of each line and direction, up to its time.
    heads: LineTexts,
    segment: Segment,
    /// 64-bit integers are strings.
    has_strings: bool,
}

/// Writes 64-bit integers as strings, and everything else as usual.
struct StringNumbers;

impl Formatter for StringNumbers {
    fn write_u64<W: ?Sized + io::Write>(&mut self, out: &mut W, number: u64) -> io::Result<()> {
        write!(out, "\"{number}\"")
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, out: &mut W, number: i64) -> io::Result<()> {
        write!(out, "\"{number}\"")
    }
}

/// The end of what all records of a line and direction have in common. A name cannot contain this text, because its
/// quotes are escaped.
const FIRST_NUMBER: &str = ",\"timestamp_ns\":";

/// The record of an edge up to its time, as serde writes it.
fn head(edge: &EdgeEvent, kind: EdgeKind) -> Vec<u8> {
    let record = serde_json::to_string(&Record::Edge(Edge::from(&EdgeEvent { kind, ..edge.clone() })));
    // Serialising plain data cannot fail.
    let mut record = record.unwrap_or_default();
    record.truncate(record.find(FIRST_NUMBER).map_or(0, |at| at + FIRST_NUMBER.len()));
    record.into_bytes()
}

impl Json {
    pub(crate) fn open(path: &Path, has_strings: bool, existing: ExistingFile) -> Result<Self, Failure> {
        Ok(Self::new(Out::open(path, Format::Records, existing)?, has_strings))
    }

    pub(super) fn new(out: Out, has_strings: bool) -> Self {
        Self { out, heads: LineTexts::new(), segment: Segment::default(), has_strings }
    }

    /// Writes the record of an edge, byte for byte as serde does.
    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> io::Result<()> {
        self.segment.note(line, edge);
        let out = &mut self.out;
        out.write_all(self.heads.get(line, edge, |kind| head(edge, kind)))?;
        let quote: &[u8] = if self.has_strings { b"\"" } else { b"" };
        out.write_all(quote)?;
        out.number(edge.timestamp_ns)?;
        out.write_all(quote)?;
        out.write_all(b",\"seqno\":")?;
        out.number(edge.seqno)?;
        out.write_all(b",\"line_seqno\":")?;
        out.number(edge.line_seqno)?;
        out.write_all(b",\"missed\":{\"overflowed\":")?;
        out.number(edge.missed.overflowed)?;
        out.write_all(b",\"merged\":")?;
        out.number(edge.missed.merged)?;
        out.write_all(b"}}\n")
    }

    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        if self.has_strings {
            record.serialize(&mut Serializer::with_formatter(&mut self.out, StringNumbers))?;
        } else {
            serde_json::to_writer(&mut self.out, record)?;
        }
        self.out.write_all(b"\n")
    }
}

impl Sink for Json {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.segment.begin(view.lines);
        self.write(&Record::Start(view.start()))
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        self.write(&match item {
            Item::Edge { line, edge } => return self.edge(line, edge),
            Item::State { state, .. } => Record::State(State::from(state)),
            Item::Gap { gap, .. } => Record::Gap(Gap::from(gap)),
            Item::Clock(step) => Record::Clock(Step::from(step)),
            Item::Chatter(chatter) => Record::Chatter(Chatter::from(chatter)),
            Item::Heartbeat(heartbeat) => Record::Heartbeat(heartbeat),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn place(&self) -> Option<readers::WatchedOutput<'_>> {
        Some(self.out.place())
    }

    fn end(&mut self, closing: Closing<'_>) -> io::Result<()> {
        let (accounts, tallies) = closing.of_last.unwrap_or((closing.accounts, closing.tallies));
        let summary = self.segment.last(Closing { accounts, tallies, ..closing });
        self.write(&Record::Summary(summary))?;
        self.out.end()
    }

    fn next_watch(&mut self, ended: Closing<'_>, view: View<'_>) -> io::Result<()> {
        let summary = self.segment.last(ended);
        self.write(&Record::Summary(summary))?;
        self.segment = Segment::default();
        self.begin(view)
    }

    fn reopen(&mut self, closing: Closing<'_>) -> io::Result<bool> {
        let Some(log) = self.out.successor() else { return Ok(false) };
        let summary = self.segment.so_far(closing);
        self.write(&Record::Summary(summary))?;
        self.out.go_on_in(log)?;
        Ok(true)
    }

    fn was_emptied(&mut self) -> bool {
        self.out.was_emptied()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;
    use std::sync::Arc;

    use linewake::Missed;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Rc<RefCell<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_edge_is_written_as_serde_writes_its_record() {
        edges_are_as_serde_has_them(false, |record| serde_json::to_string(record).unwrap());
    }

    #[test]
    fn an_edge_with_strings_is_too() {
        edges_are_as_serde_has_them(true, |record| {
            let mut text = Vec::new();
            record.serialize(&mut Serializer::with_formatter(&mut text, StringNumbers)).unwrap();
            String::from_utf8(text).unwrap()
        });
    }

    fn edges_are_as_serde_has_them(has_strings: bool, serde: impl Fn(&Record<'_>) -> String) {
        let shared = Shared::default();
        let mut json = Json::new(Out::new(Box::new(shared.clone())), has_strings);
        let mut expected = String::new();
        let names = [None, Some("door"), Some(",\"timestamp_ns\":"), Some("\\\"t\u{fc}r\n\u{1b}\u{1f6aa}")];
        // The line may have another name when its chip is back; its place stays.
        for (number, name) in (0..).zip(names.iter().chain(&names)) {
            for kind in [EdgeKind::Rising, EdgeKind::Falling, EdgeKind::Rising] {
                let edge = EdgeEvent {
                    chip: Arc::from(name.unwrap_or("gpiochip0")),
                    offset: 7.into(),
                    name: name.map(Arc::from),
                    kind,
                    timestamp_ns: [0, 12_000_000_345, u64::MAX][number % 3],
                    axis_ns: 0,
                    seqno: [0, u32::MAX, 21][number % 3],
                    line_seqno: [u32::MAX, 9, 0][number % 3],
                    missed: Missed { overflowed: number as u32, merged: u32::MAX - number as u32 },
                };
                json.item(Item::Edge { line: number % 2, edge: &edge }).unwrap();
                expected += &serde(&Record::Edge(Edge::from(&edge)));
                expected += "\n";
            }
        }
        json.flush().unwrap();
        assert_eq!(String::from_utf8(shared.0.take()).unwrap(), expected);
    }
}
