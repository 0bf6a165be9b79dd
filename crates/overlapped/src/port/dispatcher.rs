//! The dispatcher: the thread that handles completions while no thread waits, and runs callbacks.

use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use super::inner::{Dispatcher, Inner, Sleeper, Whose};
use super::wait::TurnGuard;
use crate::system::sync::lock_std as lock;

impl Inner {
    pub(super) fn rouse_dispatcher(self: &Arc<Self>) {
        self.rouse(&mut lock(&self.jobs).dispatcher);
    }

    /// Wakes the dispatcher, or starts it.
    pub(super) fn rouse(self: &Arc<Self>, dispatcher: &mut Dispatcher) {
        match dispatcher {
            Dispatcher::Runs(sleeper) => sleeper.wake_by_ref(),
            Dispatcher::Starts => {}
            Dispatcher::None => {
                let port = self.clone();
                // Nobody joins the thread: it may be inside foreign code when the process ends.
                if crate::system::spawn("overlapped", move || port.run_as_dispatcher()).is_ok() {
                    *dispatcher = Dispatcher::Starts;
                } else if self.turn.take_dispatchers() {
                    // The next call that needs the dispatcher tries again. Until then waiting threads take the turn.
                    self.turn.give_back();
                }
            }
        }
    }

    /// The dispatcher's loop. It never ends, except in the child of a fork that a callback made.
    pub(super) fn run_as_dispatcher(self: &Arc<Self>) {
        crate::system::pin_module();
        let sleeper = Sleeper::new(Arc::downgrade(self));
        lock(&self.jobs).dispatcher = Dispatcher::Runs(sleeper.clone());
        while !self.is_inherited() {
            sleeper.take_wake();
            let dispatching = self.begin_dispatching(Whose::All);
            self.run_jobs(self.jobs_waiting());
            drop(dispatching);
            if self.turn.take_dispatchers() {
                let _turn = TurnGuard(self);
                while self.turn.is_unattended() && !self.is_inherited() {
                    sleeper.take_wake();
                    // A thread that adds a job after this wakes the sleeper.
                    let sleep = self.has_jobs().then_some(Duration::ZERO);
                    self.dispatch(sleep, Whose::All, Some(&sleeper));
                }
            } else if !self.has_jobs() {
                sleeper.sleep(None);
            }
        }
    }
}
