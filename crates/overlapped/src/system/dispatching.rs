//! The ports that this thread dispatches now, by address. They nest: a waker may poll another port.

use std::cell::Cell;

/// How many ports may be nested. A deeper poll finds nothing, and a deeper wait is refused.
const NESTED: usize = 8;
/// The low bit of an address: at this port the thread only waits, and does not run all callbacks.
const ONLY_WAITS: usize = 1;

#[derive(Clone, Copy)]
struct Nested {
    ports: [usize; NESTED],
    depth: usize,
}

impl Nested {
    fn ports(&self) -> &[usize] {
        &self.ports[..self.depth]
    }
}

thread_local! {
    // It has no destructor, so it exists as long as the thread, and destructors of other thread-locals can use it.
    static DISPATCHING: Cell<Nested> = const { Cell::new(Nested { ports: [0; NESTED], depth: 0 }) };
}

/// This thread dispatches a port until this is dropped.
pub(crate) struct Dispatching(());

impl Dispatching {
    /// `None` when [`NESTED`] ports are nested already.
    pub(crate) fn begin(port: usize, only_waits: bool) -> Option<Self> {
        let mut nested = DISPATCHING.get();
        *nested.ports.get_mut(nested.depth)? = port | if only_waits { ONLY_WAITS } else { 0 };
        nested.depth += 1;
        DISPATCHING.set(nested);
        Some(Self(()))
    }
}

impl Drop for Dispatching {
    fn drop(&mut self) {
        let mut nested = DISPATCHING.get();
        nested.depth -= 1;
        DISPATCHING.set(nested);
    }
}

/// Whether this thread dispatches any port.
#[inline]
pub(crate) fn is_dispatching() -> bool {
    DISPATCHING.get().depth > 0
}

/// Whether this thread cannot dispatch one more port.
#[inline]
pub(crate) fn is_deep() -> bool {
    DISPATCHING.get().depth >= NESTED
}

/// Whether this thread dispatches this port.
#[inline]
pub(crate) fn dispatches(port: usize) -> bool {
    DISPATCHING.get().ports().iter().any(|here| here & !ONLY_WAITS == port)
}

/// Whether this thread dispatches this port and runs all callbacks.
#[inline]
pub(crate) fn runs_callbacks_of(port: usize) -> bool {
    DISPATCHING.get().ports().contains(&port)
}
