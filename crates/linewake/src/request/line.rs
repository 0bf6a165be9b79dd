//! A line that is watched: its level at the start, and its part of the account.

use std::sync::Arc;

use linewake_controller::protocol::{EdgeRecord, LineCounters};

use crate::backend::driver::Client;
use crate::{Edges, Error, Figures, LineAccount, Missed, Offset, Trust};

/// A line of a [`Request`](crate::Request).
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let request = chip.request().line("door").start()?;
/// assert_eq!(request.lines()[0].active_at_start, Some(false));
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchedLine {
    /// Which line.
    pub offset: Offset,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Whether it was active when the watch began: before the first edge of the stream. `None` if the line changed too
    /// fast to tell.
    pub active_at_start: Option<bool>,
    delivered: u64,
    missed: Figures,
    line_seqno: u32,
    /// The driver said something of it that cannot be.
    pub(super) contradicted: bool,
}

impl WatchedLine {
    pub(super) fn new(offset: Offset, name: Option<Arc<str>>) -> Self {
        Self {
            offset,
            name,
            active_at_start: None,
            delivered: 0,
            missed: Figures::default(),
            line_seqno: 0,
            contradicted: false,
        }
    }

    /// Books an edge. Returns what is missing before it: what the driver says, unless its numbering says more.
    pub(super) fn take(&mut self, edge: &EdgeRecord) -> Missed {
        let gap = edge.line_seqno.wrapping_sub(self.line_seqno).wrapping_sub(1);
        self.line_seqno = edge.line_seqno;
        self.contradicted |= gap != edge.overflowed;
        let missed = Missed { overflowed: edge.overflowed, merged: edge.merged };
        self.delivered += 1;
        self.missed.overflowed += u64::from(missed.overflowed);
        self.missed.merged += u64::from(missed.merged);
        missed
    }

    pub(super) fn account(&self) -> LineAccount {
        LineAccount {
            offset: self.offset,
            name: self.name.clone(),
            figures: Figures { delivered: self.delivered, ..self.missed },
            trust: if self.contradicted { Trust::None } else { Trust::AtLeast },
        }
    }

    /// The last account, by the driver's counters.
    pub(super) fn settled(&self, counters: &LineCounters) -> LineAccount {
        let mut account = self.account();
        let untaken = counters.delivered.checked_sub(self.delivered);
        let plausible = counters.is_closed()
            && counters.queued == 0
            && counters.overflowed >= self.missed.overflowed
            && counters.merged >= self.missed.merged;
        account.figures.overflowed = counters.overflowed.max(self.missed.overflowed);
        account.figures.merged = counters.merged.max(self.missed.merged);
        account.figures.discarded = counters.discarded.saturating_add(untaken.unwrap_or(0));
        account.trust = if self.contradicted || untaken.is_none() || !plausible { Trust::None } else { Trust::Exact };
        account
    }
}

/// Finds out which level each line had before the first edge that is counted for it.
pub(super) fn read_levels(client: &Client, edges: Edges, lines: &mut [WatchedLine]) -> Result<(), Error> {
    let mut before = client.counters()?;
    for _ in 0..8 {
        let values = client.values()?;
        let after = client.counters()?;
        for line in lines.iter_mut().filter(|line| line.active_at_start.is_none()) {
            let driven = after[line.offset.index()].driven;
            // Else the value may be from before or after the edges in between.
            if driven == before[line.offset.index()].driven {
                let active = values.contains(line.offset.get());
                line.active_at_start = Some(match edges {
                    Edges::Both => active != (driven % 2 == 1),
                    Edges::Rising => driven == 0 && active,
                    Edges::Falling => driven > 0 || active,
                });
            }
        }
        if lines.iter().all(|line| line.active_at_start.is_some()) {
            break;
        }
        before = after;
    }
    Ok(())
}
