//! Threads that wait handle the default port's completions themselves. The dispatcher is for calls that no thread waits
//! for.
//!
//! There is only one test, since the process has one default port: another test would see the dispatcher that this one
//! starts.

#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use overlapped::{Device, ErrorKind, Port};
use support::WAIT;

const LONG: Duration = Duration::from_secs(30);

/// How many threads have the dispatcher's name.
#[cfg(all(target_os = "linux", not(miri)))]
fn dispatchers() -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    Some(tasks.filter_map(name).filter(|name| name.trim_end() == "overlapped").count())
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn dispatchers() -> Option<usize> {
    None
}

/// On another thread, completes a call as soon as the driver has one.
fn completes(driver: &Arc<support::Device>, value: u32) -> thread::JoinHandle<()> {
    let driver = driver.clone();
    thread::spawn(move || {
        let began = Instant::now();
        while !driver.complete_one(value) {
            assert!(began.elapsed() < LONG, "the driver got no call");
            thread::yield_now();
        }
    })
}

fn none(what: &str) {
    assert!(matches!(dispatchers(), None | Some(0)), "{what} started the dispatcher");
}

#[test]
fn the_dispatcher_starts_only_for_calls_that_nobody_waits_for() {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    calls_that_a_thread_waits_for_need_none(&driver, &device);
    futures_that_a_thread_waits_for_need_none(&driver, &device);
    streams_and_many_threads_need_none(&driver, &device);
    a_callback_has_it(&driver, &device);
    a_stream_that_is_neglected_has_it(&driver, &device);
    a_task_has_it(&driver, device);
}

fn calls_that_a_thread_waits_for_need_none(driver: &Arc<support::Device>, device: &Device) {
    for value in 0..3 {
        let completer = completes(driver, value);
        assert_eq!(*device.call(WAIT, &()).wait().unwrap(), value);
        completer.join().unwrap();
    }
    none("wait");
    let error = device.call(WAIT, &()).wait_timeout(Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let completer = completes(driver, 4);
    assert_eq!(*device.call(WAIT, &()).wait_timeout(LONG).unwrap(), 4);
    completer.join().unwrap();
    none("wait_timeout");
}

fn futures_that_a_thread_waits_for_need_none(driver: &Arc<support::Device>, device: &Device) {
    let port = Port::global().unwrap();
    let completer = completes(driver, 5);
    assert_eq!(*port.block_on(async { device.call(WAIT, &()).await.unwrap() }).unwrap(), 5);
    completer.join().unwrap();
    let nothing = port.block_on_timeout(device.call(WAIT, &()), Duration::from_millis(5)).unwrap();
    assert!(nothing.is_none());
    let mut call = device.call(WAIT, &());
    completes(driver, 6).join().unwrap();
    let restless = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut call).poll(cx) {
                return Poll::Ready(result);
            }
        }
    });
    assert_eq!(*port.block_on(restless).unwrap().unwrap(), 6, "the future that never lets its thread wait");
    none("block_on");
    port.block_on(port.sleep(Duration::from_millis(5))).unwrap();
    drop(port.sleep(LONG));
    none("a sleep");
    assert_eq!(port.stats().in_flight, 0, "a call that was dropped is handled by the thread that drops it");
}

fn streams_and_many_threads_need_none(driver: &Arc<support::Device>, device: &Device) {
    let mut items = device.inverted(WAIT, &()).armed_by_consumer().start();
    for value in 6..9 {
        let completer = completes(driver, value);
        assert_eq!(*items.wait_next().unwrap().unwrap(), value);
        completer.join().unwrap();
    }
    drop(items);
    none("a stream that threads wait for");
    assert_eq!(Port::global().unwrap().stats().in_flight, 0);
    // Each of the threads that wait at the same time gets its own result, whichever of them dispatches.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert!(device.call(WAIT, &()).wait().is_ok())));
        }
        scope.spawn(|| {
            let mut left = 200;
            while left > 0 {
                if driver.complete_one(0) { left -= 1 } else { thread::yield_now() }
            }
        });
    });
    none("several threads that wait");
}

/// It runs on the dispatcher, and not on a thread that waits, which handles its completion.
fn a_callback_has_it(driver: &Arc<support::Device>, device: &Device) {
    let (called, is_called) = mpsc::channel();
    let waits = {
        let (device, called) = (device.clone(), called.clone());
        thread::spawn(move || {
            let call = device.call(WAIT, &());
            called.send(None).unwrap();
            *call.wait().unwrap()
        })
    };
    assert_eq!(is_called.recv_timeout(LONG).unwrap(), None);
    // The thread has the turn and sleeps, or is about to.
    thread::sleep(Duration::from_millis(20));
    let other_driver = support::Device::new();
    let other = Device::simulated(other_driver.clone()).unwrap();
    other.call(WAIT, &()).then(move |result| {
        let here = thread::current();
        called.send(Some((*result.unwrap(), here.name().map(str::to_owned), here.id()))).unwrap();
    });
    let waiting = waits.thread().id();
    assert!(other_driver.complete_one(11));
    let (value, name, id) = is_called.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!((value, name.as_deref()), (11, Some("overlapped")));
    assert_ne!(id, waiting);
    assert!(driver.complete_one(10));
    assert_eq!(waits.join().unwrap(), 10);
    assert!(matches!(dispatchers(), None | Some(1)), "{:?}", dispatchers());
}

/// It is armed again at once, also behind a thread that waited and has left.
fn a_stream_that_is_neglected_has_it(driver: &Arc<support::Device>, device: &Device) {
    let mut items = device.inverted(WAIT, &()).pending(1).start();
    let completer = completes(driver, 20);
    assert_eq!(*items.wait_next().unwrap().unwrap(), 20);
    completer.join().unwrap();
    for value in 21..24 {
        completes(driver, value).join().unwrap();
    }
    let taken: Vec<_> = (0..3).map(|_| *items.wait_next_timeout(LONG).unwrap().unwrap()).collect();
    assert_eq!(taken, [21, 22, 23]);
}

/// It is woken though no thread waits at the port.
fn a_task_has_it(driver: &Arc<support::Device>, device: Device) {
    let woken = Arc::new(AtomicBool::new(false));
    let task = thread::spawn({
        let woken = woken.clone();
        move || {
            let value = futures::executor::block_on(device.call(WAIT, &())).map(|reply| *reply);
            woken.store(true, SeqCst);
            value
        }
    });
    completes(driver, 30).join().unwrap();
    assert_eq!(task.join().unwrap().unwrap(), 30);
    assert!(woken.load(SeqCst));
}
