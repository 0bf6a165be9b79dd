//! The user's configuration: named sets of lines, for `linewake mon @pumps`; and `linewake config`, which shows it.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use linewake::text;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use crate::exit::Failure;
use crate::output;
use crate::shown::{Printable, Quoted};

/// Show the configuration: where it is looked for, and the named sets of lines in it
///
/// A set is lines under one name: wherever a command takes lines, @pumps is those of the set "pumps", as in "linewake mon
/// @pumps" and "linewake set @pumps=0". A label is shown in place of a line's own name, and with a unit --stats says how much
/// of it the edges are.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = exit_codes!(
        "\
A configuration:
  [set.pumps]
  lines = [
      \"gpiochip0:pump-1\",
      { line = \"gpiochip0:17\", label = \"Pump 2\" },
      { line = \"sim:flow\", label = \"Water\", unit = \"L\", per_edge = 0.5 },
  ]

Files, where a set of the first is taken before one of the same name in the second:
  Linux    $XDG_CONFIG_HOME/linewake/linewake.toml (~/.config/linewake/linewake.toml), /etc/linewake.toml
  Windows  %APPDATA%\\linewake\\linewake.toml, %PROGRAMDATA%\\linewake\\linewake.toml"
    )
)]
pub(crate) struct Arguments {
    /// Check and show this file, and no other
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// What a file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    set: BTreeMap<String, Set>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    lines: Spanned<Vec<Spanned<Entry>>>,
}

/// A text, or a table.
#[derive(Debug)]
struct Entry(Line);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line: a text, as \"gpiochip0:17\", or a table with line, label, unit and per_edge")
            }

            fn visit_str<E>(self, line: &str) -> Result<Entry, E> {
                Ok(Entry(Line { line: line.to_owned(), label: None, unit: None, per_edge: None }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Line::deserialize(MapAccessDeserializer::new(map)).map(Entry)
            }
        }

        // Whatever it is, the place of what is wrong in it is known.
        deserializer.deserialize_any(Either)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    line: String,
    label: Option<String>,
    unit: Option<String>,
    per_edge: Option<f64>,
}

/// A line of a set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// As it would be said on the command line.
    pub(crate) id: String,
    /// What it is to the user.
    pub(crate) label: Option<String>,
    /// What its edges count.
    pub(crate) unit: Option<Unit>,
}

/// What the edges of a line count.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    /// As in "L".
    pub(crate) name: String,
    /// How many of them an edge is.
    pub(crate) per_edge: f64,
}

type Sets = BTreeMap<String, Vec<Member>>;

impl Member {
    /// A line of which nothing else is known.
    pub(crate) fn plain(id: &str) -> Self {
        Self { id: id.to_owned(), label: None, unit: None }
    }
}

/// Operands, with those that name a set replaced by its lines; each line with the place of its operand.
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
                    Some(path) => format!("there is none; write one to \"{}\"", shown(path)),
                    None => "there is none, and no place for one; see \"linewake config --help\"".to_owned(),
                },
                _ => format!("there is \"@{}\"", sets.keys().map(|name| &**name).collect::<Vec<_>>().join("\", \"@")),
            };
            return Err(Failure::new(format!(
                "cannot find the set \"{operand}\": {known}; \"linewake config\" shows all"
            )));
        };
        members.extend(lines.iter().map(|line| (place, line.clone())));
    }
    Ok(members)
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let paths = match &arguments.file {
        Some(file) => vec![file.clone()],
        None => paths(),
    };
    let mut text = String::new();
    let mut failure = None;
    let mut sets = Sets::new();
    for path in &paths {
        let found = match read(path) {
            Ok(None) if arguments.file.is_some() => {
                let message =
                    format!("there is no file \"{}\"; \"linewake config --help\" has an example", path.display());
                return Err(Failure::new(message));
            }
            Ok(None) => "not there",
            Ok(Some(read)) => {
                for (name, lines) in read {
                    sets.entry(name).or_insert(lines);
                }
                "found"
            }
            Err(error) => {
                failure.get_or_insert(error);
                "wrong"
            }
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "\"{}\": {found}", path.display());
    }
    for (name, lines) in &sets {
        let _ = writeln!(text, "@{}", Printable(name));
        for Member { id, label, unit } in lines {
            let _ = write!(text, "  {}", Quoted { text: id, unquoted: false });
            if let Some(label) = label {
                let _ = write!(text, " label={}", Quoted { text: label, unquoted: false });
            }
            if let Some(Unit { name, per_edge }) = unit {
                let _ = write!(text, " unit={} per-edge={per_edge}", Quoted { text: name, unquoted: false });
            }
            text.push('\n');
        }
    }
    output::write(|out| out.write_all(text.as_bytes()))?;
    failure.map_or(Ok(()), Err)
}

/// The sets of all files there are.
fn read_all() -> Result<Sets, Failure> {
    let mut sets = Sets::new();
    for path in paths() {
        for (name, lines) in read(&path)?.into_iter().flatten() {
            sets.entry(name).or_insert(lines);
        }
    }
    Ok(sets)
}

/// Where a configuration may be, each with whether it is there; or what is wrong with it.
pub(crate) fn places() -> impl Iterator<Item = Result<String, Failure>> {
    paths().into_iter().map(|path| {
        let found = if read(&path)?.is_some() { "found" } else { "not there" };
        Ok(format!("\"{}\": {found}", path.display()))
    })
}

/// Where a configuration may be; the user's own first.
pub(crate) fn paths() -> Vec<PathBuf> {
    // A relative path in them is to be ignored, by the XDG base directory specification.
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

/// A larger file is no configuration.
const MOST_BYTES: u64 = 1 << 20;

/// The sets of a file; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Sets>, Failure> {
    match text::read(path, MOST_BYTES) {
        Ok(text) => parse(&text).map(Some).map_err(|wrong| Failure::new(format!("\"{}\":{wrong}", path.display()))),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Failure::new(format!("cannot read \"{}\": {error}", path.display()))),
    }
}

/// What is wrong is said as `line:column: what`.
fn parse(text: &str) -> Result<Sets, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(text, at, error.message().lines().next().unwrap_or_default())
    })?;
    let mut sets = Sets::new();
    for (name, Set { lines }) in file.set {
        if lines.get_ref().is_empty() {
            return Err(wrong(text, lines.span().start, &format!("the set \"{name}\" has no line; name one")));
        }
        let mut members: Vec<Member> = Vec::new();
        for entry in lines.into_inner() {
            let at = entry.span().start;
            let member = member(entry.into_inner()).map_err(|what| wrong(text, at, &what))?;
            if members.iter().any(|before| before.id == member.id) {
                let what = format!("the line \"{}\" is twice in the set \"{name}\"; remove one", member.id);
                return Err(wrong(text, at, &what));
            }
            members.push(member);
        }
        sets.insert(name, members);
    }
    Ok(sets)
}

fn member(entry: Entry) -> Result<Member, String> {
    let Entry(Line { line: id, label, unit, per_edge }) = entry;
    if id.is_empty() || id.starts_with('@') {
        return Err(format!("\"{id}\" is no line; it is one by name, or CHIP:LINE"));
    }
    let unit = match (unit, per_edge) {
        (Some(name), per_edge) => Some(Unit { name, per_edge: per_edge.unwrap_or(1.0) }),
        (None, Some(_)) => {
            return Err(format!("the line \"{id}\" has per_edge and no unit; say of what, as unit = \"L\""));
        }
        (None, None) => None,
    };
    if unit.as_ref().is_some_and(|unit| !unit.per_edge.is_finite()) {
        return Err(format!("per_edge of the line \"{id}\" is not finite; say how much an edge is, as 0.5"));
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
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("[set.a]\nlines = []", "2:9: the set \"a\" has no line"),
            ("[set.a]\nlines = [\n  'x',\n  'x']", "4:3: the line \"x\" is twice"),
            ("[set.a]\nlines = ['@b']", "2:10: \"@b\" is no line"),
            ("[set.a]\nlines = ['']", "2:10: \"\" is no line"),
            ("[set.a]\nlines = [{ line = 'x', per_edge = 2.0 }]", "2:10: the line \"x\" has per_edge and no unit"),
            ("[set.a]\nlines = [{ line = 'x', unit = 'L', per_edge = nan }]", "2:10: per_edge of the line \"x\""),
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
