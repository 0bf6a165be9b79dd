//! Reads mutations, and applies them to files.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::{fs, io};

use crate::workspace;

/// A small breakage of the code.
#[derive(Debug, PartialEq)]
pub(super) struct Mutation {
    pub(super) name: String,
    /// The decisions and pitfalls of `docs/guards.md` that it attacks.
    pub(super) attacks: String,
    pub(super) why: String,
    pub(super) test: Test,
    /// Whether the test may also hang.
    pub(super) may_hang: bool,
    hunks: Vec<Hunk>,
}

/// Whole lines of a file, and the lines that replace them.
#[derive(Debug, Default, PartialEq)]
struct Hunk {
    file: String,
    old: String,
    new: String,
}

/// The test that must fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    pub(super) place: Place,
    pub(super) name: String,
}

/// One test binary, and how it is run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) how: How,
    pub(super) package: String,
    /// `lib`, `doc`, `bin=NAME`, or the name of an integration test.
    pub(super) target: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    Native,
    Loom,
    Miri,
    Wine,
    /// Under Wine, with linewake.sys built from the same tree.
    Driver,
}

impl How {
    const ALL: [(&'static str, Self); 5] = [
        ("native", Self::Native),
        ("loom", Self::Loom),
        ("miri", Self::Miri),
        ("wine", Self::Wine),
        ("driver", Self::Driver),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|how| how.1 == self).map_or("", |how| how.0)
    }
}

/// Why a mutation did not pass.
#[derive(Clone, Debug)]
pub(super) struct Complaint {
    pub(super) reason: String,
    /// The text below the mutation's line.
    pub(super) detail: String,
}

impl<E: Into<Box<dyn Error>>> From<E> for Complaint {
    fn from(error: E) -> Self {
        Self { reason: error.into().to_string(), detail: String::new() }
    }
}

pub(super) fn complaint<T>(reason: impl Into<String>, detail: String) -> Result<T, Complaint> {
    Err(Complaint { reason: reason.into(), detail })
}

impl Mutation {
    /// The texts of the files that it changes, after the change. The lines that a hunk replaces must be there exactly
    /// once.
    pub(super) fn applied_to(
        &self,
        read: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<BTreeMap<String, String>, Complaint> {
        let mut changed = BTreeMap::new();
        for hunk in &self.hunks {
            let text = match changed.get(&hunk.file) {
                Some(text) => String::clone(text),
                None => read(&hunk.file).map_err(|error| format!("stale: \"{}\": {error}", hunk.file))?,
            };
            // Whole lines only.
            let is_line = |at: usize| at == 0 || text[..at].ends_with('\n');
            let places: Vec<_> = text.match_indices(&hunk.old).map(|(at, _)| at).filter(|&at| is_line(at)).collect();
            let &[at] = &places[..] else {
                let reason = format!("stale: its lines are {} times in \"{}\"; expected once", places.len(), hunk.file);
                return complaint(reason, hunk.old.clone());
            };
            let text = [&text[..at], &hunk.new, &text[at + hunk.old.len()..]].concat();
            changed.insert(hunk.file.clone(), text);
        }
        Ok(changed)
    }
}

/// All mutations, in the order of their files.
pub(super) fn all() -> Result<Vec<Mutation>, Box<dyn Error>> {
    let directory = workspace::root().join("xtask/mutations");
    let mut files = fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut mutations = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        mutations.extend(parse(&text).map_err(|error| format!("{}: {error}", workspace::shown(&file)))?);
    }
    let mut names = BTreeSet::new();
    match mutations.iter().find(|mutation| !names.insert(&mutation.name)) {
        Some(twice) => Err(format!("two mutations are named \"{}\"", twice.name).into()),
        None => Ok(mutations),
    }
}

/// Reads mutations. Each is a head and one hunk or more:
///
/// ```text
/// === drop-does-not-cancel
/// attacks: D5, 12
/// why: a dropped call asks the driver to cancel it
/// falls: native overlapped calls dropping_a_pending_call_frees_it_once
/// --- crates/overlapped/src/call.rs
///          if !slot.machine.is_complete() {
/// -            self.device.cancel(self.operation);
///          }
/// ```
///
/// `falls` names how the test is run, the package, the test binary (`lib`, `doc`, `bin=NAME` or an integration test)
/// and the test. If the test may also hang, the key is `hangs`. In a hunk, a line begins with a blank, `-` or `+`, as
/// in a diff. The lines with a blank or `-` must be in the file once. Empty lines, and lines that begin with `#`, are
/// skipped.
fn parse(text: &str) -> Result<Vec<Mutation>, String> {
    let mut mutations: Vec<Mutation> = Vec::new();
    let blank = |name: &str| Mutation {
        name: name.to_owned(),
        attacks: String::new(),
        why: String::new(),
        test: Test {
            place: Place { how: How::Native, package: String::new(), target: String::new() },
            name: String::new(),
        },
        may_hang: false,
        hunks: Vec::new(),
    };
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |what: &str| format!("line {number}: {what}, found {line:?}");
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("=== ") {
            mutations.push(blank(name));
            continue;
        }
        let mutation = mutations.last_mut().ok_or_else(|| wrong("expected `=== NAME`"))?;
        if let Some(file) = line.strip_prefix("--- ") {
            mutation.hunks.push(Hunk { file: file.to_owned(), ..Hunk::default() });
            continue;
        }
        if let Some(hunk) = mutation.hunks.last_mut() {
            hunk.add(line).ok_or_else(|| wrong("expected a blank, `-` or `+` at the beginning"))?;
            continue;
        }
        match line.split_once(": ").ok_or_else(|| wrong("expected `KEY: VALUE`"))? {
            ("attacks", value) => value.clone_into(&mut mutation.attacks),
            ("why", value) => value.clone_into(&mut mutation.why),
            (key @ ("falls" | "hangs"), value) => {
                mutation.may_hang = key == "hangs";
                mutation.test = test(value).ok_or_else(|| wrong("expected `HOW PACKAGE TARGET NAME`"))?;
            }
            _ => return Err(wrong("expected the key `attacks`, `why`, `falls` or `hangs`")),
        }
    }
    for mutation in &mutations {
        let Mutation { name, attacks, why, test, hunks, .. } = mutation;
        if attacks.is_empty() || why.is_empty() || test.name.is_empty() || hunks.is_empty() {
            return Err(format!("the mutation \"{name}\" needs `attacks`, `why`, a test and a hunk"));
        }
    }
    Ok(mutations)
}

impl Hunk {
    /// Adds a line. `None` if it does not begin with a blank, `-` or `+`.
    fn add(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_at_checked(1)?;
        let (is_old, is_new) = match kind {
            " " => (true, true),
            "-" => (true, false),
            "+" => (false, true),
            _ => return None,
        };
        for (side, is_in) in [(&mut self.old, is_old), (&mut self.new, is_new)] {
            if is_in {
                side.push_str(rest);
                side.push('\n');
            }
        }
        Some(())
    }
}

fn test(text: &str) -> Option<Test> {
    let mut words = text.splitn(4, ' ');
    let how = words.next()?;
    let how = How::ALL.iter().find(|(name, _)| *name == how)?.1;
    let place = Place { how, package: words.next()?.to_owned(), target: words.next()?.to_owned() };
    Some(Test { place, name: words.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandLine;

    const ONE: &str = "
# a comment
=== no-answer
attacks: D2
why: nobody knows
hangs: wine overlapped windows it_answers
--- a.rs
 fn answer() {
-    42
+    0
 }
";

    fn applied(text: &'static str) -> Result<BTreeMap<String, String>, Complaint> {
        parse(ONE).unwrap()[0].applied_to(&|_| Ok(text.to_owned()))
    }

    #[test]
    fn a_mutation_is_a_head_and_hunks() {
        let mutation = &parse(ONE).unwrap()[0];
        assert_eq!((&*mutation.name, mutation.may_hang, mutation.test.place.how), ("no-answer", true, How::Wine));
        assert_eq!(mutation.hunks[0].old, "fn answer() {\n    42\n}\n");
        assert_eq!(mutation.hunks[0].new, "fn answer() {\n    0\n}\n");
        for broken in ["attacks: x", "=== a\nwhy: x", "=== a\nfalls: x y", "=== a\n--- f\n*x"] {
            assert!(parse(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_replaced_lines_are_there_once() {
        assert_eq!(applied("a\nfn answer() {\n    42\n}\nb\n").unwrap()["a.rs"], "a\nfn answer() {\n    0\n}\nb\n");
        for stale in ["", "fn answer() {\n    7\n}\n", "pub fn answer() {\n    42\n}\n"] {
            assert!(applied(stale).unwrap_err().reason.contains("its lines are 0 times"), "{stale:?}");
        }
        assert!(
            applied("fn answer() {\n    42\n}\nfn answer() {\n    42\n}\n").unwrap_err().reason.contains("2 times")
        );
    }

    #[test]
    fn no_mutation_is_stale() {
        let stale: Vec<_> = all()
            .unwrap()
            .iter()
            .filter_map(|mutation| {
                let applied = mutation.applied_to(&|file| fs::read_to_string(workspace::root().join(file)));
                applied.err().map(|complaint| format!("{}: {}", mutation.name, complaint.reason))
            })
            .collect();
        assert_eq!(stale, [""; 0], "mend them in xtask/mutations");
    }

    /// The texts between backticks in a cell.
    fn quoted(cell: &str) -> impl Iterator<Item = &str> {
        cell.split('`').skip(1).step_by(2)
    }

    #[test]
    fn the_list_of_guards_has_every_mutation_and_tests_that_are_there() {
        let guards = fs::read_to_string(workspace::root().join("docs/guards.md")).unwrap();
        let list = CommandLine::new("git ls-files --cached --others --exclude-standard crates xtask").read().unwrap();
        let sources = list.lines().filter(|file| file.ends_with(".rs"));
        let sources: String =
            sources.filter_map(|file| fs::read_to_string(workspace::root().join(file)).ok()).collect();
        let is_there = |test: &str| ["(", "<"].iter().any(|next| sources.contains(&format!("fn {test}{next}")));
        let mutations = all().unwrap();
        for Mutation { name, test, .. } in mutations.iter().filter(|mutation| mutation.test.place.target != "doc") {
            let function = test.name.rsplit("::").next().unwrap();
            assert!(is_there(function), "there is no test {function:?}, which is to find {name:?}");
        }
        let mut listed = BTreeSet::new();
        for row in guards.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<_> = row.trim_matches('|').split('|').collect();
            let [.., tests, proofs] = cells[..] else { panic!("{row}") };
            for test in quoted(tests).filter(|name| name.contains('_') && !name.contains(|c: char| c.is_uppercase())) {
                assert!(is_there(test), "there is no test {test:?}");
            }
            for proof in quoted(proofs) {
                assert!(mutations.iter().any(|mutation| mutation.name == proof), "there is no mutation {proof:?}");
                listed.insert(proof.to_owned());
            }
        }
        let missing: Vec<_> =
            mutations.iter().map(|mutation| &mutation.name).filter(|name| !listed.contains(*name)).collect();
        assert!(missing.is_empty(), "not in docs/guards.md: {missing:?}");
    }
}
