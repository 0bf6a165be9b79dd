//! A simulated GPIO controller: its control-code [`protocol`] and its state machine, [`Controller`].
//!
//! The crate has no I/O, no allocation and no clock. A *host* makes a device of it: a kernel-mode driver, or a
//! simulated device in the same process. The host keeps the pended requests, and the controller decides their
//! results. See [`Controller`] for the host's loop.
//!
//! A *reader* is an open handle, and plays the part of a line request on Linux: it holds lines, watches edges of some
//! of them, and has one bounded event queue. Every edge is accounted for:
//! `driven = delivered + queued + overflowed + merged + discarded`.

#![no_std]
#![forbid(unsafe_code)]

mod batch;
mod control;
mod controller;
mod info;
mod line;
mod pins;
#[expect(
    missing_debug_implementations,
    reason = "hidden types of zerocopy's KnownLayout derive; every record has Debug"
)]
pub mod protocol;
mod queue;
mod reader;
mod set;

pub use batch::{Batch, Malformed};
pub use controller::{Controller, Outcome, ReaderId, Ready};
pub use overlapped_codes::{Access, CtlCode, Method, Status};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
