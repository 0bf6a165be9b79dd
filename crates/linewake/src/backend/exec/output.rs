//! The output of a program, line by line. No I/O here. The format is in `docs/exec.md`.

use std::collections::HashMap;
use std::sync::Arc;

use linewake_controller::protocol::MAX_LINES;

use crate::backend::RawEdge;
use crate::{Clock, ClockName, EdgeKind, Missed, Offset};

/// The longest line, in bytes. It has to hold the names of all lines.
const MAX_LINE: usize = 64 << 10;

/// The lines and the clock that a program prints first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) names: Vec<Option<Arc<str>>>,
    clock: Option<ClockName>,
}

impl Header {
    pub(super) fn clock(&self) -> Clock {
        match self.clock {
            Some(ClockName::Realtime) => Clock::utc(),
            // Other systems have several monotonic clocks; the program may read any of them.
            Some(ClockName::Monotonic) if cfg!(target_os = "linux") => Clock::unrelated(ClockName::Monotonic),
            _ => Clock::unrelated(ClockName::Device),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The bytes before this were read.
    at: usize,
    clock: Option<ClockName>,
    header: Option<Arc<Header>>,
    /// The caller declared the lines, so the program need not print them.
    is_declared: bool,
    has_begun: bool,
    by_name: HashMap<Arc<str>, usize>,
    lines: Vec<OutputLine>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OutputLine {
    active: Option<bool>,
    number: Option<u32>,
}

impl Output {
    pub(super) fn new(declared: Option<&[Arc<str>]>) -> Self {
        let mut output = Self { is_declared: declared.is_some(), ..Self::default() };
        if let Some(declared) = declared {
            output.name_lines(declared.iter().map(|name| (name.clone(), None)).collect());
        }
        output
    }

    /// Adds output. Call [`header`](Self::header) or [`next`](Self::next) until they have no more; then at most one
    /// line is kept.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The rest of a line without an end, for an error.
    pub(super) fn rest(&self) -> String {
        shown(&self.bytes[self.at..])
    }

    pub(super) fn active(&self, offset: Offset) -> Option<bool> {
        self.lines.get(offset.index())?.active
    }

    /// The place in `bytes` of the next line that is not empty.
    fn next_line(&mut self) -> Result<Option<std::ops::Range<usize>>, String> {
        loop {
            let rest = &self.bytes[self.at..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
                return match rest.len() {
                    0..=MAX_LINE => Ok(None),
                    _ => Err(format!("the line \"{}\" has more than {MAX_LINE} bytes", shown(rest))),
                };
            };
            let line = self.at..self.at + end;
            self.at = line.end + 1;
            if std::str::from_utf8(&self.bytes[line.clone()]).is_err() {
                return Err(format!("the line \"{}\" is not UTF-8", shown(&self.bytes[line])));
            }
            let text = self.text(&line).trim();
            if !text.is_empty() && !text.starts_with('#') {
                return Ok(Some(line));
            }
        }
    }

    fn text(&self, line: &std::ops::Range<usize>) -> &str {
        // The line was checked to be UTF-8 when it was read.
        std::str::from_utf8(&self.bytes[line.clone()]).unwrap_or("")
    }

    /// The header, as soon as it is known. `Err` says what is wrong.
    pub(super) fn header(&mut self) -> Result<Option<Arc<Header>>, String> {
        while self.header.is_none() {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            self.header_line(&line)?;
        }
        Ok(self.header.clone())
    }

    fn header_line(&mut self, line: &std::ops::Range<usize>) -> Result<(), String> {
        let text = self.text(line).to_owned();
        let mut words = text.split_ascii_whitespace();
        match words.next() {
            Some("clock") if !self.is_declared => {
                let clock = words.next().and_then(ClockName::named);
                self.clock = clock.filter(|clock| matches!(clock, ClockName::Realtime | ClockName::Monotonic));
                if self.clock.is_none() {
                    let line = shown(text.as_bytes());
                    return Err(format!("expected `clock realtime` or `clock monotonic`, found \"{line}\""));
                }
                Ok(())
            }
            Some("lines") => {
                let lines = words.map(|word| match word.rsplit_once('=') {
                    Some((name, "0")) => (name.into(), Some(false)),
                    Some((name, "1")) => (name.into(), Some(true)),
                    _ => (word.into(), None),
                });
                let lines: Vec<(Arc<str>, _)> = lines.collect();
                if lines.is_empty() || lines.len() > MAX_LINES {
                    return Err(format!(
                        "the line \"{}\" names too few or too many lines; expected 1 to {MAX_LINES}",
                        shown(text.as_bytes())
                    ));
                }
                if let Some(header) = &self.header
                    && !header.names.iter().map(Option::as_deref).eq(lines.iter().map(|(name, _)| named(name)))
                {
                    return Err(format!(
                        "the line \"{}\" has other names than the declared ones",
                        shown(text.as_bytes())
                    ));
                }
                self.name_lines(lines);
                Ok(())
            }
            _ => {
                let text = shown(text.as_bytes());
                Err(format!("the line \"{text}\" comes before the line `lines name name …`, which must be first"))
            }
        }
    }

    fn name_lines(&mut self, lines: Vec<(Arc<str>, Option<bool>)>) {
        self.lines = lines.iter().map(|&(_, active)| OutputLine { active, number: None }).collect();
        for (offset, (name, _)) in lines.iter().enumerate() {
            // If several lines have the same name, the first one gets it.
            self.by_name.entry(name.clone()).or_insert(offset);
        }
        let names = lines.iter().map(|(name, _)| named(name).map(Arc::from)).collect();
        self.header = Some(Arc::new(Header { names, clock: self.clock }));
    }

    /// The next change. `Err` says what is wrong.
    pub(super) fn next(&mut self) -> Result<Option<RawEdge>, String> {
        loop {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            let is_first = !std::mem::replace(&mut self.has_begun, true);
            if is_first && self.is_declared && self.text(&line).split_ascii_whitespace().next() == Some("lines") {
                self.header_line(&line)?;
                continue;
            }
            return self.change(&line).map(Some);
        }
    }

    fn change(&mut self, line: &std::ops::Range<usize>) -> Result<RawEdge, String> {
        let text = self.text(line);
        let wrong = |what: &str| Err(format!("the line \"{}\" {what}", shown(text.as_bytes())));
        let mut words = text.split_ascii_whitespace();
        let (time, name, level) = (words.next(), words.next(), words.next());
        let (number, more) = (words.next(), words.next());
        let (Some(time), Some(name), Some(level), None) = (time, name, level, more) else {
            return wrong("is not a change; expected `timestamp_ns line level`, and a number if changes are numbered");
        };
        let Ok(timestamp_ns) = time.parse() else {
            return wrong("begins without a time; expected whole nanoseconds");
        };
        let by_offset = || name.parse().ok().filter(|&offset| offset < self.lines.len());
        let Some(offset) = self.by_name.get(name).copied().or_else(by_offset) else {
            return wrong("names an unknown line");
        };
        let active = match level {
            "0" => false,
            "1" => true,
            _ => return wrong("has no level; expected 0 or 1"),
        };
        let number = match number.map(str::parse::<u32>) {
            None => None,
            Some(Ok(number)) => Some(number),
            Some(Err(_)) => {
                return wrong(
                    "ends without a number; expected the count of the line's changes, from 1 through 4294967295 to 0",
                );
            }
        };
        let last = self.lines[offset].number;
        let gap = match (number, last) {
            (Some(number), last) => number.wrapping_sub(last.unwrap_or(0)).wrapping_sub(1),
            (None, Some(_)) => return wrong("has no number, but earlier changes of this line had one"),
            (None, None) => 0,
        };
        if gap > u32::MAX / 2 {
            return wrong("has a number that goes back");
        }
        self.lines[offset] = OutputLine { active: Some(active), number };
        Ok(RawEdge {
            offset: (offset as u32).into(),
            kind: EdgeKind::to(active),
            timestamp_ns,
            seqno: 0,
            line_seqno: number.unwrap_or(0),
            missed: Missed { overflowed: gap, merged: 0 },
        })
    }
}

/// A name in a list of lines. `-` is no name.
fn named(name: &str) -> Option<&str> {
    (name != "-").then_some(name)
}

/// A line for an error: short, and without control characters.
fn shown(line: &[u8]) -> String {
    const MOST: usize = 80;
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * MOST)]);
    let mut shown: String = text.trim_end().chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.trim_end().chars().count() > MOST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(text: &str) -> Output {
        let mut output = Output::new(None);
        output.push(text.as_bytes());
        output
    }

    fn all(output: &mut Output) -> Vec<(u64, u32, bool, u32)> {
        let mut all = Vec::new();
        while let Some(edge) = output.next().unwrap() {
            all.push((edge.timestamp_ns, edge.offset.get(), edge.kind == EdgeKind::Rising, edge.missed.overflowed));
        }
        all
    }

    #[test]
    fn lines_and_changes_are_read_however_they_are_cut() {
        let text =
            "# by the vendor's library\r\nclock realtime\nlines door=0 - 7=1\n\n10 door 1\n11 1 0\r\n12 7 0\n13 2 1";
        for piece in 1..text.len() {
            let mut output = Output::new(None);
            let mut changes = Vec::new();
            for bytes in text.as_bytes().chunks(piece) {
                output.push(bytes);
                if output.header().unwrap().is_some() {
                    changes.extend(all(&mut output));
                }
            }
            let header = output.header().unwrap().unwrap();
            assert_eq!(header.names.iter().map(Option::as_deref).collect::<Vec<_>>(), [Some("door"), None, Some("7")]);
            assert_eq!(header.clock().name, ClockName::Realtime);
            assert_eq!(changes, [(10, 0, true, 0), (11, 1, false, 0), (12, 2, false, 0)], "pieces of {piece}");
            assert_eq!(output.rest(), "13 2 1");
        }
    }

    #[test]
    fn levels_are_those_of_the_first_line_and_then_of_the_changes() {
        let mut output = output("lines a=1 b c=0\n5 a 0\n");
        output.header().unwrap().unwrap();
        let active = |output: &Output| [0, 1, 2].map(|offset| output.active(Offset::from(offset)));
        assert_eq!(active(&output), [Some(true), None, Some(false)]);
        all(&mut output);
        assert_eq!(active(&output), [Some(false), None, Some(false)]);
    }

    #[test]
    fn numbers_tell_what_is_missing() {
        let mut output = output("lines a\n1 a 1 3\n2 a 0 4\n3 a 1 9\n4 a 1 9\n");
        output.header().unwrap().unwrap();
        let gaps: Vec<_> = (0..3).map(|_| output.next().unwrap().unwrap().missed.overflowed).collect();
        assert_eq!(gaps, [2, 0, 4]);
        assert_eq!(output.next().unwrap_err(), "the line \"4 a 1 9\" has a number that goes back");
    }

    #[test]
    fn declared_lines_need_no_first_line_and_it_must_agree() {
        let declared: [Arc<str>; 2] = ["a".into(), "b".into()];
        let mut output = Output::new(Some(&declared));
        assert_eq!(output.header().unwrap().unwrap().names.len(), 2);
        output.push(b"lines a b=1\n1 b 0\n");
        assert_eq!(all(&mut output), [(1, 1, false, 0)]);
        let mut other = Output::new(Some(&declared));
        other.push(b"lines a c\n");
        assert!(other.next().unwrap_err().contains("other names"));
    }

    #[test]
    fn a_line_that_is_not_a_change_is_quoted() {
        let cases = [
            ("nonsense", "\"nonsense\" is not a change"),
            ("1 a", "\"1 a\" is not a change"),
            ("1 a 1 2 3", "is not a change"),
            ("-1 a 1", "begins without a time"),
            ("1.5 a 1", "begins without a time"),
            ("99999999999999999999 a 1", "begins without a time"),
            ("1 b 1", "names an unknown line"),
            ("1 1 1", "names an unknown line"),
            ("1 a high", "has no level"),
            ("1 a 1 -", "ends without a number"),
            ("\u{1b}[2J 1 a", r"\u{1b}[2J 1 a"),
        ];
        for (line, says) in cases {
            let mut output = output(&format!("lines a\n{line}\n"));
            output.header().unwrap().unwrap();
            let said = output.next().unwrap_err();
            assert!(said.contains(says), "{line}: {said}");
        }
        for (text, says) in
            [("1 a 1\n", "comes before"), ("lines\n", "expected 1 to"), ("clock\n", "expected `clock realtime`")]
        {
            let said = output(text).header().unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
        let mut output = Output::new(None);
        output.push(b"lines \xff\n");
        assert!(output.header().unwrap_err().contains("is not UTF-8"));
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_takes_all_memory() {
        let mut output = output("lines a\n");
        output.header().unwrap().unwrap();
        let mut pushed = 0;
        let said = loop {
            assert!(pushed <= 2 * MAX_LINE);
            output.push(&[b'x'; 4096]);
            pushed += 4096;
            match output.next() {
                Ok(None) => {}
                Ok(Some(edge)) => panic!("{edge:?}"),
                Err(said) => break said,
            }
        };
        assert!(said.contains("…") && said.contains("65536 bytes"), "{said}");
    }
}
