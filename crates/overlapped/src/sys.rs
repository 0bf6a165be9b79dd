//! The operating systems. Only the files below `sys/` talk to one.

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod linux;
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
mod portable;
#[cfg(windows)]
pub(crate) mod windows;

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use linux::{Queue, discard, pin_module, ticks};
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
pub(crate) use portable::{Queue, discard, pin_module, ticks};
#[cfg(windows)]
pub(crate) use windows::{Queue, discard, pin_module, ticks};
