//! The interface that each compared way to make overlapped calls implements.

use std::os::windows::io::OwnedHandle;

use windows_sys::Win32::Foundation::GetLastError;

/// The room for the output of the calls here, in bytes.
pub(super) const ROOM: usize = 64;
pub(super) type Bytes = [u8; ROOM];

/// A way to make overlapped calls on one handle.
pub(super) trait Io: 'static {
    /// A call in flight.
    type Call;

    /// Made for a handle that was opened for overlapped I/O.
    fn on(handle: OwnedHandle) -> Self;

    /// Submits a control code, with room for [`ROOM`] bytes of output, or for none.
    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Self::Call;

    fn cancel(&mut self, call: &Self::Call);

    /// Waits until the call is over. `None`: it was cancelled.
    ///
    /// # Panics
    /// When it failed in another way.
    fn finish(&mut self, call: Self::Call) -> Option<Bytes>;
}

pub(super) fn error() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetLastError() }
}
