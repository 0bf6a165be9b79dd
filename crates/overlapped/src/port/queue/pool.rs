//! The system's thread pool as a port: completions are handled on its threads, several at once.
//!
//! One thread of the pool waits at a completion port of ours. When it has taken a packet it has the pool start the next
//! one's wait, and only then handles what it took: so what takes its time holds nobody up, timers included, and there is
//! nothing between a packet and its token.
//!
//! Handles are not bound to the pool's own port, by `CreateThreadpoolIo`. There every packet must be announced, by
//! `StartThreadpoolIo`, or else there is "memory corruption", and none may come after `CloseThreadpoolIo`. Whoever has a
//! duplicate of the handle makes packets that nobody announces, and goes on when ours is closed; some drivers queue a
//! packet for a request that failed at once, and some successes queue none. So no count can be right. A port of our own
//! needs none: a packet that is not ours is a stray, and the port is as old as the process.

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::System::Threading::{
    CallbackMayRunLong, CreateThreadpoolWork, PTP_CALLBACK_INSTANCE, PTP_WORK, SubmitThreadpoolWork,
};

use crate::ErrorCode;
use crate::system::windows::last_error;

/// What has a thread of the pool wait at the port. It is never closed.
#[derive(Debug)]
pub(crate) struct Turn(PTP_WORK);

impl Turn {
    /// Each time that the turn is passed, a thread of the pool runs `wait_once`.
    pub(crate) fn new(wait_once: fn()) -> Result<Self, ErrorCode> {
        extern "system" fn run(instance: PTP_CALLBACK_INSTANCE, wait_once: *mut c_void, _: PTP_WORK) {
            // SAFETY: the instance is that of this very callback; the function was leaked below, for this.
            unsafe {
                CallbackMayRunLong(instance);
                (*wait_once.cast::<fn()>())();
            }
        }
        let wait_once = Box::into_raw(Box::new(wait_once));
        // SAFETY: the context is never freed; the default pool lives as long as the process.
        let work = unsafe { CreateThreadpoolWork(Some(run), wait_once.cast(), ptr::null()) };
        if work == 0 { Err(last_error()) } else { Ok(Self(work)) }
    }

    /// The next thread waits. This allocates nothing and cannot fail.
    pub(crate) fn pass(&self) {
        // SAFETY: the object is never closed.
        unsafe { SubmitThreadpoolWork(self.0) };
    }
}
