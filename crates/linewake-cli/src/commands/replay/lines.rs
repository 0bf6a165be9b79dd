//! The table of lines that are played.

use std::collections::HashMap;
use std::sync::Arc;

use linewake::record::NamedChip;
use linewake::{EdgeEvent, EdgeKind, Missed};
use linewake_capture::{Capture, CapturedChip, CapturedLine};

use crate::display::Printable;
use crate::exit::Failure;
use crate::sinks::select::OutputLine;

/// All lines that were found so far.
#[derive(Debug)]
pub(super) struct LineTable {
    /// The lines that the user named; every line is played if this is empty.
    wanted: Vec<LineQuery>,
    /// For each line of the capture: its place in `watched`, if it is played.
    places: Vec<Option<usize>>,
    /// For each chip of the capture: its place in the accounts, if a line of it is played.
    requests: Vec<Option<usize>>,
    pub(super) watched: Vec<OutputLine>,
    /// The place of the first line of each name.
    names: HashMap<Arc<str>, usize>,
    /// The last edge of each line that is played.
    pub(super) edges: Vec<EdgeEvent>,
    pub(super) chips: Vec<CapturedChip>,
}

#[derive(Debug)]
struct LineQuery {
    said: String,
    is_found: bool,
}

/// A change of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineChange {
    New,
    Renamed,
    Unwanted,
}

/// A message lists at most this many names.
const MOST_NAMED: usize = 12;

impl LineTable {
    pub(super) fn new(wanted: &[String]) -> Self {
        Self {
            wanted: wanted.iter().map(|said| LineQuery { said: said.clone(), is_found: false }).collect(),
            places: Vec::new(),
            requests: Vec::new(),
            watched: Vec::new(),
            names: HashMap::new(),
            edges: Vec::new(),
            chips: Vec::new(),
        }
    }

    /// The place of a line of the capture, if it is played.
    #[inline]
    pub(super) fn place(&self, line: usize) -> Option<usize> {
        *self.places.get(line)?
    }

    /// The place of a chip of the capture, if one of its lines is played.
    pub(super) fn request(&self, chip: usize) -> Option<usize> {
        *self.requests.get(chip)?
    }

    /// Adds a line of the capture, or renames it.
    pub(super) fn call(&mut self, capture: &Capture, line: usize) -> LineChange {
        let known = &capture.lines()[line];
        let chip = &capture.chips()[known.chip];
        if let Some(place) = self.place(line) {
            self.edges[place].name = known.name.clone();
            let before = std::mem::replace(&mut self.watched[place].name, known.name.clone());
            if let Some(before) = before.filter(|before| self.names.get(before) == Some(&place)) {
                self.names.remove(&before);
            }
            self.find_shared_name(place);
            return LineChange::Renamed;
        }
        let is_wanted = self.is_wanted(chip, known);
        if self.places.len() <= line {
            self.places.resize(line + 1, None);
        }
        if !is_wanted {
            return LineChange::Unwanted;
        }
        let request = self.add_chip(known.chip, chip);
        let place = self.watched.len();
        self.places[line] = Some(place);
        self.watched.push(OutputLine {
            request,
            chip: self.chips[request].name.clone(),
            offset: known.offset,
            name: known.name.clone(),
            said: known.name.as_deref().map_or_else(|| known.offset.to_string(), str::to_owned),
            label: None,
            shares_name: false,
            unit: None,
        });
        self.find_shared_name(place);
        self.edges.push(EdgeEvent {
            chip: self.chips[request].name.clone(),
            offset: known.offset.into(),
            name: known.name.clone(),
            kind: EdgeKind::Rising,
            timestamp_ns: 0,
            axis_ns: 0,
            seqno: 0,
            line_seqno: 0,
            missed: Missed::default(),
        });
        LineChange::New
    }

    /// Marks lines that have the same name as the line at this place.
    fn find_shared_name(&mut self, place: usize) {
        let Some(name) = self.watched[place].name.clone() else { return };
        let first = *self.names.entry(name).or_insert(place);
        if first != place {
            self.watched[first].shares_name = true;
            self.watched[place].shares_name = true;
        }
    }

    fn is_wanted(&mut self, chip: &CapturedChip, line: &CapturedLine) -> bool {
        let is_line = |said: &str| line.name.as_deref() == Some(said) || said == line.offset.to_string();
        let is_chip = |said: &str| said == &*chip.name || [&chip.id, &chip.plain_name].contains(&&Some(said.into()));
        let mut is_wanted = self.wanted.is_empty();
        for LineQuery { said, is_found } in &mut self.wanted {
            let is_it = is_line(said) || said.rsplit_once(':').is_some_and(|(of, said)| is_chip(of) && is_line(said));
            *is_found |= is_it;
            is_wanted |= is_it;
        }
        is_wanted
    }

    fn add_chip(&mut self, place: usize, chip: &CapturedChip) -> usize {
        if self.requests.len() <= place {
            self.requests.resize(place + 1, None);
        }
        *self.requests[place].get_or_insert_with(|| {
            self.chips.push(chip.clone());
            self.chips.len() - 1
        })
    }

    /// True if every requested line was found.
    pub(super) fn is_complete(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.is_found)
    }

    /// Fails if a requested line was not found.
    pub(super) fn missing(&self, name: &str, capture: &Capture) -> Result<(), Failure> {
        let Some(LineQuery { said, .. }) = self.wanted.iter().find(|wanted| !wanted.is_found) else { return Ok(()) };
        let lines = capture.lines();
        let shown = |line: &CapturedLine| match &line.name {
            Some(name) => format!("\"{}\"", Printable(name)),
            None => format!("\"{}:{}\"", Printable(&capture.chips()[line.chip].name), line.offset),
        };
        let some: Vec<_> = lines.iter().take(MOST_NAMED).map(shown).collect();
        let more = match lines.len() - some.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let said = Printable(said);
        Err(Failure::new(format!("\"{name}\" has no line \"{said}\"; it has {}{more}", some.join(", "))))
    }

    /// The chips for a record stream: those with a line that is played, or all chips if no lines were chosen.
    pub(super) fn named(&self, capture: &Capture) -> Vec<NamedChip<'static>> {
        let own = |text: &Arc<str>| text.to_string().into();
        let is_played = |place: &usize| self.wanted.is_empty() || self.request(*place).is_some();
        let chips = (0..capture.chips().len()).filter(is_played).map(|place| &capture.chips()[place]);
        let named = chips.map(|chip| NamedChip {
            chip: own(&chip.name),
            id: own(chip.id.as_ref().unwrap_or(&chip.name)),
            name: own(chip.plain_name.as_ref().unwrap_or(&chip.name)),
            label: chip.label.as_ref().map_or_else(|| "".into(), own),
        });
        named.collect()
    }
}
