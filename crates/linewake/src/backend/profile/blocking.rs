//! A wait that blocks in the call: a thread of its own makes the call again and again and hands over the results.
//!
//! ```text
//!   thread:   call ──► result ──► call ──► result …          poll_next ──► result
//!                        └────── queue, and a waker ─────────────┘
//! ```
//!
//! The thread waits while the queue is full, and after a failure until it is [told to go on](Blocking::go_on). It is
//! ended by a call that makes the driver answer, which is repeated until the thread is gone, since the thread may not
//! have been in the driver the first time. Nothing else can end it: otherwise the thread and its device are left behind
//! until the driver answers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::{Error, ErrorKind};

/// How long a driver may take to answer all blocked calls when they are to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The result of a call.
#[derive(Debug)]
pub(super) struct CallResult {
    pub(super) bytes: Vec<u8>,
    pub(super) error: Option<Error>,
    /// How long the call took.
    pub(super) lasted: Duration,
    /// The call returned while the wait was ending, perhaps because it was made to.
    pub(super) at_the_end: bool,
}

/// A thread that waits in a call.
#[derive(Debug)]
pub(super) struct Blocking(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    brought: VecDeque<CallResult>,
    /// Memory of results that were taken.
    spare: Vec<Vec<u8>>,
    waker: Option<Waker>,
    /// The thread makes no call until it is told to go on.
    is_held: bool,
    is_ending: bool,
    is_gone: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Tells the maker of the call whether the wait is to end.
pub(super) struct Ending<'a>(&'a Shared);

impl Ending<'_> {
    pub(super) fn is_near(&self) -> bool {
        self.0.lock().is_ending
    }
}

/// Marks the thread as gone however it ends, also by a panic.
struct ThreadEnd(Arc<Shared>);

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        self.0.tell(|state| state.is_gone = true);
    }
}

impl Blocking {
    /// Begins to make the call, which appends its bytes to the given buffer. At most `window` results wait to be taken.
    /// `one_by_one`: each call waits until it is [told to go on](Self::go_on).
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(super) fn start(
        name: &str,
        window: usize,
        one_by_one: bool,
        call: impl FnMut(&mut Vec<u8>, &Ending<'_>) -> Result<(), Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let gone = ThreadEnd(shared.clone());
        let run = move || {
            // Locals are dropped in reverse order: `call`, which holds the device, before `gone`.
            let (gone, mut call) = (gone, call);
            let shared = &gone.0;
            loop {
                let mut state = shared.lock();
                while !state.is_ending && (state.is_held || state.brought.len() >= window.max(1)) {
                    state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.is_ending {
                    return;
                }
                let mut bytes = state.spare.pop().unwrap_or_default();
                drop(state);
                bytes.clear();
                let began = Instant::now();
                let error = call(&mut bytes, &Ending(shared)).err();
                let lasted = began.elapsed();
                shared.tell(|state| {
                    state.is_held = one_by_one || error.is_some();
                    state.brought.push_back(CallResult { bytes, error, lasted, at_the_end: state.is_ending });
                });
            }
        };
        let spawned = overlapped::linux::spawn_without_signals(&format!("wait {name}"), run);
        let refused = |error| {
            Error::new(
                ErrorKind::Device,
                format!("cannot start the thread that waits for \"{name}\": {error}; end other programs"),
            )
        };
        spawned.map_err(refused)?;
        Ok(Self(shared))
    }

    /// The next result. `None` when the thread is gone and all was taken.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<CallResult>> {
        let mut state = self.0.lock();
        if let Some(brought) = state.brought.pop_front() {
            drop(state);
            self.0.changed.notify_all();
            return Poll::Ready(Some(brought));
        }
        if state.is_gone {
            return Poll::Ready(None);
        }
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next result that was not taken yet, without waiting.
    pub(super) fn take(&self) -> Option<CallResult> {
        self.0.lock().brought.pop_front()
    }

    /// Gives the buffer of a used result back, for a later call.
    pub(super) fn give_back(&self, bytes: Vec<u8>) {
        let mut state = self.0.lock();
        // At most 4 buffers are kept, since few results are in use at once.
        if state.spare.len() < 4 {
            state.spare.push(bytes);
        }
    }

    /// Lets the thread make the call again.
    pub(super) fn go_on(&self) {
        self.0.lock().is_held = false;
        self.0.changed.notify_all();
    }

    /// Lets the thread make no call until it is told to go on.
    pub(super) fn hold(&self) {
        self.0.lock().is_held = true;
    }

    /// Lets the thread end without a further call.
    pub(super) fn leave(&self) {
        self.0.lock().is_ending = true;
        self.0.changed.notify_all();
    }

    /// Waits until the thread is gone, or until the deadline. `make_it_answer` makes the driver answer the thread's
    /// call, and is repeated. Returns whether the thread is gone.
    pub(super) fn end(&self, deadline: Instant, mut make_it_answer: impl FnMut()) -> bool {
        self.leave();
        let mut pause = Duration::from_millis(1);
        loop {
            if self.0.lock().is_gone {
                return true;
            }
            make_it_answer();
            let left = deadline.saturating_duration_since(Instant::now());
            let state = self.0.lock();
            let waited = self.0.changed.wait_timeout_while(state, pause.min(left), |state| !state.is_gone);
            if waited.unwrap_or_else(PoisonError::into_inner).0.is_gone {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            pause = (2 * pause).min(Duration::from_millis(100));
        }
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    use overlapped::Port;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + PATIENCE
    }

    fn next(blocking: &Blocking) -> Option<CallResult> {
        let next = poll_fn(|cx| blocking.poll_next(cx));
        Port::global().unwrap().block_on_timeout(next, Duration::from_secs(20)).unwrap().expect("nothing comes")
    }

    /// A wait that gives each byte that is sent, and fails when the sender is dropped.
    fn fed(window: usize, one_by_one: bool) -> (Sender<u8>, Blocking) {
        let (sender, receiver): (_, Receiver<u8>) = channel();
        let blocking = Blocking::start("test", window, one_by_one, move |bytes, _| match receiver.recv() {
            Ok(byte) => {
                bytes.push(byte);
                Ok(())
            }
            Err(_) => Err(Error::new(ErrorKind::Device, "it was woken")),
        });
        (sender, blocking.unwrap())
    }

    #[test]
    fn results_of_a_blocking_call_come_in_order() {
        let (sender, blocking) = fed(4, false);
        (0..100).for_each(|byte| sender.send(byte).unwrap());
        for byte in 0..100 {
            let brought = next(&blocking).unwrap();
            assert!(brought.bytes == [byte] && brought.error.is_none() && !brought.at_the_end);
            blocking.give_back(brought.bytes);
        }
        drop(sender);
        assert_eq!(next(&blocking).unwrap().error.unwrap().to_string(), "it was woken");
    }

    #[test]
    fn calls_stop_while_their_results_are_not_taken() {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let blocking = Blocking::start("test", 3, false, move |_, _| {
            count.fetch_add(1, SeqCst);
            Ok(())
        });
        let blocking = blocking.unwrap();
        let begun = Instant::now();
        while calls.load(SeqCst) < 3 && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(30));
        assert_eq!(calls.load(SeqCst), 3);
        next(&blocking);
        while calls.load(SeqCst) < 4 && begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(30));
        assert_eq!(calls.load(SeqCst), 4);
        assert!(blocking.end(soon(), || {}), "a thread that is not in the driver ends by itself");
    }

    #[test]
    fn after_a_failure_and_one_by_one_it_waits_for_go_on() {
        let (sender, blocking) = fed(4, true);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(next(&blocking).unwrap().bytes, [1]);
        thread::sleep(Duration::from_millis(30));
        assert!(blocking.take().is_none(), "the second call was not made yet");
        blocking.go_on();
        assert_eq!(next(&blocking).unwrap().bytes, [2]);
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let failing = Blocking::start("test", 9, false, move |_, _| {
            count.fetch_add(1, SeqCst);
            Err(Error::new(ErrorKind::Device, "no"))
        });
        let failing = failing.unwrap();
        assert!(next(&failing).unwrap().error.is_some());
        thread::sleep(Duration::from_millis(30));
        assert_eq!(calls.load(SeqCst), 1);
    }

    #[test]
    fn a_call_is_ended_although_the_first_try_may_come_too_early() {
        for round in 0..200 {
            let (sender, blocking) = fed(4, false);
            let mut sender = Some(sender);
            if round % 2 == 0 {
                sender.as_ref().unwrap().send(7).unwrap();
                assert_eq!(next(&blocking).unwrap().bytes, [7]);
            }
            let mut asked = 0;
            let is_gone = blocking.end(soon(), || {
                asked += 1;
                // At the first try the thread may not have been in its call yet, so that try wakes nothing.
                if asked == 2 {
                    sender = None;
                }
            });
            assert!(is_gone);
            assert!(next(&blocking).is_none_or(|last| last.at_the_end && last.error.is_some()));
        }
    }

    #[test]
    fn a_driver_that_does_not_answer_is_left_behind() {
        let (sender, blocking) = fed(4, false);
        sender.send(1).unwrap();
        next(&blocking);
        // By then the thread is in its next call.
        thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        assert!(!blocking.end(soon(), || {}));
        assert!(began.elapsed() >= PATIENCE && began.elapsed() < 10 * PATIENCE);
        drop(blocking);
        // Its thread ends when the driver answers.
        drop(sender);
    }

    #[test]
    fn a_panic_ends_the_thread_and_is_seen() {
        let blocking = Blocking::start("test", 4, false, |_, _| panic!("somebody's fault")).unwrap();
        assert!(next(&blocking).is_none());
    }
}
