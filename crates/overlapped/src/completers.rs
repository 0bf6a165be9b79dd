//! The layer that completes operations: the operating systems, and drivers written in Rust. Nothing here knows a device
//! or a call.

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod linux;
pub(crate) mod options;
pub mod sim;
#[cfg(windows)]
pub(crate) mod windows;
