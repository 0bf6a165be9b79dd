//! Buffers for data that does not fit in a slot: lent to operations, and kept for later ones within limits.
//!
//! The size of a buffer is a power of two. A buffer remembers its last device, and is cleared before another device
//! gets it. The lock is held only to put a buffer on a shelf or to take one; memory is allocated and freed without it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};

use crate::system::sync::{Mutex, lock};
use crate::words::buffer::{ALIGN, slack};

/// A slot keeps a buffer of at most this many bytes; a larger one goes back when the operation is over.
pub(super) const KEEP: usize = 1024;
/// The smallest buffer.
const SMALLEST: usize = 128;
/// From the smallest buffer to one for an input and an output of 32-bit lengths.
const SHELVES: usize = 28;
/// This many idle bytes are always allowed.
const ALWAYS: usize = 4 << 20;
/// From this size on, the pages of a buffer are returned to the system explicitly; the allocator alone might keep them.
const LARGE: usize = 16 << 10;
/// How many buffers of a shelf are tried to find one that need not be cleared.
const LOOKS: usize = 8;

/// The alignment of a buffer of this length. From 512 bytes on it is the length, rounded down to a power of two, at
/// most
/// 4096. So unbuffered reads and writes (O_DIRECT, FILE_FLAG_NO_BUFFERING), whose lengths are multiples of the sector
/// size, begin at a multiple of it.
#[inline]
pub(super) const fn alignment(len: usize) -> usize {
    if len < 512 {
        ALIGN
    } else if len < 4096 {
        1 << len.ilog2()
    } else {
        4096
    }
}

/// A buffer outside the slot. Its size is a power of two, and every byte is initialised.
#[derive(Debug)]
pub(super) struct Heap {
    /// The first aligned address in the allocated memory.
    start: NonNull<u8>,
    /// The distance of `start` from the beginning of that memory, in bytes.
    offset: u32,
    /// The capacity is two to this power.
    exponent: u32,
}

// SAFETY: the memory belongs to the value alone, wherever it goes.
unsafe impl Send for Heap {}

impl Heap {
    /// Large buffers get room here to be aligned by us. An allocator that is asked for an alignment clears the memory
    /// itself, even fresh pages, which are zero already. That takes long, and the submitting thread may be the
    /// dispatcher.
    fn layout(capacity: usize) -> Option<Layout> {
        let (len, align) = (capacity.checked_add(slack(capacity))?, alignment(capacity));
        let (len, align) = if capacity < LARGE { (len, align) } else { (len.checked_add(align)?, ALIGN) };
        Layout::from_size_align(len, align).ok()
    }

    fn new(capacity: usize) -> Option<Self> {
        let layout = Self::layout(capacity)?;
        // SAFETY: the layout's size is not zero: there is slack.
        let given = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let offset = given.align_offset(alignment(capacity));
        // SAFETY: the layout has room for the offset, or is aligned already and the offset is 0.
        let start = unsafe { given.add(offset) };
        Some(Self { start, offset: offset as u32, exponent: capacity.ilog2() })
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn capacity(&self) -> usize {
        1 << self.exponent
    }

    /// Zeroes it.
    pub(super) fn clear(&mut self) {
        // SAFETY: `new` made it this long, and nobody else has it.
        unsafe { ptr::write_bytes(self.start.as_ptr(), 0, self.capacity()) };
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.capacity()) {
            // SAFETY: `new` moved forward by this many bytes.
            let given = unsafe { self.start.as_ptr().sub(self.offset as usize) };
            if self.capacity() >= LARGE {
                // SAFETY: nobody reads the memory any more.
                unsafe { crate::system::discard(given, layout.size()) };
            }
            // SAFETY: `new` allocated it with this layout, and it is freed only here.
            unsafe { dealloc(given, layout) };
        }
    }
}

/// The buffers of one length.
#[derive(Debug, Default)]
struct Shelf {
    /// Each with its last device. The one that was used last is at the end.
    buffers: VecDeque<(Heap, u64)>,
    /// The value of [`Shelves::uses`] when a buffer was last taken or put.
    used: u64,
}

#[derive(Debug, Default)]
struct Shelves {
    shelves: [Shelf; SHELVES],
    uses: u64,
    /// Bytes on the shelves.
    idle: usize,
    /// Bytes in use, without the buffers that slots keep.
    lent: usize,
    /// The length of the largest recent buffer. It decreases slowly.
    largest: usize,
}

/// The idle buffers of a port.
///
/// The limit is 4 MiB, or as many bytes as are in use, or twice the largest recent buffer, whichever is most. So a
/// steady stream of large reads allocates nothing, and the memory of a burst goes back to the system when the burst is
/// over.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Shelves>);

fn shelf(capacity: usize) -> usize {
    (capacity / SMALLEST).ilog2() as usize
}

impl Shelves {
    fn take(&mut self, capacity: usize, device: u64) -> Option<(Heap, u64)> {
        self.uses += 1;
        let shelf = self.shelves.get_mut(shelf(capacity))?;
        shelf.used = self.uses;
        let last = shelf.buffers.len();
        let looked_at = last.saturating_sub(LOOKS)..last;
        let own = looked_at.rev().find(|at| shelf.buffers.get(*at).is_some_and(|(_, of)| *of == device));
        let taken = shelf.buffers.remove(own.unwrap_or(last.checked_sub(1)?))?;
        self.idle -= capacity;
        Some(taken)
    }

    fn put(&mut self, heap: Heap, device: u64) {
        let capacity = heap.capacity();
        self.largest = capacity.max(self.largest - self.largest / 16);
        self.uses += 1;
        if let Some(shelf) = self.shelves.get_mut(shelf(capacity)) {
            shelf.used = self.uses;
            shelf.buffers.push_back((heap, device));
            self.idle += capacity;
        }
    }

    /// One buffer above the limit, of the length that was unused for the longest time.
    fn surplus(&mut self) -> Option<(Heap, u64)> {
        if self.idle <= ALWAYS.max(self.lent).max(self.largest.saturating_mul(2)) {
            return None;
        }
        let filled = self.shelves.iter_mut().filter(|shelf| !shelf.buffers.is_empty());
        let surplus = filled.min_by_key(|shelf| shelf.used)?.buffers.pop_front()?;
        self.idle -= surplus.0.capacity();
        Some(surplus)
    }
}

impl Idle {
    /// A buffer of at least `len` bytes, which hold zeros or bytes of this same device. `None` when there is no memory
    /// for it.
    pub(super) fn take(&self, len: usize, device: u64) -> Option<Heap> {
        let capacity = len.checked_next_power_of_two()?.max(SMALLEST);
        let kept = {
            let mut shelves = lock(&self.0);
            shelves.lent += lent(capacity);
            shelves.take(capacity, device)
        };
        match kept {
            Some((mut heap, of)) => {
                if of != device {
                    heap.clear();
                }
                Some(heap)
            }
            None => Heap::new(capacity).or_else(|| {
                lock(&self.0).lent -= lent(capacity);
                None
            }),
        }
    }

    /// Takes back a buffer that was lent to this device.
    pub(super) fn put(&self, heap: Heap, device: u64) {
        let mut surplus = {
            let mut shelves = lock(&self.0);
            shelves.lent -= lent(heap.capacity());
            shelves.put(heap, device);
            shelves.surplus()
        };
        while let Some(freed) = surplus {
            drop(freed);
            surplus = lock(&self.0).surplus();
        }
    }

    /// How many bytes are idle.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.0).idle
    }

    /// The device is closed: returns its idle buffers to the system.
    pub(crate) fn forget(&self, device: u64) {
        let mut freed = Vec::new();
        let mut shelves = lock(&self.0);
        for shelf in &mut shelves.shelves {
            let all = std::mem::take(&mut shelf.buffers).into_iter();
            let (own, others): (Vec<_>, Vec<_>) = all.partition(|(_, of)| *of == device);
            shelf.buffers = others.into();
            freed.extend(own);
        }
        shelves.idle -= freed.iter().map(|(heap, _)| heap.capacity()).sum::<usize>();
        drop(shelves);
        drop(freed);
    }
}

/// How many of a buffer's bytes count as lent: none if a slot keeps the buffer.
fn lent(capacity: usize) -> usize {
    if capacity > KEEP { capacity } else { 0 }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn idle(buffers: &Idle) -> usize {
        let shelves = lock(&buffers.0);
        let sum = shelves.shelves.iter().flat_map(|shelf| &shelf.buffers).map(|(heap, _)| heap.capacity()).sum();
        assert_eq!(shelves.idle, sum);
        sum
    }

    fn burst(buffers: &Idle, count: usize, len: usize) {
        let lent: Vec<_> = (0..count).map(|_| buffers.take(len, 1).unwrap()).collect();
        lent.into_iter().for_each(|heap| buffers.put(heap, 1));
    }

    #[test]
    fn after_a_burst_its_memory_goes_back() {
        let buffers = Idle::default();
        burst(&buffers, 400, 64 << 10);
        assert_eq!(idle(&buffers), ALWAYS);
        burst(&buffers, 5, 16 << 20);
        assert_eq!(idle(&buffers), 32 << 20, "two of the largest");
        // The largest buffer is soon forgotten.
        burst(&buffers, 100, 2048);
        assert!(idle(&buffers) <= ALWAYS, "{}", idle(&buffers));
        assert_eq!(lock(&buffers.0).lent, 0);
    }

    #[test]
    fn as_many_bytes_may_be_idle_as_are_lent() {
        let buffers = Idle::default();
        let mut window: Vec<_> = (0..16).map(|_| buffers.take(1 << 20, 1).unwrap()).collect();
        for heap in window.drain(..8) {
            buffers.put(heap, 1);
        }
        assert_eq!(idle(&buffers), 8 << 20);
        window.into_iter().for_each(|heap| buffers.put(heap, 1));
        assert_eq!(idle(&buffers), ALWAYS);
    }

    #[test]
    fn the_length_that_was_unused_longest_goes_first() {
        let buffers = Idle::default();
        burst(&buffers, 100, 64 << 10);
        burst(&buffers, 4, 1 << 20);
        let large = buffers.take(1 << 20, 1).unwrap();
        assert_eq!(lock(&buffers.0).shelves[shelf(1 << 20)].buffers.len(), 3);
        buffers.put(large, 1);
        assert!(idle(&buffers) <= ALWAYS);
    }

    #[test]
    fn a_buffer_remembers_its_device() {
        let buffers = Idle::default();
        let first = buffers.take(4096, 1).unwrap();
        let at = first.start();
        // SAFETY: the buffer is this long and nobody else has it.
        unsafe { ptr::write_bytes(at, 0xaa, 4096) };
        buffers.put(first, 1);
        let again = buffers.take(4096, 1).unwrap();
        assert_eq!(again.start(), at);
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(at, 4096) };
        assert!(bytes.iter().all(|byte| *byte == 0xaa), "the bytes of the same device stay");
        buffers.put(again, 1);
        let other = buffers.take(4096, 2).unwrap();
        assert_eq!(other.start(), at);
        // SAFETY: as above.
        assert!(unsafe { std::slice::from_raw_parts(at, 4096) }.iter().all(|b| *b == 0));
        buffers.put(other, 2);
    }

    #[test]
    fn a_closed_device_takes_its_idle_buffers_along() {
        let buffers = Idle::default();
        let both = [1, 2].map(|device| (buffers.take(4096, device).unwrap(), device));
        both.into_iter().for_each(|(heap, device)| buffers.put(heap, device));
        buffers.forget(1);
        assert_eq!(idle(&buffers), 4096);
        buffers.forget(2);
        assert_eq!(idle(&buffers), 0);
    }

    /// This test plays the system, which copies as many bytes as a driver claims.
    #[test]
    fn an_overrun_of_a_large_output_hits_nothing() {
        let buffers = Idle::default();
        for len in [128, 1024, 4096, 1 << 17] {
            let heap = buffers.take(len, 1).unwrap();
            // SAFETY: the buffer is this long, and so is the slack behind it; nobody else has them.
            unsafe { ptr::write_bytes(heap.start(), 0xee, len + slack(len)) };
            assert!((1024..=4096).contains(&slack(len)));
            buffers.put(heap, 1);
            let own = crate::Buffer::aligned(len, 16).unwrap();
            // SAFETY: as above.
            unsafe { ptr::write_bytes(own.raw().0, 0xee, len + slack(len)) };
        }
    }

    #[test]
    fn buffers_are_aligned_to_their_length() {
        let buffers = Idle::default();
        for (len, align) in
            [(65, 16), (512, 512), (600, 512), (1536, 1024), (4096, 4096), (5000, 4096), (1 << 20, 4096)]
        {
            let heap = buffers.take(len, 1).unwrap();
            assert_eq!(alignment(len), align);
            assert!(heap.start().addr().is_multiple_of(align), "{len}");
            assert!(heap.capacity() >= len);
            buffers.put(heap, 1);
        }
    }
}
