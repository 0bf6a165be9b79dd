//! Ioctls that a signal interrupted. `overlapped` does not repeat them, since only its caller knows whether that is
//! safe.

use overlapped::{Error, ErrorCode};
use rustix::io::Errno;

/// Repeats an ioctl until no signal interrupts it. Making the ioctl twice must do no harm: it only reads, or sets the
/// same value again.
pub(crate) fn uninterrupted<T>(mut ioctl: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match ioctl() {
            Err(error) if error.code() == Some(ErrorCode::Errno(Errno::INTR.raw_os_error())) => {}
            result => return result,
        }
    }
}
