//! The chip and its readers: opening, closing, edges, unplugging, and what the host has to try again.

use zerocopy::FromZeros;

use crate::line::Line;
use crate::protocol::{LineSet, MAX_LINES, Name, name};
use crate::reader::Reader;
use crate::set::ReaderSet;
use crate::status::Status;

/// A GPIO controller with up to `LINES` lines, `READERS` readers and `QUEUE` events queued for each.
///
/// The host opens a reader for each handle, hands each control code to [`control`](Controller::control), and keeps the
/// requests that [pend](Outcome::Pend). After every call it drains [`take_ready`](Controller::take_ready) and
/// calls `control` again for the pended waits named there, oldest first; a wait that pends again keeps its place. That never
/// scans the waits of other lines.
///
/// All zeros is a valid, empty controller, so it can live in a static or in zeroed memory: it may be megabytes, too much for a
/// stack.
///
/// ```
/// use linewake_controller::protocol::{self, EdgeRecord, LINE_EDGES, LINE_INPUT, LineConfig, WaitLine};
/// use linewake_controller::{Controller, Outcome, Ready, Status};
/// use zerocopy::{FromBytes, IntoBytes};
///
/// let mut chip = Controller::<8, 2, 16>::new();
/// chip.init("sim0", "example", 8);
/// chip.set_line_name(3, "door");
/// let reader = chip.open()?;
///
/// let watch = LineConfig { offset: 3, flags: LINE_INPUT | LINE_EDGES };
/// let done = chip.control(reader, protocol::CONFIGURE, watch.as_bytes(), &mut [], 0);
/// assert_eq!(done, Outcome::Done { status: Status::SUCCESS, information: 0 });
///
/// let wait = WaitLine { offset: 3, ..Default::default() };
/// let mut output = [0; size_of::<EdgeRecord>()];
/// assert_eq!(chip.control(reader, protocol::WAIT_LINE, wait.as_bytes(), &mut output, 0), Outcome::Pend);
///
/// chip.drive(3, true, 1_000)?; // the door opens
/// while let Some(ready) = chip.take_ready() {
///     if ready == (Ready::Line { reader, offset: 3 }) {
///         let done = chip.control(reader, protocol::WAIT_LINE, wait.as_bytes(), &mut output, 1_000);
///         assert_eq!(done, Outcome::Done { status: Status::SUCCESS, information: 32 });
///     }
/// }
/// assert!(EdgeRecord::read_from_bytes(&output).unwrap().is_rising());
/// # Ok::<(), Status>(())
/// ```
#[derive(Debug, FromZeros)]
pub struct Controller<const LINES: usize, const READERS: usize, const QUEUE: usize> {
    pub(crate) name: Name,
    pub(crate) label: Name,
    line_count: u32,
    unplugged: bool,
    /// Lines with readers in `Line::ready`.
    ready_lines: LineSet,
    /// Readers whose waits for any line should be tried again.
    ready_readers: ReaderSet,
    pub(crate) lines: [Line; LINES],
    pub(crate) readers: [Reader<LINES, QUEUE>; READERS],
}

/// Names a reader; never names another one after it was closed.
///
/// ```
/// use linewake_controller::{Controller, ReaderId};
/// let mut chip = Controller::<1, 1, 2>::new();
/// let reader = chip.open()?;
/// assert_eq!(ReaderId::from_bits(reader.to_bits()), reader);
/// chip.close(reader);
/// assert_ne!(chip.open()?, reader);
/// # Ok::<(), linewake_controller::Status>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReaderId {
    slot: u8,
    generation: u32,
}

impl ReaderId {
    /// As a number that is never zero, for a host that has room for a pointer only.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 8 | self.slot as u64
    }

    /// Back from [`to_bits`](ReaderId::to_bits). Any other number names no reader.
    #[must_use]
    pub const fn from_bits(bits: u64) -> ReaderId {
        ReaderId { slot: bits as u8, generation: (bits >> 8) as u32 }
    }

    pub(crate) const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What the host does with a request now.
///
/// ```
/// use linewake_controller::{Controller, Outcome, Status, protocol};
/// let mut chip = Controller::<1, 1, 2>::new();
/// let reader = chip.open()?;
/// let outcome = chip.control(reader, 0x1234, &[], &mut [], 0);
/// assert_eq!(outcome, Outcome::Done { status: Status::INVALID_DEVICE_REQUEST, information: 0 });
/// # Ok::<(), Status>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Complete it. `information` bytes of the output were written; it is never more than the output's length.
    Done {
        /// How it ended.
        status: Status,
        /// Bytes of output.
        information: usize,
    },
    /// Keep it and call `control` again when [`Controller::take_ready`] says so.
    Pend,
    /// Serve what is ready, then call [`Controller::resume`].
    Again {
        /// Which round comes next.
        round: u32,
    },
}

/// Pended waits to try again.
///
/// ```
/// use linewake_controller::Controller;
/// let mut chip = Controller::<1, 1, 2>::new();
/// assert_eq!(chip.take_ready(), None); // nothing happened yet
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Waits of this reader for this line.
    Line {
        /// Whose waits.
        reader: ReaderId,
        /// Which line.
        offset: u32,
    },
    /// Waits of this reader for any line.
    Any {
        /// Whose waits.
        reader: ReaderId,
    },
}

impl<const LINES: usize, const READERS: usize, const QUEUE: usize> Controller<LINES, READERS, QUEUE> {
    /// A controller without lines yet.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(LINES <= MAX_LINES && READERS <= ReaderSet::MAX) };
        Controller {
            name: [0; 32],
            label: [0; 32],
            line_count: 0,
            unplugged: false,
            ready_lines: LineSet::EMPTY,
            ready_readers: ReaderSet::EMPTY,
            lines: [Line::NEW; LINES],
            readers: [const { Reader::NEW }; READERS],
        }
    }

    /// Names the chip and gives it `lines` lines, low, inputs, without names; at most `LINES`.
    pub fn init(&mut self, chip_name: &str, label: &str, lines: usize) {
        self.name = name(chip_name);
        self.label = name(label);
        self.line_count = lines.min(LINES) as u32;
    }

    /// Names a line; an offset the chip does not have is ignored.
    pub fn set_line_name(&mut self, offset: u32, line_name: &str) {
        if let Some(line) = self.lines.get_mut(offset as usize) {
            line.name = name(line_name);
        }
    }

    /// How many lines the chip has.
    #[must_use]
    pub const fn line_count(&self) -> u32 {
        self.line_count
    }

    /// The physical level of a line; low for one the chip does not have.
    #[must_use]
    pub fn level(&self, offset: u32) -> bool {
        self.lines.get(offset as usize).is_some_and(|line| line.level)
    }

    /// Opens a reader: `DEVICE_NOT_CONNECTED` while unplugged, `INSUFFICIENT_RESOURCES` when `READERS` are open.
    pub fn open(&mut self) -> Result<ReaderId, Status> {
        if self.unplugged {
            return Err(Status::DEVICE_NOT_CONNECTED);
        }
        let slot = self.readers.iter().position(|reader| !reader.open).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        self.readers[slot].begin();
        Ok(self.reader_id(slot))
    }

    /// Whether a reader can be used: `INVALID_HANDLE` when it was closed, `DEVICE_NOT_CONNECTED` when it was unplugged.
    pub fn check(&self, reader: ReaderId) -> Result<(), Status> {
        self.live_slot(reader).map(|_| ())
    }

    /// Closes a reader: it releases its lines, and its account goes into the totals of the lines. The host completes what
    /// the reader has pended.
    pub fn close(&mut self, reader: ReaderId) {
        let Some(slot) = self.slot(reader) else {
            return;
        };
        self.release_all(slot);
        for offset in self.readers[slot].known.iter() {
            let line = &mut self.lines[offset as usize];
            line.ready.remove(slot);
            line.closed.add(&self.readers[slot].watches[offset as usize].counts);
            line.closed_readers += 1;
        }
        self.ready_readers.remove(slot);
        self.readers[slot].open = false;
    }

    /// The outside world changes the physical level of a line. O(readers that watch it).
    /// `INVALID_PARAMETER`: no such line; `INVALID_DEVICE_STATE`: it is an output.
    pub fn drive(&mut self, offset: u32, level: bool, now_ns: u64) -> Result<(), Status> {
        match self.line(offset) {
            None => Err(Status::INVALID_PARAMETER),
            Some(line) if line.output => Err(Status::INVALID_DEVICE_STATE),
            Some(_) => {
                self.set_level(offset, level, now_ns);
                Ok(())
            }
        }
    }

    /// Pulls the device out: every open reader has lost it for ever, and none can be opened. Levels are kept.
    pub fn unplug(&mut self) {
        self.unplugged = true;
        for slot in 0..READERS {
            if self.readers[slot].open {
                self.release_all(slot);
                self.readers[slot].gone = true;
            }
        }
    }

    /// Puts the device back in: readers can be opened again.
    pub fn replug(&mut self) {
        self.unplugged = false;
    }

    /// Pended waits that may be over, once each. May name a reader that has none pended; never misses one.
    pub fn take_ready(&mut self) -> Option<Ready> {
        if let Some(slot) = self.ready_readers.first() {
            self.ready_readers.remove(slot);
            return Some(Ready::Any { reader: self.reader_id(slot) });
        }
        while let Some(offset) = self.ready_lines.first() {
            let ready = &mut self.lines[offset as usize].ready;
            if let Some(slot) = ready.first() {
                ready.remove(slot);
                return Some(Ready::Line { reader: self.reader_id(slot), offset });
            }
            self.ready_lines.set(offset, false);
        }
        None
    }

    /// The line, if the chip has it.
    pub(crate) fn line(&self, offset: u32) -> Option<&Line> {
        if offset < self.line_count { self.lines.get(offset as usize) } else { None }
    }

    pub(crate) fn slot(&self, reader: ReaderId) -> Option<usize> {
        let slot = self.readers.get(reader.slot())?;
        (slot.open && slot.generation == reader.generation).then_some(reader.slot())
    }

    /// Changes the level of a line that exists, and gives the edge to those who watch it.
    pub(crate) fn set_level(&mut self, offset: u32, level: bool, now_ns: u64) {
        let line = &mut self.lines[offset as usize];
        if line.level == level {
            return;
        }
        line.level = level;
        line.changes += 1;
        for slot in line.watchers.iter() {
            if self.readers[slot].level_changed(offset, level, line.window_ns, now_ns) {
                line.ready.insert(slot);
                self.ready_lines.set(offset, true);
                self.ready_readers.insert(slot);
            }
        }
    }

    /// Gives a held line back. Its pended waits are to be tried again: they now fail.
    pub(crate) fn release(&mut self, slot: usize, offset: u32) {
        self.lines[offset as usize].release(slot);
        self.readers[slot].release(offset);
        self.wake(slot, offset);
    }

    /// Has the host try the waits of this reader for this line, and for any line, again.
    pub(crate) fn wake(&mut self, slot: usize, offset: u32) {
        self.lines[offset as usize].ready.insert(slot);
        self.ready_lines.set(offset, true);
        self.ready_readers.insert(slot);
    }

    fn release_all(&mut self, slot: usize) {
        let held = self.readers[slot].held;
        for offset in held.iter() {
            self.release(slot, offset);
        }
    }

    fn reader_id(&self, slot: usize) -> ReaderId {
        ReaderId { slot: slot as u8, generation: self.readers[slot].generation }
    }
}

impl<const LINES: usize, const READERS: usize, const QUEUE: usize> Default for Controller<LINES, READERS, QUEUE> {
    fn default() -> Self {
        Self::new()
    }
}
