//! A simulated card with ioctls: they block, or the file becomes ready for them, and the card logs its calls.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use overlapped::linux::Argument;
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Device, Error, Status};

pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const ECANCELED: i32 = 125;
const EAGAIN: i32 = 11;
const EINVAL: i32 = 22;

/// Ioctl 0x10 waits, 0x11 makes it answer, 0x12 gives the state, 0x13 fetches what there is, 0x14 claims the card, and
/// others accept any argument.
#[derive(Default)]
pub(crate) struct Card {
    state: Mutex<State>,
    changed: Condvar,
    ready: Queue<()>,
}

#[derive(Default)]
struct State {
    log: Vec<String>,
    /// The waiter, by the first byte of its argument, and its answer.
    fed: VecDeque<(u8, Result<Vec<u8>, i32>)>,
    levels: Vec<u8>,
    /// True if the state is given only after the card is claimed.
    is_unclaimed: bool,
    /// How many callers wait in the driver.
    inside: usize,
    woken: bool,
    waits: usize,
    /// How a woken wait ends: with an error, or with a success without bytes.
    ends_with: Option<i32>,
    /// If set, each wait fails at once with this error.
    at_once: Option<i32>,
    opened: usize,
}

impl Card {
    pub(crate) fn new() -> Arc<Self> {
        let card = Arc::<Self>::default();
        card.lock().ends_with = Some(ECANCELED);
        card
    }

    pub(crate) fn opener(self: &Arc<Self>) -> impl Fn() -> Result<Device, Error> + Send + Sync + 'static {
        let card = self.clone();
        move || Device::simulated(card.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
        while self.lock().fed.front().is_some()
            && let Some((ready, ())) = self.ready.pop()
        {
            ready.complete(Status::SUCCESS);
        }
    }

    /// Answers a wait with bytes.
    pub(crate) fn feed(&self, bytes: &[u8]) {
        self.feed_line(0, bytes);
    }

    pub(crate) fn feed_line(&self, line: u8, bytes: &[u8]) {
        self.change(|state| state.fed.push_back((line, Ok(bytes.to_vec()))));
    }

    /// Makes a wait fail.
    pub(crate) fn fail(&self, errno: i32) {
        self.change(|state| state.fed.push_back((0, Err(errno))));
    }

    pub(crate) fn always_fails(&self, errno: Option<i32>) {
        self.change(|state| state.at_once = errno);
    }

    pub(crate) fn ends_with(&self, errno: Option<i32>) {
        self.lock().ends_with = errno;
    }

    pub(crate) fn has_to_be_claimed(&self) {
        self.lock().is_unclaimed = true;
    }

    pub(crate) fn set_levels(&self, levels: &[u8]) {
        self.lock().levels = levels.to_vec();
    }

    /// Wakes a thread that waits for the file to be ready, although there is nothing to read.
    pub(crate) fn call_ready(&self) {
        test_support::stream::wait_until(|| !self.ready.is_empty());
        self.ready.pop().expect("somebody waits").0.complete(Status::SUCCESS);
    }

    pub(crate) fn inside(&self) -> usize {
        self.lock().inside
    }

    pub(crate) fn waits(&self) -> usize {
        self.lock().waits
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().opened == 0
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    fn wait(&self, argument: Argument<'_>) -> Result<u32, Status> {
        let line = match &argument {
            Argument::Bytes(bytes) => bytes[0],
            Argument::Value(value) => *value as u8,
            Argument::None => 0,
        };
        let mut state = self.lock();
        state.waits += 1;
        state.inside += 1;
        let answer = loop {
            if let Some(errno) = state.at_once {
                break Err(errno);
            }
            if let Some(at) = state.fed.iter().position(|(of, _)| *of == line) {
                break state.fed.remove(at).expect("it is there").1;
            }
            if state.woken {
                break state.ends_with.map_or(Ok(Vec::new()), Err);
            }
            state = self.changed.wait(state).unwrap();
        };
        state.inside -= 1;
        if state.inside == 0 {
            state.woken = false;
        }
        drop(state);
        give(&answer.map_err(Status::from_errno)?, argument)
    }
}

/// Writes the answer to the buffer, or returns it as the ioctl's value if there is no buffer.
fn give(bytes: &[u8], argument: Argument<'_>) -> Result<u32, Status> {
    match argument {
        Argument::Bytes(buffer) => {
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(0)
        }
        Argument::Value(_) | Argument::None => {
            let mut number = [0; 4];
            number[..bytes.len()].copy_from_slice(bytes);
            Ok(u32::from_le_bytes(number))
        }
    }
}

impl Driver for Card {
    fn name(&self) -> String {
        "ioctl card".to_owned()
    }

    fn open(&self, _: FileId) -> Result<(), Status> {
        self.lock().opened += 1;
        Ok(())
    }

    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn write(&self, mut request: Request) -> Outcome {
        self.lock().log.push(format!("write {:02x?}", request.input()));
        let count = request.input().len();
        request.set_information(count);
        request.complete(Status::SUCCESS)
    }

    fn ioctl(&self, _: FileId, request: u32, argument: Argument<'_>) -> Result<u32, Status> {
        let passed = match &argument {
            Argument::None => String::new(),
            Argument::Value(value) => format!(" {value}"),
            Argument::Bytes(bytes) => format!(" {:02x?}", &bytes[..1]),
        };
        if request != 0x10 {
            self.lock().log.push(format!("{request:#x}{passed}"));
        }
        match request {
            0x10 => self.wait(argument),
            // Only callers that are waiting are woken, as in most drivers.
            0x11 => {
                self.change(|state| state.woken = state.inside > 0);
                Ok(0)
            }
            0x12 if self.lock().is_unclaimed => Err(Status::from_errno(EINVAL)),
            0x12 => give(&self.lock().levels, argument),
            0x14 => {
                self.lock().is_unclaimed = false;
                Ok(0)
            }
            0x13 => match self.lock().fed.pop_front() {
                Some((_, answer)) => give(&answer.map_err(Status::from_errno)?, argument),
                None => Err(Status::from_errno(EAGAIN)),
            },
            _ => Ok(0),
        }
    }

    fn ready(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        if self.lock().fed.is_empty() {
            self.ready.push(pended, ());
        } else {
            pended.complete(Status::SUCCESS);
        }
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.ready.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.ready.complete_all_of(file, Status::CANCELLED);
        self.lock().opened -= 1;
    }
}
