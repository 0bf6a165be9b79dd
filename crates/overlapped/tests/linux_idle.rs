//! Threads that have nothing to do sleep. The system's count of their wake-ups shows it.
#![cfg(all(target_os = "linux", not(miri)))]

mod support;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use overlapped::Device;
use support::*;

/// One test at a time: the wake-ups of one must not count for another.
static ALONE: Mutex<()> = Mutex::new(());

const LONG: Duration = Duration::from_secs(60);

fn on_the_global_port() -> (Arc<support::Device>, Device) {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    (driver, device)
}

/// How often the threads of this process have gone to sleep so far, except for the calling thread.
fn sleeps() -> u64 {
    let own = std::fs::read_link("/proc/thread-self").unwrap();
    let of = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.map_or(0, |count| count.trim().parse::<u64>().unwrap())
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap);
    threads.filter(|thread| Some(&*thread.file_name()) != own.file_name()).map(of).sum()
}

/// How often other threads wake up while this one sleeps.
fn wake_ups() -> u64 {
    // Waits until earlier work is over.
    thread::sleep(Duration::from_millis(200));
    let before = sleeps();
    thread::sleep(Duration::from_millis(500));
    sleeps() - before
}

#[test]
fn work_for_the_dispatcher_alone_wakes_no_waiting_thread() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let waiters: Vec<_> = [on_the_global_port(), on_the_global_port(), on_the_global_port()].into();
    let wait = |device: &Device| {
        let call = device.call(WAIT, &());
        thread::spawn(move || call.wait_timeout(LONG).map(|reply| *reply))
    };
    // These two wait first. Then the dispatcher does not have the turn while it runs the callback.
    let mut waiting: Vec<_> = waiters[..2].iter().map(|(_, device)| wait(device)).collect();
    thread::sleep(Duration::from_millis(50));
    let (driver, device) = on_the_global_port();
    let ((tell, told), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    device.call(WAIT, &()).then(move |_| {
        tell.send(()).unwrap();
        let _ = may_go_on.recv_timeout(LONG);
    });
    assert!(driver.complete_one(1));
    told.recv_timeout(LONG).unwrap();
    // The driver ends each call at once. After some calls, only the dispatcher may submit the next ones.
    let results = device.inverted(ANSWER, &0).window(1 << 12).start();
    waiting.push(wait(&waiters[2].1));
    assert!(wake_ups() < 20, "waiting threads woke up while the dispatcher was in a callback");
    go_on.send(()).unwrap();
    for ((driver, _), waiting) in waiters.iter().zip(waiting) {
        assert!(driver.complete_one(3));
        assert_eq!(waiting.join().unwrap().unwrap(), 3);
    }
    drop(results);
}
