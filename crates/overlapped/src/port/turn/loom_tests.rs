//! The turn, and how threads sleep and are woken, in every order of these events: a waiting thread leaves, packets
//! arrive, a second thread waits, the dispatcher sleeps.

use std::collections::VecDeque;
use std::task::Wake;

use loom::sync::{Condvar, Mutex};

use super::*;
use crate::system::models::spawn;

/// A packet that is no operation, only a reason to look up.
const LOOK: usize = usize::MAX;

/// A port with a queue of packets. Each packet is the number of an operation that is over.
struct Port {
    turn: Turn<Port, ()>,
    packets: Mutex<VecDeque<usize>>,
    arrived: Condvar,
    over: [AtomicBool; 2],
    /// Wakes the thread that waits for an operation.
    waiters: [Mutex<Option<Arc<Sleeper<Port>>>>; 2],
    unattended: [bool; 2],
    dispatcher: Mutex<Option<Arc<Sleeper<Port>>>>,
    /// Keeps all sleepers alive: the model does not see it when the last owner of one drops it.
    sleepers: std::sync::Mutex<Vec<Arc<Sleeper<Port>>>>,
    /// For another event loop, which is told once of each event.
    rung: Mutex<bool>,
    rings: Condvar,
    in_queue: AtomicUsize,
    dispatched: AtomicUsize,
}

impl Look for Port {
    fn look(&self) {
        self.post(LOOK);
    }
}

impl Port {
    fn new(unattended: [bool; 2]) -> Arc<Self> {
        Arc::new(Self {
            turn: Turn::new(),
            packets: Mutex::new(VecDeque::new()),
            arrived: Condvar::new(),
            over: [AtomicBool::new(false), AtomicBool::new(false)],
            waiters: [Mutex::new(None), Mutex::new(None)],
            unattended,
            dispatcher: Mutex::new(None),
            sleepers: Default::default(),
            rung: Mutex::new(false),
            rings: Condvar::new(),
            in_queue: AtomicUsize::new(0),
            dispatched: AtomicUsize::new(0),
        })
    }

    fn sleeper(self: &Arc<Self>) -> Arc<Sleeper<Self>> {
        let sleeper = Sleeper::new(Arc::downgrade(self));
        self.sleepers.lock().unwrap().push(sleeper.clone());
        sleeper
    }

    fn post(&self, packet: usize) {
        self.packets.lock().unwrap().push_back(packet);
        // This wakes any thread that sleeps here. If there were two, it might wake the wrong one.
        self.arrived.notify_one();
    }

    fn is_over(&self, operation: usize) -> bool {
        self.over[operation].load(SeqCst)
    }

    /// Like the port's own `dispatch`.
    fn dispatch(&self, sleeper: &Arc<Sleeper<Self>>) {
        let may_sleep = sleeper.enter_queue();
        assert_eq!(self.in_queue.fetch_add(1, SeqCst), 0, "one thread at a time is in the queue");
        let mut packets = self.packets.lock().unwrap();
        while may_sleep && packets.is_empty() {
            packets = self.arrived.wait(packets).unwrap();
        }
        let taken = std::mem::take(&mut *packets);
        drop(packets);
        self.in_queue.fetch_sub(1, SeqCst);
        sleeper.leave_queue();
        for operation in taken.into_iter().filter(|packet| *packet != LOOK) {
            self.over[operation].store(true, SeqCst);
            if self.unattended[operation] {
                self.turn.remove_unattended();
                self.dispatched.fetch_add(1, SeqCst);
                // The model's dispatcher must find that everything is over. A real one sleeps on.
                self.rouse(true);
            }
            let waiter = self.waiters[operation].lock().unwrap().take();
            if waiter.is_none() && !self.unattended[operation] {
                // Tell the other event loop what is for it, before the turn is over.
                self.ring();
            }
            waiter.into_iter().for_each(Wake::wake);
        }
    }

    fn rouse(&self, dispatchers: bool) {
        let dispatcher = dispatchers.then(|| self.dispatcher.lock().unwrap().clone());
        match dispatcher {
            Some(Some(dispatcher)) => dispatcher.wake(),
            // The dispatcher cannot be started.
            Some(None) if self.turn.take_dispatchers() => self.turn.give_back(),
            _ => {}
        }
    }

    fn pass(&self) {
        self.rouse(self.turn.pass(|()| false));
        if self.turn.take_missed() {
            self.ring();
        }
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_one();
    }

    /// Like another event loop, which polls when it is told, until an operation is over.
    fn poll_when_told(self: &Arc<Self>, operation: usize) {
        while !self.is_over(operation) {
            let mut rung = self.rung.lock().unwrap();
            while !*rung {
                rung = self.rings.wait(rung).unwrap();
            }
            *rung = false;
            drop(rung);
            if self.turn.try_take_or_miss() {
                let sleeper = self.sleeper();
                // It only looks.
                sleeper.wake_by_ref();
                self.dispatch(&sleeper);
                self.pass();
            }
        }
    }

    /// Like the port's own `drive`.
    fn wait(self: &Arc<Self>, operation: usize) {
        let sleeper = self.sleeper();
        *self.waiters[operation].lock().unwrap() = Some(sleeper.clone());
        while !self.is_over(operation) {
            sleeper.take_wake();
            if self.is_over(operation) {
                return;
            }
            if !self.turn.try_take() {
                self.turn.line_up((), &sleeper);
                self.rouse(self.turn.settle(|()| false));
                sleeper.sleep(None);
                if !self.turn.leave_line(&sleeper) {
                    continue;
                }
            }
            while !sleeper.is_woken() {
                self.dispatch(&sleeper);
            }
            self.pass();
        }
    }

    /// Like the port's own `run_as_dispatcher`, until all operations without a waiting thread are over.
    fn run_as_dispatcher(self: &Arc<Self>, sleeper: &Arc<Sleeper<Self>>, until: usize) {
        while self.dispatched.load(SeqCst) < until {
            sleeper.take_wake();
            if self.turn.take_dispatchers() {
                while self.turn.is_unattended() {
                    sleeper.take_wake();
                    self.dispatch(sleeper);
                }
                self.pass();
            } else if self.dispatched.load(SeqCst) < until {
                sleeper.sleep(None);
            }
        }
    }

    fn leave_unattended(&self) {
        self.turn.add_unattended();
        if self.turn.is_free() {
            self.rouse(self.turn.settle(|()| false));
        }
    }

    /// Makes this thread the dispatcher: it sleeps until it is needed.
    fn dispatcher(self: &Arc<Self>) -> Arc<Sleeper<Self>> {
        let sleeper = self.sleeper();
        *self.dispatcher.lock().unwrap() = Some(sleeper.clone());
        sleeper
    }
}

fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

#[test]
fn loom_a_thread_that_leaves_hands_the_turn_to_the_next() {
    model(3, || {
        let port = Port::new([false; 2]);
        let other = spawn(&port, |port| port.wait(1));
        let completes = spawn(&port, |port| {
            port.post(0);
            port.post(1);
        });
        port.wait(0);
        other.join().unwrap();
        completes.join().unwrap();
        assert!(port.turn.is_free());
    });
}

#[test]
fn loom_a_thread_that_leaves_hands_the_turn_to_a_dispatcher_that_sleeps() {
    model(3, || {
        let port = Port::new([false, true]);
        let dispatcher = port.dispatcher();
        let waits = spawn(&port, |port| port.wait(0));
        port.leave_unattended();
        let completes = spawn(&port, |port| {
            port.post(0);
            port.post(1);
        });
        port.run_as_dispatcher(&dispatcher, 1);
        waits.join().unwrap();
        completes.join().unwrap();
        assert!(port.turn.is_free() && port.is_over(1));
    });
}

#[test]
fn loom_a_dispatcher_takes_what_a_thread_leaves_behind() {
    model(3, || {
        let port = Port::new([false, true]);
        let dispatcher = port.dispatcher();
        let waits = spawn(&port, |port| {
            port.wait(0);
            port.leave_unattended();
            port.post(1);
        });
        let completes = spawn(&port, |port| port.post(0));
        port.run_as_dispatcher(&dispatcher, 1);
        waits.join().unwrap();
        completes.join().unwrap();
        assert!(port.turn.is_free());
    });
}

#[test]
fn loom_a_loop_is_told_of_packets_that_come_at_the_end_of_another_threads_turn() {
    model(3, || {
        let port = Port::new([false; 2]);
        let waits = spawn(&port, |port| port.wait(0));
        let completes = spawn(&port, |port| {
            port.post(0);
            port.post(1);
            // A post tells the loop, which may find the turn taken.
            port.ring();
        });
        port.poll_when_told(1);
        waits.join().unwrap();
        completes.join().unwrap();
        assert!(port.turn.is_free());
    });
}

#[test]
fn loom_a_thread_in_line_has_the_turn_when_no_dispatcher_can_be_started() {
    model(3, || {
        let port = Port::new([false, true]);
        let waits = spawn(&port, |port| port.wait(0));
        let completes = spawn(&port, |port| port.post(0));
        port.leave_unattended();
        waits.join().unwrap();
        completes.join().unwrap();
        assert!(port.turn.is_free() && port.turn.is_unattended());
    });
}

#[test]
fn loom_two_threads_wait_and_a_dispatcher_sleeps() {
    model(2, || {
        let port = Port::new([false, true]);
        let dispatcher = port.dispatcher();
        port.leave_unattended();
        let first = spawn(&port, |port| {
            port.post(1);
            port.wait(0);
        });
        let second = spawn(&port, |port| {
            port.post(0);
            // It takes the turn or stands in line, and leaves.
            if !port.turn.try_take() {
                let sleeper = port.sleeper();
                port.turn.line_up((), &sleeper);
                port.rouse(port.turn.settle(|()| false));
                if !port.turn.leave_line(&sleeper) {
                    return;
                }
            }
            port.pass();
        });
        port.run_as_dispatcher(&dispatcher, 1);
        first.join().unwrap();
        second.join().unwrap();
        assert!(port.turn.is_free());
    });
}

#[test]
fn loom_a_thread_that_sleeps_in_the_queue_is_woken_without_a_packet() {
    model(3, || {
        let port = Port::new([false; 2]);
        let wakes = spawn(&port, |port| {
            port.over[0].store(true, SeqCst);
            let waiter = port.waiters[0].lock().unwrap().take();
            waiter.into_iter().for_each(Wake::wake);
        });
        port.wait(0);
        wakes.join().unwrap();
        assert!(port.turn.is_free());
    });
}
