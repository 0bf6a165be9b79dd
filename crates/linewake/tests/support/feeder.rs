//! A device that returns the bytes a test feeds it, in its waits and reads, and its state.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Device, Error, Status};

/// Function 0x801 of any device type waits, 0x802 gives the state, and others accept any input.
#[derive(Default)]
pub(crate) struct Feeder {
    waiting: Queue<u8>,
    /// The waits of each line, by the first byte of their input.
    fed: Mutex<VecDeque<(u8, Vec<u8>)>>,
    state: Mutex<Vec<u8>>,
    pub(crate) inputs: Mutex<Vec<(u16, Vec<u8>)>>,
}

impl Feeder {
    pub(crate) fn new(state: &[u8]) -> Arc<Self> {
        let feeder = Arc::<Self>::default();
        feeder.set_state(state);
        feeder
    }

    pub(crate) fn opener(self: &Arc<Self>) -> impl Fn() -> Result<Device, Error> + Send + Sync + 'static {
        let feeder = self.clone();
        move || Device::simulated(feeder.clone())
    }

    pub(crate) fn set_state(&self, state: &[u8]) {
        *self.state.lock().unwrap() = state.to_vec();
    }

    /// Completes a pending wait or the next one.
    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.feed_line(0, bytes);
    }

    pub(crate) fn feed_line(&self, line: u8, bytes: &[u8]) {
        self.fed.lock().unwrap().push_back((line, bytes.to_vec()));
        self.serve();
    }

    /// Completes the newest pending wait, and leaves older ones.
    pub(crate) fn feed_youngest(&self, bytes: &[u8]) {
        let mut waits: Vec<_> = std::iter::from_fn(|| self.waiting.pop()).collect();
        let (mut wait, _) = waits.pop().expect("somebody waits");
        waits.into_iter().for_each(|(wait, line)| self.waiting.push(wait, line));
        wait.write(bytes);
        wait.complete(Status::SUCCESS);
    }

    pub(crate) fn waits(&self) -> usize {
        self.waiting.len()
    }

    fn serve(&self) {
        let mut fed = self.fed.lock().unwrap();
        fed.retain(|(line, bytes)| match self.waiting.pop_if(|_, of| of == line) {
            None => true,
            Some((mut wait, _)) => {
                wait.write(bytes);
                wait.complete(Status::SUCCESS);
                false
            }
        });
    }

    fn wait(&self, request: Request) -> Outcome {
        let line = request.input().first().copied().unwrap_or(0);
        let (pended, outcome) = request.pend();
        self.waiting.push(pended, line);
        self.serve();
        outcome
    }
}

impl Driver for Feeder {
    fn name(&self) -> String {
        "feeder".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        self.inputs.lock().unwrap().push((request.code().function(), request.input().to_vec()));
        match request.code().function() {
            0x801 => self.wait(request),
            0x802 => {
                request.write(&self.state.lock().unwrap());
                request.complete(Status::SUCCESS)
            }
            _ => request.complete(Status::SUCCESS),
        }
    }

    fn read(&self, request: Request) -> Outcome {
        self.wait(request)
    }

    fn cancel(&self, request: RequestId) {
        self.waiting.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.waiting.complete_all_of(file, Status::CANCELLED);
    }
}
