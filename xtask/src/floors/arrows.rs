//! Arrows between files: the first uses a name that the second defines.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Form, Mention, Modules, Named, Words};

/// The files of a package, and the arrows between them.
pub(super) struct Arrows {
    pub(super) files: Vec<String>,
    /// For each pair of files (from, to): the lines where a name is used, and the name.
    pub(super) all: BTreeMap<(usize, usize), BTreeSet<(usize, String)>>,
}

impl Arrows {
    pub(super) fn of(modules: &Modules) -> Self {
        let names = Names { modules, followed: RefCell::default() };
        let mut all = BTreeMap::<_, BTreeSet<_>>::new();
        for mention in &modules.mentions {
            let from = modules.all[mention.module].file;
            for to in names.files(mention) {
                if to != from && !(mention.form == Form::ReExport && names.is_below(to, mention.module)) {
                    let name = mention.words.join("::");
                    all.entry((from, to)).or_default().insert((mention.line, name));
                }
            }
        }
        Self { files: modules.files.clone(), all }
    }

    /// Describes an arrow by the first line that makes it.
    pub(super) fn shown(&self, (from, to): (usize, usize)) -> String {
        let (line, name) = self.all[&(from, to)].first().expect("an arrow has a line");
        format!("{}:{line} uses `{name}` of {}", self.files[from], self.files[to])
    }

    /// Groups of files in which each reaches all others, and the arrows between them.
    pub(super) fn circles(&self) -> Vec<Vec<(usize, usize)>> {
        let reached: Vec<_> = (0..self.files.len()).map(|file| self.reached(file)).collect();
        let mut circles = Vec::new();
        for file in 0..self.files.len() {
            let group: BTreeSet<_> = reached[file].iter().copied().filter(|&to| reached[to].contains(&file)).collect();
            if group.first() == Some(&file) {
                let inside = |(from, to): &&(usize, usize)| group.contains(from) && group.contains(to);
                circles.push(self.all.keys().filter(inside).copied().collect());
            }
        }
        circles
    }

    /// The files that can be reached from this one by arrows.
    fn reached(&self, file: usize) -> BTreeSet<usize> {
        let (mut reached, mut left) = (BTreeSet::new(), vec![file]);
        while let Some(from) = left.pop() {
            for &(_, to) in self.all.range((from, 0)..(from + 1, 0)).map(|(arrow, _)| arrow) {
                if reached.insert(to) {
                    left.push(to);
                }
            }
        }
        reached
    }
}

/// A name's meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Module(usize),
    /// An item that this file defines.
    File(usize),
    /// An item of another crate, or an unknown name.
    Outside,
}

struct Names<'a> {
    modules: &'a Modules,
    /// The `use`s that are being followed, because a `use` may lead to itself.
    followed: RefCell<BTreeSet<(usize, usize)>>,
}

impl Names<'_> {
    /// The files that define the mentioned name. A module is no definition: the names taken from it are mentioned too.
    fn files(&self, mention: &Mention) -> BTreeSet<usize> {
        let mut places = self.find(mention.module, &mention.words);
        if places == [Place::Outside] && mention.form == Form::Macro {
            let known = self.modules.macros.iter().filter(|(name, _)| mention.words == [name.as_str()]);
            places.extend(known.map(|(_, file)| Place::File(*file)));
        }
        let file = |place| match place {
            Place::File(file) => Some(file),
            Place::Module(_) | Place::Outside => None,
        };
        places.into_iter().filter_map(file).collect()
    }

    fn find(&self, module: usize, words: &Words) -> Vec<Place> {
        let Some((first, rest)) = words.split_first() else { return Vec::new() };
        let mut places = match first.as_str() {
            "crate" => vec![Place::Module(self.root(module))],
            "self" => vec![Place::Module(module)],
            "super" => self.modules.all[module].parent.map(Place::Module).into_iter().collect(),
            name => match (self.look_up(module, name), &self.modules.library) {
                (places, _) if !places.is_empty() => places,
                (_, Some((library, root))) if library == name => vec![Place::Module(*root)],
                _ => vec![Place::Outside],
            },
        };
        for word in rest {
            let inside = |place: &Place| match *place {
                Place::Module(module) if word == "super" => self.modules.all[module].parent.map(Place::Module),
                _ => None,
            };
            let mut next: Vec<_> = places.iter().filter_map(inside).collect();
            for place in &places {
                if let Place::Module(module) = place {
                    next.extend(self.look_up(*module, word));
                }
            }
            if next.is_empty() {
                // A variant, an associated constant, or an item that a macro makes.
                next = places.iter().map(|&place| self.definition(place)).collect();
            }
            places = next;
        }
        places
    }

    fn look_up(&self, module: usize, name: &str) -> Vec<Place> {
        let here = &self.modules.all[module];
        let mut places = Vec::new();
        for (at, (_, named)) in here.names.iter().enumerate().filter(|(_, (known, _))| known == name) {
            match named {
                Named::Module(child) => places.push(Place::Module(*child)),
                Named::Item => places.push(Place::File(here.file)),
                Named::Use(words) => places.extend(self.follow(module, at, words)),
            }
        }
        if places.is_empty() {
            for (at, words) in here.globs.iter().enumerate() {
                let lists = self.follow(module, usize::MAX - at, words);
                for list in lists {
                    if let Place::Module(list) = list
                        && self.followed.borrow_mut().insert((list, usize::MAX / 2 - module))
                    {
                        places.extend(self.look_up(list, name));
                        self.followed.borrow_mut().remove(&(list, usize::MAX / 2 - module));
                    }
                }
            }
        }
        places
    }

    fn follow(&self, module: usize, at: usize, words: &Words) -> Vec<Place> {
        if !self.followed.borrow_mut().insert((module, at)) {
            return Vec::new();
        }
        let places = self.find(module, words);
        self.followed.borrow_mut().remove(&(module, at));
        places
    }

    fn definition(&self, place: Place) -> Place {
        match place {
            Place::Module(module) => Place::File(self.modules.all[module].file),
            place => place,
        }
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules.all[module].parent {
            module = parent;
        }
        module
    }

    /// Whether a file is that of a module under this one.
    fn is_below(&self, file: usize, module: usize) -> bool {
        let mut below = self.modules.all.iter().position(|known| known.file == file);
        while let Some(id) = below {
            if id == module {
                return true;
            }
            below = self.modules.all[id].parent;
        }
        false
    }
}
