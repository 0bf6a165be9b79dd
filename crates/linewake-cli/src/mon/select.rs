//! Which lines are watched, in the order the user said.

use std::sync::Arc;

use linewake::{Chip, Offset};

use crate::exit::Failure;

/// A line that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// Whose request: see [`Selection::requests`].
    pub(crate) request: usize,
    /// Name of the chip.
    pub(crate) chip: Arc<str>,
    /// Which line.
    pub(crate) offset: u32,
    /// Its name, if it has one.
    pub(crate) name: Option<Arc<str>>,
    /// As the user said it.
    pub(crate) said: String,
    /// What its edges count, if the configuration says so.
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

/// Lines of chips.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// One for each chip.
    pub(crate) requests: Vec<(Chip, Vec<Offset>)>,
    /// All lines, in the order they were said.
    pub(crate) lines: Vec<Watched>,
}

impl Selection {
    /// One more line. Whether it is there twice is found when the request is made.
    fn add(&mut self, request: usize, offset: Offset, name: Option<Arc<str>>, said: &str) {
        let (chip, offsets) = &mut self.requests[request];
        offsets.push(offset);
        self.lines.push(Watched {
            request,
            chip: chip.info().name.clone(),
            offset: offset.get(),
            name,
            said: said.to_owned(),
            unit: None,
        });
    }

    /// From chips and lines as they are on the command line: a line is of the first chip that has it. Every line if none is
    /// said.
    pub(crate) fn of(chips: &[Chip], lines: &[String]) -> Result<Self, Failure> {
        let mut selection =
            Self { requests: chips.iter().map(|chip| (chip.clone(), Vec::new())).collect(), lines: Vec::new() };
        for said in lines {
            let found = chips.iter().map(|chip| chip.find(said)).enumerate();
            let (request, offset) = match found.clone().find_map(|(at, found)| Some((at, found.ok()?))) {
                Some(found) => found,
                None => {
                    let first = found.map(|(_, found)| found).next();
                    let nowhere =
                        || Failure::new(format!("cannot find line \"{said}\": there is no chip; name one with -c"));
                    return Err(first.and_then(Result::err).map_or_else(nowhere, Failure::from));
                }
            };
            if selection.lines.iter().any(|line| line.request == request && line.offset == offset.get()) {
                let before = selection.lines.iter().find(|line| line.request == request && line.offset == offset.get());
                let (before, chip) = (before.map_or("", |line| &line.said), &chips[request].info().name);
                let message =
                    format!("lines \"{before}\" and \"{said}\" are the same line of chip \"{chip}\"; name it once");
                return Err(Failure::new(message));
            }
            let name = chips[request].line_info(offset)?.name;
            selection.add(request, offset, name, said);
        }
        if lines.is_empty() {
            for (request, chip) in chips.iter().enumerate() {
                for line in chip.lines()? {
                    let said = line.name.as_deref().map_or_else(|| line.offset.to_string(), str::to_owned);
                    selection.add(request, line.offset, line.name, &said);
                }
            }
        }
        selection.requests_used();
        Ok(selection)
    }

    /// Leaves out chips of which no line is asked for.
    fn requests_used(&mut self) {
        let mut place = 0;
        let mut places = Vec::new();
        for (_, offsets) in &self.requests {
            places.push(place);
            place += usize::from(!offsets.is_empty());
        }
        self.requests.retain(|(_, offsets)| !offsets.is_empty());
        self.lines.iter_mut().for_each(|line| line.request = places[line.request]);
    }

    /// Where to find the lines again by request and offset.
    pub(crate) fn index(&self) -> Index {
        let mut index = vec![Vec::new(); self.requests.len()];
        for (at, line) in self.lines.iter().enumerate() {
            let of_request = &mut index[line.request];
            if of_request.len() <= line.offset as usize {
                of_request.resize(line.offset as usize + 1, usize::MAX);
            }
            of_request[line.offset as usize] = at;
        }
        Index(index)
    }
}

/// The place of each line in [`Selection::lines`].
#[derive(Debug)]
pub(crate) struct Index(Vec<Vec<usize>>);

impl Index {
    /// The place of a line; `None` for one that was not asked for.
    pub(crate) fn get(&self, request: usize, offset: Offset) -> Option<usize> {
        self.0.get(request)?.get(offset.get() as usize).copied().filter(|&at| at != usize::MAX)
    }
}
