//! A port: its queue, its memory, its turn, and what it counts. What is done with it stands in the files above this one.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use super::devices::{Device, Devices};
use super::queue::Queue;
use super::sleeper::{self, Look};
use super::timers::Timers;
use super::turn;
use crate::operation::slab::{self, Slab};
use crate::operation::slot::Recycle;
use crate::operation::waiter;
use crate::system::dispatching::{self, Dispatching};
use crate::system::foreign::caught;
use crate::words::error::STREAM_READ;
use crate::words::token::{InFlight, LOOK};
use crate::{Error, ErrorKind, Operation, Status};

pub(super) type Sleeper = sleeper::Sleeper<Inner>;
pub(super) type Turn = turn::Turn<Inner, Whose>;

/// Who dispatches a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Threads that wait or poll, and nobody else.
    Manual,
    /// Threads that wait; and for what nobody waits for a dispatcher, which starts when it is first needed.
    Dispatched,
    /// The threads of the system's pool.
    #[cfg(windows)]
    Pool,
}

/// What waits for an operation of a port, and its owner of many; an operation's slot.
pub(crate) type Waiter = waiter::Waiter<Inner>;
pub(crate) type Slot = slab::Slot<Waiter>;
pub(super) type Arrival = dyn waiter::Arrival<Inner>;

/// Whose callbacks may run on a thread that handles completions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's: it is what the thread is there for.
    All,
    /// Nobody's but those of one owner of calls, by its address: the thread waits for that one, and may hold a lock that
    /// another's callback wants. Those wait until somebody polls the port.
    Of(usize),
    /// The same, and no wakers: the thread does not wait, it submits or drops calls. It may hold a lock that a waker wants.
    Only(usize),
}

impl Whose {
    /// A thread that waits for an operation with no callbacks at all.
    pub(crate) const NOBODY: Self = Self::Of(0);
    /// A thread that submits, or drops a call.
    pub(crate) const NO_WAKERS: Self = Self::Only(0);

    pub(super) fn may_run(self, waiter: &Waiter) -> bool {
        match (self, waiter) {
            (Self::All, _) | (Self::Of(_), Waiter::Wake(_)) => true,
            (_, Waiter::Arrive(owner, _)) => self.may_tell(owner),
            (_, Waiter::Callback(_) | Waiter::Wake(_)) => false,
        }
    }

    pub(super) fn may_tell(self, owner: &Arc<Arrival>) -> bool {
        match self {
            Self::All => true,
            Self::Of(address) => is_at(owner, address) || !owner.calls_back(),
            Self::Only(address) => is_at(owner, address),
        }
    }
}

fn is_at(owner: &Arc<Arrival>, address: usize) -> bool {
    Arc::as_ptr(owner).cast::<()>().addr() == address
}

/// What the dispatcher is to do besides handling packets.
pub(super) enum Job {
    Run(Box<dyn FnOnce() + Send>),
    Arm(Arc<Arrival>),
    /// An operation that is over, or expired, goes to who waits for it.
    Deliver(Waiter, InFlight),
}

impl Job {
    /// Whether a thread may run it that handles completions for these.
    pub(super) fn may_run(&self, whose: Whose) -> bool {
        match self {
            Self::Run(_) => whose == Whose::All,
            Self::Arm(owner) => whose.may_tell(owner),
            Self::Deliver(waiter, _) => whose.may_run(waiter),
        }
    }

    /// Whether only who polls the port may run it. Streams have their consumers besides.
    pub(super) fn is_callback(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Deliver(Waiter::Callback(_), _))
    }
}

#[derive(Default)]
pub(super) struct Jobs {
    pub(super) queue: VecDeque<Job>,
    pub(super) dispatcher: Dispatcher,
    /// Nobody can poll this manual port any more.
    pub(super) nobody_polls: bool,
}

/// The thread that dispatches a port for those who do not wait.
#[derive(Default)]
pub(super) enum Dispatcher {
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
    pub(super) queue: Queue,
    pub(super) kind: Kind,
    pub(super) turn: Turn,
    pub(super) timers: Timers,
    pub(super) jobs: Mutex<Jobs>,
    /// How many there are.
    pub(super) jobs_waiting: AtomicUsize,
    pub(super) devices: Devices,
    /// Somebody has made a poll return, and none has since.
    pub(super) woken: AtomicBool,
    /// A packet that makes a poll return is in the queue: one is enough.
    pub(super) looks: AtomicBool,
    pub(super) strays: AtomicU64,
    pub(super) lost_results: AtomicU64,
    pub(super) lost_bytes: AtomicU64,
    pub(super) panics: AtomicU64,
    /// What is lent to functions that take no token.
    #[cfg(windows)]
    pub(crate) loans: crate::operation::loans::Loans,
}

impl Inner {
    pub(super) fn new(kind: Kind) -> Result<Arc<Self>, Error> {
        let queue = Queue::new().map_err(|code| Error::from_code(code, Operation::Port))?;
        Ok(Self::with(queue, kind))
    }

    pub(super) fn with(queue: Queue, kind: Kind) -> Arc<Self> {
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
            woken: AtomicBool::new(false),
            looks: AtomicBool::new(false),
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
    pub(super) fn in_flight(&self) -> usize {
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
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn begin_dispatching(&self, whose: Whose) -> Option<Dispatching> {
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

/// What every call says in the child of a fork, on a port of its parent.
pub(crate) fn inherited(what: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .hint("this process was forked, and its parent has the port: open the device again, on a port of this process")
}

impl Look for Inner {
    fn look(&self) {
        // In the child of a fork the threads are not there, and one may have held a lock.
        if !self.is_inherited() {
            self.queue.post(LOOK);
        }
    }
}
