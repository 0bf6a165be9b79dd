//! Ioctls that a signal interrupted. `overlapped` makes none twice, since only its caller knows whether that is safe.

use overlapped::{Error, ErrorCode};
use rustix::io::Errno;

/// Repeats an ioctl until no signal interrupts it. It must be one that may be made twice: that reads, or that sets the
/// same again.
pub(crate) fn uninterrupted<T>(mut ioctl: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match ioctl() {
            Err(error) if error.code() == Some(ErrorCode::Errno(Errno::INTR.raw_os_error())) => {}
            result => return result,
        }
    }
}
