//! Code that the tests of several packages share. It is not published.
//!
//! Without the feature `linewake` it depends on nothing of ours, so that the tests of every package can use it.

pub mod allocations;
pub mod cards;
#[cfg(feature = "linewake")]
pub mod conformance;
pub mod executor;
#[cfg(target_os = "linux")]
pub mod hid;
#[cfg(feature = "linewake")]
pub mod pins;
#[cfg(windows)]
pub mod pipe;
pub mod process;
pub mod random;
#[cfg(feature = "linewake")]
pub mod replug;
#[cfg(feature = "linewake")]
pub mod schema;
#[cfg(windows)]
pub mod service;
#[cfg(feature = "linewake")]
pub mod stream;
#[cfg(feature = "linewake")]
pub mod thousand;
#[cfg(target_os = "linux")]
pub mod threads;
#[cfg(target_os = "linux")]
pub mod time_of_day;
mod until;

pub use until::{LONG, until};
