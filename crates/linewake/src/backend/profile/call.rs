//! Sends the control codes of a profile. Only this file and `ioctl.rs` use the unsafe functions of [`overlapped`].

use overlapped::{Call, CtlCode, Device, Ioctl};

/// The code, with a buffer of `output_len` bytes for its answer.
#[expect(unsafe_code, reason = "what a control code reads and writes is a promise; here the profile's author makes it")]
pub(super) fn control(code: CtlCode, output_len: usize) -> Ioctl<[u8], [u8]> {
    // SAFETY: the code is METHOD_BUFFERED or METHOD_OUT_DIRECT (others are refused where the profile is read): the
    // system itself holds the driver to the two buffers, which belong to the operation until it is complete. That no
    // number in the input is an address which the driver follows is the promise of the profile's author, which the user
    // has accepted with `allow_writes`; without that, nothing is sent but the numbers or bits of lines, to a code that
    // needs no more than read access.
    unsafe { Ioctl::slice(code, output_len) }
}

/// Sends a control code with its input.
pub(super) fn send(device: &Device, code: CtlCode, output_len: usize, input: &[u8]) -> Call<[u8]> {
    device.call(control(code, output_len), input)
}
