//! The task that a signal must not cut short.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::terminal::Settings;
use crate::exit::{Code, Failure};
use crate::signals;

/// The task that is not done yet, as the words behind "a signal ended it before". With `None`, a signal ends the
/// command with 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Goal(Arc<Mutex<Option<&'static str>>>);

impl Goal {
    fn lock(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is(&self, what: Option<&'static str>) {
        *self.lock() = what;
    }
}

/// Has a signal end the process, which gives the lines back. The terminal is restored, and no output is pending.
pub(super) fn end_on_signal(terminal: Settings, goal: Goal) -> Result<(), Failure> {
    signals::on_end(move |_| {
        terminal.restore();
        let Some(goal) = *goal.lock() else { Code::Done.exit_process() };
        let early = Failure::early(format!("a signal ended it before {goal}"));
        early.report();
        early.code().exit_process()
    })
}
