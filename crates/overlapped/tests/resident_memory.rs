//! A large burst of calls gives its memory back to the system. This test is alone in its program, because it reads the
//! memory of the whole process.
#![cfg(all(target_os = "linux", not(miri)))]

mod support;

use overlapped::{Device, Port};
use support::ECHO;

#[test]
fn after_a_burst_of_large_calls_the_system_gets_the_memory_back() {
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, support::Device::new()).unwrap();
    // Small enough that the C library's allocator does not map each of them separately.
    let (echo, input) = (ECHO.with_capacity(24 << 10), vec![1; 24 << 10]);
    let before = resident();
    let calls: Vec<_> = (0..3000).map(|_| device.call(echo, &input)).collect();
    let meanwhile = resident();
    assert!(meanwhile - before > 100 << 20, "the burst was too small: {} bytes", meanwhile - before);
    drop(calls);
    assert!(resident() < before + (80 << 20), "{} of {} bytes stayed", resident() - before, meanwhile - before);
    assert_eq!((port.stats().in_flight, port.stats().idle_bytes), (0, 4 << 20));
}

fn resident() -> usize {
    let figures = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = figures.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}
