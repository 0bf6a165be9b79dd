//! An allocator that counts allocations. The system's allocator does the work.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The `#[global_allocator]` for the program of a test.
pub struct Counting;

static ALL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// How often all threads allocated memory.
pub fn of_all() -> u64 {
    ALL.load(Relaxed)
}

/// How often this thread allocated memory. Other tests may run at the same time.
pub fn of_this_thread() -> u64 {
    HERE.get()
}

fn allocated() {
    ALL.fetch_add(1, Relaxed);
    HERE.set(HERE.get() + 1);
}

// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        allocated();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
