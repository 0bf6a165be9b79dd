//! The verdict on a watch: an output failed, edges were lost, or fewer edges came than were awaited.

use std::{io, iter};

use linewake::Account;

use crate::exit::Failure;
use crate::sinks::sink::WriteError;
use crate::sinks::summary::plural;

/// Reports a loss last, because edges that did not come may be among the lost ones.
pub(crate) fn verdict(lost: Result<(), Failure>, early: Option<String>) -> Result<(), Failure> {
    let early = early.map_or(Ok(()), |early| Err(Failure::early(early)));
    if let (Err(_), Err(early)) = (&lost, &early) {
        early.report();
    }
    lost.and(early)
}

/// Fails if edges are known to be lost. Edges that were on their way when the watch ended do not count.
pub(crate) fn loss(accounts: &[(String, Account)], gaps: u64) -> Result<(), Failure> {
    let totals = accounts.iter().map(|(_, account)| account.total());
    let lost: u64 = totals.map(|total| total.overflowed.saturating_add(total.merged)).sum();
    let gone = (gaps > 0).then(|| format!("a chip was gone {}", plural(gaps, "time")));
    let lost = (lost > 0).then(|| format!("{} lost", plural(lost, "edge")));
    let reasons: Vec<_> = lost.into_iter().chain(gone).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::loss(format!("--fail-on-loss: {}; the summary says on which line", reasons.join(", "))))
}

/// Reports every output that failed. The last report is the result: it is of the output that failed first.
pub(crate) fn outputs_failed<'a>(
    lost: impl IntoIterator<Item = &'a WriteError>,
    has_left: bool,
) -> Result<(), Failure> {
    let all = lost.into_iter().flat_map(|lost| iter::once(lost).chain(&lost.others));
    let mut failures = all.filter_map(|lost| output_failed(lost, has_left).err());
    let first = failures.next();
    failures.for_each(|other| other.report());
    first.map_or(Ok(()), Err)
}

/// A reader that has left needs nothing more: then a pipe is broken, and a terminal has an input/output error. A full
/// disk is an error.
fn output_failed(lost: &WriteError, has_left: bool) -> Result<(), Failure> {
    const EIO: i32 = 5;
    let WriteError { place, error, unwritten, others: _ } = lost;
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    if has_left && cfg!(unix) && error.raw_os_error() == Some(EIO) {
        return Ok(());
    }
    let missing = match unwritten {
        0 => String::new(),
        1 => "; the last delivered edge is missing there".to_owned(),
        edges => format!("; some or all of the last {edges} delivered edges are missing there"),
    };
    Err(Failure::new(format!("cannot write to {place}: {error}{missing}")))
}
