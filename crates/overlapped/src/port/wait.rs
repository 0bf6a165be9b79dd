//! A thread that waits: it takes the turn, and handles completions until its own has come; and what nobody waits for.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::inner::{Inner, Sleeper, Slot, Whose};
use crate::words::token::{InFlight, LOOK};

thread_local! {
    /// One that no wait of this thread uses now, for the port that it waited on last.
    static SLEEPER: RefCell<Option<Arc<Sleeper>>> = const { RefCell::new(None) };
    /// What this thread polls now and waits for.
    static ATTENDED: Cell<Attended> = const { Cell::new(Attended { port: 0, waker: ptr::null(), polls: 0 }) };
}

/// The turn, until it is dropped.
pub(super) struct Taken<'a>(pub(super) &'a Arc<Inner>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let port = self.0;
        // In the child of a fork the others are not there, and one may have held a lock.
        if port.is_inherited() {
            return;
        }
        if port.turn.pass(|claim| port.has_jobs_for(claim)) {
            port.rouse_dispatcher();
        }
        // What came at the end of the turn was told of while nobody else could take it.
        if port.turn.take_missed() {
            port.queue.tell_again();
        }
    }
}

/// A thread polls what it waits for.
#[derive(Clone, Copy)]
struct Attended {
    /// The port at which it waits, by its address.
    port: usize,
    /// What its own waker points to.
    waker: *const (),
    /// How often it has found nothing.
    polls: u32,
}

/// Puts back what this thread polled before.
struct Restore(Attended);

impl Drop for Restore {
    fn drop(&mut self) {
        ATTENDED.set(self.0);
    }
}

/// While it is there, a waker stands for another one; made by [`Port::relay`](crate::Port::relay).
///
/// ```
/// # use std::task::Waker;
/// let relay = overlapped::Port::relay(Waker::noop(), Waker::noop());
/// drop(relay);
/// ```
#[derive(Debug)]
#[must_use = "the waker stands for the other one only as long as this is there"]
pub struct Relay {
    /// What this thread polled before, if that is to be put back. It is this thread's: so this is not `Send`.
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

/// Whether this thread waits for what it polls now with this waker.
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

/// A sleeper that no wait of this thread uses now. In a destructor of the thread's own values there may be none any more.
fn kept() -> Option<Arc<Sleeper>> {
    SLEEPER.try_with(RefCell::take).ok().flatten()
}

fn keep(sleeper: Arc<Sleeper>) {
    let _ = SLEEPER.try_with(|kept| kept.replace(Some(sleeper)));
}

/// Polls until it is ready, and sleeps in between: another thread handles the completions.
pub(crate) fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_until(None, poll).expect("without a deadline it is ready when it returns")
}

/// [`block_on`], at most until the deadline. What is ready then is still taken.
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

/// After so many polls that found nothing, a future that does not let its thread wait has completions handled.
const POLLS: u32 = 64;

/// How long who has no time waits for the turn all the same, when there is something to run with it.
const A_MOMENT: Duration = Duration::from_millis(1);

impl Inner {
    /// Polls until it is ready, or the deadline is over, and handles completions meanwhile. What is ready at the deadline is
    /// still taken.
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
        // What woke it since its last wait is looked at first of all.
        sleeper.take_wake();
        let waker = Waker::from(sleeper.clone());
        let mut cx = Context::from_waker(&waker);
        let mut is_over = false;
        let driven = loop {
            if let Poll::Ready(value) = self.attending(&waker, || poll(&mut cx)) {
                break Some(value);
            }
            // It forked, and this is the child.
            if self.is_inherited() {
                return block_on_until(deadline, poll);
            }
            if is_over {
                break None;
            }
            // At the deadline there is one last look.
            is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            self.serve(&sleeper, deadline, whose);
        };
        keep(sleeper);
        driven
    }

    /// Polls for a thread that waits here, and that this wakes: what it waits for needs no dispatcher.
    fn attending<T>(&self, waker: &Waker, poll: impl FnOnce() -> T) -> T {
        let attended = Attended { port: ptr::from_ref(self).addr(), waker: waker.data(), polls: 0 };
        let _restore = Restore(ATTENDED.replace(attended));
        poll()
    }

    /// Whether what was polled, and has left this waker, is waited for by this very thread, which handles completions
    /// meanwhile. With another waker it is not, though it was polled inside of a wait: an executor in there may park the
    /// thread elsewhere, and a set of futures that is taken along polls none that was not woken.
    ///
    /// A future that polls on and on, and never lets its thread wait, has the port's completions handled now and then all
    /// the same.
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

    /// Handles what is there, if nobody else does.
    fn look(self: &Arc<Self>, whose: Whose) {
        if self.turn.try_take() {
            let _turn = Taken(self);
            self.dispatch(Some(Duration::ZERO), whose, None);
        }
    }

    /// Handles completions, or sleeps until another thread does, until this thread is woken or the deadline is over.
    pub(super) fn serve(self: &Arc<Self>, sleeper: &Arc<Sleeper>, deadline: Option<Instant>, whose: Whose) {
        // What wakes itself lets the port have its turn, too.
        let now = sleeper.take_wake();
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Each time anew: it may have stood in line for long.
        let sleep = || if now { Some(Duration::ZERO) } else { left() };
        while let Some(turn) = self.take_turn(Some(sleeper), sleep() == Some(Duration::ZERO), deadline, whose) {
            loop {
                let sleep = sleep();
                self.dispatch(sleep, whose, Some(sleeper));
                // Or a waker forked, and this is the child.
                if sleeper.is_woken() || sleep == Some(Duration::ZERO) || self.is_inherited() {
                    return;
                }
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
    pub(super) fn take_turn(
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
        let sleeper = &sleeper.cloned().unwrap_or_else(|| Sleeper::new(Arc::downgrade(self)));
        self.turn.line_up(whose, sleeper);
        self.settle_turn();
        if has_jobs {
            // Whoever has the turn and sleeps gives way.
            self.queue.post(LOOK);
        }
        if matches!(whose, Whose::All) && self.is_woken() {
            sleeper.wake_by_ref();
        }
        sleeper.sleep(deadline);
        let given = self.turn.leave_line(sleeper).then(|| Taken(self));
        given.filter(|_| !sleeper.is_woken())
    }

    /// Makes a poll return: that of the thread that has the turn, and those that stand in line or are about to.
    pub(super) fn wake_polls(&self) {
        self.woken.store(true, SeqCst);
        self.turn.wake_in_line(|claim| matches!(claim, Whose::All));
        if !self.looks.swap(true, SeqCst) {
            self.queue.post(LOOK);
        }
    }

    /// Whether a poll was woken, and none that waits has returned since.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    /// A poll that waited returns, and whoever woke it is content.
    pub(super) fn has_returned(&self) {
        self.woken.store(false, SeqCst);
    }

    /// Whether another thread is to have this one's turn, since it may run what was put off.
    pub(super) fn gives_way(&self) -> bool {
        self.has_jobs() && self.turn.is_wanted(|claim| self.has_jobs_for(claim))
    }

    /// Takes the turn after all, or is told of it by who has it: in the queue, which somebody else's loop watches.
    pub(super) fn miss_turn(self: &Arc<Self>) -> Option<Taken<'_>> {
        self.turn.try_take_or_miss().then(|| Taken(self))
    }

    /// Sees to it that the turn is not free while somebody needs it.
    pub(super) fn settle_turn(self: &Arc<Self>) {
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
    pub(crate) fn abandoned(self: &Arc<Self>, slot: &Slot, operation: InFlight, whose: Whose) {
        if !self.has_dispatcher() {
            return;
        }
        if !self.is_dispatched_here() {
            self.look(whose);
        }
        self.unattended(slot, operation);
    }

    /// An operation of a file has ended at once: Windows queues its packet all the same.
    #[cfg(windows)]
    pub(crate) fn stray_is_due(&self) {
        self.queue.strays().add();
    }

    /// Takes such packets out of the queue when there may be many. Runs no callback, and no waker.
    #[cfg(windows)]
    pub(crate) fn take_strays(self: &Arc<Self>) {
        let strays = self.queue.strays();
        if strays.are_too_many() && self.is_led() && !self.must_not_wait_here() && self.turn.try_take() {
            let _turn = Taken(self);
            strays.take_out(|| self.dispatch(Some(Duration::ZERO), Whose::NO_WAKERS, None));
        }
    }
}
