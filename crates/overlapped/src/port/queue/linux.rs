//! The queue of a port: one wait for posted packets and for files that are ready.
//!
//! Files are watched *level-triggered*. An edge says that something arrived, but not how much is left after a read.
//! With edges each event would need a second read, which finds nothing, since a short read proves nothing where reads
//! bring records (gpiochip, evdev, hidraw, terminals). With levels an event is one read; if more is left, there is
//! another event, after every other ready file has had its turn. The price: a file that nobody reads would be reported
//! for ever. So the set holds only files with waiting operations. A file leaves the set when an event finds no
//! operation, and not at the end of the last operation: usually the next one is submitted by then. So a file that is
//! read without pause needs no `epoll_ctl` at all.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::files::{Files, OUT, Out};
use super::outside::Outside;
use crate::system::process;
use crate::system::sync::lock_std as lock;
use crate::{ErrorCode, Status};

/// The bell's number in the epoll set; no file has it.
const BELL: u64 = 0;

/// A file for which operations wait.
pub(crate) trait Waited: Send + Sync {
    /// The file is ready: makes the system calls of its waiting operations, and reports those that are over.
    fn serve(&self, queue: &Queue, ready: epoll::EventFlags, over: &mut Over<'_>);
}

/// The tokens of operations that are over, as many as there is room for.
pub(crate) struct Over<'a> {
    queue: &'a Queue,
    tokens: &'a mut [u64],
    count: usize,
}

impl Over<'_> {
    #[inline]
    pub(crate) fn push(&mut self, token: u64) {
        match self.tokens.get_mut(self.count) {
            Some(free) => {
                *free = token;
                self.count += 1;
            }
            // No room: a file has ended a read and a write in one event.
            None => self.queue.post(token),
        }
    }
}

pub(crate) struct Queue {
    epoll: OwnedFd,
    /// Written to wake the thread that sleeps. It is watched for edges, so nobody has to read it.
    bell: OwnedFd,
    posted: Mutex<Posted>,
    /// Every file of the port, except those that are always ready.
    files: Files<dyn Waited>,
    /// How many files are in the epoll set.
    watched: AtomicUsize,
    /// The descriptors that another event loop watches, once it has asked for one; `None` inside if the system could
    /// not make them.
    outside: OnceLock<Option<Outside>>,
    /// The process that made the queue.
    process: u32,
}

#[derive(Debug, Default)]
struct Posted {
    packets: VecDeque<u64>,
    /// A thread sleeps, or is about to, and the bell has not rung for it. One thread at a time waits on a queue.
    asleep: bool,
}

/// The outcome of one wait for files.
#[derive(Debug, Default)]
struct Served {
    /// How many operations are over.
    over: usize,
    /// At least one file was ready.
    files: bool,
    bell: bool,
}

impl Posted {
    fn take(&mut self, tokens: &mut [u64]) -> usize {
        let count = self.packets.len().min(tokens.len());
        for (token, packet) in tokens.iter_mut().zip(self.packets.drain(..count)) {
            *token = packet;
        }
        count
    }
}

impl Queue {
    pub(crate) fn new() -> Result<Self, ErrorCode> {
        let make = || {
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), edges)?;
            Ok((epoll, bell))
        };
        let (epoll, bell) = make().map_err(|errno: Errno| ErrorCode::Errno(errno.raw_os_error()))?;
        Ok(Self {
            epoll,
            bell,
            posted: Mutex::default(),
            files: Files::default(),
            watched: AtomicUsize::new(0),
            outside: OnceLock::new(),
            process: process::number(),
        })
    }

    /// Whether this is the child of a fork, and the queue belongs to the parent.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.process != process::number()
    }

    #[inline]
    pub(crate) fn post(&self, token: u64) {
        let mut posted = lock(&self.posted);
        posted.packets.push_back(token);
        let sleeps = std::mem::take(&mut posted.asleep);
        drop(posted);
        if sleeps {
            self.ring();
        }
    }

    fn ring(&self) {
        // It fails only when the counter is full, after 2^64 rings.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The descriptor that another event loop watches. It is readable while there is something to do. If only the
    /// dispatcher polls the port, `is_polled` is false, and it never is.
    pub(crate) fn descriptor(&self, is_polled: bool) -> BorrowedFd<'_> {
        // In the child of a fork the set belongs to the parent, and a thread may hold the lock.
        if is_polled && !self.is_inherited() {
            let mut is_first = false;
            self.outside.get_or_init(|| {
                is_first = true;
                Outside::new(self.epoll.as_fd()).ok()
            });
            if is_first {
                // Wake a thread that waits already: at the end of its turn it reports what came before now.
                self.post(crate::words::token::LOOK);
                self.ring();
            }
        }
        self.outside.get().and_then(Option::as_ref).map_or(self.epoll.as_fd(), Outside::set)
    }

    /// Whether another event loop watches the queue. It may be asleep whenever no thread waits here.
    fn has_watchers(&self) -> bool {
        self.outside.get().is_some()
    }

    /// For another event loop whose poll has found the turn taken: makes the descriptor readable once more.
    pub(crate) fn tell_again(&self) {
        if self.has_watchers() && !self.is_inherited() {
            self.ring();
        }
    }

    /// For another event loop: the thread with the turn calls this at the end of each turn. `more`: the next poll may
    /// find more. `now`: there is a job that only another thread may run. `next`: when the next timer expires.
    #[inline]
    pub(crate) fn tell_others(&self, more: bool, now: bool, next: impl Fn() -> Option<Instant>) {
        let Some(outside) = self.outside.get().filter(|_| !self.is_inherited()) else { return };
        let is_told = outside.as_ref().map(|outside| outside.expect(now, &next)).is_some();
        // Without an alarm, make the loop poll again and again until the time has come.
        if more || !is_told && (now || next().is_some()) {
            self.ring();
        }
    }

    /// How many packets to take at a time.
    pub(crate) fn room(&self, _in_flight: impl FnOnce() -> usize) -> usize {
        64
    }

    /// Waits for a packet or a file, then takes as many packets as there are and fit, including those that ready files
    /// have completed. Returns their number, 0 after `timeout`.
    pub(crate) fn wait(&self, tokens: &mut [u64; 64], _room: usize, timeout: Option<Duration>) -> usize {
        // With the timeout zero, do not read the clock.
        let deadline = timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
        let mut left = timeout;
        loop {
            let may_sleep = left != Some(Duration::ZERO);
            let mut posted = lock(&self.posted);
            // At most one half of the room: the other half is for files.
            let mut count = posted.take(&mut tokens[..32]);
            let sleeps = may_sleep && count == 0;
            posted.asleep = sleeps;
            let has_watchers = self.has_watchers();
            drop(posted);
            if sleeps || has_watchers || self.watched.load(Relaxed) > 0 {
                let served = self.serve(&mut tokens[count..], if sleeps { left } else { Some(Duration::ZERO) });
                count += served.over;
                if sleeps || has_watchers || served.bell {
                    count += self.served(&mut tokens[count..], !sleeps && count == 0 && served.files);
                }
            }
            if count > 0 || !may_sleep {
                return count;
            }
            // A signal, a late bell, or a file whose data is gone: sleep on.
            left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return 0;
            }
        }
    }

    /// Takes packets that were posted meanwhile. If something is left that another event loop would not see, rings the
    /// bell.
    fn served(&self, tokens: &mut [u64], is_more: bool) -> usize {
        let mut posted = lock(&self.posted);
        let count = posted.take(tokens);
        let is_over = posted.packets.is_empty();
        posted.asleep = self.has_watchers() && is_over;
        let rings = self.has_watchers() && (!is_over || is_more && count == 0);
        drop(posted);
        if rings {
            self.ring();
        }
        count
    }

    /// Waits until files are ready or the bell rings, and makes the system calls of the operations that wait for the
    /// files. `tokens` gets the operations that are over.
    fn serve(&self, tokens: &mut [u64], timeout: Option<Duration>) -> Served {
        let mut served = Served::default();
        let mut events = [const { MaybeUninit::<epoll::Event>::uninit() }; 64];
        let room = &mut events[..tokens.len()];
        // The only error is EINTR, after a signal.
        let Ok((events, _)) = epoll::wait(&self.epoll, room, timeout.map(timespec).as_ref()) else { return served };
        let mut over = Over { queue: self, tokens, count: 0 };
        for events in events.chunks(OUT) {
            // If a file was closed meanwhile, its event finds none.
            let mut out = Out::default();
            let numbers = || events.iter().map(|event| event.data.u64());
            self.files.take_out(numbers(), &mut out);
            for (event, file) in events.iter().zip(&out) {
                served.bell |= event.data.u64() == BELL;
                served.files |= event.data.u64() != BELL;
                if let Some(file) = file {
                    file.serve(self, event.flags, &mut over);
                }
            }
            self.files.put_back(numbers(), &mut out);
        }
        served.over = over.count;
        served
    }

    /// Whether operations can wait for this file. Regular files, disks and some devices are always ready, and epoll
    /// refuses them.
    pub(crate) fn probe(&self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        match epoll::add(&self.epoll, fd, epoll::EventData::new_u64(u64::MAX), epoll::EventFlags::ET) {
            Ok(()) => epoll::delete(&self.epoll, fd).map(|()| true),
            Err(Errno::PERM) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// A number for a file for which operations can wait.
    pub(crate) fn reserve(&self) -> u64 {
        self.files.reserve()
    }

    pub(crate) fn insert(&self, number: u64, file: Arc<dyn Waited>) {
        self.files.insert(number, file);
    }

    pub(crate) fn remove(&self, number: u64) {
        let file = self.files.remove(number);
        // Drop it without the lock: this may close the file.
        drop(file);
    }

    /// Watches a file for the events `now` instead of `before`. With no events, takes the file out of the set:
    /// otherwise epoll would report a hang-up for ever. If the file is ready already, there is a new event.
    pub(crate) fn watch(
        &self,
        number: u64,
        fd: BorrowedFd<'_>,
        before: epoll::EventFlags,
        now: epoll::EventFlags,
        edges: bool,
    ) -> Result<(), Status> {
        let data = epoll::EventData::new_u64(number);
        let flags = if edges { now | epoll::EventFlags::ET } else { now };
        let changed = match (before.is_empty(), now.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => epoll::add(&self.epoll, fd, data, flags).map(|()| self.watched.fetch_add(1, Relaxed)),
            (false, true) => epoll::delete(&self.epoll, fd).map(|()| self.watched.fetch_sub(1, Relaxed)),
            (false, false) => epoll::modify(&self.epoll, fd, data, flags).map(|()| 0),
        };
        changed.map(|_| ()).map_err(|errno| Status::from_errno(errno.raw_os_error()))
    }
}

/// Rounds up to milliseconds, since Linux before 5.11 waits in milliseconds and a short wait must not be zero. Limits
/// very long times.
fn timespec(timeout: Duration) -> Timespec {
    let ms = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
    Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000 * 1_000_000) as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_round_up_and_have_an_end() {
        let parts = |timeout| (timespec(timeout).tv_sec, timespec(timeout).tv_nsec);
        assert_eq!(parts(Duration::ZERO), (0, 0));
        assert_eq!(parts(Duration::from_nanos(1)), (0, 1_000_000));
        assert_eq!(parts(Duration::from_micros(1500)), (0, 2_000_000));
        assert_eq!(parts(Duration::from_millis(2500)), (2, 500_000_000));
        assert_eq!(parts(Duration::MAX), (2_147_483, 647_000_000));
    }
}
