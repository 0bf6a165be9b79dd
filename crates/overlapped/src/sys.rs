//! The operating systems. Only the files below `sys/` talk to one.

#[cfg(not(windows))]
mod portable;
#[cfg(windows)]
pub(crate) mod windows;

#[cfg(not(windows))]
pub(crate) use portable::{Queue, pin_module, ticks};
#[cfg(windows)]
pub(crate) use windows::{Queue, pin_module, ticks};
