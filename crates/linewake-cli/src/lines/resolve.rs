//! From operands to lines.

use linewake::{Chip, ChipOptions, Direction, Offset};

use super::found::FoundLines;
use super::scope::Scope;
use super::search::Search;
use crate::config::{self, Member};
use crate::exit::Failure;

/// The result of a search: the lines that it found, and its failures.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Every chip of the search, with its lines that were found.
    pub(crate) chips: Vec<(Chip, Vec<Offset>)>,
    /// The lines that were not found, and the chips that could not be opened.
    pub(crate) failures: Vec<Failure>,
}

impl Scope {
    /// Finds the lines that the operands name.
    pub(crate) fn resolve(&self, operands: &[String], options: &ChipOptions) -> Result<FoundLines, Failure> {
        let members = &config::expand(operands)?;
        let ids = &ids_of(members);
        let mut search = Search::new(self, ids.len());
        for spec in self.specs() {
            if !self.strict && search.is_done() {
                break;
            }
            let Some(at) = search.open(&spec, self.has_chip(), options)? else { continue };
            search.look(at, ids);
            if self.strict
                && let Some(failure) = search.ambiguous(ids)
            {
                return Err(failure);
            }
        }
        search.with_chips(ids, options)?;
        match search.complaint(ids) {
            Some(failure) => Err(failure),
            None => {
                search.note_chip(ids);
                Ok(search.finish(members))
            }
        }
    }

    /// Finds the lines that exist, and lists what failed. With `strict` it finds every line of a name.
    pub(crate) fn survey(&self, operands: &[String], options: &ChipOptions) -> Result<Survey, Failure> {
        let ids = &ids_of(&config::expand(operands)?);
        let mut search = Search::new(self, ids.len());
        let mut failures = Vec::new();
        for spec in self.specs() {
            if !ids.is_empty() && !self.strict && search.is_done() {
                break;
            }
            match search.open(&spec, true, options) {
                Ok(Some(at)) if ids.is_empty() => {
                    let lines = search.opened[at].1.info().lines;
                    search.matches.extend((0..lines).map(|offset| (at, offset.into())));
                }
                Ok(Some(at)) => search.look(at, ids),
                Ok(None) => {}
                Err(failure) if self.has_chip() => return Err(failure),
                Err(failure) => failures.push(failure),
            }
        }
        search.with_chips(ids, options)?;
        failures.extend(search.complaint(ids));
        let Search { opened, mut matches, .. } = search;
        matches.sort_unstable();
        matches.dedup();
        let of_chip = |at| matches.iter().filter(move |found| found.0 == at).map(|found| found.1).collect();
        let chips = opened.into_iter().enumerate().map(|(at, (_, chip))| (chip, of_chip(at))).collect();
        Ok(Survey { chips, failures })
    }

    /// Finds lines; without operands, takes all lines of the chips that the user named.
    pub(crate) fn resolve_or_all(
        &self,
        operands: &[String],
        all: All,
        options: &ChipOptions,
    ) -> Result<FoundLines, Failure> {
        if !operands.is_empty() || !self.has_chip() {
            if operands.is_empty() {
                let remedy = "name one, or a chip with --chip for all its lines";
                return Err(Failure::new(format!("missing a line; {remedy}")));
            }
            return self.resolve(operands, options);
        }
        let mut search = Search::new(self, 0);
        let mut members = Vec::new();
        for spec in &self.chip {
            let Some(at) = search.open(spec, true, options)? else { continue };
            let chip = &search.opened[at].1;
            for offset in all.of(chip)? {
                let id = chip.name(offset).map_or_else(|| offset.to_string(), |name| name.to_string());
                members.push((members.len(), Member::plain(&id)));
                search.found.push(Some((at, offset)));
            }
        }
        Ok(search.finish(&members))
    }
}

/// The lines that are meant when the user names a chip and no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum All {
    Lines,
    /// Not the outputs: the command makes its lines inputs, and an output drives something.
    Inputs,
}

impl All {
    fn of(self, chip: &Chip) -> Result<Vec<Offset>, Failure> {
        if self == Self::Lines {
            return Ok((0..chip.info().lines).map(Offset::from).collect());
        }
        let lines = chip.lines()?.into_iter();
        let inputs: Vec<_> = lines.filter(|line| line.direction == Direction::Input).map(|line| line.offset).collect();
        if inputs.is_empty() {
            return Err(Failure::new(format!("no line of chip \"{chip}\" is an input; name the lines")));
        }
        Ok(inputs)
    }
}

fn ids_of(members: &[(usize, Member)]) -> Vec<String> {
    members.iter().map(|(_, member)| member.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_output_is_not_made_an_input_unasked() {
        let chip = Chip::options().life(false).open("sim:4").unwrap();
        let _held = chip.set_values([(1, true), (3, false)]).unwrap();
        let offsets = |all: All| all.of(&chip).map(|lines| lines.iter().map(|line| line.get()).collect::<Vec<_>>());
        assert_eq!(offsets(All::Lines).unwrap(), [0, 1, 2, 3]);
        assert_eq!(offsets(All::Inputs).unwrap(), [0, 2]);
        let _others = chip.set_values([(0, true), (2, false)]).unwrap();
        assert!(offsets(All::Inputs).unwrap_err().to_string().contains("\"sim\" is an input; name"));
    }

    #[test]
    fn a_label_is_of_the_line_of_its_own_chip() {
        let scope = Scope { chip: vec!["sim".to_owned(), "sim:64".to_owned()], ..Scope::default() };
        let options = scope.consent.options();
        let ids = ["sim:64:4", "sim:4", "sim:5"].map(str::to_owned);
        let mut search = Search::new(&scope, ids.len());
        search.with_chips(&ids, &options).unwrap();
        let labels = [Some("Lamp"), Some("Other"), None].map(|label| label.map(str::to_owned));
        let members = ids.iter().zip(labels).map(|(id, label)| (0, Member { label, ..Member::plain(id) }));
        let lines = search.finish(&members.collect::<Vec<_>>());
        let label = |chip, offset: u32| lines.label(chip, offset.into());
        let [of_64, of_12] =
            [64, 12].map(|count| lines.chips.iter().position(|chip| chip.info().lines == count).unwrap());
        assert_eq!([label(of_64, 4), label(of_12, 4)], [Some("Lamp"), Some("Other")]);
        assert_eq!([label(of_12, 5), label(of_12, 6)], [None; 2]);
    }
}
