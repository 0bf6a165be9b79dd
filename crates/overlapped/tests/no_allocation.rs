//! In steady state a call allocates no memory. The global allocator counts.
#![cfg(not(miri))]

mod support;

use std::time::Duration;

use overlapped::sim::{self, Outcome, Request};
use overlapped::{Device, Ioctl, Port, Status};
use support::*;
use test_support::allocations::{Counting, of_all};

// SAFETY: the simulated driver writes no more than it has room for.
const WAIT_LARGE: Ioctl<(), [u8]> = unsafe { Ioctl::slice(WAIT.code(), 1 << 20) };

/// How many rounds of large transfers. Few: a round that allocates its memory anew is slow.
const LARGE: usize = 50;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations a thousand rounds of `work` make, after some rounds that are not counted.
fn allocations(work: impl FnMut()) -> u64 {
    allocations_in(1000, work)
}

/// The least count of a few tries: the test harness has its own thread, which may allocate meanwhile.
fn allocations_in(rounds: usize, mut work: impl FnMut()) -> u64 {
    (0..5).map(|_| allocations_once(rounds, &mut work)).min().unwrap_or(0)
}

fn allocations_once(rounds: usize, work: &mut impl FnMut()) -> u64 {
    for _ in 0..rounds / 10 {
        work();
    }
    let before = of_all();
    for _ in 0..rounds {
        work();
    }
    of_all() - before
}

/// A single test, so that no other test allocates meanwhile.
#[test]
fn a_call_allocates_nothing_in_steady_state() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let device = Device::simulated_on(&port, driver.clone()).unwrap();

    let at_once = allocations(|| {
        assert_eq!(device.call(ANSWER, &0).wait().unwrap().len(), 4);
    });
    let pending = allocations(|| {
        let call = device.call(WAIT, &());
        driver.complete_one(7);
        assert!(port.poll(Some(Duration::ZERO)) > 0);
        assert_eq!(*call.wait().unwrap(), 7);
    });
    // Small and large calls in turn: a slot's own buffer is given up, and comes back.
    let large = allocations_in(LARGE, || {
        for records in [50, 1000, 300 << 10] {
            let call = device.call(ANSWER.with_capacity(records), &0);
            assert_eq!(call.wait().unwrap().len(), 4);
        }
    });
    let dropped = allocations(|| {
        drop(device.call(WAIT, &()));
        drain(&port);
    });
    let (inverted, large_stream) = streams(&port, &driver, &device);
    let (waited, slept) = on_the_global_port();
    let device_files = device_files();
    assert_eq!(
        (at_once, pending, large, dropped, inverted, large_stream, waited, slept, device_files),
        (0, 0, 0, 0, 0, 0, 0, 0, 0),
        "(at once, pending, large, dropped, inverted, stream of large ones, waited, slept, device files)"
    );
}

fn streams(port: &Port, driver: &support::Device, device: &Device) -> (u64, u64) {
    let mut stream = device.inverted(WAIT, &()).pending(4).window(8).start();
    let inverted = allocations(|| {
        for _ in 0..4 {
            driver.complete_one(1);
        }
        drain(port);
        for _ in 0..4 {
            assert_eq!(*stream.wait_next().unwrap().unwrap(), 1);
        }
    });
    drop(stream);
    // Like a frame grabber: four reads of 1 MiB are pending, and items are held until four more have come.
    let mut stream = device.inverted(WAIT_LARGE, &()).pending(4).window(12).start();
    let large_stream = allocations_in(LARGE, || {
        for _ in 0..4 {
            driver.complete_one(1);
        }
        drain(port);
        let frames: [_; 4] = std::array::from_fn(|_| stream.wait_next().unwrap().unwrap());
        assert!(frames.iter().all(|frame| frame.len() == 4));
    });
    (inverted, large_stream)
}

/// On a port with a dispatcher, and with a thread that really waits.
fn on_the_global_port() -> (u64, u64) {
    let echo = Device::simulated(sim::from_fn(|request: Request| -> Outcome {
        let (mut pended, outcome) = request.pend();
        pended.write(&1_u32.to_ne_bytes());
        pended.complete(Status::SUCCESS);
        outcome
    }))
    .unwrap();
    let waited = allocations(|| {
        assert_eq!(*echo.call(WAIT, &()).wait().unwrap(), 1);
    });
    let global = Port::global().unwrap();
    let slept = allocations_in(100, || {
        drop(global.block_on_timeout(global.sleep(Duration::from_secs(3600)), Duration::ZERO));
        global.block_on(global.sleep(Duration::from_micros(10))).unwrap();
    });
    (waited, slept)
}

/// Pipes that are filled after the read, before it, and when the stream's window was full.
#[cfg(all(target_os = "linux", not(miri)))]
fn device_files() -> u64 {
    use std::io::Write;
    let port = Port::manual().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = Device::from_fd_on(&port, reader).unwrap();
    let reads = allocations(|| {
        let read = reader.read(1);
        writer.write_all(&[1]).unwrap();
        assert!(port.poll(None) > 0);
        assert_eq!(*read.wait().unwrap(), [1]);
        writer.write_all(&[2]).unwrap();
        assert_eq!(*reader.read(1).wait().unwrap(), [2]);
    });
    let mut stream = reader.standing_reads(1).pending(2).window(4).start();
    let standing = allocations(|| {
        writer.write_all(&[1; 10]).unwrap();
        for _ in 0..10 {
            drain(&port);
            assert_eq!(*stream.wait_next().unwrap().unwrap(), [1]);
        }
    });
    drop(stream);
    let mut stream = reader.standing_reads(1 << 20).start();
    let large = allocations_in(LARGE, || {
        writer.write_all(&[1; 10]).unwrap();
        drain(&port);
        assert_eq!(stream.wait_next().unwrap().unwrap().len(), 10);
    });
    drop(stream);
    let mut buffer = Some(overlapped::Buffer::aligned(1 << 20, 4096).unwrap());
    let lent = allocations(|| {
        writer.write_all(&[1; 10]).unwrap();
        let reply = reader.read_into(buffer.take().unwrap()).wait();
        assert_eq!(reply.len(), 10);
        buffer = Some(reply.output);
    });
    reads + standing + large + lent
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn device_files() -> u64 {
    0
}
