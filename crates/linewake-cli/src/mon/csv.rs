//! Comma-separated values, as RFC 4180 has them: one row for each edge, state and gap.

use std::io::{self, Write as _};

use linewake::EdgeEvent;

use super::sink::{Closing, Item, Out, Sink, View};

/// The first row.
pub(crate) const HEAD: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged";

/// The columns of [`HEAD`]; what does not apply is empty.
pub(crate) struct Csv(pub(crate) Out);

impl Sink for Csv {
    fn begin(&mut self, _: View<'_>) -> io::Result<()> {
        writeln!(self.0, "{HEAD}")
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        let out = &mut self.0;
        match item {
            Item::State { state, .. } => {
                out.write_all(b",")?;
                quoted(out, &state.chip)?;
                write!(out, ",{},", state.offset)?;
                quoted(out, state.name.as_deref().unwrap_or_default())?;
                let level = match state.active {
                    Some(true) => "1",
                    Some(false) => "0",
                    None => "",
                };
                writeln!(out, ",state,{level},,,,")
            }
            Item::Edge { edge, .. } => {
                let EdgeEvent { chip, offset, name, kind, timestamp_ns, seqno, line_seqno, missed } = edge;
                write!(out, "{timestamp_ns},")?;
                quoted(out, chip)?;
                write!(out, ",{offset},")?;
                quoted(out, name.as_deref().unwrap_or_default())?;
                let level = u8::from(*kind == linewake::EdgeKind::Rising);
                let (overflowed, merged) = (missed.overflowed, missed.merged);
                writeln!(out, ",{},{level},{seqno},{line_seqno},{overflowed},{merged}", kind.as_str())
            }
            Item::Gap { gap, .. } => {
                let (event, at_ns) = if gap.is_over { ("back", gap.to_ns) } else { ("gone", gap.from_ns) };
                if let Some(at_ns) = at_ns {
                    write!(out, "{at_ns}")?;
                }
                out.write_all(b",")?;
                quoted(out, &gap.chip)?;
                writeln!(out, ",,,{event},,,,,")
            }
            Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.0.flush()
    }
}

/// A field, in quotes where it has to be.
fn quoted(out: &mut Out, field: &str) -> io::Result<()> {
    if !field.contains([',', '"', '\n', '\r']) {
        return out.write_all(field.as_bytes());
    }
    out.write_all(b"\"")?;
    for (at, part) in field.split('"').enumerate() {
        if at > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}
