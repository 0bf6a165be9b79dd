//! A stop is seen whenever it comes, even while the stream takes events. A deadline is seen whatever wakes the thread.

#[path = "support/peculiar.rs"]
mod peculiar;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use linewake::backend::RawEdge;
use linewake::filter::Filter;
use linewake::{Chip, EdgeKind, Error, Missed, Monitor, Offset};

/// The stopper that stops the stream when it is polled.
type Stop = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A chip that has edges or not, by its habit.
#[derive(Clone, Debug)]
struct Polled {
    stop: StopWhenPolled,
    habit: Habit,
    now_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Quiet,
    /// It asks to be polled again at once, and has nothing.
    Restless,
    /// At every poll it has edges, 100 ns apart, but only for a while, so that a stream that misses its deadline ends
    /// too.
    Flooding,
}

/// The time at which a flood ends.
const FLOOD_NS: u64 = 2_000_000_000;

#[derive(Clone)]
struct StopWhenPolled(Stop);

impl std::fmt::Debug for StopWhenPolled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopWhenPolled")
    }
}

impl peculiar::Habit for Polled {
    fn look(&mut self, cx: &mut Context<'_>, into: &mut Vec<RawEdge>) -> Poll<Option<Result<(), Error>>> {
        if let Some(stop) = self.stop.0.lock().unwrap().take() {
            stop();
        }
        match self.habit {
            Habit::Quiet => Poll::Pending,
            Habit::Restless => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Habit::Flooding if self.now_ns >= FLOOD_NS => Poll::Ready(None),
            Habit::Flooding => {
                for kind in [EdgeKind::Rising, EdgeKind::Falling].repeat(16) {
                    self.now_ns += 100;
                    let (offset, missed) = (Offset::from(0), Missed::default());
                    into.push(RawEdge { offset, kind, timestamp_ns: self.now_ns, seqno: 0, line_seqno: 0, missed });
                }
                Poll::Ready(Some(Ok(())))
            }
        }
    }
}

fn chip(habit: Habit) -> (Chip, Stop) {
    let stop = Stop::default();
    let sim = Chip::options().life(false).open("sim").unwrap();
    let chip = peculiar::chip(&sim, Polled { stop: StopWhenPolled(stop.clone()), habit, now_ns: 0 });
    (chip, stop)
}

#[test]
fn a_request_that_is_stopped_while_it_is_polled_ends() {
    let (chip, stop) = chip(Habit::Quiet);
    let mut edges = chip.request().line(0).start().unwrap();
    let stopper = edges.stopper();
    *stop.lock().unwrap() = Some(Box::new(move || stopper.stop()));
    assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_monitor_that_is_stopped_while_it_is_polled_ends() {
    let (chip, stop) = chip(Habit::Quiet);
    let mut monitor = Monitor::builder().request(chip.request().line(0)).start().unwrap();
    let stopper = monitor.stopper();
    *stop.lock().unwrap() = Some(Box::new(move || stopper.stop()));
    assert!(monitor.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_part_that_is_restless_and_has_nothing_does_not_hide_the_deadline() {
    let (chip, _) = chip(Habit::Restless);
    let mut edges = chip.request().line(0).start().unwrap();
    let mut monitor = Monitor::builder().request(chip.request().line(1)).start().unwrap();
    for _ in 0..3 {
        assert!(edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
        assert!(monitor.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    }
    edges.stopper().stop();
    monitor.stopper().stop();
    assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none());
    assert!(monitor.wait_next_timeout(Duration::from_secs(20)).is_none());
}

#[test]
fn a_flood_of_which_nothing_passes_does_not_hide_the_deadline() {
    let (chip, _) = chip(Habit::Flooding);
    let filter: Filter = "debounce=60m".parse().unwrap();
    let mut edges = chip.request().line(0).start().unwrap().filtered(filter).unwrap();
    let monitor = Monitor::builder().request(chip.request().line(0)).window(Duration::ZERO).start().unwrap();
    let mut monitor = monitor.filtered(filter).unwrap();
    assert!(edges.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
    assert!(monitor.wait_next_timeout(Duration::from_millis(20)).unwrap().unwrap_err().is_timeout());
}
