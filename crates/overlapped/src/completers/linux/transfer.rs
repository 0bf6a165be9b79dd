//! One operation on a file: its system call, and the meaning of the outcome.

use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr;

use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{IoctlOutput, Opcode};

use super::kind::{Kind, is_hung_up, is_readable};
use crate::operation::Ended;
use crate::operation::slab::Memory;
use crate::operation::unread::StreamKind;
use crate::port::Queue;
use crate::words::token::InFlight;
use crate::{Operation, Status};

/// The outcome of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    Over(Ended),
    /// A part is written; there may be room for more.
    Partly,
    /// It would block.
    Blocked,
}

impl Ran {
    pub(super) fn over(self) -> Option<Ended> {
        if let Self::Over(ended) = self { Some(ended) } else { None }
    }
}

/// The kernel's side of one operation in flight.
pub(super) struct Transfer {
    pub(super) operation: InFlight,
    memory: Memory,
    what: Operation,
    /// How many bytes of a write are written so far.
    written: usize,
}

// SAFETY: the addresses point into the slot's memory. Until the operation's packet, that memory belongs to this value
// alone, on whatever thread it is.
unsafe impl Send for Transfer {}

impl Transfer {
    /// # Safety
    /// The operation has begun, the memory is its slot's, and the slot outlives the value.
    pub(super) unsafe fn new(operation: InFlight, memory: Memory, what: Operation) -> Self {
        Self { operation, memory, what, written: 0 }
    }

    /// Makes the system call.
    pub(super) fn run(&mut self, fd: BorrowedFd<'_>, kind: Kind) -> Ran {
        let mut ended = match self.what {
            // Only once: only its driver knows what an interrupted ioctl has done already.
            Operation::Ioctl { .. } => self.system_call(fd),
            _ => retry_on_intr(|| self.system_call(fd)),
        };
        if ended == Ok(0) && matches!(self.what, Operation::Read { .. }) && self.memory.output_len > 0 {
            match kind.nothing(fd) {
                Some(nothing) => return Ran::Over(nothing),
                // Data came just now: read once more. If that returns no bytes, it is the result.
                None if kind == Kind::Terminal && is_readable(fd) => ended = retry_on_intr(|| self.system_call(fd)),
                None => return Ran::Blocked,
            }
        }
        match ended {
            Ok(count) if matches!(self.what, Operation::Write { .. }) => {
                self.written += count;
                // A write to a stream of bytes writes all of them. Elsewhere each system call is a message of its own.
                let is_part = count > 0 && self.written < self.memory.input_len as usize;
                if is_part && kind.stream() == StreamKind::Bytes {
                    Ran::Partly
                } else {
                    Ran::Over((Status::SUCCESS, self.written))
                }
            }
            Ok(count) => Ran::Over((Status::SUCCESS, count)),
            Err(Errno::AGAIN) => Ran::Blocked,
            Err(Errno::IO) if is_hung_up(fd) => Ran::Over((Status::gone(Errno::IO.raw_os_error()), 0)),
            Err(errno) => Ran::Over((Status::from_errno(errno.raw_os_error()), 0)),
        }
    }

    /// The result if it is cancelled. If bytes were written, it is a success.
    pub(super) fn cancelled(&self) -> Ended {
        if self.written > 0 { (Status::SUCCESS, self.written) } else { (Status::CANCELLED, 0) }
    }

    pub(super) fn cancel(self, queue: &Queue) {
        let ended = self.cancelled();
        self.complete(queue, ended);
    }

    /// Whether it is a read or a write.
    pub(super) fn is_transfer(&self) -> bool {
        !matches!(self.what, Operation::Ioctl { .. })
    }

    fn system_call(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        // SAFETY: see `Transfer`: this is the kernel's side, and the only user of its two buffers.
        let (input, output) = unsafe { (self.memory.input(), self.memory.output()) };
        match self.what {
            Operation::Read { offset: None } => rustix::io::read(fd, output),
            Operation::Read { offset: Some(offset) } => rustix::io::pread(fd, output, offset),
            Operation::Write { offset: None } => rustix::io::write(fd, &input[self.written..]),
            Operation::Write { offset: Some(offset) } => rustix::io::pwrite(fd, input, offset),
            Operation::Ioctl { request, .. } => {
                // The ioctl works in place, so each try starts from the input again.
                output.copy_from_slice(input);
                // Without an argument there is no address.
                let argument = if output.is_empty() { ptr::null_mut() } else { output.as_mut_ptr().cast() };
                // SAFETY: the code that declared the ioctl promised that the driver stays within its argument, which is
                // this long.
                unsafe { ioctl(fd, request, argument) }.map(|value| value as usize)
            }
            _ => Err(Errno::NOTTY),
        }
    }

    /// Ends a pending operation: posts its packet.
    pub(super) fn complete(self, queue: &Queue, ended: Ended) {
        queue.post(self.ended(ended));
    }

    /// Writes the result, and returns the token, which the caller must deliver.
    pub(super) fn ended(self, (status, information): Ended) -> u64 {
        // SAFETY: see `Transfer`: this is the kernel's side of the operation in flight.
        unsafe { self.memory.set_status(status, information) };
        self.operation.token()
    }
}

/// Returns the value of the system call.
///
/// # Safety
/// The driver may use the argument's address as it does.
pub(crate) unsafe fn ioctl(fd: BorrowedFd<'_>, request: u32, argument: *mut c_void) -> Result<u32, Errno> {
    struct InPlace(Opcode, *mut c_void);
    // SAFETY: the caller's promise; the output is not read from the address.
    unsafe impl rustix::ioctl::Ioctl for InPlace {
        type Output = u32;
        const IS_MUTATING: bool = true;
        fn opcode(&self) -> Opcode {
            self.0
        }
        fn as_ptr(&mut self) -> *mut c_void {
            self.1
        }
        unsafe fn output_from_ptr(value: IoctlOutput, _: *mut c_void) -> Result<u32, Errno> {
            // Errors, which are negative, do not get here.
            Ok(value as u32)
        }
    }
    // SAFETY: the caller's promise.
    unsafe { rustix::ioctl::ioctl(fd, InPlace(request as Opcode, argument)) }
}
