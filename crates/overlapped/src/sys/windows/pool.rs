//! The system's thread pool as a port: the system's threads deliver what a dispatcher would dequeue.
//!
//! A handle is bound by `CreateThreadpoolIo`. Every submission is announced by `StartThreadpoolIo`; when no packet will
//! come, which is after a hard failure, that is taken back by `CancelThreadpoolIo`. A success that queues no packet, as
//! Wine has some, leaves an announcement behind: so nobody ever waits for the callbacks of a handle, and the pool's
//! object for it is closed by the last callback or not at all.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use windows_sys::Win32::Foundation::{FILETIME, HANDLE};
use windows_sys::Win32::System::Threading::{
    CancelThreadpoolIo, CloseThreadpoolIo, CreateThreadpoolIo, CreateThreadpoolTimer, PTP_CALLBACK_INSTANCE, PTP_IO,
    PTP_TIMER, SetThreadpoolTimer, StartThreadpoolIo, TrySubmitThreadpoolCallback,
};

use super::last_error;
use crate::ErrorCode;
use crate::port::Inner;

/// The one port of this kind. It is never dropped, so that a callback always finds it.
static PORT: OnceLock<Arc<Inner>> = OnceLock::new();

/// The one port of this kind, made by `make` when it is first asked for.
pub(crate) fn port(make: impl FnOnce() -> Arc<Inner>) -> Arc<Inner> {
    PORT.get_or_init(make).clone()
}

/// Has a thread of the pool deliver `token`. It fails only when the system has no memory for the work item.
pub(super) fn post(token: u64) {
    extern "system" fn deliver(_: PTP_CALLBACK_INSTANCE, token: *mut c_void) {
        if let Some(port) = PORT.get() {
            port.packet(token.addr() as u64);
        }
    }
    let token = ptr::without_provenance_mut(token as usize);
    // SAFETY: the callback takes any number for its context, and the default pool lives as long as the process.
    while unsafe { TrySubmitThreadpoolCallback(Some(deliver), token, ptr::null()) } == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Wakes the port when its first timer expires.
#[derive(Debug)]
pub(crate) struct Timer(PTP_TIMER);

impl Timer {
    pub(super) fn new() -> Result<Self, ErrorCode> {
        extern "system" fn expired(_: PTP_CALLBACK_INSTANCE, _: *mut c_void, _: PTP_TIMER) {
            if let Some(port) = PORT.get() {
                port.run_timers();
            }
        }
        // SAFETY: the callback needs no context.
        let timer = unsafe { CreateThreadpoolTimer(Some(expired), ptr::null_mut(), ptr::null()) };
        if timer == 0 { Err(last_error()) } else { Ok(Self(timer)) }
    }

    /// Sets it, in place of what was set before.
    pub(super) fn set(&self, after: Duration) {
        // A relative time is negative, in steps of 100 ns; rounded up, and at least one.
        let steps = i64::try_from(after.as_nanos().div_ceil(100)).unwrap_or(i64::MAX).max(1);
        let due = (-steps).cast_unsigned();
        let due = FILETIME { dwLowDateTime: due as u32, dwHighDateTime: (due >> 32) as u32 };
        // SAFETY: the timer is never closed; the time is read before the call returns.
        unsafe { SetThreadpoolTimer(self.0, &due, 0, 0) };
    }
}

/// A handle's binding to the pool: freed when the file and every announced packet are done with it.
#[derive(Debug)]
pub(crate) struct Binding(*const Shared);

#[derive(Debug)]
struct Shared {
    io: OnceLock<PTP_IO>,
    /// The file, and the packets that are announced.
    users: AtomicUsize,
}

// SAFETY: the shared part is counted and has only thread-safe members.
unsafe impl Send for Binding {}
// SAFETY: as above.
unsafe impl Sync for Binding {}

impl Binding {
    /// Binds an overlapped handle.
    ///
    /// # Safety
    /// `handle` is an open handle.
    pub(super) unsafe fn new(handle: HANDLE) -> Result<Self, ErrorCode> {
        extern "system" fn completed(
            _: PTP_CALLBACK_INSTANCE,
            shared: *mut c_void,
            token: *mut c_void,
            _: u32,
            _: usize,
            _: PTP_IO,
        ) {
            if let Some(port) = PORT.get() {
                port.packet(token.addr() as u64);
            }
            // SAFETY: the announcement of this packet is one of the users; this is its end.
            unsafe { Shared::release(shared.cast()) };
        }
        let shared = Box::into_raw(Box::new(Shared { io: OnceLock::new(), users: AtomicUsize::new(1) }));
        let binding = Self(shared);
        // SAFETY: the handle is open by the caller's promise; the context lives while anything is announced.
        let io = unsafe { CreateThreadpoolIo(handle, Some(completed), shared.cast(), ptr::null()) };
        if io == 0 {
            return Err(last_error());
        }
        // SAFETY: nobody else has the binding yet.
        let _ = unsafe { (*shared).io.set(io) };
        Ok(binding)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: this binding is one of the users.
        unsafe { &*self.0 }
    }

    /// Announces a packet.
    pub(super) fn start(&self) {
        self.shared().users.fetch_add(1, Relaxed);
        if let Some(io) = self.shared().io.get() {
            // SAFETY: the object is closed by the last user, and this is one.
            unsafe { StartThreadpoolIo(*io) };
        }
    }

    /// Takes an announcement back: no packet will come.
    pub(super) fn cancel(&self) {
        if let Some(io) = self.shared().io.get() {
            // SAFETY: as above; the announcement was made by `start`.
            unsafe { CancelThreadpoolIo(*io) };
        }
        // SAFETY: the announcement was one of the users.
        unsafe { Shared::release(self.0) };
    }
}

impl Shared {
    /// # Safety
    /// The caller is one of the users, and is none after this.
    unsafe fn release(this: *const Self) {
        // SAFETY: the caller is a user until the count goes down; the last one frees what nobody else uses.
        unsafe {
            if (*this).users.fetch_sub(1, AcqRel) == 1 {
                let shared = Box::from_raw(this.cast_mut());
                if let Some(io) = shared.io.get() {
                    CloseThreadpoolIo(*io);
                }
            }
        }
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: the binding is a user, and this is its end.
        unsafe { Shared::release(self.0) };
    }
}
