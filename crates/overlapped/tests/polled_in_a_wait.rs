//! A thread polls calls inside a wait, but another executor or thread waits for them.

mod support;

use std::future::pending;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use overlapped::{Device, Port};
use support::*;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn on_the_global_port() -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    (driver, device)
}

/// Runs `run` on another thread and returns its result. Fails after a minute.
fn within_a_minute<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(run()));
    told.recv_timeout(LONG).expect("not over within a minute, or panicked")
}

#[test]
fn a_call_that_another_executor_polls_inside_of_a_wait_is_completed() {
    let (driver, device) = on_the_global_port();
    let port = Port::global().unwrap();
    let reply = device.call(WAIT, &());
    let waiting = thread::spawn(move || {
        // Inside of the wait this thread is parked by an executor that does not know ports.
        let parked = async { futures::executor::block_on(reply).map(|reply| *reply).unwrap() };
        within_a_minute(move || port.block_on(parked).unwrap())
    });
    thread::sleep(SHORT);
    assert!(driver.complete_one(7));
    assert_eq!(waiting.join().unwrap(), 7);
}

#[test]
fn a_set_of_calls_that_was_polled_in_a_wait_completes_on_another_thread() {
    let (driver, device) = on_the_global_port();
    let port = Port::global().unwrap();
    let mut calls: FuturesUnordered<_> = (0..3).map(|_| device.call(WAIT, &())).collect();
    assert!(port.block_on_timeout(calls.next(), SHORT).unwrap().is_none());
    // The set polls only the calls that were woken.
    let waiting = thread::spawn(|| within_a_minute(move || futures::executor::block_on(calls.next())));
    thread::sleep(SHORT);
    assert!(driver.complete_one(7));
    assert_eq!(*waiting.join().unwrap().unwrap().unwrap(), 7);
}

#[test]
fn a_stream_that_a_task_polled_in_a_wait_goes_on_when_its_executor_runs_elsewhere() {
    let (driver, device) = on_the_global_port();
    let port = Port::global().unwrap();
    let mut events = device.inverted(WAIT, &()).armed_by_consumer().start();
    let executor = smol::Executor::new();
    let task = executor.spawn(async move {
        let mut sum = 0;
        while sum < 7 {
            sum += *events.next().await.unwrap().unwrap();
        }
        sum
    });
    assert!(port.block_on_timeout(executor.run(pending::<()>()), SHORT).unwrap().is_none());
    let waiting = thread::spawn(|| within_a_minute(move || futures::executor::block_on(executor.run(task))));
    for value in [1, 2, 4] {
        until("the driver has a call", || driver.complete_one(value));
    }
    assert_eq!(waiting.join().unwrap(), 7);
}
