//! The system's thread pool as a port: its threads handle completions, several at once.
//!
//! One thread of the pool waits at our completion port. When it has taken a packet, it first makes the pool start the
//! next thread's wait, and then handles the packet. So a handler that takes long delays nobody, timers included.
//!
//! Handles are not bound to the pool's own port with `CreateThreadpoolIo`. There `StartThreadpoolIo` must announce
//! every packet, or else there is "memory corruption" (its documentation), and no packet may come after
//! `CloseThreadpoolIo`. But another program with a duplicate of the handle makes packets that nobody announces, even
//! after our handle is closed. Some drivers queue a packet for a request that failed at once, and some successes queue
//! none. So no count of announcements can be right. Our own port needs none: a packet that is not ours is a stray, and
//! the port lives as long as the process.

use std::ffi::c_void;
use std::ptr;

use windows_sys::Win32::System::Threading::{
    CallbackMayRunLong, CreateThreadpoolWork, PTP_CALLBACK_INSTANCE, PTP_WORK, SubmitThreadpoolWork,
};

use crate::ErrorCode;
use crate::system::windows::last_error;

/// Makes a thread of the pool wait at the port. It is never closed.
#[derive(Debug)]
pub(crate) struct Turn(PTP_WORK);

impl Turn {
    /// Each time the turn is passed, a thread of the pool runs `wait_once`.
    pub(crate) fn new(wait_once: fn()) -> Result<Self, ErrorCode> {
        extern "system" fn run(instance: PTP_CALLBACK_INSTANCE, wait_once: *mut c_void, _: PTP_WORK) {
            // SAFETY: the instance is the one of this callback; the function was leaked below, for this.
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

    /// Makes the next thread wait. This allocates nothing and cannot fail.
    pub(crate) fn pass(&self) {
        // SAFETY: the object is never closed.
        unsafe { SubmitThreadpoolWork(self.0) };
    }
}
