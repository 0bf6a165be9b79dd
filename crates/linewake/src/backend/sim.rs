//! The simulated chip: the controller of `linewake.sys` in this process, and somebody who presses its buttons.
//!
//! ```text
//!   Client ── control codes ──► Host ── Controller::control ──► done, or kept in `Waits`
//!                                ▲
//!   the life thread, while somebody looks: the changes that are due now
//! ```

mod life;
mod signal;
mod waits;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use linewake_controller::protocol::{self, LineConfig, MAX_LINES, WaitLine};
use linewake_controller::{Controller, Outcome, ReaderId, Ready};
use overlapped::{CtlCode, Status, sim};
use zerocopy::{FromBytes, FromZeros};

use self::life::Life;
use self::waits::{Key, Waits};
use crate::{Error, ErrorKind};

/// Handles that can be open on one chip at once.
const READERS: usize = 64;
/// Events each of them can have queued: the Linux kernel's limit for a line request.
const QUEUE: usize = 1024;

/// Lines of `sim` when no number is given; those with a name.
pub(crate) const LINES: u32 = life::LINES.len() as u32;

/// How a simulated chip is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) lines: u32,
    pub(crate) seed: u64,
    pub(crate) life: bool,
}

/// A simulated chip. Its clock counts from here.
pub(crate) struct Host {
    state: Mutex<State>,
    started: Instant,
    /// Plays the life; it sleeps while nobody looks.
    player: OnceLock<Thread>,
}

struct State {
    controller: Box<Controller<MAX_LINES, READERS, QUEUE>>,
    readers: HashMap<sim::FileId, ReaderId>,
    waits: Waits,
    life: Option<Life>,
    /// Who watches which lines that have a life.
    watches: HashSet<(ReaderId, u32)>,
}

impl Host {
    pub(crate) fn new(setup: Setup) -> Result<Arc<Self>, Error> {
        let no_memory = |_| Error::new(ErrorKind::Device, "there is no memory for the chip \"sim\"");
        // All zeros is a controller, and megabytes are too much for a stack.
        let mut controller = Controller::new_box_zeroed().map_err(no_memory)?;
        controller.init("sim", "linewake simulator", setup.lines as usize);
        for (offset, name) in (0..).zip(life::LINES) {
            controller.set_line_name(offset, name);
        }
        let host = Arc::new(Self {
            state: Mutex::new(State {
                controller,
                readers: HashMap::new(),
                waits: Waits::default(),
                life: setup.life.then(|| Life::new(setup.seed)),
                watches: HashSet::new(),
            }),
            started: Instant::now(),
            player: OnceLock::new(),
        });
        if setup.life {
            let weak = Arc::downgrade(&host);
            let player = thread::Builder::new()
                .name("linewake-sim".to_owned())
                .spawn(move || play(&weak))
                .map_err(|error| Error::new(ErrorKind::Device, format!("no thread for the chip \"sim\": {error}")))?;
            let _ = host.player.set(player.thread().clone());
        }
        Ok(host)
    }

    /// The chip's clock: nanoseconds since it was made.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The state at this moment: all that was due has happened.
    fn now(&self) -> (MutexGuard<'_, State>, u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ns = self.now_ns();
        state.live_until(now_ns);
        (state, now_ns)
    }

    /// How long nothing that is watched will happen; `None`: for ever, unless somebody begins to watch.
    fn idle(&self) -> Option<Duration> {
        let (state, now_ns) = self.now();
        let State { life, watches, .. } = &*state;
        let due_ns = life.as_ref()?.next_due(|offset| watches.iter().any(|watch| watch.1 == offset))?;
        Some(Duration::from_nanos(due_ns.saturating_sub(now_ns)))
    }

    fn wake_player(&self) {
        if let Some(player) = self.player.get() {
            player.unpark();
        }
    }
}

/// The life thread. It ends when the chip is gone.
fn play(host: &Weak<Host>) {
    while let Some(alive) = host.upgrade() {
        let idle = alive.idle();
        drop(alive);
        match idle {
            None => thread::park(),
            Some(idle) if idle.is_zero() => {}
            Some(idle) => thread::park_timeout(idle),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.wake_player();
    }
}

impl State {
    /// Lets happen what is due, in order, each change at its own time.
    fn live_until(&mut self, now_ns: u64) {
        let Some(life) = &mut self.life else {
            return;
        };
        let mut happened = false;
        while let Some(change) = life.next_until(now_ns) {
            // A line that somebody made an output, or that a small chip does not have, stays as it is.
            let _ = self.controller.drive(change.offset, change.level, change.due_ns);
            happened = true;
        }
        if happened {
            self.serve(now_ns);
        }
    }

    /// Tries the waits again that may be over.
    fn serve(&mut self, now_ns: u64) {
        while let Some(ready) = self.controller.take_ready() {
            let key = match ready {
                Ready::Any { reader } => (reader, None),
                Ready::Line { reader, offset } => (reader, Some(offset)),
            };
            let controller = &mut self.controller;
            self.waits.retry(key, |wait| answer(controller, key.0, wait, now_ns));
        }
    }

    /// A reader took lines, or gave them back. Returns whether there is more to look at than before.
    fn note_watches(&mut self, reader: ReaderId, input: &[u8]) -> bool {
        let before = self.watches.len();
        for record in input.chunks_exact(size_of::<LineConfig>()) {
            let Ok(LineConfig { offset, flags }) = LineConfig::read_from_bytes(record) else {
                continue;
            };
            if flags & protocol::LINE_EDGES != 0 && life::is_lively(offset) {
                self.watches.insert((reader, offset));
            } else {
                self.watches.remove(&(reader, offset));
            }
        }
        self.watches.len() > before
    }
}

/// Has the controller answer a wait. `None`: it still waits.
fn answer(
    controller: &mut Controller<MAX_LINES, READERS, QUEUE>,
    reader: ReaderId,
    wait: &mut sim::Pended,
    now_ns: u64,
) -> Option<Status> {
    let code = wait.code().to_u32();
    let (input, output) = wait.buffers();
    match controller.control(reader, code, input, output, now_ns) {
        Outcome::Done { status, information } => {
            wait.set_written(information);
            Some(Status::from_u32(status.0))
        }
        Outcome::Pend | Outcome::Again { .. } => None,
    }
}

/// Which waits a request belongs to, should it pend.
fn key(reader: ReaderId, code: CtlCode, input: &[u8]) -> Key {
    match (code.to_u32(), WaitLine::read_from_bytes(input)) {
        (protocol::WAIT_LINE, Ok(wait)) => (reader, Some(wait.offset)),
        _ => (reader, None),
    }
}

impl sim::Driver for Host {
    fn name(&self) -> String {
        "sim".to_owned()
    }

    fn open(&self, file: sim::FileId) -> Result<(), Status> {
        let (mut state, _) = self.now();
        let reader = state.controller.open().map_err(|status| Status::from_u32(status.0))?;
        state.readers.insert(file, reader);
        Ok(())
    }

    fn control(&self, mut request: sim::Request) -> sim::Outcome {
        let (mut state, mut now_ns) = self.now();
        let Some(&reader) = state.readers.get(&request.file()) else {
            return request.complete(Status::INVALID_HANDLE);
        };
        let code = request.code();
        let (input, output) = request.buffers();
        let mut outcome = state.controller.control(reader, code.to_u32(), input, output, now_ns);
        while let Outcome::Again { round } = outcome {
            state.serve(now_ns);
            // Between two rounds others may take what has happened, as on a machine with several processors.
            drop(state);
            (state, now_ns) = self.now();
            outcome = state.controller.resume(reader, request.input(), round, now_ns);
        }
        state.serve(now_ns);
        let Outcome::Done { status, information } = outcome else {
            let key = key(reader, code, request.input());
            let (pended, outcome) = request.pend();
            state.waits.push(key, pended);
            return outcome;
        };
        if !status.is_error() {
            let more_to_see = match code.to_u32() {
                protocol::CONFIGURE => state.note_watches(reader, request.input()),
                protocol::UNPLUG => {
                    state.watches.clear();
                    false
                }
                _ => false,
            };
            if more_to_see {
                self.wake_player();
            }
        }
        drop(state);
        request.set_written(information);
        request.complete(Status::from_u32(status.0))
    }

    fn cancel(&self, request: sim::RequestId) {
        let (mut state, _) = self.now();
        state.waits.cancel(request);
    }

    fn cleanup(&self, file: sim::FileId) {
        let (mut state, now_ns) = self.now();
        if let Some(reader) = state.readers.remove(&file) {
            state.waits.cancel_all_of(reader);
            state.watches.retain(|watch| watch.0 != reader);
            state.controller.close(reader, 0);
            state.serve(now_ns);
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("started", &self.started).finish_non_exhaustive()
    }
}
