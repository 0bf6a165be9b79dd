//! Linux: files, the epoll set they wait in, and the system calls that read and write them.
//!
//! Linux has no completions, only readiness. So this code does what the kernel does on Windows:
//!
//! ```text
//!   submit ──► the system call, at once ──► it would block ──► wait in the file's queue, the file in the epoll set
//!                       │                                                        │ ready
//!                       ▼                                                        ▼
//!              final at return                    the dispatcher makes the system call, writes status and bytes
//!                                                 into the slot, and hands out the packet
//! ```
//!
//! - [`source`] is a file and the operations that wait for it; [`transfer`] is one operation and its system call.
//! - [`kind`] says what kind of file it is, and what a read without bytes means for it.
//! - [`always`] is the thread that makes the dispatcher's system calls on files that are always ready.
//! - [`file`] opens and adopts files; [`flag`] restores O_NONBLOCK.

mod always;
mod file;
mod flag;
mod kind;
mod source;
mod transfer;

pub(crate) use file::{File, OpenHandle, open};
pub(crate) use transfer::ioctl;
