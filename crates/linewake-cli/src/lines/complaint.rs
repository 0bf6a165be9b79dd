//! The messages about lines that were not found, or found twice.

use std::collections::HashMap;

use linewake::Chip;

use super::chip_operand::{is_chip, is_chip_number, offset_in, told_as_chip, with_chip};
use super::search::{LinePlace, Search};
use crate::exit::{self, Failure};

impl Search<'_> {
    /// Describes the first operand that was not found, or that was found before.
    pub(super) fn complaint(&self, ids: &[String]) -> Option<Failure> {
        let mut taken: HashMap<LinePlace, &str> = HashMap::new();
        for (found, id) in self.found.iter().zip(ids) {
            let Some(found) = found else { return Some(Failure::new(self.not_found(id, ids))) };
            if let Some(before) = taken.insert(*found, id) {
                let chip = &self.opened[found.0].1;
                let same = format!("lines \"{before}\" and \"{id}\" are the same line of chip \"{chip}\"");
                return Some(Failure::new(same));
            }
        }
        None
    }

    /// The message for a first operand that is a chip.
    fn meant_a_chip(&self, id: &str, ids: &[String]) -> Option<String> {
        let is_label = |(_, chip): &(String, Chip)| *chip.info().label == *id;
        match () {
            () if self.scope.has_chip() || ids.first().is_none_or(|first| first != id) => None,
            () if is_chip(id) => Some(told_as_chip(id, id, &ids[1..])),
            () if self.opened.iter().any(is_label) => Some(told_as_chip(id, &format!("label:{id}"), &ids[1..])),
            () => None,
        }
    }

    /// Prints a note if the first operand is the name of a chip and also of a line: the line is taken.
    pub(super) fn note_chip(&self, ids: &[String]) {
        let first = self.found.first().copied().flatten().zip(ids.first());
        if let Some(((at, offset), id)) = first.filter(|(_, id)| !self.scope.has_chip() && is_chip(id)) {
            let place = format!("{}:{offset}", self.opened[at].1);
            exit::say(&format!("\"{id}\" is taken as the name of line \"{place}\"; for the chip write \"-c {id}\"\n"));
        }
    }

    /// The message for an operand that names no line.
    fn not_found(&self, id: &str, ids: &[String]) -> String {
        let scope = self.scope;
        let is_number = offset_in(id).is_some();
        if let Some(message) = self.meant_a_chip(id, ids) {
            return message;
        }
        match (scope.chip.as_slice(), self.opened.first()) {
            ([_], Some((_, chip))) if !scope.by_name || !is_number => {
                chip.find(id).err().map_or_else(|| format!("cannot find line \"{id}\""), |error| error.to_string())
            }
            ([], _) if is_number => {
                let chip = match ids {
                    [first, others @ ..] if first == id && !others.is_empty() && is_chip_number(id) => {
                        format!("; if {id} is the chip: {}", with_chip(id, others))
                    }
                    _ => String::new(),
                };
                let one = format!("a number is an offset on one chip; write \"-c CHIP {id}\" or \"CHIP:{id}\"");
                format!("cannot find line \"{id}\": {one}{chip}")
            }
            ([], _) => {
                let looked = match linewake::chips().as_slice() {
                    [] => "this computer has no chip; name one with --chip: \"sim\" is everywhere".to_owned(),
                    chips => format!("it is not on \"{}\"; \"linewake info\" lists all lines", chips.join("\", \"")),
                };
                format!("cannot find line \"{id}\": {looked}")
            }
            (chips, _) => {
                let remedy = if is_number && !scope.by_name {
                    format!("with several chips, write CHIP:{id}")
                } else {
                    "\"linewake info\" lists the lines".to_owned()
                };
                format!("cannot find line \"{id}\" on \"{}\"; {remedy}", chips.join("\", \""))
            }
        }
    }
}
