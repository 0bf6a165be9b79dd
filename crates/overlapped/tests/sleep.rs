//! `Sleep`: when it ends, and which thread then wakes a task, ends a wait or runs a callback.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use overlapped::{ErrorKind, Port, Sleep};
use support::{drain, until};

const SHORT: Duration = Duration::from_millis(20);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
/// More timers than the port has room for at first.
const MANY: u64 = if cfg!(miri) { 80 } else { 1000 };

/// How often a task was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn task() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (wakes.clone(), wakes.into())
}

fn is_over(sleep: &mut Sleep, waker: &Waker) -> bool {
    Pin::new(sleep).poll(&mut Context::from_waker(waker)).is_ready()
}

/// Sets an end that comes soon, and polls the sleep for its task. Returns the end.
fn ends_soon(sleep: &mut Sleep, waker: &Waker) -> Instant {
    loop {
        let end = Instant::now() + SHORT;
        sleep.reset(end);
        if !is_over(sleep, waker) {
            return end;
        }
    }
}

#[test]
fn a_sleep_ends_when_its_time_has_come_and_not_before() {
    let (global, manual) = (Port::global().unwrap(), Port::manual().unwrap());
    let waits: [(&str, &dyn Fn()); 4] = [
        ("a thread at the port", &|| global.block_on(global.sleep(SHORT)).unwrap()),
        ("a task", &|| block_on(global.sleep(SHORT))),
        ("a thread at another port", &|| manual.block_on(global.sleep(SHORT)).unwrap()),
        ("a thread at a manual port", &|| manual.block_on(manual.sleep(SHORT)).unwrap()),
    ];
    for (who, wait) in waits {
        let begun = Instant::now();
        wait();
        assert!(begun.elapsed() >= SHORT, "{who} after {:?}", begun.elapsed());
    }
    assert!(global.block_on_timeout(global.sleep(LONG), SHORT).unwrap().is_none());
    block_on(global.sleep(Duration::ZERO));
    block_on(global.sleep_until(Instant::now()));
}

#[test]
fn one_without_an_end_never_ends() {
    let port = Port::global().unwrap();
    for sleep in [port.sleep(Duration::MAX), port.sleep_until(None)] {
        assert!(port.block_on_timeout(sleep, SHORT).unwrap().is_none());
    }
}

#[test]
fn many_end_in_the_order_of_their_times() {
    let port = Port::manual().unwrap();
    let ends: Arc<Mutex<Vec<u64>>> = Arc::default();
    let begun = Instant::now();
    // They begin in another order than they end.
    for n in (0..MANY).map(|n| n * 77 % MANY) {
        let ends = ends.clone();
        port.sleep_until(begun + Duration::from_micros(n * 100)).then(move || ends.lock().unwrap().push(n));
    }
    while (ends.lock().unwrap().len() as u64) < MANY {
        port.poll(None);
    }
    assert!(begun.elapsed() >= Duration::from_micros((MANY - 1) * 100));
    assert_eq!(*ends.lock().unwrap(), (0..MANY).collect::<Vec<_>>());
    // The same for tasks, on a port with a dispatcher.
    let port = Port::global().unwrap();
    let (begun, last) = (Instant::now(), SHORT + Duration::from_micros(10 * MANY));
    block_on(futures::future::join_all((0..=MANY).map(|n| port.sleep(SHORT + Duration::from_micros(10 * n)))));
    assert!(begun.elapsed() >= last);
}

#[test]
fn a_sleep_that_is_dropped_wakes_nobody_and_keeps_nothing() {
    let port = Port::manual().unwrap();
    let (wakes, waker) = task();
    let mut sleep = port.sleep(LONG);
    let end = ends_soon(&mut sleep, &waker);
    drop((sleep, waker));
    assert_eq!(Arc::strong_count(&wakes), 1, "its waker is kept");
    while Instant::now() < end {
        port.poll(Some(SHORT));
    }
    drain(&port);
    assert_eq!((wakes.count(), port.stats().timers), (0, 0));
    let (wakes, waker) = task();
    let mut sleep = port.sleep(LONG);
    assert!(!is_over(&mut sleep, &waker));
    sleep.reset(None);
    assert!(!is_over(&mut sleep, &waker));
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1, "of one that never ends the waker is kept");
}

#[test]
fn the_last_task_that_polled_it_is_woken() {
    let port = Port::global().unwrap();
    let ((first, its), (last, waker)) = (task(), task());
    let mut sleep = port.sleep(LONG);
    assert!(!is_over(&mut sleep, &its));
    let end = ends_soon(&mut sleep, &waker);
    until("the last one is woken", || last.count() > 0);
    assert!(Instant::now() >= end && is_over(&mut sleep, &waker));
    assert_eq!(first.count(), 0);
}

#[test]
fn it_can_be_put_off_and_forward_and_begin_again() {
    let port = Port::global().unwrap();
    let (wakes, waker) = task();
    let mut sleep = port.sleep(LONG);
    assert!(!is_over(&mut sleep, &waker));
    for rounds in 1..4 {
        let end = ends_soon(&mut sleep, &waker);
        until("it is woken at the sooner time, each time", || wakes.count() == rounds);
        assert!(Instant::now() >= end && is_over(&mut sleep, &waker));
    }
    // Put it off. If the task is just being woken for the old end, it is woken once more for the new one.
    ends_soon(&mut sleep, &waker);
    let (before, end) = (wakes.count(), Instant::now() + 3 * SHORT);
    sleep.reset(end);
    if !is_over(&mut sleep, &waker) {
        until("it is woken at the later time", || wakes.count() > before);
        let is_early = Instant::now() < end;
        until("it is woken at the later time", || wakes.count() > before + usize::from(is_early));
        assert!(is_over(&mut sleep, &waker));
    }
}

#[test]
fn a_thread_that_sleeps_is_woken_by_the_one_that_has_the_turn() {
    for port in [Port::global().unwrap(), Port::manual().unwrap()] {
        let (let_go, is_over) = futures::channel::oneshot::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(|| port.block_on(is_over).unwrap().unwrap());
            // By now the other thread most likely sleeps in the port. If not, this one has the turn.
            thread::sleep(SHORT);
            let begun = Instant::now();
            let ended = port.block_on_timeout(port.sleep(SHORT), LONG).unwrap();
            assert!(ended.is_some() && begun.elapsed() >= SHORT);
            let_go.send(()).unwrap();
        });
    }
}

#[test]
fn a_task_takes_over_what_a_thread_waited_for() {
    let port = Port::global().unwrap();
    let mut sleep = port.sleep(LONG);
    assert!(port.block_on_timeout(&mut sleep, Duration::from_millis(1)).unwrap().is_none());
    let (wakes, waker) = task();
    let end = ends_soon(&mut sleep, &waker);
    until("the task is woken, though no thread waits", || wakes.count() > 0);
    assert!(Instant::now() >= end && is_over(&mut sleep, &waker));
}

#[test]
fn a_callback_runs_on_the_dispatcher_when_it_is_time() {
    let (tell, told) = mpsc::channel();
    let begun = Instant::now();
    Port::global().unwrap().sleep(SHORT).then(move || tell.send(thread::current().name().map(str::to_owned)).unwrap());
    assert_eq!(told.recv().unwrap().as_deref(), Some("overlapped"));
    assert!(begun.elapsed() >= SHORT);
    // On a manual port the callback runs in a poll.
    let port = Port::manual().unwrap();
    let (tell, told) = mpsc::channel();
    port.sleep(Duration::ZERO).then(move || tell.send(()).unwrap());
    assert!(port.poll(Some(Duration::from_secs(30))) > 0);
    assert_eq!(told.try_recv(), Ok(()));
}

#[test]
fn a_poll_reports_that_a_sleep_has_ended() {
    let port = Port::manual().unwrap();
    let (wakes, waker) = task();
    let mut sleep = port.sleep(LONG);
    ends_soon(&mut sleep, &waker);
    while port.poll(Some(Duration::from_secs(30))) == 0 || wakes.count() == 0 {}
    assert_eq!((wakes.count(), port.poll(Some(Duration::ZERO))), (1, 0));
}

#[test]
fn a_waker_that_panics_stops_no_other_sleep() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("the waker panics, as the test wants it to");
        }
    }
    let port = Port::manual().unwrap();
    let (mut sleep, mut other) = (port.sleep(LONG), port.sleep(LONG));
    ends_soon(&mut sleep, &Arc::new(Panics).into());
    let (wakes, waker) = task();
    ends_soon(&mut other, &waker);
    while wakes.count() == 0 {
        port.poll(None);
    }
    assert_eq!(port.stats().panics, 1);
}

#[test]
fn callbacks_of_a_port_that_nobody_can_poll_are_dropped() {
    let port = Port::manual().unwrap();
    let mut sleep = port.sleep(SHORT);
    let (called, is_called) = mpsc::channel::<()>();
    // One callback is set before the port is dropped, and one afterwards, by a sleep that is left.
    port.sleep(SHORT).then({
        let called = called.clone();
        move || called.send(()).unwrap()
    });
    let late = port.sleep(SHORT);
    drop(port);
    late.then(move || called.send(()).unwrap());
    assert!(is_called.recv().is_err(), "they are dropped at once, and not called");
    // A sleep that is polled still ends at its time.
    let begun = Instant::now();
    until("it is over", || is_over(&mut sleep, Waker::noop()));
    assert!(begun.elapsed() < LONG);
}

#[test]
fn on_the_dispatcher_a_future_is_not_waited_for_unless_it_is_ready() {
    let port = Port::global().unwrap();
    let (tell, told) = mpsc::channel();
    port.sleep(Duration::ZERO).then({
        let port = port.clone();
        move || {
            let pending = port.block_on(port.sleep(LONG)).map_err(|error| error.kind());
            tell.send((pending, port.block_on(async { 7 }).map_err(|error| error.kind()))).unwrap();
        }
    });
    assert_eq!(told.recv(), Ok((Err(ErrorKind::Deadlock), Ok(7))));
}
