//! The state of a chip behind one spin lock: the controller and its pended requests.

use linewake_controller::protocol::{MAX_INPUT, Pin, WAIT_ANY, WAIT_INFO, WAIT_LINE, WAIT_PIN, WaitLine};
use linewake_controller::{Controller, Outcome, ReaderId, Ready, Status};
use windows_sys::Wdk::Foundation::{DEVICE_OBJECT, FILE_OBJECT, IRP};
use windows_sys::Wdk::System::SystemServices::IoReleaseCancelSpinLock;

use crate::kernel::{SpinLock, now_ns};
use crate::pended::{Finished, Queue, arm, disarm};
use crate::request::{Irp, Request};

pub(crate) const LINES: usize = 1024;
const READERS: usize = 64;
const QUEUE: usize = 1024;

/// The first [`LINES`] queues have the waits for a line each, so that an edge only looks at the waits of its line. This
/// one has the waits for any line.
const ANY_LINE: usize = LINES;
/// Waits for information about lines.
const INFO: usize = LINES + 1;
/// Waits of the fault device, which do not end before their handle is closed.
const STUCK: usize = LINES + 2;
const PLACES: usize = LINES + 3;

/// A chip and its lock.
pub(crate) type SharedChip = SpinLock<DriverChip>;

/// Nine megabytes each, all zeros, in the image's uninitialised data, which is not paged. A kernel stack has at most 24
/// KiB.
pub(crate) static CHIPS: [SharedChip; 2] = [const { SpinLock::new(DriverChip::new()) }; 2];

/// The memory that the I/O manager allocates with each device object.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Extension {
    pub(crate) chip: &'static SharedChip,
    /// A fault fixture: waits on this device have no cancel routine and end only when their handle is closed. Some real
    /// drivers do the same, and a program must survive it.
    pub(crate) no_cancel: bool,
}

pub(crate) struct DriverChip {
    pub(crate) controller: Controller<LINES, READERS, QUEUE>,
    pended: [Queue; PLACES],
    /// METHOD_BUFFERED has one buffer for both directions, so the input is copied here before the output is written.
    input: [u8; MAX_INPUT],
}

impl DriverChip {
    const fn new() -> DriverChip {
        DriverChip { controller: Controller::new(), pended: [const { Queue::EMPTY }; PLACES], input: [0; MAX_INPUT] }
    }

    /// Lets the controller try a request; `round` is zero the first time.
    fn attempt(&mut self, request: &mut Request, round: u32) -> Outcome {
        let irp = request.irp();
        if irp.input_len() > MAX_INPUT {
            return Outcome::Done { status: Status::INFO_LENGTH_MISMATCH, information: 0 };
        }
        let input = irp.copy_input(&mut self.input);
        match round {
            0 => self.controller.control(irp.reader(), irp.code(), input, request.output(), now_ns()),
            _ => self.controller.resume(irp.reader(), input, round, now_ns()),
        }
    }

    /// Queues a request until its event happens. If it was cancelled already, finishes it.
    fn pend(&mut self, mut request: Request, finished: &mut Finished) {
        request.mark_pending();
        let place = match request.irp().code() {
            WAIT_LINE | WAIT_PIN => self.waited_line(&request),
            WAIT_INFO => INFO,
            _ => ANY_LINE,
        };
        let irp = self.pended[place].push(request, place);
        self.arm_or_finish(irp, place, finished);
    }

    /// The line for which a request waits. The controller has checked the number.
    fn waited_line(&mut self, request: &Request) -> usize {
        let input = request.irp().copy_input(&mut self.input);
        let offset = input.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        const { assert!(core::mem::offset_of!(WaitLine, offset) == 0 && core::mem::offset_of!(Pin, line) == 0) };
        (offset as usize).min(LINES - 1)
    }

    fn arm_or_finish(&mut self, irp: Irp, place: usize, finished: &mut Finished) {
        if !arm(irp, Some(cancel)) {
            // SAFETY: linked there, and `arm` removed the cancel routine.
            let request = unsafe { self.pended[place].unlink(irp) };
            finish(request, Status::CANCELLED, 0, finished);
        }
    }

    /// Tries again the waits that the controller names.
    fn serve_ready(&mut self, finished: &mut Finished) {
        while let Some(ready) = self.controller.take_ready() {
            let (reader, place) = match ready {
                Ready::Line { reader, offset } => (reader, offset as usize),
                Ready::Any { reader } => (reader, ANY_LINE),
                Ready::Info { reader } => (reader, INFO),
            };
            let mut next = self.pended[place].first();
            while let Some(irp) = next {
                next = self.pended[place].next(irp);
                if irp.reader() != reader || !disarm(irp) {
                    continue;
                }
                // SAFETY: disarmed, so it is ours. It stays linked. If it pends again, it keeps its place, and then
                // belongs to the queue alone.
                let mut request = unsafe { Request::own(irp) };
                let outcome = self.attempt(&mut request, 0);
                let irp = request.into_irp();
                if let Outcome::Done { status, information } = outcome {
                    // SAFETY: linked there and disarmed.
                    let request = unsafe { self.pended[place].unlink(irp) };
                    finish(request, status, information, finished);
                } else {
                    self.arm_or_finish(irp, place, finished);
                }
            }
        }
    }

    /// Ends every pended request for which `ours` is true.
    fn finish_all(&mut self, status: Status, finished: &mut Finished, ours: impl Fn(Irp) -> bool) {
        for (place, queue) in self.pended.iter_mut().enumerate() {
            let mut next = queue.first();
            while let Some(irp) = next {
                next = queue.next(irp);
                if ours(irp) && (place == STUCK || disarm(irp)) {
                    // SAFETY: linked there; disarmed, or never armed.
                    let request = unsafe { queue.unlink(irp) };
                    finish(request, status, 0, finished);
                }
            }
        }
    }
}

/// The extension of a device object.
///
/// # Safety
/// `device` is one of ours.
pub(crate) unsafe fn extension(device: *const DEVICE_OBJECT) -> Extension {
    // SAFETY: by the caller's promise; `dispatch.rs` writes the extension before the device can be opened.
    unsafe { *(*device).DeviceExtension.cast::<Extension>() }
}

fn finish(mut request: Request, status: Status, information: usize, finished: &mut Finished) {
    request.set_status(status, information);
    finished.push(request);
}

/// Carries out a control code. Returns the status for the dispatch routine to return.
pub(crate) fn control(chip: &SharedChip, mut request: Request) -> Status {
    let mut round = 0;
    loop {
        let mut finished = Finished::none();
        let step = chip.with(|chip| {
            let outcome = chip.attempt(&mut request, round);
            chip.serve_ready(&mut finished);
            match outcome {
                Outcome::Pend => {
                    chip.pend(request, &mut finished);
                    None
                }
                Outcome::Done { status, information } => {
                    request.set_status(status, information);
                    Some((request, Ok(status)))
                }
                Outcome::Again { round } => Some((request, Err(round))),
            }
        });
        finished.complete();
        match step {
            None => return Status::PENDING,
            Some((request, Ok(status))) => {
                request.complete();
                return status;
            }
            Some((again, Err(next))) => (request, round) = (again, next),
        }
    }
}

/// Like [`control`], for the fault device: a wait pends without a cancel routine, until its handle is closed.
pub(crate) fn control_without_cancel(chip: &SharedChip, mut request: Request) -> Status {
    if !matches!(request.irp().code(), WAIT_LINE | WAIT_PIN | WAIT_ANY | WAIT_INFO) {
        return control(chip, request);
    }
    let refused = chip.with(|chip| {
        // A request may arrive after IRP_MJ_CLEANUP, when nothing would complete it any more.
        if let Err(status) = chip.controller.check(request.irp().reader()) {
            request.set_status(status, 0);
            return Some((request, status));
        }
        request.mark_pending();
        chip.pended[STUCK].push(request, STUCK);
        None
    });
    match refused {
        None => Status::PENDING,
        Some((request, status)) => {
            request.complete();
            status
        }
    }
}

/// The last handle of a file was closed: closes its reader, and ends its pended requests.
pub(crate) fn cleanup(chip: &SharedChip, file: *mut FILE_OBJECT, reader: ReaderId) {
    let mut finished = Finished::none();
    chip.with(|chip| {
        chip.controller.close(reader, now_ns());
        chip.finish_all(Status::CANCELLED, &mut finished, |irp| irp.file() == file);
        // Other readers may wait for its lines to be released.
        chip.serve_ready(&mut finished);
    });
    finished.complete();
}

/// The driver is being unloaded: ends all pended requests, even on the fault device, as if the device was unplugged.
pub(crate) fn end(chip: &SharedChip) {
    let mut finished = Finished::none();
    chip.with(|chip| {
        chip.controller.unplug();
        chip.finish_all(Status::DEVICE_NOT_CONNECTED, &mut finished, |_| true);
    });
    finished.complete();
}

/// The I/O manager calls this with the cancel spin lock held, after it has removed this routine from the IRP.
unsafe extern "system" fn cancel(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the I/O manager acquired it, and left the IRQL to return to in the IRP. The IRP is live: see rule 2.
    unsafe { IoReleaseCancelSpinLock((*irp).CancelIrql) };
    // SAFETY: only this routine may complete it now, at its end.
    let Some(irp) = (unsafe { Irp::new(irp) }) else { return };
    let mut finished = Finished::none();
    // SAFETY: the request was sent to this device, which is ours.
    unsafe { extension(device) }.chip.with(|chip| {
        // SAFETY: its place was written when it was linked, before it was armed; it is still linked there.
        let request = unsafe { chip.pended[*irp.place()].unlink(irp) };
        finish(request, Status::CANCELLED, 0, &mut finished);
    });
    finished.complete();
}
