//! Counts of the whole process on Windows. The test runs alone in its process.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::time::Duration;

use overlapped::{Device, Port};
use pipe::*;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::Threading::GetProcessHandleCount;

fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the handle is this process's pseudo handle, and the count lives through the call.
    let ok = unsafe { GetProcessHandleCount((-1_isize) as _, &mut count) };
    assert_ne!(ok, 0);
    count
}

#[test]
fn ten_thousand_dropped_calls_leave_nothing_behind() {
    let port = Port::manual().unwrap();
    let devices: Vec<_> =
        (0..20).map(|_| Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap()).collect();
    let before = handles();
    let mut slots = None;
    for _ in 0..500 {
        for device in &devices {
            drop(device.call(LISTEN, &()));
        }
        let first = *slots.get_or_insert(port.stats().slots);
        assert_eq!(port.stats().slots, first, "a round used more slots than the first one");
        while port.stats().in_flight > 0 {
            assert!(port.poll(Some(Duration::from_secs(10))) > 0, "{:?}", port.stats());
        }
    }
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0), "{stats:?}");
    assert_eq!(handles(), before);
    // The same devices still work.
    for device in &devices {
        let listen = device.call(LISTEN, &());
        device.cancel_all();
        assert!(port.poll(Some(Duration::from_secs(10))) > 0);
        assert!(listen.wait().is_err());
    }
    drop(devices);
    assert_eq!(port.stats().in_flight, 0);
}
