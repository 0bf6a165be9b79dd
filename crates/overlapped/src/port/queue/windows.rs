//! A completion port, and the threads that wait at it.

use std::ptr;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;

use super::pool::Turn;
use super::strays::Strays;
use crate::ErrorCode;
use crate::system::windows::last_error;

/// The queue of packets.
#[derive(Debug)]
pub(crate) struct Queue {
    port: CompletionPort,
    /// Set for the system's thread pool, whose threads take turns at the port.
    turn: Option<Turn>,
    strays: Strays,
}

/// The port's limit of running threads that have taken packets: none. Such a thread may be a caller's, which has its
/// result and goes on computing; it must not keep the next packet from the thread that waits now.
const MANY: u32 = i32::MAX as u32;

#[derive(Debug)]
struct CompletionPort(HANDLE);

// SAFETY: a completion port may be used from any thread; the handle is closed only when the value is dropped.
unsafe impl Send for CompletionPort {}
// SAFETY: as above.
unsafe impl Sync for CompletionPort {}

impl CompletionPort {
    /// At most `threads` of the threads that have taken packets run at a time; 0 means as many as there are processors.
    fn new(threads: u32) -> Result<Self, ErrorCode> {
        // SAFETY: no handle to bind: this makes a port.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, threads) };
        if port.is_null() { Err(last_error()) } else { Ok(Self(port)) }
    }
}

impl Queue {
    pub(crate) fn new() -> Result<Self, ErrorCode> {
        Ok(Self { port: CompletionPort::new(MANY)?, turn: None, strays: Strays::default() })
    }

    /// The queue of the system's pool, whose threads run `wait_once` when it is their turn.
    pub(crate) fn pool(wait_once: fn()) -> Result<Self, ErrorCode> {
        Ok(Self { port: CompletionPort::new(0)?, turn: Some(Turn::new(wait_once)?), strays: Strays::default() })
    }

    /// Makes another thread wait, if there is a pool. After that nobody waits for this thread, however long it takes.
    pub(crate) fn hand_over(&self) -> bool {
        self.turn.as_ref().map(Turn::pass).is_some()
    }

    /// Binds an overlapped handle: from now on its completions come here.
    ///
    /// # Safety
    /// `handle` is an open handle.
    pub(crate) unsafe fn bind(&self, handle: HANDLE) -> Result<(), ErrorCode> {
        // SAFETY: the port is ours, and the handle is open by the caller's promise.
        if unsafe { CreateIoCompletionPort(handle, self.port.0, 0, 0) }.is_null() { Err(last_error()) } else { Ok(()) }
    }

    pub(crate) fn post(&self, token: u64) {
        // The token is not an address; the system only passes it on. Posting fails only when the system has no memory
        // for a packet. A completion must not be lost, so try again.
        // SAFETY: the port is ours and the "OVERLAPPED" is never dereferenced.
        while unsafe { PostQueuedCompletionStatus(self.port.0, 0, 0, ptr::without_provenance(token as usize)) } == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Does nothing: no other event loop can watch this queue.
    pub(crate) fn tell_again(&self) {}

    /// Does nothing: no other event loop watches this queue.
    pub(crate) fn tell_others(&self, _more: bool, _now: bool, _next: impl Fn() -> Option<Instant>) {}

    /// Packets of operations that ended at once.
    pub(in crate::port) fn strays(&self) -> &Strays {
        &self.strays
    }

    /// How many packets to take at a time. Not more than can come: with room left, Wine would ask its server once more.
    /// A thread of the pool takes one packet, and other threads take the others, so that none delays another.
    pub(crate) fn room(&self, in_flight: impl FnOnce() -> usize) -> usize {
        if self.turn.is_some() { 1 } else { (in_flight() + self.strays.many()).clamp(1, 64) }
    }

    /// Waits for a packet, then takes as many as there are and fit. Returns their number, 0 after `timeout`.
    pub(crate) fn wait(&self, tokens: &mut [u64; 64], room: usize, timeout: Option<Duration>) -> usize {
        let mut entries = [OVERLAPPED_ENTRY::default(); 64];
        let room = room.min(entries.len()) as u32;
        let mut count = 0;
        // SAFETY: the port is ours; `entries` has room for the number stated, and `count` is valid for the call.
        let ok = unsafe {
            GetQueuedCompletionStatusEx(self.port.0, entries.as_mut_ptr(), room, &mut count, milliseconds(timeout), 0)
        };
        let count = if ok == 0 { 0 } else { count };
        if count < room {
            self.strays.clear();
        }
        for (token, entry) in tokens.iter_mut().zip(&entries).take(count as usize) {
            *token = entry.lpOverlapped.addr() as u64;
        }
        count as usize
    }
}

/// Rounds up, so that a wait of less than a millisecond does wait; and limits a very long wait to less than INFINITE.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(INFINITE, |t| t.as_nanos().div_ceil(1_000_000).min(u128::from(INFINITE - 1)) as u32)
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and is not used after this.
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
