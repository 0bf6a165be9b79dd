//! The memory of the whole process on Windows. The test runs alone in its process.
#![cfg(windows)]

use overlapped::Port;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};

fn committed() -> usize {
    let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    let mut counters = PROCESS_MEMORY_COUNTERS { cb: size, ..Default::default() };
    // SAFETY: the handle is this process's pseudo handle, and the record, which has its length, lives through the call.
    assert_ne!(unsafe { K32GetProcessMemoryInfo((-1_isize) as _, &mut counters, size) }, 0);
    counters.PagefileUsage
}

#[test]
fn the_system_pool_is_one_port_each_time() {
    let first = Port::system_pool().unwrap();
    let before = committed();
    for _ in 0..100_000 {
        Port::system_pool().unwrap();
    }
    // A hundred bytes for each port would be ten million.
    let grown = committed().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for {:?}", first.stats());
}
