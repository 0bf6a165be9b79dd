//! The search for lines on one chip after the other.

use std::collections::HashMap;
use std::sync::Arc;

use linewake::{Chip, ChipOptions, Offset};
use overlapped::ErrorKind;

use super::chip_operand::{is_kind, offset_in, told_as_chip};
use super::found::{FoundLine, FoundLines};
use super::scope::{Scope, real, say_notes};
use crate::config::Member;
use crate::exit::Failure;

/// A line: the index of its chip among the open ones, and its offset.
pub(super) type LinePlace = (usize, Offset);

pub(super) struct Search<'a> {
    pub(super) scope: &'a Scope,
    /// Each with the spec that opened it.
    pub(super) opened: Vec<(String, Chip)>,
    /// The first line that each operand names.
    pub(super) found: Vec<Option<LinePlace>>,
    /// All lines that the operands name. Without --strict that is one for each.
    pub(super) matches: Vec<LinePlace>,
}

impl<'a> Search<'a> {
    pub(super) fn new(scope: &'a Scope, operands: usize) -> Self {
        Self { scope, opened: Vec::new(), found: vec![None; operands], matches: Vec::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.found.iter().all(Option::is_some)
    }

    /// Opens a chip and gives its index. A chip that was not named is left out if this user may not open it.
    pub(super) fn open(&mut self, spec: &str, is_named: bool, options: &ChipOptions) -> Result<Option<usize>, Failure> {
        if let Some(at) = self.opened.iter().position(|(before, _)| before == spec) {
            return Ok(Some(at));
        }
        let chip = match options.open(&real(spec)) {
            Ok(chip) => chip,
            Err(error) if !is_named && is_denied(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // One chip may have several names.
        let path = &chip.info().path;
        if path.is_some()
            && let Some(at) = self.opened.iter().position(|(_, before)| before.info().path == *path)
        {
            return Ok(Some(at));
        }
        say_notes(&chip);
        self.opened.push((spec.to_owned(), chip));
        Ok(Some(self.opened.len() - 1))
    }

    /// Looks for the lines on one chip. A number is an offset only if the user named exactly one chip.
    pub(super) fn look(&mut self, at: usize, ids: &[String]) {
        let chip = &self.opened[at].1;
        let are_offsets = self.scope.chip.len() == 1 && !self.scope.by_name;
        for (found, id) in self.found.iter_mut().zip(ids) {
            let by_offset = offset_in(id).filter(|offset| are_offsets && *offset < chip.info().lines);
            let places = by_offset.map(Offset::from).into_iter().chain(chip.named(id).iter().copied());
            for place in places.map(|offset| (at, offset)) {
                if found.is_none() || self.scope.strict {
                    self.matches.push(place);
                }
                found.get_or_insert(place);
            }
        }
    }

    /// Describes the first operand that names several lines.
    pub(super) fn ambiguous(&self, ids: &[String]) -> Option<Failure> {
        let (found, id) = self.found.iter().zip(ids).find_map(|(found, id)| {
            let first = (*found)?;
            let is_other = |place: &&LinePlace| **place != first && self.name(**place).as_deref() == Some(id);
            self.matches.iter().find(is_other).map(|&other| ([first, other], id))
        })?;
        let [one, other] = found.map(|(at, offset)| format!("\"{}:{offset}\"", self.opened[at].1));
        let message = format!("line \"{id}\" is not unique; write {one} or {other}");
        Some(Failure::new(message))
    }

    pub(super) fn name(&self, (at, offset): LinePlace) -> Option<Arc<str>> {
        self.opened[at].1.name(offset)
    }

    /// Finds operands of the form CHIP:LINE. A line whose name looks like that was found before.
    pub(super) fn with_chips(&mut self, ids: &[String], options: &ChipOptions) -> Result<(), Failure> {
        for (place, id) in ids.iter().enumerate() {
            let parts = id.rsplit_once(':').filter(|(spec, _)| !spec.is_empty() && self.found[place].is_none());
            let Some((spec, line)) = parts else { continue };
            if is_kind(spec) || (spec == "sim" && line.contains('.')) {
                return Err(Failure::new(told_as_chip(id, id, &ids[place + 1..])));
            }
            if let Some(at) = self.open(spec, true, options)? {
                let found = (at, self.on_chip(at, line)?);
                self.found[place] = Some(found);
                self.matches.push(found);
            }
        }
        Ok(())
    }

    /// Finds a line on one chip.
    fn on_chip(&self, at: usize, line: &str) -> Result<Offset, Failure> {
        let scope = self.scope;
        let chip = &self.opened[at].1;
        let named = chip.named(line);
        if scope.by_name || (scope.strict && named.len() > 1) {
            return match named {
                [only] => Ok(*only),
                [first, _, ..] if !scope.strict => Ok(*first),
                [] => Err(Failure::new(format!("cannot find line \"{line}\" on chip \"{chip}\" by name"))),
                _ => Err(Failure::new(format!("line \"{line}\" of chip \"{chip}\" is not unique; give its offset"))),
            };
        }
        Ok(chip.find(line)?)
    }

    /// Gives the lines, and the chips that have some of them.
    pub(super) fn finish(self, members: &[(usize, Member)]) -> FoundLines {
        let mut places = HashMap::new();
        let mut chips = Vec::new();
        for (at, (_, chip)) in self.opened.iter().enumerate() {
            if self.found.iter().flatten().any(|found| found.0 == at) {
                places.insert(at, chips.len());
                chips.push(chip.clone());
            }
        }
        let lines = self.found.iter().flatten().zip(members).map(|(&(at, offset), (operand, member))| FoundLine {
            id: member.id.clone(),
            operand: *operand,
            label: member.label.as_deref().map(Arc::from),
            unit: member.unit.clone(),
            chip: places[&at],
            offset,
            name: self.name((at, offset)),
        });
        let lines = lines.collect();
        FoundLines { chips, lines }
    }
}

fn is_denied(error: &linewake::Error) -> bool {
    error.device().is_some_and(|error| error.kind() == ErrorKind::AccessDenied)
}
