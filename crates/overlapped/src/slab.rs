//! Where operations live: pinned slots in append-only chunks, and the list of free ones.
//!
//! A slot never moves and is never freed before its port, so that an address the kernel was given stays an address of
//! ours. Everything the kernel may write is reached by raw pointer; no reference to it exists while it may.

mod free;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use free::{Free, Link, Linked};

#[cfg(target_os = "linux")]
use crate::linux::Interest;
use crate::port::Waiter;
use crate::slot::{Machine, Recycle};
use crate::sync::lock;
use crate::{Buffer, CtlCode, Operation, Status};

/// Bytes of input and output that fit in the slot itself. With it a slot is 192 bytes, three cache lines.
const INLINE: usize = 64;
/// Every buffer starts at a multiple of this, so every record type of at most this alignment can be read in place.
pub(crate) const ALIGN: usize = 16;
/// A slot's own buffer that is larger than this is freed with the operation rather than kept for the next one.
const KEEP: usize = 64 * 1024;
/// The first chunks have this many slots. After every sixteen they are twice as long: so of many slots there is never more
/// than a sixteenth that nobody has needed yet.
const FIRST_CHUNK: usize = 8;
/// How many chunks are of one length.
const EQUAL: usize = 16;
const CHUNKS: usize = 21 * EQUAL;
/// A slot's number is that of its chunk, and in so many bits below that its place there.
const PLACE_BITS: u32 = 23;
/// The longest chunk has a place for each of those numbers.
const _: () = assert!(FIRST_CHUNK << ((CHUNKS - 1) / EQUAL) == 1 << PLACE_BITS);
/// And no chunk has the number of those that are no slot's.
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

#[repr(C, align(16))]
struct Inline([MaybeUninit<u8>; INLINE]);

/// The caller's own input and output.
pub(crate) type Buffers = (Buffer, Buffer);

/// One operation's pinned memory.
///
/// Who may touch what: from [`Machine::begin`] until its packet is dequeued (or its submission has returned a final
/// status), `io_status`, the buffer and its contents belong to the kernel, or to the simulated driver that plays it.
/// Before and after, to the one thread that owns the operation. The rest is atomic or has a lock.
#[repr(C)]
pub(crate) struct Slot {
    io_status: UnsafeCell<IoStatus>,
    inline: UnsafeCell<Inline>,
    heap: UnsafeCell<Heap>,
    /// The caller's buffers, in place of the slot's own.
    buffers: UnsafeCell<Option<Box<Buffers>>>,
    input_len: UnsafeCell<u32>,
    output_len: UnsafeCell<u32>,
    pub(crate) machine: Machine<Waiter>,
    /// The device whose bytes are in the buffer, 0 for none.
    device: AtomicU64,
    /// The operation, packed by [`pack`].
    what: AtomicU64,
    /// When it was submitted, in milliseconds of a clock that wraps.
    started: AtomicU32,
    /// The generation whose cancellation was asked for, for simulated drivers; 0 for none.
    pub(crate) cancelled: AtomicU32,
    link: Link,
}

#[cfg(all(not(loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Slot>() <= 192);

// SAFETY: the cells are touched by one thread at a time, as the machine's phases say; see the type's documentation.
unsafe impl Sync for Slot {}
// SAFETY: nothing in a slot is bound to the thread that made it.
unsafe impl Send for Slot {}

/// A buffer that outgrew the slot.
struct Heap {
    start: Option<NonNull<u8>>,
    capacity: usize,
}

impl Heap {
    fn layout(capacity: usize) -> Option<Layout> {
        Layout::from_size_align(capacity, ALIGN).ok()
    }

    /// A buffer of at least `capacity` bytes, every one of them initialised. `None` when there is no memory for it.
    fn at_least(&mut self, capacity: usize) -> Option<NonNull<u8>> {
        if self.capacity < capacity {
            let capacity = capacity.checked_next_power_of_two()?;
            let layout = Self::layout(capacity)?;
            // SAFETY: the layout's size is not zero: it is more than `self.capacity`.
            let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
            self.free();
            *self = Self { start: Some(start), capacity };
        }
        self.start
    }

    fn free(&mut self) {
        if let (Some(start), Some(layout)) = (self.start.take(), Self::layout(self.capacity)) {
            // SAFETY: `at_least` allocated it with this very layout, and `take` makes this the only time it is freed.
            unsafe { dealloc(start.as_ptr(), layout) };
        }
        self.capacity = 0;
    }
}

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
    /// The caller is the kernel's side of the operation in flight whose memory this is, and stays it for `'a`.
    pub(crate) unsafe fn input<'a>(self) -> &'a [u8] {
        if self.input_len == 0 {
            return &[];
        }
        // SAFETY: an operation's buffers have these lengths and are initialised; nobody writes the input meanwhile.
        unsafe { std::slice::from_raw_parts(self.input, self.input_len as usize) }
    }

    /// # Safety
    /// As [`input`](Self::input), with which it does not overlap; and nobody else has the output for `'a`.
    pub(crate) unsafe fn output<'a>(self) -> &'a mut [u8] {
        if self.output_len == 0 {
            return &mut [];
        }
        // SAFETY: as above; that nobody else has it is the caller's promise.
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

impl Slot {
    fn new() -> Self {
        Self {
            io_status: UnsafeCell::new(IoStatus::new(0, 0)),
            inline: UnsafeCell::new(Inline([MaybeUninit::zeroed(); INLINE])),
            heap: UnsafeCell::new(Heap { start: None, capacity: 0 }),
            buffers: UnsafeCell::new(None),
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

    /// Copies the input in, presets the status and clears what another device has left. Returns false when there is no
    /// memory.
    ///
    /// # Safety
    /// The caller owns the slot: it took it from the pool and has not begun.
    #[inline]
    pub(crate) unsafe fn prepare(&self, device: u64, what: Operation, input: &[u8], output_len: u32) -> bool {
        let Ok(input_len) = u32::try_from(input.len()) else {
            return false;
        };
        let is_whole = output_len == WHOLE && matches!(what, Operation::Write { offset: None });
        let output_len = if is_whole { 0 } else { output_len };
        let Some(need) = input.len().checked_next_multiple_of(ALIGN).and_then(|n| n.checked_add(output_len as usize))
        else {
            return false;
        };
        // SAFETY: the caller owns the slot, so nobody else touches the cells; the kernel has no operation in it.
        unsafe {
            *self.input_len.get() = input_len;
            *self.output_len.get() = output_len;
            let start = if need <= INLINE {
                self.inline.get().cast::<u8>()
            } else {
                match (*self.heap.get()).at_least(need) {
                    Some(start) => start.as_ptr(),
                    None => return false,
                }
            };
            self.adopt(device);
            ptr::copy_nonoverlapping(input.as_ptr(), start, input.len());
            self.set_status(Status::PENDING, 0);
        }
        self.note(what);
        if is_whole {
            self.what.store(WRITE | ALL, Relaxed);
        }
        true
    }

    /// Gives the operation the caller's buffers.
    ///
    /// # Safety
    /// As [`prepare`](Self::prepare).
    pub(crate) unsafe fn prepare_with(&self, device: u64, what: Operation, buffers: Box<Buffers>) {
        // SAFETY: the caller owns the slot.
        unsafe {
            *self.buffers.get() = Some(buffers);
            self.set_status(Status::PENDING, 0);
        }
        // SAFETY: as above. The slot's own buffer is not used, but it will be taken for this device's from now on.
        unsafe { self.adopt(device) };
        self.note(what);
    }

    /// Clears what another device has left: a driver that claims more bytes than it wrote must not show one device's
    /// bytes to another's caller.
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
            self.inline.get().write(Inline([MaybeUninit::zeroed(); INLINE]));
            let heap = &*self.heap.get();
            if let Some(start) = heap.start {
                ptr::write_bytes(start.as_ptr(), 0, heap.capacity);
            }
        }
        self.device.store(device, Relaxed);
    }

    /// Whether it is a write of which a part is an error.
    pub(crate) fn is_whole_write(&self) -> bool {
        self.what.load(Relaxed) == WRITE | ALL
    }

    #[inline]
    fn note(&self, what: Operation) {
        self.what.store(pack(what), Relaxed);
        self.started.store(crate::sys::ticks(), Relaxed);
    }

    /// Takes the caller's buffers back.
    ///
    /// # Safety
    /// The caller owns the operation, and the kernel is done with it.
    pub(crate) unsafe fn take_buffers(&self) -> Option<Box<Buffers>> {
        // SAFETY: the caller's promise.
        unsafe { (*self.buffers.get()).take() }
    }

    /// The addresses to submit.
    ///
    /// # Safety
    /// The caller owns the slot and has prepared it, or is the kernel's side of the operation in flight.
    #[inline]
    pub(crate) unsafe fn memory(&self) -> Memory {
        // SAFETY: lengths and buffer change only in `prepare`, whose caller owns the slot; now the caller does.
        unsafe {
            if let Some(buffers) = &*self.buffers.get() {
                let ((input, input_len), (output, output_len)) = (buffers.0.raw(), buffers.1.raw());
                return Memory { io_status: self.io_status.get(), input, input_len, output, output_len };
            }
            let (input_len, output_len) = (*self.input_len.get(), *self.output_len.get());
            let offset = (input_len as usize).next_multiple_of(ALIGN);
            let start = if offset + output_len as usize <= INLINE {
                self.inline.get().cast::<u8>()
            } else {
                (*self.heap.get()).start.map_or(ptr::null_mut(), NonNull::as_ptr)
            };
            // "Zero-length buffers: pass NULL."
            let or_null = |p: *mut u8, len: u32| if len == 0 { ptr::null_mut() } else { p };
            Memory {
                io_status: self.io_status.get(),
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
        unsafe { self.io_status.get().write(IoStatus::new(status.to_u32(), information)) };
    }

    /// The address that names the operation to the kernel.
    #[cfg(windows)]
    pub(crate) fn io_status(&self) -> *mut IoStatus {
        self.io_status.get()
    }

    /// The final status and the byte count *the driver claims*.
    ///
    /// # Safety
    /// The caller owns the operation, and its result is published or its submission has returned.
    #[inline]
    pub(crate) unsafe fn status(&self) -> (Status, usize) {
        let block = self.io_status.get();
        // SAFETY: the kernel is done with the block (the caller's promise).
        unsafe { (Status::from_u32((*block).status), (*block).information) }
    }

    /// The byte count in the status block.
    ///
    /// # Safety
    /// The caller is the kernel's side of the operation in flight.
    #[inline]
    pub(crate) unsafe fn information(&self) -> usize {
        // SAFETY: the caller's promise: nobody else touches the block.
        unsafe { (*self.io_status.get()).information }
    }

    /// The first `len` bytes of the output, or all of it if that is fewer.
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

    /// The device the operation is for, 0 for none.
    pub(crate) fn device(&self) -> u64 {
        self.device.load(Relaxed)
    }

    /// How long ago it was submitted, to within the system's tick.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_millis(crate::sys::ticks().wrapping_sub(self.started.load(Relaxed)).into())
    }

    /// What the operation is.
    #[inline]
    pub(crate) fn operation(&self) -> Operation {
        unpack(self.what.load(Relaxed))
    }

    /// # Safety
    /// The caller owns the slot.
    #[inline]
    unsafe fn shed(&self) {
        // SAFETY: the caller's promise.
        let (heap, buffers) = unsafe { (&mut *self.heap.get(), &mut *self.buffers.get()) };
        if heap.capacity > KEEP {
            heap.free();
        }
        *buffers = None;
    }
}

const READ: u64 = 2 << 62;
const WRITE: u64 = 3 << 62;
/// As many bytes into a file or disk an operation can be: nobody has one of 4 EiB.
pub(crate) const PLACES: u64 = !WRITE - 1;
/// In place of an offset: none, and fewer bytes than all are an error.
const ALL: u64 = !WRITE;
/// Given as the output length of a write, which has no output: fewer bytes than all are an error.
pub(crate) const WHOLE: u32 = 1;
#[cfg(target_os = "linux")]
const IOCTL: u64 = 4 << 32;
/// Waits for readiness, and makes no system call.
#[cfg(target_os = "linux")]
const READY: u64 = 8 << 32;

/// In one word: a code as it is; a read or write by its highest bits, and one more than its offset.
#[inline]
fn pack(what: Operation) -> u64 {
    let place = |offset: Option<u64>| offset.map_or(0, |at| at.min(PLACES) + 1);
    match what {
        Operation::Read { offset } => READ | place(offset),
        Operation::Write { offset } => WRITE | place(offset),
        Operation::Control(code) => code.to_u32().into(),
        #[cfg(target_os = "linux")]
        Operation::Ioctl { request, when } => IOCTL | when.map_or(0, |w| w as u64) << 32 | u64::from(request),
        #[cfg(target_os = "linux")]
        Operation::Ready { interest } => READY | (interest as u64) << 32,
        // Nothing else is submitted.
        _ => 0,
    }
}

#[inline]
fn unpack(what: u64) -> Operation {
    let offset = (what & !WRITE).checked_sub(1).filter(|at| *at < PLACES);
    match what {
        what if what & WRITE == READ => Operation::Read { offset },
        what if what & WRITE == WRITE => Operation::Write { offset },
        #[cfg(target_os = "linux")]
        what if what & IOCTL != 0 => {
            Operation::Ioctl { request: what as u32, when: Interest::from_number(what >> 32 & 3) }
        }
        #[cfg(target_os = "linux")]
        what if what & READY != 0 => {
            Operation::Ready { interest: Interest::from_number(what >> 32 & 3).unwrap_or(Interest::Readable) }
        }
        code => Operation::Control(CtlCode::from_u32(code as u32)),
    }
}

impl Linked for Slot {
    fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.heap.get_mut().free();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("device", &self.device)
            .field("operation", &self.operation())
            .finish_non_exhaustive()
    }
}

fn number(chunk: usize, place: u32) -> u32 {
    (chunk as u32) << PLACE_BITS | place
}

/// All slots of a port.
#[derive(Debug)]
pub(crate) struct Slab {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    free: Free,
    made: crate::sync::Mutex<Made>,
}

/// Slots that were made.
#[derive(Debug, Default)]
struct Made {
    chunks: usize,
    slots: usize,
    /// Those of them that are never used again.
    retired: usize,
}

/// How many slots there are, and where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    pub(crate) slots: usize,
    pub(crate) free: usize,
    pub(crate) retired: usize,
}

impl Census {
    /// Those in use.
    pub(crate) fn in_flight(self) -> usize {
        // The figures are not of one moment.
        self.slots.saturating_sub(self.free + self.retired)
    }
}

impl Slab {
    pub(crate) fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Free::new(),
            made: crate::sync::Mutex::new(Made::default()),
        }
    }

    /// The slot with this number, if there is one: numbers come back from the kernel and are not trusted.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Slot> {
        let (chunk, place) = (index >> PLACE_BITS, index & ((1 << PLACE_BITS) - 1));
        self.chunks.get(chunk as usize)?.get()?.get(place as usize)
    }

    /// Takes a free slot. `None` when the slab is at its largest: more than 268 million operations in flight.
    #[inline]
    pub(crate) fn take(&self) -> Option<(u32, &Slot)> {
        loop {
            if let Some(taken) = self.free.pop(|index| self.get(index)) {
                return Some(taken);
            }
            if !self.reserve(1) {
                return None;
            }
        }
    }

    /// Sees to it that `count` slots are free.
    pub(crate) fn reserve(&self, count: usize) -> bool {
        let mut made = lock(&self.made);
        while self.free.len(|index| self.get(index)) < count {
            if !self.grow(&mut made) {
                return false;
            }
        }
        true
    }

    fn grow(&self, made: &mut Made) -> bool {
        let Some(cell) = self.chunks.get(made.chunks) else {
            return false;
        };
        let len = FIRST_CHUNK << (made.chunks / EQUAL);
        let slots = cell.get_or_init(|| (0..len).map(|_| Slot::new()).collect());
        let first = number(made.chunks, 0);
        made.chunks += 1;
        made.slots += len;
        // The lowest number last, so that it is taken first and a quiet port stays in one chunk.
        for (at, slot) in slots.iter().enumerate().rev() {
            self.free.push(slot, first + at as u32, |index| self.get(index));
        }
        true
    }

    /// Gives a released slot, which has this number, back.
    #[inline]
    pub(crate) fn give_back(&self, slot: &Slot, index: u32, how: Recycle) {
        // SAFETY: the machine said this thread gives the slot back: until it is in the pool it is ours alone.
        unsafe { slot.shed() };
        match how {
            Recycle::Pool => self.free.push(slot, index, |index| self.get(index)),
            Recycle::Retire => lock(&self.made).retired += 1,
        }
    }

    pub(crate) fn census(&self) -> Census {
        // First: what is free now has been made.
        let free = self.free.len(|index| self.get(index));
        let made = lock(&self.made);
        Census { slots: made.slots, free, retired: made.retired }
    }

    /// Every slot there is, with its number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let made = self.chunks.iter().map_while(OnceLock::get).enumerate();
        made.flat_map(|(chunk, slots)| (0..).zip(slots).map(move |(place, slot)| (number(chunk, place), slot)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const WHAT: Operation = Operation::Control(CtlCode::from_u32(0x222004));

    #[test]
    fn numbers_and_places_agree() {
        let slab = Slab::new();
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
    fn what_one_device_left_is_cleared_for_the_next() {
        let slab = Slab::new();
        for len in [16, 4096] {
            let (index, slot) = slab.take().unwrap();
            // SAFETY: the slot was taken from the pool and never begun; this thread owns it.
            unsafe {
                assert!(slot.prepare(1, WHAT, b"in", len));
                ptr::write_bytes(slot.memory().output, 0xaa, len as usize);
                assert!(slot.prepare(1, WHAT, b"in", len));
                assert!(slot.output(len as usize).iter().all(|b| *b == 0xaa), "for the same device it is left alone");
                assert!(slot.prepare(2, WHAT, b"in", len));
                assert!(slot.output(len as usize).iter().all(|b| *b == 0));
                assert_eq!(slot.status(), (Status::PENDING, 0));
            }
            slab.give_back(slot, index, Recycle::Pool);
        }
    }

    #[test]
    fn the_status_is_preset_for_every_operation() {
        let slab = Slab::new();
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            slot.set_status(Status::SUCCESS, 7);
            assert!(slot.prepare(1, WHAT, b"", 0));
            assert_eq!(slot.status(), (Status::PENDING, 0));
            slot.set_status(Status::SUCCESS, 7);
            slot.prepare_with(1, WHAT, Box::new((Buffer::empty(), Buffer::empty())));
            assert_eq!(slot.status(), (Status::PENDING, 0));
        }
    }

    #[test]
    fn a_buffer_of_no_bytes_has_no_address() {
        let slab = Slab::new();
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            for (input, output) in [(0, 0), (0, 8), (8, 0), (0, 4096), (4096, 0)] {
                assert!(slot.prepare(1, WHAT, &vec![0; input], output));
                let memory = slot.memory();
                assert_eq!((memory.input.is_null(), memory.output.is_null()), (input == 0, output == 0));
            }
            slot.prepare_with(1, WHAT, Box::new((Buffer::empty(), Buffer::empty())));
            let memory = slot.memory();
            assert!(memory.input.is_null() && memory.output.is_null());
        }
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let slab = Slab::new();
        let (_, slot) = slab.take().unwrap();
        // SAFETY: as above.
        unsafe {
            assert!(slot.prepare(1, WHAT, &[1; 5000], 2 * KEEP as u32));
            assert!(slot.memory().output.addr().is_multiple_of(ALIGN));
            slot.shed();
            assert!((*slot.heap.get()).start.is_none());
        }
    }

    #[test]
    fn retired_slots_are_counted_and_not_reused() {
        let slab = Slab::new();
        let (index, slot) = slab.take().unwrap();
        slab.give_back(slot, index, Recycle::Retire);
        let census = slab.census();
        assert_eq!((census.free, census.retired), (FIRST_CHUNK - 1, 1));
        assert!((0..census.free).all(|_| slab.take().unwrap().0 != index));
    }
}
