//! Chips of vendors' drivers, by [profiles](crate::profile).
//!
//! ```text
//!   opener, find ──► Link: calls are sent and answered (call.rs, ioctl.rs)
//!                      │
//!   ProfileChip ── request ──► ProfileLines ──► waits (pending.rs, blocking.rs, event.rs)
//!                         └─────► EdgeDecoder: edges from bytes
//! ```

#[cfg(all(target_os = "linux", not(miri)))]
mod blocking;
mod call;
mod chip;
mod decoder;
#[cfg(windows)]
mod event;
mod find;
#[cfg(all(target_os = "linux", not(miri)))]
mod ioctl;
mod levels;
mod lines;
mod link;
mod opener;
mod pending;
mod settle;
mod slow;
#[cfg(all(target_os = "linux", not(miri)))]
mod terminal;

pub(crate) use self::chip::{ProfileChip, open};
