//! An inverted call that gives its results to a callback.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Wake, Waker};

use super::ring::Pop;
use crate::port;
use crate::system::foreign::{Running, off_the_dispatcher};
use crate::system::sync::lock_std as lock;
use crate::{Error, InvertedCall, Output, Reply};

/// A subscription to the results of an [`InvertedCall`]; made by [`InvertedCall::for_each`].
///
/// Dropping it ends the stream: after that no callback *starts*. [`stop`](Self::stop) also waits for a running
/// callback.
///
/// ```no_run
/// # fn example(events: overlapped::InvertedCall<u32>) {
/// let subscription = events.for_each(|event| println!("{event:?}"));
/// // …
/// subscription.stop();
/// # }
/// ```
#[must_use = "dropping it ends the stream"]
pub struct Subscription(
    /// Ends the stream. With `true` it also waits, as [`stop`](Subscription::stop) does.
    Box<dyn Fn(bool) + Send + Sync>,
);

/// The stream's waker: takes the items that are ready, on the dispatcher, and calls back with them.
struct Pump<Out: Output + ?Sized, F> {
    port: Arc<port::Inner>,
    /// `None` when the stream has ended.
    work: Mutex<Option<(InvertedCall<Out>, F)>>,
    /// How many wakes came since a thread began to run this; 0 when no thread does.
    wakes: AtomicUsize,
    stopped: AtomicBool,
    /// A thread waits in `stop` and will drop the stream, so that the handle is closed when `stop` returns.
    awaited: AtomicBool,
    /// The stream is dropped, and its calls are cancelled.
    gone: Mutex<bool>,
    is_gone: Condvar,
}

impl<Out, F> Pump<Out, F>
where
    Out: Output + ?Sized,
    F: FnMut(Result<Reply<Out>, Error>) + Send + 'static,
{
    /// One thread runs it at a time; a wake meanwhile makes that thread look once more.
    fn run(self: &Arc<Self>) {
        if self.wakes.fetch_add(1, SeqCst) != 0 {
            return;
        }
        let _running = Running::begin(Arc::as_ptr(self));
        loop {
            let seen = self.wakes.load(SeqCst);
            self.end_of(self.take());
            if self.wakes.compare_exchange(seen, 0, SeqCst, SeqCst).is_ok() {
                return;
            }
        }
    }

    /// Calls back with the items that are ready. `Some`: the stream has ended; drop this.
    fn take(&self) -> Option<(InvertedCall<Out>, F)> {
        let mut work = lock(&self.work);
        while let Some((stream, callback)) = &mut *work {
            if self.awaited.load(SeqCst) {
                return None;
            }
            if self.stopped.load(SeqCst) {
                break;
            }
            let taken = stream.ring.take_ready()?;
            // An item that becomes ready after this wakes the pump again.
            let was_last = matches!(&taken, Pop::Reply(.., next) if !next.take);
            let Some(result) = stream.item(taken) else { break };
            self.port.guarded(|| callback(result));
            if was_last && !self.stopped.load(SeqCst) {
                return None;
            }
        }
        work.take()
    }

    /// Drops the stream and the callback outside the lock, then reports that. Not on the dispatcher: dropping the
    /// stream may close the handle.
    fn end_of(self: &Arc<Self>, over: Option<(InvertedCall<Out>, F)>) {
        let Some((stream, callback)) = over else { return };
        let pump = self.clone();
        off_the_dispatcher(move || {
            // The figures are final, and the handle is closed, before the callback is dropped.
            drop(stream);
            // The callback's captures are foreign code: a destructor may panic, and may stop this very subscription.
            let _running = Running::begin(Arc::as_ptr(&pump));
            pump.port.guarded(|| drop(callback));
            *lock(&pump.gone) = true;
            pump.is_gone.notify_all();
        });
    }

    /// Ends the stream. With `wait`, waits for a running callback, and until the stream is dropped.
    fn stop(self: &Arc<Self>, wait: bool) {
        // A thread that runs or drops the callback cannot wait for the callback.
        let wait = wait && !self.port.is_dispatched_here() && !Running::is_here(Arc::as_ptr(self));
        self.awaited.fetch_or(wait, SeqCst);
        self.stopped.store(true, SeqCst);
        // In the child of a fork the stream belongs to the parent, and a thread of the parent may hold its locks.
        if self.port.is_inherited() {
            return;
        }
        if wait {
            let over = lock(&self.work).take();
            let _running = Running::begin(Arc::as_ptr(self));
            self.end_of(over);
            // If the dispatcher has taken the stream, it is about to drop it.
            let _gone = self.is_gone.wait_while(lock(&self.gone), |gone| !*gone);
        } else {
            // Drop the stream here, since a port that nobody polls has no other thread. No callback starts any more.
            self.run();
        }
    }
}

impl<Out, F> Wake for Pump<Out, F>
where
    Out: Output + ?Sized,
    F: FnMut(Result<Reply<Out>, Error>) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        if self.port.runs_callbacks_here() {
            self.run();
        } else {
            let port = self.port.clone();
            port.run(Box::new(move || self.run()));
        }
    }
}

impl<Out: Output + ?Sized> InvertedCall<Out> {
    /// Calls `callback` with every result, on the thread that dispatches the port. The last one is the reason for the
    /// end. A callback delays other completions, so keep it short. A panic in it is caught, and counted in
    /// [`PortStats::panics`](crate::PortStats::panics).
    ///
    /// ```
    /// # fn example(device: &overlapped::Device, wait: overlapped::Ioctl<(), u32>) {
    /// let subscription = device.inverted(wait, &()).start().for_each(|event| match event {
    ///     Ok(levels) => println!("{:#x}", *levels),
    ///     Err(reason) => println!("the end: {reason}"),
    /// });
    /// // … and when it is enough:
    /// subscription.stop();
    /// # }
    /// ```
    ///
    /// # Errors
    /// The callback gets the errors of [`next`](Self::next).
    pub fn for_each(self, callback: impl FnMut(Result<Reply<Out>, Error>) + Send + 'static) -> Subscription {
        self.leave_to_the_dispatcher();
        let (port, ring) = (self.device.port.clone(), self.ring.clone());
        let pump = Arc::new(Pump {
            port,
            work: Mutex::new(Some((self, callback))),
            wakes: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            gone: Mutex::new(false),
            is_gone: Condvar::new(),
        });
        if ring.attach(Waker::from(pump.clone())) {
            // On the dispatcher, where callbacks run, and not here.
            let first = pump.clone();
            pump.port.run(Box::new(move || first.run()));
        }
        Subscription(Box::new(move |wait| pump.stop(wait)))
    }
}

impl Subscription {
    /// Ends the stream, waits for a callback that is running, and cancels every call. Inside the callback, and anywhere
    /// on the thread that dispatches the port, it does not wait.
    pub fn stop(self) {
        (self.0)(true);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        (self.0)(false);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
