//! Waits for Win32 events on the system's thread pool, without a thread for each event.
//!
//! Each operation arms a wait object of the pool; the objects are used again. When a signal of an auto-reset event ends
//! a wait, the event is reset. So each callback of the pool is one signal, and must complete one operation: the one for
//! which the wait was armed; or, if that was cancelled meanwhile, another one that waits; or else the next one. So a
//! wait may be disarmed, and armed for the next operation, while its callback is still running. The signal of a
//! manual-reset event stays; there a callback completes only the operation for which the wait was armed.

use std::ffi::c_void;
use std::mem;
use std::ops::Deref;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, Mutex};

use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateThreadpoolWait, PTP_CALLBACK_INSTANCE, PTP_WAIT, ReleaseSemaphore, SetEvent,
    SetThreadpoolWait, WaitForThreadpoolWaitCallbacks,
};

use super::object::{Signal, waited_for};
use crate::port::Inner;
use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;
use crate::{Error, Status};

/// A Win32 event. It is open until this is closed.
pub(crate) struct Event(Arc<Signals>);

impl Deref for Event {
    type Target = Arc<Signals>;
    fn deref(&self) -> &Arc<Signals> {
        &self.0
    }
}

/// Receives an event's signals. It does not keep the event open.
pub(crate) struct Signals {
    port: Arc<Inner>,
    signal: Signal,
    /// Waits are armed and disarmed under the lock, so that the list always says which waits are armed. No foreign code
    /// runs under it.
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    /// `None` when the event is closed.
    handle: Option<OwnedHandle>,
    list: Vec<Wait>,
    /// How many signals have reset the event and completed no operation. While this is not 0, no operation waits.
    kept: usize,
}

/// A wait object of the pool.
#[derive(Debug)]
struct Wait {
    object: PTP_WAIT,
    /// The operation for which it is armed.
    operation: Option<InFlight>,
    /// It was disarmed once, perhaps too late. Then its next callback may belong to an earlier operation, and the
    /// object is still armed after that callback.
    was_disarmed: bool,
}

extern "system" fn signalled(_: PTP_CALLBACK_INSTANCE, signals: *mut c_void, object: PTP_WAIT, _: u32) {
    // SAFETY: when the event is closed, it waits for this callback before it frees the signals.
    let signals = unsafe { &*signals.cast::<Signals>() };
    signals.arrived(Some(object));
}

impl Wait {
    fn disarm(&mut self) {
        self.was_disarmed = true;
        // SAFETY: the object is open; null disarms it. A callback that has begun still comes.
        unsafe { SetThreadpoolWait(self.object, ptr::null_mut(), ptr::null()) };
    }

    /// Waits for a callback that has begun, or cancels it. Call it without the lock, which the callback takes.
    fn close(self, take_back: bool) {
        // SAFETY: the object is open, and this closes it; the callback runs only our code, which waits for nothing.
        unsafe {
            WaitForThreadpoolWaitCallbacks(self.object, take_back.into());
            CloseThreadpoolWait(self.object);
        }
    }
}

impl Signals {
    /// A signal has come, by this wait object, or was given back (`None`). It completes one operation.
    fn arrived(&self, object: Option<PTP_WAIT>) {
        let mut waits = lock(&self.waits);
        let mut operation = None;
        if let Some(wait) = waits.list.iter_mut().find(|wait| Some(wait.object) == object) {
            operation = wait.operation.take();
            if operation.is_some() && wait.was_disarmed {
                wait.disarm();
            }
        }
        if operation.is_none() && self.signal == Signal::Taken {
            operation = waits.list.iter_mut().find_map(|wait| wait.operation.take().inspect(|_| wait.disarm()));
            if operation.is_none() {
                waits.kept += 1;
            }
        }
        drop(waits);
        if let Some(operation) = operation {
            self.complete(operation, Status::SUCCESS);
        }
    }

    /// Returns the signal of an operation whose result nobody has taken.
    pub(crate) fn give_back(&self) {
        self.arrived(None);
    }

    /// How many wait objects there are, armed or not.
    #[cfg(test)]
    pub(crate) fn wait_objects(&self) -> usize {
        lock(&self.waits).list.len()
    }

    fn complete(&self, operation: InFlight, status: Status) {
        // SAFETY: the thread that takes an operation out of its wait is the kernel's side of it.
        unsafe { self.port.slot(operation).set_status(status, 0) };
        self.port.queue().post(operation.token());
    }

    /// Disarms the operation's wait, if it is still armed.
    pub(crate) fn cancel(&self, operation: InFlight) {
        let mut waits = lock(&self.waits);
        let Some(place) = waits.list.iter().position(|wait| wait.operation == Some(operation)) else { return };
        waits.list[place].disarm();
        waits.list[place].operation = None;
        // A signal that stays must not reach another operation through a callback that has begun.
        let over = (self.signal == Signal::Stays).then(|| waits.list.swap_remove(place));
        drop(waits);
        if let Some(wait) = over {
            wait.close(true);
        }
        self.complete(operation, Status::CANCELLED);
    }

    pub(crate) fn cancel_all(&self) {
        let operations: Vec<_> = lock(&self.waits).list.iter().filter_map(|wait| wait.operation).collect();
        for operation in operations {
            self.cancel(operation);
        }
    }
}

impl Event {
    /// # Errors
    /// When the pool cannot wait for the handle.
    pub(crate) fn new(handle: OwnedHandle, port: Arc<Inner>) -> Result<Self, Error> {
        let signal = waited_for(&handle)?;
        let waits = Mutex::new(Waits { handle: Some(handle), ..Waits::default() });
        Ok(Self(Arc::new(Signals { port, signal, waits })))
    }

    /// Arms a wait for the operation. `Some`: it is over at once.
    pub(crate) fn submit(&self, operation: InFlight) -> Option<(Status, usize)> {
        let mut waits = lock(&self.0.waits);
        let Some(handle) = waits.handle.as_ref().map(AsRawHandle::as_raw_handle) else {
            return Some((Status::CANCELLED, 0));
        };
        if waits.kept > 0 {
            waits.kept -= 1;
            return Some((Status::SUCCESS, 0));
        }
        let place = match waits.list.iter().position(|wait| wait.operation.is_none()) {
            Some(place) => place,
            None => {
                let context = Arc::as_ptr(&self.0).cast_mut().cast();
                // SAFETY: the context is freed only after the object is closed and its callbacks are over.
                let object = unsafe { CreateThreadpoolWait(Some(signalled), context, ptr::null()) };
                if object == 0 {
                    return Some((Status::INSUFFICIENT_RESOURCES, 0));
                }
                waits.list.push(Wait { object, operation: None, was_disarmed: false });
                waits.list.len() - 1
            }
        };
        let wait = &mut waits.list[place];
        wait.operation = Some(operation);
        // SAFETY: object and handle are open until the event is closed, which disarms the wait; there is no time limit.
        unsafe { SetThreadpoolWait(wait.object, handle, ptr::null()) };
        None
    }

    /// Ends all waits, and closes the handle. Nothing is submitted after this.
    pub(crate) fn close(&self) {
        self.cancel_all();
        // All waits are disarmed. Callbacks that have begun find no operation, and keep their signals in `kept`.
        let list = mem::take(&mut lock(&self.0.waits).list);
        for wait in list {
            wait.close(false);
        }
        let mut waits = lock(&self.0.waits);
        let (handle, kept) = (waits.handle.take(), mem::take(&mut waits.kept));
        drop(waits);
        // Another program may wait for the signals that no operation got: set the event again.
        if let (Some(handle), 1..) = (handle, kept) {
            // SAFETY: the handle is open; a function that is not allowed on it, or does not fit it, only fails.
            unsafe {
                if SetEvent(handle.as_raw_handle()) == 0 {
                    let kept = i32::try_from(kept).unwrap_or(i32::MAX);
                    ReleaseSemaphore(handle.as_raw_handle(), kept, ptr::null_mut());
                }
            }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.close();
    }
}
