//! Lines of text for people, as libgpiod's gpiomon writes them.

use std::io::{self, Write};

use linewake::{Clock, EdgeEvent, EdgeKind};

use super::line_text::LineTexts;
use super::out::Out;
use super::select::OutputLine;
use super::sink::{Closing, Item, Sink, View};
use crate::display::{LineId, Printable, banner};
use crate::exit::Failure;
use crate::readers;
use crate::specifiers;
use crate::stamp::Stamp;

/// How the lines look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The format of an edge, if it is not the default.
    pub(crate) format: Option<String>,
    /// How times are written.
    pub(crate) time: Stamp,
    /// Names have no quotes.
    pub(crate) unquoted: bool,
    /// Lines with a name are shown with chip and offset too.
    pub(crate) with_chip: bool,
    /// The levels at the start are written.
    pub(crate) initial: bool,
    /// These levels are written as 0 and 1.
    pub(crate) numeric: bool,
    /// Edges are left out.
    pub(crate) quiet: bool,
    /// "Monitoring line …" is written first.
    pub(crate) banner: bool,
    /// Edges are coloured.
    pub(crate) colour: bool,
}

const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Writes edges as lines of text.
pub(crate) struct Text {
    out: Out,
    look: Look,
    /// The difference from a time stamp to UTC.
    to_utc_ns: i64,
    lines: Vec<OutputLine>,
    /// The text between the time of an edge and the end of its line, for each direction.
    texts: LineTexts,
    /// The levels at the start; outer `None` until a line's level is known.
    states: Vec<Option<Option<bool>>>,
    /// Number of levels that must come before all are written.
    states_to_come: usize,
}

impl Text {
    pub(crate) fn new(out: Out, look: Look) -> Self {
        Self {
            out,
            look,
            to_utc_ns: 0,
            lines: Vec::new(),
            texts: LineTexts::new(),
            states: Vec::new(),
            states_to_come: 0,
        }
    }

    fn banner(&mut self) -> io::Result<()> {
        let banner = banner("Monitoring", self.lines.iter().map(|line| &*line.said));
        self.out.write_all(banner.as_bytes())
    }

    /// Notes a level, and writes all of them when the last one is known.
    fn state(&mut self, line: usize, active: Option<bool>) -> io::Result<()> {
        if !self.look.initial {
            return Ok(());
        }
        if self.states_to_come == 0 {
            // A chip is back: only the levels of its lines come.
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
            let chip = if line.shares_name && Some(&*line.said) == line.shown() {
                format!("{}:", line.chip)
            } else {
                String::new()
            };
            write!(self.out, "{quote}{}{}{quote}={active}", Printable(&chip), Printable(&line.said))?;
        }
        self.out.write_all(b"\n")
    }

    fn edge(&mut self, line: usize, edge: &EdgeEvent) -> io::Result<()> {
        if self.look.quiet {
            return Ok(());
        }
        let Look { time, colour, .. } = self.look;
        let to_utc_ns = self.to_utc_ns;
        let ns = |stamp: Stamp| match stamp {
            Stamp::Seconds => edge.timestamp_ns,
            Stamp::Utc | Stamp::Local => edge.timestamp_ns.saturating_add_signed(to_utc_ns),
        };
        if let Some(format) = &self.look.format {
            return specifiers::write(&mut self.out, format, |out, letter| {
                let stamp = |out, stamp: Stamp| stamp.write(ns(stamp), out);
                Some(match letter {
                    'o' => out.number(edge.offset.get()),
                    'l' => write!(out, "{}", Printable(edge.name.as_deref().unwrap_or("unnamed"))),
                    'c' => write!(out, "{}", Printable(&edge.chip)),
                    'e' => out.write_all(if edge.kind == EdgeKind::Rising { b"1" } else { b"2" }),
                    'E' => out.write_all(edge.kind.as_str().as_bytes()),
                    'S' => stamp(out, Stamp::Seconds),
                    'U' => stamp(out, Stamp::Utc),
                    'L' => stamp(out, Stamp::Local),
                    'q' => out.number(edge.seqno),
                    'Q' => out.number(edge.line_seqno),
                    'm' => out.number(edge.missed.total()),
                    _ => return None,
                })
            });
        }
        let (look, lines) = (&self.look, &self.lines);
        time.write(ns(time), &mut self.out)?;
        self.out.write_all(self.texts.get(line, edge, |kind| look.text(edge, kind, lines.get(line))))?;
        match edge.missed.total() {
            missing if missing > 0 => {
                let paint = |tint| if colour { tint } else { "" };
                writeln!(self.out, " {}({missing} missing before this one){}", paint(RED), paint(PLAIN))
            }
            _ => self.out.write_all(b"\n"),
        }
    }
}

impl Look {
    /// True if nothing is ever written.
    pub(super) fn is_silent(&self) -> bool {
        self.quiet && !self.banner && !self.initial
    }

    /// The text after the time of an edge, if nothing is missing before it.
    fn text(&self, edge: &EdgeEvent, kind: EdgeKind, line: Option<&OutputLine>) -> Vec<u8> {
        let tint = match kind {
            EdgeKind::Rising => GREEN,
            EdgeKind::Falling => CYAN,
        };
        let (begin, end) = if self.colour { (tint, PLAIN) } else { ("", "") };
        let name = LineId {
            chip: &edge.chip,
            offset: edge.offset.get(),
            name: line.and_then(|line| line.label.as_deref()).or(edge.name.as_deref()),
            with_chip: self.with_chip || line.is_some_and(|line| line.shares_name),
            unquoted: self.unquoted,
        };
        format!("\t{begin}{}{end}\t{name}", kind.as_str()).into_bytes()
    }
}

impl Sink for Text {
    fn begin(&mut self, view: View<'_>) -> io::Result<()> {
        self.to_utc_ns = to_utc_ns(view.clock).unwrap_or(0);
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
                // gpiomon prints the levels first.
                let banner = self.look.banner && self.look.initial && was_to_come > 0 && self.states_to_come == 0;
                if banner {
                    self.look.banner = false;
                    self.banner()?;
                }
                Ok(())
            }
            Item::Edge { line, edge } => self.edge(line, edge),
            Item::Gap { .. } | Item::Clock(_) | Item::Chatter(_) | Item::Heartbeat(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn place(&self) -> Option<readers::WatchedOutput<'_>> {
        // A reader may leave if nothing is printed.
        (!self.look.quiet).then(|| self.out.place())
    }

    fn end(&mut self, _: Closing<'_>) -> io::Result<()> {
        self.out.flush()
    }

    fn next_watch(&mut self, _: Closing<'_>, view: View<'_>) -> io::Result<()> {
        match to_utc_ns(view.clock) {
            Some(to_utc_ns) => self.to_utc_ns = to_utc_ns,
            // The clock of this watch has no UTC.
            None => (self.look.time, self.to_utc_ns) = (Stamp::Seconds, 0),
        }
        Ok(())
    }

    fn add_line(&mut self, line: &OutputLine) -> io::Result<()> {
        self.lines.push(line.clone());
        self.states.push(None);
        Ok(())
    }
}

/// Fails if times are to be written as UTC, and the clock has no UTC.
pub(crate) fn check_clock(time: Stamp, clock: &Clock) -> Result<(), Failure> {
    if time == Stamp::Seconds || clock.utc.is_some() {
        return Ok(());
    }
    let message = "cannot tell UTC by the clock \"{}\"; leave out --utc and --localtime";
    Err(Failure::new(message.replace("{}", clock.name.as_str())))
}

/// The difference from a clock's stamps to UTC, if it is known.
fn to_utc_ns(clock: &Clock) -> Option<i64> {
    clock.utc.map(|utc| utc.offset_ns)
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
            axis_ns: 12_000_000_345,
            seqno: 21,
            line_seqno: 9,
            missed,
        }
    }

    fn look() -> Look {
        Look {
            format: None,
            time: Stamp::Seconds,
            unquoted: false,
            with_chip: false,
            initial: false,
            numeric: false,
            quiet: false,
            banner: false,
            colour: false,
        }
    }

    fn written(edge: &EdgeEvent, look: Look) -> String {
        let shared = Shared::default();
        let mut text = Text::new(Out::new(Box::new(shared.clone())), look);
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
    fn what_is_missing_is_said() {
        let late = edge(Some("door"), Missed { overflowed: 2, merged: 5 });
        assert_eq!(written(&late, look()), "12.000000345\tfalling\t\"door\" (7 missing before this one)\n");
    }

    #[test]
    fn times_are_libgpiods() {
        let named = edge(Some("door"), Missed::default());
        let utc = Look { time: Stamp::Utc, ..look() };
        assert_eq!(written(&named, utc), "1970-01-01T00:00:12.000000345Z\tfalling\t\"door\"\n");
        let mut late = named;
        // `date -u -d @1700000000`
        late.timestamp_ns = 1_700_000_000_000_000_001;
        let format = |text: &str| Look { format: Some(text.to_owned()), ..look() };
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
            let look = Look { format: Some(format.to_owned()), ..look() };
            assert_eq!(written(&late, look), format!("{expected}\n"), "{format}");
        }
        let unnamed = Look { format: Some("%l".to_owned()), ..look() };
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
