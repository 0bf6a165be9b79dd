//! Ioctls that a signal interrupted. `overlapped` makes none twice, since only who knows the ioctl knows whether it may be.

use overlapped::{Error, ErrorCode};
use rustix::io::Errno;

/// Makes an ioctl that may be made twice until no signal interrupts it: one that asks, or sets what is set already.
pub(crate) fn uninterrupted<T>(mut ioctl: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match ioctl() {
            Err(error) if error.code() == Some(ErrorCode::Errno(Errno::INTR.raw_os_error())) => {}
            result => return result,
        }
    }
}
