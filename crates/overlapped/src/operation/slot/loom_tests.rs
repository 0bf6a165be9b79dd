//! Every interleaving of the threads of one operation. At the end of each model the slot was given back exactly once,
//! the result was seen or dropped exactly once, and no waiter sleeps.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::system::models::{spawn, three_threads};

/// A slot that counts how often it was given back, and the wakes of each waiter.
struct World {
    slot: Machine<usize>,
    recycled: AtomicUsize,
    woken: [AtomicUsize; 2],
    /// Whether the slot may have been used again.
    reused: AtomicUsize,
    /// The operation's memory: the completer's side writes it before the packet, the owner reads it after.
    memory: loom::cell::UnsafeCell<u32>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            slot: Machine::new(),
            recycled: AtomicUsize::new(0),
            woken: [AtomicUsize::new(0), AtomicUsize::new(0)],
            reused: AtomicUsize::new(0),
            memory: loom::cell::UnsafeCell::new(0),
        })
    }

    fn recycle(&self, how: Option<Recycle>) {
        if how.is_some() {
            self.recycled.fetch_add(1, SeqCst);
        }
    }

    /// The kernel writes, and the dispatcher handles the packet. Returns whether that gave the slot back.
    fn kernel_completes(&self, g: Generation) -> bool {
        // SAFETY: this is loom's checked cell; it reports a race instead of having one.
        self.memory.with_mut(|m| unsafe { *m = 7 });
        self.packet(g)
    }

    fn packet(&self, g: Generation) -> bool {
        self.tell(self.slot.complete(g).0)
    }

    fn expire(&self, g: Generation) {
        if let Some(held) = self.slot.expire(g) {
            self.tell(Completion::of(held.hand_out()));
        }
    }

    /// Does what the dispatcher does. Returns whether that gave the slot back.
    fn tell(&self, completion: Completion<usize>) -> bool {
        match completion {
            Completion::Published(Some(waiter)) => drop(self.woken[waiter].fetch_add(1, SeqCst)),
            Completion::Recycle(how) | Completion::Overtaken(_, how) => {
                self.recycle(Some(how));
                return true;
            }
            Completion::Published(None) | Completion::Left | Completion::Stray => {}
        }
        false
    }

    fn read(&self) -> u32 {
        // SAFETY: as above.
        self.memory.with(|m| unsafe { *m })
    }

    /// A canceller on another thread: pins, uses the address, unpins.
    fn cancel(&self, g: Generation) {
        if self.slot.pin(g) {
            assert_eq!(self.reused.load(SeqCst), 0, "the slot was used again while a canceller held its address");
            self.recycle(self.slot.unpin(g));
        }
    }

    fn woken(&self, waiter: usize) -> bool {
        self.woken[waiter].load(SeqCst) > 0
    }

    /// Polls once as waiter `w`; takes the result if it is there.
    fn poll(&self, g: Generation, w: usize) -> bool {
        let ready = self.slot.wait(|there| *there == w, || w) == Progress::Complete;
        if ready {
            assert_eq!(self.read(), 7);
            self.recycle(self.slot.release(g));
        }
        ready
    }
}

#[test]
fn loom_submit_complete_and_poll_with_another_waker() {
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let kernel = spawn(&world, move |world| world.kernel_completes(g));
        let done = world.poll(g, 0) || world.poll(g, 1);
        kernel.join().unwrap();
        if !done {
            assert!(world.woken(1), "the last waiter that registered sleeps for ever");
            assert!(world.poll(g, 1));
        }
        assert_eq!(world.recycled.load(SeqCst), 1);
    });
}

#[test]
fn loom_drop_against_completion() {
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let kernel = spawn(&world, move |world| world.kernel_completes(g));
        if !world.poll(g, 0) && world.slot.abandon(g) {
            assert_eq!(world.read(), 7);
            world.recycle(world.slot.release(g));
        }
        kernel.join().unwrap();
        assert_eq!(world.recycled.load(SeqCst), 1);
        assert_eq!(world.slot.complete(g).0, Completion::Stray);
    });
}

/// The driver ends the request at once, the owner sees the final status, and the packet comes nevertheless.
fn packet_of_what_is_final_at_return(keep_the_result: bool) {
    loom::model(move || {
        let world = World::new();
        let g = world.slot.begin(None);
        let dispatcher = spawn(&world, move |world| world.packet(g));
        if keep_the_result {
            assert!(matches!(world.slot.complete(g).0, Completion::Published(None) | Completion::Stray));
            assert!(world.slot.is_complete());
        }
        world.recycle(world.slot.release(g));
        // The slot's next operation must see nothing of it.
        let next = world.slot.begin(Some(1));
        dispatcher.join().unwrap();
        assert!(!world.slot.is_complete(), "an old packet completed the next operation");
        assert!(!world.woken(1), "an old packet took the next operation's waiter");
        assert_eq!(world.slot.complete(next).0, Completion::Published(Some(1)));
        world.recycle(world.slot.release(next));
        assert_eq!(world.recycled.load(SeqCst), 2);
    });
}

#[test]
fn loom_packet_before_the_submission_returns() {
    packet_of_what_is_final_at_return(false);
}

#[test]
fn loom_packet_beside_a_result_that_is_kept() {
    packet_of_what_is_final_at_return(true);
}

#[test]
fn loom_a_completer_that_is_late_leaves_the_next_operations_waiter() {
    // The result is published. Its owner takes it and begins anew before the completer has looked for a waiter.
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(Some(0));
        let dispatcher = spawn(&world, move |world| world.packet(g));
        let is_taken = world.slot.wait(|_| true, || 0) == Progress::Complete;
        let free = if is_taken { world.slot.release(g) } else { None };
        let is_used_again = free.is_some();
        if is_used_again {
            world.recycle(free);
            let next = world.slot.begin(Some(1));
            dispatcher.join().unwrap();
            assert!(!world.woken(1), "a completer took the waiter of the slot's next operation");
            assert_eq!(world.slot.complete(next).0, Completion::Published(Some(1)));
            world.recycle(world.slot.release(next));
        } else {
            dispatcher.join().unwrap();
            if !is_taken {
                assert!(world.woken(0));
                world.recycle(world.slot.release(g));
            }
        }
        assert_eq!(world.recycled.load(SeqCst), 1 + usize::from(is_used_again));
    });
}

#[test]
fn loom_packet_twice() {
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let liar = spawn(&world, move |world| world.packet(g));
        let owner = spawn(&world, move |world| {
            if world.slot.wait(|_| false, || 0) == Progress::Complete {
                world.recycle(world.slot.release(g));
                true
            } else {
                false
            }
        });
        world.packet(g);
        liar.join().unwrap();
        if !owner.join().unwrap() {
            assert!(world.woken(0));
            world.recycle(world.slot.release(g));
        }
        assert_eq!(world.recycled.load(SeqCst), 1);
        assert!(world.woken[0].load(SeqCst) <= 1);
    });
}

#[test]
fn loom_cancel_by_another_against_completion_and_take() {
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let canceller = spawn(&world, move |world| world.cancel(g));
        world.kernel_completes(g);
        assert!(world.slot.is_complete());
        if let Some(how) = world.slot.release(g) {
            world.recycle(Some(how));
            world.reused.store(1, SeqCst);
        }
        canceller.join().unwrap();
        assert_eq!(world.recycled.load(SeqCst), 1);
    });
}

#[test]
fn loom_cancel_by_another_against_drop_and_completion() {
    three_threads(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let canceller = spawn(&world, move |world| world.cancel(g));
        let kernel = spawn(&world, move |world| {
            if world.kernel_completes(g) {
                world.reused.store(1, SeqCst);
            }
        });
        if world.slot.abandon(g) {
            world.recycle(world.slot.release(g));
        }
        canceller.join().unwrap();
        kernel.join().unwrap();
        assert_eq!(world.recycled.load(SeqCst), 1);
    });
}

#[test]
fn loom_a_device_closes_under_a_dropped_call() {
    // Two references to the handle: the device's and the call's. Dropping the last one closes the handle, which makes
    // the driver complete. A slot that kept the handle open would never come back.
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let handle = Arc::new(AtomicUsize::new(2));
        let close = move |world: &World, handle: &AtomicUsize| {
            if handle.fetch_sub(1, SeqCst) == 1 {
                world.kernel_completes(g);
            }
        };
        let device = spawn(&world, {
            let handle = handle.clone();
            move |world| close(&world, &handle)
        });
        if world.slot.abandon(g) {
            unreachable!("the call itself holds a reference: nothing can have completed it");
        }
        close(&world, &handle);
        device.join().unwrap();
        assert_eq!(world.recycled.load(SeqCst), 1);
    });
}

#[test]
fn loom_timeout_against_completion() {
    three_threads(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let kernel = spawn(&world, move |world| world.kernel_completes(g));
        let timer = spawn(&world, move |world| {
            if world.slot.set_overdue(g) {
                world.expire(g);
            }
        });
        let look = |world: &World| match world.slot.wait(|_| false, || 0) {
            Progress::Pending => false,
            Progress::Complete => {
                assert_eq!(world.read(), 7);
                world.recycle(world.slot.release(g));
                true
            }
            Progress::Expired => {
                if world.slot.abandon(g) {
                    world.recycle(world.slot.release(g));
                }
                true
            }
        };
        let done = look(&world);
        kernel.join().unwrap();
        timer.join().unwrap();
        if !done {
            assert!(world.woken(0), "neither the completion nor the timer woke the owner");
            assert!(look(&world));
        }
        assert_eq!(world.recycled.load(SeqCst), 1);
        assert_eq!(world.slot.complete(g).0, Completion::Stray);
    });
}

#[test]
fn loom_expiry_against_drop_and_completion() {
    // The timer's thread holds the waiter while the owner leaves and the packet comes.
    three_threads(|| {
        let world = World::new();
        let g = world.slot.begin(Some(0));
        let kernel = spawn(&world, move |world| world.kernel_completes(g));
        let timer = spawn(&world, move |world| world.expire(g));
        let taken_back = world.slot.take_waiter(g).is_some();
        if world.slot.abandon(g) {
            assert_eq!(world.read(), 7);
            world.recycle(world.slot.release(g));
        }
        kernel.join().unwrap();
        timer.join().unwrap();
        assert_eq!(world.recycled.load(SeqCst), 1);
        assert!(!(taken_back && world.woken(0)), "two threads have the one waiter");
        assert_eq!(world.slot.complete(g).0, Completion::Stray);
    });
}

#[test]
fn loom_expiry_against_another_waker() {
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(Some(0));
        let timer = spawn(&world, move |world| world.expire(g));
        let progress = world.slot.wait(|_| false, || 1);
        timer.join().unwrap();
        assert!(progress == Progress::Expired || world.woken(1), "the owner sleeps and was not told of the expiry");
        assert!(!world.slot.abandon(g));
        assert!(world.kernel_completes(g));
    });
}

#[test]
fn loom_a_callback_is_delivered_once() {
    // The callback is left there, or given back to the owner, which delivers it.
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(None);
        let kernel = spawn(&world, move |world| world.kernel_completes(g));
        let is_given_back = world.slot.register(1).is_err();
        kernel.join().unwrap();
        assert_eq!(world.woken(1), !is_given_back);
        assert_eq!(world.read(), 7);
        world.recycle(world.slot.release(g));
        assert_eq!(world.recycled.load(SeqCst), 1);
    });
}

#[test]
fn loom_port_gone_with_a_call_in_flight() {
    // Nobody dispatches any more. The driver completes and the owner leaves, in any order. Nobody gives the slot back,
    // and its memory goes with the port (loom checks that it does, and that nobody touches it afterwards).
    loom::model(|| {
        let world = World::new();
        let g = world.slot.begin(Some(0));
        let driver = spawn(&world, move |world| {
            // SAFETY: loom's checked cell.
            world.memory.with_mut(|m| unsafe { *m = 7 });
        });
        assert!(!world.slot.abandon(g));
        assert_eq!(world.recycled.load(SeqCst), 0);
        drop(world);
        driver.join().unwrap();
    });
}
