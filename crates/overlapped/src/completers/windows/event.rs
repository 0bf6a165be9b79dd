//! Waiting for Win32 events on the system's thread pool: no thread for each, and none of ours.
//!
//! A wait object of the pool is armed for each operation, and used again. A signal that ends a wait of an auto-reset event
//! is gone from the event: so every callback of the pool is one signal, and completes one operation. That is the one its
//! wait was armed for; or, if that was cancelled meanwhile, another one that waits; or else the next. So it does no harm
//! that a wait is disarmed, and armed again for the next operation, while its callback is under way. What stays
//! signalled, as a manual-reset event does, is told to the operation that waited when it was, and to no other.

use std::ffi::c_void;
use std::mem;
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

/// An event that can be waited for, until it is closed.
pub(crate) struct Event(Arc<Signals>);

/// Where an event's signals go. That does not keep the event open.
pub(crate) struct Signals {
    port: Arc<Inner>,
    signal: Signal,
    /// Waits are armed and disarmed under the lock: nobody else's code runs there, and what is armed is what is listed.
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    /// `None` when the event is closed.
    handle: Option<OwnedHandle>,
    list: Vec<Wait>,
    /// Signals that are gone from the event and that no operation has had. While there are any, no operation waits.
    kept: usize,
}

/// A wait object of the pool.
#[derive(Debug)]
struct Wait {
    object: PTP_WAIT,
    /// What it is armed for.
    operation: Option<InFlight>,
    /// It was disarmed once, and perhaps too late: then its callback is not of the wait it is armed for, which is armed
    /// still when that callback has run.
    was_disarmed: bool,
}

extern "system" fn signalled(_: PTP_CALLBACK_INSTANCE, signals: *mut c_void, object: PTP_WAIT, _: u32) {
    // SAFETY: the event, when it is closed, waits for this callback before it lets go of them.
    let signals = unsafe { &*signals.cast::<Signals>() };
    signals.arrived(Some(object));
}

impl Wait {
    fn disarm(&mut self) {
        self.was_disarmed = true;
        // SAFETY: the object is open; null disarms it. A callback that is under way still comes.
        unsafe { SetThreadpoolWait(self.object, ptr::null_mut(), ptr::null()) };
    }

    /// Waits for a callback that is under way, or takes it back. Not under the lock, which the callback takes.
    fn close(self, take_back: bool) {
        // SAFETY: the object is open, and this is its end; the callback runs no code but ours, which waits for nothing.
        unsafe {
            WaitForThreadpoolWaitCallbacks(self.object, take_back.into());
            CloseThreadpoolWait(self.object);
        }
    }
}

impl Signals {
    /// A signal has come, to this wait object if to one: it completes one operation.
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

    /// The signal of an operation that had one, and whose result nobody has taken.
    pub(crate) fn give_back(&self) {
        self.arrived(None);
    }

    /// How many wait objects there are, armed or not.
    #[cfg(test)]
    pub(crate) fn wait_objects(&self) -> usize {
        lock(&self.waits).list.len()
    }

    fn complete(&self, operation: InFlight, status: Status) {
        // SAFETY: whoever takes an operation out of its wait is the kernel's side of it.
        unsafe { self.port.slot(operation).set_status(status, 0) };
        self.port.queue().post(operation.token());
    }

    /// Disarms the operation's wait, if it is armed still.
    fn cancel(&self, operation: InFlight) {
        let mut waits = lock(&self.waits);
        let Some(place) = waits.list.iter().position(|wait| wait.operation == Some(operation)) else { return };
        waits.list[place].disarm();
        waits.list[place].operation = None;
        // What stays signalled is not to be told to another operation, by a callback that is under way.
        let over = (self.signal == Signal::Stays).then(|| waits.list.swap_remove(place));
        drop(waits);
        if let Some(wait) = over {
            wait.close(true);
        }
        self.complete(operation, Status::CANCELLED);
    }

    fn cancel_all(&self) {
        let operations: Vec<_> = lock(&self.waits).list.iter().filter_map(|wait| wait.operation).collect();
        for operation in operations {
            self.cancel(operation);
        }
    }
}

impl Event {
    /// # Errors
    /// The handle cannot be waited for by the pool.
    pub(crate) fn new(handle: OwnedHandle, port: Arc<Inner>) -> Result<Self, Error> {
        let signal = waited_for(&handle)?;
        let waits = Mutex::new(Waits { handle: Some(handle), ..Waits::default() });
        Ok(Self(Arc::new(Signals { port, signal, waits })))
    }

    /// The signal of an operation that had one, and whose result nobody has taken.
    pub(crate) fn give_back(&self) {
        self.0.give_back();
    }

    #[cfg(test)]
    pub(crate) fn signals(&self) -> Arc<Signals> {
        self.0.clone()
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
                // SAFETY: the context is let go of only when the object is closed and its callbacks are over.
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
        // SAFETY: object and handle are open until the event is closed, which disarms the wait; no time limit.
        unsafe { SetThreadpoolWait(wait.object, handle, ptr::null()) };
        None
    }

    /// Disarms the operation's wait, if it is armed still.
    pub(crate) fn cancel(&self, operation: InFlight) {
        self.0.cancel(operation);
    }

    pub(crate) fn cancel_all(&self) {
        self.0.cancel_all();
    }

    /// Ends what waits. It is not submitted to any more.
    pub(crate) fn close(&self) {
        self.cancel_all();
        // They are all disarmed. Callbacks that are under way find nobody, and leave what they bring.
        let list = mem::take(&mut lock(&self.0.waits).list);
        for wait in list {
            wait.close(false);
        }
        let mut waits = lock(&self.0.waits);
        let (handle, kept) = (waits.handle.take(), mem::take(&mut waits.kept));
        drop(waits);
        // Others may have handles of the event, and wait for what is gone from it.
        if let (Some(handle), 1..) = (handle, kept) {
            // SAFETY: the handle is open; what it does not allow, or is not for, fails.
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
