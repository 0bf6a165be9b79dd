//! The report when a second signal ends the program before its outputs are complete.

use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::exit;

static STEP: Mutex<Option<Step>> = Mutex::new(None);

#[derive(Debug)]
struct Step {
    /// The message if the step is interrupted.
    says: String,
    /// A file to remove if the step is interrupted.
    part: Option<PathBuf>,
}

/// A step of completing a waveform. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct CompletionStep(());

impl CompletionStep {
    pub(super) fn new(says: String, part: PathBuf) -> Self {
        *step() = Some(Step { says, part: Some(part) });
        Self(())
    }

    /// Goes on to a step with this message, which leaves no file to remove.
    pub(super) fn goes_on(&self, says: String) {
        *step() = Some(Step { says, part: None });
    }
}

impl Drop for CompletionStep {
    fn drop(&mut self) {
        *step() = None;
    }
}

/// Ends the program at once, and prints what is unfinished.
pub(crate) fn end_process() -> ! {
    // The lock keeps the step from changing meanwhile.
    let step = step();
    let says = match &*step {
        Some(Step { says, part }) => {
            let _ = part.as_ref().map(std::fs::remove_file);
            says
        }
        None => "the summary is missing, and the outputs may lack their last edges",
    };
    exit::say(&format!("linewake: ended by a second signal: {says}\n"));
    process::exit(1)
}

fn step() -> MutexGuard<'static, Option<Step>> {
    STEP.lock().unwrap_or_else(PoisonError::into_inner)
}
