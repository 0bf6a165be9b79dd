//! Children of a fork on Linux. They are apart from other tests, because a child has a copy of every open file.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/fork.rs"]
mod fork;
#[allow(unused_macros, unused_imports, reason = "its suite is for streams")]
#[path = "support/stream.rs"]
mod stream;
mod support;

use std::future::Future;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use fork::in_a_child;
use overlapped::{Call, Device, Port, Sleep};
use rustix::fs::{OFlags, fcntl_getfl};
use stream::{LONG, is_pending};
use support::*;

fn is_blocking(file: impl AsFd) -> bool {
    !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn a_device_that_is_dropped_in_a_child_closes_the_childs_copy_and_nothing_else() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let twin = reader.try_clone().unwrap();
    let number = reader.as_raw_fd();
    let here = Mutex::new(Some(Device::from_fd(reader).unwrap()));
    let mut pending = here.lock().unwrap().as_ref().unwrap().read(1);
    assert!(is_pending(&mut pending));
    drop(pending);
    let code = in_a_child(|| {
        let Some(device) = here.lock().unwrap().take() else { return 1 };
        drop(device);
        // SAFETY: the call only reads a flag.
        i32::from(unsafe { libc::fcntl(number, libc::F_GETFD) } != -1) * 2
    });
    assert_eq!(code, 0);
    assert!(!is_blocking(&twin), "the parent still uses the file");
    writer.write_all(b"to the parent").unwrap();
    let device = here.lock().unwrap().take().unwrap();
    assert_eq!(&*device.read(64).wait().unwrap(), b"to the parent");
}

#[test]
fn a_child_has_a_port_of_its_own_whatever_lock_was_held() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    drop(Port::global().unwrap());
                }
            });
        }
        let codes: Vec<_> = (0..100)
            .map(|_| {
                in_a_child(|| {
                    let Ok((reader, mut writer)) = std::io::pipe() else { return 1 };
                    let Ok(device) = Device::from_fd(reader) else { return 2 };
                    let read = device.read(8);
                    if writer.write_all(b"own").is_err() {
                        return 3;
                    }
                    if read.wait().is_ok_and(|bytes| *bytes == *b"own") { 0 } else { 4 }
                })
            })
            .collect();
        over.store(true, SeqCst);
        assert_eq!(codes, [0; 100]);
    });
}

/// Each request of a child to its parent's port returns, whichever lock a thread of the parent held at the fork.
#[test]
fn a_childs_requests_to_its_parents_port_return() {
    for port in [Port::manual().unwrap(), Port::global().unwrap()] {
        let over = AtomicBool::new(false);
        let (reader, _writer) = std::io::pipe().unwrap();
        let device = Device::from_fd_on(&port, reader).unwrap();
        let (asked, other) = (Mutex::new(Some(device.read(1).timeout(LONG))), Mutex::new(Some(device.read(1))));
        let mut sleep = port.sleep(LONG);
        assert!(is_pending(&mut sleep));
        let sleep = Mutex::new(Some(sleep));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        port.wake();
                        drop((port.stats(), port.pending(), device.read(1).timeout(LONG)));
                        assert!(is_pending(&mut port.sleep(LONG)));
                        port.poll(Some(std::time::Duration::ZERO));
                    }
                });
            }
            let asks = || {
                let take = |call: &Mutex<Option<Call<[u8]>>>| call.lock().unwrap().take().unwrap();
                asked_in_a_child(&port, &device, [take(&asked), take(&other)], sleep.lock().unwrap().take().unwrap())
            };
            let codes: Vec<_> = (0..100).map(|_| in_a_child(asks)).collect();
            over.store(true, SeqCst);
            assert_eq!(codes, [0; 100]);
        });
    }
}

fn asked_in_a_child(port: &Port, device: &Device, [asked, other]: [Call<[u8]>; 2], sleep: Sleep) -> i32 {
    port.wake();
    assert_eq!((port.stats(), port.pending().len()), (overlapped::PortStats::default(), 0));
    assert!(!format!("{port:?} {device:?}").is_empty());
    assert_eq!(port.poll(None), 0);
    assert!(port.as_raw_fd() >= 0);
    assert!(Device::simulated_on(port, overlapped::sim::Script::new("card")).is_err());
    let (called, is_called) = std::sync::mpsc::channel();
    let tell = |called: &std::sync::mpsc::Sender<_>| {
        let called = called.clone();
        move |reply: Result<_, _>| called.send(reply.is_err()).unwrap()
    };
    device.read(1).then(tell(&called));
    asked.cancel();
    asked.timeout(LONG).then(tell(&called));
    assert!(other.wait().is_err());
    drop(called);
    assert_eq!(is_called.try_iter().collect::<Vec<_>>(), [true; 2]);
    let mut is_first = true;
    let woken = std::future::poll_fn(|cx| {
        if std::mem::take(&mut is_first) {
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake());
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(7)
    });
    port.sleep(LONG).then(|| unreachable!("nobody dispatches it here"));
    port.block_on(port.sleep(std::time::Duration::from_millis(2))).unwrap();
    drop(sleep);
    port.block_on(woken).map_or(1, |seven| seven - 7)
}

/// The exit code of a forked child, or `None` if it did not exit in time.
fn end_of(child: i32) -> Option<i32> {
    let (begin, mut status) = (Instant::now(), 0);
    loop {
        // SAFETY: the status is an integer that lives until the call returns. The child is our own, and exists until it
        // was waited for.
        unsafe {
            if libc::waitpid(child, &raw mut status, libc::WNOHANG) == child {
                return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            }
            if begin.elapsed() > Duration::from_secs(10) {
                libc::kill(child, libc::SIGKILL);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fork() -> i32 {
    // SAFETY: the child goes on as the caller does; the test checks that it comes to an end.
    unsafe { libc::fork() }
}

/// The child has only the thread that forked. Here that is the dispatcher, whose port brings nothing any more.
#[test]
fn a_child_that_a_callback_forks_ends_with_the_dispatcher() {
    let driver = support::Device::new();
    let device = Device::simulated(driver.clone()).unwrap();
    // Another call is in flight, so that a dispatcher would sleep in the port.
    device.call(WAIT, &()).then(drop);
    let stream = device.inverted(WAIT, &()).start();
    let (tell, told) = std::sync::mpsc::channel();
    device.call(PEND_AND_COMPLETE, &()).then(move |_| match fork() {
        0 => {}
        child => tell.send(child).unwrap(),
    });
    assert_eq!(end_of(told.recv().unwrap()), Some(0));
    drop(stream);
}

#[test]
fn a_child_that_a_waker_forks_comes_back_from_the_wait() {
    struct Forks(std::sync::mpsc::Sender<i32>);
    impl Wake for Forks {
        fn wake(self: Arc<Self>) {
            self.0.send(fork()).unwrap();
        }
    }
    let (port, driver) = (Port::manual().unwrap(), support::Device::new());
    let device = Device::simulated_on(&port, driver.clone()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (mut call, other) = (device.call(WAIT, &()), device.call(WAIT, &()));
    let waker = Waker::from(Arc::new(Forks(tell)));
    assert!(pin!(&mut call).poll(&mut Context::from_waker(&waker)).is_pending());
    let waiting = std::thread::spawn(move || {
        let parent = std::process::id();
        let ended = other.wait();
        if std::process::id() != parent {
            // SAFETY: the call ends the child at once.
            unsafe { libc::_exit(if ended.is_err() { 7 } else { 8 }) }
        }
        ended.map(|reply| *reply)
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(driver.complete_one(1));
    assert_eq!(end_of(told.recv().unwrap()), Some(7));
    assert!(driver.complete_one(2));
    assert_eq!(waiting.join().unwrap().unwrap(), 2);
    drop(call);
}
