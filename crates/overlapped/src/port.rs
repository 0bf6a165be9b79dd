//! Ports: where completions arrive, and which thread dispatches them.
//!
//! A port knows operations by their slots and waiters, and devices by a trait (`port/devices.rs`). No file of this
//! layer knows what completes an operation, or what a call is.

mod devices;
mod dispatch;
mod dispatcher;
mod inner;
mod jobs;
pub(crate) mod queue;
mod sleep;
mod sleeper;
mod timers;
mod turn;
mod wait;

use std::fmt;
use std::future::Future;
#[cfg(all(target_os = "linux", not(miri)))]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::pin;
#[cfg(windows)]
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(crate) use devices::Device;
use inner::Kind;
pub(crate) use inner::{Inner, Slot, Waiter, Whose, inherited};
pub(crate) use queue::Queue;
pub use sleep::Sleep;
pub use wait::Relay;
pub(crate) use wait::block_on;

use crate::system::PerProcess;
use crate::system::dispatching;
use crate::system::sync::lock_std as lock;
use crate::{Error, ErrorKind, Operation};

/// Where completions arrive.
///
/// Every [`Device`](crate::Device) belongs to a port. By default that is the process-wide [`Port::global`]. A thread
/// that waits handles completions itself. A task, a callback or a timer has no waiting thread; one dispatcher thread
/// serves them all, and starts when it is first needed. However many calls are in flight, there is no other thread.
///
/// A [`Port::manual`] has no thread at all: completions are handled while you [`poll`](Port::poll). On Linux another
/// event loop, such as tokio's, can watch it: it is `AsFd`.
///
/// ```
/// use std::time::Duration;
/// use overlapped::Port;
/// let port = Port::manual()?;
/// assert_eq!(port.poll(Some(Duration::ZERO)), 0);
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Clone)]
pub struct Port {
    pub(crate) inner: Arc<Inner>,
    _handle: Arc<Handle>,
}

/// The user's handle of a port. Devices and calls keep the port, but not this: without it nobody can poll a manual
/// port.
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        // In the child of a fork a thread that does not exist there may hold the lock.
        if self.0.is_manual() && !self.0.is_inherited() {
            self.0.nobody_polls();
        }
    }
}

/// The figures of a port.
///
/// ```
/// let stats = overlapped::Port::manual()?.stats();
/// assert_eq!((stats.in_flight, stats.strays), (0, 0));
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortStats {
    /// Slots made so far: the most operations that were ever in flight at once, rounded up to a chunk.
    pub slots: usize,
    /// Slots in use: operations in flight, even if their callers have left; results that nobody has taken yet; and
    /// replies of records (`Reply<[T]>`) that still exist.
    pub in_flight: usize,
    /// Bytes of unused buffers, kept for later operations: at most 4 MiB, or as many as are in use, or twice the
    /// largest recent buffer, whichever is most. A buffer of up to 1 KiB may stay with its slot, and is not counted.
    pub idle_bytes: usize,
    /// Packets that named no operation in flight: late, doubled or foreign packets. They were only counted.
    pub strays: u64,
    /// Results that nobody took and no other call could get. They are the results of control codes and ioctls that had
    /// succeeded when their calls were dropped or timed out for good; and of reads of a stream that nobody read again
    /// before the device was closed.
    pub lost_results: u64,
    /// The bytes of these results.
    pub lost_bytes: u64,
    /// Wakers and callbacks that panicked. The panic was caught.
    pub panics: u64,
    /// Timers of calls and sleeps; some may belong to calls and sleeps that are over.
    pub timers: usize,
}

/// An operation in flight, as [`Port::pending`] lists it.
///
/// ```no_run
/// for call in overlapped::Port::global()?.pending() {
///     println!("{} on {:?} for {:?}", call.operation, call.device, call.age);
/// }
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PendingCall {
    /// The operation.
    pub operation: Operation,
    /// The device's name; `None` when the device is closed and its driver has not ended the operation yet.
    pub device: Option<Arc<str>>,
    /// How long ago it was submitted, in steps of 16 milliseconds. The clock wraps after two years.
    pub age: Duration,
}

impl Port {
    /// How long a driver may take to end a call that was cancelled at its timeout: one second. If the result comes
    /// within that time, it is still delivered; after that the call ends with [`ErrorKind::TimedOut`].
    ///
    /// ```
    /// assert_eq!(overlapped::Port::GRACE_PERIOD.as_secs(), 1);
    /// ```
    pub const GRACE_PERIOD: Duration = dispatch::GRACE_PERIOD;

    /// The process-wide port. A thread that waits, for example in [`Call::wait`](crate::Call::wait) or
    /// [`block_on`](Self::block_on), handles completions until its own has come. It runs wakers, but no callbacks.
    ///
    /// The dispatcher, a thread named `overlapped`, starts with the first call that no thread waits for: one with a
    /// callback, one that a task awaits, a dropped one that is not over, an inverted call (unless it is [armed by its
    /// consumer](crate::InvertedCallBuilder::armed_by_consumer)); or with the first timer. While there is none of
    /// these, it sleeps. On Linux it blocks all signals. If the system cannot start the thread, the next such call,
    /// callback or wait tries again; until then callbacks and tasks wait, but waiting threads go on.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system cannot make the port. The next call tries again.
    pub fn global() -> Result<Self, Error> {
        // The child of a fork has its own: nobody dispatches the parent's, and a thread may have held its lock.
        static GLOBAL: PerProcess<Mutex<Option<Port>>> = PerProcess::new();
        let mut global = lock(GLOBAL.get());
        if let Some(port) = &*global {
            return Ok(port.clone());
        }
        crate::system::pin_module();
        let port = Self::of(Inner::new(Kind::Dispatched)?);
        *global = Some(port.clone());
        Ok(port)
    }

    fn of(inner: Arc<Inner>) -> Self {
        Self { _handle: Arc::new(Handle(inner.clone())), inner }
    }

    /// The system's thread pool: its threads handle completions, several at once. The process has one such port. Use it
    /// when callbacks take long: a callback that waits for another completion delays nobody, and is not reported as
    /// [`ErrorKind::Deadlock`].
    ///
    /// One thread of the pool waits at the port. Before it handles its packet, it makes the next thread wait. Handles
    /// are not bound with `CreateThreadpoolIo`: that corrupts memory when another program's operation on a duplicate of
    /// the handle completes.
    ///
    /// ```
    /// # fn example() -> Result<(), overlapped::Error> {
    /// let port = overlapped::Port::system_pool()?;
    /// let card = overlapped::Device::options().port(&port).open(r"\\.\Card0")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system has no memory for it.
    #[cfg(windows)]
    pub fn system_pool() -> Result<Self, Error> {
        /// It is never dropped, so that a thread of the pool always finds it.
        static POOL: OnceLock<Arc<Inner>> = OnceLock::new();
        static MAKING: Mutex<()> = Mutex::new(());
        let wait_once = || {
            if let Some(port) = POOL.get() {
                port.dispatch(None, Whose::All, None);
            }
        };
        let _making = lock(&MAKING);
        if let Some(made) = POOL.get() {
            return Ok(Self::of(made.clone()));
        }
        crate::system::pin_module();
        let queue = Queue::pool(wait_once).map_err(|code| Error::from_code(code, Operation::Port))?;
        let port = POOL.get_or_init(|| Inner::with(queue, Kind::Pool));
        port.queue.hand_over();
        Ok(Self::of(port.clone()))
    }

    /// A port without a thread: you must [`poll`](Self::poll) it.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Port, Status, Ioctl, Method};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").pend(CODE);
    /// let port = Port::manual()?;
    /// let card = Device::simulated_on(&port, script.clone())?; // a real one: `Device::options().port(&port).open(…)`
    /// # let (tell, told) = std::sync::mpsc::channel();
    /// card.call(WAIT_CHANGE, &()).then(move |change| {
    /// #   tell.send(()).unwrap();
    ///     println!("{change:?}");
    /// });
    /// # script.complete(CODE, Status::SUCCESS, [0; 4]);
    /// # let mut frames = 0;
    /// # let mut the_game_runs = || { frames += 1; frames < 3 };
    /// while the_game_runs() {
    ///     port.poll(Some(std::time::Duration::ZERO)); // the callbacks run here, and nowhere else
    ///     // … draw
    /// }
    /// # told.try_recv().unwrap();
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system cannot make the port.
    pub fn manual() -> Result<Self, Error> {
        Ok(Self::of(Inner::new(Kind::Manual)?))
    }

    /// Handles completions: waits at most `timeout` for the first one (`None`: without a limit), then takes all that
    /// are there. Returns how many packets were handled, wake-ups and callbacks included.
    ///
    /// One thread polls at a time; another one waits for its turn, within its timeout. On a port with a dispatcher, and
    /// inside a waker or a callback of the port, it returns 0 at once.
    ///
    /// ```
    /// use overlapped::Port;
    /// # use std::time::Duration;
    /// # let port = Port::manual()?;
    /// let is_there_anything = port.poll(Some(Duration::ZERO)) > 0;
    /// let in_ten_milliseconds = port.poll(Some(Duration::from_millis(10))) > 0;
    /// # assert!(!is_there_anything && !in_ten_milliseconds);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn poll(&self, timeout: Option<Duration>) -> usize {
        if !self.inner.is_manual() || self.inner.must_not_wait_here() || self.inner.is_inherited() {
            return 0;
        }
        let now = timeout == Some(Duration::ZERO);
        // A poll without a timeout does not read the clock: in a busy loop that would cost as much as the rest.
        let deadline = timeout.filter(|_| !now).and_then(|timeout| Instant::now().checked_add(timeout));
        let turn = self.inner.take_turn(None, now, deadline, Whose::All).or_else(|| self.inner.miss_turn());
        let count = turn.map_or(0, |_turn| {
            let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let looks = now || self.inner.is_woken();
            self.inner.dispatch(if looks { Some(Duration::ZERO) } else { left() }, Whose::All, None)
        });
        if !now {
            self.inner.has_returned();
        }
        count
    }

    /// Makes a [`poll`](Self::poll) that waits return, from any thread.
    ///
    /// ```
    /// let port = overlapped::Port::manual()?;
    /// let elsewhere = port.clone();
    /// std::thread::spawn(move || elsewhere.wake());
    /// port.poll(None); // returns, though nothing is in flight
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn wake(&self) {
        // In the child of a fork nobody polls it.
        if !self.inner.is_inherited() {
            self.inner.wake_polls();
        }
    }

    /// Runs `future` to its end on this thread, and handles completions meanwhile. On a manual port this also runs
    /// callbacks; on any other port it leaves them to the dispatcher.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method, Port, Status};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let script = Script::new("card").answer(CODE, Status::SUCCESS, [5, 0, 0, 0]);
    /// let port = Port::manual()?;
    /// let card = Device::simulated_on(&port, script)?;
    /// let sum = port.block_on(async {
    ///     let (first, second) = (card.call(WAIT_CHANGE, &()), card.call(WAIT_CHANGE, &()));
    ///     Ok::<_, overlapped::Error>(*first.await? + *second.await?)
    /// })??;
    /// assert_eq!(sum, 10);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Deadlock`] inside a waker or a callback of this port, or inside nested ones of eight other ports.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.block_on_timeout(future, None).map(|ready| ready.expect("without a deadline it is ready when it returns"))
    }

    /// [`block_on`](Self::block_on) for at most `timeout`, then `None`. A future that is ready at the end of `timeout`
    /// is still returned.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let port = overlapped::Port::global()?;
    /// let never = port.block_on_timeout(std::future::pending::<()>(), Duration::from_millis(5))?;
    /// assert_eq!(never, None);
    /// assert_eq!(port.block_on_timeout(async { 7 }, Duration::ZERO)?, Some(7));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`block_on`](Self::block_on).
    pub fn block_on_timeout<T>(
        &self,
        future: impl Future<Output = T>,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<Option<T>, Error> {
        let deadline = timeout.into().and_then(|timeout| Instant::now().checked_add(timeout));
        let mut future = pin!(future);
        if self.inner.must_not_wait_here() {
            return match future.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(ready) => Ok(Some(ready)),
                Poll::Pending => Err(Error::new(ErrorKind::Deadlock, Operation::Port)
                    .hint("this thread dispatches completions; await the future instead")),
            };
        }
        // On a manual port this thread polls, so it runs the callbacks too.
        let whose = if self.inner.is_manual() { Whose::All } else { Whose::NOBODY };
        Ok(self.inner.drive(deadline, whose, |cx| future.as_mut().poll(cx)))
    }

    /// A future that is ready when `time` has passed from now. A thread that waits at the port wakes it, or else the
    /// port's dispatcher does. A manual port must be polled for that.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # async fn example(port: &overlapped::Port) {
    /// let begun = Instant::now();
    /// port.sleep(Duration::from_millis(5)).await;
    /// assert!(begun.elapsed() >= Duration::from_millis(5));
    /// # }
    /// # let port = overlapped::Port::global()?;
    /// # port.block_on(example(&port))?;
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(Instant::now().checked_add(time))
    }

    /// A future that is ready at the time `until`, like [`sleep`](Self::sleep). `None`: never, unless it is
    /// [reset](Sleep::reset).
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// let port = overlapped::Port::global()?;
    /// let mut next = Instant::now();
    /// for _ in 0..3 {
    ///     next += Duration::from_millis(2); // a beat that does not drift
    ///     port.block_on(port.sleep_until(next))?;
    /// }
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    pub fn sleep_until(&self, until: impl Into<Option<Instant>>) -> Sleep {
        Sleep::new(self.inner.clone(), until.into())
    }

    /// For a future with many parts that polls each part with its own waker, `relay`, which in turn wakes `waker`.
    /// While the return value exists, `relay` stands for `waker`. So if a thread waits for the whole future, that
    /// thread also dispatches the calls of the parts, and no dispatcher starts for them.
    ///
    /// If a thread [waited](Self::waits_for) for such a future at the last poll, and none does now, the future must
    /// poll all of its parts again. Otherwise a part that was not woken still relies on that thread.
    ///
    /// ```
    /// # use std::task::{Context, Poll, Waker};
    /// # use overlapped::Port;
    /// fn poll_a_part(
    ///     cx: &mut Context<'_>,
    ///     its_own: &Waker,
    ///     part: impl FnOnce(&mut Context<'_>) -> Poll<()>,
    /// ) -> Poll<()> {
    ///     let _relay = Port::relay(cx.waker(), its_own);
    ///     part(&mut Context::from_waker(its_own))
    /// }
    /// # let cx = &mut Context::from_waker(Waker::noop());
    /// # assert!(poll_a_part(cx, Waker::noop(), |_| Poll::Ready(())).is_ready());
    /// ```
    pub fn relay(waker: &Waker, relay: &Waker) -> Relay {
        Relay::new(waker, relay)
    }

    /// Whether this thread waits at a port for the future that it polls now with this waker, and so dispatches for it,
    /// for example in [`block_on`](Self::block_on) or [`wait_next`](crate::InvertedCall::wait_next). In a task it is
    /// `false`.
    ///
    /// ```
    /// # use std::task::Poll;
    /// let port = overlapped::Port::global()?;
    /// assert!(port.block_on(std::future::poll_fn(|cx| Poll::Ready(overlapped::Port::waits_for(cx.waker()))))?);
    /// assert!(!overlapped::Port::waits_for(std::task::Waker::noop()));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn waits_for(waker: &Waker) -> bool {
        wait::waits_for(waker)
    }

    /// Whether this thread is running a waker or a callback of some port. If so, it must not wait for another
    /// completion of that port, which it might have to dispatch itself. On the threads of the system's pool it is
    /// `false`, since they may wait.
    ///
    /// ```
    /// assert!(!overlapped::Port::is_dispatching());
    /// ```
    #[must_use]
    pub fn is_dispatching() -> bool {
        dispatching::is_dispatching()
    }

    /// A snapshot of the operations in flight, oldest first. It shows a driver that never completes. In the child of a
    /// fork it is empty, since the port belongs to the parent.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method, Port};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let port = Port::manual()?;
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated_on(&port, script)?;
    /// let change = card.call(WAIT_CHANGE, &());
    /// for call in port.pending() {
    ///     println!("{} on {:?} for {:?}", call.operation, call.device, call.age);
    /// }
    /// # assert_eq!(port.pending()[0].device.as_deref(), Some("card"));
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn pending(&self) -> Vec<PendingCall> {
        if self.inner.is_inherited() {
            return Vec::new();
        }
        let in_flight = |slot: &&Slot| slot.machine.in_flight().is_some();
        let mut pending: Vec<_> = (self.inner.slab.iter().map(|(_, slot)| slot).filter(in_flight))
            .map(|slot| PendingCall {
                operation: slot.operation(),
                device: self.inner.devices.name(slot.device()),
                age: slot.age(),
            })
            .collect();
        pending.sort_by_key(|call| std::cmp::Reverse(call.age));
        pending
    }

    /// The figures of the port. In the child of a fork they are 0, since the port belongs to the parent.
    ///
    /// ```
    /// # use overlapped::{sim::Script, Access, CtlCode, Device, Ioctl, Method, Port};
    /// # const CODE: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Read);
    /// # // SAFETY: a scripted device writes no more than it is given room for.
    /// # const WAIT_CHANGE: Ioctl<(), u32> = unsafe { Ioctl::new(CODE) };
    /// # let port = Port::manual()?;
    /// # let script = Script::new("card").pend(CODE);
    /// # let card = Device::simulated_on(&port, script)?;
    /// let waits = [(); 3].map(|()| card.call(WAIT_CHANGE, &()));
    /// assert_eq!(port.stats().in_flight, 3);
    /// # Ok::<(), overlapped::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> PortStats {
        if self.inner.is_inherited() {
            return PortStats::default();
        }
        let census = self.inner.slab.census();
        PortStats {
            slots: census.slots,
            in_flight: census.in_flight(),
            idle_bytes: self.inner.slab.idle.bytes(),
            strays: self.inner.strays.load(Relaxed),
            lost_results: self.inner.lost_results.load(Relaxed),
            lost_bytes: self.inner.lost_bytes.load(Relaxed),
            panics: self.inner.panics.load(Relaxed),
            timers: self.inner.timers.len(),
        }
    }
}

/// For another event loop that watches a manual port. The descriptor is readable while [`poll`](Port::poll) without a
/// timeout has something to do: posted packets, files, timers, or callbacks that a waiting thread has put off.
///
/// Each time the descriptor is readable, poll *until it returns 0*. A level-triggered loop (poll(2), GLib, libuv,
/// calloop) may poll less often, to serve its other sources: the descriptor stays readable while something is left. An
/// edge-triggered loop (`EPOLLET`, tokio's `AsyncFd`) gets no second event. While another thread waits on the port and
/// handles its completions, a poll finds nothing to do, and a level-triggered loop may poll in vain a few hundred
/// times.
///
/// ```
/// # use overlapped::{Device, Port};
/// # use rustix::event::{PollFd, PollFlags, poll};
/// # use std::{io::Write, time::Duration};
/// let port = Port::manual()?;
/// # let (reader, mut writer) = std::io::pipe()?;
/// let device = Device::from_fd_on(&port, reader)?;
/// # let (tell, told) = std::sync::mpsc::channel();
/// device.read(64).then(move |bytes| {
/// #     tell.send(bytes.as_ref().unwrap().len()).unwrap();
///     println!("{bytes:?}");
/// });
/// # writer.write_all(b"seven")?;
/// # let mut is_over = || told.try_recv() == Ok(5);
/// while !is_over() {
///     let mut files = [PollFd::new(&port, PollFlags::IN)]; // … and others
///     poll(&mut files, None)?;
///     while port.poll(Some(Duration::ZERO)) > 0 {} // the callbacks run here
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// On tokio a task polls the port, and other tasks await calls and streams as on any port:
///
/// ```
/// # use overlapped::{Device, Port};
/// # use std::{io::Write, time::Duration};
/// use tokio::io::{Interest, unix::AsyncFd};
///
/// async fn poll(port: Port) -> std::io::Result<()> {
///     // SAFETY: a port has one descriptor, and keeps it open.
///     let port = unsafe { AsyncFd::register_with_interest(port, Interest::READABLE) }?;
///     loop {
///         let mut readable = port.readable().await?;
///         while port.get_ref().poll(Some(Duration::ZERO)) > 0 {}
///         readable.clear_ready();
///     }
/// }
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # runtime.block_on(async {
/// #     let port = Port::manual()?;
/// #     let (reader, mut writer) = std::io::pipe()?;
/// #     let device = Device::from_fd_on(&port, reader)?;
/// #     let polling = tokio::spawn(poll(port));
/// #     let read = device.read(64);
/// #     writer.write_all(b"seven")?;
/// #     assert_eq!(&*read.await?, b"seven");
/// #     polling.abort();
/// #     Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Only watch the descriptor; do nothing else with it. The first request for it opens two more descriptors. If that
/// fails, the descriptor is readable all the time while a timer runs. It is useless on a port with a dispatcher, which
/// polls the port itself; and in the child of a fork, where it reports the events of the parent's port.
#[cfg(all(target_os = "linux", not(miri)))]
impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.queue.descriptor(self.inner.is_manual())
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("kind", &self.inner.kind).field("stats", &self.stats()).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::words::token::InFlight;

    #[test]
    fn packets_that_mean_nothing_are_counted() {
        let port = Port::manual().unwrap();
        for token in [0, 1, u64::MAX, InFlight::new(0, 1).token()] {
            port.inner.queue.post(token);
        }
        while port.stats().strays < 4 {
            assert!(port.poll(Some(Duration::from_secs(10))) > 0);
        }
        assert_eq!(port.stats().in_flight, 0);
    }
}
