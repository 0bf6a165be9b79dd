//! Names, values and attributes of lines, as libgpiod's tools print them.

use std::fmt::{self, Write as _};
use std::io;

use linewake::{Direction, Drive, EventClock, LineConfig, LineInfo};

/// A text that somebody else chose, printed so that it cannot control the terminal.
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

/// Adds a text with its control characters escaped. Bytes that are not UTF-8 are unchanged.
pub(crate) fn add_printable(into: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        // Writing to memory cannot fail.
        let _ = io::Write::write_fmt(into, format_args!("{}", Printable(chunk.valid())));
        into.extend_from_slice(chunk.invalid());
    }
}

/// A name in quotes, or without them if `unquoted`.
pub(crate) struct Quoted<'a> {
    pub(crate) text: &'a str,
    pub(crate) unquoted: bool,
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Printable(self.text);
        if self.unquoted { text.fmt(f) } else { write!(f, "\"{text}\"") }
    }
}

/// A line in the output of `mon` and `notify`: its name; or its chip, offset and name, if the user named the chip; or
/// its chip and offset, if it has no name.
pub(crate) struct LineId<'a> {
    pub(crate) chip: &'a str,
    pub(crate) offset: u32,
    pub(crate) name: Option<&'a str>,
    pub(crate) with_chip: bool,
    pub(crate) unquoted: bool,
}

impl fmt::Display for LineId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.with_chip || self.name.is_none() {
            write!(f, "{} {}", Printable(self.chip), self.offset)?;
            if self.name.is_some() {
                f.write_char(' ')?;
            }
        }
        match self.name {
            Some(text) => Quoted { text, unquoted: self.unquoted }.fmt(f),
            None => Ok(()),
        }
    }
}

/// The first line of a watch, `Watching lines 'a', and 'b'...`, with the operands; nothing if there are none.
pub(crate) fn banner<'a>(doing: &str, operands: impl Iterator<Item = &'a str>) -> String {
    let operands: Vec<_> = operands.map(|operand| format!("'{}'", Printable(operand))).collect();
    match &operands[..] {
        [] => String::new(),
        [only] => format!("{doing} line {only}...\n"),
        [first @ .., last] => format!("{doing} lines {}, and {last}...\n", first.join(", ")),
    }
}

/// Values of lines with the names from the command line: `"door"=active "bell"=inactive`, or `1 0`.
pub(crate) struct Values<'a> {
    pub(crate) values: &'a [(&'a str, bool)],
    pub(crate) unquoted: bool,
    pub(crate) numeric: bool,
}

impl fmt::Display for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &(text, active)) in self.values.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            if self.numeric {
                write!(f, "{space}{}", u8::from(active))?;
            } else {
                write!(f, "{space}{}={}", Quoted { text, unquoted: self.unquoted }, level(active))?;
            }
        }
        Ok(())
    }
}

/// `active` or `inactive`.
pub(crate) fn level(active: bool) -> &'static str {
    if active { "active" } else { "inactive" }
}

/// The attributes of a line: `input active-low bias=pull-up consumer="x"`. Default settings are left out.
pub(crate) struct Attributes<'a> {
    pub(crate) line: &'a LineInfo,
    pub(crate) unquoted: bool,
}

impl fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        settings(self.line.direction, &self.line.config).fmt(f)?;
        if self.line.used {
            write!(f, " consumer={}", Quoted { text: consumer(self.line), unquoted: self.unquoted })?;
        }
        Ok(())
    }
}

/// The settings of a line: `input active-low bias=pull-up`. Defaults are left out.
pub(crate) fn settings(direction: Direction, config: &LineConfig) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        f.write_str(match direction {
            Direction::Input => "input",
            Direction::Output => "output",
        })?;
        if config.active_low {
            f.write_str(" active-low")?;
        }
        if config.drive != Drive::PushPull {
            write!(f, " drive={}", config.drive.as_str())?;
        }
        if let Some(bias) = config.bias {
            write!(f, " bias={}", bias.as_str())?;
        }
        if let Some(edges) = config.edges {
            write!(f, " edges={}", edges.as_str())?;
        }
        if config.clock != EventClock::Monotonic {
            write!(f, " event-clock={}", config.clock.as_str())?;
        }
        match config.debounce.as_micros() {
            0 => Ok(()),
            us if us % 1_000_000 == 0 => write!(f, " debounce-period={}s", us / 1_000_000),
            us if us % 1_000 == 0 => write!(f, " debounce-period={}ms", us / 1_000),
            us => write!(f, " debounce-period={us}us"),
        }
    })
}

/// The consumer of a line. A consumer without a name is in the kernel.
pub(crate) fn consumer(line: &LineInfo) -> &str {
    match (line.used, &line.consumer) {
        (false, _) => "unused",
        (true, Some(consumer)) => consumer,
        (true, None) => "kernel",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use linewake::{Bias, Edges, LineConfig};

    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(Printable("a\x1b[2Jb\nc").to_string(), r"a\u{1b}[2Jb\nc");
        assert_eq!(Printable("tür").to_string(), "tür");
        assert_eq!(Printable("").to_string(), "");
    }

    #[test]
    fn a_line_is_its_name_or_its_place() {
        let id = LineId { chip: "gpiochip0", offset: 4, name: Some("door"), with_chip: false, unquoted: false };
        assert_eq!(id.to_string(), "\"door\"");
        assert_eq!(LineId { unquoted: true, ..id }.to_string(), "door");
        let id = LineId { chip: "gpiochip0", offset: 4, name: Some("door"), with_chip: true, unquoted: false };
        assert_eq!(id.to_string(), "gpiochip0 4 \"door\"");
        assert_eq!(LineId { name: None, with_chip: false, ..id }.to_string(), "gpiochip0 4");
        assert_eq!(LineId { name: None, with_chip: true, ..id }.to_string(), "gpiochip0 4");
    }

    #[test]
    fn attributes_are_in_libgpiods_order() {
        let mut line = LineInfo {
            offset: 4.into(),
            name: None,
            direction: Direction::Input,
            active: None,
            used: false,
            consumer: None,
            config: LineConfig::default(),
        };
        let shown = |line: &LineInfo| Attributes { line, unquoted: false }.to_string();
        assert_eq!(shown(&line), "input");
        line.used = true;
        assert_eq!(shown(&line), "input consumer=\"kernel\"");
        line.consumer = Some("a b".into());
        line.config = LineConfig::watch(Edges::Both)
            .active_low(true)
            .drive(Drive::OpenDrain)
            .bias(Bias::PullUp)
            .clock(EventClock::Realtime)
            .debounce(Duration::from_millis(20));
        assert_eq!(
            shown(&line),
            "input active-low drive=open-drain bias=pull-up edges=both event-clock=realtime debounce-period=20ms \
             consumer=\"a b\""
        );
        for (us, expected) in [(1, "=1us"), (1_500, "=1500us"), (2_000_000, "=2s")] {
            line.config.debounce = Duration::from_micros(us);
            assert!(shown(&line).contains(&format!("debounce-period{expected} ")), "{us}");
        }
    }
}
