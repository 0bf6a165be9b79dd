//! Which chips and which lines are meant: `-c`, `--by-name`, `--strict` and the operands, by the rules of libgpiod's tools;
//! and beyond them several chips, operands of the form CHIP:LINE, and sets of the configuration.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use linewake::{Chip, ChipInfo, ChipOptions, Direction, Offset};
use overlapped::ErrorKind as Device;

use crate::config::{self, Member, Unit};
use crate::exit::{self, Failure};
use crate::settings::BEYOND;

// No documentation comment: it would be taken for that of the command which has it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Scope {
    /// Look on this chip only: a number, name or path as in "0", "gpiochip0" and "/dev/gpiochip0", or "label:LABEL"; "sim"
    /// (simulated), "sim:64" (with 64 lines), "sim:FILE" (a script or a waveform); "serial:PORT"; "profile:FILE" (a vendor's
    /// driver); "exec:COMMAND" (what a program prints); or a device such as "\\.\LineWake0". May be given several times
    #[arg(short, long, value_name = "CHIP")]
    pub(crate) chip: Vec<String>,

    /// Take a number for a name, and not for an offset
    #[arg(long)]
    pub(crate) by_name: bool,

    /// Fail if a name is not unique, and do not take the first line that has it
    #[arg(short, long)]
    pub(crate) strict: bool,

    #[command(flatten)]
    pub(crate) consent: Consent,
}

// What a chip may be opened for.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Consent {
    /// Allow a profile what may change its device; see "linewake profile explain"
    #[arg(long, help_heading = BEYOND)]
    allow_writes: bool,
}

impl Consent {
    /// How chips are opened.
    pub(crate) fn options(&self) -> ChipOptions {
        Chip::options().allow_writes(self.allow_writes)
    }
}

/// Lines that were found, and their chips.
#[derive(Debug)]
pub(crate) struct FoundLines {
    /// The chips that have some of them, in the order they were looked at.
    pub(crate) chips: Vec<Chip>,
    /// In the order they were asked for.
    pub(crate) lines: Vec<FoundLine>,
}

/// A line that was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundLine {
    /// As the user calls it.
    pub(crate) id: String,
    /// The place of the operand that names it, alone or as one of a set.
    pub(crate) operand: usize,
    /// What the configuration calls it.
    pub(crate) label: Option<Arc<str>>,
    /// What its edges count, if the configuration says so.
    pub(crate) unit: Option<Unit>,
    /// Which of the chips.
    pub(crate) chip: usize,
    pub(crate) offset: Offset,
    pub(crate) name: Option<Arc<str>>,
}

/// What there is of what was asked for.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Every chip that was looked at, with those of its lines that were found.
    pub(crate) chips: Vec<(Chip, Vec<Offset>)>,
    /// What was not found, or not opened.
    pub(crate) failures: Vec<Failure>,
}

impl FoundLine {
    /// Its label, or as the user calls it.
    pub(crate) fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

impl FoundLines {
    /// What to call the chips: no two have one name.
    pub(crate) fn chip_names(&self) -> Vec<Arc<str>> {
        ChipInfo::distinct_names(self.chips.iter().map(Chip::info))
    }

    /// The lines of each chip, with their places among all.
    pub(crate) fn by_chip(&self) -> impl Iterator<Item = (&Chip, Vec<(usize, &FoundLine)>)> {
        self.chips.iter().enumerate().map(|(at, chip)| {
            (chip, self.lines.iter().enumerate().filter(|(_, line)| line.chip == at).collect::<Vec<_>>())
        })
    }

    /// What the configuration calls a line of one of the chips.
    pub(crate) fn label(&self, chip: usize, offset: Offset) -> Option<&str> {
        self.lines.iter().find(|line| (line.chip, line.offset) == (chip, offset))?.label.as_deref()
    }
}

impl Scope {
    /// Whether the user names the chip, so that numbers are offsets and lines are shown with their chip.
    pub(crate) fn has_chip(&self) -> bool {
        !self.chip.is_empty()
    }

    /// What opens each chip that is looked at.
    pub(crate) fn specs(&self) -> Vec<String> {
        if self.has_chip() { self.chip.clone() } else { linewake::chips() }
    }

    /// Opens a chip that the user named.
    pub(crate) fn open(spec: &str, options: &ChipOptions) -> Result<Chip, Failure> {
        let chip = options.open(&real(spec)).map_err(Failure::from)?;
        say_notes(&chip);
        Ok(chip)
    }

    /// Finds lines.
    pub(crate) fn resolve(&self, operands: &[String], options: &ChipOptions) -> Result<FoundLines, Failure> {
        let Operands { ids, members } = &Operands::new(operands)?;
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

    /// Finds what there is, and says what there is not: with `strict` every line of a name.
    pub(crate) fn survey(&self, operands: &[String], options: &ChipOptions) -> Result<Survey, Failure> {
        let ids = &Operands::new(operands)?.ids;
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

    /// Finds lines, or takes all of the chips that were named if none is.
    pub(crate) fn resolve_or_all(
        &self,
        operands: &[String],
        all: All,
        options: &ChipOptions,
    ) -> Result<FoundLines, Failure> {
        if !operands.is_empty() || !self.has_chip() {
            if operands.is_empty() {
                let none = "at least one GPIO line must be specified";
                return Err(Failure::new(format!("{none}; name one, or a chip with --chip for all of its lines")));
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

/// What is meant by no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum All {
    Lines,
    /// Lines are made inputs: one that is an output drives something, and stays what it is.
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
            return Err(Failure::new(format!("no line of chip \"{chip}\" is an input; name the lines that are meant")));
        }
        Ok(inputs)
    }
}

/// The lines that operands name.
struct Operands {
    ids: Vec<String>,
    /// Each with the place of its operand.
    members: Vec<(usize, Member)>,
}

impl Operands {
    fn new(operands: &[String]) -> Result<Self, Failure> {
        let members = config::expand(operands)?;
        Ok(Self { ids: members.iter().map(|(_, member)| member.id.clone()).collect(), members })
    }
}

/// A line: the place of its chip among those that are open, and its own on that.
type LinePlace = (usize, Offset);

struct Search<'a> {
    scope: &'a Scope,
    opened: Vec<(String, Chip)>,
    /// What each operand names; the first of several.
    found: Vec<Option<LinePlace>>,
    /// All that the operands name: more than one each only if it is to be strict.
    matches: Vec<LinePlace>,
}

impl<'a> Search<'a> {
    fn new(scope: &'a Scope, operands: usize) -> Self {
        Self { scope, opened: Vec::new(), found: vec![None; operands], matches: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.found.iter().all(Option::is_some)
    }

    /// A chip's place among those that are open. One that was not named, and that this user may not open, is left out.
    fn open(&mut self, spec: &str, is_named: bool, options: &ChipOptions) -> Result<Option<usize>, Failure> {
        if let Some(at) = self.opened.iter().position(|(before, _)| before == spec) {
            return Ok(Some(at));
        }
        let chip = match options.open(&real(spec)) {
            Ok(chip) => chip,
            Err(error) if !is_named && is_denied(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // By another of its names.
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

    /// Looks for the lines on one chip. A number is an offset only if no other chip can be meant.
    fn look(&mut self, at: usize, ids: &[String]) {
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

    /// Complains of the first operand that names several lines.
    fn ambiguous(&self, ids: &[String]) -> Option<Failure> {
        let (found, id) = self.found.iter().zip(ids).find_map(|(found, id)| {
            let first = (*found)?;
            let is_other = |place: &&LinePlace| **place != first && self.name(**place).as_deref() == Some(id);
            self.matches.iter().find(is_other).map(|&other| ([first, other], id))
        })?;
        let [one, other] = found.map(|(at, offset)| format!("\"{}:{offset}\"", self.opened[at].1));
        let message = format!("line \"{id}\" is not unique; name {one} or {other} by chip and offset");
        Some(Failure::new(message))
    }

    fn name(&self, (at, offset): LinePlace) -> Option<Arc<str>> {
        self.opened[at].1.name(offset)
    }

    /// Operands that name their chip themselves, as CHIP:LINE. What a line is called goes first.
    fn with_chips(&mut self, ids: &[String], options: &ChipOptions) -> Result<(), Failure> {
        for (place, id) in ids.iter().enumerate() {
            let parts = id.rsplit_once(':').filter(|(spec, _)| !spec.is_empty() && self.found[place].is_none());
            let Some((spec, line)) = parts else { continue };
            if KINDS.contains(&spec) || (spec == "sim" && line.contains('.')) {
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

    /// A line of one chip, which an operand names.
    fn on_chip(&self, at: usize, line: &str) -> Result<Offset, Failure> {
        let scope = self.scope;
        let chip = &self.opened[at].1;
        let named = chip.named(line);
        if scope.by_name || (scope.strict && named.len() > 1) {
            return match named {
                [only] => Ok(*only),
                [first, _, ..] if !scope.strict => Ok(*first),
                [] => Err(Failure::new(format!("cannot find line \"{line}\" on chip \"{chip}\" by name"))),
                _ => Err(Failure::new(format!(
                    "line \"{line}\" of chip \"{chip}\" is not unique; name it by its offset"
                ))),
            };
        }
        Ok(chip.find(line)?)
    }

    /// Complains of what was not found, and of what was found twice.
    fn complaint(&self, ids: &[String]) -> Option<Failure> {
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

    /// What to say of an operand that is a chip, as libgpiod's first tools took it before the lines.
    fn meant_a_chip(&self, id: &str, ids: &[String]) -> Option<String> {
        let is_label = |(_, chip): &(String, Chip)| *chip.info().label == *id;
        match () {
            () if self.scope.has_chip() || ids.first().is_none_or(|first| first != id) => None,
            () if is_chip(id) => Some(told_as_chip(id, id, &ids[1..])),
            () if self.opened.iter().any(is_label) => Some(told_as_chip(id, &format!("label:{id}"), &ids[1..])),
            () => None,
        }
    }

    /// Says it where the first operand is the name of a chip, and of a line that is taken for it.
    fn note_chip(&self, ids: &[String]) {
        let first = self.found.first().copied().flatten().zip(ids.first());
        if let Some(((at, offset), id)) = first.filter(|(_, id)| !self.scope.has_chip() && is_chip(id)) {
            let place = format!("{}:{offset}", self.opened[at].1);
            exit::say(&format!(
                "\"{id}\" is a line here, \"{place}\", which is called so; the chip would be \"-c {id}\"\n"
            ));
        }
    }

    /// The lines, and those chips that have some of them.
    fn finish(self, members: &[(usize, Member)]) -> FoundLines {
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

    /// What to say of a line that is not there, among all that were asked for.
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
                let one = format!("an offset is one of a chip; name it with --chip, or as CHIP:{id}");
                format!("cannot find line \"{id}\": {one}{chip}")
            }
            ([], _) => {
                let looked = match linewake::chips().as_slice() {
                    [] => "there is no chip to look on; name one with --chip: \"sim\" is everywhere".to_owned(),
                    chips => format!("it is not on \"{}\"; \"linewake info\" lists them all", chips.join("\", \"")),
                };
                format!("cannot find line \"{id}\": {looked}")
            }
            (chips, _) => {
                let remedy = if is_number && !scope.by_name {
                    format!("an offset is one of one chip; write CHIP:{id}")
                } else {
                    "\"linewake info\" lists their lines".to_owned()
                };
                format!("cannot find line \"{id}\" on \"{}\"; {remedy}", chips.join("\", \""))
            }
        }
    }
}

/// What a chip's spec begins with, before a colon and what is no line of it.
const KINDS: [&str; 4] = ["label", "serial", "profile", "exec"];

/// An offset in decimal digits.
fn offset_in(id: &str) -> Option<u32> {
    id.bytes().all(|byte| byte.is_ascii_digit()).then(|| id.parse().ok()).flatten()
}

/// Whether an operand is a chip.
pub(crate) fn is_chip(id: &str) -> bool {
    let name = id.strip_prefix("/dev/").unwrap_or(id);
    id == "sim" || linewake::chips().iter().any(|chip| chip == id || chip == name)
}

/// Whether an operand is the number of a chip that is there.
pub(crate) fn is_chip_number(id: &str) -> bool {
    offset_in(id).is_some_and(|number| linewake::chips().contains(&format!("gpiochip{number}")))
}

/// What to say of an operand that is a chip; `others` came behind it.
pub(crate) fn told_as_chip(id: &str, chip: &str, others: &[String]) -> String {
    format!("\"{id}\" is a chip, and no line: a chip goes behind -c, as in {}", with_chip(chip, others))
}

/// How a chip is said before lines.
fn with_chip(chip: &str, lines: &[String]) -> String {
    let words: Vec<_> = iter::once(chip).chain(lines.iter().map(String::as_str)).map(word).collect();
    format!("\"-c {}\"", words.join(" "))
}

/// A word as the shell takes it.
fn word(text: &str) -> String {
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.to_owned() }
}

fn is_denied(error: &linewake::Error) -> bool {
    error.device().is_some_and(|error| error.kind() == Device::AccessDenied)
}

/// What the library calls a chip: one of Linux may be named by a link in /dev, and by a path that leads there.
fn real(spec: &str) -> String {
    if cfg!(unix) && spec.contains('/') && !spec.starts_with("/dev/") {
        match std::fs::canonicalize(spec) {
            Ok(real) if real.starts_with("/dev") => real.display().to_string(),
            _ => spec.to_owned(),
        }
    } else if cfg!(unix) && std::path::Path::new("/dev").join(spec).is_symlink() {
        format!("/dev/{spec}")
    } else {
        spec.to_owned()
    }
}

/// Says what the user should know of a chip: what was left out of the waveform it plays, for example.
fn say_notes(chip: &Chip) {
    chip.notes().iter().for_each(|note| exit::say(&format!("{note}\n")));
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
