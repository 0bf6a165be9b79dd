//! Comma-separated values, as RFC 4180 has them: one row for each edge, state, gap, and line that is blocked.

use std::borrow::Cow;
use std::io::{self, Write as _};

use linewake::{EdgeEvent, EdgeKind};

use super::line_text::LineTexts;
use super::sink::{Closing, Item, Out, Sink, View};

/// The first row.
pub(crate) const HEAD: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged";

/// The columns of [`HEAD`]; what does not apply is empty.
pub(crate) struct Csv {
    out: Out,
    /// What is between the first column of an edge and its numbers, by the kind of edge.
    texts: LineTexts,
}

impl Csv {
    pub(crate) fn new(out: Out) -> Self {
        Self { out, texts: LineTexts::new() }
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> io::Result<()> {
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
}

/// The columns that all edges of a line and kind have in common, with the commas around them.
fn common(edge: &EdgeEvent, kind: EdgeKind) -> Vec<u8> {
    let level = u8::from(kind == EdgeKind::Rising);
    let (chip, name) = (quoted(&edge.chip), quoted(edge.name.as_deref().unwrap_or_default()));
    format!(",{chip},{},{name},{},{level},", edge.offset, kind.as_str()).into_bytes()
}

impl Sink for Csv {
    fn begin(&mut self, _: View<'_>) -> io::Result<()> {
        writeln!(self.out, "{HEAD}")
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        let out = &mut self.out;
        match item {
            Item::State { state, .. } => {
                let (chip, name) = (quoted(&state.chip), quoted(state.name.as_deref().unwrap_or_default()));
                let level = match state.active {
                    Some(true) => "1",
                    Some(false) => "0",
                    None => "",
                };
                writeln!(out, ",{chip},{},{name},state,{level},,,,", state.offset)
            }
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { gap, .. } => {
                let (event, at_ns) = if gap.is_over { ("back", gap.to_ns) } else { ("gone", gap.from_ns) };
                let at_ns = at_ns.map(|at_ns| at_ns.to_string()).unwrap_or_default();
                writeln!(out, "{at_ns},{},,,{event},,,,,", quoted(&gap.chip))
            }
            Item::Chatter(chatter) => {
                let (chip, name) = (quoted(&chatter.chip), quoted(chatter.name.as_deref().unwrap_or_default()));
                let (at_ns, offset, event) = (chatter.timestamp_ns, chatter.offset, chatter.kind.as_str());
                writeln!(out, "{at_ns},{chip},{offset},{name},{event},,,,,")
            }
            Item::Clock(_) | Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.out.flush()
    }
}

/// A field, in quotes where it has to be.
fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        return Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")));
    }
    Cow::Borrowed(field)
}
