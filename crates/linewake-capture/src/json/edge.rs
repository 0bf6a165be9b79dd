//! A fast reader for edge records, since most of a capture is edges.
//!
//! The part that all edges of a line and kind share comes first in a record; `serde` reads it the first time. After it
//! come numbers. Records with another layout than `linewake` writes are left to `serde`.

use std::collections::HashMap;

use linewake::record::Edge;
use linewake::{EdgeKind, Missed};

/// The common beginnings of edge records, each with its line.
#[derive(Debug, Default)]
pub(super) struct Heads {
    lines: HashMap<Box<[u8]>, usize>,
    /// The last one, since often only one line changes.
    last: Option<(Box<[u8]>, usize)>,
}

/// The kind and the numbers of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) kind: EdgeKind,
    pub(super) timestamp_ns: u64,
    pub(super) seqno: u32,
    pub(super) line_seqno: u32,
    pub(super) missed: Missed,
}

/// How many heads are remembered: a capture has one for each line.
const MOST: usize = 1 << 16;

const BEGIN: &[u8] = br#"{"record":"edge","#;
/// The text where a head ends. Inside a name its quotes would have backslashes.
const KIND: &[u8] = br#","kind":""#;

/// The length of a record's head, if it has one.
fn head(text: &[u8]) -> Option<usize> {
    text.starts_with(BEGIN).then(|| memchr::memmem::find(text, KIND)).flatten()
}

impl Heads {
    /// The line and the numbers of a record, if a record with the same head was learned.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<(usize, Numbers)> {
        let (head, rest) = match &self.last {
            Some((last, _)) if text.starts_with(last) && text[last.len()..].starts_with(KIND) => {
                text.split_at(last.len())
            }
            _ => text.split_at(head(text)?),
        };
        let line = match &self.last {
            Some((last, line)) if **last == *head => *line,
            _ => *self.lines.get(head)?,
        };
        let numbers = numbers(rest)?;
        Some((line, numbers))
    }

    /// Learns that records with this head belong to this line.
    pub(super) fn learn(&mut self, text: &[u8], line: usize) {
        if let Some(end) = head(text)
            && self.lines.len() < MOST
        {
            self.lines.insert(text[..end].into(), line);
            self.last = Some((text[..end].into(), line));
        }
    }

    /// Forgets all heads, since names mean something else now.
    pub(super) fn forget(&mut self) {
        self.lines.clear();
        self.last = None;
    }
}

/// Parses everything after the head, to the end of the line.
fn numbers(text: &[u8]) -> Option<Numbers> {
    let text = text.strip_prefix(KIND)?;
    let (kind, text) = match text {
        [b'r', ..] => (EdgeKind::Rising, text.strip_prefix(br#"rising","timestamp_ns":"#)?),
        _ => (EdgeKind::Falling, text.strip_prefix(br#"falling","timestamp_ns":"#)?),
    };
    let (timestamp_ns, text) = match text.strip_prefix(b"\"") {
        // The number is in a string, for programs whose numbers are not exact.
        Some(text) => number(text).and_then(|(value, text)| Some((value, text.strip_prefix(b"\"")?)))?,
        None => number(text)?,
    };
    let (seqno, text) = small(text.strip_prefix(br#","seqno":"#)?)?;
    let (line_seqno, text) = small(text.strip_prefix(br#","line_seqno":"#)?)?;
    let (overflowed, text) = small(text.strip_prefix(br#","missed":{"overflowed":"#)?)?;
    let (merged, text) = small(text.strip_prefix(br#","merged":"#)?)?;
    let missed = Missed { overflowed, merged };
    matches!(text, b"}}\n" | b"}}\r\n" | b"}}").then_some(Numbers { kind, timestamp_ns, seqno, line_seqno, missed })
}

/// A number without leading zeros, as in JSON.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut count = 0;
    for digit in text.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
        value = if count < 19 {
            value * 10 + u64::from(digit)
        } else {
            value.checked_mul(10)?.checked_add(u64::from(digit))?
        };
        count += 1;
    }
    let is_plain = count == 1 || count > 1 && text[0] != b'0';
    is_plain.then(|| (value, &text[count..]))
}

fn small(text: &[u8]) -> Option<(u32, &[u8])> {
    let (value, rest) = number(text)?;
    Some((u32::try_from(value).ok()?, rest))
}

impl Numbers {
    pub(super) fn of(edge: &Edge<'_>) -> Self {
        let &Edge { kind, timestamp_ns, seqno, line_seqno, missed, .. } = edge;
        Self { kind, timestamp_ns, seqno, line_seqno, missed }
    }
}

#[cfg(test)]
mod tests {
    use linewake::record::Record;

    use super::*;

    #[test]
    fn the_fast_reader_agrees_with_serde() {
        let names = ["null", "\"door\"", r#""a\",\"kind\":\"""#, r#""t\u00fcr \\""#];
        let numbers = [("0", "0"), ("18446744073709551615", "4294967295"), ("12", "7"), ("1700000000000000001", "1")];
        let mut heads = Heads::default();
        for round in 0..2 {
            for (line, name) in names.iter().enumerate() {
                for (stamp, small) in numbers {
                    for kind in ["rising", "falling"] {
                        let text = format!(
                            r#"{{"record":"edge","chip":"c","offset":{line},"name":{name},"kind":"{kind}","timestamp_ns":{stamp},"seqno":{small},"line_seqno":{small},"missed":{{"overflowed":{small},"merged":{small}}}}}"#
                        ) + ["", "\n", "\r\n"][line % 3];
                        let Record::Edge(edge) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
                        if round == 0 {
                            heads.learn(text.as_bytes(), line);
                        }
                        assert_eq!(heads.find(text.as_bytes()), Some((line, Numbers::of(&edge))), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_fast_reader_leaves_to_serde_what_serde_refuses() {
        let text = r#"{"record":"edge","chip":"c","offset":1,"name":null,"kind":"rising","timestamp_ns":12,"seqno":3,"line_seqno":4,"missed":{"overflowed":0,"merged":0}}"#;
        let mut heads = Heads::default();
        heads.learn(text.as_bytes(), 0);
        assert!(heads.find(text.as_bytes()).is_some());
        for (from, to) in [
            (":12,", ":012,"),
            (":12,", ":,"),
            (":12,", ":-1,"),
            (":12,", ":1.2,"),
            (":12,", ":18446744073709551616,"),
            (":12,", ":99999999999999999999999,"),
            (":3,", ":4294967296,"),
            ("rising", "risen"),
            ("}}", "}"),
            ("}}", "}} x"),
            ("\"chip\":\"c\"", "\"chip\":\"d\""),
        ] {
            assert_eq!(heads.find(text.replace(from, to).as_bytes()), None, "{from} {to}");
        }
        for length in 0..text.len() {
            assert_eq!(heads.find(&text.as_bytes()[..length]), None);
        }
        heads.forget();
        assert_eq!(heads.find(text.as_bytes()), None);
    }
}
