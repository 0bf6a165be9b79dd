//! A simulated device that is a stream passes the tests that pipes pass.

#[path = "support/stream.rs"]
mod stream;
mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use overlapped::sim::{Driver, FileId, Outcome, Pended, Request, RequestId};
use overlapped::{Device, ErrorKind, Port, Status};
use stream::{Ends, conformance};

/// The reading end of a pipe.
#[derive(Default)]
struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    waiting: VecDeque<Pended>,
    is_over: bool,
}

impl State {
    /// Serves the waiting reads, in order.
    fn serve(&mut self) {
        while !self.bytes.is_empty() || self.is_over {
            let Some(mut pended) = self.waiting.pop_front() else { return };
            if self.bytes.is_empty() {
                pended.complete(Status::PIPE_BROKEN);
                continue;
            }
            let count = pended.output_len().min(self.bytes.len());
            let bytes: Vec<u8> = self.bytes.drain(..count).collect();
            pended.write(&bytes);
            pended.complete(Status::SUCCESS);
        }
    }
}

impl Driver for Pipe {
    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn read(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        let mut state = self.0.lock().unwrap();
        if pended.is_cancelled() {
            pended.complete(Status::CANCELLED);
        } else {
            state.waiting.push_back(pended);
            state.serve();
        }
        outcome
    }

    fn cancel(&self, request: RequestId) {
        let mut state = self.0.lock().unwrap();
        if let Some(at) = state.waiting.iter().position(|pended| pended.id() == request) {
            state.waiting.remove(at).unwrap().complete(Status::CANCELLED);
        }
    }

    fn cleanup(&self, _: FileId) {
        for pended in self.0.lock().unwrap().waiting.drain(..) {
            pended.complete(Status::CANCELLED);
        }
    }
}

/// The writing end of the pipe.
struct Writer(Arc<Pipe>);

impl Ends for Writer {
    const END: Option<ErrorKind> = Some(ErrorKind::Disconnected);

    fn pair(port: &Port) -> (Device, Self) {
        let pipe = Arc::new(Pipe::default());
        (Device::simulated_on(port, pipe.clone()).unwrap(), Self(pipe))
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut state = self.0.0.lock().unwrap();
        state.bytes.extend(bytes);
        state.serve();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap();
        state.is_over = true;
        state.serve();
    }
}

conformance!(Writer);

/// A driver that takes at most three bytes of a write.
struct Few;

impl Driver for Few {
    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn write(&self, mut request: Request) -> Outcome {
        assert_eq!(request.output_len(), 0);
        let count = request.input().len().min(3);
        request.set_information(count);
        request.complete(Status::SUCCESS)
    }
}

#[test]
fn a_partial_write_to_a_simulated_device_is_reported() {
    let device = Device::simulated(Few).unwrap();
    assert_eq!(device.write(b"12345").wait().unwrap().information(), 3);
    assert_eq!(device.write_all(b"123").wait().unwrap().information(), 3);
    let error = device.write_all(b"12345").wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::Truncated, overlapped::Operation::Write { offset: None })
    );
    assert!(error.to_string().ends_with("truncated; 3 of 5 bytes were written"), "{error}");
    assert_eq!(device.write_at(0, b"12345").wait().unwrap().information(), 3);
}
