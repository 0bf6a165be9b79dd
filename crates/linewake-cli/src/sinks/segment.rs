//! The account of a segment: the part of a watch that is in one file.

use std::collections::HashMap;

use linewake::record::{FilterSummary, Summary};
use linewake::{EdgeEvent, Figures};

use super::select::OutputLine;
use super::sink::Closing;

/// The figures of this file, and of the files before it.
#[derive(Default)]
pub(super) struct Segment {
    lines: Vec<LineFigures>,
    /// The place of each line, by its request and offset.
    places: HashMap<(usize, u32), usize>,
    /// Unattributed edges in the summaries of the files before.
    unattributed: u64,
}

#[derive(Default)]
struct LineFigures {
    /// The figures of this file.
    here: Figures,
    /// The sum of the summaries of the files before.
    before: Figures,
    filtered_before: FilterSummary,
}

impl Segment {
    /// Begins another file.
    pub(super) fn begin(&mut self, lines: &[OutputLine]) {
        if self.lines.is_empty() {
            let places = lines.iter().enumerate().map(|(at, line)| ((line.request, line.offset), at));
            self.places = places.collect();
            self.lines.resize_with(lines.len(), LineFigures::default);
        }
    }

    #[inline]
    pub(super) fn note(&mut self, line: usize, edge: &EdgeEvent) {
        if let Some(LineFigures { here, .. }) = self.lines.get_mut(line) {
            here.note(edge);
        }
    }

    /// The summary of the file so far. Edges that a monitor or a filter still holds belong to the next file.
    pub(super) fn so_far<'a>(&mut self, closing: Closing<'a>) -> Summary<'a> {
        let mut summary = summary(closing);
        for ((request, account), of_line) in closing.lines().zip(&mut summary.lines) {
            let Some(line) = self.line((request, account.offset.get())) else { continue };
            let here = std::mem::take(&mut line.here);
            (of_line.delivered, of_line.overflowed, of_line.merged) = (here.delivered, here.overflowed, here.merged);
            of_line.discarded = 0;
            if let Some(filter) = &mut of_line.filter {
                let before = std::mem::replace(&mut line.filtered_before, *filter);
                line.filtered_before.held = 0;
                filter.passed -= before.passed.min(filter.passed);
                filter.filtered -= before.filtered.min(filter.filtered);
                filter.blocks -= before.blocks.min(filter.blocks);
                filter.held = 0;
                of_line.delivered = filter.passed + filter.filtered;
            }
            line.before.delivered += of_line.delivered;
            line.before.overflowed += of_line.overflowed;
            line.before.merged += of_line.merged;
        }
        let unattributed = summary.unattributed;
        summary.unattributed -= self.unattributed.min(unattributed);
        self.unattributed = unattributed;
        summary
    }

    /// The summary of the last file: the whole account without the files before.
    pub(super) fn last<'a>(&mut self, closing: Closing<'a>) -> Summary<'a> {
        let mut summary = summary(closing);
        for ((request, account), of_line) in closing.lines().zip(&mut summary.lines) {
            let Some(line) = self.line((request, account.offset.get())) else { continue };
            let less = |figure: &mut u64, before: u64| *figure = figure.saturating_sub(before);
            less(&mut of_line.delivered, line.before.delivered);
            less(&mut of_line.overflowed, line.before.overflowed);
            less(&mut of_line.merged, line.before.merged);
            if let Some(filter) = &mut of_line.filter {
                less(&mut filter.passed, line.filtered_before.passed);
                less(&mut filter.filtered, line.filtered_before.filtered);
                less(&mut filter.blocks, line.filtered_before.blocks);
            }
        }
        summary.unattributed = summary.unattributed.saturating_sub(self.unattributed);
        summary
    }

    fn line(&mut self, of: (usize, u32)) -> Option<&mut LineFigures> {
        self.lines.get_mut(*self.places.get(&of)?)
    }
}

fn summary(closing: Closing<'_>) -> Summary<'_> {
    let accounts = closing.accounts.iter().map(|(chip, account)| (&**chip, account));
    Summary::new(accounts, closing.threads).with_filters(closing.tallies.unwrap_or_default().iter().copied())
}
