//! Waiting at a port. A thread that waits takes the turn, and handles completions until it has its own result. This
//! file also counts the operations that no thread waits for.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::inner::{Inner, Sleeper, Slot, Whose};
use crate::words::token::{InFlight, LOOK};

thread_local! {
    /// A sleeper for the port on which this thread waited last, while no wait of this thread uses it.
    static SLEEPER: RefCell<Option<Arc<Sleeper>>> = const { RefCell::new(None) };
    /// The wait for which this thread polls now.
    static ATTENDED: Cell<Attended> = const { Cell::new(Attended { port: 0, waker: ptr::null(), polls: 0 }) };
}

/// The turn, until it is dropped.
pub(super) struct TurnGuard<'a>(pub(super) &'a Arc<Inner>);

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let port = self.0;
        // In the child of a fork the other threads do not exist, and one of them may have held a lock.
        if port.is_inherited() {
            return;
        }
        if port.turn.pass(|claim| port.has_jobs_for(claim)) {
            port.rouse_dispatcher();
        }
        // The outer loop's thread found the turn taken. Some of the completions that it was told of may be left, so
        // tell it again.
        if port.turn.take_missed() {
            port.queue.tell_again();
        }
    }
}

/// The wait in which a thread polls now.
#[derive(Clone, Copy)]
struct Attended {
    /// The address of the port at which the thread waits.
    port: usize,
    /// The data pointer of the thread's own waker.
    waker: *const (),
    /// How many polls of operations were not ready.
    polls: u32,
}

/// Restores the outer wait of this thread on drop.
struct Restore(Attended);

impl Drop for Restore {
    fn drop(&mut self) {
        ATTENDED.set(self.0);
    }
}

/// Makes a waker stand for another one until this is dropped. [`Port::relay`](crate::Port::relay) makes one.
///
/// ```
/// # use std::task::Waker;
/// let relay = overlapped::Port::relay(Waker::noop(), Waker::noop());
/// drop(relay);
/// ```
#[derive(Debug)]
#[must_use = "the waker stands for the other one only until this is dropped"]
pub struct Relay {
    /// The waker of this thread's wait, to be restored on drop, or `None`. It belongs to this thread, so this is not
    /// `Send`.
    before: Option<*const ()>,
}

impl Relay {
    pub(super) fn new(waker: &Waker, relay: &Waker) -> Self {
        let attended = ATTENDED.get();
        let waits = waits_for(waker);
        if waits {
            ATTENDED.set(Attended { waker: relay.data(), ..attended });
        }
        Self { before: waits.then_some(attended.waker) }
    }
}

/// Whether this thread waits for the future that it polls now with this waker.
pub(super) fn waits_for(waker: &Waker) -> bool {
    let attended = ATTENDED.get();
    attended.port != 0 && ptr::eq(attended.waker, waker.data())
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(waker) = self.before {
            ATTENDED.set(Attended { waker, ..ATTENDED.get() });
        }
    }
}

/// Takes this thread's unused sleeper. In the destructor of a thread-local value, it may be gone already.
fn kept() -> Option<Arc<Sleeper>> {
    SLEEPER.try_with(RefCell::take).ok().flatten()
}

fn keep(sleeper: Arc<Sleeper>) {
    let _ = SLEEPER.try_with(|kept| kept.replace(Some(sleeper)));
}

/// Polls until the future is ready, and sleeps in between. Another thread handles the completions.
pub(crate) fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_until(None, poll).expect("without a deadline it is ready when it returns")
}

/// Like [`block_on`], but at most until the deadline. A result that is ready at the deadline is still taken.
fn block_on_until<T>(deadline: Option<Instant>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    let sleeper = kept().unwrap_or_else(|| Sleeper::new(Weak::new()));
    let waker = Waker::from(sleeper.clone());
    let mut cx = Context::from_waker(&waker);
    let mut is_over = false;
    let ready = loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            break Some(value);
        }
        if is_over {
            break None;
        }
        sleeper.sleep(deadline);
        is_over = !sleeper.take_wake();
    };
    keep(sleeper);
    ready
}

/// A future may poll again and again, and never let its thread wait. After this many polls that were not ready, the
/// thread handles completions.
const POLLS: u32 = 64;

/// How long a thread whose timeout is zero still waits for the turn, if there are callbacks for it to run.
const A_MOMENT: Duration = Duration::from_millis(1);

impl Inner {
    /// Polls until the future is ready or the deadline has passed, and handles completions meanwhile. A result that is
    /// ready at the deadline is still taken.
    pub(crate) fn drive<T>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        whose: Whose,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        if !self.is_led() || self.is_inherited() {
            return block_on_until(deadline, poll);
        }
        let sleeper =
            kept().filter(|sleeper| sleeper.is_of(self)).unwrap_or_else(|| Sleeper::new(Arc::downgrade(self)));
        // Forget wakes since the sleeper's last wait: the first poll sees their effects.
        sleeper.take_wake();
        let waker = Waker::from(sleeper.clone());
        let mut cx = Context::from_waker(&waker);
        let mut is_over = false;
        let driven = loop {
            if let Poll::Ready(value) = self.attending(&waker, || poll(&mut cx)) {
                break Some(value);
            }
            // The poll forked, and this is the child.
            if self.is_inherited() {
                return block_on_until(deadline, poll);
            }
            if is_over {
                break None;
            }
            // At the deadline the future is polled one last time.
            is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            self.serve(&sleeper, deadline, whose);
        };
        keep(sleeper);
        driven
    }

    /// Runs `poll` for a thread that waits at this port and has this waker. Operations polled in it need no dispatcher.
    fn attending<T>(&self, waker: &Waker, poll: impl FnOnce() -> T) -> T {
        let attended = Attended { port: ptr::from_ref(self).addr(), waker: waker.data(), polls: 0 };
        let _restore = Restore(ATTENDED.replace(attended));
        poll()
    }

    /// Whether this very thread waits for the operation that it polls now. It does if `cx` has the waker of the
    /// thread's wait; then the thread handles completions meanwhile. It does not if `cx` has another waker, even inside
    /// a wait: an executor may park the thread elsewhere, and a set of futures may move to another thread, and polls
    /// only the futures that were woken.
    ///
    /// Also handles the port's completions after every [`POLLS`] polls.
    pub(crate) fn is_attended_here(self: &Arc<Self>, cx: &Context<'_>) -> bool {
        let attended = ATTENDED.get();
        if attended.port != Arc::as_ptr(self).addr() || !ptr::eq(attended.waker, cx.waker().data()) {
            return false;
        }
        ATTENDED.set(Attended { polls: attended.polls.wrapping_add(1), ..attended });
        if attended.polls % POLLS == POLLS - 1 {
            self.look(Whose::NOBODY);
        }
        true
    }

    /// Handles the completions in the queue without waiting, unless another thread has the turn.
    fn look(self: &Arc<Self>, whose: Whose) {
        if self.turn.try_take() {
            let _turn = TurnGuard(self);
            self.dispatch(Some(Duration::ZERO), whose, None);
        }
    }

    /// Handles completions, or sleeps while another thread does, until this thread is woken or the deadline has passed.
    pub(super) fn serve(self: &Arc<Self>, sleeper: &Arc<Sleeper>, deadline: Option<Instant>, whose: Whose) {
        // Even if the future has woken itself, dispatch once, without sleeping.
        let now = sleeper.take_wake();
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Computed each time, since the thread may have waited in line for long.
        let sleep = || if now { Some(Duration::ZERO) } else { left() };
        while let Some(turn) = self.take_turn(Some(sleeper), sleep() == Some(Duration::ZERO), deadline, whose) {
            loop {
                let sleep = sleep();
                self.dispatch(sleep, whose, Some(sleeper));
                // If a waker forked, this also runs in the child.
                if sleeper.is_woken() || sleep == Some(Duration::ZERO) || self.is_inherited() {
                    return;
                }
                // Give the turn to a thread that may run the callbacks that this one has put off.
                if self.gives_way() {
                    break;
                }
            }
            drop(turn);
        }
    }

    /// Takes the turn, or waits in line for it until the deadline or until the thread is woken. `None`: it has no turn;
    /// if it was woken, another thread has handled its completion. With `now` it does not wait, except for
    /// [`A_MOMENT`] if there are callbacks that it may run.
    pub(super) fn take_turn(
        self: &Arc<Self>,
        sleeper: Option<&Arc<Sleeper>>,
        now: bool,
        mut deadline: Option<Instant>,
        whose: Whose,
    ) -> Option<TurnGuard<'_>> {
        if self.turn.try_take() {
            return Some(TurnGuard(self));
        }
        let has_jobs = self.has_jobs_for(whose);
        if has_jobs {
            let moment = Instant::now() + A_MOMENT;
            deadline = if now { Some(moment) } else { deadline.map(|deadline| deadline.max(moment)) };
        } else if now {
            return None;
        }
        let sleeper = &sleeper.cloned().unwrap_or_else(|| Sleeper::new(Arc::downgrade(self)));
        self.turn.line_up(whose, sleeper);
        self.settle_turn();
        if has_jobs {
            // Wake the thread with the turn, so that it gives the turn up.
            self.queue.post(LOOK);
        }
        if matches!(whose, Whose::All) && self.is_woken() {
            sleeper.wake_by_ref();
        }
        sleeper.sleep(deadline);
        let given = self.turn.leave_line(sleeper).then(|| TurnGuard(self));
        given.filter(|_| !sleeper.is_woken())
    }

    /// Makes polls return: the one with the turn, those in line, and those that are about to wait.
    pub(super) fn wake_polls(&self) {
        self.woken.store(true, SeqCst);
        self.turn.wake_in_line(|claim| matches!(claim, Whose::All));
        if !self.looks.swap(true, SeqCst) {
            self.queue.post(LOOK);
        }
    }

    /// Whether [`wake_polls`](Self::wake_polls) was called, and no waiting poll has returned since.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    /// A waiting poll returns: this ends the effect of [`wake_polls`](Self::wake_polls).
    pub(super) fn has_returned(&self) {
        self.woken.store(false, SeqCst);
    }

    /// Whether another thread should get this one's turn, because it may run callbacks that were put off.
    pub(super) fn gives_way(&self) -> bool {
        self.has_jobs() && self.turn.is_wanted(|claim| self.has_jobs_for(claim))
    }

    /// Takes the turn if it is free now. Otherwise the thread that has it will ring the queue's bell when it gives the
    /// turn up, so that an outer loop polls again.
    pub(super) fn miss_turn(self: &Arc<Self>) -> Option<TurnGuard<'_>> {
        self.turn.try_take_or_miss().then(|| TurnGuard(self))
    }

    /// Makes sure that the turn is not free while a thread needs it.
    pub(super) fn settle_turn(self: &Arc<Self>) {
        if self.turn.settle(|claim| self.has_jobs_for(claim)) {
            self.rouse_dispatcher();
        }
    }

    /// Counts this operation as one without a waiting thread: nobody waits for it, or perhaps not to its end.
    #[inline]
    pub(crate) fn unattended(self: &Arc<Self>, slot: &Slot, operation: InFlight) {
        if !self.has_dispatcher() || slot.machine.is_unattended() {
            return;
        }
        self.turn.add_unattended();
        if !slot.machine.set_unattended(operation.generation()) {
            // The operation is over.
            self.turn.remove_unattended();
        } else if self.turn.is_free() {
            self.settle_turn();
        }
    }

    /// The owner has dropped an operation in flight. Handles the completions in the queue at once: if the operation's
    /// own is among them, no dispatcher is needed.
    pub(crate) fn abandoned(self: &Arc<Self>, slot: &Slot, operation: InFlight, whose: Whose) {
        if !self.has_dispatcher() {
            return;
        }
        if !self.is_dispatched_here() {
            self.look(whose);
        }
        self.unattended(slot, operation);
    }

    /// An operation of a file has ended at once, but Windows may still queue a packet for it.
    #[cfg(windows)]
    pub(crate) fn stray_is_due(&self) {
        self.queue.strays().add();
    }

    /// Takes such packets out of the queue when there may be many. Runs neither callbacks nor wakers.
    #[cfg(windows)]
    pub(crate) fn take_strays(self: &Arc<Self>) {
        let strays = self.queue.strays();
        if strays.are_too_many() && self.is_led() && !self.must_not_wait_here() && self.turn.try_take() {
            let _turn = TurnGuard(self);
            strays.take_out(|| self.dispatch(Some(Duration::ZERO), Whose::NO_WAKERS, None));
        }
    }
}
