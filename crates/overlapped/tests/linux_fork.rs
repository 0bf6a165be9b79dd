//! Children of a fork on Linux, apart from other tests: a child has copies of everything that is open.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/fork.rs"]
mod fork;
#[allow(unused_macros, unused_imports, reason = "its suite is for streams")]
#[path = "support/stream.rs"]
mod stream;
mod support;

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use fork::in_a_child;
use overlapped::{Device, Port};
use rustix::fs::{OFlags, fcntl_getfl};
use stream::{LONG, is_pending};

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
        // SAFETY: it only asks for a flag.
        i32::from(unsafe { libc::fcntl(number, libc::F_GETFD) } != -1) * 2
    });
    assert_eq!(code, 0);
    assert!(!is_blocking(&twin), "the parent still reads it");
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

/// Whatever a child asks of its parent's port ends, whatever lock a thread of the parent held at the fork.
#[test]
fn what_a_child_asks_of_its_parents_port_ends() {
    for port in [Port::manual().unwrap(), Port::global().unwrap()] {
        let over = AtomicBool::new(false);
        let (reader, _writer) = std::io::pipe().unwrap();
        let device = Device::from_fd_on(&port, reader).unwrap();
        let (asked, other) = (Mutex::new(Some(device.read(1).timeout(LONG))), Mutex::new(Some(device.read(1))));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        port.wake();
                        drop((port.stats(), port.pending(), device.read(1).timeout(LONG)));
                        port.poll(Some(std::time::Duration::ZERO));
                    }
                });
            }
            let codes: Vec<_> = (0..100)
                .map(|_| {
                    in_a_child(|| {
                        port.wake();
                        assert_eq!((port.stats(), port.pending().len()), (overlapped::PortStats::default(), 0));
                        assert!(!format!("{port:?} {device:?}").is_empty());
                        assert_eq!(port.poll(None), 0);
                        assert!(port.as_raw_fd() >= 0);
                        assert!(Device::simulated_on(&port, overlapped::sim::Script::new("card")).is_err());
                        let (called, is_called) = std::sync::mpsc::channel();
                        let tell = |called: &std::sync::mpsc::Sender<_>| {
                            let called = called.clone();
                            move |reply: Result<_, _>| called.send(reply.is_err()).unwrap()
                        };
                        device.read(1).then(tell(&called));
                        let asked = asked.lock().unwrap().take().unwrap();
                        asked.cancel();
                        asked.timeout(LONG).then(tell(&called));
                        assert!(other.lock().unwrap().take().unwrap().wait().is_err());
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
                        port.block_on(woken).map_or(1, |seven| seven - 7)
                    })
                })
                .collect();
            over.store(true, SeqCst);
            assert_eq!(codes, [0; 100]);
        });
    }
}
