//! One thread for each call in flight, which blocks until the call is over. The threads are kept and used again, the
//! cheapest form of this.

use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, mpsc};
use std::thread;

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, ERROR_OPERATION_ABORTED};
use windows_sys::Win32::System::IO::{CancelIoEx, DeviceIoControl, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::CreateEventW;

use super::io::{Bytes, Io, ROOM, error};

struct Job {
    code: u32,
    input: &'static [u8],
    output: bool,
}

/// A thread that makes calls.
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
    results: mpsc::Receiver<Result<Bytes, u32>>,
    /// The address of its OVERLAPPED, once it has submitted.
    submitted: Arc<AtomicUsize>,
}

pub(super) struct Threads {
    handle: Arc<OwnedHandle>,
    idle: Vec<Worker>,
}

impl Worker {
    fn start(handle: Arc<OwnedHandle>) -> Self {
        let (jobs, todo) = mpsc::channel();
        let (done, results) = mpsc::channel();
        let submitted = Arc::new(AtomicUsize::new(0));
        let address = submitted.clone();
        thread::spawn(move || {
            // SAFETY: an event without a name and with the default rights.
            let event = unsafe { CreateEventW(null(), 1, 0, null()) };
            for job in todo {
                let job: Job = job;
                let result = block(&handle, event, &job, &address);
                if done.send(result).is_err() {
                    return;
                }
            }
        });
        Self { jobs, results, submitted }
    }
}

fn block(handle: &OwnedHandle, event: *mut std::ffi::c_void, job: &Job, address: &AtomicUsize) -> Result<Bytes, u32> {
    let mut bytes = [0; ROOM];
    let mut overlapped = OVERLAPPED { hEvent: event, ..Default::default() };
    let mut count = 0;
    let room = if job.output { (bytes.as_mut_ptr(), ROOM as u32) } else { (null_mut(), 0) };
    let input = if job.input.is_empty() { (null(), 0) } else { (job.input.as_ptr(), job.input.len() as u32) };
    let handle = handle.as_raw_handle();
    // SAFETY: buffers and OVERLAPPED live until the call is over; this waits for that.
    let ok = unsafe {
        let ok = DeviceIoControl(
            handle,
            job.code,
            input.0.cast(),
            input.1,
            room.0.cast(),
            room.1,
            null_mut(),
            &mut overlapped,
        );
        if ok == 0 && error() == ERROR_IO_PENDING {
            address.store((&raw const overlapped).addr(), Release);
            GetOverlappedResult(handle, &overlapped, &mut count, 1)
        } else {
            ok
        }
    };
    let result = if ok != 0 { Ok(bytes) } else { Err(error()) };
    address.store(0, Release);
    result
}

impl Io for Threads {
    type Call = Worker;

    fn on(handle: OwnedHandle) -> Self {
        Self { handle: Arc::new(handle), idle: Vec::new() }
    }

    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Worker {
        let worker = self.idle.pop().unwrap_or_else(|| Worker::start(self.handle.clone()));
        worker.jobs.send(Job { code, input, output }).unwrap();
        worker
    }

    fn cancel(&mut self, call: &Worker) {
        let overlapped = loop {
            match call.submitted.load(Acquire) {
                0 => thread::yield_now(),
                address => break address,
            }
        };
        // SAFETY: the address only names the operation.
        unsafe { CancelIoEx(self.handle.as_raw_handle(), std::ptr::with_exposed_provenance(overlapped)) };
    }

    fn finish(&mut self, call: Worker) -> Option<Bytes> {
        let result = call.results.recv().expect("the thread answers");
        self.idle.push(call);
        match result {
            Ok(bytes) => Some(bytes),
            Err(ERROR_OPERATION_ABORTED) => None,
            Err(code) => panic!("error {code}"),
        }
    }
}
