//! A program that only waits has one thread, whatever it waits for. This test is alone in its process.
#![cfg(target_os = "linux")]

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use linewake::filter::Filter;
use linewake::{Chip, Event, Exec, Monitor};
use test_support::threads;

const SHORT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks that this test's thread is the only one.
fn alone(after: &str) {
    // The kernel keeps 15 characters of a name.
    assert_eq!(threads::others("waiting_alone"), [""; 0], "after {after}");
}

/// True if a task was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn waiting_alone_needs_no_other_thread() {
    let still = || Chip::options().life(false).open("sim").unwrap();
    let (one, other) = (still(), still());

    let mut request = one.request().line("door").start().unwrap();
    assert!(request.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    one.world().toggle("door", 3).unwrap();
    for _ in 0..3 {
        request.wait_next().unwrap().unwrap();
    }
    alone("a request");
    assert_eq!(request.finish().total().delivered, 3);
    alone("the end of a request");

    // The thread itself keeps the time of the window and of the filter.
    let requests = [&one, &other].map(|chip| chip.request().line("door"));
    let monitor = Monitor::builder().requests(requests).window(SHORT).start().unwrap();
    let mut monitor = monitor.filtered(Filter::button()).unwrap();
    for chip in [&one, &other] {
        chip.world().toggle("door", 1).unwrap();
        while !matches!(monitor.wait_next_timeout(PATIENCE).unwrap().unwrap(), Event::Edge { .. }) {}
    }
    assert!(monitor.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    alone("a monitor with a filter");
    drop(monitor);
    alone("the end of a monitor");

    let script = "echo lines door=0; sleep 0.1; echo 17 door 1; sleep 0.1; echo 18 door 0; exec sleep 60";
    let program = Chip::from_command(Exec::new("sh").args(["-c", script])).unwrap();
    let mut request = program.request().line("door").start().unwrap();
    for _ in 0..2 {
        request.wait_next_timeout(PATIENCE).unwrap().unwrap();
    }
    alone("a program's lines");
    // Dropping these would kill the child and start the dispatcher to wait for its end. So forget them.
    std::mem::forget((request, program));

    let mut watcher = one.watch_info(["door"]).unwrap();
    let held = other.request().line("door").start().unwrap();
    assert!(watcher.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    drop(held);
    alone("what becomes of lines");

    a_task_that_takes_over_has_a_dispatcher(&one, &other);
}

/// Nobody waits any more for what a thread has waited for.
fn a_task_that_takes_over_has_a_dispatcher(one: &Chip, other: &Chip) {
    let requests = [one, other].map(|chip| chip.request().line("door"));
    let mut monitor = Monitor::builder().requests(requests).start().unwrap();
    assert!(monitor.wait_next_timeout(SHORT).unwrap().unwrap_err().is_timeout());
    alone("a monitor before it is a task's");
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut next = pin!(monitor.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    other.world().toggle("door", 1).unwrap();
    let deadline = Instant::now() + PATIENCE;
    // The thread gets its name a moment after it starts.
    while threads::others("waiting_alone") != ["overlapped"] {
        assert!(Instant::now() < deadline, "{:?}", threads::others("waiting_alone"));
        std::thread::sleep(Duration::from_millis(1));
    }
    while !woken.0.load(SeqCst) {
        assert!(Instant::now() < deadline, "nobody wakes the task");
        std::thread::sleep(Duration::from_millis(1));
    }
}
