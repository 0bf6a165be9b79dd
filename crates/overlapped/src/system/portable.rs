//! Other systems, and Miri: a clock, and empty functions.

use std::time::Instant;

/// Nothing to do: only on Windows is a library unloaded under its threads.
pub(crate) fn pin_module() {}

/// Milliseconds from a cheap clock, accurate to one tick.
pub(crate) fn ticks() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Does nothing: the allocator returns unused pages to the system.
///
/// # Safety
/// None is needed here.
pub(crate) unsafe fn discard(_start: *mut u8, _len: usize) {}
