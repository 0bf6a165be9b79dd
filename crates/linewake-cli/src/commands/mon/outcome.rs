//! What a watch ends with: an error, edges that were lost, or fewer than were awaited.

use std::io;

use linewake::Account;

use crate::exit::Failure;
use crate::sinks::sink::WriteError;
use crate::sinks::summary::plural;

/// That edges were lost is said last: those that did not come may be among them.
pub(crate) fn verdict(lost: Result<(), Failure>, early: Option<String>) -> Result<(), Failure> {
    let early = early.map_or(Ok(()), |early| Err(Failure::early(early)));
    if let (Err(_), Err(early)) = (&lost, &early) {
        early.report();
    }
    lost.and(early)
}

/// Whether edges are known lost, but for those on their way when the watch ended.
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

/// A reader that has left wanted no more: a pipe says so, and a terminal has an input/output error. A full disk is an error.
pub(crate) fn output_failed(lost: &WriteError, has_left: bool) -> Result<(), Failure> {
    const EIO: i32 = 5;
    let WriteError { place, error, unwritten } = lost;
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    if has_left && cfg!(unix) && error.raw_os_error() == Some(EIO) {
        return Ok(());
    }
    let missing = match unwritten {
        0 => String::new(),
        1 => "; the last edge that was delivered is missing there".to_owned(),
        edges => format!("; the last {edges} edges that were delivered are missing there, or some of them"),
    };
    Err(Failure::new(format!("cannot write to {place}: {error}{missing}")))
}
