//! The record stream: everything that leaves `linewake`, one JSON object a line.
//!
//! Its schema is `docs/record.schema.json`. Both are frozen as version [`SCHEMA`]: what is here keeps its name and its
//! meaning, and a change of either makes a new version; versions that are only less are still [read](READABLE). Names are snake case, numbers are integers, times are in
//! nanoseconds. What is not known is `null`. Integers of 64 bits are read from strings too: programs that have no integers
//! round numbers above 2^53, and `linewake mon --json-strings` writes these as strings for them.
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

use crate::filter::{ChatterEvent, ChatterKind, FilterTally};
use crate::{
    Account, ChipInfo, Clock, ClockStep, EdgeEvent, EdgeKind, Figures, InfoEvent, InfoEventKind, LineAccount,
    LineState, Trust, WatchedLine,
};

/// The version of the schema.
pub const SCHEMA: u32 = 4;

/// The versions that can be read: what [`SCHEMA`] has more than they is read as not known.
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
    /// The first record: what all the others mean. Where a stream is written behind another, a second one begins a segment
    /// with an account of its own.
    Start(Start<'a>),
    /// The level of a line when the watch began.
    State(State<'a>),
    /// An edge.
    Edge(Edge<'a>),
    /// A time in which nothing can be said of a chip's lines.
    Gap(Gap<'a>),
    /// A chip's clock stepped, before its edge that comes next.
    Clock(Step<'a>),
    /// A line was blocked for chatter, or unblocked.
    Chatter(Chatter<'a>),
    /// Somebody took a line, gave it back, or holds it otherwise.
    Info(Info<'a>),
    /// A sign of life while nothing happens.
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
    /// Changes when the computer is started; where the system has such a number.
    pub boot_id: Option<Cow<'a, str>>,
    /// Which clock stamps the edges: see [`Clock::name`].
    pub clock: Cow<'a, str>,
    /// What to add to a time stamp to get UTC in nanoseconds since 1970.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_offset_ns: Option<i64>,
    /// How far that reading may be off; not whether the computer's UTC is right.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_error_ns: Option<u64>,
    /// Whether the computer's UTC is kept right by a time service.
    pub utc_synchronised: Option<bool>,
    /// The chips, by what the other records call them. Empty where that is not known: before schema 4.
    #[serde(default)]
    pub chips: Vec<NamedChip<'a>>,
}

/// A chip of a stream, in its [`Start`].
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
    /// What the other records call it. No two chips of a stream have the same.
    pub chip: Cow<'a, str>,
    /// What it is called in every stream: see [`ChipInfo::id`].
    pub id: Cow<'a, str>,
    /// Its name when the stream began.
    pub name: Cow<'a, str>,
    /// What the hardware calls itself.
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
    /// Which line.
    pub offset: u32,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// 1 for active, 0 for inactive: before the first edge of the line.
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
    /// Which line.
    pub offset: u32,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// Which way.
    pub kind: Kind,
    /// When, by the clock of the `start` record.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// Counts the interrupts of the whole request.
    pub seqno: u32,
    /// Counts what was queued for this line.
    pub line_seqno: u32,
    /// What is missing directly before it.
    pub missed: Missed,
}

/// Which way an [`Edge`] goes.
///
/// ```
/// use linewake::record::Kind;
/// assert_eq!(serde_json::to_string(&Kind::Rising).unwrap(), r#""rising""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// To active.
    Rising,
    /// To inactive.
    Falling,
}

/// What is missing before an [`Edge`].
///
/// ```
/// use linewake::record::Missed;
/// let missed: Missed = serde_json::from_str(r#"{"overflowed":2,"merged":0}"#).unwrap();
/// assert_eq!(missed, Missed { overflowed: 2, merged: 0 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// Dropped from the full queue.
    pub overflowed: u32,
    /// Merged before the queue.
    pub merged: u32,
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
    /// Why.
    pub reason: GapReason,
    /// The last time of which something is known: that of the chip's last edge.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub from_ns: Option<u64>,
    /// When it was back, if it is and its clock can be read.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub to_ns: Option<u64>,
    /// Whether it is back: a gap is told when it begins, and again when it is over.
    pub over: bool,
    /// Edges of the chip's lines that were given to the program before the gap.
    #[serde(deserialize_with = "wide::read")]
    pub delivered: u64,
    /// Those that are known to have been dropped from the full queue before it.
    #[serde(deserialize_with = "wide::read")]
    pub overflowed: u64,
    /// Those that are known to have been merged before it.
    #[serde(deserialize_with = "wide::read")]
    pub merged: u64,
    /// Those that are known to have been on their way when it began.
    #[serde(deserialize_with = "wide::read")]
    pub discarded: u64,
}

/// Why nothing can be said in a [`Gap`].
///
/// ```
/// use linewake::record::GapReason;
/// assert_eq!(serde_json::to_string(&GapReason::Unplugged).unwrap(), r#""unplugged""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The device is gone: unplugged, or its driver stopped.
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
    /// The last stamp before it.
    #[serde(deserialize_with = "wide::read")]
    pub before_ns: u64,
    /// The first stamp behind it.
    #[serde(deserialize_with = "wide::read")]
    pub after_ns: u64,
    /// What the clock would have shown then without any step. What is added to `after_ns` for it is added to all stamps of
    /// the chip from here on, where lengths of time are wanted.
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
/// let line = r#"{"chip":"sim","offset":7,"name":"tamper","state":"unblocked","timestamp_ns":9,"changes":50,"withheld":90}"#;
/// let chatter: Chatter<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!((chatter.state, chatter.withheld), (ChatterState::Unblocked, Some(90)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chatter<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Which line.
    pub offset: u32,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// Which of the two.
    pub state: ChatterState,
    /// When, by the clock of the `start` record.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// Changes within the filter's window at that time.
    pub changes: u32,
    /// Edges that were withheld while it was blocked; not known when it begins.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub withheld: Option<u64>,
}

/// Which way the blocking of a [`Chatter`] goes.
///
/// ```
/// use linewake::record::ChatterState;
/// assert_eq!(serde_json::to_string(&ChatterState::Blocked).unwrap(), r#""blocked""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatterState {
    /// It changes too often; nothing of it passes.
    Blocked,
    /// It is listened to again.
    Unblocked,
}

impl<'a> From<&'a ChatterEvent> for Chatter<'a> {
    fn from(event: &'a ChatterEvent) -> Self {
        let (state, withheld) = match event.kind {
            ChatterKind::Blocked => (ChatterState::Blocked, None),
            ChatterKind::Unblocked => (ChatterState::Unblocked, Some(event.withheld)),
        };
        Self {
            chip: Cow::Borrowed(&event.chip),
            offset: event.offset.get(),
            name: event.name.as_deref().map(Cow::Borrowed),
            state,
            timestamp_ns: event.timestamp_ns,
            changes: event.changes,
            withheld,
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
    /// Which line.
    pub offset: u32,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// What became of it.
    pub kind: InfoKind,
    /// When, by the chip's clock.
    #[serde(deserialize_with = "wide::read")]
    pub timestamp_ns: u64,
    /// Who holds it now, if somebody does and has a name.
    pub consumer: Option<Cow<'a, str>>,
}

/// What became of a line in an [`Info`].
///
/// ```
/// use linewake::record::InfoKind;
/// assert_eq!(serde_json::to_string(&InfoKind::Released).unwrap(), r#""released""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InfoKind {
    /// Somebody took it.
    Requested,
    /// It was given back.
    Released,
    /// It is held otherwise than before.
    Reconfigured,
}

impl<'a> From<&'a InfoEvent> for Info<'a> {
    fn from(event: &'a InfoEvent) -> Self {
        Self {
            chip: Cow::Borrowed(&event.chip),
            offset: event.line.offset.get(),
            name: event.line.name.as_deref().map(Cow::Borrowed),
            kind: match event.kind {
                InfoEventKind::Requested => InfoKind::Requested,
                InfoEventKind::Released => InfoKind::Released,
                InfoEventKind::Reconfigured => InfoKind::Reconfigured,
            },
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
    /// When, by the computer's UTC, in nanoseconds since 1970.
    #[serde(default, deserialize_with = "wide::read_some")]
    pub utc_ns: Option<u64>,
    /// Edges so far: the number of `edge` records before it.
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
    /// Line by line.
    pub lines: Vec<LineSummary<'a>>,
    /// Edges that were merged before any queue and that no line's figures have: it is not known on which line they were.
    #[serde(deserialize_with = "wide::read")]
    pub unattributed: u64,
    /// Threads of the process, all of them.
    pub threads: Option<u32>,
}

/// The account of a line in a [`Summary`]: delivered + overflowed + merged + discarded happened.
///
/// ```
/// use linewake::record::{AccountTrust, LineSummary};
/// # let line = r#"{"chip":"sim","offset":5,"name":"door","delivered":2,"overflowed":0,"merged":0,"discarded":1,"account":"exact","filter":null}"#;
/// let line: LineSummary<'_> = serde_json::from_str(line).unwrap();
/// assert_eq!((line.delivered, line.discarded, line.account), (2, 1, AccountTrust::Exact));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineSummary<'a> {
    /// Name of the chip.
    pub chip: Cow<'a, str>,
    /// Which line.
    pub offset: u32,
    /// Its name.
    pub name: Option<Cow<'a, str>>,
    /// Given to the program.
    #[serde(deserialize_with = "wide::read")]
    pub delivered: u64,
    /// Dropped from the full queue.
    #[serde(deserialize_with = "wide::read")]
    pub overflowed: u64,
    /// Merged before the queue.
    #[serde(deserialize_with = "wide::read")]
    pub merged: u64,
    /// On the way when the stream ended.
    #[serde(deserialize_with = "wide::read")]
    pub discarded: u64,
    /// How far these figures can be trusted.
    pub account: AccountTrust,
    /// What a filter made of those that were delivered, if the line had one.
    pub filter: Option<FilterSummary>,
}

/// What a filter made of a line's edges in a [`LineSummary`]: delivered = passed + filtered + held.
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
    /// Edges that were not decided, or not written yet, when the stream ended.
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

/// How far a [`LineSummary`] can be trusted; see [`Trust`].
///
/// ```
/// use linewake::record::AccountTrust;
/// assert_eq!(serde_json::to_string(&AccountTrust::AtLeast).unwrap(), r#""at least""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountTrust {
    /// The figures add up to what happened.
    #[serde(rename = "exact")]
    Exact,
    /// There may be more losses than these.
    #[serde(rename = "at least")]
    AtLeast,
    /// Merged edges are concluded from evidence that may mislead either way.
    #[serde(rename = "about")]
    About,
    /// The driver contradicts itself.
    #[serde(rename = "none")]
    None,
}

impl<'a> Start<'a> {
    /// What this computer knows of itself, with a chip's clock.
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

    /// With the chips of the stream.
    #[must_use]
    pub fn with_chips(mut self, chips: impl IntoIterator<Item = NamedChip<'a>>) -> Self {
        self.chips = chips.into_iter().collect();
        self
    }
}

fn host() -> Option<String> {
    line_of("/proc/sys/kernel/hostname").or_else(|| std::env::var("COMPUTERNAME").ok())
}

/// The first line of a small file, where the system has it.
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
            kind: match edge.kind {
                EdgeKind::Rising => Kind::Rising,
                EdgeKind::Falling => Kind::Falling,
            },
            timestamp_ns: edge.timestamp_ns,
            seqno: edge.seqno,
            line_seqno: edge.line_seqno,
            missed: Missed { overflowed: edge.missed.overflowed, merged: edge.missed.merged },
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
    /// With what filters made of the lines' edges, line by line: as
    /// [`FilteredMonitor::tallies`](crate::filter::FilteredMonitor::tallies) has it, one request after the other.
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
            account: match line.trust {
                Trust::Exact => AccountTrust::Exact,
                Trust::AtLeast => AccountTrust::AtLeast,
                Trust::About => AccountTrust::About,
                Trust::None => AccountTrust::None,
            },
            filter: None,
        }
    }
}
