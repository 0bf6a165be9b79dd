//! The example that does the five steps by hand, as a test: on Windows it holds the crate to what plain Win32 says.

#[path = "../examples/five_steps.rs"]
mod five_steps;
