//! What became of the edges of a capture: as it says itself, and as far as it was played.

use linewake::filter::FilterTally;
use linewake::record::{AccountTrust, FilterSummary};
use linewake::{Account, EdgeEvent, Figures, LineAccount, Trust};
use linewake_capture::Account as Recorded;

use super::roll::Roll;

/// Line by line.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    lines: Vec<Line>,
    /// Of the segments that are over: edges of which it is not known on which line they were merged.
    unattributed: u64,
    of_segment: u64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Of the segments that are over.
    before: Book,
    /// Of this segment.
    now: Book,
    /// What the filter that is at work now had made of edges before this segment.
    filtered_before: FilterTally,
}

#[derive(Clone, Copy, Debug)]
struct Book {
    figures: Figures,
    trust: Trust,
    /// What a filter had made of the edges when they were recorded, and then one here.
    filter: Option<FilterTally>,
}

impl Default for Book {
    fn default() -> Self {
        Self { figures: Figures::default(), trust: Trust::Exact, filter: None }
    }
}

impl Book {
    /// Of a line without a filter all edges passed.
    fn tally(&self) -> FilterTally {
        let delivered = self.figures.delivered;
        self.filter.unwrap_or(FilterTally { delivered, passed: delivered, ..FilterTally::default() })
    }

    fn add(&mut self, other: Self) {
        let before = self.tally();
        let (figures, more) = (&mut self.figures, other.figures);
        figures.delivered = figures.delivered.saturating_add(more.delivered);
        figures.overflowed = figures.overflowed.saturating_add(more.overflowed);
        figures.merged = figures.merged.saturating_add(more.merged);
        figures.discarded = figures.discarded.saturating_add(more.discarded);
        self.trust = self.trust.min(other.trust);
        self.filter = match (self.filter, other.filter) {
            (None, None) => None,
            (one, two) => Some(sum(one.unwrap_or(before), two.unwrap_or_else(|| other.tally()))),
        };
    }
}

/// Accounts, and what filters made of the edges of each line, if there are any.
pub(super) type Closed = (Vec<(String, Account)>, Option<Vec<FilterTally>>);

impl Ledger {
    pub(super) fn add_line(&mut self) {
        let (before, now) = (Book::default(), Book::default());
        self.lines.push(Line { before, now, filtered_before: FilterTally::default() });
    }

    /// An edge of the capture, before any filter.
    #[inline]
    pub(super) fn edge(&mut self, place: usize, edge: &EdgeEvent) {
        let figures = &mut self.lines[place].now.figures;
        figures.delivered += 1;
        figures.overflowed += u64::from(edge.missed.overflowed);
        figures.merged += u64::from(edge.missed.merged);
    }

    /// The segment is over, or what is played of it. `filtered` is what a filter made of a line's edges so far.
    pub(super) fn end_segment(
        &mut self,
        roll: &Roll,
        recorded: Option<&Recorded>,
        filtered: impl Fn(usize) -> Option<FilterTally>,
    ) {
        for (place, line) in self.lines.iter_mut().enumerate() {
            if let Some(tally) = filtered(place) {
                line.now.filter = Some(less(tally, line.filtered_before));
                // Its filter begins anew, and what it held is filtered then.
                line.filtered_before = FilterTally { filtered: tally.filtered + tally.held, held: 0, ..tally };
            }
            if recorded.is_none() {
                // Nobody says what was lost behind the last edge.
                line.now.trust = Trust::AtLeast;
            }
        }
        self.of_segment = recorded.map_or(0, |recorded| recorded.unattributed);
        for (line, summary) in recorded.map_or(&[][..], |recorded| &recorded.lines) {
            let Some(place) = roll.place(*line) else { continue };
            let Book { figures, trust, filter } = &mut self.lines[place].now;
            let played = figures.delivered;
            if played > summary.delivered && summary.filter.is_none() {
                // It is of another watch, which wrote to the same file at the same time.
                *trust = Trust::AtLeast;
                continue;
            }
            *figures = Figures {
                delivered: summary.delivered,
                overflowed: summary.overflowed,
                merged: summary.merged,
                discarded: summary.discarded,
            };
            *trust = match summary.account {
                AccountTrust::Exact => Trust::Exact,
                AccountTrust::AtLeast => Trust::AtLeast,
                AccountTrust::About => Trust::About,
                AccountTrust::None => Trust::None,
            };
            if let Some(then) = summary.filter {
                let FilterSummary { filtered, held, blocks, .. } = then;
                let passed =
                    filter.unwrap_or(FilterTally { delivered: played, passed: played, ..FilterTally::default() });
                let delivered = filtered.saturating_add(held);
                let then = FilterTally { delivered, passed: 0, filtered, held, missed: 0, blocks };
                *filter = Some(sum(passed, then));
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

    /// Of the last segment.
    pub(super) fn segment(&self, roll: &Roll) -> Closed {
        closed(roll, self.lines.iter().map(|line| line.now), self.of_segment)
    }

    /// Of all.
    pub(super) fn all(&self, roll: &Roll) -> Closed {
        let lines = self.lines.iter().map(|line| {
            let mut book = line.before;
            book.add(line.now);
            book
        });
        closed(roll, lines, self.unattributed.saturating_add(self.of_segment))
    }
}

fn closed(roll: &Roll, books: impl Iterator<Item = Book>, unattributed: u64) -> Closed {
    let books: Vec<_> = books.collect();
    let of_request = |request: usize| {
        let lines = roll.watched.iter().zip(&books).filter(move |(line, _)| line.request == request);
        lines.map(|(line, book)| (line.offset, line.name.clone(), *book))
    };
    let requests = 0..roll.chips.len();
    let has_filters = books.iter().any(|book| book.filter.is_some());
    let tallies = requests.clone().flat_map(|request| of_request(request).map(|(_, _, book)| book.tally())).collect();
    let accounts = requests.map(|request| {
        let lines = of_request(request)
            .map(|(offset, name, book)| LineAccount::recorded(offset.into(), name, book.figures, book.trust));
        // It is not known of which chip they were.
        let unattributed = if request == 0 { unattributed } else { 0 };
        (roll.chips[request].name.to_string(), Account::recorded(lines.collect(), unattributed))
    });
    (accounts.collect(), has_filters.then_some(tallies))
}

fn sum(one: FilterTally, other: FilterTally) -> FilterTally {
    each(one, other, u64::saturating_add)
}

fn less(one: FilterTally, other: FilterTally) -> FilterTally {
    each(one, other, u64::saturating_sub)
}

fn each(one: FilterTally, other: FilterTally, make: impl Fn(u64, u64) -> u64) -> FilterTally {
    FilterTally {
        delivered: make(one.delivered, other.delivered),
        passed: make(one.passed, other.passed),
        filtered: make(one.filtered, other.filtered),
        held: make(one.held, other.held),
        missed: make(one.missed, other.missed),
        blocks: make(one.blocks, other.blocks),
    }
}
