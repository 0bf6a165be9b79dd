//! Programs to compare: each makes the same calls in its own way, and checks every result.
//!
//! A program is started once and makes calls when it is its turn; see [`turns`]. `cargo xtask bench` gives the turns.

pub mod hand_over;
#[cfg(target_os = "linux")]
pub mod pipes;
pub mod sim;
pub mod turns;
#[cfg(windows)]
pub mod windows;
