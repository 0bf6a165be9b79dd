//! Finds lines on chips, by the rules of libgpiod's tools: by offset on the chip that was named, else by name on one
//! chip after the other until all are found.

use super::chip::{LineInfo, LineRequest, OpenChip, RequestConfig};
use super::chips::{self, Spec};
use super::{Context, Exit, number};

/// The most lines of one request of the kernel's: more are held by several.
const MOST: usize = 64;

/// Where the user looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) chip: Option<&'a [u8]>,
    pub(super) by_name: bool,
    pub(super) strict: bool,
}

/// A line that is looked for.
#[derive(Debug)]
pub(super) struct Operand<'a> {
    /// As the user calls it.
    pub(super) id: &'a [u8],
    /// If that is a number that may be an offset.
    pub(super) number: Option<u32>,
    /// Where it is: the place of its chip, and its offset on that.
    pub(super) place: Option<(usize, u32)>,
    /// Empty if it has none.
    pub(super) name: Vec<u8>,
}

/// A chip that has some of the lines.
#[derive(Debug)]
pub(super) struct NamedChip {
    pub(super) spec: Spec,
    pub(super) chip: OpenChip,
    pub(super) name: Vec<u8>,
}

/// Lines that were found.
#[derive(Debug)]
pub(super) struct FoundLines<'a> {
    pub(super) wanted: Vec<Operand<'a>>,
    pub(super) chips: Vec<NamedChip>,
}

/// Lines of one chip that are held together.
#[derive(Debug)]
pub(super) struct Group {
    /// The place of the chip.
    pub(super) chip: usize,
    /// The places of the lines among those wanted.
    pub(super) lines: Vec<usize>,
    pub(super) offsets: Vec<u32>,
}

/// What the user calls lines, before any chip is looked at.
pub(super) fn wanted<'a>(ids: &[&'a [u8]], scope: Scope<'_>) -> Vec<Operand<'a>> {
    let are_offsets = scope.chip.is_some() && !scope.by_name;
    let number = |id| if are_offsets { number::uint(id) } else { None };
    ids.iter().map(|&id| Operand { id, number: number(id), place: None, name: Vec::new() }).collect()
}

/// Finds those that are offsets on the chip that was named.
pub(super) fn by_offset(wanted: &mut [Operand<'_>], lines: u32) -> bool {
    let mut is_used = false;
    for line in wanted {
        if let Some(offset) = line.number.filter(|&offset| offset < lines) {
            line.place = Some((0, offset));
            is_used = true;
        }
    }
    is_used
}

/// Finds all lines, or ends the tool.
pub(super) fn resolve<'a>(context: &mut Context, ids: &[&'a [u8]], scope: Scope<'_>) -> Result<FoundLines<'a>, Exit> {
    let specs = match scope.chip {
        Some(id) => vec![chips::lookup_or_die(id)?],
        None => chips::all()?,
    };
    let mut lines = FoundLines { wanted: wanted(ids, scope), chips: Vec::new() };
    let mut found = 0;
    for spec in specs {
        if !scope.strict && found >= ids.len() {
            break;
        }
        let chip = match spec.open() {
            Ok(chip) => chip,
            Err((_, true)) if scope.chip.is_none() => continue,
            Err((error, _)) => return Err(Exit::of("unable to open chip '", spec.path(), &format!("': {error}"))),
        };
        let about = chip.about();
        let about = about.map_err(|error| Exit::of("unable to get info for '", spec.path(), &format!("': {error}")))?;
        let mut is_used = scope.chip.is_some() && by_offset(&mut lines.wanted, about.lines);
        for offset in 0..about.lines {
            if !scope.strict && found >= ids.len() {
                break;
            }
            let line = chip.line(offset).map_err(|error| {
                let what = format!("unable to read the info for line {offset} from ");
                Exit::of(&what, &about.name, &format!(": {error}"))
            })?;
            let new = lines.meet(line, scope.strict)?;
            found += new;
            is_used |= new > 0;
        }
        if is_used {
            lines.chips.push(NamedChip { spec, chip, name: about.name });
        }
    }
    lines.validate(context, scope)?;
    Ok(lines)
}

impl FoundLines<'_> {
    /// Looks whether a line of the chip at hand is wanted. Gives how often.
    fn meet(&mut self, line: LineInfo, strict: bool) -> Result<usize, Exit> {
        let place = (self.chips.len(), line.offset);
        let mut found = 0;
        for wanted in &mut self.wanted {
            if wanted.place == Some(place) {
                wanted.name.clone_from(&line.name);
                found += 1;
            }
            if wanted.place.is_some() && !strict {
                continue;
            }
            if !line.name.is_empty() && line.name == wanted.id {
                if wanted.place.is_some() {
                    return Err(Exit::of("line '", wanted.id, "' is not unique"));
                }
                wanted.place = Some(place);
                wanted.name.clone_from(&line.name);
                found += 1;
            }
        }
        Ok(found)
    }

    fn validate(&self, context: &mut Context, scope: Scope<'_>) -> Result<(), Exit> {
        validate(&self.wanted, context, scope)
    }

    /// The lines that are held together: of each chip in the order the user named them, and no more than a request has.
    pub(super) fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        for chip in 0..self.chips.len() {
            let of_chip = |(at, line): (usize, &Operand<'_>)| {
                line.place.filter(|place| place.0 == chip).map(|(_, offset)| (at, offset))
            };
            let lines: Vec<_> = self.wanted.iter().enumerate().filter_map(of_chip).collect();
            groups.extend(lines.chunks(MOST).map(|lines| Group {
                chip,
                lines: lines.iter().map(|line| line.0).collect(),
                offsets: lines.iter().map(|line| line.1).collect(),
            }));
        }
        groups
    }

    /// Takes the lines of a group. On failure gives what the system says.
    pub(super) fn hold(&self, group: &Group, config: &RequestConfig<'_>, bits: u64) -> Result<LineRequest, String> {
        self.chips[group.chip].chip.request(&group.offsets, config, bits)
    }

    /// What a line is called; nothing if it has no name.
    pub(super) fn name_of(&self, chip: usize, offset: u32) -> &[u8] {
        self.wanted.iter().find(|line| line.place == Some((chip, offset))).map_or(b"", |line| &line.name)
    }
}

/// Says of every line that was not found, and of every one that was found twice. Then the tool ends.
pub(super) fn validate(wanted: &[Operand<'_>], context: &mut Context, scope: Scope<'_>) -> Result<(), Exit> {
    let mut is_valid = true;
    for (at, line) in wanted.iter().enumerate() {
        let said = match line.place {
            Some(place) => match wanted[..at].iter().find(|before| before.place == Some(place)) {
                None => continue,
                Some(before) => [b"lines '", before.id, b"' and '", line.id, b"' are the same line"].concat(),
            },
            None => match scope.chip {
                Some(chip) if line.number.is_some() => {
                    [b"offset ", line.id, b" is out of range on chip '", chip, b"'"].concat()
                }
                _ => [b"cannot find line '", line.id, b"'"].concat(),
            },
        };
        context.error(&said)?;
        is_valid = false;
    }
    if is_valid { Ok(()) } else { Err(Exit::silent()) }
}
