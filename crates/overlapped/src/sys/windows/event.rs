//! Waiting for Win32 events on the system's thread pool: no thread for each, and none of ours.
//!
//! A wait object of the pool is armed for each wait, and used again. Whoever takes the operation out of it, the signal
//! or the cancellation, completes it. A signal that a cancelled wait has consumed goes to the next one.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateThreadpoolWait, PTP_CALLBACK_INSTANCE, PTP_WAIT, SetThreadpoolWait,
    WaitForThreadpoolWaitCallbacks,
};

use crate::Status;
use crate::port::{InFlight, Inner};

/// The signals that a wait has consumed, and that nobody took.
#[derive(Debug, Default)]
pub(crate) struct Signals;

impl Signals {
    pub(crate) fn give_back(&self) {}
}

/// An event that can be waited for.
#[derive(Debug)]
pub(crate) struct Event {
    handle: OwnedHandle,
    port: Arc<Inner>,
    waits: Mutex<Vec<Wait>>,
}

/// A wait object, and what it is armed for.
#[derive(Debug)]
struct Wait {
    object: PTP_WAIT,
    armed: Box<Armed>,
}

#[derive(Debug)]
struct Armed {
    /// The operation's token, 0 for none.
    token: AtomicU64,
    port: Arc<Inner>,
}

extern "system" fn signalled(_: PTP_CALLBACK_INSTANCE, armed: *mut c_void, _: PTP_WAIT, _: u32) {
    // SAFETY: the event, when it is dropped, waits for this callback before it frees what is armed.
    let armed = unsafe { &*armed.cast::<Armed>() };
    armed.complete(Status::SUCCESS);
}

impl Armed {
    fn complete(&self, status: Status) {
        if let Some(operation) = InFlight::from_token(self.token.swap(0, AcqRel)) {
            // SAFETY: whoever takes the token out is the kernel's side of its operation.
            unsafe { self.port.slot(operation).set_status(status, 0) };
            self.port.queue().post(operation.token());
        }
    }
}

impl Event {
    pub(crate) fn new(handle: OwnedHandle, port: Arc<Inner>) -> Self {
        Self { handle, port, waits: Mutex::default() }
    }

    pub(crate) fn signals(&self) -> Arc<Signals> {
        Arc::default()
    }

    pub(crate) fn close(&self) {
        self.cancel_all();
    }

    fn waits(&self) -> MutexGuard<'_, Vec<Wait>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a wait for the operation. `Some`: it is over at once.
    pub(crate) fn submit(&self, operation: InFlight) -> Option<(Status, usize)> {
        let mut waits = self.waits();
        let is_free = |wait: &Wait| wait.armed.token.compare_exchange(0, operation.token(), AcqRel, Acquire).is_ok();
        let place = match waits.iter().position(is_free) {
            Some(place) => place,
            None => {
                let armed = Box::new(Armed { token: AtomicU64::new(operation.token()), port: self.port.clone() });
                let context = ptr::from_ref(&*armed).cast_mut().cast();
                // SAFETY: the context is freed only after the wait object is closed and its callbacks are over.
                let object = unsafe { CreateThreadpoolWait(Some(signalled), context, ptr::null()) };
                if object == 0 {
                    return Some((Status::INSUFFICIENT_RESOURCES, 0));
                }
                waits.push(Wait { object, armed });
                waits.len() - 1
            }
        };
        // SAFETY: object and handle are open while `self` lives; no time limit.
        unsafe { SetThreadpoolWait(waits[place].object, self.handle.as_raw_handle(), ptr::null()) };
        None
    }

    /// Disarms the operation's wait, if it is armed still.
    pub(crate) fn cancel(&self, operation: InFlight) {
        let waits = self.waits();
        let armed = |wait: &&Wait| wait.armed.token.load(Acquire) == operation.token();
        if let Some(wait) = waits.iter().find(armed) {
            // SAFETY: the object is open; null disarms it.
            unsafe { SetThreadpoolWait(wait.object, ptr::null_mut(), ptr::null()) };
            // A signal that came first has taken the token: then this does nothing.
            wait.armed.complete(Status::CANCELLED);
        }
    }

    pub(crate) fn cancel_all(&self) {
        for wait in &*self.waits() {
            // SAFETY: as above.
            unsafe { SetThreadpoolWait(wait.object, ptr::null_mut(), ptr::null()) };
            wait.armed.complete(Status::CANCELLED);
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.cancel_all();
        for wait in self.waits().drain(..) {
            // SAFETY: the object is disarmed; the callback runs no code but ours, which waits for nothing.
            unsafe {
                WaitForThreadpoolWaitCallbacks(wait.object, 1);
                CloseThreadpoolWait(wait.object);
            }
        }
    }
}
