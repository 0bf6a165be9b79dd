//! How a waiting thread sleeps, and how it is woken.
//!
//! A thread with the [turn](super::turn) sleeps in the port's queue; any other waiting thread is parked. One waker
//! serves both cases: it posts to the queue, or unparks the thread. Each wait has its own sleeper, even a wait that is
//! nested in another one, so that none takes the wake of another.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::Wake;
use std::time::Instant;

use crate::system::sync::Parker;
use crate::system::sync::ordered::AtomicBool;

/// A queue in which a thread sleeps.
pub(crate) trait Look: Send + Sync {
    /// Wakes the thread that sleeps in the queue.
    fn look(&self);
}

/// A thread that waits at a port.
pub(crate) struct Sleeper<P> {
    port: Weak<P>,
    parker: Parker,
    /// The waker sets this. The thread clears it before it polls.
    woken: AtomicBool,
    /// The thread is in the queue, or about to enter it.
    in_queue: AtomicBool,
    /// The thread has been given the turn.
    given: AtomicBool,
}

impl<P: Look> Sleeper<P> {
    /// A sleeper for this thread, which waits at this port, or at none.
    pub(crate) fn new(port: Weak<P>) -> Arc<Self> {
        Arc::new(Self {
            port,
            parker: Parker::new(),
            woken: AtomicBool::new(false),
            in_queue: AtomicBool::new(false),
            given: AtomicBool::new(false),
        })
    }

    /// Whether the thread waits at this port.
    pub(crate) fn is_of(&self, port: &Arc<P>) -> bool {
        std::ptr::eq(self.port.as_ptr(), Arc::as_ptr(port))
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(SeqCst)
    }

    /// Whether the thread was woken; clears that.
    pub(crate) fn take_wake(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }

    /// The thread enters the queue. `false`: it must not sleep there, since it was woken already.
    pub(super) fn enter_queue(&self) -> bool {
        self.in_queue.store(true, SeqCst);
        // A waker that did not find the thread in the queue has set `woken` before this.
        !self.is_woken()
    }

    pub(super) fn leave_queue(&self) {
        self.in_queue.store(false, SeqCst);
    }

    /// Gives the thread the turn. It must not be in the queue.
    pub(super) fn give(&self) {
        self.given.store(true, SeqCst);
    }

    pub(super) fn take_given(&self) -> bool {
        self.given.swap(false, SeqCst)
    }

    pub(super) fn unpark(&self) {
        self.parker.unpark();
    }

    /// Parks the thread until it is woken, gets the turn, or reaches the deadline.
    pub(super) fn sleep(&self, deadline: Option<Instant>) {
        while !self.is_woken() && !self.given.load(SeqCst) {
            if !self.parker.park(deadline) {
                return;
            }
        }
    }
}

impl<P: Look> Wake for Sleeper<P> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Post only once: a future that wakes itself must not fill the queue.
        if self.woken.swap(true, SeqCst) {
            return;
        }
        if !self.in_queue.load(SeqCst) {
            self.parker.unpark();
        } else if let Some(port) = self.port.upgrade() {
            port.look();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Looks(AtomicUsize);

    impl Look for Looks {
        fn look(&self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_thread_in_the_queue_is_told_once_however_often_it_is_woken() {
        let port = Arc::new(Looks::default());
        let sleeper = Sleeper::new(Arc::downgrade(&port));
        assert!(sleeper.enter_queue());
        for rounds in 1..4 {
            (0..100).for_each(|_| sleeper.wake_by_ref());
            assert_eq!(port.0.load(SeqCst), rounds);
            assert!(sleeper.take_wake());
        }
    }

    #[test]
    fn a_thread_that_is_unparked_for_something_else_sleeps_on() {
        let sleeper = Sleeper::<Looks>::new(Weak::new());
        // A nested wait may leave the thread unparked.
        std::thread::current().unpark();
        let deadline = Instant::now() + std::time::Duration::from_millis(50);
        sleeper.sleep(Some(deadline));
        assert!(Instant::now() >= deadline);
    }
}
