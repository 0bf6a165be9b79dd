//! The control codes of the device and the records they carry.
//!
//! Everything is little endian, `repr(C)` without implicit padding, aligned to eight bytes at most, and
//! METHOD_BUFFERED. A host hands the bytes to [`Controller::control`](crate::Controller::control), which needs no
//! alignment.
//!
//! | code | input | output | pends |
//! |---|---|---|---|
//! | [`GET_INFO`] | – | [`ChipInfo`] | |
//! | [`GET_LINE_INFO`] | – or [`First`] | `[`[`LineInfo`]`]`, as many as fit | |
//! | [`GET_VALUES`] | – | [`LineSet`] | |
//! | [`SET_VALUES`] | [`SetValues`] | – | |
//! | [`CONFIGURE`] | `[`[`LineConfig`]`]`, one or more | – | |
//! | [`SET_READER`] | [`ReaderConfig`] | – | |
//! | [`WAIT_LINE`] | [`WaitLine`] | [`EdgeRecord`] | until the line has an edge |
//! | [`WAIT_ANY`] | – | [`BatchHeader`], `[`[`EdgeRecord`]`]` | while the queue is empty |
//! | [`SET_DEBOUNCE`] | `[`[`Debounce`]`]`, one or more | – | |
//! | [`WATCH_INFO`] | [`LineSet`] | – | |
//! | [`WAIT_INFO`] | – | `[`[`InfoRecord`]`]`, as many as fit | until there is information about a line |
//! | [`ATTACH_PIN`] | [`AttachPin`] | – | |
//! | [`DETACH_PIN`] | [`Pin`] | – | |
//! | [`WAIT_PIN`] | [`Pin`] | [`PinEvent`] | until the line has an edge |
//! | [`GET_COUNTERS`] | – or [`First`] | `[`[`LineCounters`]`]` | |
//! | [`GET_TOTALS`] | – or [`First`] | `[`[`LineTotals`]`]` | |
//! | [`DRIVE`] | `[`[`Drive`]`]`, one or more | – | |
//! | [`SET_MERGE`] | [`MergeWindow`] | – | |
//! | [`SET_TICKS`] | [`Ticks`] | – | |
//! | [`UNPLUG`], [`REPLUG`] | – | – | |
//! | [`ECHO`] | any bytes | the same bytes | |
//!
//! An input of another length than in the table fails with `STATUS_INFO_LENGTH_MISMATCH`, and an output without room
//! for one record with `STATUS_BUFFER_TOO_SMALL`. Reserved fields and unknown flags must be zero
//! (`STATUS_INVALID_PARAMETER`). A call that fails has changed nothing.

use overlapped_codes::{Access, CtlCode, Method};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use crate::set::{LineSet, MAX_LINES};

/// Version of this protocol, in [`ChipInfo::version`]. It changes when a record or the meaning of a code does.
pub const VERSION: u32 = 2;

/// Device type in the vendor range (CTL_CODE, devioctl.h): 0x8000 and above.
pub const FILE_DEVICE_LINEWAKE: u16 = 0x8A51;

/// The longest input of any code in bytes ([`DRIVE`] of every line). Longer ones are refused, so that a host with one
/// buffer for input and output can copy the input first.
pub const MAX_INPUT: usize = MAX_LINES * size_of::<Drive>();

/// The most level changes that one [`DRIVE`] may ask for, with all its records.
pub const MAX_DRIVES: u32 = 1 << 20;

const fn code(function: u16, access: Access) -> CtlCode {
    assert!(function >= 0x800, "the functions below are Microsoft's");
    CtlCode::new(FILE_DEVICE_LINEWAKE, function, Method::Buffered, access)
}

/// The chip's name, label and limits.
pub const GET_INFO: CtlCode = code(0x800, Access::Read);
/// Names and states of lines.
pub const GET_LINE_INFO: CtlCode = code(0x801, Access::Read);
/// The levels of all lines: logical for the lines this reader holds active-low, physical for the others.
pub const GET_VALUES: CtlCode = code(0x802, Access::Read);
/// Sets lines that this reader holds and that are outputs (else `STATUS_INVALID_DEVICE_STATE`).
pub const SET_VALUES: CtlCode = code(0x803, Access::Write);
/// Takes, changes or releases lines for this reader: all of the records or none of them.
pub const CONFIGURE: CtlCode = code(0x804, Access::ReadWrite);
/// Sets up this reader; only before it holds a line (else `STATUS_INVALID_DEVICE_STATE`).
pub const SET_READER: CtlCode = code(0x805, Access::Read);
/// Waits for an edge of one line (`STATUS_INVALID_DEVICE_STATE` if this reader does not watch it).
pub const WAIT_LINE: CtlCode = code(0x806, Access::Read);
/// Waits for an edge of any line this reader watches (`STATUS_INVALID_DEVICE_STATE` if there is none).
pub const WAIT_ANY: CtlCode = code(0x807, Access::Read);
/// The account of this reader, line by line.
pub const GET_COUNTERS: CtlCode = code(0x808, Access::Read);
/// The account of all readers that were closed, line by line.
pub const GET_TOTALS: CtlCode = code(0x809, Access::Read);
/// From now on, a change of these lines counts for this reader only when the new level has lasted. The reader must hold
/// the lines (else `STATUS_INVALID_DEVICE_STATE`). Releasing a line ends this. `STATUS_NOT_SUPPORTED` unless the
/// chip has [`CHIP_TIMERS`].
pub const SET_DEBOUNCE: CtlCode = code(0x80A, Access::ReadWrite);
/// From now on, this reader gets information about these lines, and about no others.
pub const WATCH_INFO: CtlCode = code(0x80B, Access::Read);
/// Waits for information about a line (`STATUS_INVALID_DEVICE_STATE` if this reader asked for none).
pub const WAIT_INFO: CtlCode = code(0x80C, Access::Read);
/// Test: changes the level of lines, as the outside world does (`STATUS_INVALID_DEVICE_STATE` for an output).
pub const DRIVE: CtlCode = code(0x8C0, Access::Write);
/// Test: merges edges that follow each other too fast, as a masked interrupt does.
pub const SET_MERGE: CtlCode = code(0x8C1, Access::Write);
/// Test: unplugs the device. All pended requests and every later call of a reader that was open end with
/// `STATUS_DEVICE_NOT_CONNECTED`, for ever; no reader can be opened.
pub const UNPLUG: CtlCode = code(0x8C2, Access::Write);
/// Test: plugs the device in again; readers can be opened. It is the only code that still works on an unplugged reader.
pub const REPLUG: CtlCode = code(0x8C3, Access::Write);
/// Test: returns the input at once. If the output is shorter, it ends with the warning `STATUS_BUFFER_OVERFLOW`, and
/// the bytes that fit are valid.
pub const ECHO: CtlCode = code(0x8C4, Access::Read);

/// [`LineInfo`]: some reader holds the line. Bits 0–10 have the values of the Linux uAPI v2 (`GPIO_V2_LINE_FLAG_*`).
pub const LINE_USED: u32 = 1 << 0;
/// Logical 1 is the low level. This belongs to the reader: two readers of one line may see it differently.
pub const LINE_ACTIVE_LOW: u32 = 1 << 1;
/// The line is an input. In [`LineConfig`]: make it one. Without this and without [`LINE_OUTPUT`] the direction stays.
pub const LINE_INPUT: u32 = 1 << 2;
/// The line is an output. In [`LineConfig`]: make it one, with [`LINE_ACTIVE`] as its first value.
pub const LINE_OUTPUT: u32 = 1 << 3;
/// This reader watches logical 0 → 1. It needs [`LINE_INPUT`], as on Linux.
pub const LINE_EDGE_RISING: u32 = 1 << 4;
/// This reader watches logical 1 → 0.
pub const LINE_EDGE_FALLING: u32 = 1 << 5;
/// The output drives the low level only. The simulated chip only remembers it. It needs [`LINE_OUTPUT`], as on Linux.
pub const LINE_OPEN_DRAIN: u32 = 1 << 6;
/// The output drives the high level only. The simulated chip only remembers it. It needs [`LINE_OUTPUT`], as on Linux.
pub const LINE_OPEN_SOURCE: u32 = 1 << 7;
/// Bias: pull-up. The simulated chip only remembers it.
pub const LINE_BIAS_PULL_UP: u32 = 1 << 8;
/// Bias: pull-down. The simulated chip only remembers it.
pub const LINE_BIAS_PULL_DOWN: u32 = 1 << 9;
/// Bias: none. The simulated chip only remembers it.
pub const LINE_BIAS_DISABLED: u32 = 1 << 10;
/// No other reader may hold the line at the same time (`STATUS_SHARING_VIOLATION`).
pub const LINE_EXCLUSIVE: u32 = 1 << 16;
/// [`LineInfo`]: this reader holds the line.
pub const LINE_HELD: u32 = 1 << 17;
/// [`LineConfig`], alone: this reader releases the line (`STATUS_INVALID_DEVICE_STATE` if it does not hold it). Its
/// queued events of the line are discarded. A line without a holder becomes an input again.
pub const LINE_RELEASE: u32 = 1 << 18;
/// The logical value is 1.
pub const LINE_ACTIVE: u32 = 1 << 19;

/// Both edges.
pub const LINE_EDGES: u32 = LINE_EDGE_RISING | LINE_EDGE_FALLING;
pub(crate) const LINE_DRIVE: u32 = LINE_OPEN_DRAIN | LINE_OPEN_SOURCE;
pub(crate) const LINE_BIAS: u32 = LINE_BIAS_PULL_UP | LINE_BIAS_PULL_DOWN | LINE_BIAS_DISABLED;

/// A name: UTF-8, filled up with zeros. A name of 32 bytes has no zero.
pub type Name = [u8; 32];

/// The text of a [`Name`]: up to the first zero or the first byte that is not UTF-8.
///
/// ```
/// use linewake_controller::protocol::{name, text};
/// assert_eq!(text(&name("door")), "door");
/// assert_eq!(text(b"\xFFarbage\0........................"), "");
/// ```
#[must_use]
pub fn text(name: &Name) -> &str {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    match core::str::from_utf8(&name[..end]) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&name[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// A [`Name`] from a text, which is cut at 32 bytes, between characters.
#[must_use]
pub const fn name(text: &str) -> Name {
    let bytes = text.as_bytes();
    let mut end = if bytes.len() < 32 { bytes.len() } else { 32 };
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = [0; 32];
    let mut i = 0;
    while i < end {
        name[i] = bytes[i];
        i += 1;
    }
    name
}

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        const _: () = assert!(align_of::<$name>() <= 8);
    };
}

mod pins;

pub use pins::*;

record! {
    /// Output of [`GET_INFO`].
    ///
    /// ```
    /// use linewake_controller::protocol::{ChipInfo, VERSION, name, text};
    /// let info = ChipInfo { version: VERSION, lines: 8, label: name("linewake"), ..Default::default() };
    /// assert_eq!(text(&info.label), "linewake");
    /// ```
    ChipInfo {
        /// [`VERSION`].
        version: u32,
        /// Lines: the offsets are `0..lines`.
        lines: u32,
        /// How many readers can be open at once.
        readers: u32,
        /// The largest event queue a reader can have, in events.
        max_queue: u32,
        /// [`CHIP_TIMERS`] or zero.
        flags: u32,
        /// Zero.
        reserved: u32,
        /// Name of the chip.
        name: Name,
        /// The name that the hardware gives itself.
        label: Name,
    }
}

/// [`ChipInfo::flags`]: the host keeps time for the controller, so it can debounce.
pub const CHIP_TIMERS: u32 = 1;

record! {
    /// The beginning of a listing.
    ///
    /// ```
    /// use linewake_controller::protocol::First;
    /// let rest = First { offset: 512, reserved: 0 };
    /// assert_eq!(First::default().offset, 0);
    /// # let _ = rest;
    /// ```
    First {
        /// The first offset to list. The number of lines gives an empty list; more is `STATUS_INVALID_PARAMETER`.
        offset: u32,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// Output of [`GET_LINE_INFO`].
    ///
    /// ```
    /// use linewake_controller::protocol::{LINE_HELD, LINE_USED, LineInfo};
    /// let line = LineInfo { flags: LINE_USED, ..Default::default() };
    /// let busy_elsewhere = line.flags & (LINE_USED | LINE_HELD) == LINE_USED;
    /// assert!(busy_elsewhere);
    /// ```
    LineInfo {
        /// The line.
        offset: u32,
        /// `LINE_*`: direction, bias, drive, [`LINE_USED`], [`LINE_EXCLUSIVE`], [`LINE_HELD`]. And as the reader named
        /// in [`LineInfo::consumer`] holds the line: [`LINE_ACTIVE_LOW`], the edges, [`LINE_ACTIVE`].
        flags: u32,
        /// Name of the line; may be empty.
        name: Name,
        /// The reader that holds it: the exclusive holder, else this reader, else any.
        consumer: Name,
        /// The debounce period of that reader in microseconds; zero means none.
        debounce_us: u32,
        /// Zero.
        reserved: u32,
    }
}

record! {
    /// Input of [`SET_VALUES`]: logical values as this reader sees them.
    ///
    /// ```
    /// use linewake_controller::protocol::{LineSet, SetValues};
    /// let on = SetValues { mask: LineSet::from_iter([3]), values: LineSet::from_iter([3]) };
    /// assert!(on.mask.contains(3));
    /// ```
    SetValues {
        /// The lines to set.
        mask: LineSet,
        /// Their values; bits outside the mask are ignored.
        values: LineSet,
    }
}

record! {
    /// Input of [`CONFIGURE`]: how this reader wants one line. It replaces the reader's earlier configuration of the
    /// line. Numbers and counters go on; queued events of a line that is no longer watched are discarded. The same line
    /// twice in one call is `STATUS_INVALID_PARAMETER`.
    ///
    /// ```
    /// use linewake_controller::protocol::{LINE_EDGES, LINE_INPUT, LineConfig};
    /// let watch = LineConfig { offset: 4, flags: LINE_INPUT | LINE_EDGES };
    /// # let _ = watch;
    /// ```
    LineConfig {
        /// The line.
        offset: u32,
        /// [`LINE_INPUT`] with or without edges, [`LINE_OUTPUT`] with or without [`LINE_ACTIVE`], or neither; at most
        /// one bias; with [`LINE_OUTPUT`] at most one drive (without one it drives both levels); [`LINE_ACTIVE_LOW`];
        /// [`LINE_EXCLUSIVE`]. Or [`LINE_RELEASE`] alone.
        flags: u32,
    }
}

record! {
    /// Input of [`SET_READER`].
    ///
    /// ```
    /// use linewake_controller::protocol::{ReaderConfig, name};
    /// let reader = ReaderConfig { capacity: 256, consumer: name("monitor"), ..Default::default() };
    /// # let _ = reader;
    /// ```
    ReaderConfig {
        /// How many events the queue holds: rounded up to a power of two, at most [`ChipInfo::max_queue`]. Zero means
        /// sixteen for each held line, as in the Linux kernel. One is `STATUS_INVALID_PARAMETER`, as it is there.
        capacity: u32,
        /// The numbers of this reader begin after this one. A test sets it close to `u32::MAX`.
        seqno_base: u32,
        /// The name of the program that reads.
        consumer: Name,
    }
}

record! {
    /// Input of [`SET_DEBOUNCE`]. The edge of a change that lasted is stamped at the end of its period, as on Linux. A
    /// change that did not last is no edge, and [`GET_VALUES`] does not show it.
    ///
    /// ```
    /// use linewake_controller::protocol::Debounce;
    /// let five_milliseconds = Debounce { offset: 4, period_us: 5_000 };
    /// # let _ = five_milliseconds;
    /// ```
    Debounce {
        /// The line.
        offset: u32,
        /// How long a level must last in microseconds; zero ends the debouncing.
        period_us: u32,
    }
}

/// [`InfoRecord::kind`]: a reader took the line. The values are the Linux uAPI's.
pub const INFO_REQUESTED: u32 = 1;
/// [`InfoRecord::kind`]: a reader released the line.
pub const INFO_RELEASED: u32 = 2;
/// [`InfoRecord::kind`]: a reader that holds the line changed its configuration.
pub const INFO_RECONFIGURED: u32 = 3;

/// How many [`InfoRecord`]s are queued for a reader, as on Linux. Further ones drop the oldest, which are counted.
pub const INFO_QUEUE: usize = 32;

record! {
    /// Output of [`WAIT_INFO`]: an event of a line itself.
    ///
    /// ```
    /// use linewake_controller::protocol::{INFO_RELEASED, InfoRecord, LINE_USED};
    /// let last = InfoRecord { kind: INFO_RELEASED, ..Default::default() };
    /// assert_eq!(last.line.flags & LINE_USED, 0);
    /// ```
    InfoRecord {
        /// Nanoseconds on the clock of the host.
        timestamp_ns: u64,
        /// [`INFO_REQUESTED`], [`INFO_RELEASED`] or [`INFO_RECONFIGURED`].
        kind: u32,
        /// How many records were dropped directly before this one.
        lost: u32,
        /// The line at that time, as this reader sees it.
        line: LineInfo,
    }
}

/// [`WaitLine`]: wait for the first event numbered after [`WaitLine::after`], and leave it in the queue.
pub const WAIT_AFTER: u32 = 1;

record! {
    /// Input of [`WAIT_LINE`].
    ///
    /// With `flags` zero the wait *takes* the line's next event. The device keeps one cursor for each reader and line:
    /// any number of waits may be pended, and each event goes to exactly one of them, oldest wait first.
    ///
    /// With [`WAIT_AFTER`] it acknowledges every event of the line up to and including `after`, and returns the first
    /// later one, which stays until it is acknowledged: the same wait returns it again. Use it for one wait at a time.
    /// A number that no event has got yet is `STATUS_INVALID_PARAMETER`. An event returned in this way is never
    /// reported as overflowed, and no later plain wait repeats it.
    ///
    /// ```
    /// use linewake_controller::protocol::{WAIT_AFTER, WaitLine};
    /// let next = WaitLine { offset: 4, ..Default::default() };
    /// let after_the_seventh = WaitLine { offset: 4, flags: WAIT_AFTER, after: 7, reserved: 0 };
    /// # let _ = (next, after_the_seventh);
    /// ```
    WaitLine {
        /// The line.
        offset: u32,
        /// Zero or [`WAIT_AFTER`].
        flags: u32,
        /// With [`WAIT_AFTER`], the `line_seqno` that was handled; otherwise zero.
        after: u32,
        /// Zero.
        reserved: u32,
    }
}

/// [`EdgeRecord::kind`]: logical 0 → 1. The value is the Linux uAPI's.
pub const EDGE_RISING: u32 = 1;
/// [`EdgeRecord::kind`]: logical 1 → 0.
pub const EDGE_FALLING: u32 = 2;

record! {
    /// One edge. The numbers are those of the Linux uAPI v2: they start at 1, grow by one, and wrap through 0.
    ///
    /// ```
    /// use linewake_controller::protocol::{EDGE_RISING, EdgeRecord};
    /// let edge = EdgeRecord { kind: EDGE_RISING, line_seqno: 9, overflowed: 2, ..Default::default() };
    /// assert!(edge.is_rising());
    /// assert_eq!(edge.line_seqno - edge.overflowed - 1, 6); // the last one that came before
    /// ```
    EdgeRecord {
        /// Nanoseconds on the clock of the host.
        timestamp_ns: u64,
        /// The line.
        offset: u32,
        /// [`EDGE_RISING`] or [`EDGE_FALLING`].
        kind: u32,
        /// Counts the interrupts of the whole reader, even merged ones. While the reader holds a single line it is
        /// `line_seqno`.
        seqno: u32,
        /// Counts the events queued for this line of this reader; a gap is an overflow.
        line_seqno: u32,
        /// How many events of this line the full queue dropped directly before this one.
        overflowed: u32,
        /// How many edges of this line were merged before the queue, directly before this one.
        merged: u32,
    }
}

impl EdgeRecord {
    /// True for [`EDGE_RISING`].
    #[must_use]
    pub const fn is_rising(&self) -> bool {
        self.kind == EDGE_RISING
    }
}

record! {
    /// Output of [`WAIT_ANY`], followed by `count` [`EdgeRecord`]s. The sums are this reader's over all its lines since
    /// it was opened; `driven = delivered + queued + overflowed + merged + discarded`.
    ///
    /// ```
    /// use linewake_controller::protocol::BatchHeader;
    /// let header = BatchHeader { count: 2, delivered: 2, driven: 5, overflowed: 3, ..Default::default() };
    /// assert!(header.is_closed());
    /// ```
    BatchHeader {
        /// How many records follow.
        count: u32,
        /// How many events are still queued after them, or about to be.
        queued: u32,
        /// Edges that happened.
        driven: u64,
        /// Edges given to a wait, these included.
        delivered: u64,
        /// Edges dropped from the full queue.
        overflowed: u64,
        /// Edges merged before the queue.
        merged: u64,
        /// Edges queued for a line when the reader stopped watching it.
        discarded: u64,
    }
}

impl BatchHeader {
    /// Whether the account closes.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        let parts = [self.delivered, self.queued as u64, self.overflowed, self.merged, self.discarded];
        closes(self.driven, &parts)
    }
}

record! {
    /// Output of [`GET_COUNTERS`]: one line of this reader since it first watched the line. Always
    /// `driven = delivered + queued + raised + overflowed + merged + discarded`.
    ///
    /// ```
    /// use linewake_controller::protocol::LineCounters;
    /// let line = LineCounters { driven: 9, delivered: 7, merged: 2, ..Default::default() };
    /// assert!(line.is_closed());
    /// ```
    LineCounters {
        /// The line.
        offset: u32,
        /// 1 while an interrupt of the line is not handled yet, on a chip with an interrupt delay.
        raised: u32,
        /// Edges of a watched polarity that happened.
        driven: u64,
        /// Edges that a wait got or acknowledged.
        delivered: u64,
        /// Edges in the queue.
        queued: u64,
        /// Edges dropped from the full queue.
        overflowed: u64,
        /// Edges merged before the queue.
        merged: u64,
        /// Edges queued for the line when the reader stopped watching it.
        discarded: u64,
    }
}

impl LineCounters {
    /// Whether the account closes.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        let parts = [self.delivered, self.queued, self.raised as u64, self.overflowed, self.merged, self.discarded];
        closes(self.driven, &parts)
    }
}

record! {
    /// Output of [`GET_TOTALS`]: the part of the account that outlives the readers. The sums cover closed readers;
    /// events that such a reader had queued at its end were discarded, so `driven = delivered + overflowed + merged +
    /// discarded`.
    ///
    /// ```
    /// use linewake_controller::protocol::LineTotals;
    /// let line = LineTotals { changes: 20, readers: 1, driven: 20, delivered: 16, discarded: 4, ..Default::default() };
    /// assert!(line.is_closed());
    /// ```
    LineTotals {
        /// The line.
        offset: u32,
        /// How many readers that held the line at some time were closed.
        readers: u32,
        /// Level changes of the line, watched or not.
        changes: u64,
        /// Edges of a polarity watched by the closed readers.
        driven: u64,
        /// Edges given to them.
        delivered: u64,
        /// Edges dropped from their full queues.
        overflowed: u64,
        /// Edges merged before their queues.
        merged: u64,
        /// Edges left in their queues.
        discarded: u64,
    }
}

impl LineTotals {
    /// Whether the account closes.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        closes(self.driven, &[self.delivered, self.overflowed, self.merged, self.discarded])
    }
}

/// Whether the parts add up to the whole. Sums of a driver that lies may overflow; then they do not.
const fn closes(driven: u64, parts: &[u64]) -> bool {
    let mut rest = driven;
    let mut i = 0;
    while i < parts.len() {
        match rest.checked_sub(parts[i]) {
            Some(less) => rest = less,
            None => return false,
        }
        i += 1;
    }
    rest == 0
}

/// [`Drive::action`]: make the physical level low.
pub const DRIVE_LOW: u32 = 0;
/// [`Drive::action`]: make the physical level high.
pub const DRIVE_HIGH: u32 = 1;
/// [`Drive::action`]: change the level `count` times.
pub const DRIVE_TOGGLE: u32 = 2;

record! {
    /// Input of [`DRIVE`]. The records are handled in rounds: in each round, every unfinished record makes one level
    /// change. After each round the waits that became ready are completed.
    ///
    /// ```
    /// use linewake_controller::protocol::{DRIVE_TOGGLE, Drive};
    /// let press_and_release = Drive { offset: 1, action: DRIVE_TOGGLE, count: 2, reserved: 0 };
    /// # let _ = press_and_release;
    /// ```
    Drive {
        /// The line.
        offset: u32,
        /// [`DRIVE_LOW`], [`DRIVE_HIGH`] or [`DRIVE_TOGGLE`].
        action: u32,
        /// How many level changes; 1 for a level. At most [`MAX_DRIVES`] in all records together.
        count: u32,
        /// Zero.
        reserved: u32,
    }
}

/// [`MergeWindow::offset`]: every line.
pub const ALL_LINES: u32 = u32::MAX;

record! {
    /// Input of [`SET_MERGE`]. An edge less than `window_ns` after the last one queued for the same reader is merged:
    /// it is counted, numbered in `seqno` if the reader holds two lines or more, and never queued.
    ///
    /// ```
    /// use linewake_controller::protocol::{ALL_LINES, MergeWindow};
    /// let ten_microseconds = MergeWindow { offset: ALL_LINES, reserved: 0, window_ns: 10_000 };
    /// # let _ = ten_microseconds;
    /// ```
    MergeWindow {
        /// The line, or [`ALL_LINES`].
        offset: u32,
        /// Zero.
        reserved: u32,
        /// Nanoseconds; zero merges nothing.
        window_ns: u64,
    }
}
