//! A handle that ends a stream from another thread or task.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire},
};

use crate::ready::{Alarm, Ready};

/// Ends a [`Request`](crate::Request) or a [`Monitor`](crate::Monitor) from another thread or task, for example from
/// the thread of a signal handler.
///
/// ```
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("door").start()?;
/// let stopper = edges.stopper();
/// std::thread::spawn(move || stopper.stop());
/// assert!(edges.wait_next().is_none());
/// # Ok::<(), linewake::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    stopped: Arc<AtomicBool>,
    alarm: Alarm,
}

impl Stopper {
    pub(crate) fn new(ready: &Ready) -> Self {
        Self { stopped: Arc::default(), alarm: ready.alarm() }
    }

    /// Ends the stream. Edges that happened before are still delivered; then the stream ends without an error.
    pub fn stop(&self) {
        if !self.stopped.swap(true, AcqRel) {
            self.alarm.ring();
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Acquire)
    }
}
