//! Edges from records with a bit for each line.

use super::EdgeDecoder;
use super::stamp::Stamp;
use crate::backend::RawEdge;
use crate::profile::{Means, Role};

impl EdgeDecoder {
    /// Gives the edges of a record about the card, or about the line at the place `only`.
    pub(super) fn masks(
        &mut self,
        teller: Option<usize>,
        only: Option<usize>,
        record: &[u8],
        stamp: Stamp,
        into: &mut Vec<RawEdge>,
    ) {
        let plan = self.plan.clone();
        let told = plan.told(teller);
        let places = only.map_or(0..self.lines.len(), |place| place..place + 1);
        for place in places {
            let line = &mut self.lines[place];
            if !plan.lines[line.offset.index()].is_in(teller) {
                continue;
            }
            let (event_bit, level_bit, low) = (line.asked.event_bit, line.level_bit, line.asked.active_low);
            let event = |role| told.field(role).and_then(|field| field.bit(record, event_bit));
            let level =
                told.field(Role::Levels).and_then(|field| field.bit(record, level_bit)).map(|level| level != low);
            if plan.wait.means == Means::Level {
                if let Some(active) = level {
                    self.level(place, active, stamp, into);
                }
                continue;
            }
            match (event(Role::Changed), level) {
                (Some(false), _) => {}
                (Some(true), None) => line.changes = line.changes.saturating_add(1),
                // The record has the change and the level, both of the same moment.
                (Some(true), Some(active)) => {
                    let there_and_back = line.active == Some(active);
                    self.emit(place, active, stamp.missing(there_and_back.into()), into);
                }
                (None, _) => {
                    let (up, down) = if low { (Role::Falling, Role::Rising) } else { (Role::Rising, Role::Falling) };
                    match (event(up) == Some(true), event(down) == Some(true)) {
                        (false, false) => {}
                        (true, true) => {
                            let first = line.active != Some(true);
                            self.emit(place, first, stamp, into);
                            self.emit(place, !first, stamp, into);
                        }
                        (rose, _) => self.emit(place, rose, stamp, into),
                    }
                }
            }
        }
    }
}
