//! The chip and its readers: opening, closing, edges, unplugging, and which requests the host must try again.

use overlapped_codes::Status;
use zerocopy::FromZeros;

use crate::line::LineState;
use crate::protocol::{CHIP_TIMERS, INFO_RELEASED, InfoRecord, LineSet, MAX_LINES, Name, name};
use crate::reader::Reader;
use crate::set::ReaderSet;

/// A GPIO controller with up to `LINES` lines, `READERS` readers and `QUEUE` events queued for each.
///
/// The host opens a reader for each handle, passes each control code to [`control`](Controller::control), and keeps the
/// requests that [pend](Outcome::Pend). After every call it drains [`take_ready`](Controller::take_ready), and calls
/// `control` again for the pended waits that it names, oldest first; a wait that pends again keeps its place. So no
/// wait of another line is looked at.
///
/// All zeros is a valid, empty controller, so it can live in a static or in zeroed memory. It may take megabytes, which
/// is too much for a stack.
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
    /// `CHIP_*`.
    pub(crate) flags: u32,
    unplugged: bool,
    /// The value of the tick counter at time zero.
    pub(crate) ticks_at_zero: u32,
    /// Readers that are open.
    open: ReaderSet,
    /// Readers for which something may be due.
    timed: ReaderSet,
    /// Lines with readers in `Line::ready`.
    ready_lines: LineSet,
    /// Readers whose waits for any line must be tried again.
    ready_readers: ReaderSet,
    /// Readers whose waits for line information must be tried again.
    ready_information: ReaderSet,
    pub(crate) lines: [LineState; LINES],
    pub(crate) readers: [Reader<LINES, QUEUE>; READERS],
}

/// Names a reader. After it is closed, its name never means another reader.
///
/// ```
/// use linewake_controller::{Controller, ReaderId};
/// let mut chip = Controller::<1, 1, 2>::new();
/// let reader = chip.open()?;
/// assert_eq!(ReaderId::from_bits(reader.to_bits()), reader);
/// chip.close(reader, 0);
/// assert_ne!(chip.open()?, reader);
/// # Ok::<(), linewake_controller::Status>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReaderId {
    slot: u8,
    generation: u32,
}

impl ReaderId {
    /// A number that is never zero, for a host with room for only a pointer.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 8 | self.slot as u64
    }

    /// The reader of a number from [`to_bits`](ReaderId::to_bits). Any other number names no reader.
    #[must_use]
    pub const fn from_bits(bits: u64) -> ReaderId {
        ReaderId { slot: bits as u8, generation: (bits >> 8) as u32 }
    }

    pub(crate) const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// What the host must do with a request now.
///
/// ```
/// use linewake_controller::{Controller, CtlCode, Outcome, Status};
/// let mut chip = Controller::<1, 1, 2>::new();
/// let reader = chip.open()?;
/// let outcome = chip.control(reader, CtlCode::from_u32(0x1234), &[], &mut [], 0);
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
        /// The number of the next round.
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
        /// The reader that waits.
        reader: ReaderId,
        /// The line.
        offset: u32,
    },
    /// Waits of this reader for any line.
    Any {
        /// The reader that waits.
        reader: ReaderId,
    },
    /// Waits of this reader for line information.
    Info {
        /// The reader that waits.
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
            flags: 0,
            unplugged: false,
            ticks_at_zero: 0,
            open: ReaderSet::EMPTY,
            timed: ReaderSet::EMPTY,
            ready_lines: LineSet::EMPTY,
            ready_readers: ReaderSet::EMPTY,
            ready_information: ReaderSet::EMPTY,
            lines: [LineState::NEW; LINES],
            readers: [const { Reader::NEW }; READERS],
        }
    }

    /// Names the chip and gives it `lines` lines, at most `LINES`: low, inputs, without names.
    pub fn init(&mut self, chip_name: &str, label: &str, lines: usize) {
        self.name = name(chip_name);
        self.label = name(label);
        self.line_count = lines.min(LINES) as u32;
    }

    /// Names a line. Ignored for an offset that the chip does not have.
    pub fn set_line_name(&mut self, offset: u32, line_name: &str) {
        if let Some(line) = self.lines.get_mut(offset as usize) {
            line.name = name(line_name);
        }
    }

    /// Says that the host keeps time: it calls [`next_due`](Controller::next_due) after every call, and calls
    /// [`fire`](Controller::fire) when that time has come. Without this there is no debouncing and no interrupt delay.
    pub fn keep_time(&mut self) {
        self.flags |= CHIP_TIMERS;
    }

    /// Sets the physical level that a line has from the beginning; this is no change. Ignored for an offset that the
    /// chip does not have.
    pub fn set_initial_level(&mut self, offset: u32, level: bool) {
        if let Some(line) = self.lines.get_mut(offset as usize) {
            line.level = level;
        }
    }

    /// Merges edges of the line that follow an edge queued for the same reader within this time.
    pub fn set_merge_window(&mut self, offset: u32, window_ns: u64) {
        if let Some(line) = self.lines.get_mut(offset as usize) {
            line.window_ns = window_ns;
        }
    }

    /// Delays the handling of the line's interrupts, as the Linux kernel does. The event is queued this long after the
    /// edge. Its kind comes from the level at that time, and its time and number from the last edge before. Edges in
    /// between are merged into it. It works only if the host [keeps time](Controller::keep_time).
    pub fn set_interrupt_delay(&mut self, offset: u32, delay_ns: u64) {
        if let Some(line) = self.lines.get_mut(offset as usize) {
            line.delay_ns = delay_ns;
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.timed.iter().filter_map(|slot| self.readers[slot].next_due()).map(|(due_ns, _)| due_ns).min()
    }

    /// Handles what is due first, if that is due at `until_ns` or before. Returns whether something was.
    pub fn fire(&mut self, until_ns: u64) -> bool {
        let due = |slot: usize| self.readers[slot].next_due().map(|(due_ns, offset)| (due_ns, slot, offset));
        let Some((due_ns, slot, offset)) = self.timed.iter().filter_map(due).min() else {
            return false;
        };
        if due_ns > until_ns {
            return false;
        }
        if self.readers[slot].fire(offset, self.lines[offset as usize].level) {
            self.wake(slot, offset);
        }
        if self.readers[slot].timed.is_empty() {
            self.timed.remove(slot);
        }
        true
    }

    /// How many events are queued for a reader, and how many its queue holds; zeros for a reader that is not open.
    #[must_use]
    pub fn queued(&self, reader: ReaderId) -> (u32, u32) {
        self.slot(reader).map_or((0, 0), |slot| (self.readers[slot].queue.len(), self.readers[slot].capacity()))
    }

    /// How many edges went to waits of a reader or were acknowledged by one; 0 for a reader that is not open.
    #[must_use]
    pub fn delivered(&self, reader: ReaderId) -> u64 {
        self.slot(reader).map_or(0, |slot| self.readers[slot].sums.delivered)
    }

    /// How many lines the chip has.
    #[must_use]
    pub const fn line_count(&self) -> u32 {
        self.line_count
    }

    /// The physical level of a line; low for an offset that the chip does not have.
    #[must_use]
    pub fn level(&self, offset: u32) -> bool {
        self.lines.get(offset as usize).is_some_and(|line| line.level)
    }

    /// Opens a reader.
    ///
    /// # Errors
    ///
    /// `DEVICE_NOT_CONNECTED` while the chip is unplugged; `INSUFFICIENT_RESOURCES` when `READERS` are open.
    pub fn open(&mut self) -> Result<ReaderId, Status> {
        if self.unplugged {
            return Err(Status::DEVICE_NOT_CONNECTED);
        }
        let slot = (0..READERS).find(|&slot| !self.open.contains(slot)).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        self.readers[slot].begin();
        self.open.insert(slot);
        Ok(self.reader_id(slot))
    }

    /// Checks that a reader can be used.
    ///
    /// # Errors
    ///
    /// `INVALID_HANDLE` when it was closed; `DEVICE_NOT_CONNECTED` when the chip was unplugged.
    pub fn check(&self, reader: ReaderId) -> Result<(), Status> {
        self.live_slot(reader).map(|_| ())
    }

    /// Closes a reader at time `now_ns`. It releases its lines, and its account goes into the totals of the lines. The
    /// host completes the reader's pended requests.
    pub fn close(&mut self, reader: ReaderId, now_ns: u64) {
        let Some(slot) = self.slot(reader) else {
            return;
        };
        self.inform_of(slot, LineSet::EMPTY);
        self.release_all(slot, now_ns);
        for offset in self.readers[slot].known.iter() {
            let line = &mut self.lines[offset as usize];
            line.ready.remove(slot);
            line.closed.add(&self.readers[slot].watches[offset as usize].counts);
            line.closed_readers += 1;
        }
        self.ready_readers.remove(slot);
        self.ready_information.remove(slot);
        self.timed.remove(slot);
        self.open.remove(slot);
    }

    /// The outside world changes the physical level of a line. O(readers that watch it).
    ///
    /// # Errors
    ///
    /// `INVALID_PARAMETER` if there is no such line; `INVALID_DEVICE_STATE` if it is an output.
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

    /// Unplugs the device: every open reader has lost it for ever, and none can be opened. Levels are kept.
    pub fn unplug(&mut self) {
        self.unplugged = true;
        for slot in self.open.iter() {
            self.inform_of(slot, LineSet::EMPTY);
            self.readers[slot].gone = true;
        }
        for slot in self.open.iter() {
            self.release_all(slot, 0); // no reader gets the time any more
        }
    }

    /// Whether the device is unplugged.
    #[must_use]
    pub fn is_unplugged(&self) -> bool {
        self.unplugged
    }

    /// Plugs the device in again: readers can be opened.
    pub fn replug(&mut self) {
        self.unplugged = false;
    }

    /// The next group of pended waits that may be over; each group comes once. It may name a reader without pended
    /// waits, but never misses one.
    pub fn take_ready(&mut self) -> Option<Ready> {
        if let Some(slot) = self.ready_readers.first() {
            self.ready_readers.remove(slot);
            return Some(Ready::Any { reader: self.reader_id(slot) });
        }
        if let Some(slot) = self.ready_information.first() {
            self.ready_information.remove(slot);
            return Some(Ready::Info { reader: self.reader_id(slot) });
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
    pub(crate) fn line(&self, offset: u32) -> Option<&LineState> {
        if offset < self.line_count { self.lines.get(offset as usize) } else { None }
    }

    pub(crate) fn slot(&self, reader: ReaderId) -> Option<usize> {
        let slot = self.readers.get(reader.slot())?;
        (self.open.contains(reader.slot()) && slot.generation == reader.generation).then_some(reader.slot())
    }

    /// Changes the level of an existing line, and gives the edge to the readers that watch it.
    pub(crate) fn set_level(&mut self, offset: u32, level: bool, now_ns: u64) {
        let line = &mut self.lines[offset as usize];
        if line.level == level {
            return;
        }
        line.level = level;
        line.changes += 1;
        for slot in line.watchers.iter() {
            let reader = &mut self.readers[slot];
            if reader.level_changed(offset, line, now_ns) {
                line.ready.insert(slot);
                self.ready_lines.set(offset, true);
                self.ready_readers.insert(slot);
            }
            if !reader.timed.is_empty() {
                self.timed.insert(slot);
            }
        }
    }

    /// Releases a held line. Its pended waits must be tried again: they fail now.
    pub(crate) fn release(&mut self, slot: usize, offset: u32, now_ns: u64) {
        self.lines[offset as usize].release(slot);
        self.readers[slot].release(offset);
        self.wake(slot, offset);
        self.inform(offset, INFO_RELEASED, now_ns);
    }

    /// From now on a reader gets information about these lines.
    pub(crate) fn inform_of(&mut self, slot: usize, lines: LineSet) {
        for offset in self.readers[slot].information.lines.iter() {
            self.lines[offset as usize].informed.remove(slot);
        }
        for offset in lines.iter() {
            self.lines[offset as usize].informed.insert(slot);
        }
        self.readers[slot].information.lines = lines;
        self.ready_information.insert(slot); // waits end if there is nothing to wait for
    }

    /// Reports an event of a line itself to the readers that want it.
    pub(crate) fn inform(&mut self, offset: u32, kind: u32, now_ns: u64) {
        for slot in self.lines[offset as usize].informed.iter() {
            let line = self.line_info(slot, offset);
            self.readers[slot].information.push(InfoRecord { timestamp_ns: now_ns, kind, lost: 0, line });
            self.ready_information.insert(slot);
        }
    }

    /// Makes the host try again this reader's waits for this line and for any line.
    pub(crate) fn wake(&mut self, slot: usize, offset: u32) {
        self.lines[offset as usize].ready.insert(slot);
        self.ready_lines.set(offset, true);
        self.ready_readers.insert(slot);
    }

    fn release_all(&mut self, slot: usize, now_ns: u64) {
        let held = self.readers[slot].held;
        for offset in held.iter() {
            self.release(slot, offset, now_ns);
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
