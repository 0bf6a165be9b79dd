//! The memory of operations: slots in append-only chunks, and the list of free ones.
//!
//! A slot never moves, and is not freed before its port. So an address that the kernel got stays valid. Memory that the
//! kernel may write is separate from memory that it may not: each slot has a *block*, and the blocks of a chunk lie
//! side by side, with unused bytes behind them. A driver that writes too much spoils bytes and counts of other
//! operations, which are not trusted anyway, but no pointer or state of ours. Blocks are reached by raw pointers; no
//! reference to a block exists while the kernel may write it.

mod free;
mod idle;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::time::Duration;

use free::{Free, Link, Linked};
use idle::{Heap, Idle, KEEP, alignment};

use crate::operation::slot::{Machine, Packet, Recycle};
use crate::operation::unread::Place;
use crate::system::foreign::dropped;
use crate::system::sync::lock;
use crate::words::buffer::ALIGN;
#[cfg(target_os = "linux")]
use crate::words::linux::Interest;
use crate::words::token::Generation;
use crate::{Buffer, CtlCode, Operation, Status};

/// Bytes of input and output that fit in the slot's block.
const INLINE: usize = 64;
/// Unused bytes behind the blocks of a chunk: an overrun of the last blocks lands there.
const SLACK: usize = 4096;
/// The first chunks have this many slots. After every sixteen chunks the length doubles. So of many slots at most about
/// a sixteenth was never needed.
const FIRST_CHUNK: usize = 8;
/// How many chunks have the same length.
const EQUAL: usize = 16;
const CHUNKS: usize = 21 * EQUAL;
/// A slot's number consists of its chunk's number and, in this many low bits, its place in the chunk.
const PLACE_BITS: u32 = 23;
/// The longest chunk uses all of these places.
const _: () = assert!(FIRST_CHUNK << ((CHUNKS - 1) / EQUAL) == 1 << PLACE_BITS);
/// Some chunk number is unused, so that a number can mean "no slot".
const _: () = assert!(CHUNKS < 1 << (u32::BITS - PLACE_BITS));

/// The kernel's IO_STATUS_BLOCK (`wdm.h`): a status in a pointer-sized union, and the byte count.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct IoStatus {
    status: u32,
    #[cfg(target_pointer_width = "64")]
    rest_of_union: u32,
    information: usize,
}

impl IoStatus {
    const fn new(status: u32, information: usize) -> Self {
        Self {
            status,
            #[cfg(target_pointer_width = "64")]
            rest_of_union: 0,
            information,
        }
    }
}

/// The memory of a slot that the kernel may write: the status block, and behind it the bytes of small inputs and
/// outputs. An output that is overrun does not touch its own status.
#[repr(C)]
struct Block {
    io_status: IoStatus,
    inline: Inline,
}

#[repr(C, align(16))]
struct Inline([u8; INLINE]);

const _: () = assert!(align_of::<Inline>() == ALIGN);

/// The caller's own input and output, and the value to keep until the driver is done.
pub(crate) struct Lent {
    pub(crate) input: Buffer,
    pub(crate) output: Buffer,
    pub(crate) kept: Box<dyn Any + Send>,
}

impl Lent {
    /// Frees the buffers and the value, which nobody will take. A foreign destructor does not run on the dispatcher.
    fn abandon(self) {
        if !self.kept.is::<()>() {
            dropped(self.kept);
        }
    }
}

/// One operation: its state, and where its memory is.
///
/// From [`Machine::begin`] until its packet is dequeued (or its submission has returned a final status), the block, the
/// buffer and their contents belong to the kernel, or to the simulated driver that plays it. Before and after, they
/// belong to the one thread that owns the operation. The rest is atomic or has a lock.
pub(crate) struct Slot<W> {
    /// One of the chunk's blocks. The pointer may access all blocks of the chunk, and the slack.
    block: NonNull<Block>,
    /// Fields that few operations need. The box is kept for later operations.
    more: UnsafeCell<Option<Box<More>>>,
    input_len: UnsafeCell<u32>,
    output_len: UnsafeCell<u32>,
    pub(crate) machine: Machine<W>,
    /// The device whose bytes are in the slot's memory; 0 for none.
    device: AtomicU64,
    /// The operation, as a [`What`]. For a read of a stream it also has the read's number among those of its device.
    what: AtomicU64,
    /// When it was submitted, in [`UNIT`]s of a clock that wraps.
    started: AtomicU32,
    /// The generation whose cancellation was asked for; 0 for none.
    pub(crate) cancelled: AtomicU32,
    /// In a free slot: the link to the next free one. In a read that got the bytes of another read: the number of that
    /// other read.
    link: Link,
}

/// The memory that few operations need.
#[derive(Default)]
struct More {
    /// A buffer for bytes that do not fit into the block.
    heap: Option<Heap>,
    /// The caller's buffers, used instead of the slot's own.
    lent: Option<Lent>,
}

/// The unit of [`Slot::started`] in milliseconds: about a tick of Windows' clock. The count wraps after two years.
const UNIT: u64 = 16;

#[cfg(all(not(loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Slot<[usize; 2]>>() + size_of::<Block>() <= 168);

// SAFETY: the cells and the block are touched by one thread at a time, as the machine's phases say; see the type's
// documentation.
unsafe impl<W: Send> Sync for Slot<W> {}
// SAFETY: nothing in a slot depends on the thread that made it.
unsafe impl<W: Send> Send for Slot<W> {}

/// The kernel's view of one operation's memory: raw addresses, valid until the slot is released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    #[cfg_attr(
        not(any(windows, all(target_os = "linux", not(miri)))),
        allow(dead_code, reason = "only a system needs it")
    )]
    pub(crate) io_status: *mut IoStatus,
    pub(crate) input: *mut u8,
    pub(crate) input_len: u32,
    pub(crate) output: *mut u8,
    pub(crate) output_len: u32,
}

impl Memory {
    /// # Safety
    /// The caller is the kernel's side of the operation in flight that has this memory, and stays so for `'a`.
    pub(crate) unsafe fn input<'a>(self) -> &'a [u8] {
        if self.input_len == 0 {
            return &[];
        }
        // SAFETY: an operation's buffers have these lengths and are initialised; nobody writes the input meanwhile.
        unsafe { std::slice::from_raw_parts(self.input, self.input_len as usize) }
    }

    /// # Safety
    /// As for [`input`](Self::input), which it does not overlap; and nobody else has the output for `'a`.
    pub(crate) unsafe fn output<'a>(self) -> &'a mut [u8] {
        if self.output_len == 0 {
            return &mut [];
        }
        // SAFETY: as in `input`; nobody else has it, by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.output, self.output_len as usize) }
    }

    /// Writes the final status, as the kernel does before it queues the packet.
    ///
    /// # Safety
    /// The caller is the kernel's side of the operation in flight whose memory this is.
    #[cfg(all(target_os = "linux", not(miri)))]
    pub(crate) unsafe fn set_status(&self, status: Status, information: usize) {
        // SAFETY: the caller's promise: nobody else touches the block.
        unsafe { self.io_status.write(IoStatus::new(status.to_u32(), information)) };
    }
}

impl<W> Slot<W> {
    fn new(block: NonNull<Block>) -> Self {
        Self {
            block,
            more: UnsafeCell::new(None),
            input_len: UnsafeCell::new(0),
            output_len: UnsafeCell::new(0),
            machine: Machine::new(),
            device: AtomicU64::new(0),
            what: AtomicU64::new(0),
            started: AtomicU32::new(0),
            cancelled: AtomicU32::new(0),
            link: Link::new(0),
        }
    }

    /// Copies the input in, presets the status, and clears bytes of another device. Returns false when there is no
    /// memory.
    ///
    /// # Safety
    /// The caller owns the slot: it took the slot from the pool, and the operation has not begun.
    #[inline]
    pub(crate) unsafe fn prepare(
        &self,
        slab: &Slab<W>,
        device: u64,
        what: What,
        input: &[u8],
        output_len: u32,
    ) -> bool {
        let Ok(input_len) = u32::try_from(input.len()) else {
            return false;
        };
        let is_whole = output_len == WHOLE && what == What(WRITE);
        let output_len = if is_whole { 0 } else { output_len };
        let Some(need) = behind(input.len(), output_len).and_then(|start| start.checked_add(output_len as usize))
        else {
            return false;
        };
        // SAFETY: the caller owns the slot, so nobody else touches the cells; the kernel has no operation in it.
        unsafe {
            *self.input_len.get() = input_len;
            *self.output_len.get() = output_len;
            self.adopt(device);
            let start = if need <= INLINE {
                self.inline()
            } else {
                match self.heap(slab, device, need) {
                    Some(start) => start,
                    None => return false,
                }
            };
            ptr::copy_nonoverlapping(input.as_ptr(), start, input.len());
            self.set_status(Status::PENDING, 0);
        }
        self.note(if is_whole { What(WRITE | ALL) } else { what });
        true
    }

    /// A buffer of at least `need` bytes for this device. `None` when there is no memory for it.
    ///
    /// # Safety
    /// As [`prepare`](Self::prepare).
    unsafe fn heap(&self, slab: &Slab<W>, device: u64, need: usize) -> Option<*mut u8> {
        // SAFETY: the caller owns the slot.
        let heap = unsafe { &mut (*self.more.get()).get_or_insert_default().heap };
        if heap.as_ref().is_none_or(|heap| heap.capacity() < need) {
            if let Some(small) = heap.take() {
                slab.idle.put(small, device);
            }
            *heap = slab.idle.take(need, device);
        }
        heap.as_ref().map(Heap::start)
    }

    /// Gives the operation the caller's buffers.
    ///
    /// # Safety
    /// As [`prepare`](Self::prepare).
    pub(crate) unsafe fn prepare_with(&self, device: u64, what: What, lent: Lent) {
        // SAFETY: the caller owns the slot.
        unsafe {
            (*self.more.get()).get_or_insert_default().lent = Some(lent);
            self.set_status(Status::PENDING, 0);
        }
        // SAFETY: as above. The slot's own buffer is not used, but from now on it counts as this device's.
        unsafe { self.adopt(device) };
        self.note(what);
    }

    /// Clears the bytes of another device. A driver that claims more bytes than it wrote must not show one device's
    /// bytes to the caller of another device.
    ///
    /// # Safety
    /// As [`prepare`](Self::prepare).
    #[inline]
    unsafe fn adopt(&self, device: u64) {
        if self.device.load(Relaxed) == device {
            return;
        }
        // SAFETY: the caller owns the slot, and no operation is in it.
        unsafe {
            ptr::write_bytes(self.inline(), 0, INLINE);
            if let Some(heap) = (*self.more.get()).as_mut().and_then(|more| more.heap.as_mut()) {
                heap.clear();
            }
        }
        self.device.store(device, Relaxed);
    }

    /// Whether a success of this operation needs no check: the byte count says how much of the output is valid.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        match self.what() {
            What(code) if code <= u64::from(u32::MAX) => true,
            what => what.is_read(),
        }
    }

    /// Whether it is a write that fails if it writes only a part.
    #[inline]
    pub(crate) fn is_whole_write(&self) -> bool {
        self.what.load(Relaxed) == WRITE | ALL
    }

    #[inline]
    fn note(&self, what: What) {
        self.what.store(what.0, Relaxed);
        self.started.store(now(), Relaxed);
    }

    /// The submission has returned the result. Publishes it, unless the packet was faster. Wakes nobody.
    ///
    /// # Safety
    /// The status is final at return, and the caller owns the operation.
    #[inline]
    pub(crate) unsafe fn ended_at_once(&self, generation: Generation, status: Status, information: usize) {
        // SAFETY: the caller's promise: the operation is over and belongs to the caller.
        unsafe { self.set_status(status, information) };
        if let (Packet::Awaited(held), _) = self.machine.publish(generation) {
            // Nobody waits for an operation that is being submitted.
            drop(held.hand_out());
        }
    }

    /// Takes the caller's buffers back.
    ///
    /// # Safety
    /// The caller owns the operation, and the kernel is done with it.
    pub(crate) unsafe fn take_lent(&self) -> Option<Lent> {
        // SAFETY: the caller's promise.
        unsafe { (*self.more.get()).as_mut()?.lent.take() }
    }

    /// The addresses to submit.
    ///
    /// # Safety
    /// The caller owns the slot and has prepared it, or is the kernel's side of the operation in flight.
    #[inline]
    pub(crate) unsafe fn memory(&self) -> Memory {
        // SAFETY: lengths and buffer change only in `prepare`, whose caller owns the slot; now the caller does.
        unsafe {
            let more = (*self.more.get()).as_deref();
            if let Some(More { lent: Some(lent), .. }) = more {
                let ((input, input_len), (output, output_len)) = (lent.input.raw(), lent.output.raw());
                return Memory { io_status: self.io_status(), input, input_len, output, output_len };
            }
            let (input_len, output_len) = (*self.input_len.get(), *self.output_len.get());
            // `prepare` checked that there is room.
            let offset = behind(input_len as usize, output_len).unwrap_or(0);
            let start = if offset + output_len as usize <= INLINE {
                self.inline()
            } else {
                more.and_then(|more| more.heap.as_ref()).map_or(ptr::null_mut(), Heap::start)
            };
            // "Zero-length buffers: pass NULL."
            let or_null = |p: *mut u8, len: u32| if len == 0 { ptr::null_mut() } else { p };
            Memory {
                io_status: self.io_status(),
                input: or_null(start, input_len),
                input_len,
                output: or_null(start.wrapping_add(offset), output_len),
                output_len,
            }
        }
    }

    /// Writes the final status, as the kernel does before it queues the packet.
    ///
    /// # Safety
    /// The caller owns the slot, or is the kernel's side of the operation in flight.
    #[inline]
    pub(crate) unsafe fn set_status(&self, status: Status, information: usize) {
        // SAFETY: the caller's promise: nobody else touches the block.
        unsafe { self.io_status().write(IoStatus::new(status.to_u32(), information)) };
    }

    /// The address that names the operation to the kernel.
    #[inline]
    pub(crate) fn io_status(&self) -> *mut IoStatus {
        // SAFETY: the block is allocated as long as the slot is there; no reference is made.
        unsafe { &raw mut (*self.block.as_ptr()).io_status }
    }

    /// The first of the [`INLINE`] bytes.
    #[inline]
    fn inline(&self) -> *mut u8 {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.block.as_ptr()).inline).cast() }
    }

    /// The final status, and the byte count *that the driver claims*.
    ///
    /// # Safety
    /// The caller owns the operation, and its result is published or its submission has returned.
    #[inline]
    pub(crate) unsafe fn status(&self) -> (Status, usize) {
        let block = self.io_status();
        // SAFETY: the kernel is done with the block (the caller's promise).
        unsafe { (Status::from_u32((*block).status), (*block).information) }
    }

    /// The first `len` bytes of the output, or all of it if it is shorter.
    ///
    /// # Safety
    /// The caller owns the operation, its result is published or its submission has returned, and the slot is not
    /// released while the bytes are borrowed.
    #[inline]
    pub(crate) unsafe fn output(&self, len: usize) -> &[u8] {
        // SAFETY: the caller owns the slot.
        let memory = unsafe { self.memory() };
        let len = len.min(memory.output_len as usize);
        if len == 0 {
            return &[];
        }
        // SAFETY: `prepare` made the buffer this long and every byte of it is initialised; the kernel is done with it.
        unsafe { std::slice::from_raw_parts(memory.output, len) }
    }

    /// The device of the operation, 0 for none.
    pub(crate) fn device(&self) -> u64 {
        self.device.load(Relaxed)
    }

    /// For a read of a stream: its number among those of its device.
    pub(crate) fn number(&self) -> u64 {
        self.what().number()
    }

    /// The operation has ended, or ends now. If it is a read of a stream, marks it as one without bytes.
    pub(crate) fn set_nothing(&self) {
        if self.what().is_stream_read() {
            self.what.fetch_or(NOTHING, Relaxed);
        }
    }

    /// Whether it is a read of a stream that is marked as one without bytes.
    pub(crate) fn has_nothing(&self) -> bool {
        self.what().is_stream_read() && self.what().0 & NOTHING != 0
    }

    /// Sets the number of a read of a stream.
    #[inline]
    pub(crate) fn set_number(&self, number: u64) {
        self.what.store(STREAM | number & NUMBER, Relaxed);
    }

    /// The position of its bytes in the stream.
    pub(crate) fn place(&self) -> Place {
        let what = self.what();
        if what.is_stream_read() && what.0 & GIVEN != 0 {
            Place { number: self.link.load(Relaxed), part: self.started.load(Relaxed) }
        } else {
            Place { number: what.number(), part: 0 }
        }
    }

    /// For a read of a stream: it got the bytes of another read.
    pub(crate) fn set_place(&self, place: Place) {
        // The read is over, so nobody asks when it was submitted.
        self.started.store(place.part, Relaxed);
        // Release: a thread that counts the free slots and reads this also sees that the slot is not free.
        self.link.store(place.number, Release);
        self.what.store(STREAM | GIVEN | self.number(), Relaxed);
    }

    /// The result was taken or passed on: nothing is lost when the slot is given back.
    #[inline]
    pub(crate) fn taken(&self) {
        self.what.store(LEAVES_NOTHING, Relaxed);
    }

    /// Whether the result was taken, or there is none.
    pub(crate) fn is_taken(&self) -> bool {
        self.what.load(Relaxed) == LEAVES_NOTHING
    }

    /// The time since its submission, in whole [`UNIT`]s.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_millis(u64::from(now().wrapping_sub(self.started.load(Relaxed))) * UNIT)
    }

    /// What the operation is.
    #[inline]
    pub(crate) fn operation(&self) -> Operation {
        self.what().operation()
    }

    #[inline]
    pub(crate) fn what(&self) -> What {
        What(self.what.load(Relaxed))
    }

    /// Removes buffers that must not stay with the slot.
    ///
    /// # Safety
    /// The caller owns the slot.
    #[inline]
    unsafe fn shed(&self, idle: &Idle) {
        // SAFETY: the caller's promise.
        let Some(more) = (unsafe { &mut *self.more.get() }) else { return };
        if let Some(large) = more.heap.take_if(|heap| heap.capacity() > KEEP) {
            idle.put(large, self.device());
        }
        if let Some(lent) = more.lent.take() {
            lent.abandon();
        }
    }
}

/// The offset of an output behind an input of `input_len` bytes. It uses that an alignment is a power of two: the
/// compiler would make a division, which takes as long as one or two atomic instructions.
#[inline]
fn behind(input_len: usize, output_len: u32) -> Option<usize> {
    let mask = alignment(output_len as usize) - 1;
    input_len.checked_add(mask).map(|len| len & !mask)
}

/// Added to the number of a read of a stream: it has no bytes.
const NOTHING: u64 = 1 << 61;
/// Added to the number of a read of a stream: it got the bytes of another read, whose position is in [`Slot::link`] and
/// [`Slot::started`].
const GIVEN: u64 = 1 << 60;
/// The bits of the number itself.
const NUMBER: u64 = GIVEN - 1;
/// Stands for an operation whose result was taken: a write, which has no result to lose.
const LEAVES_NOTHING: u64 = WRITE;

/// The time now, in [`UNIT`]s.
#[inline]
fn now() -> u32 {
    (crate::system::ticks() / UNIT) as u32
}

/// A read without an offset.
const STREAM: u64 = 1 << 62;
const READ: u64 = 2 << 62;
const WRITE: u64 = 3 << 62;
/// The first offset that is too large: 4 EiB, which no file or disk has.
pub(crate) const PLACES: u64 = !WRITE - 1;
/// In place of an offset: there is none, and writing fewer bytes than all is an error.
const ALL: u64 = !WRITE;
/// As the output length of a write, which has no output: writing fewer bytes than all is an error.
pub(crate) const WHOLE: u32 = 1;
/// A bit above the 32 bits of a control code or a request, and below the two bits of reads and writes, names the kind.
#[cfg(target_os = "linux")]
const IOCTL: u64 = 4 << 32;
const SIGNAL: u64 = 8 << 32;
/// Waits for readiness, and makes no system call.
#[cfg(target_os = "linux")]
const READY: u64 = 16 << 32;
#[cfg(windows)]
const FUNCTION: u64 = 1 << 32;

/// The operation in one word: the code itself; or the two highest bits for a read or a write, and its offset plus 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct What(u64);

impl What {
    /// A read that continues where the last one ended.
    pub(crate) const STREAM_READ: Self = Self(STREAM);

    /// Operations are passed in this form, in a register. A larger value would be written to memory in pieces and read
    /// as one, which makes the processor wait.
    #[inline(always)]
    pub(crate) fn of(what: Operation) -> Self {
        let place = |offset: Option<u64>| offset.map_or(0, |at| at.min(PLACES) + 1);
        Self(match what {
            Operation::Read { offset: None } => STREAM,
            Operation::Read { offset } => READ | place(offset),
            Operation::Write { offset } => WRITE | place(offset),
            Operation::Control(code) => code.to_u32().into(),
            #[cfg(target_os = "linux")]
            Operation::Ioctl { request, when } => IOCTL | when.map_or(0, |w| w as u64) << 32 | u64::from(request),
            Operation::Signal => SIGNAL,
            #[cfg(target_os = "linux")]
            Operation::Ready { interest } => READY | (interest as u64) << 32,
            #[cfg(windows)]
            Operation::Function => FUNCTION,
            // No other operation is submitted.
            _ => 0,
        })
    }

    #[inline]
    pub(crate) fn operation(self) -> Operation {
        let offset = (self.0 & !WRITE).checked_sub(1).filter(|at| *at < PLACES);
        match self.0 {
            what if what & WRITE == STREAM => Operation::Read { offset: None },
            what if what & WRITE == READ => Operation::Read { offset },
            what if what & WRITE == WRITE => Operation::Write { offset },
            what if what & SIGNAL != 0 => Operation::Signal,
            #[cfg(target_os = "linux")]
            what if what & IOCTL != 0 => {
                Operation::Ioctl { request: what as u32, when: Interest::from_number(what >> 32 & 3) }
            }
            #[cfg(target_os = "linux")]
            what if what & READY != 0 => {
                Operation::Ready { interest: Interest::from_number(what >> 32 & 3).unwrap_or(Interest::Readable) }
            }
            #[cfg(windows)]
            FUNCTION => Operation::Function,
            code => Operation::Control(CtlCode::from_u32(code as u32)),
        }
    }

    #[inline]
    pub(crate) fn is_stream_read(self) -> bool {
        self.0 & WRITE == STREAM
    }

    #[inline]
    pub(crate) fn is_read(self) -> bool {
        self.is_stream_read() || self.0 & WRITE == READ
    }

    /// For a read of a stream: its number.
    fn number(self) -> u64 {
        if self.is_stream_read() { self.0 & NUMBER } else { 0 }
    }

    #[inline]
    pub(crate) fn is_write(self) -> bool {
        self.0 & WRITE == WRITE
    }

    #[cfg(target_os = "linux")]
    #[inline]
    pub(crate) fn is_ready(self) -> bool {
        self.0 & WRITE == 0 && self.0 & READY != 0
    }

    /// Whether the offset of a read or a write is larger than any file.
    #[inline]
    pub(crate) fn is_too_far(self) -> bool {
        self.0 & READ != 0 && self.0 & !WRITE > PLACES
    }
}

impl<W> Linked for Slot<W> {
    fn link(&self) -> &Link {
        &self.link
    }
}

fn number(chunk: usize, place: u32) -> u32 {
    (chunk as u32) << PLACE_BITS | place
}

/// The blocks of a chunk's slots, and the slack behind them.
struct Blocks {
    /// Every address that the kernel gets is derived from this pointer, so it may access all blocks and the slack.
    start: NonNull<Block>,
    layout: Layout,
}

// SAFETY: this only owns the memory; each slot says who may touch it.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    fn new(len: usize) -> Option<Self> {
        let blocks = Layout::array::<Block>(len).ok()?;
        let layout = Layout::from_size_align(blocks.size().checked_add(SLACK)?, blocks.align()).ok()?;
        // SAFETY: the layout's size is not zero, since there is slack. All zeros are a valid block.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?.cast();
        Some(Self { start, layout })
    }

    /// The address of the block at this place, which is less than their count.
    fn at(&self, place: usize) -> NonNull<Block> {
        NonNull::new(self.start.as_ptr().wrapping_add(place)).unwrap_or(self.start)
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed only here.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) };
    }
}

struct Chunk<W> {
    slots: Box<[Slot<W>]>,
    /// Freed together with the slots, which point into it.
    _blocks: Blocks,
}

impl<W> Chunk<W> {
    fn new(len: usize) -> Option<Self> {
        let blocks = Blocks::new(len)?;
        Some(Self { slots: (0..len).map(|place| Slot::new(blocks.at(place))).collect(), _blocks: blocks })
    }
}

/// All slots of a port.
pub(crate) struct Slab<W> {
    chunks: [OnceLock<Chunk<W>>; CHUNKS],
    /// The buffers that no operation uses.
    pub(crate) idle: Idle,
    free: Free,
    made: crate::system::sync::Mutex<SlotCounts>,
}

/// Slots that were made.
#[derive(Debug, Default)]
struct SlotCounts {
    chunks: usize,
    slots: usize,
    /// How many of them are never used again.
    retired: usize,
}

/// How many slots there are, and how many of them are not in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    pub(crate) slots: usize,
    pub(crate) free: usize,
    pub(crate) retired: usize,
}

impl Census {
    /// The slots in use.
    pub(crate) fn in_flight(self) -> usize {
        // The numbers were not read at the same moment.
        self.slots.saturating_sub(self.free + self.retired)
    }
}

impl<W> Slab<W> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            idle: Idle::default(),
            free: Free::new(),
            made: crate::system::sync::Mutex::new(SlotCounts::default()),
        }
    }

    /// The slot with this number, if there is one. Numbers come from the kernel, and are not trusted.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Slot<W>> {
        let (chunk, place) = (index >> PLACE_BITS, index & ((1 << PLACE_BITS) - 1));
        self.chunks.get(chunk as usize)?.get()?.slots.get(place as usize)
    }

    /// Takes a free slot. `None` when the slab has its largest size: more than 268 million operations in flight.
    #[inline]
    pub(crate) fn take(&self) -> Option<(u32, &Slot<W>)> {
        loop {
            if let Some(taken) = self.free.pop(|index| self.get(index)) {
                return Some(taken);
            }
            if !self.reserve(1) {
                return None;
            }
        }
    }

    /// Makes sure that `count` slots are free.
    pub(crate) fn reserve(&self, count: usize) -> bool {
        let mut made = lock(&self.made);
        while self.free.len(|index| self.get(index)) < count {
            if !self.grow(&mut made) {
                return false;
            }
        }
        true
    }

    fn grow(&self, made: &mut SlotCounts) -> bool {
        let Some(cell) = self.chunks.get(made.chunks) else {
            return false;
        };
        let len = FIRST_CHUNK << (made.chunks / EQUAL);
        let Some(chunk) = Chunk::new(len) else {
            return false;
        };
        let slots = &cell.get_or_init(|| chunk).slots;
        let first = number(made.chunks, 0);
        made.chunks += 1;
        made.slots += len;
        // Push the lowest number last: it is taken first, so a quiet port stays in one chunk.
        for (at, slot) in slots.iter().enumerate().rev() {
            self.free.push(slot, first + at as u32, |index| self.get(index));
        }
        true
    }

    /// Gives back a released slot, which has this number.
    #[inline]
    pub(crate) fn give_back(&self, slot: &Slot<W>, index: u32, how: Recycle) {
        // SAFETY: the machine said that this thread gives the slot back; until it is in the pool, this thread owns it.
        unsafe { slot.shed(&self.idle) };
        match how {
            Recycle::Pool => self.free.push(slot, index, |index| self.get(index)),
            Recycle::Retire => lock(&self.made).retired += 1,
        }
    }

    pub(crate) fn census(&self) -> Census {
        // Read this first: every slot that is free now is counted in `made`.
        let free = self.free.len(|index| self.get(index));
        let made = lock(&self.made);
        Census { slots: made.slots, free, retired: made.retired }
    }

    /// Every slot, with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<W>)> {
        let made = self.chunks.iter().map_while(OnceLock::get).enumerate();
        made.flat_map(|(at, chunk)| (0..).zip(&chunk.slots).map(move |(place, slot)| (number(at, place), slot)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const WHAT: What = What(0x222004);

    #[test]
    fn numbers_and_places_agree() {
        let slab = Slab::<()>::new();
        assert!(slab.get(0).is_none());
        assert!(slab.reserve(EQUAL * FIRST_CHUNK * 3));
        assert_eq!(slab.census().slots, EQUAL * FIRST_CHUNK * 3);
        for (index, slot) in slab.iter() {
            assert!(ptr::eq(slot, slab.get(index).unwrap()), "{index}");
        }
        assert_eq!(slab.iter().count(), EQUAL * FIRST_CHUNK * 3);
        let made = 2 * EQUAL;
        for index in [number(0, FIRST_CHUNK as u32), number(made, 0), number(CHUNKS, 0), u32::MAX, u32::MAX - 1] {
            assert!(slab.get(index).is_none());
        }
    }

    #[test]
    fn bytes_of_one_device_are_cleared_for_the_next() {
        let slab = Slab::<()>::new();
        for len in [16, 4096] {
            let (index, slot) = slab.take().unwrap();
            // SAFETY: the slot was taken from the pool and never begun; this thread owns it.
            unsafe {
                assert!(slot.prepare(&slab, 1, WHAT, b"in", len));
                ptr::write_bytes(slot.memory().output, 0xaa, len as usize);
                assert!(slot.prepare(&slab, 1, WHAT, b"in", len));
                assert!(slot.output(len as usize).iter().all(|b| *b == 0xaa), "the bytes of the same device stay");
                assert!(slot.prepare(&slab, 2, WHAT, b"in", len));
                assert!(slot.output(len as usize).iter().all(|b| *b == 0));
                assert_eq!(slot.status(), (Status::PENDING, 0));
            }
            slab.give_back(slot, index, Recycle::Pool);
        }
    }

    #[test]
    fn the_status_is_preset_for_every_operation() {
        let slab = Slab::<()>::new();
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            slot.set_status(Status::SUCCESS, 7);
            assert!(slot.prepare(&slab, 1, WHAT, b"", 0));
            assert_eq!(slot.status(), (Status::PENDING, 0));
            slot.set_status(Status::SUCCESS, 7);
            let nothing = Lent { input: Buffer::empty(), output: Buffer::empty(), kept: Box::new(()) };
            slot.prepare_with(1, WHAT, nothing);
            assert_eq!(slot.status(), (Status::PENDING, 0));
        }
    }

    #[test]
    fn a_buffer_of_no_bytes_has_no_address() {
        let slab = Slab::<()>::new();
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            for (input, output) in [(0, 0), (0, 8), (8, 0), (0, 4096), (4096, 0)] {
                assert!(slot.prepare(&slab, 1, WHAT, &vec![0; input], output));
                let memory = slot.memory();
                assert_eq!((memory.input.is_null(), memory.output.is_null()), (input == 0, output == 0));
            }
            let nothing = Lent { input: Buffer::empty(), output: Buffer::empty(), kept: Box::new(()) };
            slot.prepare_with(1, WHAT, nothing);
            let memory = slot.memory();
            assert!(memory.input.is_null() && memory.output.is_null());
        }
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let slab = Slab::<()>::new();
        let (index, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            for (len, kept) in [(KEEP, true), (2 * KEEP, false), (1 << 20, false)] {
                assert!(slot.prepare(&slab, 1, WHAT, &[], len as u32));
                slot.shed(&slab.idle);
                assert_eq!((*slot.more.get()).as_ref().unwrap().heap.is_some(), kept, "{len}");
            }
        }
        slab.give_back(slot, index, Recycle::Pool);
    }

    /// Each operation uses the slot's buffer again if it is large enough.
    #[test]
    fn input_and_output_are_aligned_to_their_lengths() {
        let slab = Slab::<()>::new();
        let (_, slot) = slab.take().unwrap();
        for (input, output) in [(0, 512), (512, 0), (5, 32), (5, 4096), (513, 1024), (5000, 600), (0, 1 << 20)] {
            // SAFETY: as above.
            let memory = unsafe {
                assert!(slot.prepare(&slab, 1, WHAT, &vec![1; input], output));
                slot.memory()
            };
            assert!(memory.input.addr().is_multiple_of(alignment(input)), "input of {input}, {output}");
            assert!(memory.output.addr().is_multiple_of(alignment(output as usize)), "output of {input}, {output}");
        }
    }

    /// The system copies back as many bytes as the driver claims; this test plays the system. Every operation of a
    /// chunk is in flight; then three of them overrun their outputs by the whole slack, the first and the last among
    /// them.
    #[test]
    fn an_overrun_spoils_bytes_and_nothing_else() {
        let slab = Slab::<()>::new();
        let taken: Vec<_> = (0..FIRST_CHUNK).map(|_| slab.take().unwrap()).collect();
        for (at, (_, slot)) in taken.iter().enumerate() {
            // SAFETY: the slot was taken from the pool and never begun; this thread owns it, and plays the kernel.
            unsafe { assert!(slot.prepare(&slab, 1, WHAT, b"input", if at == 3 { 4096 } else { 48 })) };
        }
        let begun: Vec<_> = taken.iter().map(|(index, slot)| (*index, *slot, slot.machine.begin(None))).collect();
        for at in [0, 3, FIRST_CHUNK - 1] {
            // SAFETY: as above.
            unsafe {
                let memory = begun[at].1.memory();
                memory.io_status.write(IoStatus::new(Status::BUFFER_OVERFLOW.to_u32(), 48 + SLACK));
                ptr::write_bytes(memory.output, 0xee, memory.output_len as usize + SLACK);
                assert_eq!(begun[at].1.status().0, Status::BUFFER_OVERFLOW, "its own status is before its output");
            }
        }
        for (index, slot, generation) in begun {
            assert!(ptr::eq(slab.get(index).unwrap(), slot));
            assert!(matches!(
                slot.machine.complete(generation),
                (crate::operation::slot::Completion::Published(None), false)
            ));
            // SAFETY: as above: the operation is complete and this thread's.
            unsafe {
                let (_, claimed) = slot.status();
                assert!(slot.output(claimed).len() <= 4096);
            }
            assert_eq!(slot.operation(), WHAT.operation());
            slab.give_back(slot, index, slot.machine.release(generation).unwrap());
        }
        assert_eq!(slab.census().in_flight(), 0);
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            assert!(slot.prepare(&slab, 2, WHAT, b"input", 48));
            assert_eq!((slot.status(), slot.output(48)), ((Status::PENDING, 0), [0; 48].as_slice()));
        }
    }

    #[test]
    fn every_operation_is_listed_as_what_it_is() {
        let listed = [
            Operation::Signal,
            WHAT.operation(),
            Operation::Control(CtlCode::from_u32(u32::MAX)),
            Operation::Read { offset: None },
            Operation::Read { offset: Some(PLACES - 1) },
            Operation::Write { offset: Some(0) },
        ];
        assert_eq!(listed.map(What::of).map(What::operation), listed);
    }

    #[test]
    fn retired_slots_are_counted_and_not_reused() {
        let slab = Slab::<()>::new();
        let (index, slot) = slab.take().unwrap();
        slab.give_back(slot, index, Recycle::Retire);
        let census = slab.census();
        assert_eq!((census.free, census.retired), (FIRST_CHUNK - 1, 1));
        assert!((0..census.free).all(|_| slab.take().unwrap().0 != index));
    }
}
