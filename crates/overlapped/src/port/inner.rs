//! The data of a port: its queue, memory, turn and counters. The other files of the port work on them.

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

/// Which threads dispatch a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only threads that wait or poll.
    Manual,
    /// Threads that wait; and for operations without a waiting thread a dispatcher, which starts at its first use.
    Dispatched,
    /// The threads of the system's pool.
    #[cfg(windows)]
    Pool,
}

/// The waiter, the slot, and the owner of many operations (a stream), with the types of this port.
pub(crate) type Waiter = waiter::Waiter<Inner>;
pub(crate) type Slot = slab::Slot<Waiter>;
pub(super) type Arrival = dyn waiter::Arrival<Inner>;

/// Which callbacks may run on a thread that handles completions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// All callbacks and wakers: the thread is the dispatcher, or polls the port.
    All,
    /// Wakers, and the callbacks of the stream at this address, for which the thread waits. The thread may hold a lock
    /// that another callback needs. So other callbacks are put off until a thread polls the port.
    Of(usize),
    /// As `Of`, but no wakers. The thread does not wait: it submits or drops calls, and may hold a lock that a waker
    /// needs.
    Only(usize),
}

impl Whose {
    /// For a thread that waits for an operation and runs no callbacks.
    pub(crate) const NOBODY: Self = Self::Of(0);
    /// For a thread that submits or drops a call.
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

/// What the dispatcher does besides handling packets.
pub(super) enum Job {
    Run(Box<dyn FnOnce() + Send>),
    Arm(Arc<Arrival>),
    /// Gives an operation that is over, or expired, to its waiter.
    Deliver(Waiter, InFlight),
}

impl Job {
    /// Whether a thread that handles completions for `whose` may run it.
    pub(super) fn may_run(&self, whose: Whose) -> bool {
        match self {
            Self::Run(_) => whose == Whose::All,
            Self::Arm(owner) => whose.may_tell(owner),
            Self::Deliver(waiter, _) => whose.may_run(waiter),
        }
    }

    /// Whether only a thread that polls the port may run it. A stream's jobs can also run on its consumer's thread.
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

/// The dispatcher of a port, for operations without a waiting thread.
#[derive(Default)]
pub(super) enum Dispatcher {
    #[default]
    None,
    /// It will find its jobs when it starts.
    Starts,
    Runs(Arc<Sleeper>),
}

pub(crate) struct Inner {
    /// Distinguishes this port's operations from those of others.
    pub(crate) id: u64,
    /// It is not dropped while the kernel may still write to a slot.
    pub(crate) slab: ManuallyDrop<Slab<Waiter>>,
    pub(super) queue: Queue,
    pub(super) kind: Kind,
    pub(super) turn: Turn,
    pub(super) timers: Timers,
    pub(super) jobs: Mutex<Jobs>,
    /// How many jobs there are.
    pub(super) jobs_waiting: AtomicUsize,
    pub(super) devices: Devices,
    /// A thread has asked the polls to return, and none has since.
    pub(super) woken: AtomicBool,
    /// A packet that makes a poll return is in the queue; one is enough.
    pub(super) looks: AtomicBool,
    pub(super) strays: AtomicU64,
    pub(super) lost_results: AtomicU64,
    pub(super) lost_bytes: AtomicU64,
    pub(super) panics: AtomicU64,
    /// The structures that are lent to functions that take no token.
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

    /// Whether this is the child of a fork, and the port belongs to the parent. Completions never arrive in the child.
    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        #[cfg(all(target_os = "linux", not(miri)))]
        return self.queue.is_inherited();
        #[cfg(not(all(target_os = "linux", not(miri))))]
        false
    }

    /// How many slots are in use, which is the most completions that can come now.
    pub(super) fn in_flight(&self) -> usize {
        self.slab.census().in_flight()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.kind == Kind::Manual
    }

    /// Whether there is a dispatcher for operations without a waiting thread.
    #[inline]
    pub(crate) fn has_dispatcher(&self) -> bool {
        self.kind == Kind::Dispatched
    }

    /// Whether waiting threads dispatch this port themselves.
    #[inline]
    pub(crate) fn is_led(&self) -> bool {
        matches!(self.kind, Kind::Manual | Kind::Dispatched)
    }

    /// Identifies the port among those that a thread dispatches.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn begin_dispatching(&self, whose: Whose) -> Option<Dispatching> {
        Dispatching::begin(self.address(), whose != Whose::All)
    }

    /// Whether this very thread is dispatching this port now.
    #[inline]
    pub(crate) fn is_dispatched_here(&self) -> bool {
        dispatching::dispatches(self.address())
    }

    /// Whether a wait on this thread would wait for itself, or nests too deep to poll the port.
    #[inline]
    pub(crate) fn must_not_wait_here(&self) -> bool {
        self.is_dispatched_here() || (self.is_led() && dispatching::is_deep())
    }

    /// Whether this very thread runs callbacks of this port now.
    #[inline]
    pub(crate) fn runs_callbacks_here(&self) -> bool {
        dispatching::runs_callbacks_of(self.address())
    }

    /// Lists an open device.
    pub(crate) fn list(&self, number: u64, name: Arc<str>, device: Weak<dyn Device>) {
        self.devices.list(number, name, device);
    }

    /// The device is closed.
    pub(crate) fn unlist(&self, number: u64) {
        self.devices.unlist(number);
        self.slab.idle.forget(number);
    }

    /// Counts lost results and their bytes.
    pub(crate) fn lost(&self, results: u64, bytes: u64) {
        self.lost_results.fetch_add(results, Relaxed);
        self.lost_bytes.fetch_add(bytes, Relaxed);
    }

    /// The operation in `slot` is over and belongs to the calling thread, and nobody will take its result. Passes the
    /// result on if possible, and otherwise counts it as lost. Returns whether it was passed on.
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

    /// The operation in `slot` is over and belongs to the calling thread. If it has a result, counts that as lost.
    pub(crate) fn lost_result(&self, slot: &Slot, operation: InFlight) {
        if slot.is_taken() {
            return;
        }
        // SAFETY: the operation is over and belongs to the caller, and the slot is not given back meanwhile.
        let (is_error, bytes) = unsafe {
            let (status, information) = self.result(slot, operation);
            (status.is_error(), slot.output(if status.is_error() { 0 } else { information }).len())
        };
        let has_result = match slot.operation() {
            STREAM_READ => bytes > 0,
            // A read at an offset can be repeated, and a write has no result.
            Operation::Read { .. } | Operation::Write { .. } => false,
            #[cfg(target_os = "linux")]
            Operation::Ready { .. } => false,
            _ => !is_error,
        };
        if has_result {
            self.lost(1, bytes as u64);
        }
    }

    /// Runs foreign code, and catches and counts a panic in it.
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
    /// As for [`Slot::status`], for this operation, which has this slot.
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

    /// The owner releases the slot. Nothing borrows from it any more.
    #[inline]
    pub(crate) fn release(&self, operation: InFlight) {
        self.release_slot(self.slot(operation), operation);
    }

    /// [`release`](Self::release) for a caller that has the slot.
    #[inline]
    pub(crate) fn release_slot(&self, slot: &Slot, operation: InFlight) {
        slot.taken();
        if let Some(how) = slot.machine.release(operation.generation()) {
            self.slab.give_back(slot, operation.index(), how);
        }
    }

    /// Gives back the slot of an operation that is over and whose owner has left.
    pub(crate) fn give_back(&self, slot: &Slot, operation: InFlight, how: Recycle) {
        self.left_over(slot, operation);
        self.slab.give_back(slot, operation.index(), how);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // If an operation is in flight, its driver may still write to the memory. Then the memory is never freed.
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

/// The error of each call in the child of a fork whose port belongs to the parent.
pub(crate) fn inherited(what: Operation) -> Error {
    Error::new(ErrorKind::Unsupported, what)
        .hint("open the device again in this process: it was forked, and the port belongs to its parent")
}

impl Look for Inner {
    fn look(&self) {
        // In the child of a fork the threads do not exist, and one may have held a lock.
        if !self.is_inherited() {
            self.queue.post(LOOK);
        }
    }
}
