//! Waiting on a thread for what is polled: the thread dispatches completions meanwhile, and keeps the time of the
//! [`Sleep`](crate::timer::Sleep)s that it polls. So a program that only waits needs no other thread.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use overlapped::Port;

use crate::{Error, ErrorKind};

/// Why a wait gave nothing.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    Ready(T),
    TimedOut,
    /// This thread dispatches completions: nothing would ever wake it.
    Deadlock,
    /// There is no port to wait at.
    Failed(Error),
}

impl<T> Waited<Option<Result<T, Error>>> {
    /// What was waited for, or why it is not there.
    pub(crate) fn or_error(self, what: &str) -> Option<Result<T, Error>> {
        match self {
            Self::Ready(ready) => ready,
            Self::TimedOut => {
                Some(Err(Error::new(ErrorKind::TimedOut, format!("{what} did not come in the time it was given"))))
            }
            Self::Deadlock => {
                let message = format!("waiting for {what} on the thread that dispatches completions would never end");
                Some(Err(Error::new(ErrorKind::Deadlock, message)))
            }
            Self::Failed(error) => Some(Err(error)),
        }
    }
}

/// Who is to be woken, and when.
type Alarms = Vec<(Instant, Waker)>;

thread_local! {
    /// Those of the wait that this thread is in, if it is in one.
    static ALARMS: RefCell<Option<Alarms>> = const { RefCell::new(None) };
    /// Room for them, which no wait uses now.
    static ROOM: RefCell<Alarms> = const { RefCell::new(Vec::new()) };
}

/// Has `waker` woken at this time by the wait that this thread is in, and sooner if the wait ends before. `false`: it is
/// in none.
pub(crate) fn wakes_at(at: Instant, waker: &Waker) -> bool {
    with_alarms(|alarms| {
        if !alarms.iter().any(|(known_at, known)| *known_at == at && known.will_wake(waker)) {
            alarms.push((at, waker.clone()));
        }
    })
    .is_some()
}

fn with_alarms<T>(with: impl FnOnce(&mut Alarms) -> T) -> Option<T> {
    // In a destructor of the thread's own values there may be none any more.
    ALARMS.try_with(|alarms| alarms.borrow_mut().as_mut().map(with)).ok().flatten()
}

/// This thread is in a wait, until this is dropped. What it would have woken later it wakes then: from now on somebody else
/// has to keep the time.
struct Waiting {
    /// Those of the wait that this one is in.
    outer: Option<Alarms>,
}

impl Waiting {
    fn begin() -> Self {
        let room = ROOM.try_with(RefCell::take).unwrap_or_default();
        Self { outer: ALARMS.try_with(|alarms| alarms.replace(Some(room))).ok().flatten() }
    }

    /// When the first has to be woken.
    fn next() -> Option<Instant> {
        with_alarms(|alarms| alarms.iter().map(|(at, _)| *at).min()).flatten()
    }

    /// Wakes those whose time has come.
    fn ring() {
        if Self::next().is_none() {
            return;
        }
        let now = Instant::now();
        // Wakers are somebody else's code: one after the other, and not while the cell is borrowed.
        let due = |alarms: &mut Alarms| {
            let at = alarms.iter().position(|(at, _)| *at <= now)?;
            Some(alarms.swap_remove(at).1)
        };
        while let Some(waker) = with_alarms(due).flatten() {
            waker.wake();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let Some(mut alarms) = ALARMS.try_with(|alarms| alarms.replace(outer)).ok().flatten() else { return };
        alarms.drain(..).for_each(|(_, waker)| waker.wake());
        let _ = ROOM.try_with(|room| room.replace(alarms));
    }
}

/// Polls until it is ready, on this thread, at most for `timeout`.
pub(crate) fn wait<T>(timeout: Option<Duration>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Waited<T> {
    if Port::is_dispatching() {
        return match poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ready) => Waited::Ready(ready),
            Poll::Pending => Waited::Deadlock,
        };
    }
    let port = match Port::global() {
        Ok(port) => port,
        Err(error) => return Waited::Failed(error.into()),
    };
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let _waiting = Waiting::begin();
    loop {
        let next = Waiting::next();
        let until = next.into_iter().chain(deadline).min();
        let polled = poll_fn(|cx| {
            Waiting::ring();
            match poll(cx) {
                Poll::Ready(ready) => Poll::Ready(Some(ready)),
                // It sleeps no longer than those whom it has to wake.
                Poll::Pending if Waiting::next().is_some_and(|next| until.is_none_or(|until| next < until)) => {
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        });
        let waited = match until {
            None => port.block_on(polled).map(Some),
            Some(until) => port.block_on_timeout(polled, until.saturating_duration_since(Instant::now())),
        };
        match waited {
            Ok(Some(Some(ready))) => return Waited::Ready(ready),
            Ok(None) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => return Waited::TimedOut,
            Ok(Some(None) | None) => {}
            Err(_) => return Waited::Deadlock,
        }
    }
}

/// Waits on this thread for a future of this crate's, or of several, at most for `timeout`: `None` when that is over.
///
/// The thread dispatches completions meanwhile, and keeps the time of windows, filters and the like, as in
/// [`Request::wait_next`](crate::Request::wait_next): a program that only waits has no other thread.
///
/// ```
/// use std::time::Duration;
/// # let chip = linewake::Chip::options().life(false).open("sim")?;
/// let mut edges = chip.request().line("door").start()?;
/// chip.world().toggle("door", 1)?;
/// let edge = linewake::wait_for(Some(Duration::from_secs(5)), edges.next())?;
/// assert!(edge.is_some());
/// let none = linewake::wait_for(Some(Duration::from_millis(5)), edges.next())?;
/// assert!(none.is_none());
/// # Ok::<(), linewake::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Deadlock`] on a thread that dispatches completions, unless the future is ready; and what the system says.
pub fn wait_for<T>(timeout: Option<Duration>, future: impl Future<Output = T>) -> Result<Option<T>, Error> {
    let mut future = pin!(future);
    match wait(timeout, |cx| future.as_mut().poll(cx).map(|ready| Some(Ok(ready)))) {
        Waited::TimedOut => Ok(None),
        waited => waited.or_error("a future").transpose(),
    }
}
