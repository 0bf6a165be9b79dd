//! The layer of one operation: its state machine, its memory, and its waiter. Nothing here knows a port.

#[cfg(windows)]
pub(crate) mod loans;
pub(crate) mod slab;
pub(crate) mod slot;
pub(crate) mod unread;
pub(crate) mod waiter;

/// How an operation ended: its status, and its byte count.
pub(crate) type Ended = (crate::Status, usize);
