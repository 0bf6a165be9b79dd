//! The ground floor: what all others speak with. Nothing here knows an operation's memory, a port or a device.

pub(crate) mod dispatching;
pub(crate) mod foreign;
pub(crate) mod token;
