//! Waits for edges of a stream, and takes them.

use std::time::Duration;

use linewake::{EdgeEvent, EdgeKind, Error, Request};

pub use crate::LONG;
use crate::until;

pub fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(LONG).expect("the stream goes on").unwrap()
}

/// The next edges: the line, whether it rose, and what is missing before it.
pub fn seen(request: &mut Request, count: usize) -> Vec<(u32, bool, u64)> {
    let edges = (0..count).map(|_| next(request));
    edges.map(|edge| (edge.offset.get(), edge.kind == EdgeKind::Rising, edge.missed.total())).collect()
}

/// The edges that come, until none has come for this long.
pub fn until_quiet(request: &mut Request, quiet: Duration) -> Vec<EdgeEvent> {
    let next = || match request.wait_next_timeout(quiet).expect("the stream goes on") {
        Ok(edge) => Some(edge),
        Err(error) if error.is_timeout() => None,
        Err(error) => panic!("{error}"),
    };
    std::iter::from_fn(next).collect()
}

/// Nothing comes for a while.
pub fn nothing_comes(request: &mut Request) {
    let come = request.wait_next_timeout(Duration::from_millis(60));
    assert!(matches!(&come, Some(Err(error)) if error.is_timeout()), "{come:?}");
}

/// The error with which the stream ends.
pub fn end(request: &mut Request) -> Error {
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

pub fn wait_until(done: impl FnMut() -> bool) {
    until("the condition holds", done);
}
