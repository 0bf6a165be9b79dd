//! A device that follows a script, to test a driver's client without the driver.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::{Driver, FileId, Outcome, Pended, Request, RequestId};
use crate::system::sync::lock_std as lock;
use crate::{CtlCode, Operation, Status};

/// A simulated device in a few lines: what it answers, what it keeps pending, and what goes wrong.
///
/// Clones are the same device: open one, and keep another to complete requests, to unplug the device and to see its
/// requests. On a [`Port::manual`](crate::Port::manual) everything happens in a fixed order: completions come when you
/// poll. The guide has a chapter on [testing](crate::guide::testing).
///
/// ```
/// use overlapped::sim::Script;
/// use overlapped::{Access, CtlCode, Device, ErrorKind, Ioctl, Method, Status};
///
/// const VERSION: CtlCode = CtlCode::new(0x8000, 0x800, Method::Buffered, Access::Any);
/// const WAIT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
/// // SAFETY: a scripted device writes no more than it is given room for.
/// const GET_VERSION: Ioctl<(), u32> = unsafe { Ioctl::new(VERSION) };
/// // SAFETY: as above.
/// const WAIT_EVENT: Ioctl<(), u8> = unsafe { Ioctl::new(WAIT) };
///
/// let card = Script::new("card").answer(VERSION, Status::SUCCESS, 7_u32.to_ne_bytes()).pend(WAIT);
/// let device = Device::simulated(card.clone())?;
/// assert_eq!(*device.call(GET_VERSION, &()).wait()?, 7);
///
/// let event = device.call(WAIT_EVENT, &());
/// card.complete(WAIT, Status::SUCCESS, [42]);
/// assert_eq!(*event.wait()?, 42);
///
/// let event = device.call(WAIT_EVENT, &());
/// card.unplug();
/// assert_eq!(event.wait().unwrap_err().kind(), ErrorKind::Disconnected);
///
/// card.replug();
/// let event = device.call(WAIT_EVENT, &());
/// assert_eq!(card.pended(), 1);
/// # Ok::<(), overlapped::Error>(())
/// ```
///
/// Faults name a request by its number:
///
/// ```
/// # use overlapped::sim::Script;
/// # use overlapped::{Access, CtlCode, Device, ErrorKind, Ioctl, Method, Port, Status};
/// # const VERSION: CtlCode = CtlCode::new(0x8000, 0x800, Method::Buffered, Access::Any);
/// # // SAFETY: a scripted device writes no more than it is given room for.
/// # const GET_VERSION: Ioctl<(), u32> = unsafe { Ioctl::new(VERSION) };
/// let card = Script::new("card")
///     .answer(VERSION, Status::SUCCESS, 7_u32.to_ne_bytes())
///     .fail_nth(1, Status::DEVICE_BUSY)
///     .lie_nth(2, 1)
///     .twice_nth(3)
///     .never_nth(4);
/// let port = Port::manual()?;
/// let device = Device::simulated_on(&port, card)?;
/// let mut ask = || port.block_on(device.call(GET_VERSION, &())).unwrap();
/// assert_eq!(ask().unwrap_err().kind(), ErrorKind::Busy);
/// assert_eq!(ask().unwrap_err().kind(), ErrorKind::Truncated);
/// assert_eq!(ask().unwrap_err().kind(), ErrorKind::Truncated); // the second completion does nothing
/// let never = device.call(GET_VERSION, &());
/// assert_eq!(*ask()?, 7);
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Clone)]
pub struct Script(Arc<Inner>);

struct Inner {
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rules: HashMap<CtlCode, Rule>,
    /// The requests that go wrong, by their number, from 1.
    faults: HashMap<u64, Fault>,
    pended: VecDeque<Pended>,
    seen: Vec<SeenRequest>,
    unplugged: bool,
    on_cancel: OnCancel,
    /// Tells the thread that completes requests later; there is none before the first.
    clock: Option<Sender<Delayed>>,
}

/// A completion that is due at a time.
type Delayed = (Instant, RequestId, Status, Vec<u8>);

enum Rule {
    Answer(Status, Vec<u8>),
    Pend,
    Delay(Duration, Status, Vec<u8>),
}

enum Fault {
    Fail(Status),
    Lie(usize),
    Twice,
    Never,
}

#[derive(Default)]
enum OnCancel {
    #[default]
    Complete,
    Ignore,
    HadHappened(Vec<u8>),
}

/// A request that a [`Script`] has seen.
///
/// ```
/// # fn example(script: &overlapped::sim::Script) {
/// for seen in script.seen() {
///     println!("{} {:02x?}", seen.operation, seen.input);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenRequest {
    /// The operation that was asked for.
    pub operation: Operation,
    /// The bytes of the input.
    pub input: Vec<u8>,
    /// The open handle that it came from.
    pub file: FileId,
}

impl Script {
    /// A device without codes: it answers each with STATUS_INVALID_DEVICE_REQUEST.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(Arc::new(Inner { name: name.into(), state: Mutex::default() }))
    }

    /// Ends every request with this code at once.
    #[must_use]
    pub fn answer(self, code: CtlCode, status: Status, bytes: impl Into<Vec<u8>>) -> Self {
        self.rule(code, Rule::Answer(status, bytes.into()))
    }

    /// Pends every request with this code, until it is [`complete`](Self::complete)d, cancelled or closed.
    #[must_use]
    pub fn pend(self, code: CtlCode) -> Self {
        self.rule(code, Rule::Pend)
    }

    /// Pends every request with this code, and completes it after `delay`. One thread does that for all of them.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method, Status};
    /// # const WAIT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_EVENT: Ioctl<(), u8> = unsafe { Ioctl::new(WAIT) };
    /// # use std::time::Duration;
    /// let card = Script::new("card").delay(WAIT, Duration::from_millis(5), Status::SUCCESS, [42]);
    /// let device = Device::simulated(card)?;
    /// assert_eq!(*device.call(WAIT_EVENT, &()).wait()?, 42);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn delay(self, code: CtlCode, delay: Duration, status: Status, bytes: impl Into<Vec<u8>>) -> Self {
        self.rule(code, Rule::Delay(delay, status, bytes.into()))
    }

    /// A fault: the `nth` request from the start, counted from 1, ends at once with `status`.
    #[must_use]
    pub fn fail_nth(self, nth: u64, status: Status) -> Self {
        self.fault(nth, Fault::Fail(status))
    }

    /// A fault: the `nth` request succeeds at once, with any byte count.
    #[must_use]
    pub fn lie_nth(self, nth: u64, information: usize) -> Self {
        self.fault(nth, Fault::Lie(information))
    }

    /// A fault: the `nth` request completes twice, without bytes.
    #[must_use]
    pub fn twice_nth(self, nth: u64) -> Self {
        self.fault(nth, Fault::Twice)
    }

    /// A fault: the `nth` request never completes.
    #[must_use]
    pub fn never_nth(self, nth: u64) -> Self {
        self.fault(nth, Fault::Never)
    }

    /// A driver without cancel routines: a cancelled request stays pending.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, ErrorKind, Ioctl, Method, Status};
    /// # const WAIT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_EVENT: Ioctl<(), u8> = unsafe { Ioctl::new(WAIT) };
    /// # use std::time::Duration;
    /// let card = Script::new("card").pend(WAIT).ignore_cancels();
    /// let device = Device::simulated(card.clone())?;
    /// let event = device.call(WAIT_EVENT, &()).wait_timeout(Duration::from_millis(5));
    /// assert_eq!(event.unwrap_err().kind(), ErrorKind::TimedOut);
    /// assert_eq!(card.pended(), 1); // the driver has it still
    /// card.complete(WAIT, Status::SUCCESS, [42]);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn ignore_cancels(self) -> Self {
        lock(&self.0.state).on_cancel = OnCancel::Ignore;
        self
    }

    /// A cancellation that comes too late: a cancelled request succeeds with these bytes.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method};
    /// # const WAIT: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_EVENT: Ioctl<(), u8> = unsafe { Ioctl::new(WAIT) };
    /// let card = Script::new("card").pend(WAIT).succeed_when_cancelled([42]);
    /// let device = Device::simulated(card)?;
    /// let event = device.call(WAIT_EVENT, &());
    /// event.cancel();
    /// assert_eq!(*event.wait()?, 42);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn succeed_when_cancelled(self, bytes: impl Into<Vec<u8>>) -> Self {
        lock(&self.0.state).on_cancel = OnCancel::HadHappened(bytes.into());
        self
    }

    /// Completes the oldest pended request with this code. Returns whether there was one.
    pub fn complete(&self, code: CtlCode, status: Status, bytes: impl AsRef<[u8]>) -> bool {
        self.0.finish(|pended| pended.code() == code, status, bytes.as_ref())
    }

    /// Unplugs the device: pended requests end with STATUS_DEVICE_NOT_CONNECTED, and so does every request from now on.
    pub fn unplug(&self) {
        let pended = {
            let mut state = lock(&self.0.state);
            state.unplugged = true;
            std::mem::take(&mut state.pended)
        };
        for pended in pended {
            pended.complete(Status::DEVICE_NOT_CONNECTED);
        }
    }

    /// Plugs the device in again.
    pub fn replug(&self) {
        lock(&self.0.state).unplugged = false;
    }

    /// How many requests are pended.
    #[must_use]
    pub fn pended(&self) -> usize {
        lock(&self.0.state).pended.len()
    }

    /// Every request so far, the oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenRequest> {
        lock(&self.0.state).seen.clone()
    }

    fn rule(self, code: CtlCode, rule: Rule) -> Self {
        lock(&self.0.state).rules.insert(code, rule);
        self
    }

    fn fault(self, nth: u64, fault: Fault) -> Self {
        lock(&self.0.state).faults.insert(nth, fault);
        self
    }
}

impl Inner {
    fn finish(&self, wanted: impl Fn(&Pended) -> bool, status: Status, bytes: &[u8]) -> bool {
        let found = {
            let mut state = lock(&self.state);
            let at = state.pended.iter().position(wanted);
            at.and_then(|at| state.pended.remove(at))
        };
        let complete = |mut pended: Pended| {
            pended.write(bytes);
            pended.complete(status);
        };
        found.map(complete).is_some()
    }
}

impl Driver for Script {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    fn open(&self, _: FileId) -> Result<(), Status> {
        if lock(&self.0.state).unplugged { Err(Status::DEVICE_NOT_CONNECTED) } else { Ok(()) }
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut state = lock(&self.0.state);
        let seen =
            SeenRequest { operation: request.operation(), input: request.input().to_vec(), file: request.file() };
        state.seen.push(seen);
        let number = state.seen.len() as u64;
        if state.unplugged {
            return request.complete(Status::DEVICE_NOT_CONNECTED);
        }
        match state.faults.remove(&number) {
            None => {}
            Some(Fault::Fail(status)) => return request.complete(status),
            Some(Fault::Lie(information)) => return request.lie(Status::SUCCESS, information),
            Some(Fault::Twice) => {
                let (pended, outcome) = request.pend();
                pended.complete_twice(Status::SUCCESS);
                return outcome;
            }
            Some(Fault::Never) => {
                let (pended, outcome) = request.pend();
                pended.never();
                return outcome;
            }
        }
        let delay = match state.rules.get(&request.code()) {
            None => return request.complete(Status::INVALID_DEVICE_REQUEST),
            Some(Rule::Answer(status, bytes)) => {
                request.write(bytes);
                return request.complete(*status);
            }
            Some(Rule::Pend) => None,
            Some(Rule::Delay(delay, status, bytes)) => Some((*delay, *status, bytes.clone())),
        };
        let (pended, outcome) = request.pend();
        if let Some((delay, status, bytes)) = delay {
            let clock = state.clock.get_or_insert_with(|| start_clock(Arc::downgrade(&self.0)));
            // It fails only if the thread has panicked.
            let _ = clock.send((Instant::now() + delay, pended.id(), status, bytes));
        }
        // The caller may have cancelled the request meanwhile.
        if pended.is_cancelled() && matches!(state.on_cancel, OnCancel::Complete) {
            drop(state);
            pended.complete(Status::CANCELLED);
        } else {
            state.pended.push_back(pended);
        }
        outcome
    }

    fn read(&self, request: Request) -> Outcome {
        self.control(request)
    }

    fn write(&self, request: Request) -> Outcome {
        self.control(request)
    }

    fn cancel(&self, request: RequestId) {
        let (status, bytes) = match &lock(&self.0.state).on_cancel {
            OnCancel::Ignore => return,
            OnCancel::Complete => (Status::CANCELLED, Vec::new()),
            OnCancel::HadHappened(bytes) => (Status::SUCCESS, bytes.clone()),
        };
        self.0.finish(|pended| pended.id() == request, status, &bytes);
    }

    fn cleanup(&self, file: FileId) {
        while self.0.finish(|pended| pended.file() == file, Status::CANCELLED, &[]) {}
    }
}

/// Starts the thread that completes requests when they are due. It ends when the script, which has the sender, is
/// dropped.
fn start_clock(script: Weak<Inner>) -> Sender<Delayed> {
    let (sender, receiver) = mpsc::channel::<Delayed>();
    std::thread::spawn(move || {
        let mut delayed = Vec::<Delayed>::new();
        loop {
            let next = delayed.iter().map(|entry| entry.0).min();
            let left = next.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            match receiver.recv_timeout(left) {
                Ok(entry) => delayed.push(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            for (_, id, status, bytes) in delayed.extract_if(.., |entry| entry.0 <= now) {
                let Some(script) = script.upgrade() else { return };
                script.finish(|pended| pended.id() == id, status, &bytes);
            }
        }
    });
    sender
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        f.debug_struct("Script")
            .field("name", &self.0.name)
            .field("seen", &state.seen.len())
            .field("pended", &state.pended.len())
            .field("unplugged", &state.unplugged)
            .finish()
    }
}
