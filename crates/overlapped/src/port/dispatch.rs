//! Dispatching: takes packets from the queue and handles them, and handles expired timers.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::devices::Device;
use super::inner::{Inner, Sleeper, Waiter, Whose};
use super::timers::{Due, Expired};
use crate::operation::slot::Packet;
use crate::words::token::{EXPIRE, InFlight, LOOK};

/// How long a driver may take to end an operation that was cancelled at its deadline.
pub(super) use crate::operation::unread::GRACE_PERIOD;

impl Inner {
    pub(crate) fn dispatch(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        whose: Whose,
        sleeper: Option<&Arc<Sleeper>>,
    ) -> usize {
        if self.is_inherited() {
            return 0;
        }
        let mut tokens = [0; 64];
        let next = self.timers.next();
        let all = matches!(whose, Whose::All);
        let only_looks = timeout == Some(Duration::ZERO);
        // Jobs that a waiting thread has put off come before the packets that come now.
        let put_off = if all && self.is_led() { self.jobs_waiting() } else { 0 };
        let is_due = put_off > 0 || !all && self.has_jobs() && (self.run_jobs_of(whose) > 0 || self.gives_way());
        let timeout = if is_due { Some(Duration::ZERO) } else { timeout };
        let timeout = match next {
            Some(next) if timeout != Some(Duration::ZERO) => {
                let left = next.saturating_duration_since(Instant::now());
                Some(timeout.map_or(left, |timeout| timeout.min(left)))
            }
            _ => timeout,
        };
        let room = self.queue.room(|| self.in_flight());
        let may_sleep = sleeper.is_none_or(|sleeper| sleeper.enter_queue());
        let count = self.queue.wait(&mut tokens, room, if may_sleep { timeout } else { Some(Duration::ZERO) });
        if let Some(sleeper) = sleeper {
            sleeper.leave_queue();
        }
        // A thread of the system's pool now makes the next one wait. After that nobody waits for this thread.
        let is_free = self.hand_over();
        let dispatching = if is_free { None } else { self.begin_dispatching(whose) };
        if dispatching.is_none() && !is_free {
            // Waits are nested too deep to dispatch here. Put the packets back, for a dispatcher further out.
            tokens[..count].iter().for_each(|token| self.queue.post(*token));
            return 0;
        }
        let ran = self.run_jobs(put_off);
        for token in &tokens[..count] {
            self.handle(*token, whose);
        }
        // A waker or a callback has forked, and this is the child.
        if self.is_inherited() {
            return count;
        }
        // A timer may run a driver's cancellation, which must not happen on a thread that only submits or drops a call.
        let rang = if next.is_some() && !matches!(whose, Whose::Only(_)) { self.run_timers() } else { 0 };
        let count = if all { count.max(ran + self.run_jobs(self.jobs_waiting())) } else { count };
        let count = count.max(rang);
        // A caller that polls with the timeout zero is expected to poll until nothing is left.
        let comes_again = all && only_looks;
        self.queue.tell_others(count > 0 && !comes_again, !all && self.has_jobs(), || self.timers.next());
        count
    }

    #[inline]
    pub(super) fn handle(self: &Arc<Self>, token: u64, whose: Whose) {
        if token == LOOK {
            self.looks.store(false, SeqCst);
            return;
        }
        let named = InFlight::from_token(token);
        #[cfg(windows)]
        let named = named.or_else(|| self.loans.completed(token));
        let known = named.and_then(|op| Some((op, self.slab.get(op.index())?)));
        let Some((operation, slot)) = known else {
            self.strays.fetch_add(1, Relaxed);
            return;
        };
        let held = if token & EXPIRE == 0 {
            let (packet, was_unattended) = slot.machine.publish(operation.generation());
            if was_unattended {
                self.turn.remove_unattended();
            }
            match packet {
                Packet::Awaited(held) => held,
                Packet::Published | Packet::Left => return,
                Packet::Recycle(how) => return self.give_back(slot, operation, how),
                Packet::Stray => {
                    self.strays.fetch_add(1, Relaxed);
                    return;
                }
            }
        } else {
            let Some(held) = slot.machine.expire(operation.generation()) else { return };
            held
        };
        match held.hand_out() {
            (Some(waiter), None) if whose.may_run(&waiter) => self.wake(waiter, operation),
            (Some(waiter), None) => self.deliver(waiter, operation),
            (waiter, Some(how)) => {
                self.give_back(slot, operation, how);
                self.guarded(|| drop(waiter));
            }
            (None, None) => {}
        }
    }

    /// Runs the waiter of an operation.
    #[inline]
    pub(super) fn wake(self: &Arc<Self>, waiter: Waiter, operation: InFlight) {
        self.guarded(|| match waiter {
            Waiter::Wake(waker) => waker.wake(),
            Waiter::Arrive(owner, number) => owner.arrived(number.get(), self, operation),
            Waiter::Callback(callback) => callback(self, operation),
        });
    }

    /// Makes another thread of the system's pool wait. `false`: the port is not the pool's.
    pub(super) fn hand_over(&self) -> bool {
        #[cfg(windows)]
        return self.queue.hand_over();
        #[cfg(not(windows))]
        false
    }

    /// Sets the deadline of an operation.
    pub(crate) fn at(self: &Arc<Self>, at: Instant, operation: InFlight, device: Weak<dyn Device>) {
        self.timer(at, operation, Due::Timeout(device));
    }

    /// Ends the wait of a parked read at the end of the grace period.
    pub(crate) fn parked(self: &Arc<Self>, operation: InFlight, device: Weak<dyn Device>) {
        self.timer(Instant::now() + GRACE_PERIOD, operation, Due::Parked(device));
    }

    pub(super) fn timer(self: &Arc<Self>, at: Instant, operation: InFlight, due: Due) {
        if self.timers.add(at, operation, due, |operation| self.is_over(operation)) {
            // It is the next timer to expire, so the waiting thread must shorten its wait.
            self.queue.post(LOOK);
        }
        self.unattended(self.slot(operation), operation);
    }

    pub(super) fn is_over(&self, operation: InFlight) -> bool {
        self.slot(operation).machine.in_flight() != Some(operation.generation())
    }

    /// Handles the timers that have expired. Returns how many sleeps have ended.
    pub(super) fn run_timers(self: &Arc<Self>) -> usize {
        let mut rang = 0;
        while let Some(expired) = self.timers.expired(Instant::now()) {
            match expired {
                Expired::Operation(operation, Due::Timeout(device)) => self.overdue(operation, device),
                // By the queue, not at once: a result that the driver has delivered by now is ahead of it there.
                Expired::Operation(operation, Due::Grace) => self.queue.post(operation.token() | EXPIRE),
                Expired::Operation(_, Due::Parked(device)) => {
                    if let Some(device) = device.upgrade() {
                        device.was_parked_long_enough();
                    }
                }
                Expired::Sleep(ended) => {
                    self.ring(ended);
                    rang += 1;
                }
            }
        }
        rang
    }

    /// An operation has reached its deadline: asks the driver to cancel it. The driver then ends it. If the driver does
    /// not react, the caller waits no longer than the grace period.
    pub(super) fn overdue(self: &Arc<Self>, operation: InFlight, device: Weak<dyn Device>) {
        if self.slot(operation).machine.set_overdue(operation.generation()) {
            if let Some(device) = device.upgrade() {
                device.time_is_over(operation);
            }
            self.timer(Instant::now() + GRACE_PERIOD, operation, Due::Grace);
        }
    }
}
