//! Bytes that came back from a device's reads: which reads get them, and which wait for them. Also passes on signals of
//! events that nobody took.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

#[cfg(any(windows, all(target_os = "linux", not(miri))))]
use super::Backend;
use super::{Inner, Submitted};
use crate::operation::slab::What;
use crate::operation::unread::{Admission, GRACE_PERIOD, Own, StreamKind, Unread};
use crate::port::Slot;
use crate::words::error::STREAM_READ;
use crate::words::token::InFlight;
use crate::{ErrorKind, Status};

impl Inner {
    /// How the reads of this device continue.
    pub(super) fn stream_kind(&self) -> StreamKind {
        match &self.backend {
            #[cfg(any(windows, all(target_os = "linux", not(miri))))]
            Backend::File(file) => file.stream_kind(),
            _ => StreamKind::Messages,
        }
    }

    /// Drops the bytes that came back from reads, and counts them as lost.
    pub(super) fn lose_unread(&self) {
        let (results, bytes) = self.unread.clear();
        self.port.lost(results, bytes);
    }

    /// The operation in `slot` is over and belongs to the caller, and nobody will take its result. Passes the result on
    /// if possible, and otherwise counts it as lost. Returns whether it was passed on.
    pub(crate) fn left_over(self: &Arc<Self>, slot: &Slot, operation: InFlight) -> bool {
        if slot.is_taken() {
            return false;
        }
        if slot.operation() == STREAM_READ {
            return self.left_over_read(slot, operation);
        }
        #[cfg(windows)]
        if let Backend::Event(event) = &self.backend
            // SAFETY: the operation is over and belongs to the caller.
            && !unsafe { slot.status() }.0.is_error()
        {
            event.give_back();
            return true;
        }
        self.port.lost_result(slot, operation);
        false
    }

    /// Like [`left_over`](Self::left_over), for a read of a stream.
    pub(super) fn left_over_read(self: &Arc<Self>, slot: &Slot, operation: InFlight) -> bool {
        // SAFETY: the operation is over and belongs to the caller; the bytes are copied before the slot is given back.
        let (bytes, status) = unsafe {
            let (status, information) = slot.status();
            (slot.output(if status.is_error() { 0 } else { information }), status)
        };
        let has_bytes = !status.is_error() && (!bytes.is_empty() || self.stream_kind() == StreamKind::Messages);
        if has_bytes {
            self.unread.give_back(slot.place(), bytes);
        }
        if !self.unread.any() {
            return false;
        }
        self.unread.resolve(operation);
        if self.enter().map(|device| device.offer_unread()).is_none() {
            // The device was closed meanwhile: nobody reads from it any more.
            self.lose_unread();
        }
        has_bytes
    }

    /// A read of a stream is about to be submitted. It gets bytes that came back from other reads, or waits for reads
    /// that may bring some. `None`: it goes to the driver.
    pub(super) fn admit(self: &Arc<Self>, operation: InFlight, slot: &Slot) -> Option<Submitted> {
        // SAFETY: the operation has begun and was not submitted: this thread acts as its kernel.
        let output = unsafe { slot.memory().output() };
        if output.is_empty() {
            return None;
        }
        let kind = self.stream_kind();
        let admission = loop {
            match self.unread.admit(kind, operation, output, &|may| self.longest_waiting(may), |at| slot.set_place(at))
            {
                Admission::Promised(reader) => self.cancel_pinned(reader),
                admission => break admission,
            }
        };
        match admission {
            Admission::Go | Admission::Promised(_) => None,
            Admission::Given(mut given, _is_all) => {
                #[cfg(any(windows, all(target_os = "linux", not(miri))))]
                if let (Backend::File(file), StreamKind::Bytes, true) = (&self.backend, kind, _is_all) {
                    given.len += file.more(&mut output[given.len..]);
                }
                let status = if given.more { Status::BUFFER_OVERFLOW } else { Status::SUCCESS };
                Some(Submitted::Final(operation, status, given.len))
            }
            Admission::Parked => {
                self.port.parked(operation, self.listed());
                // The earlier read may have ended since it was parked.
                self.offer_unread();
                Some(Submitted::Pending(operation))
            }
        }
    }

    /// Gives the bytes that came back to reads that wait. Submits parked reads that have no reason to wait any more.
    pub(crate) fn offer_unread(self: &Arc<Self>) {
        while self.unread.any() {
            if let Some(reader) = self.unread.promise(&|may| self.longest_waiting(may)) {
                self.cancel_pinned(reader);
            } else if let Some(parked) = self.unread.unpark_next() {
                self.submit_parked(parked);
            } else {
                return;
            }
        }
    }

    /// The read that has waited longest, among those that `may` get a promise.
    pub(super) fn longest_waiting(&self, may: &dyn Fn(InFlight) -> bool) -> Option<(u64, InFlight)> {
        let mut after = 0;
        loop {
            let reads = self.port.slab.iter().filter_map(|(index, slot)| {
                let waits = || slot.device() == self.id && slot.operation() == STREAM_READ && slot.number() > after;
                // A read that is being cancelled ends by itself, and perhaps nobody wants its bytes any more.
                let wanted = |generation: &u32| waits() && slot.cancelled.load(Acquire) != *generation;
                let generation = slot.machine.pending().filter(wanted)?;
                Some((slot.number(), InFlight::new(index, generation)))
            });
            let longest = reads.min_by_key(|(number, _)| *number)?;
            if may(longest.1) {
                return Some(longest);
            }
            after = longest.0;
        }
    }

    /// Submits a parked read to the driver.
    pub(super) fn submit_parked(&self, operation: InFlight) {
        let slot = self.port.slot(operation);
        let ended = self.hand_over(operation, slot, What::STREAM_READ);
        self.unread.submitted();
        if let Some((status, information)) = ended {
            self.end_parked(operation, status, information);
        }
        // If another thread cancelled the read meanwhile, the driver did not have it yet: cancel it now.
        if slot.cancelled.load(Acquire) == operation.generation() {
            self.cancel_pinned(operation);
        }
    }

    /// Ends a parked read.
    pub(super) fn end_parked(&self, operation: InFlight, status: Status, information: usize) {
        // SAFETY: the read is no longer among the parked ones, and the driver does not have it, or has ended it: this
        // thread acts as its kernel.
        unsafe { self.port.slot(operation).set_status(status, information) };
        self.port.queue().post(operation.token());
    }

    /// Earlier reads have not ended within the grace period: the parked reads stop waiting for them.
    pub(crate) fn give_up_orphans(self: &Arc<Self>) {
        if let Some(then) = Instant::now().checked_sub(GRACE_PERIOD) {
            self.unread.give_up_orphans(then);
            self.offer_unread();
        }
    }

    /// The read is over and belongs to the caller. If older bytes came back, it takes them in place of its own.
    #[inline]
    pub(crate) fn settle(self: &Arc<Self>, slot: &Slot, operation: InFlight) {
        if self.unread.any() && slot.operation() == STREAM_READ {
            settle(&self.unread, self.stream_kind(), slot, operation);
            if self.unread.any() {
                self.offer_unread();
            }
        }
    }

    /// The owner of a read leaves. Bytes that were promised to the read go to another one.
    pub(crate) fn withdraw(self: &Arc<Self>, operation: InFlight) {
        if self.unread.any() {
            self.unread.withdraw(operation);
            self.offer_unread();
        }
    }

    pub(super) fn cancel_parked(&self) {
        while self.unread.any()
            && let Some(operation) = self.unread.unpark_first()
        {
            let slot = self.port.slot(operation);
            slot.cancelled.store(operation.generation(), Release);
            slot.set_nothing();
            self.end_parked(operation, Status::CANCELLED, 0);
        }
    }
}

/// The read `operation` is over and belongs to the caller: older bytes that came back take the place of its own.
fn settle(unread: &Unread, kind: StreamKind, slot: &Slot, operation: InFlight) {
    // SAFETY: the operation is over and belongs to the caller; its output is read completely before it is written.
    let ((status, information), output) = unsafe { (slot.status(), slot.memory().output()) };
    let own = match status.kind() {
        _ if !status.is_error() => Own::Bytes(output[..information.min(output.len())].into()),
        ErrorKind::Cancelled => Own::Cancelled,
        _ => Own::None,
    };
    if let Some(given) =
        unread.settle(kind, operation, slot.number(), (slot.place(), own), output, |at| slot.set_place(at))
    {
        let status = if given.more { Status::BUFFER_OVERFLOW } else { Status::SUCCESS };
        // SAFETY: as above.
        unsafe { slot.set_status(status, given.len) };
    }
}
