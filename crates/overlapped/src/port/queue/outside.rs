//! The descriptor that another event loop watches: the queue's epoll set, and an alarm for what the set does not
//! report.
//!
//! The set does not report timers. And a thread that waits at the port may take an event from the set and put off a job
//! that only a polling thread may run; then the set does not report that job any more. The alarm reports both. Nobody
//! reads the alarm: it stays ready until it is set again, at the end of the turn of the thread that ran the job.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::system::sync::lock_std as lock;

#[derive(Debug)]
pub(crate) struct Outside {
    set: OwnedFd,
    alarm: OwnedFd,
    /// The alarm's setting.
    expected: Mutex<Expected>,
}

/// When there is something to do that the queue's set does not report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Never,
    At(Instant),
    Now,
}

impl Outside {
    pub(crate) fn new(queue: BorrowedFd<'_>) -> Result<Self, Errno> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let alarm = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Nobody takes events from this set, so their numbers have no meaning.
        let nothing = epoll::EventData::new_u64(0);
        epoll::add(&set, queue, nothing, epoll::EventFlags::IN)?;
        epoll::add(&set, &alarm, nothing, epoll::EventFlags::IN)?;
        Ok(Self { set, alarm, expected: Mutex::new(Expected::Never) })
    }

    pub(crate) fn set(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// Sets the alarm, unless its setting is the same already. The caller has the port's turn, so that one thread at a
    /// time does this.
    pub(crate) fn expect(&self, now: bool, next: impl FnOnce() -> Option<Instant>) {
        let expected = if now { Expected::Now } else { next().map_or(Expected::Never, Expected::At) };
        let before = std::mem::replace(&mut *lock(&self.expected), expected);
        if before != expected {
            let value = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(expected.left()) };
            // This cannot fail: the alarm is open, and the time is valid.
            let _ = timerfd_settime(&self.alarm, TimerfdTimerFlags::empty(), &value);
        }
    }
}

impl Expected {
    /// The time until the alarm. Zero means never.
    fn left(self) -> Duration {
        const SOON: Duration = Duration::from_nanos(1);
        match self {
            Self::Never => Duration::ZERO,
            Self::At(at) => at.saturating_duration_since(Instant::now()).max(SOON),
            Self::Now => SOON,
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    // The system accepts no more seconds than this, which is 68 years.
    let seconds = time.as_secs().min(i32::MAX as u64);
    Timespec { tv_sec: seconds as _, tv_nsec: time.subsec_nanos() as _ }
}
