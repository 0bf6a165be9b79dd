//! Ports: where completions arrive, and who dispatches them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::device;
use crate::slab::{Slab, Slot};
use crate::slot::{Completion, Generation, LAST_GENERATION, Recycle};
use crate::sys::{PerProcess, Queue};
use crate::timer::Timers;
use crate::{Error, ErrorKind, Operation};

/// Where completions arrive.
///
/// Every [`Device`](crate::Device) belongs to a port. Unless you say otherwise that is the process-wide
/// [`Port::global`], whose one dispatcher thread is started by the first device. However many calls are in flight, there
/// is no other thread.
///
/// A [`Port::manual`] has no thread at all: completions are handled while you [`poll`](Port::poll).
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
        // Callbacks that nobody will run; they may hold replies, which hold the port.
        let jobs = self.0.manual.then(|| lock(&self.0.jobs).take());
        drop(jobs);
    }
}

/// A count of what a port holds.
///
/// ```
/// let stats = overlapped::Port::manual()?.stats();
/// assert_eq!((stats.in_flight, stats.strays), (0, 0));
/// # Ok::<(), overlapped::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortStats {
    /// Slots made so far: the most operations that were ever in flight at once, rounded up to a chunk.
    pub slots: usize,
    /// Slots in use: operations in flight, also those whose caller has left; results that wait to be taken; and
    /// replies of records (`Reply<[T]>`) that are still held.
    pub in_flight: usize,
    /// Packets that named no operation in flight: late, doubled or foreign ones. They were counted and nothing else.
    pub strays: u64,
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
    /// How long ago it was submitted, to within the system's tick (a few milliseconds).
    pub age: Duration,
}

/// Wakes a thread in [`Port::block_on`]: it polls the port, or waits for its turn to.
struct Look {
    port: Arc<Inner>,
    woken: AtomicBool,
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.port.turn.look();
        // Whoever sleeps in the port is to look up. But if the port is dispatched here nobody sleeps in it.
        if !self.port.is_dispatched_here() {
            self.port.queue.post(LOOK);
        }
    }
}

/// Whose turn it is to poll a manual port.
#[derive(Default)]
struct Turn {
    taken: AtomicBool,
    /// Threads that wait for it: they are counted first, and then look again. Nobody is notified while there are none:
    /// that would be a system call for each poll.
    waiting: AtomicUsize,
    lock: Mutex<()>,
    free: Condvar,
}

impl Turn {
    /// Waits for the turn, until the deadline or until `enough`, which whoever makes it true says by [`look`](Self::look).
    fn take(&self, deadline: Option<Instant>, enough: impl Fn() -> bool) -> Option<Taken<'_>> {
        if !self.taken.swap(true, SeqCst) {
            return Some(Taken(self));
        }
        let mut guard = lock(&self.lock);
        self.waiting.fetch_add(1, SeqCst);
        let taken = loop {
            if !self.taken.swap(true, SeqCst) {
                break Some(Taken(self));
            }
            if enough() {
                break None;
            }
            guard = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.free.wait(guard).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break None,
                Some(left) => self.free.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        };
        self.waiting.fetch_sub(1, SeqCst);
        taken
    }

    fn look(&self) {
        if self.waiting.load(SeqCst) > 0 {
            // Who waits has the lock from its look on until it sleeps.
            drop(lock(&self.lock));
            self.free.notify_all();
        }
    }
}

/// The turn, until it is dropped.
struct Taken<'a>(&'a Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.store(false, SeqCst);
        self.0.look();
    }
}

/// What waits for an operation.
pub(crate) enum Waiter {
    /// Wake a task or a thread; it will look for itself.
    Wake(Waker),
    /// Hand the operation over, with the number its owner gave it.
    Arrive(Arc<dyn Arrival>, u64),
    /// Hand the operation over, once.
    Callback(Callback),
}

/// What is to run when an operation is complete, or expired; the operation belongs to it.
pub(crate) type Callback = Box<dyn FnOnce(&Arc<Inner>, InFlight) + Send>;

/// The owner of many operations, who is told of each one's completion.
pub(crate) trait Arrival: Send + Sync {
    /// The operation is complete and belongs to the receiver, who releases it.
    fn arrived(self: Arc<Self>, number: u64, port: &Arc<Inner>, operation: InFlight);
    /// Submits further, as was asked for by [`Inner::arm_later`].
    fn arm_again(self: Arc<Self>);
}

/// Names an operation, in one word: the slot and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InFlight(u64);

/// The high bit tells our packets from others': no address in user mode has it.
const OURS: u64 = 1 << 63;
/// With [`OURS`]: no completion, but the end of the operation's time.
const EXPIRE: u64 = 1 << 62;
/// Without [`OURS`]: nobody's completion, only a reason to look up. No address in user mode either.
pub(crate) const LOOK: u64 = 1 << 62;

impl InFlight {
    /// No operation.
    pub(crate) const NONE: Self = Self(0);

    #[inline]
    pub(crate) const fn new(index: u32, generation: Generation) -> Self {
        Self(OURS | (generation as u64) << 32 | index as u64)
    }

    /// The number of the slot.
    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    pub(crate) fn generation(self) -> Generation {
        (self.0 >> 32) as Generation & LAST_GENERATION
    }

    /// The value that travels through the kernel: never an address, so that nothing dangles when it comes back late.
    #[inline]
    pub(crate) fn token(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_token(token: u64) -> Option<Self> {
        (token & OURS != 0).then_some(Self(token & !EXPIRE))
    }
}

/// What the dispatcher is to do besides handling packets.
enum Job {
    Run(Box<dyn FnOnce() + Send>),
    Arm(Arc<dyn Arrival>),
}

pub(crate) struct Inner {
    /// Distinguishes this port's operations from those of others.
    pub(crate) id: u64,
    /// Not dropped while the kernel may still write to a slot.
    pub(crate) slab: ManuallyDrop<Slab>,
    queue: Queue,
    manual: bool,
    turn: Turn,
    timers: Timers,
    /// `None` when nobody can poll a manual port any more.
    jobs: Mutex<Option<VecDeque<Job>>>,
    /// The devices of this port, by their numbers, for a listing.
    names: Mutex<HashMap<u64, Arc<str>>>,
    strays: AtomicU64,
    panics: AtomicU64,
}

thread_local! {
    /// The ports this thread is dispatching, by address: one inside of the other's wakers.
    static DISPATCHING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread dispatches a port, until this is dropped.
struct Dispatching;

impl Dispatching {
    fn begin(port: &Inner) -> Self {
        DISPATCHING.with_borrow_mut(|ports| ports.push(std::ptr::from_ref(port).addr()));
        Self
    }
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        DISPATCHING.with_borrow_mut(|ports| ports.pop());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs somebody's code. `None` when it panicked; the payload is left alone, since dropping it may panic too.
#[inline]
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(std::mem::forget).ok()
}

impl Port {
    /// The process-wide port, with one dispatcher thread named `overlapped`.
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
        crate::sys::pin_module();
        let port = Self::of(Inner::new(false)?);
        let inner = port.inner.clone();
        // Never joined: it may be inside somebody's waker, and the process may end at any time.
        let run = move || {
            loop {
                inner.dispatch(None);
            }
        };
        crate::sys::spawn("overlapped", run)
            .map_err(|_| Error::new(ErrorKind::Other, Operation::Port).hint("the dispatcher thread did not start"))?;
        *global = Some(port.clone());
        Ok(port)
    }

    fn of(inner: Arc<Inner>) -> Self {
        Self { _handle: Arc::new(Handle(inner.clone())), inner }
    }

    /// The system's thread pool: completions are handled on its threads, several at once, by the modern form of binding
    /// a handle to it (`CreateThreadpoolIo`). One such port serves the process. For programs whose callbacks take their
    /// time; a thread of the pool that waits is not reported as [`ErrorKind::Deadlock`].
    ///
    /// ```
    /// # fn example() -> Result<(), overlapped::Error> {
    /// let port = overlapped::Port::system_pool()?;
    /// let card = overlapped::Device::options().port(&port).open(r"\\.\Card0")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the system cannot make its timer.
    #[cfg(windows)]
    pub fn system_pool() -> Result<Self, Error> {
        crate::sys::pin_module();
        let queue = Queue::pool().map_err(|code| Error::from_code(code, Operation::Port))?;
        Ok(Self::of(crate::sys::windows::pool::port(|| Inner::with(queue, false))))
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
        Ok(Self::of(Inner::new(true)?))
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
        if !self.inner.manual || self.inner.is_dispatched_here() || self.inner.is_inherited() {
            return 0;
        }
        let now = timeout == Some(Duration::ZERO);
        // Who only looks does not ask for the time: in a busy loop that would cost as much as the rest.
        let deadline = timeout.filter(|_| !now).and_then(|timeout| Instant::now().checked_add(timeout));
        let Some(_turn) = self.inner.turn.take(deadline, || now) else { return 0 };
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.inner.dispatch(if now { timeout } else { left() })
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
        self.inner.queue.post(LOOK);
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
    /// [`ErrorKind::Deadlock`] inside of a waker or a callback of this port.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        let mut future = pin!(future);
        if self.inner.is_dispatched_here() {
            return Err(Error::new(ErrorKind::Deadlock, Operation::Port)
                .hint("this thread dispatches completions; await the future instead"));
        }
        if !self.inner.manual {
            return Ok(crate::call::block_on(|cx| future.as_mut().poll(cx)));
        }
        let look = Arc::new(Look { port: self.inner.clone(), woken: AtomicBool::new(false) });
        let waker = Waker::from(look.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Ok(value);
            }
            while !look.woken.swap(false, SeqCst) {
                // Another thread may be polling the port: then it handles our completion, and its waker wakes us.
                let turn = self.inner.turn.take(None, || look.woken.load(SeqCst));
                if turn.is_some() && !look.woken.load(SeqCst) {
                    self.inner.dispatch(None);
                }
            }
        }
    }

    /// Whether this thread is running a waker or a callback of some port: to wait there for another completion may be to
    /// wait for itself.
    ///
    /// ```
    /// assert!(!overlapped::Port::is_dispatching());
    /// ```
    #[must_use]
    pub fn is_dispatching() -> bool {
        DISPATCHING.try_with(|ports| !ports.borrow().is_empty()).unwrap_or(false)
    }

    /// What is in flight: so that a driver that never completes is visible. A snapshot, the oldest first.
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
        let names = lock(&self.inner.names);
        let in_flight = |slot: &&Slot| slot.machine.in_flight().is_some();
        let mut pending: Vec<_> = (self.inner.slab.iter().map(|(_, slot)| slot).filter(in_flight))
            .map(|slot| PendingCall {
                operation: slot.operation(),
                device: names.get(&slot.device()).cloned(),
                age: slot.age(),
            })
            .collect();
        pending.sort_by_key(|call| std::cmp::Reverse(call.age));
        pending
    }

    /// What the port holds.
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
        let census = self.inner.slab.census();
        PortStats {
            slots: census.slots,
            in_flight: census.in_flight(),
            strays: self.inner.strays.load(Relaxed),
            panics: self.inner.panics.load(Relaxed),
            timers: self.inner.timers.len(),
        }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("manual", &self.inner.manual).field("stats", &self.stats()).finish()
    }
}

impl Inner {
    fn new(manual: bool) -> Result<Arc<Self>, Error> {
        let queue = Queue::new().map_err(|code| Error::from_code(code, Operation::Port))?;
        Ok(Self::with(queue, manual))
    }

    fn with(queue: Queue, manual: bool) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Relaxed),
            slab: ManuallyDrop::new(Slab::new()),
            queue,
            manual,
            turn: Turn::default(),
            timers: Timers::default(),
            jobs: Mutex::new(Some(VecDeque::new())),
            names: Mutex::default(),
            strays: AtomicU64::new(0),
            panics: AtomicU64::new(0),
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
        self.manual
    }

    /// Whether this very thread is the one that would have to dispatch a completion.
    #[inline]
    pub(crate) fn is_dispatched_here(&self) -> bool {
        DISPATCHING.try_with(|ports| ports.borrow().contains(&std::ptr::from_ref(self).addr())).unwrap_or(false)
    }

    /// Lists a device by its name, or with `None` no more.
    pub(crate) fn name(&self, device: u64, name: Option<Arc<str>>) {
        let mut names = lock(&self.names);
        match name {
            Some(name) => names.insert(device, name),
            None => names.remove(&device),
        };
    }

    /// Runs `job` on the dispatcher.
    pub(crate) fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.later(Job::Run(job));
    }

    /// Has the dispatcher submit further for the owner of many calls.
    pub(crate) fn arm_later(&self, owner: Arc<dyn Arrival>) {
        self.later(Job::Arm(owner));
    }

    fn later(&self, job: Job) {
        let mut jobs = lock(&self.jobs);
        if let Some(jobs) = &mut *jobs {
            jobs.push_back(job);
            self.queue.post(LOOK);
        } else {
            // Not under the lock: it is somebody else's.
            drop(jobs);
            drop(job);
        }
    }

    /// At `at` the operation's time is over.
    pub(crate) fn at(&self, at: Instant, operation: InFlight, device: Weak<device::Inner>) {
        let is_over = |operation: InFlight| self.slot(operation).machine.in_flight() != Some(operation.generation());
        if self.timers.add(at, operation, device, is_over) {
            // It is the first to expire: the dispatcher must not sleep longer.
            self.queue.hurry(at);
        }
    }

    fn dispatch(self: &Arc<Self>, timeout: Option<Duration>) -> usize {
        if self.is_inherited() {
            return 0;
        }
        let mut tokens = [0; 64];
        let next = self.timers.next();
        let timeout = match next {
            Some(next) if timeout != Some(Duration::ZERO) => {
                let left = next.saturating_duration_since(Instant::now());
                Some(timeout.map_or(left, |timeout| timeout.min(left)))
            }
            _ => timeout,
        };
        let room = self.queue.room(|| self.in_flight());
        let count = self.queue.wait(&mut tokens, room, timeout);
        let _dispatching = Dispatching::begin(self);
        for token in &tokens[..count] {
            self.packet(*token);
        }
        if next.is_some() {
            self.run_timers();
        }
        count
    }

    /// Handles the timers that have expired.
    pub(crate) fn run_timers(self: &Arc<Self>) {
        while let Some((operation, device)) = self.timers.expired(Instant::now()) {
            self.overdue(operation, &device);
        }
        if let Some(at) = self.timers.next() {
            self.queue.next_timer(at);
        }
    }

    /// An operation's time is over: ask for its cancellation. What the driver completes because of it is queued before
    /// the packet that says that the caller shall not wait any more.
    fn overdue(self: &Arc<Self>, operation: InFlight, device: &Weak<device::Inner>) {
        if let Some(device) = device.upgrade()
            && self.slot(operation).machine.set_overdue(operation.generation())
        {
            device.cancel_pinned(operation);
            self.queue.post(operation.token() | EXPIRE);
        }
    }

    #[inline]
    pub(crate) fn packet(self: &Arc<Self>, token: u64) {
        if token == LOOK {
            let job = lock(&self.jobs).as_mut().and_then(VecDeque::pop_front);
            match job {
                Some(Job::Run(job)) => self.guarded(job),
                Some(Job::Arm(owner)) => self.guarded(|| owner.arm_again()),
                None => {}
            }
            return;
        }
        let known = InFlight::from_token(token).and_then(|op| Some((op, self.slab.get(op.index())?)));
        let Some((operation, slot)) = known else {
            self.strays.fetch_add(1, Relaxed);
            return;
        };
        let completion = if token & EXPIRE == 0 {
            slot.machine.complete(operation.generation())
        } else {
            Completion::Published(slot.machine.expire(operation.generation()))
        };
        match completion {
            Completion::Published(Some(waiter)) => self.guarded(|| match waiter {
                Waiter::Wake(waker) => waker.wake(),
                Waiter::Arrive(owner, number) => owner.arrived(number, self, operation),
                Waiter::Callback(callback) => callback(self, operation),
            }),
            Completion::Published(None) | Completion::Left => {}
            Completion::Recycle(how) => self.slab.give_back(slot, operation.index(), how),
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

    /// Gives the slot up, by its owner. What was borrowed from it is gone.
    #[inline]
    pub(crate) fn release(&self, operation: InFlight) {
        self.release_slot(self.slot(operation), operation);
    }

    /// [`release`](Self::release), for who knows the slot.
    #[inline]
    pub(crate) fn release_slot(&self, slot: &Slot, operation: InFlight) {
        if let Some(how) = slot.machine.release(operation.generation()) {
            self.give_back(slot, operation, how);
        }
    }

    pub(crate) fn give_back(&self, slot: &Slot, operation: InFlight, how: Recycle) {
        self.slab.give_back(slot, operation.index(), how);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A real driver may still write what it was given, however late: that memory is never freed.
        if self.slab.iter().all(|(_, slot)| slot.machine.in_flight().is_none()) {
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

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wake(_) => "Wake",
            Self::Arrive(..) => "Arrive",
            Self::Callback(_) => "Callback",
        })
    }
}

/// What every call says in the child of a fork, on a port of its parent.
pub(crate) fn inherited(what: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .hint("this process was forked, and its parent has the port: open the device again, on a port of this process")
}

/// Runs `close` here, or on a thread of its own if this thread dispatches a port: closing a handle runs the driver's
/// cleanup, which may take its time, and must not hold up everybody else's completions.
pub(crate) fn off_the_dispatcher(close: impl FnOnce() + Send + 'static) {
    if DISPATCHING.try_with(|ports| ports.borrow().is_empty()).unwrap_or(true) {
        return close();
    }
    // A thread that does not start gives its work back only so.
    let close = Arc::new(Mutex::new(Some(close)));
    let run = {
        let close = close.clone();
        move || {
            let close = lock(&close).take();
            if let Some(close) = close {
                close();
            }
        }
    };
    if crate::sys::spawn("overlapped-close", run.clone()).is_err() {
        run();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_slot_and_generation() {
        for (index, generation) in [(0, 1), (u32::MAX, LAST_GENERATION), (7, LAST_GENERATION - 7)] {
            let op = InFlight::new(index, generation);
            assert_eq!((op.index(), op.generation()), (index, generation));
            assert_eq!(InFlight::from_token(op.token()), Some(op));
            assert_eq!(InFlight::from_token(op.token() | EXPIRE), Some(op));
        }
        assert_eq!(InFlight::from_token(0x7fff_ffff_ffff), None, "an address is not one of our tokens");
    }

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
