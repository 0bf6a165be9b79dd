//! The controller, as a specification: each test's name is a statement about the device.

mod account;
mod chip;
mod configuring;
mod garbage;
mod information;
mod model;
mod numbering;
mod pins;
mod time;
mod unplugging;
mod waiting;
