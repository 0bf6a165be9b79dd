//! In steady state an edge costs no allocation: not in the request, not in the simulated chip. Alone in its process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use linewake::Chip;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_edge_costs_no_allocation() {
    let chip = Chip::options().life(false).open("sim:64").unwrap();
    let mut edges = chip.request().lines(0..8).queue_size(1024).start().unwrap();
    let mut round = || {
        chip.world().toggle_all((0..8).map(|line| (line, 50))).unwrap();
        for _ in 0..400 {
            edges.wait_next().unwrap().unwrap();
        }
    };
    // Until every buffer has been used once.
    for _ in 0..50 {
        round();
    }
    let before = ALLOCATIONS.load(Relaxed);
    const ROUNDS: u64 = 200;
    for _ in 0..ROUNDS {
        round();
    }
    // A few for each order to drive the lines; none for the 80,000 edges.
    let each = (ALLOCATIONS.load(Relaxed) - before) / ROUNDS;
    assert!(each < 5, "{each} allocations for 400 edges");
}
