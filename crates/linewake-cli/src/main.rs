//! The command `linewake`.
fn main() {}
