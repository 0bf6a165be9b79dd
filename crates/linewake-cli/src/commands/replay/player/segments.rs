//! Where a segment of a capture begins and ends, and where a chip is gone.

use linewake::{Clock, Gap};
use linewake_capture::{Account, Segment};

use super::{Other, PlayError, Player};
use crate::display::Printable;
use crate::exit;
use crate::sinks::sink::{Closing, Origin, View};

impl Player<'_> {
    pub(super) fn begin(&mut self, segment: &Segment) -> Result<(), PlayError> {
        self.segments += 1;
        self.is_open = true;
        // The time between two segments is not waited for, because nobody watched then.
        self.anchor = None;
        let clock = Clock::recorded(&segment.clock, segment.utc);
        let named = self.table.named(self.capture);
        let origin = Origin {
            host: segment.host.as_deref(),
            boot_id: segment.boot_id.as_deref(),
            utc_synchronised: segment.utc_synchronised,
        };
        let origin = Some(origin);
        let view = View { clock: &clock, chips: &named, began_ns: None, lines: &self.table.watched, origin };
        if self.segments == 1 {
            return Ok(self.sinks.begin(view)?);
        }
        let (accounts, tallies) = self.ledger.segment(&self.table);
        let tallies = tallies.as_deref();
        let ended = Closing { accounts: &accounts, tallies, threads: None, now_ns: None, of_last: None };
        self.sinks.next_watch(ended, view)?;
        self.ledger.begin_segment();
        if let Some(filter) = &mut self.filter {
            (0..self.table.watched.len()).for_each(|place| filter.begin(place, None));
        }
        Ok(())
    }

    /// Books the end of a segment, or of its played part.
    pub(super) fn close_segment(&mut self, account: Option<&Account>) {
        if std::mem::take(&mut self.is_open) {
            let filter = self.filter.as_ref();
            self.ledger.end_segment(&self.table, account, |place| Some(filter?.tally(place)));
        }
    }

    pub(super) fn gap(&mut self, gap: &linewake_capture::Gap) -> Result<(), PlayError> {
        let Some(request) = self.table.request(gap.chip) else { return Ok(()) };
        let chip = self.table.chips[request].name.clone();
        self.gaps += u64::from(!gap.is_over);
        let what = if gap.is_over { "was back" } else { "was gone" };
        exit::say(&format!("the chip \"{}\" {what}\n", Printable(&chip)));
        if !gap.is_over
            && let Some(filter) = &mut self.filter
        {
            let lines = self.table.watched.iter().enumerate().filter(|(_, line)| line.request == request);
            lines.for_each(|(place, _)| filter.rest(place));
            self.drain()?;
        }
        let gap = Gap::recorded(chip, gap.from_ns, gap.to_ns, gap.is_over, gap.figures);
        self.other(None, Other::Gap { request, gap })
    }
}
