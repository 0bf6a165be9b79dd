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
//! - [`source`] is a file and what waits for it; [`transfer`] is one operation and its system call.
//! - [`kind`] says what sort of file it is, and what it means when it gives nothing.
//! - [`always`] is the thread that reads, for the dispatcher, what never waits.
//! - [`file`] opens and adopts; [`flag`] gives O_NONBLOCK back as it was found.

mod always;
mod file;
mod flag;
mod kind;
mod source;
mod transfer;

pub(crate) use file::{File, Opened, open};
pub(crate) use transfer::ioctl;
