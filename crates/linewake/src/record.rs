//! The record stream: everything that `linewake` writes, one JSON object per line.
//!
//! Its schema is `docs/record.schema.json`. Version [`SCHEMA`] of both is frozen: every name and its meaning stay, and
//! a change makes a new version. Older versions that only lack fields can still be [read](READABLE). Names are snake
//! case, numbers are integers, and times are in nanoseconds. An unknown value is `null`. 64-bit integers may also be
//! strings, because programs without integers round numbers above 2^53; `linewake mon --json-strings` writes such
//! strings.
//!
//! ```
//! use linewake::record::{Edge, Record};
//! # let chip = linewake::Chip::options().life(false).open("sim")?;
//! # let mut edges = chip.request().line("door").start()?;
//! # chip.world().drive("door", true)?;
//! # let edge = edges.wait_next().unwrap()?;
//! let record = Record::Edge(Edge::from(&edge));
//! let line = serde_json::to_string(&record).expect("it is plain data");
//! assert!(line.starts_with(r#"{"record":"edge","chip":"sim","offset":5,"name":"door","kind":"rising","#));
//! # Ok::<(), linewake::Error>(())
//! ```

mod wide;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::filter::{ChatterEvent, FilterTally};
use crate::{Account, ChipInfo, Clock, ClockStep, EdgeEvent, Figures, InfoEvent, LineAccount, LineState, WatchedLine};

pub use crate::filter::ChatterKind as ChatterState;
pub use crate::{EdgeKind as Kind, InfoEventKind as InfoKind, Missed, Trust as AccountTrust};

/// The version of the schema.
pub const SCHEMA: u32 = 4;

/// The versions that can be read. Fields that an older version lacks are read as unknown.
pub const READABLE: RangeInclusive<u32> = 2..=SCHEMA;

/// A record of the stream.
///
/// ```
/// use linewake::record::Record;
/// let alive = r#"{"record":"heartbeat","utc_ns":17,"delivered":3}"#;
/// assert!(matches!(serde_json::from_str(alive), Ok(Record::Heartbeat(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record<'a> {
    /// The first record: it says what the others refer to. If a stream is appended to another, a second one begins a
    /// new segment with its own account.
    Start(Start<'a>),
    /// The level of a line when the watch began.
    State(State<'a>),
    /// An edge.
    Edge(Edge<'a>),
    /// A time in which nothing is known of a chip's lines.
    Gap(Gap<'a>),
    /// A chip's clock stepped before the chip's next edge.
    Clock(Step<'a>),
    /// A line was blocked because of chatter, or unblocked.
    Chatter(Chatter<'a>),
    /// A line was requested, released or reconfigured.
    Info(Info<'a>),
    /// A sign of life while no other record comes.
    Heartbeat(Heartbeat),
    /// The last record: the account.
    Summary(Summary<'a>),
}

/// See [`Record::Start`].
///
/// ```
/// let chip = linewake::Chip::open("sim")?;
/// let start = linewake::record::Start::new(&chip.clock());
/// assert_eq!((start.schema, &*start.clock), (4, "simulated"));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the computer.
    pub host: Option<Cow<'a, str>>,
    /// A number that changes each time the computer starts, if the system has one.
    pub boot_id: Option<Cow<'a, str>>,
    /// The clock of the time stamps: see [`Clock::name`].
    pub clock: Cow<'a, str>,
    /// The number to add to a time stamp to get UTC in nanoseconds since 1970.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_offset_ns: Option<i64>,
    /// How far that value may be off. It does not say whether the computer's UTC is right.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_error_ns: Option<u64>,
    /// True if a time service keeps the computer's UTC right.
    pub utc_synchronised: Option<bool>,
    /// The chips, with their names in the other records. Empty before schema 4, where they are unknown.
    #[serde(default)]
    pub chips: Vec<NamedChip<'a>>,
}

/// A chip of the stream, in its [`Start`].
///
/// ```
/// let chip = linewake::Chip::open("sim:64")?;
/// let named = linewake::record::NamedChip::new("sim", chip.info());
/// assert_eq!((&*named.chip, &*named.id), ("sim", "sim:64"));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedChip<'a> {
    /// Its name in the other records. No two chips of a stream have the same.
    pub chip: Cow<'a, str>,
    /// Its name in every stream: see [`ChipInfo::id`].
    pub id: Cow<'a, str>,
    /// Its name when the stream began.
    pub name: Cow<'a, str>,
    /// The label that the hardware gives itself.
    pub label: Cow<'a, str>,
}

impl<'a> NamedChip<'a> {
    /// A chip that is called `chip` in the stream.
    #[must_use]
    pub fn new(chip: &'a str, info: &'a ChipInfo) -> Self {
        Self {
            chip: Cow::Borrowed(chip),
            id: Cow::Borrowed(&info.id),
            name: Cow::Borrowed(&info.name),
            label: Cow::Borrowed(&info.label),
        }
    }
}

/// See [`Record::State`].
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").start()?;
/// let state = linewake::record::State::new("sim", &request.lines()[0]);
/// assert_eq!(state.level, Some(0));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Offset of the line.
    pub offset: u32,
    /// Name of the line, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// The level before the first edge of the line: 1 for active, 0 for inactive.
    pub level: Option<u8>,
}

/// See [`Record::Edge`]; the fields are those of [`EdgeEvent`].
///
/// ```
/// # fn example(edge: &linewake::EdgeEvent) {
/// let record = linewake::record::Edge::from(edge);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Offset of the line.
    pub offset: u32,
    /// Name of the line, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// Rising or falling.
    pub kind: Kind,
    /// The time, by the clock of the `start` record.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// Number of the edge among the interrupts of the whole request.
    pub seqno: u32,
    /// Number of the edge among those queued for this line.
    pub line_seqno: u32,
    /// How many edges are missing directly before it.
    pub missed: Missed,
}

/// See [`Record::Gap`].
///
/// ```
/// use linewake::record::{Gap, GapReason};
/// let known = (12, 0, 0, 1);
/// let (delivered, overflowed, merged, discarded) = known;
/// let (chip, reason) = ("sim".into(), GapReason::Unplugged);
/// let gap =
///     Gap { chip, reason, from_ns: Some(17), to_ns: None, over: false, delivered, overflowed, merged, discarded };
/// # let _ = gap;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Why there is a gap.
    pub reason: GapReason,
    /// The last time at which something is known: that of the chip's last edge.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub from_ns: Option<u64>,
    /// When the chip was back, if it is back and its clock can be read.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub to_ns: Option<u64>,
    /// True if the chip is back. A gap is reported when it begins, and again when it is over.
    pub over: bool,
    /// Edges given to the program before the gap, of all lines of the chip.
    #[serde(deserialize_with = "wide::read")]
    pub delivered: u64,
    /// Edges known to be dropped from the full queue before the gap.
    #[serde(deserialize_with = "wide::read")]
    pub overflowed: u64,
    /// Edges known to be merged before the gap.
    #[serde(deserialize_with = "wide::read")]
    pub merged: u64,
    /// Edges known to be on their way to the program when the gap began.
    #[serde(deserialize_with = "wide::read")]
    pub discarded: u64,
}

/// Why there is a [`Gap`].
///
/// ```
/// use linewake::record::GapReason;
/// assert_eq!(serde_json::to_string(&GapReason::Unplugged).unwrap(), r#""unplugged""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The device was unplugged, or its driver stopped.
    Unplugged,
}

/// See [`Record::Clock`]; the fields are those of [`ClockStep`].
///
/// ```
/// use linewake::record::Step;
/// let line = r#"{"chip":"gpiochip0","before_ns":9000,"after_ns":4500,"arrival_ns":9500}"#;
/// let step: Step<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!(i128::from(step.arrival_ns) - i128::from(step.after_ns), 5000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// The last stamp before the step.
    #[serde(deserialize_with = "wide::read")]
    pub before_ns: u64,
    /// The first stamp after the step.
    #[serde(deserialize_with = "wide::read")]
    pub after_ns: u64,
    /// The time that the clock would have shown instead of `after_ns` without any step. To compute lengths of time, add
    /// `arrival_ns - after_ns` to all stamps of the chip from here on.
    #[serde(deserialize_with = "wide::read")]
    pub arrival_ns: u64,
}

impl<'a> From<&'a ClockStep> for Step<'a> {
    fn from(step: &'a ClockStep) -> Self {
        let ClockStep { chip, before_ns, after_ns, arrival_ns } = step;
        Self { chip: Cow::Borrowed(chip), before_ns: *before_ns, after_ns: *after_ns, arrival_ns: *arrival_ns }
    }
}

/// See [`Record::Chatter`]; the fields are those of [`ChatterEvent`].
///
/// ```
/// use linewake::record::{Chatter, ChatterState};
/// let line = r#"{"chip":"a","offset":7,"name":"x","state":"unblocked","timestamp_ns":9,"changes":5,"withheld":90}"#;
/// let chatter: Chatter<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!((chatter.state, chatter.withheld), (ChatterState::Unblocked, Some(90)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chatter<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Offset of the line.
    pub offset: u32,
    /// Name of the line, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// Blocked or unblocked.
    pub state: ChatterState,
    /// The time, by the clock of the `start` record.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// Changes within the filter's window at that time.
    pub changes: u32,
    /// Edges that were withheld while the line was blocked. Unknown when it is being blocked.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub withheld: Option<u64>,
}

impl<'a> From<&'a ChatterEvent> for Chatter<'a> {
    fn from(event: &'a ChatterEvent) -> Self {
        Self {
            chip: Cow::Borrowed(&event.chip),
            offset: event.offset.get(),
            name: event.name.as_deref().map(Cow::Borrowed),
            state: event.kind,
            timestamp_ns: event.timestamp_ns,
            changes: event.changes,
            withheld: (event.kind == ChatterState::Unblocked).then_some(event.withheld),
        }
    }
}

/// See [`Record::Info`].
///
/// ```
/// use linewake::record::{Info, InfoKind};
/// let line = r#"{"chip":"sim","offset":5,"name":"door","kind":"requested","timestamp_ns":9,"consumer":"mon"}"#;
/// let info: Info<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!(info.kind, InfoKind::Requested);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Info<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Offset of the line.
    pub offset: u32,
    /// Name of the line, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// The change of the line's request.
    pub kind: InfoKind,
    /// The time, by the chip's clock.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// The name of the program that holds the line now, if there is one.
    pub consumer: Option<Cow<'a, str>>,
}

impl<'a> From<&'a InfoEvent> for Info<'a> {
    fn from(event: &'a InfoEvent) -> Self {
        Self {
            chip: Cow::Borrowed(&event.chip),
            offset: event.line.offset.get(),
            name: event.line.name.as_deref().map(Cow::Borrowed),
            kind: event.kind,
            timestamp_ns: event.timestamp_ns,
            consumer: event.line.consumer.as_deref().map(Cow::Borrowed),
        }
    }
}

impl<'a> From<&'a crate::Gap> for Gap<'a> {
    fn from(gap: &'a crate::Gap) -> Self {
        let Figures { delivered, overflowed, merged, discarded } = gap.figures;
        Self {
            chip: Cow::Borrowed(&gap.chip),
            reason: GapReason::Unplugged,
            from_ns: gap.from_ns,
            to_ns: gap.to_ns,
            over: gap.is_over,
            delivered,
            overflowed,
            merged,
            discarded,
        }
    }
}

impl<'a> From<&'a LineState> for State<'a> {
    fn from(state: &'a LineState) -> Self {
        Self {
            chip: Cow::Borrowed(&state.chip),
            offset: state.offset.get(),
            name: state.name.as_deref().map(Cow::Borrowed),
            level: state.active.map(u8::from),
        }
    }
}

/// See [`Record::Heartbeat`].
///
/// ```
/// use linewake::record::{Heartbeat, Record};
/// let alive = Record::Heartbeat(Heartbeat { utc_ns: Some(1_700_000_000_000_000_000), delivered: 12 });
/// # let _ = alive;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The time, by the computer's UTC, in nanoseconds since 1970.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_ns: Option<u64>,
    /// The number of `edge` records before this one.
    #[serde(deserialize_with = "wide::read")]
    pub delivered: u64,
}

/// See [`Record::Summary`].
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let account = chip.request().line("door").start()?.finish();
/// let summary = linewake::record::Summary::new([("sim", &account)], Some(3));
/// assert_eq!(summary.lines.len(), 1);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary<'a> {
    /// The account of each line.
    pub lines: Vec<LineSummary<'a>>,
    /// Edges that were merged before any queue and that no line counts, because their line is unknown.
    #[serde(deserialize_with = "wide::read")]
    pub unattributed: u64,
    /// The number of threads in the process.
    pub threads: Option<u32>,
}

/// The account of a line in a [`Summary`]: delivered + overflowed + merged + discarded edges happened.
///
/// ```
/// use linewake::record::{AccountTrust, LineSummary};
/// # let line = concat!(r#"{"chip":"sim","offset":5,"name":"door","delivered":2,"overflowed":0,"merged":0,"#,
/// #     r#""discarded":1,"account":"exact","filter":null}"#);
/// let line: LineSummary<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!((line.delivered, line.discarded, line.account), (2, 1, AccountTrust::Exact));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineSummary<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Offset of the line.
    pub offset: u32,
    /// Name of the line, if it has one.
    pub name: Option<Cow<'a, str>>,
    /// Edges given to the program.
    #[serde(deserialize_with = "wide::read")]
    pub delivered: u64,
    /// Edges dropped from the full queue.
    #[serde(deserialize_with = "wide::read")]
    pub overflowed: u64,
    /// Edges merged before they reached the queue.
    #[serde(deserialize_with = "wide::read")]
    pub merged: u64,
    /// Edges on their way to the program when the stream ended.
    #[serde(deserialize_with = "wide::read")]
    pub discarded: u64,
    /// How reliable these figures are.
    pub account: AccountTrust,
    /// The counts of the line's filter, if it had one.
    pub filter: Option<FilterSummary>,
}

/// The counts of a line's filter in a [`LineSummary`]: delivered = passed + filtered + held.
///
/// ```
/// use linewake::record::FilterSummary;
/// let filter: FilterSummary = serde_json::from_str(r#"{"passed":2,"filtered":7,"held":1,"blocks":0}"#).unwrap();
/// assert_eq!(filter.passed + filter.filtered + filter.held, 10);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSummary {
    /// Edges that passed: the line's `edge` records.
    #[serde(deserialize_with = "wide::read")]
    pub passed: u64,
    /// Edges that were dropped.
    #[serde(deserialize_with = "wide::read")]
    pub filtered: u64,
    /// Edges that were not decided or not written yet when the stream ended.
    #[serde(deserialize_with = "wide::read")]
    pub held: u64,
    /// How often the line was blocked for chatter.
    #[serde(deserialize_with = "wide::read")]
    pub blocks: u64,
}

impl From<FilterTally> for FilterSummary {
    fn from(tally: FilterTally) -> Self {
        let FilterTally { passed, filtered, held, blocks, .. } = tally;
        Self { passed, filtered, held, blocks }
    }
}

impl<'a> Start<'a> {
    /// A record with this computer's name and boot number, and a chip's clock.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        Self {
            schema: SCHEMA,
            host: host().map(Cow::Owned),
            boot_id: line_of("/proc/sys/kernel/random/boot_id").map(Cow::Owned),
            clock: Cow::Borrowed(clock.name.as_str()),
            utc_offset_ns: clock.utc.map(|utc| utc.offset_ns),
            utc_error_ns: clock.utc.map(|utc| utc.error_ns),
            utc_synchronised: None,
            chips: Vec::new(),
        }
    }

    /// Sets the chips of the stream.
    #[must_use]
    pub fn with_chips(mut self, chips: impl IntoIterator<Item = NamedChip<'a>>) -> Self {
        self.chips = chips.into_iter().collect();
        self
    }
}

fn host() -> Option<String> {
    line_of("/proc/sys/kernel/hostname").or_else(|| std::env::var("COMPUTERNAME").ok())
}

/// The first line of a small file, if the system has that file.
fn line_of(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}

impl<'a> State<'a> {
    /// The state of a line of a request on `chip`.
    #[must_use]
    pub fn new(chip: &'a str, line: &'a WatchedLine) -> Self {
        Self {
            chip: chip.into(),
            offset: line.offset.get(),
            name: line.name.as_deref().map(Cow::Borrowed),
            level: line.active_at_start.map(u8::from),
        }
    }
}

impl<'a> From<&'a EdgeEvent> for Edge<'a> {
    fn from(edge: &'a EdgeEvent) -> Self {
        Self {
            chip: Cow::Borrowed(&edge.chip),
            offset: edge.offset.get(),
            name: edge.name.as_deref().map(Cow::Borrowed),
            kind: edge.kind,
            timestamp_ns: edge.timestamp_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed: edge.missed,
        }
    }
}

impl<'a> Summary<'a> {
    /// The accounts of requests, each with the name of its chip.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = (&'a str, &'a Account)>, threads: Option<u32>) -> Self {
        let mut summary = Self { lines: Vec::new(), unattributed: 0, threads };
        for (chip, account) in accounts {
            summary.unattributed += account.unattributed();
            summary.lines.extend(account.lines().iter().map(|line| LineSummary::new(chip, line)));
        }
        summary
    }
}

impl Summary<'_> {
    /// Adds the counts of each line's filter, in the order of
    /// [`FilteredMonitor::tallies`](crate::filter::FilteredMonitor::tallies), one request after the other.
    #[must_use]
    pub fn with_filters(mut self, tallies: impl IntoIterator<Item = FilterTally>) -> Self {
        for (line, tally) in self.lines.iter_mut().zip(tallies) {
            line.filter = Some(tally.into());
        }
        self
    }
}

impl<'a> LineSummary<'a> {
    fn new(chip: &'a str, line: &'a LineAccount) -> Self {
        Self {
            chip: chip.into(),
            offset: line.offset.get(),
            name: line.name.as_deref().map(Cow::Borrowed),
            delivered: line.figures.delivered,
            overflowed: line.figures.overflowed,
            merged: line.figures.merged,
            discarded: line.figures.discarded,
            account: line.trust,
            filter: None,
        }
    }
}
