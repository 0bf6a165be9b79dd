//! The definitions that a driver and its program share: control codes, what each code reads and writes, and statuses.
//!
//! The crate has no I/O, no allocation and no operating system, so a kernel-mode driver can use it. You write a
//! protocol once and compile both sides from it:
//!
//! ```
//! use overlapped_codes::{Access, CtlCode, Ioctl, Method, Status};
//!
//! pub const WAIT_CHANGE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
//!
//! // The program: `device.call(TYPED, &())`, by the crate `overlapped`.
//! // SAFETY: this driver reads nothing and writes the levels of 32 inputs.
//! pub const TYPED: Ioctl<(), u32> = unsafe { Ioctl::new(WAIT_CHANGE) };
//!
//! // The driver: its dispatch routine.
//! fn device_control(code: u32, levels: u32, output: &mut [u8]) -> (Status, usize) {
//!     match CtlCode::from_u32(code) {
//!         WAIT_CHANGE => match output.first_chunk_mut() {
//!             Some(room) => {
//!                 *room = levels.to_ne_bytes();
//!                 (Status::SUCCESS, room.len())
//!             }
//!             None => (Status::BUFFER_TOO_SMALL, 0),
//!         },
//!         _ => (Status::INVALID_DEVICE_REQUEST, 0),
//!     }
//! }
//!
//! let mut output = [0; 4];
//! assert_eq!(device_control(TYPED.code().to_u32(), 5, &mut output), (Status::SUCCESS, 4));
//! assert_eq!(device_control(TYPED.code().to_u32(), 5, &mut output[..3]).0, Status::BUFFER_TOO_SMALL);
//! assert!(device_control(0, 5, &mut output).0.is_error());
//! ```
//!
//! The crate `overlapped` re-exports all of this and makes the calls.

#![no_std]
#![deny(unsafe_code)]

mod code;
pub mod errno;
mod ioctl;
mod kind;
mod status;

pub use code::{Access, CtlCode, Method, ParseCtlCodeError};
pub use ioctl::{Ioctl, MAX_ALIGN, Record};
pub use kind::ErrorKind;
pub use status::Status;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
