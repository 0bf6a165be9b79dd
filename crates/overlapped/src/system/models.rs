//! What loom's models have in common.

use loom::thread::{self, JoinHandle};

/// Every interleaving with at most three preemptions: three threads have too many in all.
pub(crate) fn three_threads(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(model);
}

/// A thread that does something with what a model is about.
pub(crate) fn spawn<W: Clone + 'static, T: 'static>(world: &W, run: impl FnOnce(W) -> T + 'static) -> JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || run(world))
}
