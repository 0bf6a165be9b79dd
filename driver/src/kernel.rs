//! The kernel's services: a spin lock, a clock, and a stop for panics.

use core::cell::UnsafeCell;

use windows_sys::Wdk::System::SystemServices::{KeBugCheckEx, KeQueryPerformanceCounter};

// windows-sys 0.61 lacks these (wdm.h; KeAcquireSpinLock is a macro for the first).
#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8;
    fn KeReleaseSpinLock(lock: *mut usize, old_irql: u8);
}

// The compiler's code calls these, and the kernel exports them. Without this they would be imported from msvcrt.dll,
// which does not exist in the kernel.
#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
#[allow(dead_code, reason = "called by generated code only")]
unsafe extern "C" {
    fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8;
    fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32;
}

/// A value behind a spin lock. While the lock is held, the processor runs at DISPATCH_LEVEL: no page faults, waits or
/// completions.
pub(crate) struct SpinLock<T> {
    /// A KSPIN_LOCK; KeInitializeSpinLock sets it to zero.
    lock: UnsafeCell<usize>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives one thread at a time access to the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    pub(crate) const fn new(value: T) -> SpinLock<T> {
        SpinLock { lock: UnsafeCell::new(0), value: UnsafeCell::new(value) }
    }

    /// Runs `body` with the value, at DISPATCH_LEVEL. Not recursive.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock word lives as long as self, and only these two functions use it.
        let old_irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: this thread holds the lock, so this is the only reference.
        let result = body(unsafe { &mut *self.value.get() });
        // SAFETY: acquired above; it returns to the IRQL from before.
        unsafe { KeReleaseSpinLock(self.lock.get(), old_irql) };
        result
    }
}

/// Nanoseconds since some point in the past; never goes back.
pub(crate) fn now_ns() -> u64 {
    let mut frequency = 0;
    // SAFETY: the argument is a local; the call has no other condition.
    let ticks = unsafe { KeQueryPerformanceCounter(&mut frequency) } as u64;
    let frequency = (frequency as u64).max(1);
    // In two parts, so that nothing overflows.
    (ticks / frequency) * 1_000_000_000 + (ticks % frequency) * 1_000_000_000 / frequency
}

/// The kernel cannot unwind. A panic is a bug of this driver, and stops the machine with MANUALLY_INITIATED_CRASH.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        // SAFETY: it may be called at any IRQL; on a real kernel it does not return.
        unsafe { KeBugCheckEx(0xE2, 0, 0, 0, 0) };
    }
}
