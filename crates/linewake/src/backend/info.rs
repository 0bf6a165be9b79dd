//! The facts and the capabilities of a chip.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::{Error, ErrorKind, Trust};

/// A process that holds a line of a chip.
///
/// ```
/// let chip = linewake::Chip::open("sim")?;
/// for (line, holder) in chip.holders() {
///     println!("process {} ({}) holds line {line}", holder.process, holder.program);
/// }
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineHolder {
    /// Process id.
    pub process: u32,
    /// Name of the program.
    pub program: String,
}

/// The facts of a chip.
///
/// ```
/// let chip = linewake::Chip::open("sim:64")?;
/// assert_eq!((&*chip.info().name, chip.info().lines), ("sim", 64));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChipInfo {
    /// Its name in events.
    pub name: Arc<str>,
    /// A name that does not change from one start to the next: the place in the machine and the label of a gpiochip,
    /// the spec of any other chip.
    pub id: Arc<str>,
    /// The label that the hardware reports.
    pub label: Arc<str>,
    /// Its path in the file system, if it has one.
    pub path: Option<Arc<str>>,
    /// The number of its lines, with the offsets `0..lines`.
    pub lines: u32,
    /// The longest queue of a request; zero if the queue has one size.
    pub max_queue_size: u32,
}

impl ChipInfo {
    /// Names that tell chips apart: the name of each, or its [`id`](Self::id) if others have the same name, with a
    /// number if the ids are the same too.
    ///
    /// ```
    /// use linewake::{Chip, ChipInfo};
    /// let chips = [Chip::open("sim")?, Chip::open("sim:4")?];
    /// let names = ChipInfo::distinct_names(chips.iter().map(Chip::info));
    /// assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["sim", "sim:4"]);
    /// # Ok::<(), linewake::Error>(())
    /// ```
    pub fn distinct_names<'a>(chips: impl IntoIterator<Item = &'a Self>) -> Vec<Arc<str>> {
        let chips: Vec<_> = chips.into_iter().collect();
        let mut uses = HashMap::<_, usize>::new();
        for chip in &chips {
            *uses.entry(&chip.name).or_default() += 1;
        }
        let mut taken: HashSet<_> =
            uses.iter().filter(|(_, uses)| **uses == 1).map(|(name, _)| (*name).clone()).collect();
        let name = |chip: &Self| {
            if uses[&chip.name] == 1 {
                return chip.name.clone();
            }
            let mut name = chip.id.clone();
            for number in 2_u64.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{}#{number}", chip.id).into();
            }
            name
        };
        chips.into_iter().map(name).collect()
    }
}

/// The capabilities of a chip.
///
/// ```
/// let sim = linewake::Chip::open("sim")?;
/// assert!(sim.capabilities().shared_lines && sim.capabilities().account == linewake::Trust::Exact);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The most lines of one request to the chip; larger requests are split.
    pub max_lines: usize,
    /// True if several requests may hold a line at once.
    pub shared_lines: bool,
    /// True if lines can be outputs.
    pub outputs: bool,
    /// True if the chip inverts levels; if not, [`Request`](crate::Request) does.
    pub active_low: bool,
    /// True if a bias can be set.
    pub bias: bool,
    /// True if outputs can be open-drain and open-source.
    pub drive: bool,
    /// True if the chip debounces.
    pub debounce: bool,
    /// True if edges can be stamped with the time of day.
    pub realtime: bool,
    /// True if edges can be stamped by a hardware engine.
    pub hte: bool,
    /// The largest queue size of a request; zero if the size is fixed.
    pub max_queue_size: u32,
    /// True if all values of a request are read and set at the same moment.
    pub atomic_values: bool,
    /// True if a request can be reconfigured.
    pub reconfigure: bool,
    /// True if the chip reports that its lines are requested and released.
    pub info_watch: bool,
    /// The best trust that the account of a request can have.
    pub account: Trust,
}

impl Capabilities {
    /// The capabilities of a chip that only reports edges of inputs, up to `max_lines` at once.
    #[must_use]
    pub fn inputs_only(max_lines: usize, account: Trust) -> Self {
        Self {
            max_lines,
            shared_lines: false,
            outputs: false,
            active_low: false,
            bias: false,
            drive: false,
            debounce: false,
            realtime: false,
            hte: false,
            max_queue_size: 0,
            atomic_values: false,
            reconfigure: false,
            info_watch: false,
            account,
        }
    }
}

/// The error for something that a chip cannot do: `chip "x" cannot …`.
pub(crate) fn unsupported(chip: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("chip \"{chip}\" {what}"))
}
