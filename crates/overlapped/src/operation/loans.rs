//! The OVERLAPPED structures that are lent to functions of Win32, and the operations that have them.
//!
//! Such a function takes no token: its packet has the address of the structure. The address is looked up in a table,
//! and never dereferenced. Each slot has its own structure, made at its first use and kept. So an address names a slot
//! as long as the port exists, and the table has the generation that names the operation.
//!
//! A packet may be late: if an operation succeeds at once, its packet comes afterwards, and the slot may have the next
//! operation by then. So a packet counts only if the status in the structure is final. Before that, nothing has
//! completed; after that, it does not matter which packet reports it first.

use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Acquire};

use windows_sys::Win32::System::IO::OVERLAPPED;

use crate::Status;
use crate::system::sync::lock_std as lock;
use crate::words::token::InFlight;

/// The status of a structure that no function has touched. No system or driver uses this number: it has success
/// severity and the customer bit (`ntstatus.h`).
const UNTOUCHED: Status = Status::from_u32(0x2f6c_6e74);

/// The structures of one port.
#[derive(Debug, Default)]
pub(crate) struct Loans(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// By slot number.
    structures: HashMap<u32, Structure>,
    /// By address: the operation that has the structure, or had it last.
    operations: HashMap<u64, InFlight>,
}

#[derive(Clone, Copy, Debug)]
struct Structure(NonNull<UnsafeCell<OVERLAPPED>>);

// SAFETY: the memory belongs to the port; it is touched under the table's lock, or by the operation's owner or the
// kernel.
unsafe impl Send for Structure {}

impl Structure {
    fn new() -> Self {
        Self(NonNull::from(Box::leak(Box::new(UnsafeCell::new(OVERLAPPED::default())))))
    }

    fn get(self) -> *mut OVERLAPPED {
        UnsafeCell::raw_get(self.0.as_ptr())
    }

    fn address(self) -> u64 {
        self.0.addr().get() as u64
    }

    /// The status, even while it is being written. When it is final, the count is written too.
    fn status(self) -> Status {
        // SAFETY: a structure lives as long as the port. The status is the low half of the first word, since Windows is
        // little-endian; it is aligned, and is the four bytes that the kernel writes.
        let status = unsafe { AtomicU32::from_ptr((&raw mut (*self.get()).Internal).cast()) };
        Status::from_u32(status.load(Acquire))
    }

    fn count(self) -> usize {
        // SAFETY: a structure lives as long as the port; the count is written before the status is final.
        unsafe { (&raw const (*self.get()).InternalHigh).read_volatile() }
    }
}

impl Loans {
    /// A structure for an operation that has begun and is not submitted yet.
    pub(crate) fn lend(&self, operation: InFlight) -> *mut OVERLAPPED {
        let mut table = lock(&self.0);
        let structure = *table.structures.entry(operation.index()).or_insert_with(Structure::new);
        let fresh = OVERLAPPED { Internal: UNTOUCHED.to_u32() as usize, ..OVERLAPPED::default() };
        // SAFETY: the slot's last operation is over, and this one is not submitted yet, so nobody writes; a thread that
        // reads the status for a late packet has the lock.
        unsafe { structure.get().write(fresh) };
        table.operations.insert(structure.address(), operation);
        structure.get()
    }

    /// The operation that a packet with this address completes, if there is one.
    pub(crate) fn completed(&self, address: u64) -> Option<InFlight> {
        let table = lock(&self.0);
        let operation = *table.operations.get(&address)?;
        let status = table.structures.get(&operation.index())?.status();
        (status != UNTOUCHED && status != Status::PENDING).then_some(operation)
    }

    /// The operation's result, or `None` while it is pending. A function that touches nothing and succeeds has no
    /// count.
    pub(crate) fn ended(&self, operation: InFlight) -> Option<(Status, usize)> {
        let structure = *lock(&self.0).structures.get(&operation.index())?;
        match structure.status() {
            Status::PENDING => None,
            UNTOUCHED => Some((Status::SUCCESS, 0)),
            status => Some((status, structure.count())),
        }
    }

    /// The address that names the operation of this slot to the kernel.
    pub(crate) fn address(&self, operation: InFlight) -> Option<*mut OVERLAPPED> {
        lock(&self.0).structures.get(&operation.index()).map(|structure| structure.get())
    }

    /// Frees the structures.
    ///
    /// # Safety
    /// No operation of the port is in flight, and none will be.
    pub(crate) unsafe fn free(&self) {
        let structures = std::mem::take(&mut lock(&self.0).structures);
        for structure in structures.into_values() {
            // SAFETY: it was leaked by `new`, and is taken out of the table; nobody else has it (the caller's promise).
            drop(unsafe { Box::from_raw(structure.0.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(structure: *mut OVERLAPPED, status: Status, count: usize) {
        // SAFETY: this test plays the kernel, and the structure's port lives.
        unsafe {
            (*structure).InternalHigh = count;
            (*structure).Internal = status.to_u32() as usize;
        }
    }

    #[test]
    fn a_late_packet_completes_neither_its_own_operation_nor_the_next() {
        let loans = Loans::default();
        let (first, second) = (InFlight::new(7, 1), InFlight::new(7, 2));
        let structure = loans.lend(first);
        let address = structure.addr() as u64;
        write(structure, Status::SUCCESS, 5);
        assert_eq!((loans.completed(address), loans.ended(first)), (Some(first), Some((Status::SUCCESS, 5))));
        // The slot has the next operation when the packet comes: not submitted yet, then pending, then complete.
        assert_eq!(loans.lend(second), structure);
        assert_eq!(loans.completed(address), None);
        write(structure, Status::PENDING, 0);
        assert_eq!((loans.completed(address), loans.ended(second)), (None, None));
        write(structure, Status::BUFFER_OVERFLOW, 9);
        assert_eq!(loans.completed(address), Some(second));
        assert_eq!(loans.ended(second), Some((Status::BUFFER_OVERFLOW, 9)));
        // SAFETY: nobody has a structure.
        unsafe { loans.free() };
    }

    #[test]
    fn an_unknown_address_is_not_followed() {
        let loans = Loans::default();
        for address in [0, 8, 0x7fff_ffff_fff0, u64::MAX] {
            assert_eq!(loans.completed(address), None);
        }
        let structure = loans.lend(InFlight::new(1, 1));
        write(structure, Status::SUCCESS, 0);
        assert_eq!(loans.completed(structure.addr() as u64 + 8), None);
        // SAFETY: nobody has a structure.
        unsafe { loans.free() };
    }

    #[test]
    fn a_function_that_touches_nothing_and_succeeds_has_no_count() {
        let loans = Loans::default();
        let operation = InFlight::new(0, 1);
        loans.lend(operation);
        assert_eq!(loans.ended(operation), Some((Status::SUCCESS, 0)));
        // SAFETY: nobody has a structure.
        unsafe { loans.free() };
    }
}
