//! The lowest layer: the vocabulary that every other layer uses. Nothing here acts on a device, and nothing waits.

pub(crate) mod buffer;
pub(crate) mod error;
#[cfg(windows)]
pub(crate) mod interface;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod token;
