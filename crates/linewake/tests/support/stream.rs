//! Takes edges from a stream in a test, and waits for conditions.
#![allow(dead_code, reason = "each test file needs a part of it")]

use std::thread;
use std::time::{Duration, Instant};

use linewake::{EdgeEvent, EdgeKind, Error, Request};

/// A timeout that is long enough for a slow computer.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(LONG).expect("the stream goes on").unwrap()
}

/// The next edges: the line, whether it rose, and what is missing before it.
pub(crate) fn seen(request: &mut Request, count: usize) -> Vec<(u32, bool, u64)> {
    let edges = (0..count).map(|_| next(request));
    edges.map(|edge| (edge.offset.get(), edge.kind == EdgeKind::Rising, edge.missed.total())).collect()
}

/// Takes edges until none has come for this long.
pub(crate) fn until_quiet(request: &mut Request, quiet: Duration) -> Vec<EdgeEvent> {
    let next = || match request.wait_next_timeout(quiet).expect("the stream goes on") {
        Ok(edge) => Some(edge),
        Err(error) if error.is_timeout() => None,
        Err(error) => panic!("{error}"),
    };
    std::iter::from_fn(next).collect()
}

/// Checks that nothing comes for a while.
pub(crate) fn nothing_comes(request: &mut Request) {
    let come = request.wait_next_timeout(Duration::from_millis(60));
    assert!(matches!(&come, Some(Err(error)) if error.is_timeout()), "{come:?}");
}

/// The error with which the stream ends.
pub(crate) fn end(request: &mut Request) -> Error {
    loop {
        match request.wait_next_timeout(LONG).expect("an end has a reason") {
            Ok(_) => {}
            Err(error) => {
                assert!(!error.is_timeout(), "it does not end");
                assert!(request.wait_next().is_none(), "nothing comes after an end");
                return error;
            }
        }
    }
}

pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "the condition is not fulfilled in time");
        thread::sleep(Duration::from_micros(200));
    }
}
