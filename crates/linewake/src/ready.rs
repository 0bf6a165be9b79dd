//! Which of many sources are to be polled: those that were woken, each once. And a thread that waits for one.

use std::collections::VecDeque;
use std::fmt;
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

/// Sources that were woken since they were polled last. All of them, at first.
pub(crate) struct Ready {
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    /// A thread waited for them when they were polled last, and dispatched their completions.
    was_waited_for: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    woken: VecDeque<usize>,
    /// Whether each source is in `woken`.
    is_woken: Vec<bool>,
    /// Who polls all of them.
    parent: Option<Waker>,
}

struct Source {
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

impl Wake for Source {
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

    /// One more source. It is to be polled.
    pub(crate) fn add(&mut self) -> usize {
        let index = self.wakers.len();
        self.wakers.push(Arc::new(Source { index, shared: self.shared.clone() }).into());
        self.shared.with(|state| {
            state.is_woken.push(false);
            // So that waking one never allocates.
            state.woken.reserve(index + 1);
        });
        self.shared.push(index);
        index
    }

    /// What wakes one source.
    pub(crate) fn waker(&self, index: usize) -> &Waker {
        &self.wakers[index]
    }

    /// A source is to be polled again.
    pub(crate) fn push(&self, index: usize) {
        self.shared.push(index);
    }

    /// While this is there, a source's waker stands for `parent`, so that a thread that waits for all dispatches for each.
    pub(crate) fn relay(&self, parent: &Waker, index: usize) -> Relay {
        Port::relay(parent, &self.wakers[index])
    }

    /// The next source to be polled. If there is none, `parent` is woken when there is. If a thread
    /// waited for them before, and a task does now, all of them are polled again: what that thread dispatched is the
    /// dispatcher's from now on.
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

    /// What makes every source polled again, from anywhere.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm(self.shared.clone())
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("sources", &self.wakers.len()).finish_non_exhaustive()
    }
}

/// Makes every source of a [`Ready`] polled again.
#[derive(Clone)]
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

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}
