//! Ports: where completions arrive, and who dispatches them.

mod devices;
pub(crate) mod queue;
mod sleeper;
mod timers;
mod turn;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
#[cfg(all(target_os = "linux", not(miri)))]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::pin;
#[cfg(windows)]
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use sleeper::Look;

use crate::error::STREAM_READ;
use crate::operation::waiter;
use crate::slab::{self, Slab};
use crate::slot::{Completion, Recycle};
use crate::sync::lock_std as lock;
use crate::system::PerProcess;
use crate::system::dispatching::{self, Dispatching};
use crate::system::foreign::caught;
use crate::words::token::{EXPIRE, InFlight, LOOK};
use crate::{Error, ErrorKind, Operation, Status};

pub(crate) use devices::Device;
use devices::Devices;
pub(crate) use queue::Queue;
use timers::{Due, Timers};

/// Where completions arrive.
///
/// Every [`Device`](crate::Device) belongs to a port. Unless you say otherwise that is the process-wide
/// [`Port::global`], whose one dispatcher thread is started by the first device. However many calls are in flight, there
/// is no other thread.
///
/// A [`Port::manual`] has no thread at all: completions are handled while you [`poll`](Port::poll). On Linux it can sit in
/// somebody else's loop, tokio's for one: it is `AsFd`.
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

/// What the user holds of a port. Devices and calls keep the port, not this: without it nobody can poll a manual port.
struct Handle(Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        // In the child of a fork the lock may be held by a thread that is not there.
        if self.0.is_manual() && !self.0.is_inherited() {
            self.0.nobody_polls();
        }
    }
}

/// A count of what a port holds.
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
    /// Slots in use: operations in flight, also those whose caller has left; results that wait to be taken; and
    /// replies of records (`Reply<[T]>`) that are still held.
    pub in_flight: usize,
    /// Bytes of buffers that no operation uses, and that are kept for the next ones: at most 4 MiB, or as many as are in
    /// use, or two of the largest of late, whichever is most. One of up to 1 KiB may stay with its slot, and is not counted.
    pub idle_bytes: usize,
    /// Packets that named no operation in flight: late, doubled or foreign ones. They were counted and nothing else.
    pub strays: u64,
    /// Results that nobody took, and that could not be given on: of control codes and ioctls whose calls were dropped,
    /// or timed out for good, when the driver had succeeded already; of reads of a stream that were not read again
    /// before the device was closed.
    pub lost_results: u64,
    /// Their bytes, in all.
    pub lost_bytes: u64,
    /// Wakers and callbacks that panicked. The panic was caught.
    pub panics: u64,
    /// Timeouts that are kept; some may be of calls that are over.
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
    /// What it is.
    pub operation: Operation,
    /// The device's name; `None` when the device is closed and its driver has not let go.
    pub device: Option<Arc<str>>,
    /// How long ago it was submitted, in steps of 16 milliseconds. After two years it begins again.
    pub age: Duration,
}

thread_local! {
    /// One that no wait of this thread uses now, for the port that it waited on last.
    static SLEEPER: RefCell<Option<Arc<Sleeper>>> = const { RefCell::new(None) };
    /// The port whose waiting thread this is, while it polls what it waits for; and how often it has found nothing.
    static ATTENDED: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

type Sleeper = sleeper::Sleeper<Inner>;
type Turn = turn::Turn<Inner, Whose>;

/// The turn, until it is dropped.
struct Taken<'a>(&'a Arc<Inner>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let port = self.0;
        if port.turn.pass(|claim| port.has_jobs_for(claim)) {
            port.rouse_dispatcher();
        }
    }
}

impl Look for Inner {
    fn look(&self) {
        // In the child of a fork the threads are not there, and one may have held a lock.
        if !self.is_inherited() {
            self.queue.post(LOOK);
        }
    }
}

/// Who dispatches a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Threads that wait or poll, and nobody else.
    Manual,
    /// Threads that wait; and for what nobody waits for a dispatcher, which starts when it is first needed.
    Dispatched,
    /// The threads of the system's pool.
    #[cfg(windows)]
    Pool,
}

/// After so many polls that found nothing, a future that does not let its thread wait has completions handled.
const POLLS: u32 = 64;

/// How long who has no time waits for the turn all the same, when there is something to run with it.
const A_MOMENT: Duration = Duration::from_millis(1);

/// What waits for an operation of a port, and its owner of many; an operation's slot.
pub(crate) type Waiter = waiter::Waiter<Inner>;
pub(crate) type Slot = slab::Slot<Waiter>;
type Arrival = dyn waiter::Arrival<Inner>;

/// What the dispatcher is to do besides handling packets.
enum Job {
    Run(Box<dyn FnOnce() + Send>),
    Arm(Arc<Arrival>),
    /// An operation that is over, or expired, goes to who waits for it.
    Deliver(Waiter, InFlight),
}

impl Job {
    /// Whether a thread may run it that handles completions for these.
    fn may_run(&self, whose: Whose) -> bool {
        match self {
            Self::Run(_) => whose == Whose::All,
            Self::Arm(owner) => whose.may_tell(owner),
            Self::Deliver(waiter, _) => whose.may_run(waiter),
        }
    }

    /// Whether only who polls the port may run it. Streams have their consumers besides.
    fn is_callback(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Deliver(Waiter::Callback(_), _))
    }
}

#[derive(Default)]
struct Jobs {
    queue: VecDeque<Job>,
    dispatcher: Dispatcher,
    /// Nobody can poll this manual port any more.
    nobody_polls: bool,
}

/// The thread that dispatches a port for those who do not wait.
#[derive(Default)]
enum Dispatcher {
    #[default]
    None,
    /// It looks for itself when it is there.
    Starts,
    Runs(Arc<Sleeper>),
}

pub(crate) struct Inner {
    /// Distinguishes this port's operations from those of others.
    pub(crate) id: u64,
    /// Not dropped while the kernel may still write to a slot.
    pub(crate) slab: ManuallyDrop<Slab<Waiter>>,
    queue: Queue,
    kind: Kind,
    turn: Turn,
    timers: Timers,
    jobs: Mutex<Jobs>,
    /// How many there are.
    jobs_waiting: AtomicUsize,
    devices: Devices,
    strays: AtomicU64,
    lost_results: AtomicU64,
    lost_bytes: AtomicU64,
    panics: AtomicU64,
    /// What is lent to functions that take no token.
    #[cfg(windows)]
    pub(crate) loans: crate::operation::loans::Loans,
}

/// Whose callbacks may run on a thread that handles completions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's: it is what the thread is there for.
    All,
    /// Nobody's but those of one owner of calls, by its address: the thread waits for that one, and may hold a lock that
    /// another's callback wants. Those wait until somebody polls the port.
    Of(usize),
}

impl Whose {
    /// A thread that waits for an operation with no callbacks at all.
    pub(crate) const NOBODY: Self = Self::Of(0);
}

/// Puts back whose waiting thread this is.
struct Restore((usize, u32));

impl Drop for Restore {
    fn drop(&mut self) {
        ATTENDED.set(self.0);
    }
}

impl Port {
    /// So long a driver may take to end a call that was cancelled because its time was over: a second. Until then its
    /// result, if it had happened, is still delivered; after that the caller is told [`ErrorKind::TimedOut`].
    ///
    /// ```
    /// assert_eq!(overlapped::Port::GRACE_PERIOD.as_secs(), 1);
    /// ```
    pub const GRACE_PERIOD: Duration = Duration::from_secs(1);

    /// The process-wide port, with one dispatcher thread named `overlapped`. On Linux that thread, where wakers and
    /// callbacks run, blocks all signals.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system cannot make the port or its thread. The next call tries again.
    pub fn global() -> Result<Self, Error> {
        // The child of a fork has its own: nobody dispatches its parent's, and somebody may have held its lock.
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

    /// The system's thread pool: completions are handled on its threads, several at once. One such port serves the
    /// process. For programs whose callbacks take their time: one that waits for another completion holds nobody up, and
    /// is not reported as [`ErrorKind::Deadlock`].
    ///
    /// One thread of the pool waits at the port, and has another take its place before it handles what came. Handles are
    /// not bound by `CreateThreadpoolIo`: that leaves memory corrupt when somebody else's operation on a duplicate of the
    /// handle completes.
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

    /// A port without a thread: somebody must [`poll`](Self::poll) it.
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
    /// [`ErrorKind::Other`] when the system cannot make one.
    pub fn manual() -> Result<Self, Error> {
        Ok(Self::of(Inner::new(Kind::Manual)?))
    }

    /// Handles completions: waits for the first one, at most `timeout` (`None`: as long as it takes), then takes what
    /// is there. Returns how many packets were handled, wake-ups and callbacks among them.
    ///
    /// One thread polls at a time; another one waits for its turn, as part of its timeout. On a port that has a
    /// dispatcher, and inside of a waker or a callback of the port, it returns 0 at once.
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
        // Who only looks does not ask for the time: in a busy loop that would cost as much as the rest.
        let deadline = timeout.filter(|_| !now).and_then(|timeout| Instant::now().checked_add(timeout));
        let Some(_turn) = self.inner.take_turn(None, now, deadline, Whose::All) else { return 0 };
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.inner.dispatch(if now { timeout } else { left() }, Whose::All, None)
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
            self.inner.queue.post(LOOK);
        }
    }

    /// Runs `future` to its end on this thread, handling completions meanwhile: for a manual port without a loop of its
    /// own. On a port that has a dispatcher it only waits.
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
    /// [`ErrorKind::Deadlock`] inside of a waker or a callback of this port, or inside of those of eight others.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.run(None, future).map(|ready| ready.expect("without a deadline it is ready when it returns"))
    }

    /// [`block_on`](Self::block_on), at most for `timeout`: `None` when that is over. What is ready then is still taken.
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
    pub fn block_on_timeout<T>(&self, future: impl Future<Output = T>, timeout: Duration) -> Result<Option<T>, Error> {
        self.run(Instant::now().checked_add(timeout), future)
    }

    fn run<T>(&self, deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<Option<T>, Error> {
        let mut future = pin!(future);
        if self.inner.must_not_wait_here() {
            return Err(Error::new(ErrorKind::Deadlock, Operation::Port)
                .hint("this thread dispatches completions; await the future instead"));
        }
        // On a manual port it is the one that polls, and runs the callbacks too.
        let whose = if self.inner.is_manual() { Whose::All } else { Whose::NOBODY };
        Ok(self.inner.drive(deadline, whose, |cx| future.as_mut().poll(cx)))
    }

    /// Whether this thread is running a waker or a callback of some port: to wait there for another completion may be to
    /// wait for itself. On the threads of the system's pool it is not, so there this is `false`.
    ///
    /// ```
    /// assert!(!overlapped::Port::is_dispatching());
    /// ```
    #[must_use]
    pub fn is_dispatching() -> bool {
        dispatching::is_dispatching()
    }

    /// What is in flight: so that a driver that never completes is visible. A snapshot, the oldest first. In the child of a
    /// fork nothing: it is its parent's.
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

    /// What the port holds. In the child of a fork nothing: it is its parent's.
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

/// A manual port in somebody else's loop: readable means that [`poll`](Port::poll) with no time to wait has something to
/// do. Posts, files, timers, and callbacks that were put off by a thread that merely waits are told of.
///
/// Each time the descriptor is readable, poll *until it returns 0*. A loop that is told of levels (poll(2), GLib, libuv,
/// calloop) may poll less often, so as to let others have their turn: what is left is told of again. One that is told of
/// edges (`EPOLLET`, tokio's `AsyncFd`) is not told again.
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
/// On tokio a task polls the port, and others await calls and streams as they do on any port:
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
/// Do nothing else with the descriptor than to watch it. The first time that it is asked for costs two more; if there are
/// none, then while a timer runs it is readable all the time. A port that has a dispatcher is polled by that: there the
/// descriptor is of no use. So it is in the child of a fork, where it tells of what happens to the parent's port.
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

impl Inner {
    fn new(kind: Kind) -> Result<Arc<Self>, Error> {
        let queue = Queue::new().map_err(|code| Error::from_code(code, Operation::Port))?;
        Ok(Self::with(queue, kind))
    }

    fn with(queue: Queue, kind: Kind) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Relaxed),
            slab: ManuallyDrop::new(Slab::new()),
            queue,
            kind,
            turn: Turn::new(),
            timers: Timers::default(),
            jobs: Mutex::default(),
            jobs_waiting: AtomicUsize::new(0),
            devices: Devices::default(),
            strays: AtomicU64::new(0),
            lost_results: AtomicU64::new(0),
            lost_bytes: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            #[cfg(windows)]
            loans: Default::default(),
        })
    }

    /// Whether this is the child of a fork, and the port its parent's: then its completions never arrive here.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        #[cfg(all(target_os = "linux", not(miri)))]
        return self.queue.is_inherited();
        #[cfg(not(all(target_os = "linux", not(miri))))]
        false
    }

    /// How many slots are in use: no more completions can come before others are submitted.
    fn in_flight(&self) -> usize {
        self.slab.census().in_flight()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.kind == Kind::Manual
    }

    /// Whether there is a dispatcher for what nobody waits for.
    #[inline]
    pub(crate) fn has_dispatcher(&self) -> bool {
        self.kind == Kind::Dispatched
    }

    /// Whether threads that wait dispatch this port themselves.
    #[inline]
    pub(crate) fn is_led(&self) -> bool {
        matches!(self.kind, Kind::Manual | Kind::Dispatched)
    }

    /// Names it among the ports that a thread dispatches.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn begin_dispatching(&self, whose: Whose) -> Option<Dispatching> {
        Dispatching::begin(self.address(), whose != Whose::All)
    }

    /// Whether this very thread is the one that would have to dispatch a completion.
    #[inline]
    pub(crate) fn is_dispatched_here(&self) -> bool {
        dispatching::dispatches(self.address())
    }

    /// Whether a wait on this very thread would be for itself, or for a port that it cannot poll so deep.
    #[inline]
    pub(crate) fn must_not_wait_here(&self) -> bool {
        self.is_dispatched_here() || (self.is_led() && dispatching::is_deep())
    }

    /// Whether callbacks of this port run on this very thread now.
    #[inline]
    pub(crate) fn runs_callbacks_here(&self) -> bool {
        dispatching::runs_callbacks_of(self.address())
    }

    /// Lists a device that is open.
    pub(crate) fn list(&self, number: u64, name: Arc<str>, device: Weak<dyn Device>) {
        self.devices.list(number, name, device);
    }

    /// The device is closed.
    pub(crate) fn unlist(&self, number: u64) {
        self.devices.unlist(number);
        self.slab.idle.forget(number);
    }

    /// Counts what nobody will take any more.
    pub(crate) fn lost(&self, results: u64, bytes: u64) {
        self.lost_results.fetch_add(results, Relaxed);
        self.lost_bytes.fetch_add(bytes, Relaxed);
    }

    /// The operation in `slot` is over and the caller's, and nobody will take its result: gives it on if that can be, and
    /// counts it else. Returns whether it was given on.
    pub(crate) fn left_over(&self, slot: &Slot, operation: InFlight) -> bool {
        let may_be_given_on = matches!(slot.operation(), STREAM_READ | Operation::Signal);
        if !slot.is_taken()
            && may_be_given_on
            && let Some(device) = self.devices.find(slot.device())
        {
            return device.takes_left_over(operation);
        }
        self.lost_result(slot, operation);
        false
    }

    /// The operation in `slot` is over and the caller's, and its result is lost, if it has one.
    pub(crate) fn lost_result(&self, slot: &Slot, operation: InFlight) {
        if slot.is_taken() {
            return;
        }
        // SAFETY: the operation is over and the caller's, and the slot is not given back meanwhile.
        let (is_error, bytes) = unsafe {
            let (status, information) = self.result(slot, operation);
            (status.is_error(), slot.output(if status.is_error() { 0 } else { information }).len())
        };
        let has_result = match slot.operation() {
            STREAM_READ => bytes > 0,
            // A read with a place can be made again; a write brings nothing.
            Operation::Read { .. } | Operation::Write { .. } => false,
            #[cfg(target_os = "linux")]
            Operation::Ready { .. } => false,
            _ => !is_error,
        };
        if has_result {
            self.lost(1, bytes as u64);
        }
    }

    /// Runs `job` on the dispatcher.
    pub(crate) fn run(self: &Arc<Self>, job: Box<dyn FnOnce() + Send>) {
        self.later(Job::Run(job));
    }

    /// Has the dispatcher submit further for the owner of many calls.
    pub(crate) fn arm_later(self: &Arc<Self>, owner: Arc<Arrival>) {
        self.later(Job::Arm(owner));
    }

    /// Hands an operation that is over to who waits for it, on the dispatcher.
    pub(crate) fn deliver(self: &Arc<Self>, waiter: Waiter, operation: InFlight) {
        self.later(Job::Deliver(waiter, operation));
    }

    fn later(self: &Arc<Self>, job: Job) {
        // In the child of a fork nobody dispatches it.
        if self.is_inherited() {
            return self.run_job(job);
        }
        let mut jobs = lock(&self.jobs);
        if jobs.nobody_polls && job.is_callback() {
            drop(jobs);
            return self.give_up(job);
        }
        jobs.queue.push_back(job);
        self.jobs_waiting.fetch_add(1, SeqCst);
        if self.has_dispatcher() {
            self.rouse(&mut jobs.dispatcher);
        } else {
            self.queue.post(LOOK);
        }
    }

    /// The last `Port` of a manual port is gone: its callbacks will not run; they may hold replies, which hold the port.
    fn nobody_polls(&self) {
        let mut jobs = lock(&self.jobs);
        jobs.nobody_polls = true;
        let all = std::mem::take(&mut jobs.queue).into_iter();
        let (callbacks, others): (VecDeque<_>, _) = all.partition(Job::is_callback);
        jobs.queue = others;
        self.jobs_waiting.store(jobs.queue.len(), SeqCst);
        drop(jobs);
        callbacks.into_iter().for_each(|job| self.give_up(job));
    }

    /// Drops a job, which is somebody else's; the result that it was to deliver has nobody.
    fn give_up(&self, job: Job) {
        if let Job::Deliver(_, operation) = job {
            let slot = self.slot(operation);
            if slot.machine.abandon(operation.generation()) {
                self.left_over(slot, operation);
                self.release_slot(slot, operation);
            }
        }
        self.guarded(|| drop(job));
    }

    /// At `at` the operation's time is over.
    pub(crate) fn at(self: &Arc<Self>, at: Instant, operation: InFlight, device: Weak<dyn Device>) {
        self.timer(at, operation, Due::Timeout(device));
    }

    /// At the end of the grace period a parked read waits no longer.
    pub(crate) fn parked(self: &Arc<Self>, operation: InFlight, device: Weak<dyn Device>) {
        self.timer(Instant::now() + Port::GRACE_PERIOD, operation, Due::Parked(device));
    }

    fn timer(self: &Arc<Self>, at: Instant, operation: InFlight, due: Due) {
        let is_over = |operation: InFlight| self.slot(operation).machine.in_flight() != Some(operation.generation());
        if self.timers.add(at, operation, due, is_over) {
            // It is the first to expire: the dispatcher must not sleep longer.
            self.queue.hurry();
        }
        self.unattended(self.slot(operation), operation);
    }

    /// Polls until it is ready, or the deadline is over, and handles completions meanwhile. What is ready at the deadline is
    /// still taken.
    pub(crate) fn drive<T>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        whose: Whose,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        if !self.is_led() || self.is_inherited() {
            return crate::call::block_on_until(deadline, poll);
        }
        let sleeper = self.sleeper();
        let waker = Waker::from(sleeper.clone());
        let mut cx = Context::from_waker(&waker);
        let mut is_over = false;
        let driven = loop {
            if let Poll::Ready(value) = self.attending(|| poll(&mut cx)) {
                break Some(value);
            }
            // It forked, and this is the child.
            if self.is_inherited() {
                return crate::call::block_on_until(deadline, poll);
            }
            if is_over {
                break None;
            }
            // At the deadline there is one last look.
            is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            self.serve(&sleeper, deadline, whose);
        };
        let _ = SLEEPER.try_with(|kept| kept.replace(Some(sleeper)));
        driven
    }

    /// A sleeper for a wait of this thread.
    fn sleeper(self: &Arc<Self>) -> Arc<Sleeper> {
        // In a destructor of the thread's own values there may be no cell any more.
        let kept = SLEEPER.try_with(RefCell::take).ok().flatten();
        kept.filter(|sleeper| sleeper.is_of(self)).unwrap_or_else(|| Sleeper::new(self))
    }

    /// Polls for a thread that waits here: whatever it waits for needs no dispatcher.
    fn attending<T>(&self, poll: impl FnOnce() -> T) -> T {
        let _restore = Restore(ATTENDED.replace((std::ptr::from_ref(self).addr(), 0)));
        poll()
    }

    /// Whether this thread waits for what it polls now, and has found to be pending. A future that polls on and on, and
    /// never lets its thread wait, has the port's completions handled now and then all the same.
    pub(crate) fn is_attended_here(self: &Arc<Self>) -> bool {
        let (port, polls) = ATTENDED.get();
        if port != std::ptr::from_ref(&**self).addr() {
            return false;
        }
        ATTENDED.set((port, polls.wrapping_add(1)));
        if polls % POLLS == POLLS - 1 && self.turn.try_take() {
            let _turn = Taken(self);
            self.dispatch(Some(Duration::ZERO), Whose::NOBODY, None);
        }
        true
    }

    /// Handles completions, or sleeps until another thread does, until this thread is woken or the deadline is over.
    fn serve(self: &Arc<Self>, sleeper: &Arc<Sleeper>, deadline: Option<Instant>, whose: Whose) {
        // What wakes itself lets the port have its turn, too.
        let now = sleeper.take_wake();
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut sleep = if now { Some(Duration::ZERO) } else { left() };
        while let Some(turn) = self.take_turn(Some(sleeper), sleep == Some(Duration::ZERO), deadline, whose) {
            loop {
                self.dispatch(sleep, whose, Some(sleeper));
                if now || sleeper.is_woken() || sleep == Some(Duration::ZERO) {
                    return;
                }
                sleep = left();
                if self.gives_way() {
                    // To a thread that may run what this one has put off.
                    break;
                }
            }
            drop(turn);
        }
    }

    /// Takes the turn, or stands in line for it until the deadline, or until it is woken: then another thread has handled
    /// what it waits for. Without time it does not stand in line, unless there is something to run with the turn: that is
    /// worth a moment.
    fn take_turn(
        self: &Arc<Self>,
        sleeper: Option<&Arc<Sleeper>>,
        now: bool,
        mut deadline: Option<Instant>,
        whose: Whose,
    ) -> Option<Taken<'_>> {
        if self.turn.try_take() {
            return Some(Taken(self));
        }
        let has_jobs = self.has_jobs_for(whose);
        if has_jobs {
            let moment = Instant::now() + A_MOMENT;
            deadline = if now { Some(moment) } else { deadline.map(|deadline| deadline.max(moment)) };
        } else if now {
            return None;
        }
        let sleeper = &sleeper.cloned().unwrap_or_else(|| Sleeper::new(self));
        self.turn.line_up(whose, sleeper);
        self.settle_turn();
        if has_jobs {
            // Whoever has the turn and sleeps gives way.
            self.queue.post(LOOK);
        }
        sleeper.sleep(deadline);
        let given = self.turn.leave_line(sleeper).then(|| Taken(self));
        given.filter(|_| !sleeper.is_woken())
    }

    /// Whether another thread is to have this one's turn, since it may run what was put off.
    fn gives_way(&self) -> bool {
        self.has_jobs() && self.turn.is_wanted(|claim| self.has_jobs_for(claim))
    }

    /// Sees to it that the turn is not free while somebody needs it.
    fn settle_turn(self: &Arc<Self>) {
        if self.turn.settle(|claim| self.has_jobs_for(claim)) {
            self.rouse_dispatcher();
        }
    }

    /// Nobody waits for an operation, or may not wait for it until its end.
    #[inline]
    pub(crate) fn unattended(self: &Arc<Self>, slot: &Slot, operation: InFlight) {
        if !self.has_dispatcher() || slot.machine.is_unattended() {
            return;
        }
        self.turn.add_unattended();
        if !slot.machine.set_unattended(operation.generation()) {
            // It is over.
            self.turn.remove_unattended();
        } else if self.turn.is_free() {
            self.settle_turn();
        }
    }

    /// Its owner has left an operation in flight. What is over already is handled at once, so that a program whose threads
    /// wait needs no dispatcher for that.
    pub(crate) fn abandoned(self: &Arc<Self>, slot: &Slot, operation: InFlight) {
        if !self.has_dispatcher() {
            return;
        }
        if !self.is_dispatched_here() && self.turn.try_take() {
            let _turn = Taken(self);
            self.dispatch(Some(Duration::ZERO), Whose::NOBODY, None);
        }
        self.unattended(slot, operation);
    }

    fn rouse_dispatcher(self: &Arc<Self>) {
        self.rouse(&mut lock(&self.jobs).dispatcher);
    }

    /// Wakes the dispatcher, or starts it.
    fn rouse(self: &Arc<Self>, dispatcher: &mut Dispatcher) {
        match dispatcher {
            Dispatcher::Runs(sleeper) => sleeper.wake_by_ref(),
            Dispatcher::Starts => {}
            Dispatcher::None => {
                let port = self.clone();
                // Never joined: it may be inside somebody's waker, and the process may end at any time.
                if crate::system::spawn("overlapped", move || port.run_as_dispatcher()).is_ok() {
                    *dispatcher = Dispatcher::Starts;
                } else if self.turn.take_dispatchers() {
                    // The next one that needs it tries again. Until then threads that wait have the turn.
                    self.turn.give_back();
                }
            }
        }
    }

    /// What the dispatcher does, for ever.
    fn run_as_dispatcher(self: &Arc<Self>) {
        crate::system::pin_module();
        let sleeper = Sleeper::new(self);
        lock(&self.jobs).dispatcher = Dispatcher::Runs(sleeper.clone());
        loop {
            sleeper.take_wake();
            self.run_jobs();
            if self.turn.take_dispatchers() {
                let _turn = Taken(self);
                while self.turn.is_unattended() {
                    sleeper.take_wake();
                    // Who adds one after this wakes the sleeper.
                    let sleep = self.has_jobs().then_some(Duration::ZERO);
                    self.dispatch(sleep, Whose::All, Some(&sleeper));
                }
            } else if !self.has_jobs() {
                sleeper.sleep(None);
            }
        }
    }

    pub(crate) fn dispatch(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        whose: Whose,
        sleeper: Option<&Arc<Sleeper>>,
    ) -> usize {
        if self.is_inherited() {
            return 0;
        }
        let mut tokens = [0; 64];
        let next = self.timers.next();
        let all = matches!(whose, Whose::All);
        let only_looks = timeout == Some(Duration::ZERO);
        // Some that were put off by a thread that only waited, perhaps.
        let is_due = self.is_manual() && self.has_jobs() && (all || self.run_jobs_of(whose) > 0 || self.gives_way());
        let timeout = if is_due { Some(Duration::ZERO) } else { timeout };
        let timeout = match next {
            Some(next) if timeout != Some(Duration::ZERO) => {
                let left = next.saturating_duration_since(Instant::now());
                Some(timeout.map_or(left, |timeout| timeout.min(left)))
            }
            _ => timeout,
        };
        let room = self.queue.room(|| self.in_flight());
        let may_sleep = sleeper.is_none_or(|sleeper| sleeper.enter_queue());
        let count = self.queue.wait(&mut tokens, room, if may_sleep { timeout } else { Some(Duration::ZERO) });
        if let Some(sleeper) = sleeper {
            sleeper.leave_queue();
        }
        // A thread of the system's pool has another one wait from now on, and may do here what it likes.
        let is_free = self.hand_over();
        let dispatching = if is_free { None } else { self.begin_dispatching(whose) };
        if dispatching.is_none() && !is_free {
            // So deep nobody nests; the packets are for who is further out.
            tokens[..count].iter().for_each(|token| self.queue.post(*token));
            return 0;
        }
        for token in &tokens[..count] {
            self.handle(*token, whose);
        }
        if next.is_some() {
            self.run_timers();
        }
        let count = if all { count.max(self.run_jobs()) } else { count };
        // Who polls without waiting does so until nothing is left.
        let comes_again = all && only_looks;
        self.queue.tell_others(count > 0 && !comes_again, !all && self.has_jobs(), || self.timers.next());
        count
    }

    fn has_jobs(&self) -> bool {
        self.jobs_waiting.load(SeqCst) > 0
    }

    /// Whether there are some that such a thread may run.
    fn has_jobs_for(&self, whose: Whose) -> bool {
        self.has_jobs() && lock(&self.jobs).queue.iter().any(|job| job.may_run(whose))
    }

    /// Runs the jobs that are there now. What they add is for the next time, after the packets that have come by then.
    fn run_jobs(self: &Arc<Self>) -> usize {
        let count = self.jobs_waiting.load(SeqCst);
        (0..count).take_while(|_| self.run_a_job()).count()
    }

    fn run_a_job(self: &Arc<Self>) -> bool {
        let job = self.take_job(|_| true);
        job.map(|job| self.run_job(job)).is_some()
    }

    /// Takes the first job of these, and counts it off before anybody else can count.
    fn take_job(&self, of_these: impl Fn(&Job) -> bool) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let at = jobs.queue.iter().position(of_these)?;
        self.jobs_waiting.fetch_sub(1, SeqCst);
        jobs.queue.remove(at)
    }

    /// Runs what was put off for an owner of calls that calls nobody back any more.
    pub(crate) fn run_what_was_put_off(self: &Arc<Self>, address: usize) {
        if self.is_manual() && self.has_jobs() {
            self.run_jobs_of(Whose::Of(address));
        }
    }

    /// Runs the jobs that a thread may run which only waits, for one owner of calls.
    fn run_jobs_of(self: &Arc<Self>, whose: Whose) -> usize {
        let mut count = 0;
        while let Some(job) = self.take_job(|job| job.may_run(whose)) {
            let _dispatching = self.begin_dispatching(whose);
            self.run_job(job);
            count += 1;
        }
        count
    }

    fn run_job(self: &Arc<Self>, job: Job) {
        match job {
            Job::Run(job) => self.guarded(job),
            Job::Arm(owner) => self.guarded(|| owner.arm_again()),
            Job::Deliver(waiter, operation) => self.wake(waiter, operation),
        }
    }

    /// Tells who waits for an operation.
    #[inline]
    fn wake(self: &Arc<Self>, waiter: Waiter, operation: InFlight) {
        self.guarded(|| match waiter {
            Waiter::Wake(waker) => waker.wake(),
            Waiter::Arrive(owner, number) => owner.arrived(number, self, operation),
            Waiter::Callback(callback) => callback(self, operation),
        });
    }

    /// Has another thread of the system's pool wait from now on: then nobody waits for what this one does.
    fn hand_over(&self) -> bool {
        #[cfg(windows)]
        return self.queue.hand_over();
        #[cfg(not(windows))]
        false
    }

    /// Handles the timers that have expired.
    fn run_timers(self: &Arc<Self>) {
        while let Some((operation, due)) = self.timers.expired(Instant::now()) {
            match due {
                Due::Timeout(device) => self.overdue(operation, device),
                // What the driver completed until now is in the queue before this.
                Due::Grace => self.queue.post(operation.token() | EXPIRE),
                Due::Parked(device) => {
                    if let Some(device) = device.upgrade() {
                        device.was_parked_long_enough();
                    }
                }
            }
        }
    }

    /// An operation's time is over: ask for its cancellation. It ends then, in its own way; only a driver that does not
    /// react keeps its caller no longer than the grace period.
    fn overdue(self: &Arc<Self>, operation: InFlight, device: Weak<dyn Device>) {
        if self.slot(operation).machine.set_overdue(operation.generation()) {
            if let Some(device) = device.upgrade() {
                device.time_is_over(operation);
            }
            self.timer(Instant::now() + Port::GRACE_PERIOD, operation, Due::Grace);
        }
    }

    #[inline]
    fn handle(self: &Arc<Self>, token: u64, whose: Whose) {
        if token == LOOK {
            return;
        }
        let named = InFlight::from_token(token);
        #[cfg(windows)]
        let named = named.or_else(|| self.loans.completed(token));
        let known = named.and_then(|op| Some((op, self.slab.get(op.index())?)));
        let Some((operation, slot)) = known else {
            self.strays.fetch_add(1, Relaxed);
            return;
        };
        let completion = if token & EXPIRE == 0 {
            let (completion, was_unattended) = slot.machine.complete(operation.generation());
            if was_unattended {
                self.turn.remove_unattended();
            }
            completion
        } else {
            slot.machine.expire(operation.generation())
        };
        match completion {
            Completion::Published(Some(waiter)) if whose.may_run(&waiter) => self.wake(waiter, operation),
            Completion::Published(Some(waiter)) => self.deliver(waiter, operation),
            Completion::Published(None) | Completion::Left => {}
            Completion::Recycle(how) => self.give_back(slot, operation, how),
            Completion::Overtaken(waiter, how) => {
                self.give_back(slot, operation, how);
                self.guarded(|| drop(waiter));
            }
            Completion::Stray => drop(self.strays.fetch_add(1, Relaxed)),
        }
    }

    /// Runs somebody's code; a panic in it is not the dispatcher's.
    #[inline]
    pub(crate) fn guarded(&self, run: impl FnOnce()) {
        if caught(run).is_none() {
            self.panics.fetch_add(1, Relaxed);
        }
    }

    /// The slot of an operation of this port.
    #[inline]
    pub(crate) fn slot(&self, operation: InFlight) -> &Slot {
        self.slab.get(operation.index()).expect("an operation of this port has a slot of this port")
    }

    /// The result of an operation.
    ///
    /// # Safety
    /// As for [`Slot::status`], of this operation, which has this slot.
    pub(crate) unsafe fn result(&self, slot: &Slot, operation: InFlight) -> (Status, usize) {
        #[cfg(windows)]
        if slot.operation() == Operation::Function
            && let Some(ended) = self.loans.ended(operation)
        {
            return ended;
        }
        let _ = operation;
        // SAFETY: the caller's promise.
        unsafe { slot.status() }
    }

    /// Gives the slot up, by its owner. What was borrowed from it is gone.
    #[inline]
    pub(crate) fn release(&self, operation: InFlight) {
        self.release_slot(self.slot(operation), operation);
    }

    /// [`release`](Self::release), for who knows the slot.
    #[inline]
    pub(crate) fn release_slot(&self, slot: &Slot, operation: InFlight) {
        slot.taken();
        if let Some(how) = slot.machine.release(operation.generation()) {
            self.slab.give_back(slot, operation.index(), how);
        }
    }

    /// Gives back the slot of an operation that is over and whose owner has left, or left that to a canceller.
    pub(crate) fn give_back(&self, slot: &Slot, operation: InFlight, how: Recycle) {
        self.left_over(slot, operation);
        self.slab.give_back(slot, operation.index(), how);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A real driver may still write what it was given, however late: that memory is never freed.
        if self.slab.iter().all(|(_, slot)| slot.machine.in_flight().is_none()) {
            // SAFETY: nothing is in flight.
            #[cfg(windows)]
            unsafe {
                self.loans.free();
            }
            // SAFETY: this is the last use of the slab.
            unsafe { ManuallyDrop::drop(&mut self.slab) };
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("slab", &self.slab.census()).finish_non_exhaustive()
    }
}

/// What every call says in the child of a fork, on a port of its parent.
pub(crate) fn inherited(what: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .hint("this process was forked, and its parent has the port: open the device again, on a port of this process")
}

impl Whose {
    fn may_run(self, waiter: &Waiter) -> bool {
        match (self, waiter) {
            (Self::All, _) | (_, Waiter::Wake(_)) => true,
            (Self::Of(_), Waiter::Arrive(owner, _)) => self.may_tell(owner),
            (Self::Of(_), Waiter::Callback(_)) => false,
        }
    }

    fn may_tell(self, owner: &Arc<Arrival>) -> bool {
        match self {
            Self::All => true,
            Self::Of(address) => Arc::as_ptr(owner).cast::<()>().addr() == address || !owner.calls_back(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

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
