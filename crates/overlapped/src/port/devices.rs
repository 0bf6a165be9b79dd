//! The open devices of a port, by number, and what the port needs from a device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

/// A device, as its port sees it.
pub(crate) trait Device: Send + Sync {
    /// The operation has reached its deadline: asks the driver to cancel it.
    fn time_is_over(self: Arc<Self>, operation: InFlight);
    /// The grace period of a parked read is over: it stops waiting for earlier reads.
    fn was_parked_long_enough(self: Arc<Self>);
    /// The operation is over and belongs to the calling thread, and nobody will take its result. Passes the result on
    /// if possible, and otherwise counts it as lost. Returns whether it was passed on.
    fn takes_left_over(self: Arc<Self>, operation: InFlight) -> bool;
}

/// The open devices of a port.
#[derive(Default)]
pub(crate) struct Devices(Mutex<HashMap<u64, Listed>>);

struct Listed {
    name: Arc<str>,
    device: Weak<dyn Device>,
}

impl Devices {
    pub(crate) fn list(&self, number: u64, name: Arc<str>, device: Weak<dyn Device>) {
        lock(&self.0).insert(number, Listed { name, device });
    }

    pub(crate) fn unlist(&self, number: u64) {
        let listed = lock(&self.0).remove(&number);
        // Drop it without the lock.
        drop(listed);
    }

    pub(crate) fn name(&self, number: u64) -> Option<Arc<str>> {
        lock(&self.0).get(&number).map(|listed| listed.name.clone())
    }

    /// The device itself. Drop it without the lock: this may be the last reference, and its destructor runs foreign
    /// code.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<dyn Device>> {
        lock(&self.0).get(&number).and_then(|listed| listed.device.upgrade())
    }
}
