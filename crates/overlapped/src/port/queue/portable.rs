//! A queue of packets for systems without a completion port, and for Miri. It serves simulated devices.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ErrorCode;
use crate::system::sync::lock_std as lock;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<u64>,
    waiting: usize,
}

impl Queue {
    #[expect(clippy::unnecessary_wraps, reason = "the Windows one can fail")]
    pub(crate) fn new() -> Result<Self, ErrorCode> {
        Ok(Self::default())
    }

    pub(crate) fn post(&self, token: u64) {
        let mut state = lock(&self.state);
        state.packets.push_back(token);
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.arrived.notify_one();
        }
    }

    /// Does nothing: no other event loop can watch this queue.
    pub(crate) fn tell_again(&self) {}

    /// Does nothing: no other event loop watches this queue.
    pub(crate) fn tell_others(&self, _more: bool, _now: bool, _next: impl Fn() -> Option<Instant>) {}

    /// How many packets to take at a time.
    pub(crate) fn room(&self, _in_flight: impl FnOnce() -> usize) -> usize {
        64
    }

    /// Waits for a packet, then takes as many as there are and fit. Returns their number, 0 after `timeout`.
    pub(crate) fn wait(&self, tokens: &mut [u64; 64], _room: usize, timeout: Option<Duration>) -> usize {
        let mut state = lock(&self.state);
        if state.packets.is_empty() && timeout == Some(Duration::ZERO) {
            return 0;
        }
        let deadline = timeout.filter(|_| state.packets.is_empty()).and_then(|t| Instant::now().checked_add(t));
        while state.packets.is_empty() {
            state.waiting += 1;
            state = match deadline {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.waiting -= 1;
            if state.packets.is_empty() && deadline.is_some_and(|d| Instant::now() >= d) {
                return 0;
            }
        }
        let count = state.packets.len().min(tokens.len());
        for (token, packet) in tokens.iter_mut().zip(state.packets.drain(..count)) {
            *token = packet;
        }
        count
    }
}
