//! A manual port in another event loop: poll(2), an epoll set with edge triggers, and tokio's.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/fork.rs"]
mod fork;
mod support;

use std::future::Future;
use std::io::{PipeWriter, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use overlapped::{Call, Device, ErrorKind, Port};
use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::*;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const ZERO: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(20);
/// Longer than any step takes, but no longer than needed: a loop that misses its wakeup sleeps this long.
const LONG: Duration = Duration::from_secs(20);
/// More completions than a port takes from its set at a time.
const MANY: usize = 100;

fn timespec(timeout: Duration) -> Timespec {
    Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ }
}

fn is_readable(port: &Port, timeout: Duration) -> bool {
    let mut files = [PollFd::new(port, PollFlags::IN)];
    rustix::event::poll(&mut files, Some(&timespec(timeout))).unwrap() == 1
}

/// Polls once each time the port is readable, until `done`. Fails if the port is not readable in time.
fn run(port: &Port, mut done: impl FnMut() -> bool) {
    while !done() {
        assert!(is_readable(port, LONG), "the port has work, but is not readable");
        port.poll(ZERO);
    }
}

/// Whether the port has no work left and is not readable.
fn is_quiet(port: &Port) -> bool {
    drain(port);
    !is_readable(port, SHORT)
}

/// A loop with edge triggers.
struct Edges(OwnedFd);

impl Edges {
    fn of(port: &Port) -> Self {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&set, port, epoll::EventData::new_u64(0), flags).unwrap();
        Self(set)
    }

    fn wait(&self, timeout: Duration) -> bool {
        let mut events = [MaybeUninit::uninit(); 4];
        !epoll::wait(&self.0, &mut events, Some(&timespec(timeout))).unwrap().0.is_empty()
    }

    /// At each edge, polls until no work is left. Ends when `done`.
    fn run(&self, port: &Port, mut done: impl FnMut() -> bool) {
        while !done() {
            assert!(self.wait(LONG), "the port has work, but there was no edge");
            drain(port);
        }
    }
}

fn pipe(port: &Port) -> (Device, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Device::from_fd_on(port, reader).unwrap(), writer)
}

fn pipes(port: &Port, count: usize) -> (Vec<Device>, Vec<PipeWriter>) {
    (0..count).map(|_| pipe(port)).unzip()
}

fn simulated(port: &Port) -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    (driver.clone(), Device::simulated_on(port, driver).unwrap())
}

/// Polls a call with a waker that does nothing.
fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn manual() -> Port {
    let port = Port::manual().unwrap();
    assert!(is_readable(&port, Duration::ZERO), "a new descriptor must be readable, so that the loop polls once");
    assert!(is_quiet(&port));
    port
}

#[test]
fn all_work_of_a_poll_makes_the_port_readable() {
    let port = manual();
    let (tell, told) = mpsc::channel();
    let told_of = |what| {
        run(&port, || told.try_recv() == Ok(what));
        assert!(is_quiet(&port), "after {what}");
    };
    let teller = |what: &'static str| {
        let tell = tell.clone();
        move || tell.send(what).unwrap()
    };
    let (file, mut writer) = pipe(&port);
    let tell_read = teller("a file");
    file.read(8).then(move |bytes| {
        assert_eq!(&*bytes.unwrap(), b"one");
        tell_read();
    });
    assert!(is_quiet(&port));
    writer.write_all(b"one").unwrap();
    told_of("a file");

    let (driver, device) = simulated(&port);
    let tell_call = teller("a call");
    device.call(WAIT, &()).then(move |value| {
        assert_eq!(*value.unwrap(), 7);
        tell_call();
    });
    assert!(is_quiet(&port));
    thread::scope(|scope| {
        scope.spawn(|| driver.complete_one(7));
    });
    told_of("a call");

    let tell_over = teller("a call that was over");
    let call = device.call(ANSWER, &0);
    assert!(is_quiet(&port));
    call.then(move |_| tell_over());
    told_of("a call that was over");

    port.wake();
    assert!(is_readable(&port, Duration::ZERO));
    assert_eq!(port.poll(ZERO), 1);
    assert!(is_quiet(&port));
}

#[test]
fn work_from_before_the_descriptor_makes_the_port_readable() {
    let port = Port::manual().unwrap();
    let (tell, told) = mpsc::channel();
    let (_driver, device) = simulated(&port);
    for _ in 0..2 {
        let tell = tell.clone();
        device.call(WAIT, &()).timeout(SHORT).then(move |value| tell.send(value.unwrap_err().kind()).unwrap());
    }
    drain(&port);
    run(&port, || told.try_recv() == Ok(ErrorKind::TimedOut));
    run(&port, || told.try_recv() == Ok(ErrorKind::TimedOut));
    assert!(is_quiet(&port));
}

#[test]
fn a_level_triggered_loop_needs_one_poll_each_time() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let (devices, mut writers) = pipes(&port, MANY);
    let mut calls: Vec<_> = (0..MANY).map(|_| device.call(WAIT, &())).collect();
    let mut reads: Vec<_> = devices.iter().map(|device| device.read(8)).collect();
    assert!(calls.iter_mut().all(is_pending) && reads.iter_mut().all(is_pending));
    for value in 0..MANY {
        assert!(driver.complete_one(value as u32));
    }
    run(&port, || calls.iter_mut().all(|call| !is_pending(call)));
    writers.iter_mut().for_each(|writer| writer.write_all(b"one").unwrap());
    run(&port, || reads.iter_mut().all(|read| !is_pending(read)));
    assert!(is_quiet(&port));
}

#[test]
fn an_edge_triggered_loop_that_polls_until_no_work_is_left_misses_nothing() {
    let port = manual();
    let edges = Edges::of(&port);
    let (driver, device) = simulated(&port);
    let (devices, mut writers) = pipes(&port, MANY);
    for round in 0..10 {
        let mut calls: Vec<_> = (0..MANY).map(|_| device.call(WAIT, &())).collect();
        let mut reads: Vec<_> = devices.iter().map(|device| device.read(8)).collect();
        let mut all = || !calls.iter_mut().any(is_pending) && !reads.iter_mut().any(is_pending);
        thread::scope(|scope| {
            scope.spawn(|| {
                for (value, writer) in writers.iter_mut().enumerate() {
                    assert!(driver.complete_one(value as u32 + round));
                    writer.write_all(b"one").unwrap();
                }
            });
            edges.run(&port, &mut all);
        });
    }
}

#[test]
fn ready_files_without_reads_do_not_hide_files_with_reads() {
    let port = manual();
    let (devices, mut writers) = pipes(&port, MANY);
    let mut reads: Vec<_> = devices.iter().map(|device| device.read(8)).collect();
    assert!(reads.iter_mut().all(is_pending));
    let mut wanted = reads.pop().unwrap();
    // The files stay in the set until an event comes that no read wants.
    drop(reads);
    drain(&port);
    let edges = Edges::of(&port);
    while edges.wait(Duration::ZERO) {}
    writers.iter_mut().for_each(|writer| writer.write_all(b"one").unwrap());
    edges.run(&port, || !is_pending(&mut wanted));
    assert!(is_quiet(&port));
}

#[test]
fn timers_make_the_port_readable() {
    let port = manual();
    let (_driver, device) = simulated(&port);
    let begin = Instant::now();
    let (tell, told) = mpsc::channel();
    // The timer that is set first is not the first to expire.
    for time in [50, 5, 15] {
        let tell = tell.clone();
        let time = Duration::from_millis(time);
        device.call(WAIT, &()).timeout(time).then(move |value| {
            assert_eq!(value.unwrap_err().kind(), ErrorKind::TimedOut);
            tell.send(time).unwrap();
        });
        drain(&port);
    }
    assert!(!is_readable(&port, Duration::ZERO) || begin.elapsed() >= Duration::from_millis(5));
    for time in [5, 15, 50].map(Duration::from_millis) {
        run(&port, || told.try_recv() == Ok(time));
        assert!(begin.elapsed() >= time);
    }
    // This driver does not react to its cancellation: the end of the grace period is a timer, too.
    let call = device.call(HOLD, &()).timeout(SHORT);
    call.then(move |value| tell.send(value.map_or(Duration::ZERO, |_| LONG)).unwrap());
    run(&port, || told.try_recv() == Ok(Duration::ZERO));
    assert!(begin.elapsed() >= Port::GRACE_PERIOD);
    assert!(is_quiet(&port));
}

#[test]
fn sleeps_make_it_readable() {
    let port = manual();
    assert!(is_quiet(&port));
    let (tell, told) = mpsc::channel();
    let elsewhere = port.clone();
    let begun = thread::spawn(move || elsewhere.sleep(SHORT).then(move || tell.send(()).unwrap()));
    run(&port, || told.try_recv().is_ok());
    begun.join().unwrap();
    assert!(is_quiet(&port));
    // A sleep for which a thread has waited, and then a task waits.
    struct Tell(mpsc::Sender<()>);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }
    let (tell, told) = mpsc::channel();
    let waker = Arc::new(Tell(tell)).into();
    let mut sleep = port.sleep(LONG);
    let mut is_begun = |cx: &mut Context<'_>| {
        sleep.reset(Instant::now() + SHORT);
        Pin::new(&mut sleep).poll(cx).is_pending()
    };
    port.block_on(std::future::poll_fn(|cx| Poll::Ready(is_begun(cx)))).unwrap();
    while !is_begun(&mut Context::from_waker(&waker)) {}
    run(&port, || told.try_recv().is_ok());
}

#[test]
fn a_timer_that_was_not_needed_leaves_nothing() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let mut call = device.call(WAIT, &()).timeout(SHORT);
    assert!(is_pending(&mut call) && driver.complete_one(1));
    run(&port, || !is_pending(&mut call));
    thread::sleep(2 * SHORT);
    assert!(is_quiet(&port));
    let (worked, begin) = (AtomicUsize::new(0), Instant::now());
    while begin.elapsed() < 5 * SHORT {
        worked.fetch_add(usize::from(is_readable(&port, SHORT)), SeqCst);
    }
    assert_eq!(worked.load(SeqCst), 0);
}

#[test]
fn a_timer_is_not_late_when_descriptors_run_out() {
    let code = fork::in_a_child(|| {
        let port = Port::manual().unwrap();
        let (_driver, device) = simulated(&port);
        let limit = getrlimit(Resource::Nofile);
        let none = Rlimit { current: Some(next_descriptor()), maximum: limit.maximum };
        setrlimit(Resource::Nofile, none).unwrap();
        assert!(rustix::io::dup(&port).is_err(), "one more descriptor can be opened");
        let (tell, told) = mpsc::channel();
        device.call(WAIT, &()).timeout(SHORT).then(move |value| tell.send(value.unwrap_err().kind()).unwrap());
        run(&port, || told.try_recv() == Ok(ErrorKind::TimedOut));
        // The timer of the grace period.
        run(&port, || port.stats().timers == 0);
        i32::from(!is_quiet(&port))
    });
    assert_eq!(code, 0);
}

/// The smallest number that no descriptor of this process has, to be used as the limit.
fn next_descriptor() -> u64 {
    let next = rustix::io::dup(std::io::stdin()).unwrap();
    next.as_raw_fd() as u64
}

/// The thread on which the call's callback runs.
fn ran_on(read: Call<[u8]>) -> mpsc::Receiver<ThreadId> {
    let (tell, told) = mpsc::channel();
    read.then(move |_| tell.send(thread::current().id()).unwrap());
    told
}

/// Completes a call when it is dropped. So the thread that waits for the call ends, even if the test fails.
struct Ends<'a>(&'a support::Device);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.complete_one(3);
    }
}

#[test]
fn a_callback_that_a_waiting_thread_puts_off_makes_the_port_readable() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let (file, mut writer) = pipe(&port);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| *device.call(WAIT, &()).wait().unwrap());
        until("it waits", || !driver.waiting.is_empty());
        let ends = Ends(&driver);
        // By now the thread most likely sleeps in the port.
        thread::sleep(SHORT);
        for _ in 0..20 {
            let called = ran_on(file.read(8));
            writer.write_all(b"one").unwrap();
            // By now the other thread has most likely taken the completion, and sleeps again.
            thread::sleep(SHORT / 10);
            let mut by = None;
            run(&port, || {
                by = called.try_recv().ok();
                by.is_some()
            });
            assert_eq!(by, Some(thread::current().id()));
        }
        drop(ends);
        assert_eq!(waiting.join().unwrap(), 3);
    });
    assert!(is_quiet(&port));
}

#[test]
fn files_that_a_waiting_thread_leaves_make_the_port_readable() {
    let port = manual();
    let (devices, mut writers) = pipes(&port, MANY);
    let mut reads: Vec<_> = devices.iter().map(|device| device.read(8)).collect();
    assert!(reads.iter_mut().all(is_pending));
    let edges = Edges::of(&port);
    writers.iter_mut().for_each(|writer| writer.write_all(b"one").unwrap());
    // At this edge the loop finds that another thread has the turn.
    while edges.wait(Duration::ZERO) {}
    assert_eq!(&*reads.remove(0).wait().unwrap(), b"one");
    assert!(reads.iter_mut().any(is_pending), "the waiting thread has left no file");
    edges.run(&port, || !reads.iter_mut().any(is_pending));
}

#[test]
fn standing_reads_awaited_by_tasks_of_tokio_with_the_port_in_its_loop() {
    const MESSAGES: usize = 20;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let here = thread::current().id();
    let called = local.block_on(&runtime, async {
        let port = Port::manual().unwrap();
        let (devices, mut writers) = pipes(&port, MANY);
        let (driver, device) = simulated(&port);
        let polling = tokio::task::spawn_local(poll(port));
        let tasks: Vec<_> = devices
            .into_iter()
            .map(|device| {
                let mut messages = device.standing_reads(1).start();
                tokio::task::spawn_local(async move {
                    for expected in 0..MESSAGES {
                        assert_eq!(&*messages.next().await.unwrap().unwrap(), [expected as u8]);
                    }
                    thread::current().id()
                })
            })
            .collect();
        let writing = thread::spawn(move || {
            for number in 0..MESSAGES {
                writers.iter_mut().for_each(|writer| writer.write_all(&[number as u8]).unwrap());
                thread::sleep(Duration::from_micros(200));
            }
            writers
        });
        for task in tasks {
            assert_eq!(task.await.unwrap(), here);
        }
        drop(writing.join().unwrap());
        // Calls that another thread completes, a callback, and a timer.
        let call = device.call(WAIT, &());
        let completing = thread::spawn(move || until("a call is pending", || driver.complete_one(9)));
        assert_eq!(*call.await.unwrap(), 9);
        completing.join().unwrap();
        assert_eq!(device.call(WAIT, &()).timeout(SHORT).await.unwrap_err().kind(), ErrorKind::TimedOut);
        let (tell, told) = tokio::sync::oneshot::channel();
        device.call(ANSWER, &0).then(move |_| tell.send(thread::current().id()).unwrap());
        let called = told.await.unwrap();
        polling.abort();
        called
    });
    assert_eq!(called, here);
}

async fn poll(port: Port) {
    // SAFETY: a port has one descriptor, and keeps it open.
    let port = unsafe { AsyncFd::register_with_interest(port, Interest::READABLE) }.unwrap();
    loop {
        let mut readable = port.readable().await.unwrap();
        drain(port.get_ref());
        readable.clear_ready();
    }
}

/// Other threads complete calls, set callbacks, wait on the port and wake it, while the loop sleeps whenever it may.
#[test]
fn no_wakeup_is_lost_in_a_race() {
    let port = manual();
    let edges = Edges::of(&port);
    let (driver, device) = simulated(&port);
    let (file, mut writer) = pipe(&port);
    let over = AtomicBool::new(false);
    let count = Arc::new(Mutex::new([0; 3]));
    let counter = |what: usize| {
        let count = count.clone();
        move || count.lock().unwrap()[what] += 1
    };
    let rounds = rounds(5_000);
    thread::scope(|scope| {
        // One thread completes calls. The other waits for its own, and handles completions of other calls, too.
        scope.spawn(|| {
            while !over.load(SeqCst) {
                if !driver.complete_one(1) {
                    thread::yield_now();
                }
            }
        });
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let _ = device.call(WAIT, &()).wait();
            }
        });
        for round in 0..rounds {
            let mut expected = count.lock().unwrap().map(|count| count + 1);
            let (call, over_at_once) = (device.call(WAIT, &()), device.call(ANSWER, &0));
            let (called, was_over, read) = (counter(0), counter(1), counter(2));
            call.then(move |_| called());
            if round % 3 == 0 {
                over_at_once.then(move |_| was_over());
            } else {
                expected[1] -= 1;
            }
            file.read(8).then(move |_| read());
            writer.write_all(b"x").unwrap();
            edges.run(&port, || *count.lock().unwrap() == expected);
        }
        over.store(true, SeqCst);
        // The call that the thread waits for is complete by now, or the thread has ended.
        until("the waiting thread has ended", || {
            driver.complete_one(1);
            drain(&port);
            driver.waiting.is_empty()
        });
    });
}

/// One completion is for a thread that waits, the next one for the loop. After that, nothing comes.
#[test]
fn an_edge_triggered_loop_sees_completions_at_the_end_of_another_threads_turn() {
    let port = manual();
    let edges = Edges::of(&port);
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let (called, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let called = Arc::new(called);
    let rounds = rounds(2_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                if edges.wait(SHORT) {
                    drain(&port);
                }
            }
        });
        let (wait, waits) = mpsc::channel::<Call<u32>>();
        let (say, said) = mpsc::channel();
        scope.spawn(move || waits.into_iter().for_each(|call| say.send(*call.wait().unwrap()).unwrap()));
        for round in 0..rounds {
            wait.send(device.call(WAIT, &())).unwrap();
            let counts = called.clone();
            device.call(WAIT, &()).then(move |_| {
                counts.fetch_add(1, SeqCst);
            });
            // By now the other thread most likely waits for the first call.
            thread::sleep(Duration::from_micros(100));
            assert!(driver.complete_one(1));
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_micros(round as u64 % 100) {
                std::hint::spin_loop();
            }
            assert!(driver.complete_one(1));
            let begin = Instant::now();
            while called.load(SeqCst) == round && begin.elapsed() < LONG {
                thread::yield_now();
            }
            if called.load(SeqCst) == round {
                over.store(true, SeqCst);
                panic!("the port has work, but there was no edge, round {round}");
            }
            assert_eq!(said.recv(), Ok(1));
        }
        over.store(true, SeqCst);
    });
}

#[test]
fn two_loops_of_one_port_do_not_keep_each_other_awake() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let (called, polls, over) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let edges = Edges::of(&port);
                while !over.load(SeqCst) {
                    if edges.wait(SHORT) {
                        polls.fetch_add(1, SeqCst);
                        drain(&port);
                    }
                }
            });
        }
        let begin = Instant::now();
        for round in 0..rounds(500) {
            let counts = called.clone();
            device.call(WAIT, &()).then(move |_| {
                counts.fetch_add(1, SeqCst);
            });
            assert!(driver.complete_one(1));
            while called.load(SeqCst) == round && begin.elapsed() < LONG {
                thread::yield_now();
            }
        }
        let mut last = usize::MAX;
        while polls.load(SeqCst) != last && begin.elapsed() < 2 * LONG {
            last = polls.load(SeqCst);
            thread::sleep(SHORT);
        }
        over.store(true, SeqCst);
        assert_eq!(called.load(SeqCst), rounds(500));
        assert_eq!(polls.load(SeqCst), last, "the loops keep polling");
    });
}

/// Waits until the port has no work for this thread and is not readable. Other threads may need a while to take theirs.
fn becomes_quiet(port: &Port) {
    until("the port is not readable", || {
        drain(port);
        !is_readable(port, Duration::ZERO)
    });
    assert!(!is_readable(port, SHORT));
}

#[test]
fn timers_that_were_removed_leave_no_alarm() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let call = |time| device.call(WAIT, &()).timeout(time);
    let early: Vec<_> = (0..MANY).map(|_| call(5 * SHORT)).collect();
    drain(&port);
    while driver.complete_one(1) {}
    drain(&port);
    drop(early);
    // Adding one of these removes the early timers, and it is not the first to expire.
    let _late: Vec<_> = (0..MANY).map(|_| call(LONG)).collect();
    thread::scope(|scope| {
        let (held, other) = simulated(&port);
        let waiting = scope.spawn(move || *other.call(WAIT, &()).wait().unwrap());
        until("it waits", || !held.waiting.is_empty());
        let ends = Ends(&held);
        thread::sleep(10 * SHORT);
        becomes_quiet(&port);
        drop(ends);
        assert_eq!(waiting.join().unwrap(), 3);
    });
}

#[test]
fn a_callback_that_was_put_off_and_runs_elsewhere_leaves_no_alarm() {
    let port = manual();
    let (driver, device) = simulated(&port);
    let (other, others) = simulated(&port);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| *device.call(WAIT, &()).wait().unwrap());
        until("it waits", || !driver.waiting.is_empty());
        let ends = Ends(&driver);
        thread::sleep(SHORT);
        let stream = others.inverted(WAIT, &()).pending(1).go_on_after(|_| true).start();
        assert!(other.complete_one(1));
        // The other thread puts off the stream's item, since it may not run its code.
        thread::sleep(SHORT);
        drop(stream);
        becomes_quiet(&port);
        drop(ends);
        assert_eq!(waiting.join().unwrap(), 3);
    });
}

#[test]
fn only_its_dispatcher_polls_the_global_port() {
    let port = Port::global().unwrap();
    let (file, mut writer) = pipe(&port);
    assert_eq!(port.as_fd().as_raw_fd(), port.as_raw_fd());
    let read = file.read(8);
    writer.write_all(b"one").unwrap();
    assert_eq!(&*read.wait().unwrap(), b"one");
    assert_eq!(port.poll(ZERO), 0);
}

#[test]
fn in_the_child_of_a_fork_a_port_takes_nothing_from_the_parent() {
    let port = manual();
    let (file, mut writer) = pipe(&port);
    let called = ran_on(file.read(8));
    writer.write_all(b"one").unwrap();
    let code = fork::in_a_child(|| {
        let seen = is_readable(&port, LONG);
        if seen && port.poll(ZERO) == 0 && is_readable(&port, Duration::ZERO) { 0 } else { 1 }
    });
    assert_eq!(code, 0);
    let mut by = None;
    run(&port, || {
        by = called.try_recv().ok();
        by.is_some()
    });
    assert_eq!(by, Some(thread::current().id()));
    assert!(is_quiet(&port));
}
