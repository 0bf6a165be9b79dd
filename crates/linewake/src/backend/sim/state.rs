//! The chip at one moment of its clock, and the step to the next.

use std::collections::{HashMap, HashSet};
use std::task::Waker;
use std::time::Duration;

use linewake_controller::protocol::{self, LineConfig, MAX_LINES};
use linewake_controller::{Controller, Outcome, ReaderId, Ready};
use overlapped::{Status, sim};

use super::waits::{self, Waits};
use crate::clock::nanoseconds;
use crate::sim::{Play, What};

/// The most open handles of one chip.
const READERS: usize = 64;
/// The longest queue of a handle: the Linux kernel's limit for a line request.
const QUEUE: usize = 1024;

pub(super) type SimController = Controller<MAX_LINES, READERS, QUEUE>;

/// The readers whose queues a virtual clock waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Readers that have waited for edges.
    Waiting,
    /// All readers with watched lines.
    Watching,
    Nobody,
}

pub(super) struct State {
    pub(super) controller: Box<SimController>,
    pub(super) play: Play,
    /// Its clock.
    pub(super) now_ns: u64,
    /// How far a virtual clock may go by itself.
    pub(super) horizon_ns: u64,
    /// The time that the alarm is set to.
    pub(super) alarm_ns: Option<u64>,
    /// When it rang last.
    pub(super) rang_ns: Option<u64>,
    pub(super) waits: Waits,
    /// Wakers of programs that wait, on a virtual clock, for others to take edges.
    pub(super) blocked: Vec<Waker>,
    readers: HashMap<ReaderId, Reader>,
    /// The readers and the lines they watch.
    watches: HashSet<(ReaderId, u32)>,
    /// For each offset, true if the line is watched. Each step needs this for every line.
    is_watched: Vec<bool>,
    /// The script has readers be slow.
    is_slow: bool,
}

#[derive(Default)]
struct Reader {
    /// A program waited for its edges.
    was_waited_on: bool,
    /// True if the script can no longer make it slow.
    hurries: bool,
    /// How many lines it watches.
    watched: usize,
    /// How late its edges may be.
    gather_ns: u64,
}

/// The result of a step.
pub(super) enum Step {
    Happened,
    /// Readers have to take edges first.
    Blocked,
    /// Nothing is due.
    Nothing,
}

impl State {
    pub(super) fn new(controller: Box<SimController>, play: Play, horizon_ns: u64) -> Self {
        Self {
            controller,
            play,
            now_ns: 0,
            horizon_ns,
            alarm_ns: None,
            rang_ns: None,
            waits: Waits::default(),
            blocked: Vec::new(),
            readers: HashMap::new(),
            watches: HashSet::new(),
            is_watched: Vec::new(),
            is_slow: false,
        }
    }

    /// Plays what is due, in order, each change at its own time.
    pub(super) fn live_until(&mut self, now_ns: u64) {
        let (mut happened, stride) = (0, self.stride());
        while matches!(self.step(now_ns, Readers::Nobody), Step::Happened) {
            happened += 1;
            if happened % stride == 0 {
                self.serve();
            }
        }
        self.now_ns = self.now_ns.max(now_ns);
        if happened > 0 {
            self.serve();
        }
    }

    /// Until when edges gather after the last ring: at most as long as every watching reader allows.
    pub(super) fn gathering_until_ns(&self) -> u64 {
        let gather_ns = self.watching().map(|(_, reader)| reader.gather_ns).min().unwrap_or(0);
        self.rang_ns.filter(|_| gather_ns > 0).map_or(0, |rang_ns| rang_ns.saturating_add(gather_ns))
    }

    /// True if the alarm ends the gathering in time.
    pub(super) fn is_gathering(&self) -> bool {
        self.alarm_ns.is_some_and(|alarm_ns| alarm_ns <= self.gathering_until_ns())
    }

    /// The number of changes after which waits are served, so that no queue overflows with gathered edges while waits
    /// are pended.
    fn stride(&self) -> u32 {
        let gathers = self.watching().filter(|(_, reader)| reader.gather_ns > 0);
        gathers.map(|(&id, _)| self.controller.queued(id).1 / 2).min().unwrap_or(u32::MAX).max(1)
    }

    fn watching(&self) -> impl Iterator<Item = (&ReaderId, &Reader)> {
        self.readers.iter().filter(|(_, reader)| reader.watched > 0)
    }

    /// When the next watched change happens.
    pub(super) fn next_watched(&self) -> Option<u64> {
        let change = self.play.of(|offset| self.is_watched(offset)).min();
        [change, self.controller.next_due()].into_iter().flatten().min()
    }

    /// True if any watched change will happen.
    pub(super) fn has_watched(&self) -> bool {
        self.controller.next_due().is_some() || self.play.of(|offset| self.is_watched(offset)).next().is_some()
    }

    fn is_watched(&self, offset: u32) -> bool {
        self.is_watched.get(offset as usize).copied().unwrap_or_default()
    }

    /// The watched lines have changed.
    fn count_watches(&mut self) {
        self.is_watched.clear();
        for &(_, offset) in &self.watches {
            let offset = offset as usize;
            if self.is_watched.len() <= offset {
                self.is_watched.resize(offset + 1, false);
            }
            self.is_watched[offset] = true;
        }
    }

    /// Plays the next change, if it is due by then.
    pub(super) fn step(&mut self, until_ns: u64, readers: Readers) -> Step {
        let change = self.play.peek();
        let change_ns = change.map_or(u64::MAX, |change| change.at_ns);
        let timer_ns = self.controller.next_due().unwrap_or(u64::MAX);
        let due_ns = change_ns.min(timer_ns);
        if due_ns > until_ns || due_ns == u64::MAX {
            return Step::Nothing;
        }
        let what = change.filter(|_| change_ns < timer_ns).map(|change| change.what);
        // Both of these lose or withhold edges that are still queued.
        let is_turn = matches!(what, Some(What::Unplug | What::Slow));
        if readers != Readers::Nobody && !self.is_slow && !self.have_room(readers, is_turn) {
            return Step::Blocked;
        }
        if is_turn {
            self.serve();
        }
        self.now_ns = self.now_ns.max(due_ns);
        match what {
            None => drop(self.controller.fire(due_ns)),
            // A line that is an output, or that the chip does not have, stays as it is.
            Some(What::Level { offset, level }) => drop(self.controller.drive(offset.get(), level, due_ns)),
            Some(What::Unknown { .. }) => {}
            Some(What::Unplug) => {
                self.controller.unplug();
                self.unplugged();
            }
            Some(What::Replug) => self.controller.replug(),
            Some(What::Slow) => self.is_slow = true,
            Some(What::Prompt) => {
                self.is_slow = false;
                self.serve_all();
            }
        }
        if what.is_some() {
            self.play.take();
        }
        Step::Happened
    }

    /// True if the next step loses no edge of these readers: none is queued, or there is room for one more.
    fn have_room(&self, readers: Readers, is_turn: bool) -> bool {
        let counts = |reader: &Reader| match readers {
            Readers::Waiting => reader.was_waited_on,
            Readers::Watching => reader.watched > 0,
            Readers::Nobody => false,
        };
        self.readers.iter().filter(|(_, reader)| counts(reader) && !reader.hurries).all(|(&id, _)| {
            let (queued, capacity) = self.controller.queued(id);
            queued == 0 || !is_turn && queued < capacity
        })
    }

    /// True if a reader that received this many edges has no others: neither given to a wait nor queued for the next.
    pub(super) fn has_nothing(&self, reader: ReaderId, received: u64) -> bool {
        let is_given = self.controller.delivered(reader) > received;
        let is_queued = self.controller.queued(reader).0 > 0 && !self.is_slow(reader);
        !is_given && !is_queued && self.controller.check(reader).is_ok()
    }

    /// Tries waits again that may be over.
    pub(super) fn serve(&mut self) {
        while let Some(ready) = self.controller.take_ready() {
            let key = match ready {
                Ready::Any { reader } => (reader, waits::What::Any),
                Ready::Line { reader, offset } => (reader, waits::What::Line(offset)),
                Ready::Info { reader } => (reader, waits::What::Info),
            };
            self.retry(key);
        }
    }

    /// Tries the waits of a key again.
    fn retry(&mut self, key: waits::Key) {
        if key.1 != waits::What::Info && self.is_slow(key.0) {
            return;
        }
        let (controller, now_ns) = (&mut self.controller, self.now_ns);
        self.waits.retry(key, |wait| answer(controller, key.0, wait, now_ns));
    }

    fn serve_all(&mut self) {
        for key in self.waits.keys() {
            self.retry(key);
        }
    }

    /// True if the script withholds edges from a reader. A reader whose chip is unplugged is told at once.
    pub(super) fn is_slow(&self, reader: ReaderId) -> bool {
        self.is_slow
            && self.controller.check(reader).is_ok()
            && self.readers.get(&reader).is_some_and(|reader| !reader.hurries)
    }

    pub(super) fn opened(&mut self, reader: ReaderId) {
        self.readers.insert(reader, Reader::default());
    }

    pub(super) fn waits_on(&mut self, reader: ReaderId) {
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.was_waited_on = true;
        }
    }

    pub(super) fn gather(&mut self, reader: ReaderId, time: Duration) {
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.gather_ns = nanoseconds(time);
        }
    }

    pub(super) fn hurry(&mut self, reader: ReaderId) {
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.hurries = true;
        }
        for key in self.waits.keys().into_iter().filter(|key| key.0 == reader) {
            self.retry(key);
        }
    }

    /// A reader took lines, or gave them back.
    pub(super) fn note_watches(&mut self, reader: ReaderId, configs: impl Iterator<Item = LineConfig>) {
        for LineConfig { offset, flags } in configs {
            if flags & protocol::LINE_EDGES != 0 {
                self.watches.insert((reader, offset));
            } else {
                self.watches.remove(&(reader, offset));
            }
        }
        self.count_watches();
        let watched = self.watches.iter().filter(|watch| watch.0 == reader).count();
        if let Some(reader) = self.readers.get_mut(&reader) {
            reader.watched = watched;
        }
    }

    /// Forgets all readers.
    pub(super) fn unplugged(&mut self) {
        self.watches.clear();
        self.count_watches();
        self.readers.values_mut().for_each(|reader| reader.watched = 0);
    }

    pub(super) fn close(&mut self, reader: ReaderId) {
        self.waits.cancel_all_of(reader);
        self.watches.retain(|watch| watch.0 != reader);
        self.count_watches();
        self.readers.remove(&reader);
        self.controller.close(reader, self.now_ns);
        self.serve();
    }
}

/// Lets the controller answer a wait. `None`: it still waits.
fn answer(controller: &mut SimController, reader: ReaderId, wait: &mut sim::Pended, now_ns: u64) -> Option<Status> {
    let code = wait.code();
    let (input, output) = wait.buffers();
    match controller.control(reader, code, input, output, now_ns) {
        Outcome::Done { status, information } => {
            wait.set_written(information);
            Some(status)
        }
        Outcome::Pend | Outcome::Again { .. } => None,
    }
}
