//! Programs and drivers that do what they are allowed to, at the worst moment. Nothing may hang, die or be mixed up.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use overlapped::sim::{self, Driver, Outcome, Pended, Request, RequestId};
use overlapped::{Device, ErrorKind, InvertedCall, Port, Status, Stopper};
use support::*;

/// Runs `work` on a thread, and fails if it does not end in time.
fn within(seconds: u64, work: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = tell.send(());
    });
    let limit = Duration::from_secs(if cfg!(miri) { 600 } else { seconds });
    assert_ne!(told.recv_timeout(limit), Err(mpsc::RecvTimeoutError::Timeout), "not over in time");
    thread.join().unwrap();
}

fn poll_next(stream: &mut InvertedCall<u32>, waker: &Waker) -> Poll<Option<Result<u32, ErrorKind>>> {
    Pin::new(stream)
        .poll_next(&mut Context::from_waker(waker))
        .map(|item| item.map(|result| result.map(|reply| *reply).map_err(|error| error.kind())))
}

#[test]
fn a_cancel_routine_may_stop_the_stream() {
    #[derive(Default)]
    struct D {
        q: sim::Queue<()>,
        stopper: OnceLock<Stopper>,
    }
    impl Driver for D {
        fn control(&self, r: Request) -> Outcome {
            let (p, o) = r.pend();
            self.q.push(p, ());
            o
        }
        fn cancel(&self, r: RequestId) {
            if let Some(s) = self.stopper.get() {
                s.stop();
            }
            self.q.cancel(r);
        }
    }
    within(5, || {
        let port = Port::manual().unwrap();
        let d = Arc::new(D::default());
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        let s: InvertedCall<u32> = dev.inverted(WAIT, &()).start();
        let _ = d.stopper.set(s.stopper());
        drop(s);
    });
}
#[test]
fn a_cancel_routine_may_poll_the_port() {
    #[derive(Default)]
    struct D {
        q: sim::Queue<()>,
        port: OnceLock<Port>,
    }
    impl Driver for D {
        fn control(&self, r: Request) -> Outcome {
            let (p, o) = r.pend();
            self.q.push(p, ());
            o
        }
        fn cancel(&self, r: RequestId) {
            self.q.cancel(r);
            drain(self.port.get().unwrap());
        }
    }
    within(5, || {
        let port = Port::manual().unwrap();
        let d = Arc::new(D::default());
        let _ = d.port.set(port.clone());
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        let s: InvertedCall<u32> = dev.inverted(WAIT, &()).start();
        drop(s);
    });
}
#[test]
fn a_driver_may_hold_its_own_lock_while_it_looks_at_the_stream() {
    #[derive(Default)]
    struct D {
        m: Mutex<Vec<Pended>>,
        in_cancel: AtomicBool,
    }
    impl Driver for D {
        fn control(&self, r: Request) -> Outcome {
            let (p, o) = r.pend();
            self.m.lock().unwrap().push(p);
            o
        }
        fn cancel(&self, id: RequestId) {
            self.in_cancel.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            let mut m = self.m.lock().unwrap();
            if let Some(i) = m.iter().position(|p| p.id() == id) {
                m.remove(i).complete(Status::CANCELLED);
            }
        }
    }
    within(5, || {
        let port = Port::manual().unwrap();
        let d = Arc::new(D::default());
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).start();
        let st = s.stopper();
        let t = std::thread::spawn(move || st.stop());
        until("in cancel", || d.in_cancel.load(SeqCst));
        // A thread that holds the driver's lock and looks at the stream.
        let g = d.m.lock().unwrap();
        let _ = poll_next(&mut s, Waker::noop());
        drop(g);
        t.join().unwrap();
    });
}

#[test]
fn a_waker_that_panics_does_not_stop_the_re_arming() {
    struct Bomb(AtomicBool);
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            if !self.0.swap(true, SeqCst) {
                panic!("bomb")
            }
        }
    }
    #[derive(Default)]
    struct D {
        q: sim::Queue<()>,
        n: AtomicUsize,
        entered: AtomicBool,
        go: AtomicBool,
    }
    impl Driver for D {
        fn control(&self, mut r: Request) -> Outcome {
            match self.n.fetch_add(1, SeqCst) {
                1 => {
                    self.entered.store(true, SeqCst);
                    while !self.go.load(SeqCst) {
                        std::thread::yield_now()
                    }
                    r.write(&1u32.to_ne_bytes());
                    r.complete(Status::SUCCESS)
                }
                _ => {
                    let (p, o) = r.pend();
                    self.q.push(p, ());
                    o
                }
            }
        }
    }
    within(5, || {
        let d = Arc::new(D::default());
        let dev = Device::simulated(d.clone()).unwrap();
        let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).pending(1).start();
        let (mut p, ()) = d.q.pop().unwrap();
        p.write(&0u32.to_ne_bytes());
        p.complete(Status::SUCCESS);
        until("dispatcher is in the driver", || d.entered.load(SeqCst));
        assert_eq!(poll_next(&mut s, Waker::noop()), Poll::Ready(Some(Ok(0))));
        let bomb = Waker::from(Arc::new(Bomb(AtomicBool::new(false))));
        assert!(poll_next(&mut s, &bomb).is_pending());
        let port = Port::global().unwrap();
        let before = port.stats().panics;
        d.go.store(true, SeqCst);
        until("the panic is over", || port.stats().panics > before);
        assert_eq!(poll_next(&mut s, Waker::noop()), Poll::Ready(Some(Ok(1))));
        assert!(poll_next(&mut s, Waker::noop()).is_pending());
        assert_eq!(d.q.len(), 1, "no call is pending with the driver any more: the stream was not re-armed");
    });
}

#[test]
fn ready_results_are_taken_with_a_limit_of_zero() {
    within(5, || {
        let port = Port::manual().unwrap();
        let dev = Device::simulated_on(
            &port,
            sim::from_fn(|mut r: Request| {
                r.write(&1u32.to_ne_bytes());
                r.complete(Status::SUCCESS)
            }),
        )
        .unwrap();
        let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).start();
        for i in 0..100 {
            let item = s.wait_next_timeout(Duration::ZERO).unwrap();
            assert!(item.is_ok(), "item {i}: {:?} although results are ready", item.map(|r| *r));
        }
    });
}

#[test]
fn requests_of_two_ports_are_told_apart() {
    let (a, b) = (Port::manual().unwrap(), Port::manual().unwrap());
    let d = support::Device::new();
    let da = Device::simulated_on(&a, d.clone()).unwrap();
    let db = Device::simulated_on(&b, d.clone()).unwrap();
    let mut ca = da.call(WAIT, &());
    let cb = db.call(WAIT, &());
    drop(cb); // cancels b's call...
    drain(&a);
    drain(&b);
    let r = pin!(&mut ca).poll(&mut Context::from_waker(Waker::noop()));
    assert!(r.is_pending(), "a's call was cancelled instead of b's: {r:?}");
}

#[test]
fn a_driver_that_always_has_a_result_does_not_starve_other_devices() {
    #[derive(Default)]
    struct D {
        q: sim::Queue<()>,
        n: AtomicUsize,
    }
    impl Driver for D {
        fn control(&self, mut r: Request) -> Outcome {
            if self.n.fetch_add(1, SeqCst) == 0 {
                let (p, o) = r.pend();
                self.q.push(p, ());
                return o;
            }
            // A driver with a backlog, a little slower than its consumer. Under Miri it is slow enough without this.
            let t = Instant::now();
            while !cfg!(miri) && t.elapsed() < Duration::from_micros(300) {}
            r.write(&1u32.to_ne_bytes());
            r.complete(Status::SUCCESS)
        }
    }
    within(20, || {
        let d = Arc::new(D::default());
        let dev = Device::simulated(d.clone()).unwrap();
        let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).pending(1).start();
        let stop = Arc::new(AtomicBool::new(false));
        let st = stop.clone();
        let t = std::thread::spawn(move || {
            while !st.load(SeqCst) {
                let _ = poll_next(&mut s, Waker::noop());
            }
        });
        std::thread::sleep(Duration::from_millis(50));
        let (mut p, ()) = d.q.pop().unwrap();
        p.write(&0u32.to_ne_bytes());
        p.complete(Status::SUCCESS);
        std::thread::sleep(Duration::from_millis(50));
        let other = support::Device::new();
        let dev2 = Device::simulated(other.clone()).unwrap();
        for _ in 0..5 {
            let before = d.n.load(SeqCst);
            let c = dev2.call(PEND_AND_COMPLETE, &());
            let mut c = pin!(c);
            while c.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                let meanwhile = d.n.load(SeqCst) - before;
                if meanwhile > 7_000 {
                    stop.store(true, SeqCst);
                    panic!(
                        "another device's completed call was not dispatched while the driver was called {meanwhile} times"
                    );
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        stop.store(true, SeqCst);
        t.join().unwrap();
    });
}

#[test]
fn a_replaced_waker_is_dropped_outside_of_the_slots_lock() {
    struct OnDrop(Mutex<Option<Box<dyn FnOnce() + Send>>>);
    impl Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            if let Some(f) = self.0.lock().unwrap().take() {
                f()
            }
        }
    }
    within(5, || {
        let d = support::Device::new();
        let dev = Device::simulated(d.clone()).unwrap();
        let mut c = dev.call(WAIT, &());
        let (d2, dev2) = (d.clone(), dev.clone());
        let w = Waker::from(Arc::new(OnDrop(Mutex::new(Some(Box::new(move || {
            // The destructor of the old task: the first call completes, and the destructor waits for a call of its own.
            d2.complete_one(1);
            let _ = dev2.call(PEND_AND_COMPLETE, &()).wait();
        }))))));
        assert!(pin!(&mut c).poll(&mut Context::from_waker(&w)).is_pending());
        drop(w);
        let _ = pin!(&mut c).poll(&mut Context::from_waker(Waker::noop()));
    });
}
#[test]
fn a_replaced_waker_is_dropped_outside_of_the_streams_lock() {
    struct OnDrop(Mutex<Option<Stopper>>);
    impl Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            if let Some(s) = self.0.lock().unwrap().take() {
                s.stop()
            }
        }
    }
    within(5, || {
        let port = Port::manual().unwrap();
        let d = support::Device::new();
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).start();
        let w = Waker::from(Arc::new(OnDrop(Mutex::new(Some(s.stopper())))));
        assert!(poll_next(&mut s, &w).is_pending());
        drop(w);
        let _ = poll_next(&mut s, Waker::noop());
    });
}
#[test]
fn stopping_cancels_each_call_once() {
    let calls = if cfg!(miri) { 20 } else { 1000 };
    let port = Port::manual().unwrap();
    let d = support::Device::new();
    let dev = Device::simulated_on(&port, d.clone()).unwrap();
    let mut s: InvertedCall<u32> = dev.inverted(WAIT, &()).pending(calls).start();
    s.stopper().stop();
    drain(&port);
    while let Poll::Ready(Some(_)) = poll_next(&mut s, Waker::noop()) {}
    assert_eq!(d.cancels.load(SeqCst), calls);
}
#[test]
fn a_warning_that_is_not_more_data_is_an_error() {
    let port = Port::manual().unwrap();
    let dev = Device::simulated_on(&port, sim::from_fn(|r: Request| r.complete(Status::DEVICE_BUSY))).unwrap();
    let error = dev.call(WAIT_NOTHING, &()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}
#[test]
fn two_threads_may_block_on_one_port() {
    within(20, || {
        let port = Port::manual().unwrap();
        let d = support::Device::new();
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
            std::thread::scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        port.block_on(dev.call(WAIT, &())).unwrap().unwrap();
                    });
                }
                s.spawn(|| {
                    let mut n = 0;
                    while n < 2 {
                        if d.complete_one(1) { n += 1 } else { std::thread::yield_now() }
                    }
                });
            });
        }
    });
}
#[test]
fn blocking_on_the_dispatcher_is_an_error_and_not_a_hang() {
    within(3, || {
        let d = support::Device::new();
        let dev = Device::simulated(d.clone()).unwrap();
        let (tx, rx) = mpsc::channel();
        let dev2 = dev.clone();
        dev.call(PEND_AND_COMPLETE, &()).then(move |_| {
            let r = Port::global().unwrap().block_on(dev2.call(PEND_AND_COMPLETE, &()));
            tx.send(r.map(drop).map_err(|e| e.kind())).unwrap();
        });
        assert_eq!(rx.recv().unwrap(), Err(ErrorKind::Deadlock));
    });
}
#[test]
fn a_callback_that_was_not_run_is_dropped_with_the_port() {
    let port = Port::manual().unwrap();
    let d = support::Device::new();
    let dev = Device::simulated_on(&port, d.clone()).unwrap();
    let witness = Arc::new(());
    let w = witness.clone();
    // The callback holds the device, which holds the port.
    let own = dev.clone();
    dev.call(ANSWER, &0).then(move |_| drop((w, own)));
    drop(dev);
    drop(port);
    assert_eq!(Arc::strong_count(&witness), 1, "the callback, the device and the port are leaked");
}
#[test]
fn a_callback_for_a_dropped_port_is_dropped() {
    let port = Port::manual().unwrap();
    let dev = Device::simulated_on(&port, support::Device::new()).unwrap();
    drop(port);
    let witness = Arc::new(());
    let w = witness.clone();
    dev.call(ANSWER, &0).then(move |_| drop(w));
    assert_eq!(Arc::strong_count(&witness), 1, "nobody can poll the port any more");
}

#[test]
fn a_subscription_dropped_on_a_port_that_nobody_polls_lets_go_of_everything() {
    for port_goes_first in [false, true] {
        for something_came in [false, true] {
            let port = Port::manual().unwrap();
            let d = support::Device::new();
            let dev = Device::simulated_on(&port, d.clone()).unwrap();
            let stream = dev.inverted(WAIT, &()).start();
            drop(dev);
            if something_came {
                d.complete_one(1);
                drain(&port);
            }
            let mut port = Some(port);
            if port_goes_first {
                port = None;
            }
            let witness = Arc::new(());
            let w = witness.clone();
            let subscription = stream.for_each(move |_| drop(w.clone()));
            drop(subscription);
            assert_eq!(d.cleanups.load(SeqCst), 1, "the device is still open");
            drop(port);
            assert_eq!(Arc::strong_count(&witness), 1, "the callback, and what it holds, is leaked");
        }
    }
}

#[test]
fn one_blocked_thread_does_not_take_another_threads_wakeup() {
    within(20, || {
        let port = Port::manual().unwrap();
        let d = support::Device::new();
        let dev = Device::simulated_on(&port, d.clone()).unwrap();
        std::thread::scope(|s| {
            // B waits for a call that completes only when A is done.
            let (p2, dev2) = (port.clone(), dev.clone());
            s.spawn(move || {
                let _ = p2.block_on(dev2.call(HOLD, &()));
            });
            // A makes a thousand calls, one after the other.
            for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
                let d = d.clone();
                s.spawn(move || {
                    until("the call is pending", || d.complete_one(1));
                });
                port.block_on(dev.call(WAIT, &())).unwrap().unwrap();
            }
            d.held.lock().unwrap().pop().unwrap().complete(overlapped::Status::SUCCESS);
        });
    });
}
