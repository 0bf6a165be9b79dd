//! If a port is dropped while the kernel still has an operation, the operation's memory is not freed.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;
use overlapped::{Device, Port};
use pipe::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;

/// Watches for the memory of a port's first eight slots that the kernel may write: 80 bytes for each, and a page more.
struct Watching;
static CHUNK: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, l: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is passed on.
        let p = unsafe { System.alloc(l) };
        if l.align() == 16 && l.size() == 8 * 80 + 4096 {
            CHUNK.store(p, SeqCst);
            LEN.store(l.size(), SeqCst);
        }
        p
    }
    unsafe fn dealloc(&self, p: *mut u8, l: Layout) {
        if p == CHUNK.load(SeqCst) && l.size() == LEN.load(SeqCst) {
            FREED.fetch_add(1, SeqCst);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(p, l) }
    }
}
#[global_allocator]
static ALLOCATOR: Watching = Watching;

#[test]
fn a_port_is_dropped_before_the_kernel_is_done() {
    let port = Port::manual().unwrap();
    let device = Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    // Another thread submits the call, and lives on. Its sleep is not an alertable wait.
    let d2 = device.clone();
    let (tx, rx) = std::sync::mpsc::channel();
    let (tx2, rx2) = std::sync::mpsc::channel::<()>();
    let t = std::thread::spawn(move || {
        tx.send(d2.call(LISTEN, &())).unwrap();
        drop(d2);
        let _ = rx2.recv();
    });
    let call = rx.recv().unwrap();
    drop(call);
    drop(device);
    drop(port);
    assert!(LEN.load(SeqCst) > 0, "the allocator did not see the slots");
    assert_eq!(FREED.load(SeqCst), 0, "memory was freed that the kernel may still write");
    drop(tx2);
    t.join().unwrap();
    // Without an operation in flight the memory is freed with the port.
    let port = Port::manual().unwrap();
    let device = Device::from_handle_on(&port, server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    drop(device.call(LISTEN, &()));
    while port.stats().in_flight > 0 {
        port.poll(None);
    }
    drop((device, port));
    assert_eq!(FREED.load(SeqCst), 1);
}
