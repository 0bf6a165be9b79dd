//! The floor of one operation: its state machine, its memory, and who waits for it. Nothing here knows a port.

pub(crate) mod waiter;
