//! The part before the changes: definitions.

use super::codes::Codes;
use super::words::{next, shown, wrong};
use crate::axis::Tick;
use crate::declare::{Declared, range_of, unescaped};
use crate::error::Error;
use crate::head::{Base, Head};
use crate::notes::{Notes, Oddity};
use crate::text::{Text, decoded};
use crate::variable::Scope;

/// A text longer than this many bytes has no end.
pub(super) const LONGEST_TEXT: usize = 1 << 20;
/// How many bytes of a text are kept.
const KEPT: usize = 4 << 10;

/// A file that begins with more stray words than this is not a dump.
const MOST_STRAY: u32 = 64;

/// The definitions that were read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) head: Head,
    pub(super) codes: Codes,
    pub(super) tick: Tick,
}

/// Commands that end an earlier command without an `$end`.
pub(super) const COMMANDS: [&[u8]; 16] = [
    b"$scope",
    b"$upscope",
    b"$var",
    b"$enddefinitions",
    b"$timescale",
    b"$date",
    b"$version",
    b"$comment",
    b"$attrbegin",
    b"$attrend",
    b"$dumpvars",
    b"$dumpall",
    b"$dumpon",
    b"$dumpoff",
    b"$dumpports",
    b"$vcdclose",
];

/// Reads definitions up to their end, or to the first word that is not a definition.
pub(super) fn parse(name: &str, text: &mut Text, notes: &mut Notes) -> Result<Parsed, Error> {
    let mut parser = Parser {
        name,
        text,
        notes,
        parsed: Parsed::default(),
        scope: 0,
        has_command: false,
        stray: None,
        stray_count: 0,
    };
    while parser.command()? {}
    Ok(parser.parsed)
}

struct Parser<'a> {
    name: &'a str,
    text: &'a mut Text,
    notes: &'a mut Notes,
    parsed: Parsed,
    scope: Scope,
    /// Whether there was a definition. Without any it is another kind of file.
    has_command: bool,
    /// The error for the first stray word, and how many there are.
    stray: Option<Error>,
    stray_count: u32,
}

impl Parser<'_> {
    /// Returns whether there may be more.
    fn command(&mut self) -> Result<bool, Error> {
        if !next(self.name, self.text)? {
            if !self.has_command {
                let empty = || Error::new(format!("\"{}\" is empty", self.name));
                return Err(self.stray.take().unwrap_or_else(empty));
            }
            self.cut();
            return Ok(false);
        }
        match self.text.last() {
            b"$scope" => {
                let words = self.words("$scope")?;
                let name = decoded(&words.get(1..).unwrap_or_default().join(&b' '));
                self.scope = self.parsed.head.scopes.add(self.scope, unescaped(&name));
            }
            b"$upscope" => {
                self.end("$upscope")?;
                self.scope = self.parsed.head.scopes.around(self.scope);
            }
            b"$var" => self.variable()?,
            b"$timescale" => {
                let words = decoded(&self.words("$timescale")?.join(&b' '));
                self.parsed.tick = Tick::parse(words.strip_suffix("$end").unwrap_or(&words)).ok_or_else(|| {
                    let remedy = "expected a number from 1 and s, ms, us, ns, ps or fs, as in \"1 ns\"";
                    wrong(
                        self.name,
                        self.text,
                        format_args!("\"{}\" is not a timescale; {remedy}", shown(words.as_bytes())),
                    )
                })?;
            }
            b"$version" => {
                let version = self.text("$version")?;
                self.parsed.head.version = Some(version).filter(|version| !version.is_empty());
            }
            b"$comment" => {
                let base = base(&self.text("$comment")?);
                self.parsed.head.base = self.parsed.head.base.take().or(base);
            }
            b"$enddefinitions" => {
                self.end("$enddefinitions")?;
                return Ok(false);
            }
            // A superfluous one.
            b"$end" => {}
            b"$dumpvars" | b"$dumpall" | b"$dumpon" | b"$dumpoff" | b"$dumpports" => return Ok(self.begins_changes()),
            [b'$', rest @ ..] if rest.first().is_some_and(u8::is_ascii_lowercase) => {
                let command = decoded(self.text.last());
                self.text(&command)?;
            }
            [b'#', b'0'..=b'9' | b'-', ..] => return Ok(self.begins_changes()),
            _ if self.is_change() => return Ok(self.begins_changes()),
            _ => {
                self.skip_stray()?;
                return Ok(true);
            }
        }
        self.has_command = true;
        Ok(true)
    }

    /// The last word is not a definition. Some programs print other text to the same output.
    fn skip_stray(&mut self) -> Result<(), Error> {
        let what = format!("expected a definition of a value change dump, found \"{}\"", shown(self.text.last()));
        self.notes.add(Oddity::Stray, || format!("{}:{}: {what}; it is left out", self.name, self.text.line()));
        let stray = self.stray.take().unwrap_or_else(|| wrong(self.name, self.text, what));
        self.stray_count += 1;
        if !self.has_command && self.stray_count > MOST_STRAY {
            return Err(stray);
        }
        self.stray = Some(stray);
        Ok(())
    }

    /// The definitions have no end.
    fn begins_changes(&mut self) -> bool {
        self.text.back();
        false
    }

    /// Whether the last word changes a known variable.
    fn is_change(&self) -> bool {
        match self.text.last() {
            [b'b' | b'B' | b'r' | b'R', ..] => !self.parsed.codes.is_empty(),
            [digit, code @ ..] => crate::Level::of(*digit).is_some() && self.parsed.codes.get(code).is_some(),
            [] => false,
        }
    }

    /// The words up to `$end`, or to a command if there is none.
    fn words(&mut self, command: &str) -> Result<Vec<Vec<u8>>, Error> {
        let (mut words, mut length) = (Vec::new(), 0);
        let line = self.text.line();
        loop {
            let is_there = next(self.name, self.text)?;
            match self.text.last() {
                b"$end" => return Ok(words),
                next if is_there && !COMMANDS.contains(&next) && length < LONGEST_TEXT => {
                    length += next.len() + 1;
                    words.push(next.to_vec());
                    // Some programs write `$timescale 1ns$end`, without the blank.
                    if next.ends_with(b"$end") && command == "$timescale" {
                        return Ok(words);
                    }
                }
                _ => {
                    self.text.back();
                    if is_there {
                        self.without_end(command, line);
                    }
                    return Ok(words);
                }
            }
        }
    }

    /// Expects `$end` next.
    fn end(&mut self, command: &str) -> Result<(), Error> {
        let line = self.text.line();
        if !next(self.name, self.text)? {
            self.cut();
        } else if self.text.last() != b"$end" {
            self.text.back();
            self.without_end(command, line);
        }
        Ok(())
    }

    /// The text up to `$end`; if it is long, only its beginning. It also ends where a line begins with a definition.
    fn text(&mut self, command: &str) -> Result<String, Error> {
        let (mut kept, mut length) = (Vec::new(), 0);
        let line = self.text.line();
        loop {
            if !next(self.name, self.text)? {
                break;
            }
            let next = self.text.last();
            if next == b"$end" {
                break;
            }
            length += next.len() + 1;
            if length > LONGEST_TEXT {
                let what = format!("the {command} of line {line} has no $end up to here; add one");
                return Err(wrong(self.name, self.text, what));
            }
            if COMMANDS[..5].contains(&next) && self.text.is_first_of_line() {
                self.text.back();
                self.without_end(command, line);
                break;
            }
            if kept.len() + next.len() < KEPT {
                if !kept.is_empty() {
                    kept.push(b' ');
                }
                kept.extend_from_slice(next);
            }
        }
        Ok(decoded(&kept))
    }

    fn cut(&mut self) {
        self.notes.add(Oddity::Cut, || format!("{}: it is cut off within its definitions", self.name));
    }

    fn without_end(&mut self, command: &str, line: u64) {
        let next = shown(self.text.last());
        let say = || format!("{}:{line}: {command} has no $end; it is taken to end before \"{next}\"", self.name);
        self.notes.add(Oddity::CommandWithoutEnd, say);
    }

    fn variable(&mut self) -> Result<(), Error> {
        let line = self.text.line();
        let words = self.words("$var")?;
        let [kind, width, code, name @ ..] = &*words else {
            // The last one of a file that is cut off.
            if self.text.is_over() {
                return Ok(());
            }
            let what = "expected the type, the width, the code and the name of a variable";
            return Err(Error::new(format!("{}:{line}: {what}", self.name)));
        };
        let name = match decoded(&name.join(&b' ')) {
            name if name.is_empty() => decoded(code),
            name => name,
        };
        let Some((width, range)) = width_of(&decoded(width)) else {
            let what = format!("expected a width, found \"{}\"", shown(width));
            return Err(Error::new(format!("{}:{line}: {what}", self.name)));
        };
        let source = self.parsed.codes.get(code).unwrap_or_else(|| {
            let source = self.parsed.head.bits.add_source();
            self.parsed.codes.insert(code, source);
            source
        });
        let kind = decoded(kind).to_ascii_lowercase();
        let (scope, kind, name) = (self.scope, &*kind, &*name);
        self.parsed.head.declare(&Declared { scope, kind, width, range, name, source });
        Ok(())
    }
}

/// Parses a width: `8`, or a range: `[7:0]`.
fn width_of(text: &str) -> Option<(u64, Option<(i64, i64)>)> {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(range) => {
            let range = range_of(range)?;
            Some((range.0.abs_diff(range.1).checked_add(1)?, Some(range)))
        }
        None => Some((text.parse().ok()?, None)),
    }
}

/// Parses what `linewake` writes about its time axis: `time 0 is 280792 ns of the clock "simulated"`.
fn base(comment: &str) -> Option<Base> {
    let (ns, clock) = comment.strip_prefix("time 0 is ")?.split_once(" ns of the clock \"")?;
    Some(Base { ns: ns.parse().ok()?, clock: clock.split('"').next()?.to_owned() })
}
