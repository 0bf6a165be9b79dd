//! The queue of a port, where packets are posted and taken; one file for each system.

#[cfg(all(target_os = "linux", not(miri)))]
mod files;
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) mod linux;
#[cfg(all(target_os = "linux", not(miri)))]
mod outside;
#[cfg(windows)]
mod pool;
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
mod portable;
#[cfg(any(windows, test))]
mod strays;
#[cfg(windows)]
mod windows;

#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) use linux::Queue;
#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
pub(crate) use portable::Queue;
#[cfg(windows)]
pub(crate) use windows::Queue;
