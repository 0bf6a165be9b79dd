//! Everything in this workspace that is not plain cargo.
fn main() {}
