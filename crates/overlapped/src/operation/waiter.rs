//! Who waits for an operation. `P` is the port, which hands the operation over, and of which nothing is known here.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::words::token::InFlight;

/// What waits for an operation.
pub(crate) enum Waiter<P> {
    /// Wake a task or a thread; it will look for itself.
    Wake(Waker),
    /// Hand the operation over, with the number its owner gave it.
    Arrive(Arc<dyn Arrival<P>>, u64),
    /// Hand the operation over, once.
    Callback(Callback<P>),
}

/// What is to run when an operation is complete, or expired; the operation belongs to it.
pub(crate) type Callback<P> = Box<dyn FnOnce(&Arc<P>, InFlight) + Send>;

/// The owner of many operations, who is told of each one's completion.
pub(crate) trait Arrival<P>: Send + Sync {
    /// The operation is complete and belongs to the receiver, who releases it.
    fn arrived(self: Arc<Self>, number: u64, port: &Arc<P>, operation: InFlight);
    /// Submits further, as the port was asked to have it do.
    fn arm_again(self: Arc<Self>);
    /// Whether [`arrived`](Self::arrived) runs somebody's code. Once it does not, it never does again.
    fn calls_back(&self) -> bool;
}

impl<P> fmt::Debug for Waiter<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wake(_) => "Wake",
            Self::Arrive(..) => "Arrive",
            Self::Callback(_) => "Callback",
        })
    }
}
