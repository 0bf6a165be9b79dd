//! What a capture has, one thing after the other.

use std::fmt;
use std::sync::Arc;

use linewake::record::{ChatterState, Heartbeat, LineSummary};
use linewake::{EdgeKind, Missed, UtcOffset};

/// What comes next in a [`Capture`](crate::Capture).
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
    /// A segment begins: the capture does, or another one was appended to it.
    Begin(Arc<Segment>),
    /// A line is there for the first time, or under another name than before: its place in
    /// [`Capture::lines`](crate::Capture::lines).
    Line(usize),
    /// The level of a line when its watch began, or again after a gap; `None` if it is not known.
    State {
        /// Which line.
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
    /// A segment is over, with the account that was written of it, if one was. Of lines that it does not have nothing
    /// was lost.
    End(Option<Box<Account>>),
    /// Something that the user is to know.
    Notice(Notice),
    /// Nothing; but what comes next may have to be waited for. It is time to write what is not written yet.
    Quiet,
}

/// A part of a capture that was written by one watch.
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
    /// Which clock stamps its edges: see [`linewake::Clock::name`]. `device` for a waveform and for CSV, which do not
    /// tell.
    pub clock: Arc<str>,
    /// What makes UTC of its time stamps.
    pub utc: Option<UtcOffset>,
    /// Name of the computer.
    pub host: Option<Arc<str>>,
    /// Changes when the computer is started.
    pub boot_id: Option<Arc<str>>,
    /// Whether a time service kept its UTC right.
    pub utc_synchronised: Option<bool>,
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
    /// Which line: its place in [`Capture::lines`](crate::Capture::lines).
    pub line: usize,
    /// Which way.
    pub kind: EdgeKind,
    /// When, as the capture has it: by the clock of its segment.
    pub timestamp_ns: u64,
    /// When, on the one axis of the whole capture, which never goes back on a line.
    pub axis_ns: u64,
    /// Counts the interrupts of the whole request.
    pub seqno: u32,
    /// Counts what was queued for the line.
    pub line_seqno: u32,
    /// What was missing directly before it.
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
    /// Which chip: its place in [`Capture::chips`](crate::Capture::chips).
    pub chip: usize,
    /// Whether it is back.
    pub is_over: bool,
    /// The last time of which something is known.
    pub from_ns: Option<u64>,
    /// When it was back, if that is known.
    pub to_ns: Option<u64>,
    /// What was known of the edges before it.
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
    /// Which line.
    pub line: usize,
    /// Which of the two.
    pub state: ChatterState,
    /// When, as the capture has it.
    pub timestamp_ns: u64,
    /// When, on the axis.
    pub axis_ns: u64,
    /// Changes within the filter's window.
    pub changes: u32,
    /// Edges that were withheld while it was blocked.
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
    /// Which chip.
    pub chip: usize,
    /// The last stamp before.
    pub before_ns: u64,
    /// The first stamp after.
    pub after_ns: u64,
    /// What the clock before would have shown then.
    pub arrival_ns: u64,
}

/// The account that a segment ends with.
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
    /// Of each line, by its place.
    pub lines: Vec<(usize, LineSummary<'static>)>,
    /// Edges of which it is not known on which line they were merged.
    pub unattributed: u64,
}

/// What a user is to know of a capture: [`Display`](fmt::Display) says it, with the name of the file.
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
