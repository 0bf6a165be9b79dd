//! The account: what became of every edge, line by line, and how far the figures can be trusted.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

use linewake_controller::protocol::{BatchHeader, EdgeRecord};

use crate::{EdgeEvent, Error, Offset};

/// How far a figure can be trusted.
///
/// ```
/// use linewake::Trust;
/// assert_eq!(Trust::AtLeast.as_str(), "at least");
/// assert!(Trust::None < Trust::About && Trust::About < Trust::AtLeast && Trust::AtLeast < Trust::Exact);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Not at all: the driver contradicts itself.
    None,
    /// What is delivered and what is said to be overflowed is so. What is said to be merged is concluded from evidence that
    /// may mislead either way: of a gpiochip's edges, on a machine of several processors. See
    /// [`Numbering::Kernel`](crate::backend::Numbering::Kernel).
    About,
    /// What is said to be lost is lost; there may be more.
    AtLeast,
    /// Delivered and lost together are what happened.
    Exact,
}

impl Trust {
    /// `none`, `about`, `at least` or `exact`, as in the record stream.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::About => "about",
            Self::AtLeast => "at least",
            Self::Exact => "exact",
        }
    }
}

/// Edges, by what became of them.
///
/// ```
/// use linewake::Figures;
/// let figures = Figures { delivered: 90, overflowed: 7, merged: 2, discarded: 1 };
/// assert_eq!((figures.lost(), figures.total()), (10, 100));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Figures {
    /// Given to the program.
    pub delivered: u64,
    /// Dropped from the full queue.
    pub overflowed: u64,
    /// Merged before the queue.
    pub merged: u64,
    /// Queued, or on the way, when the request ended.
    pub discarded: u64,
}

impl Figures {
    /// What was not delivered.
    #[must_use]
    pub const fn lost(self) -> u64 {
        self.overflowed.saturating_add(self.merged).saturating_add(self.discarded)
    }

    /// What happened, if the figures are [`Trust::Exact`].
    #[must_use]
    pub const fn total(self) -> u64 {
        self.delivered.saturating_add(self.lost())
    }

    /// An edge was delivered, and those directly before it were not.
    pub fn note(&mut self, edge: &EdgeEvent) {
        self.delivered += 1;
        self.overflowed += u64::from(edge.missed.overflowed);
        self.merged += u64::from(edge.missed.merged);
    }

    /// With others.
    pub fn add(&mut self, other: Self) {
        *self = self.each(other, u64::saturating_add);
    }

    /// What is left without others.
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
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// What became of its edges.
    pub figures: Figures,
    /// How far that can be trusted.
    pub trust: Trust,
}

impl LineAccount {
    /// One that was recorded.
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

/// What became of every edge of a request: delivered + overflowed + merged + discarded = happened, where it is
/// [`Trust::Exact`].
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
    /// One that was recorded; see [`LineAccount::recorded`].
    #[must_use]
    pub fn recorded(lines: Vec<LineAccount>, unattributed: u64) -> Self {
        Self { lines, unattributed, doubt: None }
    }

    /// This account, and one of the same lines from later on.
    pub(crate) fn and(mut self, later: Self) -> Self {
        // Of two reasons, that for which it is trusted least.
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

    /// Line by line, in the order they were asked for.
    #[must_use]
    pub fn lines(&self) -> &[LineAccount] {
        &self.lines
    }

    /// Edges that were merged before any queue, beside those booked on a line: it is known that they happened, and not on
    /// which of the lines. Only where the chip numbers interrupts and not lines, as a gpiochip does.
    #[must_use]
    pub fn unattributed(&self) -> u64 {
        self.unattributed
    }

    /// All lines together, with what is [unattributed](Self::unattributed).
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = Figures { merged: self.unattributed, ..Figures::default() };
        for line in &self.lines {
            total.add(line.figures);
        }
        total
    }

    /// How far the least trusted line can be trusted.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.lines.iter().map(|line| line.trust).min().unwrap_or(Trust::Exact)
    }

    /// Why the figures of a finished request are not exact, when they are not.
    #[must_use]
    pub fn doubt(&self) -> Option<&Error> {
        self.doubt.as_ref()
    }
}

/// What became of a request's edges on their way from the driver, also after the request was dropped.
///
/// An edge that the driver gave to a wait, and that no program took because the request was dropped, is `delivered` to the
/// driver and `discarded` here. With it the driver's [`totals`](crate::Chip::totals) add up.
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
    /// The request is gone.
    pub(crate) over: AtomicBool,
}

impl Tally {
    /// Edges the program took.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.edges.delivered.load(Relaxed)
    }

    /// Edges that were on their way and that nobody took.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        let records = self.calls.iter().map(|calls| {
            let headers = calls.discarded_calls() * size_of::<BatchHeader>() as u64;
            calls.discarded_bytes().saturating_sub(headers) / size_of::<EdgeRecord>() as u64
        });
        self.edges.discarded.load(Relaxed) + records.sum::<u64>()
    }

    /// Whether the request is gone and the driver has given back what it had of it: nothing changes any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.edges.over.load(Acquire) && self.calls.iter().all(|calls| calls.calls_in_flight() == 0)
    }
}

/// What the driver says of one of its lines, over all readers that were closed. See [`Chip::totals`](crate::Chip::totals).
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
    /// Which line.
    pub offset: Offset,
    /// How many readers that ever held it were closed.
    pub readers: u32,
    /// How often its level changed, watched or not.
    pub changes: u64,
    /// What became of the edges those readers watched. Delivered are those that were given to a wait.
    pub figures: Figures,
}
