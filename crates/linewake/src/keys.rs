//! The keys of a file, each with its place: errors have line and column, and unknown keys are errors.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Error, ErrorKind};

/// A text to read, and its name in errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceText<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> SourceText<'a> {
    /// An error at a place: `file:line:column: message`.
    pub(crate) fn error(&self, at: &Range<usize>, message: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::BadFile, format!("{}:{}: {message}", self.name, self.place(at)))
    }

    /// `line:column`
    fn place(&self, at: &Range<usize>) -> String {
        let (line, column) = self.line_and_column(at.start);
        format!("{line}:{column}")
    }

    /// Both from 1, columns in characters.
    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let mut start = at.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The text as a table.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'a>>, Error> {
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            let message = error.message();
            let quoted = self.text.get(at.clone()).filter(|_| message == "duplicate key");
            if let Some(key) = quoted {
                return self.error(&at, format!("the key \"{key}\" is set twice"));
            }
            let remedy = match message.contains("escape") {
                true => r"; between double quotes a backslash begins an escape: write it in single quotes, '\\.\Card0'",
                false => "",
            };
            self.error(&at, format!("{message}{remedy}"))
        })
    }
}

/// The beginning of a text that the author of the file has to replace.
const TO_DO: &str = "TODO:";
/// The same beginning with its opening quote, as in a file.
const TO_DO_TEXTS: &str = "\"TODO:";

/// A table of the file. Keys that were not read by the [end](Self::finish) are unknown.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    source: SourceText<'a>,
    /// Its path in messages: `wait`, `call.levels.output`.
    path: String,
    table: &'a DeTable<'a>,
    at: Range<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A value, its key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) source: SourceText<'a>,
    pub(crate) path: String,
    pub(crate) at: Range<usize>,
    value: &'a DeValue<'a>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(source: SourceText<'a>, root: &'a Spanned<DeTable<'a>>) -> Self {
        Self { source, path: String::new(), table: root.get_ref(), at: 0..0, asked: RefCell::default() }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// An error about the table as a whole.
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> Error {
        self.source.error(&self.at, message)
    }

    pub(crate) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().insert(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| self.value(key, value))
    }

    pub(crate) fn need(&self, key: &'static str) -> Result<Value<'a>, Error> {
        self.get(key).ok_or_else(|| match self.path.as_str() {
            "" => self.error(format!("the key \"{key}\" is missing")),
            path => self.error(format!("\"{path}\" lacks the key \"{key}\"")),
        })
    }

    /// Sets an option of `builder` if the table has the key.
    pub(crate) fn set<B, T>(
        &self,
        key: &'static str,
        builder: B,
        read: impl FnOnce(&Value<'a>) -> Result<T, Error>,
        set: impl FnOnce(B, T) -> B,
    ) -> Result<B, Error> {
        match self.get(key) {
            Some(value) => Ok(set(builder, read(&value)?)),
            None => Ok(builder),
        }
    }

    fn value(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Value { source: self.source, path, at: value.span(), value: value.get_ref() }
    }

    /// Refuses an unknown key, before a missing key is reported.
    pub(crate) fn only(self, known: &[&str]) -> Result<Self, Error> {
        match self.table.keys().find(|key| !known.contains(&&**key.get_ref())) {
            None => Ok(self),
            Some(unknown) => Err(self.unknown(unknown, known.iter().copied())),
        }
    }

    fn unknown<'k>(&self, unknown: &Spanned<impl AsRef<str>>, known: impl Iterator<Item = &'k str> + Clone) -> Error {
        let key = unknown.get_ref().as_ref();
        let place = if self.path.is_empty() { String::new() } else { format!(" in \"{}\"", self.path) };
        let possible = listed(known.clone());
        let known = match nearest(key, known) {
            Some(near) => format!("did you mean \"{near}\"? Possible keys: {possible}"),
            None => format!("possible keys: {possible}"),
        };
        self.source.error(&unknown.span(), format!("unknown key \"{key}\"{place}; {known}"))
    }

    /// Every key, whatever its name: for tables whose keys are the user's names.
    pub(crate) fn all(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut all: Vec<_> =
            self.table.iter().map(|(name, value)| (&**name.get_ref(), self.value(name.get_ref(), value))).collect();
        all.sort_by_key(|(_, value)| value.at.start);
        all
    }

    /// Refuses keys that were not read.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        match self.table.keys().find(|key| !asked.contains(&**key.get_ref())) {
            None => Ok(()),
            Some(unknown) => Err(self.unknown(unknown, asked.iter().copied())),
        }
    }
}

/// The nearest of the known words, or all of them.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => format!("expected {}", listed(known)),
    }
}

/// A longer word is no misspelling of a key, and its distances would take long to compute.
const LONGEST_WORD: usize = 64;

/// The known word that this one is a misspelling of.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let letters = word.chars().count();
    if letters > LONGEST_WORD {
        return None;
    }
    let (steps, known) = known.map(|known| (strsim::osa_distance(word, known), known)).min()?;
    // A word of two letters is two steps from every other.
    let most = (letters / 3).clamp(1, 4);
    (steps <= most).then_some(known)
}

/// The words in quotes.
pub(crate) fn listed<'k>(words: impl Iterator<Item = &'k str>) -> String {
    let words: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

impl<'a> Value<'a> {
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> Error {
        self.source.error(&self.at, format!("\"{}\": {message}", self.path))
    }

    /// Where it is in the file, as `line:column`.
    pub(crate) fn place(&self) -> String {
        self.source.place(&self.at)
    }

    fn wrong(&self, wanted: &str) -> Error {
        self.to_do().unwrap_or_else(|| self.error(format!("expected {wanted}, found {}", a_type(self.value))))
    }

    /// The error of a `TODO:` text, which `linewake profile new` writes in the place of a value.
    fn to_do(&self) -> Option<Error> {
        let what = self.value.as_str()?.strip_prefix(TO_DO)?.trim();
        let text = self.source.text;
        let is_comment = |at: usize| text[..at].rsplit('\n').next().unwrap_or("").trim_start().starts_with('#');
        let places = text.match_indices(TO_DO_TEXTS).map(|(at, _)| at).take(64);
        let others = places.filter(|&at| at != self.at.start && !is_comment(at));
        let lines: Vec<_> = others.map(|at| self.source.line_and_column(at).0.to_string()).take(8).collect();
        let others = match lines.as_slice() {
            [] => String::new(),
            [line] => format!(" (line {line} is to be filled in too)"),
            lines => format!(" (lines {} are to be filled in too)", lines.join(", ")),
        };
        Some(self.error(format!("to be filled in: {what}{others}")))
    }

    pub(crate) fn text(&self) -> Result<&'a str, Error> {
        match self.to_do() {
            Some(to_do) => Err(to_do),
            None => self.value.as_str().ok_or_else(|| self.wrong("a text")),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(crate) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Result<T, Error> {
        let text = self.text()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let known = did_you_mean(text, words.iter().map(|(word, _)| *word));
                Err(self.error(format!("unknown value \"{text}\"; {known}")))
            }
        }
    }

    pub(crate) fn truth(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// A number, in any of TOML's notations.
    pub(crate) fn number(&self, from: u64, to: u64) -> Result<u64, Error> {
        let number = self.value.as_integer().ok_or_else(|| self.wrong("a number"))?;
        u64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (from..=to).contains(number))
            .ok_or_else(|| self.error(format!("{number} is out of range; expected {from} to {to}")))
    }

    /// A number with or without a fraction.
    pub(crate) fn real(&self) -> Result<f64, Error> {
        let number = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => return Err(self.wrong("a number")),
        };
        number.ok_or_else(|| self.error("expected a finite number"))
    }

    pub(crate) fn size(&self, from: usize, to: usize) -> Result<usize, Error> {
        let number = self.number(from as u64, to as u64)?;
        Ok(usize::try_from(number).unwrap_or(to))
    }

    pub(crate) fn table(&self) -> Result<Keys<'a>, Error> {
        let table = self.value.as_table().ok_or_else(|| self.wrong("a table"))?;
        Ok(Keys { source: self.source, path: self.path.clone(), table, at: self.at.clone(), asked: RefCell::default() })
    }

    pub(crate) fn items(&self) -> Result<Vec<Value<'a>>, Error> {
        let array = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let item = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Value {
            source: self.source,
            path: format!("{}[{index}]", self.path),
            at: item.span(),
            value: item.get_ref(),
        };
        Ok(array.iter().enumerate().map(item).collect())
    }
}

fn a_type(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
        other => format!("a {}", other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceText<'_> {
        SourceText { name: "a.toml", text }
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_place_and_the_nearest() {
        let text = "name = 'x'\n[wait]\n  pendign = 2\n";
        let root = DeTable::parse(text).unwrap();
        let keys = Keys::new(source(text), &root);
        assert_eq!(keys.need("name").unwrap().text().unwrap(), "x");
        let wait = keys.need("wait").unwrap().table().unwrap();
        keys.finish().unwrap();
        assert!(wait.get("pending").is_none() && wait.get("by").is_none());
        let error = wait.finish().unwrap_err();
        let said = "a.toml:3:3: unknown key \"pendign\" in \"wait\"; did you mean \"pending\"? Possible keys: ";
        assert_eq!(error.to_string(), format!("{said}\"by\", \"pending\""));
        assert_eq!(error.kind(), ErrorKind::BadFile);
    }

    #[test]
    fn a_key_that_is_near_to_none_is_told_all_that_are_possible() {
        let text = "colour = 1\n";
        let root = DeTable::parse(text).unwrap();
        let error = Keys::new(source(text), &root).only(&["name", "at"]).unwrap_err().to_string();
        assert_eq!(error, "a.toml:1:1: unknown key \"colour\"; possible keys: \"name\", \"at\"");
    }

    #[test]
    fn what_is_to_be_filled_in_is_said_wherever_it_stands() {
        let text = "a = \"TODO: how many?\"\n\nb = \"TODO: which?\" # TODO\n# e = \"TODO: x\"\nc = \"TODO: a table\"\nd = \"TODO list\"\n";
        let root = DeTable::parse(text).unwrap();
        let keys = Keys::new(source(text), &root);
        let said = |error: Error| error.to_string();
        let many = said(keys.need("a").unwrap().number(0, 9).unwrap_err());
        let others = "(lines 3, 5 are to be filled in too)";
        assert_eq!(many, format!("a.toml:1:5: \"a\": to be filled in: how many? {others}"));
        assert!(said(keys.need("b").unwrap().text().unwrap_err()).contains("filled in: which? (lines 1, 5"));
        assert!(said(keys.need("c").unwrap().table().unwrap_err()).contains("filled in: a table (lines 1, 3"));
        assert_eq!(keys.need("d").unwrap().text().unwrap(), "TODO list", "a name like another");
    }

    #[test]
    fn numbers_are_read_in_every_notation_and_checked() {
        let text = "a = 0x8A51_601C\nb = -1\nc = 'ten'\nd = 18446744073709551615";
        let root = DeTable::parse(text).unwrap();
        let keys = Keys::new(source(text), &root);
        assert_eq!(keys.need("a").unwrap().number(0, u64::MAX).unwrap(), 0x8A51_601C);
        let error = keys.need("b").unwrap().number(0, 9).unwrap_err().to_string();
        assert_eq!(error, "a.toml:2:5: \"b\": -1 is out of range; expected 0 to 9");
        let error = keys.need("c").unwrap().number(0, 9).unwrap_err().to_string();
        assert_eq!(error, "a.toml:3:5: \"c\": expected a number, found the text \"ten\"");
        assert_eq!(keys.need("d").unwrap().number(0, u64::MAX).unwrap(), u64::MAX);
    }

    #[test]
    fn columns_count_characters() {
        let error = source("ä = 1\nöö = x").error(&(12..13), "what");
        assert_eq!(error.to_string(), "a.toml:2:4: what");
    }

    #[test]
    fn words_are_near_or_far() {
        assert_eq!(did_you_mean("pendign", ["pending"].into_iter()), "did you mean \"pending\"?");
        assert_eq!(did_you_mean("", ["abc"].into_iter()), "expected \"abc\"");
        assert_eq!(did_you_mean(&"length".repeat(11), ["length"].into_iter()), "expected \"length\"");
        assert_eq!(did_you_mean("lenght", ["length", "at"].into_iter()), "did you mean \"length\"?");
        assert_eq!(did_you_mean("colour", ["length", "at"].into_iter()), "expected \"length\", \"at\"");
    }
}
