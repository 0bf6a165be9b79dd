//! The user's configuration: named sets of lines, as in `linewake mon @pumps`.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use linewake::text;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use crate::exit::Failure;

/// The content of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    set: BTreeMap<String, SetTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetTable {
    lines: Spanned<Vec<Spanned<Entry>>>,
}

/// An entry of `lines`: a text, or a table.
#[derive(Debug)]
struct Entry(LineTable);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line: a text such as \"gpiochip0:17\", or a table with line, label, unit and per_edge")
            }

            fn visit_str<E>(self, line: &str) -> Result<Entry, E> {
                Ok(Entry(LineTable { line: line.to_owned(), label: None, unit: None, per_edge: None }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                LineTable::deserialize(MapAccessDeserializer::new(map)).map(Entry)
            }
        }

        // An untagged enum would lose the place of an error in the table.
        deserializer.deserialize_any(EntryVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineTable {
    line: String,
    label: Option<String>,
    unit: Option<String>,
    per_edge: Option<f64>,
}

/// A line of a set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// The line as an operand.
    pub(crate) id: String,
    /// The user's name for it.
    pub(crate) label: Option<String>,
    /// The unit that its edges count.
    pub(crate) unit: Option<Unit>,
}

/// A unit that the edges of a line count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    /// Such as "L".
    pub(crate) name: String,
    /// The amount of one edge, in this unit.
    pub(crate) per_edge: f64,
}

pub(crate) type Sets = BTreeMap<String, Vec<Member>>;

impl Member {
    /// A line without label and unit.
    pub(crate) fn plain(id: &str) -> Self {
        Self { id: id.to_owned(), label: None, unit: None }
    }
}

/// Replaces the operands that name a set by its lines. Each line comes with the index of its operand.
pub(crate) fn expand(operands: &[String]) -> Result<Vec<(usize, Member)>, Failure> {
    let mut sets = None;
    let mut members = Vec::new();
    for (place, operand) in operands.iter().enumerate() {
        let Some(name) = operand.strip_prefix('@') else {
            members.push((place, Member::plain(operand)));
            continue;
        };
        if sets.is_none() {
            sets = Some(read_all()?);
        }
        let sets = sets.as_ref().expect("it was just read");
        let Some(lines) = sets.get(name) else {
            let known = match sets.len() {
                0 => match paths().first() {
                    Some(path) => format!("there is no set; write one to \"{}\"", shown(path)),
                    None => "there is no set, and no place for one; see \"linewake config --help\"".to_owned(),
                },
                _ => {
                    format!("the sets are \"@{}\"", sets.keys().map(|name| &**name).collect::<Vec<_>>().join("\", \"@"))
                }
            };
            return Err(Failure::new(format!(
                "cannot find the set \"{operand}\": {known}; \"linewake config\" shows them"
            )));
        };
        members.extend(lines.iter().map(|line| (place, line.clone())));
    }
    Ok(members)
}

/// Reads the sets of all files.
fn read_all() -> Result<Sets, Failure> {
    let mut sets = Sets::new();
    for path in paths() {
        for (name, lines) in read(&path)?.into_iter().flatten() {
            sets.entry(name).or_insert(lines);
        }
    }
    Ok(sets)
}

/// The places of a configuration, each with "found" or "not there", or with what is wrong.
pub(crate) fn places() -> impl Iterator<Item = Result<String, Failure>> {
    paths().into_iter().map(|path| {
        let found = if read(&path)?.is_some() { "found" } else { "not there" };
        Ok(format!("\"{}\": {found}", path.display()))
    })
}

/// The places of a configuration, the user's own first.
pub(crate) fn paths() -> Vec<PathBuf> {
    // The XDG base directory specification says to ignore a relative path.
    let directory = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let (own, all) = if cfg!(windows) {
        let all = directory("PROGRAMDATA").map(|path| path.join("linewake"));
        (directory("APPDATA"), all)
    } else {
        let own = directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")));
        (own, Some(PathBuf::from("/etc")))
    };
    let own = own.map(|path| path.join("linewake"));
    own.into_iter().chain(all).map(|directory| directory.join("linewake.toml")).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The most bytes of a configuration; a larger file is something else.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the sets of a file; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Sets>, Failure> {
    match text::read(path, MOST_BYTES) {
        Ok(text) => parse(&text).map(Some).map_err(|wrong| Failure::new(format!("\"{}\":{wrong}", path.display()))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Failure::new(format!("cannot read \"{}\": {error}", path.display()))),
    }
}

/// Parses a file. An error is `line:column: what`.
fn parse(text: &str) -> Result<Sets, String> {
    let file: ConfigFile = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(text, at, error.message().lines().next().unwrap_or_default())
    })?;
    let mut sets = Sets::new();
    for (name, SetTable { lines }) in file.set {
        if lines.get_ref().is_empty() {
            return Err(wrong(text, lines.span().start, &format!("the set \"{name}\" is empty; name a line")));
        }
        let mut members: Vec<Member> = Vec::new();
        for entry in lines.into_inner() {
            let at = entry.span().start;
            let member = member(entry.into_inner()).map_err(|what| wrong(text, at, &what))?;
            if members.iter().any(|before| before.id == member.id) {
                let what = format!("line \"{}\" is twice in the set \"{name}\"; remove one", member.id);
                return Err(wrong(text, at, &what));
            }
            members.push(member);
        }
        sets.insert(name, members);
    }
    Ok(sets)
}

fn member(entry: Entry) -> Result<Member, String> {
    let Entry(LineTable { line: id, label, unit, per_edge }) = entry;
    if id.is_empty() || id.starts_with('@') {
        return Err(format!("expected a line, found \"{id}\"; write its name, or CHIP:LINE"));
    }
    let unit = match (unit, per_edge) {
        (Some(name), per_edge) => Some(Unit { name, per_edge: per_edge.unwrap_or(1.0) }),
        (None, Some(_)) => {
            return Err(format!("line \"{id}\" has per_edge but no unit; add one, such as unit = \"L\""));
        }
        (None, None) => None,
    };
    if unit.as_ref().is_some_and(|unit| !unit.per_edge.is_finite()) {
        return Err(format!("per_edge of line \"{id}\" is not finite; expected a number such as 0.5"));
    }
    Ok(Member { id, label, unit })
}

fn wrong(text: &str, at: usize, what: &str) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{line}:{column}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read() {
        let text = "[set.pumps]\nlines = ['a', { line = 'sim:b', label = 'B', unit = 'L', per_edge = 0.5 }]\n[set.x]\nlines=['c']";
        let sets = parse(text).unwrap();
        let unit = Some(Unit { name: "L".to_owned(), per_edge: 0.5 });
        let labelled = Member { id: "sim:b".to_owned(), label: Some("B".to_owned()), unit };
        assert_eq!(sets["pumps"], [Member::plain("a"), labelled]);
        assert_eq!(sets["x"], [Member::plain("c")]);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn the_readme_shows_a_configuration() {
        let readme = include_str!("../README.md");
        let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let pumps = &parse(example).unwrap()["pumps"];
        assert_eq!(pumps.iter().filter(|line| line.label.is_some()).count(), 2);
        assert!(pumps.iter().any(|line| line.unit.is_some()));
    }

    #[test]
    fn an_error_has_its_line_and_column() {
        for (text, expected) in [
            ("[set.a]\nlines = []", "2:9: the set \"a\" is empty"),
            ("[set.a]\nlines = [\n  'x',\n  'x']", "4:3: line \"x\" is twice"),
            ("[set.a]\nlines = ['@b']", "2:10: expected a line, found \"@b\""),
            ("[set.a]\nlines = ['']", "2:10: expected a line, found \"\""),
            ("[set.a]\nlines = [{ line = 'x', per_edge = 2.0 }]", "2:10: line \"x\" has per_edge but no unit"),
            ("[set.a]\nlines = [{ line = 'x', unit = 'L', per_edge = nan }]", "2:10: per_edge of line \"x\""),
            ("[set.a]\nlines = [{ lable = 'x' }]", "2:12: unknown field `lable`, expected one of"),
            ("[set.a]\nlines = [7]", "2:10: invalid type: integer `7`, expected a line: a text"),
            ("[set.a]\nlines = 'x'", "2:9: "),
            ("[set.a]\nline = ['x']", "2:1: unknown field `line`"),
            ("[set.a]", "1:1: missing field `lines`"),
            ("[sets.a]\nlines = ['x']", "1:2: unknown field `sets`"),
            ("[set.a\n", "1:7: "),
            ("x = 'ü' y", "1:9: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
