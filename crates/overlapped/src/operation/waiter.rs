//! The waiter of an operation. `P` is the port, which hands the operation over; nothing here knows the port.

use std::sync::Arc;
use std::task::Waker;

use crate::words::token::InFlight;

/// The waiter of an operation.
pub(crate) enum Waiter<P> {
    /// Wakes a task or a thread, which then polls the operation.
    Wake(Waker),
    /// Gives the operation to its owner, with the number that the owner gave it.
    Arrive(Arc<dyn Arrival<P>>, Number),
    /// Gives the operation to a function.
    Callback(Callback<P>),
}

/// The number that its owner gave to an operation. It has 56 bits. The last byte is left for the discriminant of
/// [`Waiter`], which should be small, since each operation has one.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    low: u32,
    middle: u16,
    high: u8,
    _unused: Unused,
}

#[derive(Clone, Copy)]
#[repr(u8)]
enum Unused {
    Zero,
}

impl Number {
    /// `number` fits in 56 bits: with a million operations a second that lasts for two thousand years.
    pub(crate) fn new(number: u64) -> Self {
        Self { low: number as u32, middle: (number >> 32) as u16, high: (number >> 48) as u8, _unused: Unused::Zero }
    }

    pub(crate) fn get(self) -> u64 {
        u64::from(self.low) | u64::from(self.middle) << 32 | u64::from(self.high) << 48
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Option<Waiter<()>>>() == 24);

/// Runs when an operation is complete, or expired. The operation belongs to it.
pub(crate) type Callback<P> = Box<dyn FnOnce(&Arc<P>, InFlight) + Send>;

/// The owner of many operations, which is told when each one completes.
pub(crate) trait Arrival<P>: Send + Sync {
    /// The operation is complete and belongs to the receiver, which must release it.
    fn arrived(self: Arc<Self>, number: u64, port: &Arc<P>, operation: InFlight);
    /// Submits more operations. The owner has asked the port to call this later.
    fn arm_again(self: Arc<Self>);
    /// Whether [`arrived`](Self::arrived) runs the caller's code. Once this is `false`, it stays so.
    fn calls_back(&self) -> bool;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_packed_number_comes_back_unchanged() {
        for number in [0, 1, u64::from(u32::MAX), 1 << 32, 0x00fe_dcba_9876_5432, (1 << 56) - 1] {
            assert_eq!(Number::new(number).get(), number);
        }
    }
}
