//! A completion port, or the pool in its place.

use std::ptr;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;

use super::last_error;
use super::pool::{self, Binding, Timer};
use crate::ErrorCode;
use crate::port::LOOK;

/// Where packets are queued: a completion port, or the system's thread pool, which delivers them itself.
#[derive(Debug)]
pub(crate) enum Queue {
    Port(CompletionPort),
    Pool(Timer),
}

#[derive(Debug)]
pub(crate) struct CompletionPort(HANDLE);

// SAFETY: a completion port may be used from any thread; the handle is closed only when the value is dropped.
unsafe impl Send for CompletionPort {}
// SAFETY: as above.
unsafe impl Sync for CompletionPort {}

impl Queue {
    pub(crate) fn new() -> Result<Self, ErrorCode> {
        // SAFETY: no handle to bind: this makes a port.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() { Err(last_error()) } else { Ok(Self::Port(CompletionPort(port))) }
    }

    pub(crate) fn pool() -> Result<Self, ErrorCode> {
        Timer::new().map(Self::Pool)
    }

    pub(super) fn is_pool(&self) -> bool {
        matches!(self, Self::Pool(_))
    }

    /// Binds an overlapped handle: from now on its completions come here. The binding, if there is one, is to announce
    /// every submission.
    ///
    /// # Safety
    /// `handle` is an open handle.
    pub(super) unsafe fn bind(&self, handle: HANDLE) -> Result<Option<Binding>, ErrorCode> {
        match self {
            // SAFETY: the port is ours, the handle is open by the caller's promise.
            Self::Port(port) => match unsafe { CreateIoCompletionPort(handle, port.0, 0, 0) }.is_null() {
                true => Err(last_error()),
                false => Ok(None),
            },
            // SAFETY: the caller's promise.
            Self::Pool(_) => unsafe { Binding::new(handle) }.map(Some),
        }
    }

    pub(crate) fn post(&self, token: u64) {
        let Self::Port(port) = self else { return pool::post(token) };
        // A token is no address: the system only carries it. It fails only when the system has no memory for a packet;
        // a completion must not be lost, so try again.
        // SAFETY: the port is ours and the "OVERLAPPED" is never dereferenced.
        while unsafe { PostQueuedCompletionStatus(port.0, 0, 0, ptr::without_provenance(token as usize)) } == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A timer expires at `at`, before all others: whoever waits must not wait longer.
    pub(crate) fn hurry(&self, at: Instant) {
        match self {
            Self::Port(_) => self.post(LOOK),
            Self::Pool(timer) => timer.set(at.saturating_duration_since(Instant::now())),
        }
    }

    /// The timer that expires next. Whoever waits next is told.
    pub(crate) fn next_timer(&self, at: Instant) {
        if let Self::Pool(_) = self {
            self.hurry(at);
        }
    }

    /// How many packets to take at a time: Wine asks its server once more to see that there is none for the room left.
    pub(crate) fn room(&self, in_flight: impl FnOnce() -> usize) -> usize {
        in_flight().clamp(1, 64)
    }

    /// Waits for a packet, then takes as many as there are and fit. Returns their number, 0 after `timeout`.
    pub(crate) fn wait(&self, tokens: &mut [u64; 64], room: usize, timeout: Option<Duration>) -> usize {
        // The pool delivers by itself: nobody waits for it.
        let Self::Port(port) = self else { return 0 };
        let mut entries = [OVERLAPPED_ENTRY::default(); 64];
        let room = room.min(entries.len()) as u32;
        let mut count = 0;
        // SAFETY: the port is ours; `entries` has room for the number stated, and `count` is valid for the call.
        let ok = unsafe {
            GetQueuedCompletionStatusEx(port.0, entries.as_mut_ptr(), room, &mut count, milliseconds(timeout), 0)
        };
        if ok == 0 {
            return 0;
        }
        for (token, entry) in tokens.iter_mut().zip(&entries[..count as usize]) {
            *token = entry.lpOverlapped.addr() as u64;
        }
        count as usize
    }
}

/// Rounds up, so that a wait of less than a millisecond waits; and a very long wait is not INFINITE by accident.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(INFINITE, |t| t.as_nanos().div_ceil(1_000_000).min(u128::from(INFINITE - 1)) as u32)
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and this is its end.
        unsafe { windows_sys::Win32::Foundation::CloseHandle(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_round_up_and_are_never_infinite_by_accident() {
        assert_eq!(milliseconds(None), INFINITE);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_micros(1500))), 2);
        assert_eq!(milliseconds(Some(Duration::from_millis(u64::from(INFINITE)))), INFINITE - 1);
        assert_eq!(milliseconds(Some(Duration::MAX)), INFINITE - 1);
    }
}
