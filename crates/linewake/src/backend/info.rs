//! What a chip is, and what it can do.

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
    /// Its number.
    pub process: u32,
    /// The name of its program.
    pub program: String,
}

/// What a chip is.
///
/// ```
/// let chip = linewake::Chip::open("sim:64")?;
/// assert_eq!((&*chip.info().name, chip.info().lines), ("sim", 64));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChipInfo {
    /// Its name, as events carry it.
    pub name: Arc<str>,
    /// What it is called whatever its name is now, and the next time: of a gpiochip its place in the machine with its
    /// label, of any other chip the words that open it.
    pub id: Arc<str>,
    /// What the hardware calls itself.
    pub label: Arc<str>,
    /// Where it is in the file system, if it is there.
    pub path: Option<Arc<str>>,
    /// How many lines it has: the offsets are `0..lines`.
    pub lines: u32,
    /// The most events a request can have queued; zero if that cannot be chosen.
    pub max_queue_size: u32,
}

impl ChipInfo {
    /// What to call each of these chips, where they are shown together: its name; of chips that have the same name, each by
    /// its [`id`](Self::id), with a number where these are the same too.
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

/// What a chip can do.
///
/// ```
/// let sim = linewake::Chip::open("sim")?;
/// assert!(sim.capabilities().shared_lines && sim.capabilities().account == linewake::Trust::Exact);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The most lines it holds in one request of its own; larger ones are split.
    pub max_lines: usize,
    /// Whether several requests may hold a line at once.
    pub shared_lines: bool,
    /// Whether lines can be outputs.
    pub outputs: bool,
    /// Whether the chip inverts; where it does not, [`Request`](crate::Request) does.
    pub active_low: bool,
    /// Whether a bias can be set.
    pub bias: bool,
    /// Whether outputs can be open-drain and open-source.
    pub drive: bool,
    /// Whether the chip debounces.
    pub debounce: bool,
    /// Whether edges can be stamped with the time of day.
    pub realtime: bool,
    /// Whether edges can be stamped by a hardware engine.
    pub hte: bool,
    /// Whether the size of the queue can be chosen, and the largest; zero if not.
    pub max_queue_size: u32,
    /// Whether the values of a request are read and set at one moment.
    pub atomic_values: bool,
    /// Whether a request can be configured anew.
    pub reconfigure: bool,
    /// Whether it tells when its lines are taken and given back.
    pub info_watch: bool,
    /// How far the account of a request can be trusted at best.
    pub account: Trust,
}

impl Capabilities {
    /// Of a chip that can do nothing but tell its inputs' edges, up to `max_lines` at once.
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

/// The error for what a chip cannot do: `chip "x" cannot …`.
pub(crate) fn unsupported(chip: &str, what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("chip \"{chip}\" {what}"))
}
