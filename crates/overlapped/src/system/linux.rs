//! Linux: a clock that is cheap to read, and memory that goes back to the system.

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

/// Nothing to do: only on Windows is a library unloaded under its threads.
pub(crate) fn pin_module() {}

/// Milliseconds of a clock that is cheap to read, to within its tick.
#[inline]
pub(crate) fn ticks() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u64)
}

/// Gives the whole pages in memory that is about to be freed back to the system: the C library's allocator gives nothing
/// back that lies below something that is still used.
///
/// # Safety
/// The memory is the caller's, and nobody reads it before it is written again.
pub(crate) unsafe fn discard(start: *mut u8, len: usize) {
    let page = page_size();
    let skipped = start.align_offset(page);
    let whole = len.saturating_sub(skipped) / page * page;
    if whole > 0 {
        // What does not work costs memory and nothing else.
        // SAFETY: the caller's promise; only whole pages in that memory are meant.
        let _ = unsafe { madvise(start.wrapping_add(skipped).cast(), whole, Advice::LinuxDontNeed) };
    }
}
