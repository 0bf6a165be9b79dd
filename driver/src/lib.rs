//! `linewake.sys`: the simulated GPIO controller of `linewake-controller` as a Windows kernel-mode driver (WDM).
//!
//! It is a test fixture, and a model of a driver whose control codes block until an input changes. `README.md` says
//! what a driver author can learn from it. Read the files in this order:
//!
//! - `chip.rs`: the state of a chip behind one lock: the controller, and the requests that are pended;
//! - `pended.rs`: the cancel-safe queues, the part that is hard to get right;
//! - `request.rs`: an IRP as a value that has to be completed exactly once;
//! - `dispatch.rs`: what the I/O manager calls;
//! - `kernel.rs`: the lock and the clock.
//!
//! Built for `x86_64-pc-windows-gnu` in the profile `driver`; in any other build this crate is empty.

#![cfg_attr(kernel, no_std)]

#[cfg(kernel)]
mod chip;
#[cfg(kernel)]
mod dispatch;
#[cfg(kernel)]
mod kernel;
#[cfg(kernel)]
mod pended;
#[cfg(kernel)]
mod request;
