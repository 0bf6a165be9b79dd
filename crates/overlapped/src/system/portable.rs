//! Elsewhere, and under Miri: a clock, and nothing else to do.

use std::time::Instant;

/// Nothing to do: only on Windows is a library unloaded under its threads.
pub(crate) fn pin_module() {}

/// Milliseconds of a clock that is cheap to read, to within its tick.
pub(crate) fn ticks() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

/// Nothing: the allocator sees to it that pages that nobody uses go back to the system.
///
/// # Safety
/// None is needed here.
pub(crate) unsafe fn discard(_start: *mut u8, _len: usize) {}
