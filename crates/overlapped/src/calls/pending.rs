//! The owner's side of an operation in flight: checks whether the operation is over, takes the result, or leaves.

use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use super::finish;
use crate::calls::reply::sealed::Done;
use crate::device::{self, Handle};
use crate::operation::slot::Progress;
use crate::port::{self, Slot, Waiter, Whose};
use crate::words::error::STREAM_READ;
use crate::words::token::InFlight;
use crate::{Error, ErrorKind, Operation, Output, Reply, Status};

/// A call that is in flight, or over with its result not taken. It keeps the handle open, as a device does.
pub(crate) struct Pending {
    pub(super) device: Arc<Handle>,
    /// [`InFlight::NONE`] when the operation has another owner by now; and for a refused call, which was never
    /// submitted: then `device` holds the error.
    pub(super) operation: InFlight,
}

impl Pending {
    pub(super) fn progress(&self, cx: &Context<'_>) -> Progress {
        let slot = self.slot();
        let progress = slot.machine.wait(
            |waiter| matches!(waiter, Waiter::Wake(waker) if waker.will_wake(cx.waker())),
            || Waiter::Wake(cx.waker().clone()),
        );
        match progress {
            Progress::Pending if !self.device.port.is_attended_here(cx) => {
                self.device.port.unattended(slot, self.operation);
            }
            Progress::Complete if self.is_preceded() => {
                // The earlier read is about to end: let the dispatcher run, and poll again.
                std::thread::yield_now();
                cx.waker().wake_by_ref();
                return Progress::Pending;
            }
            _ => {}
        }
        progress
    }

    /// The waiting thread has reached its deadline: cancels the operation, and notes that as the reason.
    pub(super) fn overdue(&self) {
        if self.slot().machine.set_overdue(self.operation.generation()) {
            self.cancel();
        }
    }

    #[inline]
    pub(super) fn new(device: Arc<Handle>, operation: InFlight) -> Self {
        Self { device, operation }
    }

    #[inline]
    pub(super) fn slot(&self) -> &Slot {
        self.device.port.slot(self.operation)
    }

    pub(super) fn what(&self) -> Operation {
        self.slot().operation()
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.slot().machine.is_complete()
    }

    /// The error of a call that was never submitted.
    pub(super) fn refusal(&self) -> Option<Error> {
        if self.operation == InFlight::NONE { self.device.refusal.clone() } else { None }
    }

    /// The reason why there is no result: the call was never submitted; or this is the child of a fork, where the
    /// result belongs to the parent and a thread of the parent may hold the locks.
    pub(super) fn denied(&self) -> Option<Error> {
        self.refusal().or_else(|| self.inherited())
    }

    /// The error of a call that has timed out.
    pub(super) fn expired(&self) -> Error {
        self.device.error(ErrorKind::TimedOut, self.what())
    }

    /// The byte count, if the call ended in a success that needs no further check.
    pub(super) fn plain_success(&self) -> Option<usize> {
        if self.operation == InFlight::NONE {
            return None;
        }
        let slot = self.slot();
        if !slot.machine.is_complete() || self.device.unread.any() || self.device.port.is_inherited() {
            return None;
        }
        // SAFETY: the result is published, and this call owns it.
        let (status, information) = unsafe { slot.status() };
        (status == Status::SUCCESS && slot.is_plain()).then_some(information)
    }

    /// The reply of a [`plain_success`](Self::plain_success).
    #[inline]
    pub(super) fn take_plain<Out: Output + ?Sized>(mut self, information: usize) -> Result<Reply<Out>, Error> {
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let port = &self.device.port;
        let slot = port.slot(operation);
        let what = slot.what();
        match Out::take(Done { port, slot, operation, information }) {
            Ok(held) => Ok(Reply::new(held, Status::SUCCESS, information)),
            Err(bytes) => Err(finish::truncated(what.operation(), &self.device.name, &bytes)),
        }
    }

    /// Whether the caller has to wait.
    #[inline]
    pub(super) fn has_to_wait(&self) -> bool {
        !self.is_complete() || self.is_preceded()
    }

    /// Whether an earlier read was dropped and is not over: its bytes come first. On the dispatcher this is `false`,
    /// since the dispatcher must not wait.
    #[inline]
    pub(super) fn is_preceded(&self) -> bool {
        self.device.unread.any() && self.is_preceded_by_some()
    }

    #[inline(never)]
    fn is_preceded_by_some(&self) -> bool {
        self.what() == STREAM_READ
            && !self.was_cancelled()
            && self.device.unread.is_preceded(self.slot().place())
            && !self.device.port.is_dispatched_here()
    }

    /// Whether the operation ended as cancelled: then it has no bytes that must wait for earlier ones.
    fn was_cancelled(&self) -> bool {
        // SAFETY: the result is published, and this call owns it.
        self.is_complete() && unsafe { self.slot().status() }.0.kind() == ErrorKind::Cancelled
    }

    pub(super) fn cancel(&self) {
        if self.device.port.is_inherited() {
            return;
        }
        self.device.cancel(self.operation);
    }

    /// Makes the port's dispatcher cancel the operation after `timeout`.
    pub(super) fn timeout(&self, timeout: Duration) {
        if let Some(at) = Instant::now().checked_add(timeout)
            && !self.device.port.is_inherited()
        {
            self.device.port.at(at, self.operation, self.device.listed());
        }
    }

    pub(super) fn port(&self) -> Arc<port::Inner> {
        self.device.port.clone()
    }

    /// In the child of a fork, the error of a call that belongs to the parent.
    pub(super) fn inherited(&self) -> Option<Error> {
        self.device.port.is_inherited().then(|| self.inherited_error())
    }

    #[cold]
    fn inherited_error(&self) -> Error {
        port::inherited(self.what()).on(&self.device.name)
    }

    pub(super) fn deadlock(&self) -> Option<Error> {
        if let Some(inherited) = self.inherited() {
            return Some(inherited);
        }
        (self.device.port.must_not_wait_here() && !self.is_complete()).then(|| {
            self.device
                .error(ErrorKind::Deadlock, self.what())
                .hint("this thread dispatches completions; await the call instead")
        })
    }

    /// The result, once it is published.
    #[inline]
    pub(super) fn take<Out: Output + ?Sized>(mut self) -> Result<Reply<Out>, Error> {
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let (port, name) = (&self.device.port, &self.device.name);
        let slot = port.slot(operation);
        self.device.settle(slot, operation);
        // SAFETY: the result is published, and this call owned the operation.
        unsafe { published(port, slot, name, operation) }
    }

    /// Gives the call to its completion, which will run the callback.
    pub(super) fn then<Out: Output + ?Sized>(
        mut self,
        callback: impl FnOnce(Result<Reply<Out>, Error>) + Send + 'static,
    ) {
        if let Some(error) = self.denied() {
            return self.device.port.run(Box::new(move || callback(Err(error))));
        }
        let (what, name, unread) = (self.what(), self.device.name.clone(), self.device.unread.clone());
        let device = Arc::downgrade(&**self.device);
        let operation = std::mem::replace(&mut self.operation, InFlight::NONE);
        let run = move |port: &Arc<port::Inner>, operation: InFlight| {
            // If the call has expired and its packet has not come since, leave the slot to the packet.
            let slot = port.slot(operation);
            callback(if slot.machine.abandon(operation.generation()) {
                if unread.any() {
                    device::Inner::inside(&device, |device| device.settle(slot, operation));
                }
                // SAFETY: the result is published, and the call gave the operation to this callback.
                unsafe { published(port, slot, &name, operation) }
            } else {
                if unread.any() {
                    device::Inner::inside(&device, |device| device.withdraw(operation));
                }
                Err(Error::new(ErrorKind::TimedOut, what).on(&name))
            });
        };
        let port = self.device.port.clone();
        let machine = &port.slot(operation).machine;
        let to_deliver = match machine.register(Waiter::Callback(Box::new(run))) {
            Ok(Progress::Pending) => return port.unattended(port.slot(operation), operation),
            Err(waiter) => Some(waiter),
            // The call has expired. If its packet has come since, the packet has the callback.
            Ok(_) => machine.take_waiter(operation.generation()),
        };
        if let Some(waiter) = to_deliver {
            port.deliver(waiter, operation);
        }
    }

    /// The owner leaves, without the result.
    #[inline(never)]
    fn leave(&mut self) {
        // In the child of a fork the operation belongs to the parent, and a thread that does not exist here may hold
        // its locks.
        if self.device.port.is_inherited() {
            return;
        }
        let slot = self.slot();
        let what = slot.operation();
        // Cancel first, while this call owns the slot: later the slot may hold another call, and the cancel would hit
        // that one.
        if !slot.machine.is_complete() {
            self.device.cancel(self.operation);
        }
        drop(slot.machine.take_waiter(self.operation.generation()));
        // Later reads wait for this one if it may still bring bytes, unless the driver has not ended it within the
        // grace period.
        let is_orphan =
            what == STREAM_READ && !slot.machine.is_complete() && !slot.has_nothing() && !slot.machine.is_expired();
        if is_orphan {
            self.device.unread.orphan(self.operation, || slot.place().number);
        }
        if slot.machine.abandon(self.operation.generation()) {
            if !is_orphan {
                self.device.settle(slot, self.operation);
            }
            self.device.left_over(slot, self.operation);
            self.device.port.release(self.operation);
        } else {
            if what == STREAM_READ {
                self.device.withdraw(self.operation);
            }
            self.device.port.abandoned(slot, self.operation, Whose::NO_WAKERS);
        }
    }
}

/// Takes the result of an operation.
///
/// # Safety
/// The result is published, and the caller owns the operation, which has this slot.
#[inline]
unsafe fn published<Out: Output + ?Sized>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
) -> Result<Reply<Out>, Error> {
    // SAFETY: the caller's promise.
    let ended = unsafe { slot.status() };
    if ended.0 == Status::CANCELLED && slot.machine.is_overdue() {
        return Err(timed_out(port, slot, name, operation));
    }
    finish::finish(port, slot, name, operation, ended)
}

/// The error of an operation that was cancelled at its deadline. Releases its slot.
#[cold]
fn timed_out(port: &port::Inner, slot: &Slot, name: &Arc<str>, operation: InFlight) -> Error {
    let error = Error::new(ErrorKind::TimedOut, slot.operation()).on(name);
    port.release_slot(slot, operation);
    error
}

impl Drop for Pending {
    #[inline]
    fn drop(&mut self) {
        if self.operation != InFlight::NONE {
            self.leave();
        }
    }
}
