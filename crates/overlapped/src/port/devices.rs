//! What a port knows of its devices: those that are open, by number, and what it may ask of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

/// A device, as its port knows it.
pub(crate) trait Device: Send + Sync {
    /// The operation's time is over: asks for its cancellation.
    fn time_is_over(self: Arc<Self>, operation: InFlight);
    /// Reads that are parked have waited long enough for those before them.
    fn was_parked_long_enough(self: Arc<Self>);
    /// The operation is over and the caller's, and nobody will take its result: gives it on if that can be, and counts it
    /// else. Returns whether it was given on.
    fn takes_left_over(self: Arc<Self>, operation: InFlight) -> bool;
}

/// The devices of a port that are open.
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
        // Not under the lock.
        drop(listed);
    }

    pub(crate) fn name(&self, number: u64) -> Option<Arc<str>> {
        lock(&self.0).get(&number).map(|listed| listed.name.clone())
    }

    /// The device itself. Not under the lock: this may be the last there is of it, and its end is somebody's code.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<dyn Device>> {
        lock(&self.0).get(&number).and_then(|listed| listed.device.upgrade())
    }
}
