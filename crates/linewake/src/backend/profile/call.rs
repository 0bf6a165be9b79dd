//! The control codes of a profile, sent. The one file here that promises something to [`overlapped`].

use overlapped::{Call, Device, Ioctl};

use crate::profile;

/// The code, with room for what it gives.
#[expect(unsafe_code, reason = "what a control code reads and writes is a promise; here the profile's author makes it")]
pub(super) fn ioctl(call: &profile::Call) -> Ioctl<[u8], [u8]> {
    let code = match call.what {
        profile::What::Control(code) => code,
        profile::What::Ioctl(_) | profile::What::Write => unreachable!("not yet"),
    };
    // SAFETY: the code is METHOD_BUFFERED or METHOD_OUT_DIRECT (others are refused where the profile is read): the system
    // itself holds the driver to the two buffers, which belong to the operation until it is complete. That no number in the
    // input is an address which the driver follows is the promise of the profile's author, which the user has accepted
    // with `allow_writes`; without that, nothing is sent but the numbers or bits of lines, to a code that needs no more
    // than read access.
    unsafe { Ioctl::slice(code, call.output.length) }
}

/// Sends it.
pub(super) fn send(device: &Device, call: &profile::Call, input: &[u8]) -> Call<[u8]> {
    device.call(ioctl(call), input)
}
