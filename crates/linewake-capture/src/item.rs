//! The items of a capture.

use std::fmt;
use std::sync::Arc;

use linewake::record::{ChatterState, Heartbeat, LineSummary};
use linewake::{EdgeKind, Missed, UtcOffset};

/// The next item of a [`Capture`](crate::Capture).
///
/// ```
/// use linewake_capture::{Capture, Item};
/// let text = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n\
///     17,gpiochip0,4,door,rising,1,1,1,0,0\n";
/// let mut capture = Capture::read("door.csv", text.as_bytes())?;
/// let mut edges = 0;
/// while let Some(item) = capture.next()? {
///     edges += u32::from(matches!(item, Item::Edge(_)));
/// }
/// assert_eq!((edges, capture.lines()[0].offset), (1, 4));
/// # Ok::<(), linewake_capture::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// A segment begins: that of the capture, or of another one that was appended.
    Begin(Arc<Segment>),
    /// A line appears for the first time, or under another name than before. This is its place in
    /// [`Capture::lines`](crate::Capture::lines).
    Line(usize),
    /// The level of a line when its watch began, or again after a gap; `None` if it is not known.
    State {
        /// The line.
        line: usize,
        /// Whether it was active.
        active: Option<bool>,
    },
    /// An edge.
    Edge(Edge),
    /// A chip was gone, or is back.
    Gap(Gap),
    /// A line was blocked for chatter, or unblocked.
    Chatter(Chatter),
    /// The clock of a chip stepped.
    Clock(ClockStep),
    /// A sign of life.
    Heartbeat(Heartbeat),
    /// A segment is over. If an account of it was written, it comes along. A line that the account does not name lost
    /// nothing.
    End(Option<Box<Account>>),
    /// A message for the user.
    Notice(Notice),
    /// Nothing; but the next item may not be here yet. Write buffered output now.
    Quiet,
}

/// A part of a capture, written by one watch.
///
/// ```
/// # fn example(segment: &linewake_capture::Segment) {
/// println!("segment {} by the clock {}", segment.number, segment.clock);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// 1 for the first.
    pub number: u64,
    /// The clock of its stamps: see [`linewake::Clock::name`]. `device` for a waveform and for CSV, which do not name
    /// it.
    pub clock: Arc<str>,
    /// Converts its time stamps to UTC.
    pub utc: Option<UtcOffset>,
    /// The name of the computer.
    pub host: Option<Arc<str>>,
    /// Changes when the computer is started.
    pub boot_id: Option<Arc<str>>,
    /// Whether a time service kept its UTC correct.
    pub utc_synchronised: Option<bool>,
}

impl Segment {
    /// A segment of a format that has nothing but the stamps.
    pub(crate) fn plain(number: u64, clock: &str) -> Arc<Self> {
        let clock = clock.into();
        Arc::new(Self { number, clock, utc: None, host: None, boot_id: None, utc_synchronised: None })
    }
}

/// An edge of a capture.
///
/// ```
/// # fn example(edge: &linewake_capture::Edge) {
/// println!("line {} {} at {} ns", edge.line, edge.kind.as_str(), edge.timestamp_ns);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edge {
    /// The line: its place in [`Capture::lines`](crate::Capture::lines).
    pub line: usize,
    /// The direction.
    pub kind: EdgeKind,
    /// The time in the capture: by the clock of its segment.
    pub timestamp_ns: u64,
    /// The time on the one axis of the whole capture, which never goes back on a line.
    pub axis_ns: u64,
    /// Counts the interrupts of the whole request.
    pub seqno: u32,
    /// Counts the edges that were queued for the line.
    pub line_seqno: u32,
    /// How many edges were missing directly before it.
    pub missed: Missed,
}

/// A chip was gone, or is back.
///
/// ```
/// # fn example(gap: &linewake_capture::Gap) {
/// println!("chip {} is {}", gap.chip, if gap.is_over { "back" } else { "gone" });
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The chip: its place in [`Capture::chips`](crate::Capture::chips).
    pub chip: usize,
    /// Whether it is back.
    pub is_over: bool,
    /// The last time at which something is known.
    pub from_ns: Option<u64>,
    /// When it was back, if that is known.
    pub to_ns: Option<u64>,
    /// The figures of the edges before it.
    pub figures: linewake::Figures,
}

/// A line was blocked for chatter, or unblocked.
///
/// ```
/// # fn example(chatter: &linewake_capture::Chatter) {
/// println!("line {}: {} changes", chatter.line, chatter.changes);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chatter {
    /// The line.
    pub line: usize,
    /// Blocked or unblocked.
    pub state: ChatterState,
    /// The time in the capture.
    pub timestamp_ns: u64,
    /// The time on the axis.
    pub axis_ns: u64,
    /// Changes within the filter's window.
    pub changes: u32,
    /// How many edges were withheld while it was blocked.
    pub withheld: u64,
}

/// The clock of a chip stepped.
///
/// ```
/// # fn example(step: &linewake_capture::ClockStep) {
/// println!("from {} to {} where {} was due", step.before_ns, step.after_ns, step.arrival_ns);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockStep {
    /// The chip.
    pub chip: usize,
    /// The last stamp before the step.
    pub before_ns: u64,
    /// The first stamp after the step.
    pub after_ns: u64,
    /// The stamp that the clock would have shown then without the step.
    pub arrival_ns: u64,
}

/// The account at the end of a segment.
///
/// ```
/// # fn example(account: &linewake_capture::Account) {
/// for (line, summary) in &account.lines {
///     println!("line {line}: {} edges", summary.delivered);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The account of each line, by its place.
    pub lines: Vec<(usize, LineSummary<'static>)>,
    /// How many merged edges belong to no known line.
    pub unattributed: u64,
}

/// A message for the user about a capture: [`Display`](fmt::Display) shows it, with the name of the file.
///
/// ```
/// # fn example(notice: &linewake_capture::Notice) {
/// eprintln!("{notice}");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub(crate) String);

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
