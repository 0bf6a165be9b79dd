//! A program that waits for edges of a gpiochip has one thread. This test is alone in its process.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/gpio.rs"]
mod gpio;

use std::time::Duration;

use gpio::GpioSim;
use linewake::{Event, Monitor};
use test_support::conformance::Bench as _;
use test_support::threads;

const SHORT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks that this test's thread is the only one.
fn alone(after: &str) {
    // The kernel keeps 15 characters of a name.
    assert_eq!(threads::others("waiting_for_a"), [""; 0], "after {after}");
}

#[test]
fn waiting_for_a_gpiochip_needs_no_other_thread() {
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let mut request = chip.request().lines([0, 1]).start().unwrap();
    for round in 0..4 {
        bench.drive(&chip, 0, round % 2 == 0);
        bench.drive(&chip, 1, round % 2 == 0);
        for _ in 0..2 {
            request.wait_next_timeout(PATIENCE).unwrap().unwrap();
        }
        assert!(request.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    }
    alone("a request");
    assert_eq!(request.finish().total().delivered, 8);

    // A monitor lets edges gather in the queue, and holds them to put those of both lines in order.
    let mut monitor = Monitor::builder().requests([0, 1].map(|line| chip.request().line(line))).start().unwrap();
    for round in 0..4 {
        bench.drive(&chip, 0, round % 2 == 0);
        bench.drive(&chip, 1, round % 2 == 0);
        for _ in 0..2 {
            let event = monitor.wait_next_timeout(PATIENCE).unwrap().unwrap();
            assert!(matches!(event, Event::Edge { .. }), "{event:?}");
        }
    }
    alone("a monitor");

    let mut watcher = chip.watch_info([5]).unwrap();
    let held = chip.request().line(5).start().unwrap();
    watcher.wait_next_timeout(PATIENCE).unwrap().unwrap();
    drop(held);
    alone("what becomes of lines");
}
