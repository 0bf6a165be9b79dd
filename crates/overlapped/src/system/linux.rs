//! Linux: a clock that is cheap to read, and a way to return memory to the system.

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

/// Nothing to do: only on Windows is a library unloaded under its threads.
pub(crate) fn pin_module() {}

/// Milliseconds from a cheap clock, accurate to one tick.
#[inline]
pub(crate) fn ticks() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u64)
}

/// Returns the whole pages of memory that is about to be freed to the system. The C library's allocator does not do
/// that for memory below a block that is still in use.
///
/// # Safety
/// The memory is the caller's, and nobody reads it before it is written again.
pub(crate) unsafe fn discard(start: *mut u8, len: usize) {
    let page = page_size();
    let skipped = start.align_offset(page);
    let whole = len.saturating_sub(skipped) / page * page;
    if whole > 0 {
        // If this fails, the process only uses more memory.
        // SAFETY: the caller's promise; the range holds only whole pages of that memory.
        let _ = unsafe { madvise(start.wrapping_add(skipped).cast(), whole, Advice::LinuxDontNeed) };
    }
}
