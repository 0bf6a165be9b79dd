//! The lists of floors in ARCHITECTURE.md, and the complaints about arrows that break them.

use std::collections::BTreeSet;

use super::arrows::Arrows;

/// The floors of one folder of sources.
#[derive(Default)]
pub(super) struct List {
    /// The name of each floor, and its files and folders. The highest floor comes first.
    floors: Vec<(String, Vec<String>)>,
}

impl List {
    /// The list for a folder: a block that begins with "```floors FOLDER".
    pub(super) fn read(text: &str, folder: &str) -> Self {
        let mut list = Self::default();
        for line in block(text, folder) {
            let (name, entries) = line.split_once(':').unwrap_or_else(|| panic!("a floor has no colon: {line}"));
            list.floors.push((name.to_owned(), entries.split_whitespace().map(str::to_owned).collect()));
        }
        list
    }

    /// The complaints about a package whose sources are in this folder.
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
            complaints.push(format!("{folder}: the list has `{entry}`, which is no file or folder"));
        }
        let points_up = |&(from, to): &(usize, usize)| match (&floors[from], &floors[to]) {
            (Some((from, _)), Some((to, _))) => to < from,
            _ => false,
        };
        for &(from, to) in arrows.all.keys().filter(|arrow| points_up(arrow)) {
            let floor = |file: usize| floors[file].as_ref().map_or("", |(floor, _)| &self.floors[*floor].0);
            let shown = arrows.shown((from, to));
            complaints.push(format!("{shown}: an arrow up, from `{}` to `{}`", floor(from), floor(to)));
        }
        // An arrow that is reported already is not reported again as part of a circle.
        arrows.all.retain(|arrow, _| !points_up(arrow));
        for circle in arrows.circles() {
            let shown: Vec<_> = circle.into_iter().map(|arrow| arrows.shown(arrow)).collect();
            complaints.push(format!("files in a circle:\n  {}", shown.join("\n  ")));
        }
        complaints
    }

    /// The floor of a file, and the entry of the list that gives it: the longest one that fits. `a` means `a.rs` and
    /// the folder `a/`.
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

/// The lines of a folder's block that are not empty.
fn block<'a>(text: &'a str, folder: &str) -> impl Iterator<Item = &'a str> {
    let first = format!("```floors {folder}");
    let lines = text.lines().skip_while(move |line| *line != first).skip(1);
    lines.take_while(|line| !line.starts_with("```")).map(str::trim).filter(|line| !line.is_empty())
}
