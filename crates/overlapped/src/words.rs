//! The ground floor: what all others speak with. Nothing here does anything to a device, or waits.

pub(crate) mod buffer;
pub(crate) mod error;
#[cfg(windows)]
pub(crate) mod interface;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod token;
