//! The example that does the five steps by hand, run as a test. On Windows it compares this crate with plain Win32.

#[path = "../examples/five_steps.rs"]
mod five_steps;
