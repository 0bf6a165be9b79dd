//! Waiting that a signal ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Rung once, and from then on nobody waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// Wakes whoever waits.
    pub(super) fn ring(&self) {
        let (is_rung, wakes) = &*self.0;
        *is_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wakes.notify_all();
    }

    /// Waits until then, unless it is rung.
    pub(super) fn wait_until(&self, until: Instant) {
        let (is_rung, wakes) = &*self.0;
        let mut rung = is_rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            rung = wakes.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
