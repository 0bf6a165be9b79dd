//! The layer of calls: what a program asks of a device, and what it gets back.

#[cfg(feature = "futures-io")]
pub(crate) mod byte_stream;
pub(crate) mod call;
#[cfg(windows)]
pub(crate) mod event;
mod finish;
#[cfg(windows)]
pub(crate) mod function;
#[cfg(windows)]
pub(crate) mod interface;
pub(crate) mod inverted;
#[cfg(target_os = "linux")]
pub mod linux;
mod pending;
pub(crate) mod raw;
pub(crate) mod reply;
mod requests;
pub mod views;
