//! Lines that were found, and their chips.

use std::sync::Arc;

use linewake::{Chip, ChipInfo, Offset};

use crate::config::Unit;

/// Lines, and their chips.
#[derive(Debug)]
pub(crate) struct FoundLines {
    /// The chips that have some of the lines, in the order of the search.
    pub(crate) chips: Vec<Chip>,
    /// In the order of the operands.
    pub(crate) lines: Vec<FoundLine>,
}

#[derive(Clone, Debug)]
pub(crate) struct FoundLine {
    /// The operand, or its part for this line.
    pub(crate) id: String,
    /// The index of the operand that names it, alone or as one of a set.
    pub(crate) operand: usize,
    /// Its label in the configuration.
    pub(crate) label: Option<Arc<str>>,
    /// The unit that its edges count, if the configuration has one.
    pub(crate) unit: Option<Unit>,
    /// The index of its chip.
    pub(crate) chip: usize,
    pub(crate) offset: Offset,
    pub(crate) name: Option<Arc<str>>,
}

impl FoundLine {
    /// Its label, or else the operand.
    pub(crate) fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

impl FoundLines {
    /// Names for the chips, all different.
    pub(crate) fn chip_names(&self) -> Vec<Arc<str>> {
        ChipInfo::distinct_names(self.chips.iter().map(Chip::info))
    }

    /// The lines of each chip, with their indices among all.
    pub(crate) fn by_chip(&self) -> impl Iterator<Item = (&Chip, Vec<(usize, &FoundLine)>)> {
        self.chips.iter().enumerate().map(|(at, chip)| {
            (chip, self.lines.iter().enumerate().filter(|(_, line)| line.chip == at).collect::<Vec<_>>())
        })
    }

    /// The label of a line in the configuration.
    pub(crate) fn label(&self, chip: usize, offset: Offset) -> Option<&str> {
        self.lines.iter().find(|line| (line.chip, line.offset) == (chip, offset))?.label.as_deref()
    }
}
