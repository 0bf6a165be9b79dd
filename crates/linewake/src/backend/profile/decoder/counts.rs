//! Edges from counters of a line's edges.

use super::EdgeDecoder;
use super::stamp::Stamp;
use crate::EdgeKind;
use crate::backend::RawEdge;
use crate::profile::{Output, Role, Since};

impl EdgeDecoder {
    /// Gives one edge for a count of new edges, and counts the others as missing before it.
    pub(super) fn count(
        &mut self,
        told: &Output,
        place: usize,
        record: &[u8],
        stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) -> Result<(), String> {
        let Some(field) = told.field(Role::Count) else { return Ok(()) };
        let Some(count) = field.number(record) else { return Ok(()) };
        let line = &mut self.lines[place];
        let level = told.get(Role::Level, record).map(|level| level != 0);
        let level = level.or_else(|| told.field(Role::Levels)?.bit(record, line.level_bit));
        let level = level.map(|level| level != line.asked.active_low);
        let new = match (told.since, line.count.replace(count)) {
            (Since::Last, _) => count,
            (Since::Start | Since::Open, Some(last)) => {
                let new = count.wrapping_sub(last) & field.greatest();
                // More than half the range between two readings means that the counter was reset. A counter of less
                // than 16 bits may really count that far.
                if field.greatest() >= 0xffff && new > field.greatest() / 2 {
                    return Err(format!("the count of line {} goes back, from {last} to {count}", line.offset));
                }
                new
            }
            // The report came because of one edge. The others in the count may be older than the request.
            (Since::Start, None) if told.first_is_edge => 1,
            // The counter ran before the request, so its first reading does not tell when the edges came.
            (Since::Start | Since::Open, None) => {
                line.active = level.or(line.active);
                return Ok(());
            }
        };
        if new == 0 {
            return Ok(());
        }
        let fixed = self.plan.wait.edge.map(|edge| (edge == EdgeKind::Rising) != line.asked.active_low);
        let by_parity = line.active.map(|active| active != (new % 2 == 1));
        if let Some(active) = fixed.or(level).or(by_parity) {
            self.emit(place, active, stamp.missing(new - 1), into);
        }
        Ok(())
    }
}
