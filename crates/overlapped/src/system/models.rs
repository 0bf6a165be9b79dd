//! Shared by loom's models.

use loom::thread::{self, JoinHandle};

/// Checks every interleaving with at most three preemptions. All interleavings of three threads would be too many.
pub(crate) fn three_threads(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

/// Starts a thread that gets a copy of `world`.
pub(crate) fn spawn<W: Clone + 'static, T: 'static>(world: &W, run: impl FnOnce(W) -> T + 'static) -> JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || run(world))
}
