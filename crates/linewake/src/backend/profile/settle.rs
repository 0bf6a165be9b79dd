//! The driver's own counters, at the end of a request.

use super::link::Link;
use crate::backend::Settlement;
use crate::profile::{Output, Plan, RequestedLine, Role, Step};
use crate::{Error, Figures};

/// The accounts of the requested lines; `None` if the call for them is left out.
pub(super) fn settled(link: &Link, account: usize) -> Result<Option<Vec<Settlement>>, Error> {
    let answer = link.ask(Step { call: account, place: None })?;
    let Some(bytes) = answer.bytes() else { return Ok(None) };
    let call = link.plan.call(account);
    let settled = read(&link.plan, &call.output, &link.asked, bytes);
    settled.map(Some).map_err(|reason| link.malformed(&format!("\"{}\": {reason}", call.name)))
}

/// Reads the driver's counters of lines.
fn read(plan: &Plan, output: &Output, asked: &[RequestedLine], bytes: &[u8]) -> Result<Vec<Settlement>, String> {
    let records: Vec<_> = output.records(bytes)?.collect();
    let number = |index: usize, record: &[u8]| {
        let by_place = || plan.lines.get(index).map(|line| line.number);
        if output.has(Role::Line) { output.get(Role::Line, record) } else { by_place() }
    };
    let settled = |line: &RequestedLine| {
        let is_its = |(index, record): &&(usize, &[u8])| number(*index, record) == Some(line.number);
        let (_, record) =
            records.iter().find(is_its).ok_or_else(|| format!("it has no counters of line {}", line.number))?;
        let get = |role| output.get(role, record).unwrap_or(0);
        let figures = Figures {
            delivered: get(Role::Delivered),
            overflowed: get(Role::Overflowed),
            merged: get(Role::Merged),
            discarded: get(Role::Discarded),
        };
        Ok(Settlement { figures, is_closed: figures.total() == get(Role::Happened) })
    };
    asked.iter().map(settled).collect()
}
