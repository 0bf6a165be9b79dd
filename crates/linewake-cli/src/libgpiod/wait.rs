//! Waits for events of several files.

use std::time::Duration;

#[cfg(target_os = "linux")]
use super::{Exit, strerror};

/// Waits, and gives the indices of the files with events; none if the period is over.
#[cfg(target_os = "linux")]
pub(super) fn wait(
    files: &[impl std::os::fd::AsFd],
    interest: rustix::event::PollFlags,
    period: Option<Duration>,
    what: &str,
) -> Result<Vec<usize>, Exit> {
    use rustix::event::{PollFd, Timespec, poll};
    let mut polled: Vec<_> = files.iter().map(|file| PollFd::new(file, interest)).collect();
    let period = period.map(|period| Timespec {
        tv_sec: period.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: period.subsec_nanos().into(),
    });
    poll(&mut polled, period.as_ref())
        .map_err(|errno| Exit::new(format!("{what}: {}", strerror::of(&errno.into()))))?;
    let ready = polled.iter().enumerate().filter(|(_, file)| !file.revents().is_empty());
    Ok(ready.map(|(at, _)| at).collect())
}

/// The period of an option; 0 is no limit.
pub(super) fn idle(microseconds: Option<u64>) -> Option<Duration> {
    microseconds.filter(|&period| period > 0).map(Duration::from_micros)
}
