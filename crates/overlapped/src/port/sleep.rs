//! [`Sleep`]: a future that is ready at a given time. The port's timers wake it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::inner::{Inner, Job};
use super::timers::{Alarm, Ended};
use crate::system::sync::lock_std as lock;
use crate::words::token::{InFlight, LOOK};

/// A future that is ready at a given time. [`Port::sleep`](crate::Port::sleep) makes one.
///
/// Await it in any executor, wait for it with [`Port::block_on`](crate::Port::block_on), or call
/// [`then`](Self::then) to run a callback at its end. It has no thread of its own: a thread that waits at the port
/// wakes it, or else the port's dispatcher does. Dropping it cancels it.
///
/// ```
/// use std::time::{Duration, Instant};
/// let port = overlapped::Port::global()?;
/// let mut sleep = port.sleep(Duration::from_millis(5));
/// port.block_on(&mut sleep)?;
/// sleep.reset(Instant::now() + Duration::from_millis(5)); // the same one once more
/// port.block_on(&mut sleep)?;
/// # Ok::<(), overlapped::Error>(())
/// ```
#[must_use = "it does nothing unless it is polled"]
pub struct Sleep {
    port: Arc<Inner>,
    /// `None`: it never ends.
    until: Option<Instant>,
    /// Its place among the port's timers, from its first poll to its end.
    place: Option<usize>,
}

impl Sleep {
    pub(super) fn new(port: Arc<Inner>, until: Option<Instant>) -> Self {
        Self { port, until, place: None }
    }

    /// Sets another end, earlier or later; `None`: it never ends. A sleep that has ended starts anew. Poll it after
    /// this: the new time takes effect with the next poll.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// let port = overlapped::Port::global()?;
    /// let mut sleep = port.sleep(Duration::from_secs(3600));
    /// sleep.reset(Instant::now());
    /// port.block_on(sleep)?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn reset(&mut self, until: impl Into<Option<Instant>>) {
        self.until = until.into();
    }

    /// Calls `callback` at the end of the sleep, on the thread that dispatches the port, like
    /// [`Call::then`](crate::Call::then). If nobody can poll a manual port any more, or in the child of a fork, the
    /// callback is dropped without a call.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let (tell, told) = std::sync::mpsc::channel();
    /// overlapped::Port::global()?.sleep(Duration::from_millis(5)).then(move || tell.send("it is time").unwrap());
    /// assert_eq!(told.recv(), Ok("it is time"));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn then(self, callback: impl FnOnce() + Send + 'static) {
        if let Some(until) = self.until
            && !self.port.is_inherited()
        {
            self.port.run_at(until, Box::new(callback));
        }
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take()
            && !self.port.is_inherited()
        {
            // Drop the alarm without a lock: that runs foreign code.
            drop(self.port.attend(self.port.timers.leave(place)));
            if self.port.has_dispatcher() && !self.port.turn.is_unattended() && !self.port.turn.is_free() {
                // The dispatcher may hold the turn only for this sleep. Make it look, so that it gives the turn up.
                self.port.queue.post(LOOK);
            }
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else {
            self.leave();
            return Poll::Pending;
        };
        if until <= Instant::now() {
            self.leave();
            return Poll::Ready(());
        }
        if self.port.is_inherited() {
            // In the child of a fork nobody dispatches the parent's port, so poll for the time.
            std::thread::sleep(Duration::from_millis(1));
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let is_attended = self.port.is_attended_here(cx);
        let Self { port, place, .. } = &mut *self;
        port.sleep(place, until, Alarm::Wake(cx.waker().clone()), is_attended);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Inner {
    /// Sets the end of a sleep. `is_attended`: this very thread waits for it, and will run its timer.
    fn sleep(self: &Arc<Self>, place: &mut Option<usize>, until: Instant, alarm: Alarm, is_attended: bool) {
        let is_over = |operation: InFlight| self.is_over(operation);
        let slept = self.timers.sleep(place, until, alarm, !is_attended, is_over);
        drop(slept.old);
        // If the turn is free, a thread that takes it later sees the new timer. But on a port that another event loop
        // polls, perhaps no thread takes it: wake the loop.
        let is_seen = self.is_led() && self.turn.is_free() && (is_attended || self.has_dispatcher());
        if !is_seen && (slept.is_first || slept.becomes_unattended && self.is_manual()) {
            self.queue.post(LOOK);
        }
        if slept.becomes_unattended && self.has_dispatcher() {
            self.turn.add_unattended();
            self.settle_turn();
        }
    }

    /// Runs a callback at this time, on a thread that runs callbacks.
    fn run_at(self: &Arc<Self>, until: Instant, callback: Box<dyn FnOnce() + Send>) {
        // Keep the lock while the sleep is added: `nobody_polls` sets its flag under it, and then drops the callbacks
        // that it finds.
        let jobs = self.is_manual().then(|| lock(&self.jobs));
        if jobs.as_ref().is_some_and(|jobs| jobs.nobody_polls) {
            drop(jobs);
            return self.give_up(Job::Run(callback));
        }
        self.sleep(&mut None, until, Alarm::Run(callback), false);
    }

    /// A sleep has ended, or was dropped: it does not need the dispatcher any more. Returns its alarm.
    fn attend(&self, ended: Ended) -> Option<Alarm> {
        if ended.was_unattended && self.has_dispatcher() {
            self.turn.remove_unattended();
        }
        ended.alarm
    }

    /// Runs the alarm of a sleep that has ended.
    pub(super) fn ring(self: &Arc<Self>, ended: Ended) {
        match self.attend(ended) {
            Some(Alarm::Wake(waker)) => self.guarded(|| waker.wake()),
            Some(Alarm::Run(callback)) => self.later(Job::Run(callback)),
            None => {}
        }
    }
}
