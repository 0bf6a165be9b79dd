//! The account of a capture: what the capture states, and what was played.

use linewake::filter::FilterTally;
use linewake::record::FilterSummary;
use linewake::{Account, EdgeEvent, Figures, LineAccount, Trust};
use linewake_capture::Account as Recorded;

use super::lines::LineTable;

/// The books of all lines.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lines: Vec<LineBooks>,
    /// Merged edges of finished segments for which the line is not known.
    unattributed: u64,
    of_segment: u64,
}

#[derive(Clone, Copy, Debug)]
struct LineBooks {
    /// The finished segments.
    before: Book,
    /// The present segment.
    now: Book,
    /// The figures of today's filter at the beginning of the segment.
    filtered_before: FilterTally,
}

#[derive(Clone, Copy, Debug)]
struct Book {
    figures: Figures,
    trust: Trust,
    /// The figures of the filter that was used when recording, and of today's filter.
    filter: Option<FilterTally>,
}

impl Default for Book {
    fn default() -> Self {
        Self { figures: Figures::default(), trust: Trust::Exact, filter: None }
    }
}

impl Book {
    /// Without a filter, all edges passed.
    fn tally(&self) -> FilterTally {
        let delivered = self.figures.delivered;
        self.filter.unwrap_or(FilterTally { delivered, passed: delivered, ..FilterTally::default() })
    }

    fn add(&mut self, other: Self) {
        let before = self.tally();
        self.figures.add(other.figures);
        self.trust = self.trust.min(other.trust);
        self.filter = match (self.filter, other.filter) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or(before).and(two.unwrap_or_else(|| other.tally()))),
        };
    }
}

/// The account of each chip, and the figures of the filter of each line, if there are filters.
pub(super) type Closed = (Vec<(String, Account)>, Option<Vec<FilterTally>>);

impl Ledger {
    pub(super) fn add_line(&mut self) {
        let (before, now) = (Book::default(), Book::default());
        self.lines.push(LineBooks { before, now, filtered_before: FilterTally::default() });
    }

    /// Books an edge of the capture, before any filter.
    #[inline]
    pub(super) fn edge(&mut self, place: usize, edge: &EdgeEvent) {
        self.lines[place].now.figures.note(edge);
    }

    /// A segment ends, or its played part does. `filtered` gives the figures of today's filter of a line so far.
    pub(super) fn end_segment(
        &mut self,
        table: &LineTable,
        recorded: Option<&Recorded>,
        filtered: impl Fn(usize) -> Option<FilterTally>,
    ) {
        for (place, line) in self.lines.iter_mut().enumerate() {
            if let Some(tally) = filtered(place) {
                line.now.filter = Some(tally.less(line.filtered_before));
                // The filter begins anew, and counts the edges that it held as filtered.
                line.filtered_before = FilterTally { filtered: tally.filtered + tally.held, held: 0, ..tally };
            }
            if recorded.is_none() {
                // The number of edges that were lost after the last one is unknown.
                line.now.trust = Trust::AtLeast;
            }
        }
        self.of_segment = recorded.map_or(0, |recorded| recorded.unattributed);
        for (line, summary) in recorded.map_or(&[][..], |recorded| &recorded.lines) {
            let Some(place) = table.place(*line) else { continue };
            let Book { figures, trust, filter } = &mut self.lines[place].now;
            let played = figures.delivered;
            if played > summary.delivered && summary.filter.is_none() {
                // The account belongs to another watch, which wrote to the same file at the same time.
                *trust = Trust::AtLeast;
                continue;
            }
            *figures = Figures {
                delivered: summary.delivered,
                overflowed: summary.overflowed,
                merged: summary.merged,
                discarded: summary.discarded,
            };
            *trust = summary.account;
            if let Some(then) = summary.filter {
                let FilterSummary { filtered, held, blocks, .. } = then;
                let passed =
                    filter.unwrap_or(FilterTally { delivered: played, passed: played, ..FilterTally::default() });
                let delivered = filtered.saturating_add(held);
                let then = FilterTally { delivered, passed: 0, filtered, held, missed: 0, blocks };
                *filter = Some(passed.and(then));
            }
        }
    }

    /// Another segment begins.
    pub(super) fn begin_segment(&mut self) {
        for line in &mut self.lines {
            line.before.add(std::mem::take(&mut line.now));
        }
        self.unattributed = self.unattributed.saturating_add(std::mem::take(&mut self.of_segment));
    }

    /// The account of the last segment.
    pub(super) fn segment(&self, table: &LineTable) -> Closed {
        closed(table, self.lines.iter().map(|line| line.now), self.of_segment)
    }

    /// The account of all segments.
    pub(super) fn all(&self, table: &LineTable) -> Closed {
        let lines = self.lines.iter().map(|line| {
            let mut book = line.before;
            book.add(line.now);
            book
        });
        closed(table, lines, self.unattributed.saturating_add(self.of_segment))
    }
}

fn closed(table: &LineTable, books: impl Iterator<Item = Book>, unattributed: u64) -> Closed {
    let mut accounts: Vec<_> = table.chips.iter().map(|chip| (chip.name.to_string(), Vec::new(), Vec::new())).collect();
    let mut has_filters = false;
    for (line, book) in table.watched.iter().zip(books) {
        has_filters |= book.filter.is_some();
        let (_, lines, tallies) = &mut accounts[line.request];
        lines.push(LineAccount::recorded(line.offset.into(), line.name.clone(), book.figures, book.trust));
        tallies.push(book.tally());
    }
    let mut all_tallies = Vec::new();
    let accounts = accounts.into_iter().enumerate().map(|(request, (chip, lines, tallies))| {
        all_tallies.extend(tallies);
        // Their chip is not known.
        (chip, Account::recorded(lines, if request == 0 { unattributed } else { 0 }))
    });
    (accounts.collect(), has_filters.then_some(all_tallies))
}
