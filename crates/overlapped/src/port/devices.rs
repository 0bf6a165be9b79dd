//! The devices of a port: the open ones by number, and what the port may ask of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

/// A device, as its port sees it.
pub(crate) trait Device: Send + Sync {
    /// The operation's time is over: ask for its cancellation.
    fn time_is_over(self: Arc<Self>, operation: InFlight);
    /// Parked reads have waited long enough for earlier ones.
    fn was_parked_long_enough(self: Arc<Self>);
    /// The operation is over and the caller's, and nobody will take its result. Gives the result to another read if
    /// possible, and otherwise counts it as lost. Returns whether it was given away.
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
