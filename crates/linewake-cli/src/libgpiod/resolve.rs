//! Finds lines by the rules of libgpiod's tools: by offset on the chip that the user named, else by name on one chip
//! after the other.

use super::chip::{LineInfo, LineRequest, OpenChip, RequestConfig};
use super::chips::{self, Spec};
use super::{Context, Exit, number};

/// The most lines of one request of the kernel (GPIO_V2_LINES_MAX, linux/gpio.h); more lines need several.
const MOST: usize = 64;

/// The options that say where to look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope<'a> {
    pub(super) chip: Option<&'a [u8]>,
    pub(super) by_name: bool,
    pub(super) strict: bool,
}

/// An operand, and the line that it names.
#[derive(Debug)]
pub(super) struct Operand<'a> {
    /// The text of the operand.
    pub(super) id: &'a [u8],
    /// The number, if the text is one that may be an offset.
    pub(super) number: Option<u32>,
    /// The index of its chip, and its offset.
    pub(super) place: Option<(usize, u32)>,
    /// Empty if the line has no name.
    pub(super) name: Vec<u8>,
}

/// A chip that has some of the lines.
#[derive(Debug)]
pub(super) struct NamedChip {
    pub(super) spec: Spec,
    pub(super) chip: OpenChip,
    pub(super) name: Vec<u8>,
}

/// The lines, and their chips.
#[derive(Debug)]
pub(super) struct FoundLines<'a> {
    pub(super) wanted: Vec<Operand<'a>>,
    pub(super) chips: Vec<NamedChip>,
}

/// Lines of one chip that one request holds.
#[derive(Debug)]
pub(super) struct Group {
    /// The index of the chip.
    pub(super) chip: usize,
    /// The indices of the operands.
    pub(super) lines: Vec<usize>,
    pub(super) offsets: Vec<u32>,
}

/// The operands before the search.
pub(super) fn wanted<'a>(ids: &[&'a [u8]], scope: Scope<'_>) -> Vec<Operand<'a>> {
    let are_offsets = scope.chip.is_some() && !scope.by_name;
    let number = |id| if are_offsets { number::uint(id) } else { None };
    ids.iter().map(|&id| Operand { id, number: number(id), place: None, name: Vec::new() }).collect()
}

/// Finds the operands that are offsets on the named chip; says whether there are any.
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

/// Finds all lines; if one is missing, the tool ends.
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
    validate(&lines.wanted, context, scope)?;
    Ok(lines)
}

impl FoundLines<'_> {
    /// Finds the operands that name a line of the current chip; gives their number.
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

    /// Splits the lines into requests: those of one chip, in the order of the operands, at most [`MOST`] each.
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

    /// Requests the lines of a group. The error is the system's words.
    pub(super) fn hold(&self, group: &Group, config: &RequestConfig<'_>, bits: u64) -> Result<LineRequest, String> {
        self.chips[group.chip].chip.request(&group.offsets, config, bits)
    }

    /// Reads the values of a group into those of all operands.
    pub(super) fn read(group: &Group, held: &LineRequest, values: &mut [bool]) -> Result<(), Exit> {
        let bits = held.values();
        let bits = bits.map_err(|error| Exit::new(format!("unable to read GPIO line values: {error}")))?;
        for (place, &line) in group.lines.iter().enumerate() {
            values[line] = bits >> place & 1 == 1;
        }
        Ok(())
    }

    /// The name of a line; empty if it has none.
    pub(super) fn name_of(&self, chip: usize, offset: u32) -> &[u8] {
        self.wanted.iter().find(|line| line.place == Some((chip, offset))).map_or(b"", |line| &line.name)
    }
}

/// Reports every line that was not found, and every line that was found twice; then the tool ends.
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
