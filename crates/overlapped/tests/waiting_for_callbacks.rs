//! A thread that waits on a manual port must not run callbacks of others, so it puts them off. None of them may be
//! lost, and a thread that waits for one gets it.
#![cfg(all(target_os = "linux", not(miri)))]

use std::future::Future;
use std::io::{PipeWriter, Write};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use overlapped::{Buffer, Device, ErrorKind, InvertedCall, Port};

const LONG: Duration = Duration::from_secs(60);

fn pipe(port: &Port) -> (Device, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    (Device::from_fd_on(port, reader).unwrap(), writer)
}

/// A stream that runs caller's code when its items arrive.
fn stream(device: &Device) -> InvertedCall<[u8]> {
    device.standing_reads(8).go_on_after(|_| false).start()
}

fn next(stream: &mut InvertedCall<[u8]>) -> Vec<u8> {
    stream.wait_next_timeout(LONG).unwrap().unwrap().to_vec()
}

#[test]
fn a_thread_that_waits_for_one_stream_and_then_another_gets_both() {
    let port = Port::manual().unwrap();
    let ((first, mut to_first), (second, mut to_second)) = (pipe(&port), pipe(&port));
    let (mut one, mut other) = (stream(&first), stream(&second));
    to_second.write_all(b"2").unwrap();
    assert!(
        one.wait_next_timeout(Duration::from_millis(50)).unwrap().is_err(),
        "the wait handles the other stream's item"
    );
    to_first.write_all(b"1").unwrap();
    assert_eq!((next(&mut one), next(&mut other)), (b"1".to_vec(), b"2".to_vec()));
}

#[test]
fn a_stream_gets_its_item_after_the_port_was_dropped() {
    let port = Port::manual().unwrap();
    let ((first, _to_first), (second, mut to_second)) = (pipe(&port), pipe(&port));
    let mut items = stream(&second);
    drop(port);
    to_second.write_all(b"2").unwrap();
    assert!(first.read(8).wait_timeout(Duration::from_millis(50)).is_err(), "the wait handles the stream's item");
    assert_eq!(next(&mut items), b"2");
}

#[test]
fn a_poll_runs_a_callback_while_another_thread_only_waits() {
    let port = Port::manual().unwrap();
    let ((first, mut to_first), (second, mut to_second)) = (pipe(&port), pipe(&port));
    let waits = first.read(8);
    let waiting = std::thread::spawn(move || waits.wait().map(|reply| reply.to_vec()));
    let (ran, told) = mpsc::channel();
    let poller = std::thread::spawn(move || {
        while told.try_recv().is_err() {
            port.poll(Some(Duration::from_secs(1)));
        }
    });
    let (called, is_called) = mpsc::channel();
    second.read(8).then(move |reply| called.send(reply.unwrap().to_vec()).unwrap());
    to_second.write_all(b"2").unwrap();
    assert_eq!(is_called.recv_timeout(LONG).unwrap(), b"2", "the waiting thread has no result yet");
    ran.send(()).unwrap();
    to_first.write_all(b"1").unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), b"1");
    poller.join().unwrap();
}

/// A thread that waits for a read without an end. It has put off work that others wait for, and sleeps.
fn a_sleeper(port: &Port, put_off: impl FnOnce()) -> impl FnOnce() {
    let (never, mut ends) = pipe(port);
    let (says, is_waiting) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        let read = never.read(8);
        says.send(()).unwrap();
        read.wait().map(|reply| reply.to_vec())
    });
    is_waiting.recv().unwrap();
    put_off();
    // The thread puts that off, and goes to sleep.
    std::thread::sleep(Duration::from_millis(20));
    move || {
        ends.write_all(b"1").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), b"1");
    }
}

#[test]
fn a_later_poll_runs_a_callback_that_a_sleeping_thread_put_off() {
    for timeout in [Some(LONG), Some(Duration::ZERO), None] {
        let port = Port::manual().unwrap();
        let (device, mut peer) = pipe(&port);
        let (called, is_called) = mpsc::channel();
        let end = a_sleeper(&port, || {
            device.read(8).then(move |reply| called.send(reply.unwrap().to_vec()).unwrap());
            peer.write_all(b"2").unwrap();
        });
        let mut polls = 0;
        while is_called.try_recv().is_err() {
            port.poll(timeout);
            polls += 1;
            assert!(polls < 1000, "{timeout:?}: the sleeping thread keeps the port from the polling thread");
        }
        end();
    }
}

#[test]
fn a_later_wait_gets_an_item_that_a_sleeping_thread_put_off() {
    for (timeout, tries) in [(LONG, 1), (Duration::ZERO, 1000)] {
        let port = Port::manual().unwrap();
        let (device, mut peer) = pipe(&port);
        let mut items = stream(&device);
        let (first, second) = (pipe(&port), pipe(&port));
        let wait = |device: Device| std::thread::spawn(move || device.read(8).wait().map(|reply| reply.to_vec()));
        let others = [first.0, second.0].map(wait);
        std::thread::sleep(Duration::from_millis(20));
        peer.write_all(b"2").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        // Two threads sleep, or wait for the turn. They need a moment.
        let item = (0..tries).find_map(|_| items.wait_next_timeout(timeout).unwrap().ok());
        assert_eq!(item.as_deref(), Some(&b"2"[..]), "{timeout:?}");
        for mut peer in [first.1, second.1] {
            peer.write_all(b"1").unwrap();
        }
        others.into_iter().for_each(|other| assert_eq!(other.join().unwrap().unwrap(), b"1"));
    }
}

/// A read that takes longer than this is waiting for the grace period of the read before it.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn a_read_does_not_wait_for_a_dropped_stream_though_nobody_polls() {
    let port = Port::manual().unwrap();
    let (device, mut peer) = pipe(&port);
    for _ in 0..3 {
        drop(stream(&device));
        peer.write_all(b"2").unwrap();
        assert_eq!(&*device.read(8).wait_timeout(SOON).unwrap(), b"2");
    }
}

#[test]
fn bytes_put_off_for_a_dropped_stream_go_to_the_next_read() {
    let port = Port::manual().unwrap();
    let (device, mut peer) = pipe(&port);
    let items = stream(&device);
    let end = a_sleeper(&port, || peer.write_all(b"2").unwrap());
    drop(items);
    // Nobody has waited or polled in between.
    let mut read = device.read(8);
    let Poll::Ready(Ok(bytes)) = Pin::new(&mut read).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the bytes are not there: {read:?}");
    };
    assert_eq!(&*bytes, b"2");
    end();
}

#[test]
fn a_nested_wait_does_not_take_the_outer_waits_wakeup() {
    for port in [Port::manual().unwrap(), Port::global().unwrap()] {
        let ((device, mut peer), (other, _never)) = (pipe(&port), pipe(&port));
        let (done, is_done) = mpsc::channel();
        // On another thread, since it may hang.
        std::thread::spawn(move || {
            let (mut read, mut items, mut is_first) = (device.read(8), stream(&other), true);
            let outer = std::future::poll_fn(|cx| {
                let polled = Pin::new(&mut read).poll(cx);
                if std::mem::take(&mut is_first) {
                    peer.write_all(b"2").unwrap();
                    assert!(items.wait_next_timeout(Duration::from_millis(50)).unwrap().is_err());
                }
                polled
            });
            done.send(port.block_on(outer).unwrap().unwrap().to_vec()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(LONG).unwrap(), b"2");
    }
}

/// Waits inside of the callbacks of this many ports, each nested in the one before.
fn wait_inside_of(ports: usize) -> ErrorKind {
    let port = Port::manual().unwrap();
    let (device, mut peer) = pipe(&port);
    if ports == 0 {
        return device.read(8).wait_timeout(Duration::from_millis(5)).unwrap_err().kind();
    }
    peer.write_all(b"2").unwrap();
    let (says, said) = mpsc::channel();
    device.read(8).then(move |_| says.send(wait_inside_of(ports - 1)).unwrap());
    while port.poll(Some(LONG)) == 0 {}
    said.try_recv().unwrap()
}

#[test]
fn a_wait_that_is_nested_too_deep_is_refused() {
    assert_eq!(wait_inside_of(7), ErrorKind::TimedOut);
    assert_eq!(wait_inside_of(8), ErrorKind::Deadlock);
}

#[test]
fn a_completed_read_gets_given_back_bytes_before_its_own() {
    let port = Port::manual().unwrap();
    let (device, mut peer) = pipe(&port);
    let (first, second, third) = (device.read(1), device.read(1), device.read(1));
    peer.write_all(b"12").unwrap();
    while port.poll(Some(Duration::from_millis(50))) > 0 {}
    drop(first);
    assert_eq!(&*second.wait().unwrap(), b"1");
    assert_eq!(&*third.wait().unwrap(), b"2");
}

#[test]
fn a_dropped_read_into_a_buffer_gives_its_bytes_back() {
    let port = Port::manual().unwrap();
    let (device, mut peer) = pipe(&port);
    peer.write_all(b"12").unwrap();
    drop(device.read_into(Buffer::aligned(1, 1).unwrap()));
    assert_eq!(&*device.read(2).wait().unwrap(), b"12");
}
