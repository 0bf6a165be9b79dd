//! The pended requests of a simulated chip, found by reader and line when an edge comes, and by number when one is
//! cancelled.

use std::collections::{HashMap, VecDeque};

use linewake_controller::ReaderId;
use overlapped::{Status, sim};

/// The reader of a wait, and what it waits for.
pub(super) type Key = (ReaderId, What);

/// The purpose of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// An edge of any line.
    Any,
    /// An edge of this line.
    Line(u32),
    /// A line that is requested, released or reconfigured.
    Info,
}

#[derive(Debug, Default)]
pub(super) struct Waits {
    queues: HashMap<Key, VecDeque<sim::Pended>>,
    keys: HashMap<sim::RequestId, Key>,
}

impl Waits {
    /// Keeps a request behind the others of its key. A request that was cancelled before it came here is completed
    /// instead.
    pub(super) fn push(&mut self, key: Key, wait: sim::Pended) {
        if wait.is_cancelled() {
            wait.complete(Status::CANCELLED);
            return;
        }
        self.keys.insert(wait.id(), key);
        self.queues.entry(key).or_default().push_back(wait);
    }

    /// The keys of the waits in progress.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(&key, _)| key).collect()
    }

    /// Offers the requests of a key to `answer`, oldest first, and completes those that it answers.
    pub(super) fn retry(&mut self, key: Key, mut answer: impl FnMut(&mut sim::Pended) -> Option<Status>) {
        let Some(queue) = self.queues.get_mut(&key) else {
            return;
        };
        let mut at = 0;
        while let Some(wait) = queue.get_mut(at) {
            match answer(wait) {
                None => at += 1,
                Some(status) => {
                    if let Some(wait) = queue.remove(at) {
                        self.keys.remove(&wait.id());
                        wait.complete(status);
                    }
                }
            }
        }
    }

    /// Completes a request with `STATUS_CANCELLED`, if it is here.
    pub(super) fn cancel(&mut self, request: sim::RequestId) {
        let Some(queue) = self.keys.remove(&request).and_then(|key| self.queues.get_mut(&key)) else {
            return;
        };
        if let Some(wait) = queue.iter().position(|wait| wait.id() == request).and_then(|at| queue.remove(at)) {
            wait.complete(Status::CANCELLED);
        }
    }

    /// Completes every request of a reader that is closed.
    pub(super) fn cancel_all_of(&mut self, reader: ReaderId) {
        self.queues.retain(|key, queue| {
            if key.0 != reader {
                return true;
            }
            for wait in queue.drain(..) {
                self.keys.remove(&wait.id());
                wait.complete(Status::CANCELLED);
            }
            false
        });
    }
}
