//! The thread that makes the dispatcher's system calls on files that are always ready.
//!
//! Regular files, disks and some devices never return EAGAIN: they block. A program's own thread makes their system
//! calls itself. The dispatcher submits too, for a stream or in a callback, and must not block, since that would delay
//! all other operations. So one thread, started at its first use, makes the dispatcher's system calls on all such
//! files.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::port::{self, Queue};
use crate::system::PerProcess;
use crate::system::sync::lock_std as lock;

static FILES: PerProcess<Files> = PerProcess::new();

/// A file that is always ready.
pub(super) trait AlwaysReady: Send + Sync {
    /// Makes the system calls of all operations that wait for it.
    fn serve(&self, queue: &Queue);
}

type Job = (Arc<dyn AlwaysReady>, Arc<port::Inner>);

#[derive(Default)]
struct Files {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    started: bool,
}

impl Files {
    fn take(&self) -> Job {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return job;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Makes the thread serve the operations that wait for this file. Returns false when the thread cannot be started.
pub(super) fn serve(source: Arc<dyn AlwaysReady>, port: Arc<port::Inner>) -> bool {
    let files = FILES.get();
    let mut state = lock(&files.state);
    if !state.started {
        let run = move || {
            loop {
                let (source, port) = files.take();
                source.serve(port.queue());
            }
        };
        state.started = crate::system::spawn("overlapped-files", run).is_ok();
    }
    if state.started {
        state.jobs.push_back((source, port));
        files.arrived.notify_one();
    }
    state.started
}
