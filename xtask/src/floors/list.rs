//! The lists of floors in ARCHITECTURE.md, and what breaks them.

use std::collections::BTreeSet;

use super::arrows::Arrows;

/// The floors of one folder of sources, and the arrows that break their order and are known.
#[derive(Default)]
pub(super) struct List {
    /// The highest comes first: its name, and its files and folders.
    floors: Vec<(String, Vec<String>)>,
    exceptions: Vec<(String, String)>,
}

impl List {
    /// The lists for a folder: blocks that begin with "```floors FOLDER" and "```exceptions FOLDER".
    pub(super) fn read(text: &str, folder: &str) -> Self {
        let mut list = Self::default();
        for line in block(text, "floors", folder) {
            let (name, entries) = line.split_once(':').unwrap_or_else(|| panic!("a floor has no colon: {line}"));
            list.floors.push((name.to_owned(), entries.split_whitespace().map(str::to_owned).collect()));
        }
        for line in block(text, "exceptions", folder) {
            let (from, to) = line.split_once(" -> ").unwrap_or_else(|| panic!("an exception has no arrow: {line}"));
            list.exceptions.push((from.trim().to_owned(), to.trim().to_owned()));
        }
        list
    }

    /// Says what is wrong with a package whose sources lie in this folder.
    pub(super) fn complaints(&self, folder: &str, arrows: &mut Arrows) -> Vec<String> {
        let mut complaints = Vec::new();
        let name = |file: usize| {
            arrows.files[file].strip_prefix(folder).unwrap_or(&arrows.files[file]).trim_start_matches('/')
        };
        let floors: Vec<_> = (0..arrows.files.len()).map(|file| self.floor(name(file))).collect();
        let mut used = BTreeSet::new();
        for (file, floor) in floors.iter().enumerate() {
            match floor {
                Some((_, entry)) => used.extend([entry.as_str()]),
                None if self.floors.is_empty() => {}
                None => complaints.push(format!("{} is on no floor", arrows.files[file])),
            }
        }
        let listed = self.floors.iter().flat_map(|(_, entries)| entries);
        for entry in listed.filter(|entry| !used.contains(entry.as_str())) {
            complaints.push(format!("{folder}: nothing is `{entry}`, and it is on the list"));
        }
        let points_up = |&(from, to): &(usize, usize)| match (&floors[from], &floors[to]) {
            (Some((from, _)), Some((to, _))) => to < from,
            _ => false,
        };
        let is_excepted = |&(from, to): &(usize, usize)| {
            self.exceptions.iter().position(|(known, above)| known == name(from) && above == name(to))
        };
        let circles: BTreeSet<_> = arrows.circles().into_iter().flatten().collect();
        let wrong: Vec<_> =
            arrows.all.keys().filter(|arrow| points_up(arrow) || circles.contains(arrow)).copied().collect();
        let excepted: BTreeSet<_> = wrong.iter().filter_map(is_excepted).collect();
        for (at, (from, to)) in self.exceptions.iter().enumerate() {
            if !excepted.contains(&at) {
                complaints.push(format!("{folder}: the exception `{from} -> {to}` is needed no more"));
            }
        }
        for &(from, to) in wrong.iter().filter(|arrow| points_up(arrow) && is_excepted(arrow).is_none()) {
            let floor = |file: usize| floors[file].as_ref().map_or("", |(floor, _)| &self.floors[*floor].0);
            let shown = arrows.shown((from, to));
            complaints.push(format!("{shown}: an arrow up, from `{}` to `{}`", floor(from), floor(to)));
        }
        // What was told is no part of a circle that is told.
        let told: Vec<_> =
            wrong.iter().filter(|arrow| points_up(arrow) || is_excepted(arrow).is_some()).copied().collect();
        arrows.all.retain(|arrow, _| !told.contains(arrow));
        for circle in arrows.circles() {
            let shown: Vec<_> = circle.into_iter().map(|arrow| arrows.shown(arrow)).collect();
            complaints.push(format!("files in a circle:\n  {}", shown.join("\n  ")));
        }
        complaints
    }

    /// The floor of a file, and the entry that says so: the longest that fits. `a` is `a.rs` and the folder `a/`.
    fn floor(&self, file: &str) -> Option<(usize, String)> {
        let fits = |entry: &str| {
            let rest = file.strip_prefix(entry);
            rest.is_some_and(|rest| rest.is_empty() || entry.ends_with('/') || rest == ".rs" || rest.starts_with('/'))
        };
        let entries = self
            .floors
            .iter()
            .enumerate()
            .flat_map(|(floor, (_, entries))| entries.iter().map(move |entry| (floor, entry.clone())));
        entries.filter(|(_, entry)| fits(entry)).max_by_key(|(_, entry)| entry.len())
    }
}

/// The lines of a block of this kind, without those that are empty.
fn block<'a>(text: &'a str, kind: &str, folder: &str) -> impl Iterator<Item = &'a str> {
    let first = format!("```{kind} {folder}");
    let lines = text.lines().skip_while(move |line| *line != first).skip(1);
    lines.take_while(|line| !line.starts_with("```")).map(str::trim).filter(|line| !line.is_empty())
}
