//! Chatter: a line that changes too often is blocked, and said to be.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{ChatterLimit, FilterEvent, nanoseconds};
use crate::{EdgeEvent, EdgeKind, Missed, Offset};

/// A line was blocked for changing too often, or is listened to again. See [`ChatterLimit`].
///
/// ```
/// use linewake::Chip;
/// use linewake::filter::{ChatterKind, FilterEvent};
/// let chip = Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("tamper").queue_size(128).start()?.filtered("chatter=10/100ms".parse()?)?;
/// chip.world().toggle("tamper", 100)?;
/// let events: Vec<_> = (0..12).map_while(|_| edges.wait_next()).collect::<Result<_, _>>()?;
/// let FilterEvent::Chatter(blocked) = &events[10] else { panic!("ten edges, and then") };
/// assert_eq!((blocked.kind, blocked.changes), (ChatterKind::Blocked, 11));
/// let FilterEvent::Chatter(unblocked) = &events[11] else { panic!("a tenth of a second later") };
/// assert_eq!((unblocked.kind, unblocked.withheld), (ChatterKind::Unblocked, 90));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatterEvent {
    /// Name of the chip.
    pub chip: Arc<str>,
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Which of the two.
    pub kind: ChatterKind,
    /// When, in nanoseconds of the chip's clock: the stamp of the edge that was one too many, or when the line had calmed
    /// down.
    pub timestamp_ns: u64,
    /// The same on the axis of the edges' [`axis_ns`](EdgeEvent::axis_ns).
    pub axis_ns: u64,
    /// Changes within the window at that time.
    pub changes: u32,
    /// Edges that were withheld while it was blocked. If the last of them passes after all, it is the next event.
    pub withheld: u64,
}

impl ChatterEvent {
    /// One that was recorded, of a line whose filter did its work then.
    ///
    /// ```
    /// use linewake::filter::{ChatterEvent, ChatterKind};
    /// let event = ChatterEvent::recorded("gpiochip0".into(), 5.into(), None, ChatterKind::Unblocked, [9, 9], (50, 90));
    /// assert_eq!((event.changes, event.withheld), (50, 90));
    /// ```
    #[must_use]
    pub fn recorded(
        chip: Arc<str>,
        offset: Offset,
        name: Option<Arc<str>>,
        kind: ChatterKind,
        [timestamp_ns, axis_ns]: [u64; 2],
        (changes, withheld): (u32, u64),
    ) -> Self {
        Self { chip, offset, name, kind, timestamp_ns, axis_ns, changes, withheld }
    }
}

/// Which way the blocking goes.
///
/// ```
/// assert_eq!(linewake::filter::ChatterKind::Blocked.as_str(), "blocked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatterKind {
    /// It changes too often; nothing of it passes.
    Blocked,
    /// It is listened to again.
    Unblocked,
}

impl ChatterKind {
    /// `blocked` or `unblocked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
        }
    }
}

/// How often a line changed of late.
#[derive(Debug)]
pub(super) struct Chatter {
    changes: usize,
    resume: usize,
    window_ns: u64,
    has_levels: bool,
    /// When it changed, oldest first: as many as would be too many, at most.
    recent: VecDeque<u64>,
    /// The level of the last edge that passed.
    active: Option<bool>,
    /// While it is blocked: the last edge that came.
    held: Option<EdgeEvent>,
    withheld: u64,
    carry: Missed,
    pub(super) blocks: u64,
}

impl Chatter {
    pub(super) fn new(limit: ChatterLimit, has_levels: bool, active: Option<bool>) -> Self {
        let changes = limit.changes as usize;
        Self {
            changes,
            resume: limit.resume as usize,
            window_ns: nanoseconds(limit.window),
            has_levels,
            recent: VecDeque::with_capacity(changes + 1),
            active,
            held: None,
            withheld: 0,
            carry: Missed::default(),
            blocks: 0,
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.held.is_some()
    }

    /// An edge at `now_ns`.
    pub(super) fn push(&mut self, edge: EdgeEvent, now_ns: u64) -> Option<FilterEvent> {
        // One that came after time had passed without it counts as of then.
        let now_ns = self.recent.back().map_or(now_ns, |&latest| now_ns.max(latest));
        self.forget_until(now_ns);
        let too_many = self.changes + 1;
        let changes = usize::try_from(edge.missed.total()).unwrap_or(too_many).saturating_add(1).min(too_many);
        for _ in 0..changes {
            if self.recent.len() == too_many {
                self.recent.pop_front();
            }
            self.recent.push_back(now_ns);
        }
        let was_blocked = self.is_blocked();
        if !was_blocked && self.recent.len() <= self.changes {
            return Some(FilterEvent::Edge(self.pass(edge)));
        }
        self.withheld += 1;
        let event = (!was_blocked).then(|| {
            self.blocks += 1;
            FilterEvent::Chatter(self.event(&edge, ChatterKind::Blocked, edge.axis_ns))
        });
        if let Some(before) = self.held.replace(edge) {
            self.carry = self.carry.and(before.missed);
        }
        event
    }

    /// When it is unblocked, unless it goes on.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.held.as_ref()?;
        let last_to_go = self.recent.len().checked_sub(self.resume + 1)?;
        Some(self.recent[last_to_go].saturating_add(self.window_ns))
    }

    /// It is due. `axis_ns` is the same moment on the edges' axis.
    pub(super) fn unblock(&mut self, now_ns: u64, axis_ns: u64, into: &mut VecDeque<FilterEvent>) {
        let Some(edge) = self.held.take() else {
            return;
        };
        self.forget_until(now_ns);
        into.push_back(FilterEvent::Chatter(self.event(&edge, ChatterKind::Unblocked, axis_ns)));
        self.withheld = 0;
        if self.has_levels && self.active != Some(edge.kind == EdgeKind::Rising) {
            into.push_back(FilterEvent::Edge(self.pass(edge)));
        } else {
            self.carry = self.carry.and(edge.missed);
        }
    }

    fn forget_until(&mut self, now_ns: u64) {
        while self.recent.front().is_some_and(|&at_ns| now_ns.saturating_sub(at_ns) >= self.window_ns) {
            self.recent.pop_front();
        }
    }

    fn pass(&mut self, mut edge: EdgeEvent) -> EdgeEvent {
        self.active = Some(edge.kind == EdgeKind::Rising);
        edge.missed = std::mem::take(&mut self.carry).and(edge.missed);
        edge
    }

    fn event(&self, edge: &EdgeEvent, kind: ChatterKind, axis_ns: u64) -> ChatterEvent {
        // As the clock shows it since it last stepped.
        let timestamp_ns = i128::from(axis_ns) + i128::from(edge.timestamp_ns) - i128::from(edge.axis_ns);
        ChatterEvent {
            chip: edge.chip.clone(),
            offset: edge.offset,
            name: edge.name.clone(),
            kind,
            timestamp_ns: u64::try_from(timestamp_ns.max(0)).unwrap_or(u64::MAX),
            axis_ns,
            changes: u32::try_from(self.recent.len()).unwrap_or(u32::MAX),
            withheld: if kind == ChatterKind::Unblocked { self.withheld } else { 0 },
        }
    }
}
