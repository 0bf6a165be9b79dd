//! The simulated chip: the controller of `linewake.sys` in this process, and a [`Script`] of what happens outside.
//!
//! ```text
//!   Client ── control codes ──► Host ── Controller::control ──► done, or kept in `Waits`
//!                                ▲
//!   real clock: an alarm of the port's timer plays what is due, while lines are watched
//!   virtual clock: a program that waits for an edge, or advances the clock, plays what is next
//! ```

mod state;
mod waits;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use linewake_controller::protocol::{self, AttachPin, LineConfig, Pin, WaitLine};
use linewake_controller::{Outcome, ReaderId};
use overlapped::{CtlCode, Device, Port, Status, sim};
use zerocopy::{FromBytes, FromZeros};

use self::state::{Readers, SimController, State, Step};
use self::waits::{Key, What};
use crate::clock::nanoseconds;
use crate::sim::{ClockKind, Script};
use crate::{Clock, ClockName, Error, ErrorKind};

/// The most changes that are played before other threads get the lock.
const STEPS: usize = 10_000;

/// A simulated chip. Its clock counts from its opening.
pub(crate) struct Host {
    state: Mutex<State>,
    /// When it was opened, if its clock is the system's.
    started: Option<Instant>,
    default_queue: u32,
    /// For the alarm, which must not keep the chip alive.
    me: Weak<Host>,
    notes: Box<[String]>,
}

impl Host {
    /// A chip that plays a script, which was checked.
    pub(crate) fn new(script: &Script, seed: u64, clock: ClockKind) -> Result<Arc<Self>, Error> {
        let no_memory = |_| Error::new(ErrorKind::Device, "out of memory for the chip \"sim\"");
        // A controller is valid as all zeros, and megabytes do not fit on a stack.
        let mut controller = SimController::new_box_zeroed().map_err(no_memory)?;
        controller.init("sim", script.label.as_deref().unwrap_or("linewake simulator"), script.size() as usize);
        controller.keep_time();
        for offset in 0..script.size() {
            controller.set_merge_window(offset, nanoseconds(script.merge_within));
            controller.set_interrupt_delay(offset, nanoseconds(script.interrupt_delay));
        }
        for (offset, line) in script.offsets() {
            controller.set_line_name(offset, &line.name);
            controller.set_initial_level(offset, line.initially);
            if let Some(window) = line.merge_within {
                controller.set_merge_window(offset, nanoseconds(window));
            }
            if let Some(delay) = line.interrupt_delay {
                controller.set_interrupt_delay(offset, nanoseconds(delay));
            }
        }
        let horizon_ns = if clock == ClockKind::Manual { 0 } else { u64::MAX };
        let state = State::new(controller, script.play(seed), horizon_ns);
        let started = (clock == ClockKind::Real).then(Instant::now);
        Ok(Arc::new_cyclic(|me| Self {
            state: Mutex::new(state),
            started,
            default_queue: script.queue_size,
            me: me.clone(),
            notes: script.notes().into(),
        }))
    }

    /// Opens a handle for a reader.
    pub(crate) fn open(self: &Arc<Self>) -> Result<(Device, Arc<Handle>), overlapped::Error> {
        let handle = Arc::new(Handle { host: self.clone(), reader: OnceLock::new() });
        Ok((Device::simulated(handle.clone())?, handle))
    }

    /// Notes about the script for the user.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The default queue size of a reader; zero for the controller's default.
    pub(crate) fn default_queue(&self) -> u32 {
        self.default_queue
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> Clock {
        match self.started {
            Some(started) => Clock::read(ClockName::Simulated, || nanoseconds(started.elapsed())),
            None => Clock::unrelated(ClockName::Simulated),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state at this moment: all that was due has happened.
    fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        self.go_on(&mut state);
        state
    }

    /// Plays what was due until this moment.
    fn go_on(&self, state: &mut State) {
        if let Some(started) = self.started {
            state.live_until(nanoseconds(started.elapsed()));
        }
    }

    /// Sets the alarm to the next watched change.
    fn set_alarm(&self, state: &mut State) {
        let Some(started) = self.started else {
            return;
        };
        let due_ns = state.next_watched().map(|due_ns| due_ns.max(state.gathering_until_ns()));
        let Some(due_ns) = due_ns.filter(|&due_ns| state.alarm_ns.is_none_or(|set_ns| due_ns < set_ns)) else {
            return;
        };
        // Without an alarm the script is played when the chip is called.
        let Ok(port) = Port::global() else { return };
        state.alarm_ns = Some(due_ns);
        let me = self.me.clone();
        port.sleep(Duration::from_nanos(due_ns.saturating_sub(nanoseconds(started.elapsed())))).then(move || {
            if let Some(host) = me.upgrade() {
                host.ring(due_ns);
            }
        });
    }

    /// The alarm that was set to this time rings.
    fn ring(&self, set_ns: u64) {
        let mut state = self.now();
        if state.alarm_ns == Some(set_ns) {
            state.alarm_ns = None;
        }
        state.rang_ns = Some(state.now_ns);
        self.set_alarm(&mut state);
    }

    /// Advances a virtual clock. Returns the rest of the time, if readers have to take edges first.
    pub(crate) fn advance(&self, time: Duration) -> Result<Duration, Error> {
        if self.started.is_some() {
            let message = "the clock of chip \"sim\" is the system's and goes on by itself; open it with a virtual one";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let time_ns = nanoseconds(time);
        let until_ns = {
            let mut state = self.lock();
            let from_ns = if state.horizon_ns == u64::MAX { state.now_ns } else { state.horizon_ns };
            let until_ns = from_ns.saturating_add(time_ns);
            if state.horizon_ns < u64::MAX {
                state.horizon_ns = until_ns;
            }
            until_ns
        };
        loop {
            let mut state = self.lock();
            for _ in 0..STEPS {
                match state.step(until_ns, Readers::Watching) {
                    Step::Happened => state.serve(),
                    Step::Blocked => return Ok(Duration::from_nanos(until_ns.saturating_sub(state.now_ns))),
                    Step::Nothing => {
                        state.now_ns = state.now_ns.max(until_ns);
                        return Ok(Duration::ZERO);
                    }
                }
            }
        }
    }

    /// Lets a virtual clock go on until an unplugged chip is back, if it comes back.
    pub(crate) fn look_for(&self) {
        let mut state = self.now();
        if self.started.is_some() {
            return;
        }
        let horizon_ns = state.horizon_ns;
        for step in 1.. {
            let is_gone = state.controller.is_unplugged() && state.play.may_replug();
            if !is_gone || !matches!(state.step(horizon_ns, Readers::Nobody), Step::Happened) {
                return;
            }
            state.serve();
            if step % STEPS == 0 {
                drop(state);
                state = self.lock();
            }
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("started", &self.started).finish_non_exhaustive()
    }
}

/// An open handle: one reader of the chip.
#[derive(Debug)]
pub(crate) struct Handle {
    host: Arc<Host>,
    reader: OnceLock<ReaderId>,
}

impl Handle {
    /// The program has taken the `received` edges of this reader and waits: a virtual clock goes on until some reader
    /// has edges.
    pub(crate) fn waits(&self, received: u64, cx: &Context<'_>) {
        let Some(&reader) = self.reader.get().filter(|_| self.host.started.is_none()) else {
            return;
        };
        let mut state = self.host.lock();
        state.waits_on(reader);
        let horizon_ns = state.horizon_ns;
        for _ in 0..STEPS {
            // Otherwise an edge is on its way.
            if !state.has_nothing(reader, received) || !state.has_watched() {
                return;
            }
            match state.step(horizon_ns, Readers::Waiting) {
                Step::Blocked => {
                    if !state.blocked.iter().any(|waker| waker.will_wake(cx.waker())) {
                        state.blocked.push(cx.waker().clone());
                    }
                    return;
                }
                Step::Nothing => {
                    if horizon_ns < u64::MAX {
                        state.now_ns = state.now_ns.max(horizon_ns);
                    }
                    return;
                }
                Step::Happened => state.serve(),
            }
        }
        drop(state);
        cx.waker().wake_by_ref();
    }

    /// Lets edges of this reader be late by this time, so that many come at once.
    pub(crate) fn gather(&self, time: Duration) {
        if let Some(&reader) = self.reader.get() {
            self.host.lock().gather(reader, time);
        }
    }

    /// The program takes the edges that are queued, and no more: from now on the script cannot make this reader slow.
    pub(crate) fn hurry(&self) {
        if let Some(&reader) = self.reader.get() {
            let mut state = self.host.lock();
            state.hurry(reader);
            go_on(state);
        }
    }
}

/// A reader has more room than before, so a virtual clock may go on: wakes the programs that wait for that.
fn go_on(mut state: MutexGuard<'_, State>) {
    let blocked = std::mem::take(&mut state.blocked);
    drop(state);
    blocked.into_iter().for_each(Waker::wake);
}

/// The key of a request that is kept pending.
fn key(reader: ReaderId, code: CtlCode, input: &[u8]) -> Key {
    let line = match code {
        protocol::WAIT_LINE => WaitLine::read_from_bytes(input).map(|wait| wait.offset).ok(),
        protocol::WAIT_PIN => Pin::read_from_bytes(input).map(|pin| pin.line).ok(),
        _ => None,
    };
    let what = match line {
        Some(line) => What::Line(line),
        None if code == protocol::WAIT_INFO => What::Info,
        None => What::Any,
    };
    (reader, what)
}

/// The effect of a control code on lines.
fn configs(code: CtlCode, input: &[u8]) -> Vec<LineConfig> {
    match code {
        protocol::ATTACH_PIN => AttachPin::read_from_bytes(input).map(LineConfig::from).into_iter().collect(),
        protocol::DETACH_PIN => Pin::read_from_bytes(input).map(LineConfig::from).into_iter().collect(),
        _ => {
            let records = input.chunks_exact(size_of::<LineConfig>());
            records.filter_map(|record| LineConfig::read_from_bytes(record).ok()).collect()
        }
    }
}

impl sim::Driver for Handle {
    fn name(&self) -> String {
        "sim".to_owned()
    }

    fn open(&self, _: sim::FileId) -> Result<(), Status> {
        let mut state = self.host.now();
        let reader = state.controller.open()?;
        state.opened(reader);
        let _ = self.reader.set(reader);
        Ok(())
    }

    fn control(&self, mut request: sim::Request) -> sim::Outcome {
        let Some(&reader) = self.reader.get() else {
            return request.complete(Status::INVALID_HANDLE);
        };
        let code = request.code();
        let is_wait = matches!(code, protocol::WAIT_LINE | protocol::WAIT_PIN | protocol::WAIT_ANY);
        let mut state = self.host.lock();
        // A wait while edges gather does not hurry them.
        if !is_wait || !state.is_gathering() {
            self.host.go_on(&mut state);
        }
        if is_wait && state.is_slow(reader) {
            let key = key(reader, code, request.input());
            let (pended, outcome) = request.pend();
            state.waits.push(key, pended);
            return outcome;
        }
        let now_ns = state.now_ns;
        let (input, output) = request.buffers();
        let mut outcome = state.controller.control(reader, code, input, output, now_ns);
        while let Outcome::Again { round } = outcome {
            state.serve();
            // Between two rounds other threads may take edges, as on a machine with several processors.
            drop(state);
            state = self.host.now();
            let now_ns = state.now_ns;
            outcome = state.controller.resume(reader, request.input(), round, now_ns);
        }
        state.serve();
        let Outcome::Done { status, information } = outcome else {
            let key = key(reader, code, request.input());
            let (pended, outcome) = request.pend();
            state.waits.push(key, pended);
            return outcome;
        };
        if !status.is_error() {
            match code {
                protocol::CONFIGURE | protocol::ATTACH_PIN | protocol::DETACH_PIN => {
                    state.note_watches(reader, configs(code, request.input()).into_iter());
                    self.host.set_alarm(&mut state);
                }
                protocol::UNPLUG => state.unplugged(),
                protocol::DRIVE | protocol::SET_VALUES => self.host.set_alarm(&mut state),
                _ => {}
            }
        }
        go_on(state);
        request.set_written(information);
        request.complete(status)
    }

    fn cancel(&self, request: sim::RequestId) {
        self.host.now().waits.cancel(request);
    }

    fn cleanup(&self, _: sim::FileId) {
        if let Some(&reader) = self.reader.get() {
            let mut state = self.host.now();
            state.close(reader);
            go_on(state);
        }
    }
}
