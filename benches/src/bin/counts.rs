//! The cost of calls besides time: `counts allocations`, or, on Linux, `counts pending N` for N calls in flight at
//! once.
//!
//! Each line of the output is a name, a tab and a number.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use overlapped::sim::{Driver, Outcome, Pended, Request, RequestId};
use overlapped::{Buffer, Call, Device, Ioctl, Port, Status};
use overlapped_benches::sim::{Bell, WAIT, WAIT_CODE, drain};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: this function's caller makes the same promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(size, Relaxed);
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["allocations"] => allocations(),
        ["pending", count] => pending(count.parse().expect("a number of calls")),
        _ => panic!("usage: counts allocations | counts pending N"),
    }
}

fn say(name: &str, value: impl std::fmt::Display) {
    println!("{name}\t{value}");
}

/// Prints the allocations in a thousand calls of each kind.
fn allocations() {
    let port = Port::manual().unwrap();
    calls(&port);
    given_up(&port);
    streams(&port);
    // This comes last: its dispatcher is another thread.
    let bell = Arc::new(Bell::default());
    let device = Device::simulated(bell.clone()).unwrap();
    count("default port, `.wait()`", || {
        let call = device.call(WAIT, &());
        bell.ring(7);
        assert_eq!(*call.wait().unwrap(), 7);
    });
}

/// Prints the allocations in a call, after a hundred calls that may allocate room.
fn count(name: &str, mut work: impl FnMut()) {
    const ROUNDS: usize = 1000;
    (0..100).for_each(|_| work());
    let before = ALLOCATIONS.load(Relaxed);
    (0..ROUNDS).for_each(|_| work());
    say(name, (ALLOCATIONS.load(Relaxed) - before) as f64 / ROUNDS as f64);
}

/// A device that keeps its calls, and a function that completes the oldest one.
fn device(port: &Port) -> (Device, Arc<Bell>, impl Fn()) {
    let bell = Arc::new(Bell::default());
    let device = Device::simulated_on(port, bell.clone()).unwrap();
    let (rung, port) = (bell.clone(), port.clone());
    let completed = move || {
        rung.ring(7);
        drain(&port, 1);
    };
    (device, bell, completed)
}

/// Calls whose results are taken.
fn calls(port: &Port) {
    // SAFETY: the driver writes four bytes, through `Pended`, which is bounded.
    let with_slice: Ioctl<(), [u8]> = unsafe { Ioctl::slice(WAIT_CODE, 4000) };
    let (device, bell, completed) = device(port);
    let at_once = overlapped::sim::from_fn(|request| request.complete(Status::SUCCESS));
    let at_once = Device::simulated_on(port, at_once).unwrap();
    // SAFETY: the driver writes nothing.
    let nothing: Ioctl<(), ()> = unsafe { Ioctl::new(WAIT_CODE) };
    count("ended at once, `.wait()`", || assert!(at_once.call(nothing, &()).wait().is_ok()));
    count("pending, completed, `.wait()`", || {
        let call = device.call(WAIT, &());
        completed();
        assert_eq!(*call.wait().unwrap(), 7);
    });
    count("pending, completed, `.wait()`, 4,000 bytes of output", || {
        let call = device.call(with_slice, &());
        completed();
        assert_eq!(*call.wait().unwrap(), 7_u32.to_ne_bytes());
    });
    count("pending, polled, completed, polled", || {
        let mut call = std::pin::pin!(device.call(WAIT, &()));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        completed();
        assert!(call.as_mut().poll(&mut cx).is_ready());
    });
    count("`.wait_timeout(1 h)`, completed", || {
        let call = device.call(WAIT, &());
        completed();
        assert_eq!(*call.wait_timeout(Duration::from_secs(3600)).unwrap(), 7);
    });
    count("`.timeout(1 h)`, completed, `.wait()`", || {
        let call = device.call(WAIT, &()).timeout(Duration::from_secs(3600));
        completed();
        assert_eq!(*call.wait().unwrap(), 7);
    });
    count("`.then(callback)`", || {
        device.call(WAIT, &()).then(|result| assert_eq!(*result.unwrap(), 7));
        completed();
    });
    let mut buffers = Some((Buffer::empty(), Buffer::aligned(64, 16).unwrap()));
    count("`call_raw`, the caller's buffers", || {
        let (input, output) = buffers.take().unwrap();
        // SAFETY: the driver writes four bytes, through `Pended`, which is bounded.
        let call = unsafe { device.call_raw(WAIT_CODE, input, output) };
        completed();
        let reply = call.wait();
        assert_eq!(reply.len(), 4);
        buffers = Some((reply.input, reply.output));
    });
    count("`port.block_on(call)`", || {
        let call = device.call(WAIT, &());
        bell.ring(7);
        assert_eq!(*port.block_on(call).unwrap().unwrap(), 7);
    });
}

/// Calls that their owner gives up.
fn given_up(port: &Port) {
    let (device, ..) = device(port);
    count("`.cancel()`, `.wait()`: an error", || {
        let call = device.call(WAIT, &());
        call.cancel();
        drain(port, 1);
        assert!(call.wait().is_err());
    });
    count("dropped", || {
        drop(device.call(WAIT, &()));
        drain(port, 1);
    });
}

/// Inverted calls. A stream has a device of its own, since it must have its driver's oldest call.
fn streams(port: &Port) {
    let (device, bell, _) = device(port);
    let mut stream = device.inverted(WAIT, &()).pending(4).window(8).start();
    count("inverted call, `wait_next()`, each item", || {
        bell.ring(7);
        drain(port, 1);
        assert_eq!(*stream.wait_next().unwrap().unwrap(), 7);
    });
    drop(stream);
    drain(port, 4);
    let seen = Arc::new(AtomicUsize::new(0));
    let subscription = device.inverted(WAIT, &()).pending(4).window(8).start().for_each({
        let seen = seen.clone();
        move |item| {
            assert_eq!(*item.unwrap(), 7);
            seen.fetch_add(1, Relaxed);
        }
    });
    count("inverted call, `for_each(callback)`, each item", || {
        bell.ring(7);
        drain(port, 1);
    });
    assert_eq!(seen.load(Relaxed), 1100);
    drop(subscription);
}

/// A driver whose own memory is not counted: it is allocated at the start.
struct Shelf(Mutex<Vec<Pended>>);

impl Driver for Shelf {
    fn control(&self, request: Request) -> Outcome {
        let (pended, outcome) = request.pend();
        self.0.lock().unwrap().push(pended);
        outcome
    }

    fn cancel(&self, _: RequestId) {}
}

impl Shelf {
    fn with_capacity(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Vec::with_capacity(count))))
    }

    fn complete_all(&self) {
        for mut pended in self.0.lock().unwrap().drain(..) {
            pended.write(&7_u32.to_ne_bytes());
            pended.complete(Status::SUCCESS);
        }
    }
}

fn pending(count: usize) {
    // A few calls are too short to time, so they run for many rounds.
    let rounds = (20_000 / count).max(5);
    let port = Port::manual().unwrap();
    let shelf = Shelf::with_capacity(count);
    let device = Device::simulated_on(&port, shelf.clone()).unwrap();
    let mut calls = Vec::with_capacity(count);
    let before = BYTES.load(Relaxed);
    let (mut submitted, mut drained) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let started = Instant::now();
        calls.extend((0..count).map(|_| device.call(WAIT, &())));
        submitted.push(started.elapsed());
        if round == 0 {
            say("bytes", BYTES.load(Relaxed) - before);
            say("slots", port.stats().slots);
        }
        shelf.complete_all();
        let started = Instant::now();
        drain(&port, count);
        for call in calls.drain(..) {
            assert_eq!(*call.wait().unwrap(), 7);
        }
        drained.push(started.elapsed());
    }
    say("call", size_of::<Call<u32>>());
    say("submit", per_call(submitted, count));
    say("drain", per_call(drained, count));

    // On the port with a dispatcher, which one call has started.
    let shelf = Shelf::with_capacity(count);
    let device = Device::simulated(shelf.clone()).unwrap();
    calls.push(device.call(WAIT, &()));
    let with_one = threads();
    calls.extend((1..count).map(|_| device.call(WAIT, &())));
    say("threads", threads() - with_one);
    shelf.complete_all();
    for call in calls {
        assert_eq!(*call.wait().unwrap(), 7);
    }
}

/// The median, without the first round, which makes the slots.
fn per_call(mut times: Vec<Duration>, count: usize) -> f64 {
    times.remove(0);
    times.sort();
    times[times.len() / 2].as_nanos() as f64 / count as f64
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux lists the threads of a process").count()
}
