//! Edges from levels. When a driver reports only that a line changed, the levels are read afterwards, and may already
//! show the next change too.

use super::EdgeDecoder;
use super::line::DeviceLine;
use super::stamp::Stamp;
use crate::backend::RawEdge;
use crate::profile::Role;

/// If a change is reported this long after the levels were read, those levels do not show it yet.
const STALE_NS: u64 = 100_000_000;

impl EdgeDecoder {
    /// The first line that changed, or may have changed, and whose level has to be read.
    pub(in super::super) fn next_changed(&self) -> Option<usize> {
        self.lines.iter().position(|line| line.changes > 0 || line.is_stale)
    }

    /// The levels in the answer of a call for levels, for the line at a place or for all lines: true for active.
    pub(in super::super) fn read_levels(
        &self,
        call: usize,
        only: Option<usize>,
        bytes: &[u8],
    ) -> Result<Vec<(usize, bool)>, String> {
        let output = &self.plan.call(call).output;
        let mut levels = Vec::new();
        output.is_answer(bytes)?;
        for (index, record) in output.records(bytes)? {
            if let Some(field) = output.field(Role::Levels) {
                let all = only.map_or(0..self.lines.len(), |place| place..place + 1);
                let its = all.filter(|&place| self.plan.lines[self.lines[place].offset.index()].is_in(Some(call)));
                levels.extend(its.filter_map(|place| Some((place, field.bit(record, self.lines[place].level_bit)?))));
                continue;
            }
            let level = output.get(Role::Level, record).unwrap_or(0) != 0;
            levels.extend(self.place_of(output, only, index, record)?.map(|place| (place, level)));
        }
        Ok(levels.into_iter().map(|(place, high)| (place, high != self.lines[place].asked.active_low)).collect())
    }

    /// Gives the edges of the lines that changed, or of the one at the place `only`, from levels read afterwards.
    pub(in super::super) fn resolve(
        &mut self,
        only: Option<usize>,
        levels: &[(usize, bool)],
        now_ns: u64,
        into: &mut Vec<RawEdge>,
    ) {
        let is_meant = |place: usize| only.is_none_or(|only| only == place);
        for &(place, active) in levels.iter().filter(|(place, _)| is_meant(*place)) {
            let line = &mut self.lines[place];
            let changes = std::mem::take(&mut line.changes);
            if changes > 0 {
                let (happened, given) = line.edges_to(active, changes, now_ns);
                for left in (0..given).rev() {
                    let first = left + 1 == given;
                    let missing = if first { happened - given } else { 0 };
                    self.emit(place, active != (left % 2 == 1), Stamp::now(now_ns).missing(missing.into()), into);
                }
            } else if std::mem::take(&mut line.is_stale)
                && line.active.replace(active).is_some_and(|before| before != active)
            {
                self.emit(place, active, Stamp::now(now_ns), into);
            }
            // A line that changed without a report gives no edge here: its report is still to come.
        }
        // If the answer does not have a line's level, the level is read again only after the next change.
        let meant = self.lines.iter_mut().enumerate().filter(|(place, _)| is_meant(*place));
        meant.for_each(|(_, line)| (line.changes, line.is_stale) = (0, false));
    }
}

impl DeviceLine {
    /// How many edges happened since the last reading, if `changes` were reported and the line has this level now; and
    /// how many of them to give. The others are missing.
    fn edges_to(&mut self, active: bool, changes: u32, now_ns: u64) -> (u32, u32) {
        let ahead = self.ahead_ns.take().is_some_and(|at_ns| now_ns.saturating_sub(at_ns) < STALE_NS);
        let sure = changes - u32::from(ahead);
        // Each edge inverts the level. So the level tells whether there were `changes` edges or one more.
        let happened = match self.active {
            None => changes,
            Some(before) if (before != active) == (sure % 2 == 1) => sure,
            Some(_) => sure + 1,
        };
        if happened > sure {
            self.ahead_ns = Some(now_ns);
        }
        (happened, happened.min(sure.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Ask;
    use crate::profile::Profile;
    use crate::{EdgeKind, Edges, LineConfig};

    const SECOND: u64 = 1_000_000_000;
    /// The second call of the profile.
    const WAIT: usize = 1;
    /// SERIAL_EV_CTS, as a wait brings it.
    const CHANGED: [u8; 4] = 0x0008_u32.to_le_bytes();

    /// The decoder of a driver that says which lines changed, and whose levels are read afterwards. It has the line
    /// CTS, inactive at time zero.
    fn decoder() -> EdgeDecoder {
        let serial = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles/serial.toml"));
        let plan = Profile::parse("serial.toml", serial).unwrap().plan().clone();
        let lines = [(0.into(), LineConfig::watch(Edges::Both))];
        let ask = Ask::new("", &lines);
        let asked = super::super::asked(&plan, &ask);
        let mut decoder = EdgeDecoder::new(plan, &ask, &asked);
        decoder.begin(&[Some(false)], 0);
        decoder
    }

    /// Reports a change of a line that has this level when it is read. Returns the edges, and how many are missing
    /// before each.
    fn change(decoder: &mut EdgeDecoder, active: bool, now_ns: u64) -> Vec<(EdgeKind, u32)> {
        let mut edges = Vec::new();
        decoder.take(Some(WAIT), None, &CHANGED, now_ns, &mut edges).unwrap();
        assert!(edges.is_empty() && decoder.wants_levels());
        decoder.resolve(None, &[(0, active)], now_ns, &mut edges);
        assert!(!decoder.wants_levels());
        edges.iter().map(|edge| (edge.kind, edge.missed.merged)).collect()
    }

    #[test]
    fn a_line_that_went_and_came_back_is_an_edge_and_one_missing() {
        let mut decoder = decoder();
        assert_eq!(change(&mut decoder, false, SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut decoder, true, 2 * SECOND), [(EdgeKind::Rising, 0)]);
    }

    #[test]
    fn a_change_that_the_levels_showed_already_is_not_reported_again() {
        let mut decoder = decoder();
        // The line changed twice and the driver has reported one change, but the levels show both.
        assert_eq!(change(&mut decoder, false, SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut decoder, false, SECOND + 1), [], "the second one is told");
        // A report that comes much later is of another change.
        assert_eq!(change(&mut decoder, false, 2 * SECOND), [(EdgeKind::Falling, 1)]);
        assert_eq!(change(&mut decoder, false, 2 * SECOND + STALE_NS), [(EdgeKind::Falling, 1)]);
    }

    #[test]
    fn a_change_reported_at_once_may_be_in_the_levels_at_the_start() {
        assert_eq!(change(&mut decoder(), false, 1), []);
        assert_eq!(change(&mut decoder(), true, 1), [(EdgeKind::Rising, 0)]);
    }
}
