//! One operation on a file: its system call, and what the outcome means.

use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{IoctlOutput, Opcode};

use super::queue::Queue;
use crate::port::InFlight;
use crate::slab::Memory;
use crate::{Operation, Status};

/// How an operation ended, and its byte count.
pub(super) type Ended = (Status, usize);

/// The kernel's side of one operation in flight.
pub(super) struct Transfer {
    pub(super) operation: InFlight,
    pub(super) memory: Memory,
    what: Operation,
}

// SAFETY: the addresses are of the slot's memory, which until the operation's packet belongs to this value and to no
// thread.
unsafe impl Send for Transfer {}

impl Transfer {
    /// # Safety
    /// The operation has begun, the memory is its slot's, and the slot outlives the value.
    pub(super) unsafe fn new(operation: InFlight, memory: Memory, what: Operation) -> Self {
        Self { operation, memory, what }
    }

    /// Makes the system call. `None`: it would block.
    pub(super) fn run(&self, fd: BorrowedFd<'_>) -> Option<Ended> {
        // A hung-up terminal reads as empty, and its other end fails with EIO: ask, in these rare cases.
        let ended = match self.what {
            // What an interrupted ioctl has done already is its driver's secret.
            Operation::Ioctl { .. } => self.system_call(fd),
            _ => retry_on_intr(|| self.system_call(fd)),
        };
        match ended {
            Ok(0) if matches!(self.what, Operation::Read { .. }) => Some(match is_terminal_gone(fd) {
                false => (Status::END_OF_FILE, 0),
                true => (Status::gone(Errno::NODEV.raw_os_error()), 0),
            }),
            Ok(count) => Some((Status::SUCCESS, count)),
            Err(Errno::AGAIN) => None,
            Err(Errno::IO) if is_hung_up(fd) => Some((Status::gone(Errno::IO.raw_os_error()), 0)),
            Err(errno) => Some((Status::from_errno(errno.raw_os_error()), 0)),
        }
    }

    fn system_call(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        // SAFETY: see `Transfer`: this is the kernel's side, alone with its two buffers.
        let (input, output) = unsafe { (self.memory.input(), self.memory.output()) };
        match self.what {
            Operation::Read { offset: None } => rustix::io::read(fd, output),
            Operation::Read { offset: Some(offset) } => rustix::io::pread(fd, output, offset),
            Operation::Write { offset: None } => rustix::io::write(fd, input),
            Operation::Write { offset: Some(offset) } => rustix::io::pwrite(fd, input, offset),
            Operation::Ioctl { request, .. } => {
                // In place, and each time from the start.
                output.copy_from_slice(input);
                // Without an argument there is no address either.
                let argument = if output.is_empty() { ptr::null_mut() } else { output.as_mut_ptr().cast() };
                // SAFETY: who declared the ioctl promised that the driver keeps to its argument, which is this long.
                unsafe { ioctl(fd, request, argument) }.map(|value| value as usize)
            }
            _ => Err(Errno::NOTTY),
        }
    }

    /// Ends an operation that was pending: its packet is posted.
    pub(super) fn complete(self, queue: &Queue, (status, information): Ended) {
        // SAFETY: see `Transfer`: this is the kernel's side of the operation in flight.
        unsafe { self.memory.set_status(status, information) };
        queue.post(self.operation.token());
    }
}

/// Returns what the system call returns.
///
/// # Safety
/// What the driver does with the argument's address is fine.
pub(super) unsafe fn ioctl(fd: BorrowedFd<'_>, request: u32, argument: *mut c_void) -> Result<u32, Errno> {
    struct InPlace(Opcode, *mut c_void);
    // SAFETY: the caller's promise; the output is taken from no address.
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
            // An error, which is negative, does not come here.
            Ok(value as u32)
        }
    }
    // SAFETY: the caller's promise.
    unsafe { rustix::ioctl::ioctl(fd, InPlace(request as Opcode, argument)) }
}

/// Whether the file was hung up: its device, or the other end, is gone.
pub(super) fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(&fd, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&now)).is_ok_and(|_| polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

/// Whether a read that gives nothing means that the device is gone. Of a pipe or a socket it is the end of the file.
fn is_terminal_gone(fd: BorrowedFd<'_>) -> bool {
    let is_device = |stat: rustix::fs::Stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device();
    rustix::fs::fstat(fd).is_ok_and(is_device) && is_hung_up(fd)
}
