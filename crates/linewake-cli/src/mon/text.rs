//! Lines for people, as libgpiod's gpiomon writes them.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use linewake::{EdgeEvent, EdgeKind};

use super::select::Watched;
use super::sink::{Closing, Item, Out, Sink, View};

/// What the lines look like.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// What is written of an edge, if not the default.
    pub(crate) format: Option<Format>,
    /// How its time is written.
    pub(crate) time: Time,
    /// Names without quotes.
    pub(crate) unquoted: bool,
    /// Chip and offset also of lines with a name.
    pub(crate) with_chip: bool,
    /// What is missing before an edge is said behind it.
    pub(crate) says_missing: bool,
    /// Levels at the start are written.
    pub(crate) initial: bool,
    /// They are 0 and 1.
    pub(crate) numeric: bool,
    /// Edges are not written.
    pub(crate) quiet: bool,
    /// "Monitoring line …" is written first.
    pub(crate) banner: bool,
    /// In colour.
    pub(crate) colour: bool,
}

/// How a time stamp is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Time {
    /// `12.000000345`
    Seconds,
    /// `1970-01-01T00:00:12.000000345Z`
    Utc,
    /// The same in the time zone of the computer, without the `Z`.
    Local,
}

const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Writes edges as lines of text.
pub(crate) struct Text {
    out: Out,
    look: Look,
    /// What makes UTC of a time stamp.
    to_utc_ns: i64,
    zone: TimeZone,
    lines: Vec<Watched>,
    /// The levels of the lines, while some are not known.
    states: Vec<Option<Option<bool>>>,
    /// How many of them are to come before they are written.
    states_to_come: usize,
}

impl Text {
    /// `converts` is whether time stamps by another clock are shown as UTC: libgpiod's tools show them as if they were.
    pub(crate) fn new(out: Out, look: Look, to_utc_ns: i64) -> Self {
        let local = look.time == Time::Local || look.format.as_ref().is_some_and(|format| format.has(&Piece::Local));
        let zone = if local { TimeZone::system() } else { TimeZone::UTC };
        Self { out, look, to_utc_ns, zone, lines: Vec::new(), states: Vec::new(), states_to_come: 0 }
    }

    fn banner(&mut self) -> io::Result<()> {
        let said: Vec<_> = self.lines.iter().map(|line| format!("'{}'", Printable(&line.said))).collect();
        match &said[..] {
            [] => Ok(()),
            [one] => writeln!(self.out, "Monitoring line {one}..."),
            [first @ .., last] => writeln!(self.out, "Monitoring lines {}, and {last}...", first.join(", ")),
        }
    }

    /// The levels of all lines that are known, once they all are.
    fn state(&mut self, line: usize, active: Option<bool>) -> io::Result<()> {
        if !self.look.initial {
            return Ok(());
        }
        if self.states_to_come == 0 {
            // A chip is back: those of its lines.
            let request = self.lines[line].request;
            self.states.iter_mut().for_each(|state| *state = None);
            self.states_to_come = self.lines.iter().filter(|line| line.request == request).count();
        }
        self.states_to_come -= usize::from(self.states[line].replace(active).is_none());
        if self.states_to_come > 0 {
            return Ok(());
        }
        let mut before = "";
        for (line, state) in self.lines.iter().zip(&self.states) {
            let Some(active) = *state else { continue };
            self.out.write_all(before.as_bytes())?;
            before = " ";
            if self.look.numeric {
                self.out.write_all(active.map_or(b"?", |active| if active { b"1" } else { b"0" }))?;
                continue;
            }
            let active = active.map_or("unknown", |active| if active { "active" } else { "inactive" });
            let quote = if self.look.unquoted { "" } else { "\"" };
            write!(self.out, "{quote}{}{quote}={active}", Printable(&line.said))?;
        }
        self.out.write_all(b"\n")
    }

    fn edge(&mut self, edge: &EdgeEvent) -> io::Result<()> {
        if self.look.quiet {
            return Ok(());
        }
        if let Some(format) = &self.look.format {
            for piece in &format.0 {
                match piece {
                    Piece::Text(text) => self.out.write_all(text.as_bytes())?,
                    Piece::Offset => write!(self.out, "{}", edge.offset)?,
                    Piece::Line => write!(self.out, "{}", Printable(edge.name.as_deref().unwrap_or("unnamed")))?,
                    Piece::Chip => write!(self.out, "{}", Printable(&edge.chip))?,
                    Piece::KindNumber => self.out.write_all(if edge.kind == EdgeKind::Rising { b"1" } else { b"2" })?,
                    Piece::Kind => self.out.write_all(edge.kind.as_str().as_bytes())?,
                    Piece::Seconds => stamp(&mut self.out, edge.timestamp_ns, &Time::Seconds, 0, &self.zone)?,
                    Piece::Utc => {
                        stamp(&mut self.out, edge.timestamp_ns, &Time::Utc, self.to_utc_ns, &TimeZone::UTC)?;
                    }
                    Piece::Local => {
                        stamp(&mut self.out, edge.timestamp_ns, &Time::Local, self.to_utc_ns, &self.zone)?;
                    }
                    Piece::Seqno => write!(self.out, "{}", edge.seqno)?,
                    Piece::LineSeqno => write!(self.out, "{}", edge.line_seqno)?,
                    Piece::Missing => write!(self.out, "{}", edge.missed.total())?,
                }
            }
            return self.out.write_all(b"\n");
        }
        let tint = match edge.kind {
            EdgeKind::Rising => GREEN,
            EdgeKind::Falling => CYAN,
        };
        let colour = self.look.colour;
        let paint = |tint| if colour { tint } else { "" };
        let (begin, end) = (paint(tint), paint(PLAIN));
        stamp(&mut self.out, edge.timestamp_ns, &self.look.time, self.to_utc_ns, &self.zone)?;
        let name = LineName {
            chip: &edge.chip,
            offset: edge.offset.get(),
            name: edge.name.as_deref(),
            with_chip: self.look.with_chip,
            unquoted: self.look.unquoted,
        };
        write!(self.out, "\t{begin}{}{end}\t{name}", edge.kind.as_str())?;
        match edge.missed.total() {
            missing if missing > 0 && self.look.says_missing => {
                writeln!(self.out, " {}({missing} missing before this one){end}", paint(RED))
            }
            _ => self.out.write_all(b"\n"),
        }
    }
}

impl Sink for Text {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.lines = view.lines.to_vec();
        self.states = vec![None; self.lines.len()];
        self.states_to_come = self.lines.len();
        if self.look.banner && !self.look.initial {
            self.banner()?;
        }
        Ok(())
    }

    fn item(&mut self, item: Item<'_>) -> io::Result<()> {
        match item {
            Item::State { line, state } => {
                let was_to_come = self.states_to_come;
                self.state(line, state.active)?;
                // As gpiomon: the levels first.
                let banner = self.look.banner && self.look.initial && was_to_come > 0 && self.states_to_come == 0;
                if banner {
                    self.look.banner = false;
                    self.banner()?;
                }
                Ok(())
            }
            Item::Edge { edge, .. } => self.edge(edge),
            Item::Gap { .. } | Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes a time stamp.
fn stamp(out: &mut impl Write, ns: u64, time: &Time, to_utc_ns: i64, zone: &TimeZone) -> io::Result<()> {
    let z = match time {
        Time::Seconds => return write!(out, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000),
        Time::Utc => "Z",
        Time::Local => "",
    };
    let ns = i128::from(ns) + i128::from(to_utc_ns);
    // Nanoseconds of 64 bits are within the years jiff knows.
    let at = zone.to_datetime(Timestamp::from_nanosecond(ns).unwrap_or(Timestamp::MAX));
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute, second, fraction) = (at.hour(), at.minute(), at.second(), at.subsec_nanosecond());
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}{z}")
}

/// What is written of an edge: the text of `--format`, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Offset,
    Line,
    Chip,
    KindNumber,
    Kind,
    Seconds,
    Utc,
    Local,
    Seqno,
    LineSeqno,
    Missing,
}

impl Format {
    /// What is no specifier stands for itself, as in gpiomon. Its own specifiers are all there is unless `ours`.
    pub(crate) fn parse(text: &str, ours: bool) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            if next != '%' {
                plain.push(next);
                continue;
            }
            let piece = match rest.next() {
                Some('o') => Piece::Offset,
                Some('l') => Piece::Line,
                Some('c') => Piece::Chip,
                Some('e') => Piece::KindNumber,
                Some('E') => Piece::Kind,
                Some('S') => Piece::Seconds,
                Some('U') => Piece::Utc,
                Some('L') => Piece::Local,
                Some('q') if ours => Piece::Seqno,
                Some('Q') if ours => Piece::LineSeqno,
                Some('m') if ours => Piece::Missing,
                Some('%') | None => {
                    plain.push('%');
                    continue;
                }
                Some(other) => {
                    plain.extend(['%', other]);
                    continue;
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self(pieces)
    }

    fn has(&self, piece: &Piece) -> bool {
        self.0.contains(piece)
    }
}

/// A line as libgpiod shows it: its name in quotes, or chip and offset.
#[derive(Clone, Debug)]
pub(crate) struct LineName<'a> {
    pub(crate) chip: &'a str,
    pub(crate) offset: u32,
    pub(crate) name: Option<&'a str>,
    /// Chip and offset also if it has a name.
    pub(crate) with_chip: bool,
    pub(crate) unquoted: bool,
}

impl<'a> LineName<'a> {
    /// For messages: by its name if it has one.
    pub(crate) fn new(chip: &'a str, offset: u32, name: Option<&'a Arc<str>>) -> Self {
        Self { chip, offset, name: name.map(|name| &**name), with_chip: false, unquoted: false }
    }
}

impl fmt::Display for LineName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chip, offset, name, with_chip, unquoted } = *self;
        if with_chip || name.is_none() {
            write!(f, "{} {offset}", Printable(chip))?;
        }
        let Some(name) = name else { return Ok(()) };
        if with_chip {
            f.write_char(' ')?;
        }
        if unquoted { write!(f, "{}", Printable(name)) } else { write!(f, "\"{}\"", Printable(name)) }
    }
}

/// Names come from a driver: none of them may command the terminal.
#[derive(Debug)]
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.char_indices().next_back() {
                Some((at, last)) if last.is_control() => write!(f, "{}{}", &part[..at], last.escape_default())?,
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linewake::Missed;

    #[derive(Clone, Default)]
    struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn edge(name: Option<&str>, missed: Missed) -> EdgeEvent {
        EdgeEvent {
            chip: "gpiochip0".into(),
            offset: 4.into(),
            name: name.map(Into::into),
            kind: EdgeKind::Falling,
            timestamp_ns: 12_000_000_345,
            seqno: 21,
            line_seqno: 9,
            missed,
        }
    }

    fn look() -> Look {
        Look {
            format: None,
            time: Time::Seconds,
            unquoted: false,
            with_chip: false,
            says_missing: true,
            initial: false,
            numeric: false,
            quiet: false,
            banner: false,
            colour: false,
        }
    }

    fn written(edge: &EdgeEvent, look: Look) -> String {
        let shared = Shared::default();
        let mut text = Text::new(Out::new(Box::new(shared.clone())), look, 0);
        text.item(Item::Edge { line: 0, edge }).unwrap();
        text.flush().unwrap();
        String::from_utf8(shared.0.take()).unwrap()
    }

    #[test]
    fn a_line_is_libgpiods() {
        let (named, unnamed) = (edge(Some("door"), Missed::default()), edge(None, Missed::default()));
        let with_chip = Look { with_chip: true, ..look() };
        let unquoted = Look { unquoted: true, ..look() };
        assert_eq!(written(&named, look()), "12.000000345\tfalling\t\"door\"\n");
        assert_eq!(written(&unnamed, look()), "12.000000345\tfalling\tgpiochip0 4\n");
        assert_eq!(written(&named, with_chip.clone()), "12.000000345\tfalling\tgpiochip0 4 \"door\"\n");
        assert_eq!(written(&unnamed, with_chip), "12.000000345\tfalling\tgpiochip0 4\n");
        assert_eq!(written(&named, unquoted), "12.000000345\tfalling\tdoor\n");
    }

    #[test]
    fn what_is_missing_is_said_unless_the_tool_is_libgpiods() {
        let late = edge(Some("door"), Missed { overflowed: 2, merged: 5 });
        assert_eq!(written(&late, look()), "12.000000345\tfalling\t\"door\" (7 missing before this one)\n");
        let theirs = Look { says_missing: false, ..look() };
        assert_eq!(written(&late, theirs), "12.000000345\tfalling\t\"door\"\n");
    }

    #[test]
    fn times_are_libgpiods() {
        let named = edge(Some("door"), Missed::default());
        let utc = Look { time: Time::Utc, ..look() };
        assert_eq!(written(&named, utc), "1970-01-01T00:00:12.000000345Z\tfalling\t\"door\"\n");
        let mut late = named;
        // `date -u -d @1700000000`
        late.timestamp_ns = 1_700_000_000_000_000_001;
        let format = |text| Look { format: Some(Format::parse(text, true)), ..look() };
        assert_eq!(written(&late, format("%U %S")), "2023-11-14T22:13:20.000000001Z 1700000000.000000001\n");
        late.timestamp_ns = u64::MAX;
        assert_eq!(written(&late, format("%U")), "2554-07-21T23:34:33.709551615Z\n");
    }

    #[test]
    fn a_format_has_its_specifiers_and_the_rest_stands_for_itself() {
        let late = edge(Some("door"), Missed { overflowed: 2, merged: 5 });
        for (format, expected) in [
            ("%o %l %c %e %E %S", "4 door gpiochip0 2 falling 12.000000345"),
            ("%q/%Q -%m", "21/9 -7"),
            ("100%% of %", "100% of %"),
            ("%x %é\\n%", "%x %é\\n%"),
            ("", ""),
            ("%%%l%%%", "%door%%"),
        ] {
            let look = Look { format: Some(Format::parse(format, true)), ..look() };
            assert_eq!(written(&late, look), format!("{expected}\n"), "{format}");
        }
        let theirs = Look { format: Some(Format::parse("%q %Q %m %e", false)), ..look() };
        assert_eq!(written(&late, theirs), "%q %Q %m 2\n");
        let unnamed = Look { format: Some(Format::parse("%l", false)), ..look() };
        assert_eq!(written(&edge(None, Missed::default()), unnamed), "unnamed\n");
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let nasty = edge(Some("a\x1b[2Jb\nc"), Missed::default());
        assert_eq!(written(&nasty, look()), "12.000000345\tfalling\t\"a\\u{1b}[2Jb\\nc\"\n");
        assert_eq!(written(&edge(Some("tür"), Missed::default()), look()), "12.000000345\tfalling\t\"tür\"\n");
    }

    #[test]
    fn colour_adds_nothing_else() {
        let late = edge(Some("door"), Missed { overflowed: 1, merged: 0 });
        let mut coloured = written(&late, Look { colour: true, ..look() });
        for code in [GREEN, CYAN, RED, PLAIN] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, written(&late, look()));
    }
}
