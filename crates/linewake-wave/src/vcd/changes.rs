//! The part after the definitions: stamps and values.

use std::collections::HashMap;

use super::codes::Codes;
use super::head::{self, COMMANDS, LONGEST_TEXT};
use super::ports;
use super::words::{next, shown, wrong};
use crate::axis::{Stamp, Step};
use crate::bits::Level;
use crate::error::Error;
use crate::head::Common;
use crate::notes::Oddity;
use crate::text::Text;

/// The rest of a value change dump.
pub(crate) struct Changes {
    text: Text,
    codes: Codes,
    /// The digits of a value, while its code is looked up.
    digits: Vec<u8>,
    levels: Vec<Level>,
}

impl Changes {
    pub(super) fn new(text: Text, codes: Codes) -> Self {
        Self { text, codes, digits: Vec::new(), levels: Vec::new() }
    }

    /// Whether something was read that was not looked at.
    pub(crate) fn is_ready(&self) -> bool {
        self.text.has_word()
    }

    /// Reads until there is a change; without `waits`, also until the next word is not here yet. Returns whether there
    /// may be more.
    pub(crate) fn step(&mut self, common: &mut Common, waits: bool) -> Result<bool, Error> {
        loop {
            if !waits && !self.text.has_word() {
                return Ok(true);
            }
            if !next(&common.name, &mut self.text)? {
                self.close(common);
                return Ok(false);
            }
            let (first, rest) = self.text.last().split_first().unwrap_or((&b' ', &[]));
            if let Some(level) = Level::of(*first) {
                let source = if rest.is_empty() { self.code(common)? } else { self.codes.get(rest) };
                match source {
                    Some(source) if common.head.bits.is_watched(source) => {
                        common.head.bits.scalar(source, level, common.axis.at_ns());
                        return Ok(true);
                    }
                    Some(_) => {}
                    None => self.unknown(common),
                }
                continue;
            }
            let told = match first {
                b'#' => self.stamp(common)?,
                b'b' | b'B' => self.vector(common)?,
                b'p' | b'P' => self.port(common)?,
                b'r' | b'R' => self.skip_value(common)?,
                b's' | b'S' => self.skip_text(common)?,
                b'$' => self.command(common)?,
                _ => self.wrong(common)?,
            };
            match told {
                WordOutcome::Nothing => {}
                WordOutcome::Something => return Ok(true),
                WordOutcome::End => return Ok(false),
            }
        }
    }

    /// The file is over. A file that `linewake` wrote ends with a line.
    fn close(&mut self, common: &mut Common) {
        if common.head.is_ours() && self.text.is_last() {
            let (name, line) = (&common.name, self.text.line());
            common.notes.add(Oddity::Cut, || format!("{name}:{line}: it is cut off in this line"));
        }
    }

    fn cut(&self, common: &mut Common) {
        let (name, line, last) = (&common.name, self.text.line(), shown(self.text.last()));
        common.notes.add(Oddity::Cut, || match &*last {
            "" => format!("{name}:{line}: it is cut off within a value"),
            last => format!("{name}:{line}: it is cut off after \"{last}\""),
        });
    }

    /// The last word does not belong here. That is an error, unless it is cut off at the end of the file.
    fn wrong(&self, common: &mut Common) -> Result<WordOutcome, Error> {
        if self.text.is_last() {
            self.cut(common);
            return Ok(WordOutcome::End);
        }
        let what = format!("expected a time, a value or a command, found \"{}\"", shown(self.text.last()));
        Err(wrong(&common.name, &self.text, what))
    }

    /// The next word is a code. Returns its source.
    fn code(&mut self, common: &Common) -> Result<Option<u32>, Error> {
        next(&common.name, &mut self.text)?;
        Ok(self.codes.get(self.text.last()))
    }

    /// The last word is, or ends in, a code that no variable has.
    fn unknown(&self, common: &mut Common) {
        if self.text.is_last() || self.text.last().is_empty() {
            return self.cut(common);
        }
        let (name, line, last) = (&common.name, self.text.line(), shown(self.text.last()));
        common.notes.add(Oddity::UnknownCode, || {
            format!("{name}:{line}: no variable has the code in \"{last}\"; the value is left out")
        });
    }

    fn stamp(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        let digits = match self.text.last() {
            b"#" if self.text.is_last() => return self.wrong(common),
            b"#" => {
                next(&common.name, &mut self.text)?;
                self.text.last()
            }
            stamp => &stamp[1..],
        };
        let ticks = digits.iter().try_fold(0_u64, |ticks, byte| match byte {
            b'0'..=b'9' => ticks.checked_mul(10)?.checked_add((byte - b'0').into()),
            _ => None,
        });
        let step = match ticks.filter(|_| !digits.is_empty()) {
            Some(ticks) => common.axis.go_to_ticks(ticks),
            None => match Stamp::parse(digits) {
                Some(stamp) => common.axis.go_to(stamp),
                None => return self.wrong(common),
            },
        };
        let (name, line, at_ns) = (&common.name, self.text.line(), common.axis.at_ns());
        match step {
            Step::Onwards => {}
            // Nothing changes at a time that is cut off.
            Step::Back if self.text.is_last() => self.cut(common),
            Step::Back => {
                let last = shown(self.text.last());
                common.notes.add(Oddity::TimeWentBack, || {
                    format!(
                        "{name}:{line}: time goes back to \"{last}\"; it is held at {at_ns} ns until it is past that"
                    )
                });
            }
            Step::BeginsBeforeZero => {
                let last = shown(self.text.last());
                let say = || format!("{name}:{line}: time begins at \"{last}\", before 0; that is taken for 0");
                common.notes.add(Oddity::NegativeTime, say);
            }
            Step::TooFar => return Err(wrong(name, &self.text, "this time does not fit in 64 bits of nanoseconds")),
        }
        Ok(WordOutcome::Nothing)
    }

    /// `b1010 !`, or the same as one word.
    fn vector(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        let value = &self.text.last()[1..];
        let length = value.iter().take_while(|&&digit| Level::of(digit).is_some()).count();
        let (digits, code) = value.split_at(length);
        self.digits.clear();
        self.digits.extend_from_slice(digits);
        let source = if code.is_empty() { self.code(common)? } else { self.codes.get(code) };
        let Some(source) = source else {
            self.unknown(common);
            return Ok(WordOutcome::Nothing);
        };
        if !common.head.bits.is_watched(source) {
            return Ok(WordOutcome::Nothing);
        }
        self.levels.clear();
        self.levels.extend(self.digits.iter().filter_map(|&digit| Level::of(digit)));
        common.head.bits.vector(source, &self.levels, common.axis.at_ns());
        Ok(WordOutcome::Something)
    }

    /// `pDU 66 66 !`: the states of a port, the strengths that pull it down and up, and its code.
    fn port(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        self.levels.clear();
        let states = &self.text.last()[1..];
        self.levels.extend(states.iter().map_while(|&state| ports::level(state)));
        if self.levels.len() < states.len() {
            return self.wrong(common);
        }
        for _ in 0..2 {
            if !next(&common.name, &mut self.text)? {
                self.cut(common);
                return Ok(WordOutcome::End);
            }
        }
        match self.code(common)? {
            Some(source) => common.head.bits.vector(source, &self.levels, common.axis.at_ns()),
            None => self.unknown(common),
        }
        Ok(WordOutcome::Something)
    }

    /// Skips the value of a real.
    fn skip_value(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        if self.code(common)?.is_none() {
            self.unknown(common);
        }
        Ok(WordOutcome::Nothing)
    }

    /// Skips a text. Some texts contain spaces.
    fn skip_text(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        loop {
            let is_there = next(&common.name, &mut self.text)?;
            if !is_there || self.codes.get(self.text.last()).is_some() {
                return Ok(WordOutcome::Nothing);
            }
            if self.text.is_first_of_line() {
                self.text.back();
                return Ok(WordOutcome::Nothing);
            }
        }
    }

    fn command(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        match self.text.last() {
            b"$end" | b"$dumpvars" | b"$dumpall" | b"$dumpon" | b"$dumpoff" | b"$dumpports" | b"$dumpportsall"
            | b"$dumpportson" | b"$dumpportsoff" => Ok(WordOutcome::Nothing),
            command if COMMANDS[..7].contains(&command) => self.segment(common),
            [_, first, ..] if first.is_ascii_lowercase() => self.skip_command(common),
            _ => self.wrong(common),
        }
    }

    /// Skips a comment up to its `$end`. Without one, it ends where a line with a time and a line with a value follow.
    fn skip_command(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        let (command, line) = (shown(self.text.last()), self.text.line());
        let (mut length, mut stamp) = (0, None);
        let name = &common.name;
        loop {
            if !next(name, &mut self.text)? {
                let what = "has no $end; the rest of the file is taken for it";
                common.notes.add(Oddity::CommentWithoutEnd, || format!("{name}:{line}: the {command} {what}"));
                return Ok(WordOutcome::End);
            }
            let next = self.text.last();
            length += next.len() + 1;
            if next == b"$end" {
                return Ok(WordOutcome::Nothing);
            }
            if length > LONGEST_TEXT {
                let what = format!("the {command} of line {line} has no $end up to here; add one");
                return Err(wrong(name, &self.text, what));
            }
            let ticks = match next {
                [b'#', digits @ ..] => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok()),
                _ => None,
            };
            let is_value = match next {
                [b'b' | b'B', rest @ ..] => !rest.is_empty() && rest.iter().all(|&digit| Level::of(digit).is_some()),
                [digit, code @ ..] => Level::of(*digit).is_some() && self.codes.get(code).is_some(),
                [] => false,
            };
            if !self.text.is_first_of_line() {
                stamp = None;
            } else if let Some(stamp) = stamp.filter(|_| is_value) {
                self.text.back();
                let say =
                    || format!("{name}:{line}: the {command} has no $end; it is taken to end before \"#{stamp}\"");
                common.notes.add(Oddity::CommentWithoutEnd, say);
                common.axis.go_to_ticks(stamp);
                return Ok(WordOutcome::Nothing);
            } else {
                stamp = ticks;
            }
        }
    }

    /// Another dump was appended to this one. Its variables are matched with those of the first by name, and its time
    /// goes on where the last one ended.
    fn segment(&mut self, common: &mut Common) -> Result<WordOutcome, Error> {
        self.text.back();
        let line = self.text.line();
        let mut parsed = head::parse(&common.name, &mut self.text, &mut common.notes)?;
        let bits = &mut common.head.bits;
        let nowhere = bits.add_source();
        let known = bits.variables.iter().enumerate().map(|(at, variable)| {
            let path = common.head.scopes.path_of(variable.scope, &variable.name);
            ((path, variable.width), bits.source_of(at))
        });
        let known: HashMap<_, _> = known.collect();
        let new = &parsed.head;
        let mut to = vec![nowhere; new.bits.source_count()];
        for (at, variable) in new.bits.variables.iter().enumerate() {
            let path = new.scopes.path_of(variable.scope, &variable.name);
            match known.get(&(path.clone(), variable.width)) {
                Some(&source) => to[new.bits.source_of(at) as usize] = source,
                None => common.notes.add(Oddity::SegmentHasMore, || {
                    let name = &common.name;
                    let what = format!("has \"{path}\", which the first does not have; it is left out");
                    format!("{name}:{line}: the waveform that begins here {what}")
                }),
            }
        }
        parsed.codes.map(&to);
        self.codes = parsed.codes;
        common.begin_segment(line, parsed.tick, parsed.head.base);
        Ok(WordOutcome::Nothing)
    }
}

/// The result of a word.
enum WordOutcome {
    Nothing,
    Something,
    End,
}
