//! What `mon` writes: libgpiod's line for people, the record stream for programs, and the summary.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use linewake::record::{Edge, Gap, Record, Start, State, Summary};
use linewake::{Account, Chip, Clock, EdgeEvent, EdgeKind, Figures, LineAccount, LineState, Trust};

/// How edges are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `<seconds>\t<rising|falling>\t<line>`
    Text { colour: bool },
    /// One JSON object a line.
    Json,
}

const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

impl Format {
    /// What comes before anything else.
    pub(crate) fn begin(self, out: &mut impl Write, clock: &Clock) -> io::Result<()> {
        match self {
            Self::Json => record(out, &Record::Start(Start::new(clock))),
            Self::Text { .. } => Ok(()),
        }
    }

    /// The level of a line at the beginning. In text it is not shown.
    pub(crate) fn state(self, out: &mut impl Write, state: &LineState) -> io::Result<()> {
        match self {
            Self::Json => record(out, &Record::State(State::from(state))),
            Self::Text { .. } => Ok(()),
        }
    }

    pub(crate) fn edge(self, out: &mut impl Write, edge: &EdgeEvent) -> io::Result<()> {
        match self {
            Self::Json => record(out, &Record::Edge(Edge::from(edge))),
            Self::Text { colour } => text(out, edge, colour),
        }
    }

    /// A chip is gone, or back. In text it is not for standard output.
    pub(crate) fn gap(self, out: &mut impl Write, gap: &linewake::Gap) -> io::Result<()> {
        match self {
            Self::Json => record(out, &Record::Gap(Gap::from(gap))),
            Self::Text { .. } => Ok(()),
        }
    }

    /// What comes after the last edge. In text the summary is not for standard output.
    pub(crate) fn end(
        self,
        out: &mut impl Write,
        chip: &Chip,
        account: &Account,
        threads: Option<u32>,
    ) -> io::Result<()> {
        if self == Self::Json {
            record(out, &Record::Summary(Summary::new([(&*chip.info().name, account)], threads)))?;
        }
        Ok(())
    }
}

fn record(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

fn text(out: &mut impl Write, edge: &EdgeEvent, colour: bool) -> io::Result<()> {
    let (seconds, nanoseconds) = (edge.timestamp_ns / 1_000_000_000, edge.timestamp_ns % 1_000_000_000);
    let tint = match edge.kind {
        EdgeKind::Rising => GREEN,
        EdgeKind::Falling => CYAN,
    };
    let paint = |tint| if colour { tint } else { "" };
    let (begin, end) = (paint(tint), paint(PLAIN));
    let line = LineName { chip: &edge.chip, offset: edge.offset.get(), name: edge.name.as_deref() };
    write!(out, "{seconds}.{nanoseconds:09}\t{begin}{}{end}\t{line}", edge.kind.as_str())?;
    match edge.missed.total() {
        0 => out.write_all(b"\n"),
        missing => writeln!(out, " {}({missing} missing before this one){end}", paint(RED)),
    }
}

/// A line as libgpiod shows it: its name in quotes, or chip and offset.
struct LineName<'a> {
    chip: &'a str,
    offset: u32,
    name: Option<&'a str>,
}

impl fmt::Display for LineName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => {
                f.write_char('"')?;
                printable(f, name)?;
                f.write_char('"')
            }
            None => {
                printable(f, self.chip)?;
                write!(f, " {}", self.offset)
            }
        }
    }
}

/// Names come from a driver: none of them may command the terminal.
fn printable(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for part in text.split_inclusive(char::is_control) {
        match part.char_indices().next_back() {
            Some((at, last)) if last.is_control() => write!(f, "{}{}", &part[..at], last.escape_default())?,
            _ => f.write_str(part)?,
        }
    }
    Ok(())
}

/// The summary for people.
pub(crate) fn summary(chip: &str, account: &Account, threads: Option<u32>) -> String {
    let lines = account.lines();
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{}: {}", plural(lines.len() as u64, "line"), figures(account.total(), account.trust()));
    let _ = match threads {
        Some(threads) => writeln!(text, "; {}", plural(threads.into(), "thread")),
        None => writeln!(text),
    };
    for line in lines.iter().filter(|line| line.figures.lost() > 0 || line.trust == Trust::None) {
        let LineAccount { offset, name, figures: of, trust, .. } = line;
        let name = LineName { chip, offset: offset.get(), name: name.as_deref() };
        let _ = writeln!(text, "  {name}: {}", figures(*of, *trust));
    }
    text
}

fn figures(of: Figures, trust: Trust) -> String {
    let mut text = format!("{} delivered, ", plural(of.delivered, "edge"));
    let _ = match (trust, of.lost()) {
        (Trust::Exact, 0) => write!(text, "none lost"),
        (Trust::Exact, lost) => write!(text, "{lost} lost"),
        (Trust::AtLeast, lost) => write!(text, "at least {lost} lost"),
        (Trust::None, _) => write!(text, "how many are lost cannot be trusted"),
    };
    if of.lost() > 0 {
        let parts = [(of.overflowed, "overflowed"), (of.merged, "merged"), (of.discarded, "discarded")];
        let parts: Vec<_> =
            parts.iter().filter(|part| part.0 > 0).map(|(number, how)| format!("{number} {how}")).collect();
        let _ = write!(text, " ({})", parts.join(", "));
    }
    text
}

fn plural(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use linewake::Missed;

    fn edge(name: Option<&str>, missed: Missed) -> EdgeEvent {
        EdgeEvent {
            chip: "gpiochip0".into(),
            offset: 4.into(),
            name: name.map(Into::into),
            kind: EdgeKind::Falling,
            timestamp_ns: 12_000_000_345,
            seqno: 1,
            line_seqno: 1,
            missed,
        }
    }

    fn written(edge: &EdgeEvent, colour: bool) -> String {
        let mut out = Vec::new();
        text(&mut out, edge, colour).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_libgpiods() {
        let named = edge(Some("door"), Missed::default());
        assert_eq!(written(&named, false), "12.000000345\tfalling\t\"door\"\n");
        let unnamed = edge(None, Missed::default());
        assert_eq!(written(&unnamed, false), "12.000000345\tfalling\tgpiochip0 4\n");
    }

    #[test]
    fn what_is_missing_is_said() {
        let late = edge(Some("door"), Missed { overflowed: 2, merged: 5 });
        assert_eq!(written(&late, false), "12.000000345\tfalling\t\"door\" (7 missing before this one)\n");
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let nasty = edge(Some("a\x1b[2Jb\nc"), Missed::default());
        assert_eq!(written(&nasty, false), "12.000000345\tfalling\t\"a\\u{1b}[2Jb\\nc\"\n");
        assert_eq!(written(&edge(Some("tür"), Missed::default()), false), "12.000000345\tfalling\t\"tür\"\n");
    }

    #[test]
    fn colour_adds_nothing_else() {
        let late = edge(Some("door"), Missed { overflowed: 1, merged: 0 });
        let mut coloured = written(&late, true);
        for code in [GREEN, CYAN, RED, PLAIN] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, written(&late, false));
    }
}
