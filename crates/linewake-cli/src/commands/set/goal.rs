//! What a signal ends: the command, and what it had still to do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::terminal::Settings;
use crate::exit::{Code, Failure};
use crate::signals;

/// What is still to be done before the command may be ended by a signal, and nothing is missing: so it reads behind
/// "ended before".
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

/// A signal ends the command, and so gives the lines back; nothing is left to be written. The terminal is as it was.
pub(super) fn end_on_signal(terminal: Settings, goal: Goal) -> Result<(), Failure> {
    signals::on_end(move |_| {
        terminal.restore();
        let Some(goal) = *goal.lock() else { Code::Done.exit_process() };
        let early = Failure::early(format!("a signal ended it before {goal}"));
        early.report();
        early.code().exit_process()
    })
}
