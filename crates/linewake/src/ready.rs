//! Keeps track of which of many sources to poll: those that woke, each of them once. And a thread that waits for one.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use overlapped::{Port, Relay};

use crate::{Error, ErrorKind};

/// Waits on this thread for the next of a stream's items, at most for `timeout`. `what` names one in an error.
pub(crate) fn wait_next<T>(
    timeout: Option<Duration>,
    what: &str,
    poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<T, Error>>>,
) -> Option<Result<T, Error>> {
    match Port::global().and_then(|port| port.block_on_timeout(poll_fn(poll), timeout)) {
        Ok(Some(next)) => next,
        Ok(None) => Some(Err(Error::new(ErrorKind::TimedOut, format!("timed out waiting for {what}")))),
        Err(error) => Some(Err(error.into())),
    }
}

/// The sources that woke since they were last polled. At first these are all sources.
#[derive(Debug)]
pub(crate) struct Ready {
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    /// True if, at the last poll, a thread waited for the sources and dispatched their completions.
    was_waited_for: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    woken: VecDeque<usize>,
    /// For each source, true if it is in `woken`.
    is_woken: Vec<bool>,
    /// The waker of the task that polls all sources.
    parent: Option<Waker>,
}

struct SourceWaker {
    index: usize,
    shared: Arc<Shared>,
}

impl Shared {
    fn with<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, index: usize) {
        let parent = self.with(|state| {
            if !std::mem::replace(&mut state.is_woken[index], true) {
                state.woken.push_back(index);
            }
            state.parent.take()
        });
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl Wake for SourceWaker {
    fn wake(self: Arc<Self>) {
        self.shared.push(self.index);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.push(self.index);
    }
}

impl Ready {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default(), wakers: Vec::new(), was_waited_for: false }
    }

    /// Adds a source, which will be polled.
    pub(crate) fn add(&mut self) -> usize {
        let index = self.wakers.len();
        self.wakers.push(Arc::new(SourceWaker { index, shared: self.shared.clone() }).into());
        self.shared.with(|state| {
            state.is_woken.push(false);
            // Reserve now, so that a wake never allocates.
            state.woken.reserve(index + 1);
        });
        self.shared.push(index);
        index
    }

    /// The waker of a source.
    pub(crate) fn waker(&self, index: usize) -> &Waker {
        &self.wakers[index]
    }

    /// Makes a source be polled again.
    pub(crate) fn push(&self, index: usize) {
        self.shared.push(index);
    }

    /// While the returned value lives, a source's waker stands for `parent`, so that the thread that waits for all
    /// sources dispatches the completions of each.
    pub(crate) fn relay(&self, parent: &Waker, index: usize) -> Relay {
        Port::relay(parent, &self.wakers[index])
    }

    /// The next source to poll. If there is none, `parent` is woken when there is one. If a thread waited for the
    /// sources before and now a task does, all sources are polled again, because from now on the dispatcher must
    /// dispatch what the thread dispatched before.
    pub(crate) fn pop(&mut self, parent: &Waker) -> Option<usize> {
        let is_waited_for = Port::waits_for(parent);
        if std::mem::replace(&mut self.was_waited_for, is_waited_for) && !is_waited_for {
            self.alarm().ring();
        }
        self.shared.with(|state| match state.woken.pop_front() {
            Some(index) => {
                state.is_woken[index] = false;
                Some(index)
            }
            None => {
                if !state.parent.as_ref().is_some_and(|known| known.will_wake(parent)) {
                    state.parent = Some(parent.clone());
                }
                None
            }
        })
    }

    /// A handle that makes all sources be polled again, from any thread.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm(self.shared.clone())
    }
}

/// Makes all sources of a [`Ready`] be polled again.
#[derive(Clone, Debug)]
pub(crate) struct Alarm(Arc<Shared>);

impl Alarm {
    pub(crate) fn ring(&self) {
        let parent = self.0.with(|state| {
            for index in 0..state.is_woken.len() {
                if !std::mem::replace(&mut state.is_woken[index], true) {
                    state.woken.push_back(index);
                }
            }
            state.parent.take()
        });
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}
