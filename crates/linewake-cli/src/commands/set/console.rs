//! The commands behind the prompt of `set --interactive` and of `gpioset --interactive`. They are bytes, which need not
//! be UTF-8.

use std::time::Duration;

use crate::display::add_printable;

/// The most bytes of a command; a longer line is an error.
pub(crate) const MOST_BYTES: u64 = 1 << 20;

/// Outputs that commands set.
pub(crate) trait Console {
    /// A failure that ends the program.
    type Error;

    const HELP: &'static str;

    fn values(&mut self) -> &mut [bool];
    /// The indices of the lines with this name; empty if there is none.
    fn named(&self, id: &[u8]) -> Vec<usize>;
    /// Prints on standard output.
    fn print(&mut self, text: &[u8]);
    /// Prints the values of lines.
    fn show(&mut self, places: &[usize]);
    /// Sets the lines to their values.
    fn apply(&mut self) -> Result<(), Self::Error>;
    fn period(&self, text: &[u8]) -> Option<Duration>;
    fn sleep(&mut self, period: Duration) -> Result<(), Self::Error>;

    /// Runs one command; returns false after the last one. An error of the user is printed, and more commands follow.
    fn run(&mut self, line: &[u8]) -> Result<bool, Self::Error> {
        let words = words(line);
        let Some((&command, words)) = words.split_first() else { return Ok(true) };
        if words.len() > self.values().len() {
            self.print(b"too many command parameters provided\n");
            return Ok(true);
        }
        match command {
            b"exit" => return Ok(false),
            b"help" => self.print(Self::HELP.as_bytes()),
            b"get" => {
                if let Some(places) = self.places(words) {
                    self.show(&places);
                }
            }
            b"toggle" => {
                for place in self.places(words).unwrap_or_default() {
                    self.values()[place] ^= true;
                }
                self.apply()?;
            }
            b"set" => self.set(words)?,
            b"sleep" => match words {
                [] => self.print(b"a period must be specified\n"),
                [text] => match self.period(text) {
                    Some(period) => self.sleep(period)?,
                    None => self.complain("invalid period", text),
                },
                _ => self.print(b"only one period can be specified\n"),
            },
            unknown => {
                self.complain("unknown command", unknown);
                self.print(b"Try the 'help' command\n");
            }
        }
        Ok(true)
    }

    fn complain(&mut self, what: &str, word: &[u8]) {
        let mut text = format!("{what}: '").into_bytes();
        add_printable(&mut text, word);
        text.extend(b"'\n");
        self.print(&text);
    }

    fn set(&mut self, words: &[&[u8]]) -> Result<(), Self::Error> {
        if words.is_empty() {
            self.print(b"at least one GPIO line value must be specified\n");
            return Ok(());
        }
        let (ids, values): (Vec<_>, Vec<_>) = match words.iter().map(|word| line_value(word)).collect() {
            Ok(values) => values,
            Err(wrong) => {
                self.complain("invalid line value", wrong);
                return Ok(());
            }
        };
        let Some(places) = self.known(&ids) else { return Ok(()) };
        for (places, value) in places.into_iter().zip(values) {
            places.into_iter().for_each(|place| self.values()[place] = value);
        }
        self.apply()
    }

    /// The indices of the lines that a command names; of all, if it names none.
    fn places(&mut self, words: &[&[u8]]) -> Option<Vec<usize>> {
        if words.is_empty() {
            return Some((0..self.values().len()).collect());
        }
        let mut ids = Vec::new();
        for word in words {
            let id = match word.strip_prefix(b"\"") {
                Some(quoted) => quoted.strip_suffix(b"\""),
                None => Some(*word),
            };
            let Some(id) = id else {
                self.complain("invalid line id", word);
                return None;
            };
            ids.push(id);
        }
        Some(self.known(&ids)?.concat())
    }

    /// The indices of the lines behind each name; `None` if one is unknown, which is printed.
    fn known(&mut self, ids: &[&[u8]]) -> Option<Vec<Vec<usize>>> {
        let places: Vec<_> = ids.iter().map(|id| self.named(id)).collect();
        let unknown = ids.iter().zip(&places).filter(|(_, places)| places.is_empty());
        unknown.for_each(|(id, _)| self.complain("unknown line", id));
        places.iter().all(|places| !places.is_empty()).then_some(places)
    }
}

/// Parses `line=1` or `"line"=1`; the error is the part that is wrong.
pub(crate) fn line_value(text: &[u8]) -> Result<(&[u8], bool), &[u8]> {
    let (line, end): (&[u8], &[u8]) = match text.strip_prefix(b"\"") {
        Some(quoted) => (quoted, b"\"="),
        None => (text, b"="),
    };
    let at = line.windows(end.len()).position(|part| part == end).ok_or(text)?;
    let value = &line[at + end.len()..];
    match value {
        b"1" | b"active" | b"on" | b"true" => Ok((&line[..at], true)),
        b"0" | b"inactive" | b"off" | b"false" => Ok((&line[..at], false)),
        _ => Err(value),
    }
}

/// Splits a line into words. A word that begins with a quotation mark may have spaces up to the next mark.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let space = rest.iter().take_while(|&&byte| is_space(byte)).count();
        rest = &rest[space..];
        if rest.is_empty() {
            return words;
        }
        let quoted = match rest.strip_prefix(b"\"") {
            Some(inner) => inner.iter().position(|&byte| byte == b'"').map_or(rest.len(), |at| at + 2),
            None => 0,
        };
        let end = rest[quoted..].iter().position(|&byte| is_space(byte)).map_or(rest.len(), |at| quoted + at);
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::{line_value, words};

    #[test]
    fn a_line_and_its_value() {
        for (text, line, value) in [
            ("door=1", "door", true),
            ("door=off", "door", false),
            ("\"a=b\"=true", "a=b", true),
            ("sim:5=inactive", "sim:5", false),
            ("=on", "", true),
        ] {
            assert_eq!(line_value(text.as_bytes()), Ok((line.as_bytes(), value)), "{text}");
        }
        for (text, wrong) in
            [("door", "door"), ("door=2", "2"), ("door=", ""), ("\"door=1", "\"door=1"), ("a=b=1", "b=1"), ("", "")]
        {
            assert_eq!(line_value(text.as_bytes()), Err(wrong.as_bytes()), "{text}");
        }
    }

    #[test]
    fn quoted_words_have_spaces() {
        for (line, expected) in [
            ("", &[][..]),
            ("  \n", &[]),
            ("get\n", &["get"]),
            ("set a=1  \"b c\"=0\n", &["set", "a=1", "\"b c\"=0"]),
            ("get \"b c\" d", &["get", "\"b c\"", "d"]),
            ("get \"b c", &["get", "\"b c"]),
            ("get a\"b c", &["get", "a\"b", "c"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(words(line.as_bytes()), expected, "{line:?}");
        }
    }
}
