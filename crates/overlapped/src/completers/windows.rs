//! Windows: files and the Nt calls that submit to them, events, and notices about devices.

mod event;
mod file;
pub(crate) mod interface;
mod object;

pub(crate) use event::Event;
#[cfg(test)]
pub(crate) use event::Signals;
pub(crate) use file::{File, OpenHandle, adopt, open};
