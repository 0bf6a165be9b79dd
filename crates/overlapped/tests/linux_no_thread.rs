//! The dispatcher cannot be started, since the system gives no thread: alone, since the limit is the process's.
#![cfg(all(target_os = "linux", not(miri)))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use overlapped::{Device, Port};
use support::*;

/// So many bytes the process may have besides those that it has: less than a thread's stack.
const A_LITTLE: libc::rlim_t = 1 << 20;

fn limit_memory(to: Option<libc::rlim_t>) {
    let limit = libc::rlimit { rlim_cur: to.unwrap_or(libc::RLIM_INFINITY), rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit lives until the call returns.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

fn size() -> libc::rlim_t {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<libc::rlim_t>().unwrap() << 10
}

#[test]
fn without_a_dispatcher_threads_wait_all_the_same_and_callbacks_run_when_there_is_one() {
    let rounds = rounds(10_000);
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    let begin = Arc::new(Barrier::new(2));
    let (waits, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let call_back = || {
        let called = called.clone();
        device.call(WAIT, &()).then(move |result| {
            result.unwrap();
            called.fetch_add(1, SeqCst);
        });
    };
    thread::spawn({
        let (begin, waits, device) = (begin.clone(), waits.clone(), device.clone());
        move || {
            for _ in 0..rounds {
                begin.wait();
                device.call(WAIT, &()).wait().unwrap();
                waits.fetch_add(1, SeqCst);
            }
        }
    });
    thread::spawn(move || {
        loop {
            driver.complete_one(1);
            thread::yield_now();
        }
    });
    limit_memory(Some(size() + A_LITTLE));
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "the system gives no thread");
    call_back();
    for round in 0..rounds {
        begin.wait();
        // The thread may stand in line by the time that there is no dispatcher to have the turn.
        let mut tasks = device.call(WAIT, &());
        let _ = pin!(&mut tasks).poll(&mut Context::from_waker(Waker::noop()));
        let begin = Instant::now();
        while waits.load(SeqCst) == round {
            assert!(begin.elapsed() < Duration::from_secs(10), "a thread that waits is not woken, round {round}");
            thread::yield_now();
        }
        drop(tasks);
    }
    assert_eq!(called.load(SeqCst), 0, "callbacks run on a dispatcher and nowhere else");
    limit_memory(None);
    call_back();
    until("every callback has run", || called.load(SeqCst) == 2);
    let port = Port::global().unwrap();
    until("nothing is in flight", || port.stats().in_flight == 0);
}
