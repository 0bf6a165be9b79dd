//! A simulated device for the tests, with one control code for each way that a driver can behave.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use overlapped::sim::{Driver, FileId, Outcome, Pended, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Ioctl, Method, Status};
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use test_support::until;

pub(crate) const fn code(function: u16) -> CtlCode {
    CtlCode::new(0x8000, function, Method::Buffered, Access::Any)
}

/// Ends at once with the status in the input, after writing `DATA`.
pub(crate) const ANSWER: Ioctl<u32, [u8]> = unsafe_ioctl_slice(code(0x800), 16);
/// Stays pending until the test completes it.
pub(crate) const WAIT: Ioctl<(), u32> = unsafe_ioctl(code(0x801));
/// Like WAIT, without an output.
pub(crate) const WAIT_NOTHING: Ioctl<(), ()> = unsafe_ioctl(code(0x801));
/// Like WAIT, in a driver that has no cancel routine.
pub(crate) const HOLD: Ioctl<(), u32> = unsafe_ioctl(code(0x802));
/// Claims to have written as many bytes as the input says.
pub(crate) const LIE: Ioctl<u64, [u8]> = unsafe_ioctl_slice(code(0x803), 16);
/// Echoes the input.
pub(crate) const ECHO: Ioctl<[u8], [u8]> = unsafe_ioctl_slice(code(0x804), 4096);
/// Is pended, and completed before the driver returns.
pub(crate) const PEND_AND_COMPLETE: Ioctl<(), u32> = unsafe_ioctl(code(0x805));
/// The driver panics.
pub(crate) const PANIC: Ioctl<(), ()> = unsafe_ioctl(code(0x806));
/// The driver drops the request.
pub(crate) const FORGET: Ioctl<(), u32> = unsafe_ioctl(code(0x807));

pub(crate) const DATA: &[u8] = b"data";

const fn unsafe_ioctl<Out: overlapped::Output>(code: CtlCode) -> Ioctl<(), Out> {
    // SAFETY: the simulated driver below reads and writes through `Request`, which is bounded.
    unsafe { Ioctl::new(code) }
}

const fn unsafe_ioctl_slice<In: ?Sized>(code: CtlCode, capacity: usize) -> Ioctl<In, [u8]> {
    // SAFETY: as above.
    unsafe { Ioctl::slice(code, capacity) }
}

/// The device's state, shared with the test.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) waiting: Queue<()>,
    pub(crate) held: Mutex<Vec<Pended>>,
    pub(crate) cancels: AtomicUsize,
    pub(crate) cleanups: AtomicUsize,
}

impl Device {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Completes the oldest WAIT with `value`.
    pub(crate) fn complete_one(&self, value: u32) -> bool {
        let Some((mut pended, ())) = self.waiting.pop() else { return false };
        pended.write(&value.to_ne_bytes());
        pended.complete(Status::SUCCESS);
        true
    }
}

impl Driver for Device {
    fn name(&self) -> String {
        "test device".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        let function = request.code().function();
        match function {
            0x800 => {
                let status = u32::from_ne_bytes(request.input().try_into().unwrap());
                request.write(DATA);
                request.complete(Status::from_u32(status))
            }
            0x801 => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                outcome
            }
            0x802 => {
                let (pended, outcome) = request.pend();
                self.held.lock().unwrap().push(pended);
                outcome
            }
            0x803 => {
                let claim = u64::from_ne_bytes(request.input().try_into().unwrap());
                request.write(DATA);
                request.lie(Status::SUCCESS, claim as usize)
            }
            0x804 => {
                let input = request.input().to_vec();
                request.write(&input);
                request.complete(Status::SUCCESS)
            }
            0x805 => {
                let (mut pended, outcome) = request.pend();
                pended.write(&5_u32.to_ne_bytes());
                pended.complete(Status::SUCCESS);
                outcome
            }
            0x806 => panic!("the driver panics, as the test wants it to"),
            0x807 => {
                let (pended, outcome) = request.pend();
                drop(pended);
                outcome
            }
            _ => request.complete(Status::INVALID_DEVICE_REQUEST),
        }
    }

    fn cancel(&self, request: RequestId) {
        self.cancels.fetch_add(1, SeqCst);
        self.waiting.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.cleanups.fetch_add(1, SeqCst);
        self.waiting.complete_all_of(file, Status::CANCELLED);
        self.held.lock().unwrap().retain_mut(|pended| pended.file() != file);
    }
}

/// Polls a manual port until no work is left.
pub(crate) fn drain(port: &overlapped::Port) {
    while port.poll(Some(std::time::Duration::ZERO)) > 0 {}
}

/// How many rounds a race runs: `OVERLAPPED_ROUNDS`, or as many as a stage has time for.
pub(crate) fn rounds(few: usize) -> usize {
    std::env::var("OVERLAPPED_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}
