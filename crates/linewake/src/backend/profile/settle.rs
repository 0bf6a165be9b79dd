//! The driver's own counters, once no more edges are wanted.

use super::link::Link;
use crate::backend::Settled;
use crate::profile::{Asked, Output, Plan, Role};
use crate::{Error, Figures};

/// What became of the edges of the lines that were asked for; `None` if the call for it is left out.
pub(super) fn settled(link: &Link, account: usize) -> Result<Option<Vec<Settled>>, Error> {
    let plan = &link.plan;
    let call = plan.call(account);
    let mut all = Vec::with_capacity(link.asked.len());
    for step in plan.steps(&[account], None, link.asked.len()) {
        let answer = link.ask(step)?;
        let Some(bytes) = answer.bytes() else { return Ok(None) };
        let asked = step.place.map_or(&link.asked[..], |place| &link.asked[place..=place]);
        let settled = read(plan, &call.output, asked, step.place.is_some(), bytes);
        all.extend(settled.map_err(|reason| link.malformed(&format!("\"{}\": {reason}", call.name)))?);
    }
    Ok(Some(all))
}

/// Reads the driver's counters of lines; `is_of_one`: they are of the one line that was asked about.
fn read(plan: &Plan, output: &Output, asked: &[Asked], is_of_one: bool, bytes: &[u8]) -> Result<Vec<Settled>, String> {
    let records: Vec<_> = output.records(bytes)?.collect();
    let number = |index: usize, record: &[u8]| {
        let by_place = || plan.lines.get(index).map(|line| line.number);
        if output.has(Role::Line) { output.get(Role::Line, record) } else { by_place() }
    };
    let settled = |line: &Asked| {
        let is_its = |(index, record): &&(usize, &[u8])| {
            (is_of_one && !output.has(Role::Line)) || number(*index, record) == Some(line.number)
        };
        let (_, record) =
            records.iter().find(is_its).ok_or_else(|| format!("it has no counters of line {}", line.number))?;
        let get = |role| output.get(role, record).unwrap_or(0);
        let figures = Figures {
            delivered: get(Role::Delivered),
            overflowed: get(Role::Overflowed),
            merged: get(Role::Merged),
            discarded: get(Role::Discarded),
        };
        Ok(Settled { figures, is_closed: figures.total() == get(Role::Happened) })
    };
    asked.iter().map(settled).collect()
}
