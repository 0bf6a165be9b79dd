//! A gpiochip whose lines are stamped by the time of day, which is set while they are watched. This is in its own file
//! so that it has its own virtual machine.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/gpio.rs"]
mod gpio;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gpio::GpioSim;
use linewake::{ClockStep, EdgeEvent, Event, EventClock, Monitor};
use test_support::conformance::Bench as _;
use test_support::time_of_day;

const PATIENCE: Duration = Duration::from_secs(20);

/// One test at a time, because there is only one time of day.
static ONE: Mutex<()> = Mutex::new(());

/// Takes this many edges, and the steps of the clock, each with the index of the edge after it.
fn take(monitor: &mut Monitor, count: usize, edges: &mut Vec<EdgeEvent>, steps: &mut Vec<(usize, ClockStep)>) {
    while edges.len() < count {
        match monitor.wait_next_timeout(PATIENCE).expect("the stream goes on").unwrap() {
            Event::Edge { edge, .. } => edges.push(edge),
            Event::Clock { step, .. } => steps.push((edges.len(), step)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_time_of_day_that_is_set_is_told_and_loses_no_edge() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let hour = Duration::from_secs(3600);
    let years = Duration::from_secs(50 * 365 * 86_400);
    for (by, back) in [(hour, true), (hour, false), (years, false), (years, true), (Duration::from_millis(30), true)] {
        let request = chip.request().lines([0, 1]).clock(EventClock::Realtime);
        let mut monitor = Monitor::builder().request(request).start().unwrap();
        // Only a program that takes each edge when it comes can know at which edge a small step happened.
        let is_small = by < Duration::from_secs(1);
        let (mut edges, mut steps) = (Vec::new(), Vec::new());
        for round in 0..4 {
            for line in [0, 1] {
                bench.drive(&chip, line, round % 2 == 0);
                thread::sleep(Duration::from_millis(20));
                if is_small {
                    take(&mut monitor, edges.len() + 1, &mut edges, &mut steps);
                }
            }
            if round == 1 {
                time_of_day::set(by, back);
                thread::sleep(Duration::from_millis(20));
            }
        }
        take(&mut monitor, 8, &mut edges, &mut steps);
        for line in [0, 1] {
            let of_line = edges.iter().filter(|edge| edge.offset.get() == line);
            assert_eq!(of_line.map(|edge| edge.line_seqno).collect::<Vec<_>>(), [1, 2, 3, 4]);
        }
        let times: Vec<_> = edges.iter().map(|edge| edge.axis_ns).collect();
        assert!(times.is_sorted(), "{times:?}");
        // It took less than a second, whatever the time of day says.
        assert!(times[7] - times[0] < 1_000_000_000, "{by:?} {back} {times:?}");
        let [(at, step)] = &steps[..] else { panic!("{by:?} {back}: {steps:?} {edges:?}") };
        assert!(*at == 4 || (is_small && *at > 4), "{by:?} {back}: {steps:?} {edges:?}");
        assert_eq!((step.before_ns, step.after_ns), (edges[at - 1].timestamp_ns, edges[*at].timestamp_ns));
        let by_ns = if back { -(by.as_nanos() as i128) } else { by.as_nanos() as i128 };
        let error_ns = (step.step_ns() - by_ns).abs();
        assert!(error_ns < 5_000_000, "{by:?} {back}: {step:?}");
        assert_eq!(edges[*at].axis_ns, step.arrival_ns);
        let account = monitor.finish().remove(0);
        assert_eq!((account.total().delivered, account.total().lost()), (8, 0));
    }
}

#[test]
fn a_clock_that_was_set_while_the_chip_was_gone_is_told_with_its_next_edge() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(bench) = GpioSim::new(10) else { return };
    let chip = bench.open();
    let request = chip.request().line(0).clock(EventClock::Realtime);
    let options = Monitor::builder().reattach(true).retry(Duration::from_millis(20));
    let mut monitor = options.request(request).start().unwrap();
    bench.drive(&chip, 0, true);
    let (mut edges, mut steps) = (Vec::new(), Vec::new());
    take(&mut monitor, 1, &mut edges, &mut steps);
    bench.unplug(&chip);
    assert!(matches!(monitor.wait_next_timeout(PATIENCE), Some(Ok(Event::Gap { gap, .. })) if !gap.is_over));
    time_of_day::set(Duration::from_secs(3600), true);
    bench.plug();
    assert!(matches!(monitor.wait_next_timeout(PATIENCE), Some(Ok(Event::Gap { gap, .. })) if gap.is_over));
    bench.drive(&chip, 0, true);
    take(&mut monitor, 2, &mut edges, &mut steps);
    let [before, after] = &edges[..] else { unreachable!("there are two") };
    assert!(matches!(steps[..], [(1, _)]), "{steps:?}");
    assert!(after.timestamp_ns < before.timestamp_ns && after.axis_ns > before.axis_ns);
    assert!(after.axis_ns - before.axis_ns < 20_000_000_000, "{before:?} {after:?}");
}
