//! The account: what happened to every edge, line by line, and how reliable the figures are.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

use linewake_controller::protocol::{BatchHeader, EdgeRecord};
use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::{EdgeEvent, Error, Offset};

/// How reliable a figure is.
///
/// ```
/// use linewake::Trust;
/// assert_eq!(Trust::AtLeast.as_str(), "at least");
/// assert!(Trust::None < Trust::About && Trust::About < Trust::AtLeast && Trust::AtLeast < Trust::Exact);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Not reliable: the driver's figures contradict each other.
    None,
    /// The numbers of delivered and overflowed edges are right. The number of merged edges is an estimate and may be
    /// too high or too low, as for a gpiochip on a computer with several processors. See
    /// [`Numbering::Kernel`](crate::backend::Numbering::Kernel).
    About,
    /// At least this many edges are lost; there may be more.
    #[serde(rename = "at least")]
    AtLeast,
    /// Delivered and lost edges together are all edges that happened.
    Exact,
}

names! {
    /// `none`, `about`, `at least` or `exact`, as in the record stream.
    Trust { None = "none", About = "about", AtLeast = "at least", Exact = "exact" }
}

/// Numbers of edges, by what happened to them.
///
/// ```
/// use linewake::Figures;
/// let figures = Figures { delivered: 90, overflowed: 7, merged: 2, discarded: 1 };
/// assert_eq!((figures.lost(), figures.total()), (10, 100));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Figures {
    /// Edges given to the program.
    pub delivered: u64,
    /// Edges dropped from the full queue.
    pub overflowed: u64,
    /// Edges merged before they reached the queue.
    pub merged: u64,
    /// Edges in the queue or on their way when the request ended.
    pub discarded: u64,
}

impl Figures {
    /// All edges that were not delivered.
    #[must_use]
    pub const fn lost(self) -> u64 {
        self.overflowed.saturating_add(self.merged).saturating_add(self.discarded)
    }

    /// All edges that happened, if the figures are [`Trust::Exact`].
    #[must_use]
    pub const fn total(self) -> u64 {
        self.delivered.saturating_add(self.lost())
    }

    /// Counts a delivered edge, and the edges that are missing directly before it.
    pub fn note(&mut self, edge: &EdgeEvent) {
        self.delivered += 1;
        self.overflowed += u64::from(edge.missed.overflowed);
        self.merged += u64::from(edge.missed.merged);
    }

    /// Adds other figures.
    pub fn add(&mut self, other: Self) {
        *self = self.each(other, u64::saturating_add);
    }

    /// The difference of both; no number goes below 0.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(self, other: Self, make: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            delivered: make(self.delivered, other.delivered),
            overflowed: make(self.overflowed, other.overflowed),
            merged: make(self.merged, other.merged),
            discarded: make(self.discarded, other.discarded),
        }
    }
}

/// The account of one line. See [`Account`].
///
/// ```
/// # let chip = linewake::Chip::open("sim")?;
/// let account = chip.request().all_lines().start()?.finish();
/// let worst = account.lines().iter().max_by_key(|line| line.figures.lost());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineAccount {
    /// Offset of the line.
    pub offset: Offset,
    /// Name of the line, if it has one.
    pub name: Option<Arc<str>>,
    /// The numbers of its edges.
    pub figures: Figures,
    /// How reliable the figures are.
    pub trust: Trust,
}

impl LineAccount {
    /// An account from a recording.
    ///
    /// ```
    /// use linewake::{Account, Figures, LineAccount, Trust};
    /// let figures = Figures { delivered: 2, overflowed: 1, ..Figures::default() };
    /// let door = LineAccount::recorded(5.into(), Some("door".into()), figures, Trust::AtLeast);
    /// let account = Account::recorded(vec![door], 0);
    /// assert_eq!((account.total().total(), account.trust()), (3, Trust::AtLeast));
    /// ```
    #[must_use]
    pub fn recorded(offset: Offset, name: Option<Arc<str>>, figures: Figures, trust: Trust) -> Self {
        Self { offset, name, figures, trust }
    }
}

/// What happened to every edge of a request. If it is [`Trust::Exact`], delivered + overflowed + merged + discarded =
/// all edges that happened.
///
/// ```
/// use linewake::{Chip, Trust};
/// let chip = Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").queue_size(16).start()?;
/// chip.world().toggle("door", 1000)?; // and nobody takes them
/// let account = request.finish();
/// assert_eq!((account.total().total(), account.trust()), (1000, Trust::Exact));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub(crate) lines: Vec<LineAccount>,
    pub(crate) unattributed: u64,
    pub(crate) doubt: Option<Error>,
}

impl Account {
    /// An account from a recording; see [`LineAccount::recorded`].
    #[must_use]
    pub fn recorded(lines: Vec<LineAccount>, unattributed: u64) -> Self {
        Self { lines, unattributed, doubt: None }
    }

    /// The sum of this account and a later one of the same lines.
    pub(crate) fn and(mut self, later: Self) -> Self {
        // If there are two reasons, keep the one with less trust.
        self.doubt = match (self.doubt.take(), later.doubt) {
            (Some(_), Some(worse)) if later.lines.iter().any(|line| line.trust == Trust::None) => Some(worse),
            (first, second) => first.or(second),
        };
        for (line, later) in self.lines.iter_mut().zip(later.lines) {
            line.figures.add(later.figures);
            line.trust = line.trust.min(later.trust);
        }
        self.unattributed += later.unattributed;
        self
    }

    /// The accounts of the lines, in the order of the request.
    #[must_use]
    pub fn lines(&self) -> &[LineAccount] {
        &self.lines
    }

    /// Edges that were merged before any queue and that no line counts, because their line is unknown. Not zero only if
    /// the chip numbers its interrupts and not the edges of each line, as a gpiochip does.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// The sum of all lines, and the [unattributed](Self::unattributed) edges.
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = Figures { merged: self.unattributed, ..Figures::default() };
        for line in &self.lines {
            total.add(line.figures);
        }
        total
    }

    /// The trust of the least reliable line.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.lines.iter().map(|line| line.trust).min().unwrap_or(Trust::Exact)
    }

    /// The reason why the figures of a finished request are not exact, if there is one.
    #[must_use]
    pub fn doubt(&self) -> Option<&Error> {
        self.doubt.as_ref()
    }
}

/// Counts a request's edges on their way from the driver, even after the request was dropped.
///
/// If the driver gave an edge to a wait but the request was dropped before the program took it, the driver counts it as
/// `delivered` and this counts it as `discarded`. So the driver's [`totals`](crate::Chip::totals) add up.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").start()?;
/// let tally = request.tally();
/// chip.world().toggle("door", 10)?;
/// drop(request);
/// # while !tally.is_final() { std::thread::yield_now() }
/// # while chip.totals()?[5].readers == 0 { std::thread::yield_now() }
/// let driver = chip.totals()?[5].figures;
/// assert_eq!(driver.delivered, tally.delivered() + tally.discarded());
/// assert_eq!(driver.total(), 10);
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    pub(crate) edges: Arc<EdgeCounters>,
    pub(crate) calls: Vec<overlapped::Tally>,
}

/// Edges of the batches that reached the request.
#[derive(Debug, Default)]
pub(crate) struct EdgeCounters {
    pub(crate) delivered: AtomicU64,
    pub(crate) discarded: AtomicU64,
    /// True when the request was dropped.
    pub(crate) over: AtomicBool,
}

impl Tally {
    /// Edges that the program took.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.edges.delivered.load(Relaxed)
    }

    /// Edges that were on their way and that the program did not take.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        let records = self.calls.iter().map(|calls| {
            let headers = calls.discarded_calls() * size_of::<BatchHeader>() as u64;
            calls.discarded_bytes().saturating_sub(headers) / size_of::<EdgeRecord>() as u64
        });
        self.edges.discarded.load(Relaxed) + records.sum::<u64>()
    }

    /// True when the numbers can no longer change: the request was dropped, and the driver has finished all its calls.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.edges.over.load(Acquire) && self.calls.iter().all(|calls| calls.calls_in_flight() == 0)
    }
}

/// The driver's counts for one line, over all closed readers. See [`Chip::totals`](crate::Chip::totals).
///
/// ```
/// let chip = linewake::Chip::options().life(false).open("sim")?;
/// chip.world().toggle("door", 3)?; // nobody watches
/// let door = &chip.totals()?[5];
/// assert_eq!((door.changes, door.figures.total()), (3, 0));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineTotals {
    /// Offset of the line.
    pub offset: Offset,
    /// How many readers of the line were closed.
    pub readers: u32,
    /// How often the level changed, watched or not.
    pub changes: u64,
    /// The figures of the edges that those readers watched. Edges that were given to a wait count as delivered.
    pub figures: Figures,
}
