//! A simulated card of a vendor. It only says which inputs changed, big-endian. An input that changes twice before a
//! wait completes counts as one change.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Status};

/// The choices of a vendor: the codes to select inputs, to wait for a change and to get the levels, and the width of a
/// mask.
pub(crate) struct Make {
    codes: [CtlCode; 3],
    bytes: usize,
}

impl Make {
    fn new(device_type: u16, function: u16, bytes: usize) -> Self {
        let code = |at, access| CtlCode::new(device_type, function + at, Method::Buffered, access);
        Self { codes: [code(0, Access::Write), code(1, Access::Read), code(2, Access::Read)], bytes }
    }

    /// As `profiles/card.toml` describes it.
    pub(crate) fn wide() -> Self {
        Self::new(0x8000, 0x801, 4)
    }

    /// As `multiin/datasheet.md` describes it.
    pub(crate) fn multi_in() -> Self {
        Self::new(0x8f10, 0x820, 2)
    }

    /// The most significant bytes of a mask.
    fn mask(&self, bits: u32) -> Vec<u8> {
        bits.to_be_bytes()[4 - self.bytes..].to_vec()
    }
}

#[derive(Default)]
struct State {
    levels: u32,
    /// The inputs that were selected last.
    selected: u32,
    /// Changes that are not reported yet.
    changed: u32,
    gone: bool,
}

pub(crate) struct Card {
    make: Make,
    state: Mutex<State>,
    waiting: Queue<()>,
    /// How often the levels were read.
    pub(crate) readings: AtomicU64,
}

impl Card {
    pub(crate) fn new(make: Make) -> Arc<Self> {
        Arc::new(Self { make, state: Mutex::default(), waiting: Queue::default(), readings: AtomicU64::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes all of these inputs `times` times before the card reports any change.
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
            wait.write(&self.make.mask(std::mem::take(&mut state.changed)));
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
        let [select, wait_change, get_levels] = self.make.codes;
        match request.code() {
            _ if state.gone => request.complete(Status::DEVICE_REMOVED),
            code if code == select => match request.input() {
                mask if mask.len() == self.make.bytes => {
                    let bits = mask.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
                    (state.selected, state.changed) = (bits, 0);
                    request.complete(Status::SUCCESS)
                }
                _ => request.complete(Status::INVALID_PARAMETER),
            },
            code if code == wait_change => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                self.tell(&mut state);
                outcome
            }
            code if code == get_levels => {
                self.readings.fetch_add(1, SeqCst);
                request.write(&self.make.mask(state.levels));
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
