//! The chips and lines of a capture, each with its place, and their time.
//!
//! A place stays the same in all segments. In a segment a chip is known by its name in the records; across segments by
//! its identity, if the capture has one. So `gpiochip0` of two boots may be two chips, and one chip may have two names.

use std::collections::HashMap;
use std::sync::Arc;

use crate::axis::{Axis, LineTime};
use crate::item::ClockStep;

/// A chip of a capture.
///
/// ```
/// # fn example(capture: &linewake_capture::Capture) {
/// for chip in capture.chips() {
///     println!("{}: {}", chip.name, chip.id.as_deref().unwrap_or("without an identity"));
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedChip {
    /// Its name: no other chip of the capture has it.
    pub name: Arc<str>,
    /// Its identity, which stays the same when it is opened again, if the capture has one.
    pub id: Option<Arc<str>>,
    /// Its name while it was watched, which another chip may have too.
    pub plain_name: Option<Arc<str>>,
    /// The label that the chip gives itself.
    pub label: Option<Arc<str>>,
}

/// A line of a capture.
///
/// ```
/// # fn example(capture: &linewake_capture::Capture) {
/// for line in capture.lines() {
///     println!("{} {}", capture.chips()[line.chip].name, line.offset);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedLine {
    /// Its chip: a place in [`Capture::chips`](crate::Capture::chips).
    pub chip: usize,
    /// Its offset on the chip.
    pub offset: u32,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
}

/// A file with more than this is not a capture.
const MOST_CHIPS: usize = 1 << 14;
const MOST_LINES: usize = 1 << 20;

/// Everything that is known so far.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) chips: Vec<CapturedChip>,
    pub(crate) lines: Vec<CapturedLine>,
    pub(crate) times: Vec<LineTime>,
    pub(crate) axis: Axis,
    /// The chips of this segment, by their names in the records.
    names: HashMap<Box<str>, usize>,
    /// All chips, by their names and by their identities.
    by_name: HashMap<Arc<str>, usize>,
    by_id: HashMap<Arc<str>, usize>,
    places: HashMap<(usize, u32), usize>,
}

/// A line that was looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineLookup {
    pub(crate) line: usize,
    /// The line did not exist before, or had another name.
    pub(crate) is_new: bool,
}

impl Table {
    /// A segment begins: its records may use names of the last segment for other chips.
    pub(crate) fn begin_segment(&mut self) {
        self.names.clear();
    }

    /// Adds a chip that the segment lists.
    pub(crate) fn announce(&mut self, name: &str, chip: CapturedChip) -> Result<(), String> {
        let same_id = chip.id.as_ref().and_then(|id| self.by_id.get(id));
        // The chip may have had no identity in an older segment.
        let is_same = |place: &&usize| chip.id.is_none() || self.chips[**place].id.is_none();
        let known = same_id.or_else(|| self.by_name.get(name).filter(is_same)).copied();
        let place = match known {
            Some(place) => {
                let known = &mut self.chips[place];
                if let (None, Some(id)) = (&known.id, chip.id) {
                    self.by_id.insert(id.clone(), place);
                    known.id = Some(id);
                }
                place
            }
            None => self.add(name, chip)?,
        };
        self.names.insert(name.into(), place);
        Ok(())
    }

    /// Adds a chip under a unique name.
    fn add(&mut self, name: &str, chip: CapturedChip) -> Result<usize, String> {
        if self.chips.len() == MOST_CHIPS {
            return Err(format!("there are more than {MOST_CHIPS} chips; this is not a capture"));
        }
        let place = self.chips.len();
        let is_taken = |name: &str| self.by_name.contains_key(name);
        let mut unique: Arc<str> = name.into();
        if is_taken(&unique)
            && let Some(id) = &chip.id
        {
            unique = id.clone();
        }
        for number in 2.. {
            if !is_taken(&unique) {
                break;
            }
            unique = format!("{name} ({number})").into();
        }
        self.by_name.insert(unique.clone(), place);
        self.by_id.extend(chip.id.clone().map(|id| (id, place)));
        self.chips.push(CapturedChip { name: unique, ..chip });
        self.axis.add_chip();
        Ok(place)
    }

    /// The chip that a record names.
    pub(crate) fn chip(&mut self, name: &str) -> Result<usize, String> {
        if let Some(&place) = self.names.get(name) {
            return Ok(place);
        }
        self.announce(name, CapturedChip { name: name.into(), id: None, plain_name: None, label: None })?;
        Ok(self.names[name])
    }

    /// The line that a record names.
    pub(crate) fn line(&mut self, chip: &str, offset: u32, name: Option<&str>) -> Result<LineLookup, String> {
        let chip = self.chip(chip)?;
        let name = name.filter(|name| !name.is_empty());
        if let Some(&line) = self.places.get(&(chip, offset)) {
            let known = &mut self.lines[line];
            let is_new = known.name.as_deref() != name;
            if is_new {
                known.name = name.map(Arc::from);
            }
            return Ok(LineLookup { line, is_new });
        }
        let line = self.lines.len();
        if line == MOST_LINES {
            return Err(format!("there are more than {MOST_LINES} lines; this is not a capture"));
        }
        self.places.insert((chip, offset), line);
        self.lines.push(CapturedLine { chip, offset, name: name.map(Arc::from) });
        self.times.push(LineTime::default());
        Ok(LineLookup { line, is_new: true })
    }

    /// The time of an edge on the axis; by how much the clock was set back, if the edge shows that; and the step of the
    /// chip's clock, if one has to be reported.
    #[inline]
    pub(crate) fn edge_at(&mut self, line: usize, stamp_ns: u64) -> (u64, Option<u64>, Option<ClockStep>) {
        let chip = self.lines[line].chip;
        let (at_ns, step_ns) = self.axis.edge(chip, &mut self.times[line], stamp_ns);
        let untold = self.axis.untold(chip, stamp_ns);
        let step = untold.map(|(before_ns, arrival_ns)| ClockStep { chip, before_ns, after_ns: stamp_ns, arrival_ns });
        (at_ns, step_ns, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(name: &str, id: &str) -> CapturedChip {
        CapturedChip { name: name.into(), id: Some(id.into()), plain_name: None, label: None }
    }

    #[test]
    fn a_chip_is_known_again_by_its_identity() {
        let mut table = Table::default();
        for (first, second) in [("usb-1", "usb-2"), ("usb-2", "usb-1")] {
            table.begin_segment();
            table.announce("gpiochip0", chip("gpiochip0", first)).unwrap();
            table.announce("gpiochip1", chip("gpiochip1", second)).unwrap();
        }
        assert_eq!(table.chip("gpiochip0"), Ok(1), "the system called them the other way round");
        let names: Vec<_> = table.chips.iter().map(|chip| &*chip.name).collect();
        assert_eq!(names, ["gpiochip0", "gpiochip1"]);
        table.begin_segment();
        table.announce("gpiochip0", chip("gpiochip0", "usb-3")).unwrap();
        assert_eq!(&*table.chips[2].name, "usb-3", "its name is another's");
    }

    #[test]
    fn a_capture_without_identities_goes_on_with_them() {
        let mut table = Table::default();
        assert_eq!(table.chip("gpiochip0"), Ok(0));
        table.begin_segment();
        table.announce("gpiochip0", chip("gpiochip0", "usb-1")).unwrap();
        assert_eq!((table.chip("gpiochip0"), table.chips[0].id.as_deref()), (Ok(0), Some("usb-1")));
    }

    #[test]
    fn lines_keep_their_places_and_may_get_other_names() {
        let mut table = Table::default();
        let mut line = |chip, offset, name| {
            let LineLookup { line, is_new } = table.line(chip, offset, name).unwrap();
            (line, is_new)
        };
        assert_eq!(line("a", 17, Some("door")), (0, true));
        assert_eq!(line("b", 17, Some("door")), (1, true));
        assert_eq!(line("a", 17, Some("door")), (0, false));
        assert_eq!(line("a", 17, Some("gate")), (0, true));
        assert_eq!(line("a", 17, Some("")), (0, true));
        assert_eq!(line("a", 17, None), (0, false));
    }
}
