//! A vendor's card with 32 inputs, simulated: it says which inputs changed, big-endian, and no more. What changes twice
//! before a wait is completed is one change.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Status};

const SELECT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Write);
const WAIT_CHANGE: CtlCode = CtlCode::new(0x8000, 0x802, Method::Buffered, Access::Read);
const GET_LEVELS: CtlCode = CtlCode::new(0x8000, 0x803, Method::Buffered, Access::Read);

#[derive(Default)]
struct State {
    levels: u32,
    /// Which inputs the last handle that selected some is told of.
    selected: u32,
    /// Changes nobody was told of yet.
    changed: u32,
    gone: bool,
}

#[derive(Default)]
pub(crate) struct Card {
    state: Mutex<State>,
    waiting: Queue<()>,
    /// How often levels were asked for.
    pub(crate) readings: AtomicU64,
}

impl Card {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes all of these inputs `times` times, before the card tells of any of it.
    pub(crate) fn toggle(&self, inputs: &[u32], times: u32) {
        let mut state = self.lock();
        for input in inputs {
            state.levels ^= (times % 2) << input;
            state.changed |= state.selected & 1 << input;
        }
        self.tell(&mut state);
    }

    fn tell(&self, state: &mut State) {
        if state.changed != 0
            && let Some((mut wait, ())) = self.waiting.pop()
        {
            wait.write(&std::mem::take(&mut state.changed).to_be_bytes());
            wait.complete(Status::SUCCESS);
        }
    }

    pub(crate) fn levels(&self) -> u32 {
        self.lock().levels
    }

    pub(crate) fn waits(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn plug(&self, there: bool) {
        self.lock().gone = !there;
        while let Some((wait, ())) = if there { None } else { self.waiting.pop() } {
            wait.complete(Status::DEVICE_REMOVED);
        }
    }
}

impl Driver for Card {
    fn name(&self) -> String {
        "card".to_owned()
    }

    fn open(&self, _: FileId) -> Result<(), Status> {
        if self.lock().gone { Err(Status::NO_SUCH_DEVICE) } else { Ok(()) }
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut state = self.lock();
        match request.code() {
            _ if state.gone => request.complete(Status::DEVICE_REMOVED),
            SELECT => match request.input().try_into() {
                Ok(mask) => {
                    (state.selected, state.changed) = (u32::from_be_bytes(mask), 0);
                    request.complete(Status::SUCCESS)
                }
                Err(_) => request.complete(Status::INVALID_PARAMETER),
            },
            WAIT_CHANGE => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                self.tell(&mut state);
                outcome
            }
            GET_LEVELS => {
                self.readings.fetch_add(1, SeqCst);
                request.write(&state.levels.to_be_bytes());
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
    }
}
