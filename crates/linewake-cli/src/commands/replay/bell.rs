//! A wait that a signal ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A bell that is rung once. After that, no wait takes time.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// Ends all waits.
    pub(super) fn ring(&self) {
        let (is_rung, wakes) = &*self.0;
        *is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wakes.notify_all();
    }

    /// Waits until a moment, or until the bell rings.
    pub(super) fn wait_until(&self, until: Instant) {
        let (is_rung, wakes) = &*self.0;
        let rung = is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        drop(wakes.wait_timeout_while(rung, left, |rung| !*rung));
    }
}
