//! Windows: the last error, a clock that is cheap to read, and pinning our module in memory.

use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use crate::ErrorCode;

/// The calling thread's last error. Read it at once, and only after a call has failed.
pub(crate) fn last_error() -> ErrorCode {
    ErrorCode::Win32(last_error_code())
}

/// [`last_error`], as a number.
pub(crate) fn last_error_code() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetLastError() }
}

/// Keeps the module with this code loaded for ever: the dispatcher thread runs it and is never joined.
pub(crate) fn pin_module() {
    let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    let mut module = std::ptr::null_mut();
    // SAFETY: with FROM_ADDRESS the "name" is any address in the module; the out-parameter is valid for the call.
    let pinned = unsafe { GetModuleHandleExW(flags, (pin_module as *const ()).cast(), &mut module) };
    // This cannot fail for our own address.
    debug_assert_ne!(pinned, 0);
}

/// Milliseconds from a cheap clock, accurate to one tick.
#[inline]
pub(crate) fn ticks() -> u64 {
    // SAFETY: no preconditions.
    unsafe { windows_sys::Win32::System::SystemInformation::GetTickCount64() }
}

/// Does nothing: the system's heap returns large blocks when they are freed.
///
/// # Safety
/// None is needed here.
pub(crate) unsafe fn discard(_start: *mut u8, _len: usize) {}
