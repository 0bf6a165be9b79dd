//! A serial port with the rules of a serial driver: it has one wait at a time, events add up, and a new mask ends a
//! wait.

use std::sync::{Arc, Mutex, MutexGuard};

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{CtlCode, Status};

const SET_WAIT_MASK: CtlCode = CtlCode::from_u32(0x001B_0044);
const WAIT_ON_MASK: CtlCode = CtlCode::from_u32(0x001B_0048);
const GET_MODEMSTATUS: CtlCode = CtlCode::from_u32(0x001B_0068);

/// CTS, DSR, RI and DCD: SERIAL_EV_* and SERIAL_*_STATE (ntddser.h).
const LINES: [(u32, u32); 4] = [(0x08, 0x10), (0x10, 0x20), (0x100, 0x40), (0x20, 0x80)];

#[derive(Default)]
struct State {
    mask: u32,
    levels: u32,
    happened: u32,
    is_open: bool,
}

#[derive(Default)]
pub(crate) struct SerialPort {
    state: Mutex<State>,
    waiting: Queue<()>,
}

impl SerialPort {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Switches a line from the other end.
    pub(crate) fn switch(&self, line: usize) {
        let mut state = self.lock();
        let (event, level) = LINES[line];
        state.levels ^= level;
        state.happened |= event & state.mask;
        self.tell(&mut state);
    }

    /// Another event that is not in the mask. A wait may end without an event nevertheless.
    pub(crate) fn end_wait(&self) {
        if let Some((mut wait, ())) = self.waiting.pop() {
            wait.write(&0_u32.to_le_bytes());
            wait.complete(Status::SUCCESS);
        }
    }

    fn tell(&self, state: &mut State) {
        if state.happened != 0
            && let Some((mut wait, ())) = self.waiting.pop()
        {
            wait.write(&std::mem::take(&mut state.happened).to_le_bytes());
            wait.complete(Status::SUCCESS);
        }
    }
}

impl Driver for SerialPort {
    fn open(&self, _: FileId) -> Result<(), Status> {
        if std::mem::replace(&mut self.lock().is_open, true) { Err(Status::ACCESS_DENIED) } else { Ok(()) }
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut state = self.lock();
        match request.code() {
            SET_WAIT_MASK => {
                let Ok(mask) = request.input().try_into() else {
                    return request.complete(Status::INVALID_PARAMETER);
                };
                (state.mask, state.happened) = (u32::from_le_bytes(mask), 0);
                self.end_wait();
                request.complete(Status::SUCCESS)
            }
            WAIT_ON_MASK if !self.waiting.is_empty() || state.mask == 0 => request.complete(Status::INVALID_PARAMETER),
            WAIT_ON_MASK => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                self.tell(&mut state);
                outcome
            }
            GET_MODEMSTATUS => {
                request.write(&state.levels.to_le_bytes());
                request.complete(Status::SUCCESS)
            }
            _ => request.complete(Status::INVALID_DEVICE_REQUEST),
        }
    }

    fn cancel(&self, request: RequestId) {
        self.waiting.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.waiting.complete_all_of(file, Status::CANCELLED);
        self.lock().is_open = false;
    }
}
