//! Linux: files, the epoll set they wait in, and the system calls that read and write them.
//!
//! The system has no completions, only readiness, so the kernel's side of a pending operation is played here:
//!
//! ```text
//!   submit ──► the system call, at once ──► it would block ──► wait in the file's queue, the file in the epoll set
//!                       │                                                        │ ready
//!                       ▼                                                        ▼
//!              final at return                    the dispatcher makes the system call, writes status and bytes
//!                                                 into the slot, and hands out the packet
//! ```
//!
//! - [`queue`] is the port's queue: posted packets, the epoll set, and the bell that rings in it.
//! - [`outside`] is what somebody else's loop watches of it.
//! - [`source`] is a file and what waits for it; [`transfer`] is one operation and its system call.
//! - [`kind`] says what sort of file it is, and what it means when it gives nothing.
//! - [`always`] is the thread that reads, for the dispatcher, what never waits.
//! - [`file`] opens and adopts; [`flag`] gives O_NONBLOCK back as it was found.
//! - [`process`] tells the child of a fork from its parent; [`thread`] starts threads that no signal reaches.

mod always;
mod file;
mod flag;
mod kind;
mod outside;
mod process;
mod queue;
mod source;
mod thread;
mod transfer;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

pub(crate) use file::{File, adopt, open};
pub(crate) use process::PerProcess;
pub(crate) use queue::Queue;
pub(crate) use thread::spawn;
pub(crate) use transfer::ioctl;

/// Nothing to do: only on Windows is a library unloaded under its threads.
pub(crate) fn pin_module() {}

/// Milliseconds of a clock that is cheap to read, to within its tick.
#[inline]
pub(crate) fn ticks() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u64)
}

/// Gives the whole pages in memory that is about to be freed back to the system: the C library's allocator gives nothing
/// back that lies below something that is still used.
///
/// # Safety
/// The memory is the caller's, and nobody reads it before it is written again.
pub(crate) unsafe fn discard(start: *mut u8, len: usize) {
    let page = page_size();
    let skipped = start.align_offset(page);
    let whole = len.saturating_sub(skipped) / page * page;
    if whole > 0 {
        // What does not work costs memory and nothing else.
        // SAFETY: the caller's promise; only whole pages in that memory are meant.
        let _ = unsafe { madvise(start.wrapping_add(skipped).cast(), whole, Advice::LinuxDontNeed) };
    }
}
