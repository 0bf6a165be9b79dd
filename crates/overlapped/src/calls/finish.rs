//! Turns a finished operation into a reply or an error.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::reply::sealed::Done;
use crate::port::{self, Slot};
use crate::words::token::InFlight;
use crate::{Error, ErrorCode, ErrorKind, Operation, Output, Reply, Status};

/// The error for a status. If nobody asked for a cancellation, the driver cancelled by itself: that is an abort.
pub(crate) fn failure(slot: &Slot, operation: InFlight, what: Operation, status: Status, name: &Arc<str>) -> Error {
    let error = Error::from_code(ErrorCode::Status(status), what).on(name);
    if error.kind() == ErrorKind::Cancelled && slot.cancelled.load(Relaxed) != operation.generation() {
        return error.aborted();
    }
    error
}

/// Turns a finished operation that the caller owns into its reply. Releases its slot, or keeps the slot in the reply.
#[inline]
pub(crate) fn finish<Out: Output + ?Sized>(
    port: &Arc<port::Inner>,
    slot: &Slot,
    name: &Arc<str>,
    operation: InFlight,
    (status, information): (Status, usize),
) -> Result<Reply<Out>, Error> {
    let mut information = information;
    if status != Status::SUCCESS || slot.is_whole_write() {
        // This comes before the release: after it the slot may belong to another operation.
        match objection(slot, name, operation, status, information) {
            Some(error) => {
                port.release_slot(slot, operation);
                return Err(error);
            }
            None if status == Status::END_OF_FILE => information = 0,
            None => {}
        }
    }
    let what = slot.operation();
    match Out::take(Done { port, slot, operation, information: len_of(what, information) }) {
        Ok(held) => Ok(Reply::new(held, status, information)),
        Err(bytes) => Err(truncated(what, name, &bytes)),
    }
}

/// The error of a finished operation that the caller owns, or `None` for a success.
#[inline(never)]
fn objection(slot: &Slot, name: &Arc<str>, operation: InFlight, status: Status, information: usize) -> Option<Error> {
    let what = slot.operation();
    let fail = || failure(slot, operation, what, status, name);
    if status.is_error() {
        let end_of_file = status == Status::END_OF_FILE && matches!(what, Operation::Read { .. });
        return (!end_of_file).then(fail);
    }
    if status.is_warning() && status != Status::BUFFER_OVERFLOW {
        // SAFETY: the operation is finished, the caller owns it, and it is released after this.
        return Some(fail().keeping(unsafe { slot.output(information) }));
    }
    if slot.is_whole_write() {
        // SAFETY: the operation is finished, and the caller owns it.
        let given = unsafe { slot.memory() }.input_len;
        if information < given as usize {
            let error = Error::new(ErrorKind::Truncated, what).on(name);
            return Some(error.hint(format!("{information} of {given} bytes were written")));
        }
    }
    None
}

/// How many bytes of the output are valid, from the byte count.
#[inline]
pub(crate) fn len_of(what: Operation, information: usize) -> usize {
    match what {
        // The argument comes back whole; the byte count is the return value of `ioctl(2)`.
        #[cfg(target_os = "linux")]
        Operation::Ioctl { .. } => usize::MAX,
        _ => information,
    }
}

pub(crate) fn truncated(what: Operation, name: &Arc<str>, bytes: &[u8]) -> Error {
    Error::new(ErrorKind::Truncated, what)
        .on(name)
        .hint("the driver wrote a part of a record: compare the output's type with the driver's header")
        .keeping(bytes)
}
