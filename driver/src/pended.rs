//! Queues of pended requests that can be cancelled at any time.
//!
//! The kernel has IoCsq* for this, and a driver for real machines should use that: it does exactly what this file does.
//! Wine 8 has only stubs of it. These rules hold under the lock of the chip:
//!
//! 1. An IRP is linked in a queue before it gets a cancel routine, so the cancel routine always finds it there.
//! 2. The code that removes the cancel routine (by exchange) owns the IRP, and may unlink and complete it. If the
//!    routine is removed already, it is about to run: it waits for the lock, and then finds the IRP in the queue.
//! 3. If an IRP was cancelled before it got its cancel routine, the code that queued it notices that right afterwards,
//!    and completes it.
//! 4. Nothing is completed under the lock.

use windows_sys::Wdk::Foundation::DRIVER_CANCEL;

use crate::request::{Irp, Request};

/// A queue, oldest first. All zeros is an empty one.
pub(crate) struct Queue {
    first: Option<Irp>,
    last: Option<Irp>,
}

// SAFETY: the IRPs in it belong to this driver, and not to a thread.
unsafe impl Send for Queue {}

const NEXT: usize = 0;
const PREVIOUS: usize = 1;

impl Queue {
    pub(crate) const EMPTY: Queue = Queue { first: None, last: None };

    pub(crate) fn first(&self) -> Option<Irp> {
        self.first
    }

    pub(crate) fn next(&self, irp: Irp) -> Option<Irp> {
        // SAFETY: the IRP is in this queue, so it is live and its links are ours.
        unsafe { (*irp.links())[NEXT] }
    }

    /// Links a request at the end. `place` tells the cancel routine which queue it is in.
    pub(crate) fn push(&mut self, request: Request, place: usize) -> Irp {
        let irp = request.into_irp();
        // SAFETY: the request was ours, so its links and its context are.
        unsafe {
            *irp.place() = place;
            *irp.links() = [None, self.last];
        }
        match self.last {
            None => self.first = Some(irp),
            // SAFETY: linked in this queue, so it is live.
            Some(last) => unsafe { (*last.links())[NEXT] = Some(irp) },
        }
        self.last = Some(irp);
        irp
    }

    /// Takes a request out.
    ///
    /// # Safety
    /// It is in this queue, and its cancel routine was removed, is running now, or was never set.
    pub(crate) unsafe fn unlink(&mut self, irp: Irp) -> Request {
        // SAFETY: linked in this queue, so it is live; so are its neighbours.
        unsafe {
            let [next, previous] = *irp.links();
            match previous {
                None => self.first = next,
                Some(previous) => (*previous.links())[NEXT] = next,
            }
            match next {
                None => self.last = previous,
                Some(next) => (*next.links())[PREVIOUS] = previous,
            }
            // SAFETY: it is out of the queue, and by the caller's promise nobody else completes it.
            Request::own(irp)
        }
    }
}

/// Sets the cancel routine of a request in a queue. `false`: the request was cancelled before, and the caller must
/// unlink and complete it.
#[must_use]
pub(crate) fn arm(irp: Irp, routine: DRIVER_CANCEL) -> bool {
    irp.set_cancel_routine(routine);
    !(irp.is_cancelled() && disarm(irp))
}

/// Removes the cancel routine. `false`: it is about to run, and the request is not ours.
#[must_use]
pub(crate) fn disarm(irp: Irp) -> bool {
    irp.set_cancel_routine(None)
}

/// Requests that are over, to be completed in this order after the lock is released.
#[must_use]
pub(crate) struct Finished(Queue);

impl Finished {
    pub(crate) fn none() -> Finished {
        Finished(Queue::EMPTY)
    }

    /// Adds a request whose status is set.
    pub(crate) fn push(&mut self, request: Request) {
        self.0.push(request, 0);
    }

    pub(crate) fn complete(mut self) {
        while let Some(irp) = self.0.first() {
            // SAFETY: it is in this queue, and none of these has a cancel routine.
            unsafe { self.0.unlink(irp) }.complete();
        }
    }
}
