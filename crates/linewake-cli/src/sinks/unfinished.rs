//! What the program is in the middle of, for a second signal, which ends it at once.

use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::exit;

static STEP: Mutex<Option<Step>> = Mutex::new(None);

#[derive(Debug)]
struct Step {
    /// What to know when it is interrupted.
    says: String,
    /// A file that is of no use then.
    part: Option<PathBuf>,
}

/// A waveform that is being completed, as long as this lives.
#[derive(Debug)]
pub(super) struct CompletionStep(());

impl CompletionStep {
    pub(super) fn new(says: String, part: PathBuf) -> Self {
        *step() = Some(Step { says, part: Some(part) });
        Self(())
    }

    /// From here on this is to be said, and no file is removed.
    pub(super) fn goes_on(&self, says: String) {
        *step() = Some(Step { says, part: None });
    }
}

impl Drop for CompletionStep {
    fn drop(&mut self) {
        *step() = None;
    }
}

/// Ends the program at once, and says what is not finished.
pub(crate) fn end_process() -> ! {
    // Meanwhile nothing goes on to another step.
    let step = step();
    if let Some(Step { says, part }) = &*step {
        exit::say(&format!("linewake: {says}\n"));
        let _ = part.as_ref().map(std::fs::remove_file);
    }
    process::exit(1)
}

fn step() -> MutexGuard<'static, Option<Step>> {
    STEP.lock().unwrap_or_else(PoisonError::into_inner)
}
