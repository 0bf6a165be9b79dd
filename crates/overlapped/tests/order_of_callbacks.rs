//! Callbacks run in the order of completion. This runs in a process of its own, since other tests' calls on the default
//! port would interfere.

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use overlapped::{Device, Port, Status};
use support::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

fn on_the_global_port() -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    (driver, device)
}

/// Notes the value of a call, in a callback.
fn note(device: &Device, notes: &Arc<Mutex<Vec<u32>>>) {
    let notes = notes.clone();
    device.call(WAIT, &()).then(move |reply| notes.lock().unwrap().push(*reply.unwrap()));
}

#[test]
fn callbacks_that_a_waiting_thread_put_off_come_first() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let (leader, led) = on_the_global_port();
    let waiting = thread::spawn(move || led.call(WAIT, &()).wait().map(|reply| *reply));
    // The thread waits first. So it handles the completions.
    thread::sleep(SHORT);
    let (driver, device) = on_the_global_port();
    let ((tell, told), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    device.call(WAIT, &()).then(move |_| {
        tell.send(()).unwrap();
        may_go_on.recv_timeout(LONG).unwrap();
    });
    (0..3).for_each(|_| note(&device, &notes));
    assert!(driver.complete_one(0));
    told.recv_timeout(LONG).unwrap();
    // The dispatcher is in a callback, so the next callback is put off. Then the thread leaves, and the dispatcher runs
    // the rest.
    assert!(driver.complete_one(1));
    thread::sleep(SHORT);
    assert!(leader.complete_one(7));
    assert_eq!(waiting.join().unwrap().unwrap(), 7);
    assert!(driver.complete_one(2) && driver.complete_one(3));
    go_on.send(()).unwrap();
    until("every callback has run", || notes.lock().unwrap().len() == 3);
    assert_eq!(*notes.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn callbacks_that_the_last_wait_put_off_come_first_in_a_poll() {
    let (port, driver, notes) = (Port::manual().unwrap(), support::Device::new(), Arc::default());
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    (0..3).for_each(|_| note(&device, &notes));
    let waited = device.call(WAIT, &());
    let mut calls: Vec<_> = std::iter::from_fn(|| driver.waiting.pop()).collect();
    let mut complete = |place: usize, value: u32| {
        let (mut call, ()) = calls.remove(place);
        call.write(&value.to_ne_bytes());
        call.complete(Status::SUCCESS);
    };
    complete(0, 1);
    complete(2, 7);
    assert_eq!(*waited.wait().unwrap(), 7);
    complete(0, 2);
    complete(0, 3);
    drain(&port);
    assert_eq!(*notes.lock().unwrap(), [1, 2, 3]);
}
