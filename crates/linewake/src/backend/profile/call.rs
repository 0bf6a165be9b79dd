//! Sends the control codes of a profile. Only this file and `ioctl.rs` use the unsafe functions of [`overlapped`].

use overlapped::{Call, CtlCode, Device, Ioctl};

/// The code, with a buffer of `output_len` bytes for its answer.
#[expect(unsafe_code, reason = "what a control code reads and writes is a promise; here the profile's author makes it")]
pub(super) fn control(code: CtlCode, output_len: usize) -> Ioctl<[u8], [u8]> {
    // SAFETY: the code is METHOD_BUFFERED or METHOD_OUT_DIRECT (a profile with another one is refused): the system
    // itself keeps the driver to the two buffers, which belong to the operation until it is complete. The author of the
    // profile promises that no number in the input is an address that the driver follows, and the user has accepted
    // that with `allow_writes`. Without it, only the numbers or bits of lines are sent, to a code with read access.
    unsafe { Ioctl::slice(code, output_len) }
}

/// Sends a control code with its input.
pub(super) fn send(device: &Device, code: CtlCode, output_len: usize, input: &[u8]) -> Call<[u8]> {
    device.call(control(code, output_len), input)
}
