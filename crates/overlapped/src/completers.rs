//! The floor of those who complete operations: the systems, and drivers that are written in Rust. None of them knows a
//! device, or a call.

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod linux;
pub(crate) mod options;
pub mod sim;
#[cfg(windows)]
pub(crate) mod windows;
