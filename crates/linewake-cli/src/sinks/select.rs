//! The lines that are watched, in the order of the command line.

use std::collections::HashMap;
use std::sync::Arc;

use linewake::{Chip, Monitor, Offset};

use crate::config::Unit;
use crate::lines::FoundLines;

/// A line that is watched or played, as sinks know it.
#[derive(Clone, Debug)]
pub(crate) struct OutputLine {
    /// Its request, a place in [`Selection::requests`].
    pub(crate) request: usize,
    /// The name of its chip.
    pub(crate) chip: Arc<str>,
    /// Its offset on the chip.
    pub(crate) offset: u32,
    /// Its name, if it has one.
    pub(crate) name: Option<Arc<str>>,
    /// The user's word for it.
    pub(crate) said: String,
    /// Its label in the configuration.
    pub(crate) label: Option<Arc<str>>,
    /// Another watched line has the same label or name.
    pub(crate) shares_name: bool,
    /// The unit that its edges count, if the configuration has one.
    pub(crate) unit: Option<Unit>,
}

/// The chosen lines, and their chips.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// One request for each chip.
    pub(crate) requests: Vec<(Chip, Vec<Offset>)>,
    /// All lines, in the order of the command line.
    pub(crate) lines: Vec<OutputLine>,
}

impl OutputLine {
    /// Its label, or its name.
    pub(crate) fn shown(&self) -> Option<&str> {
        self.label.as_deref().or(self.name.as_deref())
    }
}

/// Marks lines that have the same label or name.
fn find_shared_names(lines: &mut [OutputLine]) {
    let mut counts = HashMap::new();
    for name in lines.iter().filter_map(OutputLine::shown) {
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    for line in lines {
        line.shares_name = line.shown().and_then(|name| counts.get(name)).is_some_and(|&count| count > 1);
    }
}

/// The places of the lines of each request.
pub(crate) fn by_request(lines: &[OutputLine]) -> Vec<Vec<usize>> {
    let mut requests = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if requests.len() <= line.request {
            requests.resize_with(line.request + 1, Vec::new);
        }
        requests[line.request].push(at);
    }
    requests
}

impl Selection {
    /// Selects lines that were found.
    pub(crate) fn new(found: &FoundLines) -> Self {
        let requests = found
            .by_chip()
            .map(|(chip, lines)| (chip.clone(), lines.into_iter().map(|(_, line)| line.offset).collect()));
        let lines = found.lines.iter().map(|line| OutputLine {
            request: line.chip,
            chip: found.chips[line.chip].info().name.clone(),
            offset: line.offset.get(),
            name: line.name.clone(),
            said: line.id.clone(),
            label: line.label.clone(),
            shares_name: false,
            unit: line.unit.clone(),
        });
        Self { requests: requests.collect(), lines: lines.collect() }
    }

    /// Takes the names of chips from the monitor, as its events have them, and marks lines of the same name.
    pub(crate) fn call_chips(&mut self, monitor: &Monitor) {
        for line in &mut self.lines {
            if let Some(name) = monitor.chip_name(line.request) {
                line.chip = name.clone();
            }
        }
        find_shared_names(&mut self.lines);
    }

    /// An index of the lines by request and offset.
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
    /// The place of a line; `None` if it was not chosen.
    pub(crate) fn get(&self, request: usize, offset: Offset) -> Option<usize> {
        self.0.get(request)?.get(offset.get() as usize).copied().filter(|&at| at != usize::MAX)
    }
}
