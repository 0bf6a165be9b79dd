//! The time and the numbers of a record: the stamp of its edge, and gaps that show missing edges.

use super::EdgeDecoder;
use super::stamp::Stamp;
use crate::Missed;
use crate::profile::{Field, Output, Role};

impl EdgeDecoder {
    /// Counts the edges that are missing before a record, if a gap in its number shows them. The gap does not name a
    /// line.
    pub(super) fn number(&mut self, told: &Output, at: Option<usize>, record: &[u8]) -> Result<(), String> {
        let Some(field) = told.field(Role::Seqno).filter(|_| self.numbers_all) else { return Ok(()) };
        let Some((number, last)) = field.number(record).zip(at.and_then(|at| self.numbers.get_mut(at))) else {
            return Ok(());
        };
        let Some(last) = last.replace(number) else { return Ok(()) };
        let gap = gap(field, last, number).ok_or_else(|| format!("its numbers go back, from {last} to {number}"))?;
        self.unattributed = self.unattributed.saturating_add(gap);
        Ok(())
    }

    /// The stamp of a record. `at` is the place of its call among those that report edges.
    pub(super) fn stamp(&mut self, told: &Output, at: Option<usize>, record: &[u8], now_ns: u64) -> Stamp {
        let number = |role| told.get(role, record).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Stamp {
            timestamp_ns: self.time(told, at, record, now_ns).unwrap_or(now_ns),
            seqno: told.get(Role::Seqno, record).unwrap_or(0) as u32,
            line_seqno: told.get(Role::LineSeqno, record).map(|number| number as u32),
            missed: Missed {
                overflowed: number(Role::Overflowed).unwrap_or(0),
                merged: number(Role::Merged).unwrap_or(0),
            },
        }
    }

    /// The time of a record, in nanoseconds of the device's clock.
    fn time(&mut self, told: &Output, at: Option<usize>, record: &[u8], now_ns: u64) -> Option<u64> {
        let field = told.field(Role::Timestamp)?;
        let ticks = field.number(record)?;
        if let Some((part, tick)) = &told.fraction {
            return Some(told.tick.ns(ticks).saturating_add(tick.ns(part.number(record)?)));
        }
        let last = self.times.get_mut(at?)?;
        let ticks = match *last {
            Some((before, came_ns)) => {
                unwrapped(before, ticks, field.greatest(), told.tick.ticks(now_ns.saturating_sub(came_ns)))
            }
            None => ticks,
        };
        *last = Some((ticks, now_ns));
        Some(told.tick.ns(ticks))
    }

    /// Adds to the stamp what the numbers of the line show to be missing before a record.
    pub(super) fn line_number(
        &mut self,
        told: &Output,
        place: usize,
        record: &[u8],
        stamp: &mut Stamp,
    ) -> Result<(), String> {
        if let Some(field) = told.field(Role::LineSeqno)
            && let Some(number) = field.number(record)
            && let Some(last) = self.lines[place].last.replace(number)
            && !self.rules.is_told
        {
            let offset = self.lines[place].offset;
            let gap = gap(field, last, number)
                .ok_or_else(|| format!("the numbers of line {offset} go back, from {last} to {number}"))?;
            let gap = u32::try_from(gap).unwrap_or(u32::MAX);
            stamp.missed.overflowed = stamp.missed.overflowed.saturating_add(gap);
        }
        Ok(())
    }
}

/// How many numbers are missing between two records that follow each other. `None` if the numbers go back.
fn gap(field: &Field, last: u64, number: u64) -> Option<u64> {
    let gap = number.wrapping_sub(last).wrapping_sub(1) & field.greatest();
    (gap <= field.greatest() / 2).then_some(gap)
}

/// Extends the reading of a counter that wraps to a value that does not. Of the possible values it takes the nearest to
/// the one that the time since the last reading suggests.
fn unwrapped(before: u64, reading: u64, greatest: u64, passed: u64) -> u64 {
    let Some(period) = greatest.checked_add(1) else { return reading };
    let (period, ahead) = (i128::from(period), i128::from(reading.wrapping_sub(before) & greatest));
    let periods = (i128::from(passed) - ahead + period / 2).div_euclid(period);
    u64::try_from(i128::from(before) + ahead + periods * period).unwrap_or(reading)
}
