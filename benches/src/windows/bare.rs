//! Bare system calls: DeviceIoControl and GetQueuedCompletionStatusEx, as a program would use them for one purpose.
//!
//! It trusts everything that our crate checks: the returned address, the byte count, the order of packets.

use std::cell::UnsafeCell;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::thread;

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, HANDLE, INVALID_HANDLE_VALUE, STATUS_CANCELLED};
use windows_sys::Win32::System::IO::{
    CancelIoEx, CreateIoCompletionPort, DeviceIoControl, GetQueuedCompletionStatusEx, OVERLAPPED, OVERLAPPED_ENTRY,
};
use windows_sys::Win32::System::Threading::INFINITE;

use super::io::{Bytes, Io, ROOM, error};

/// A call's memory; it begins with the OVERLAPPED, whose address comes back.
#[repr(C)]
pub(super) struct Operation {
    overlapped: OVERLAPPED,
    output: Bytes,
    done: AtomicBool,
}

pub(super) type Pinned = Box<UnsafeCell<Operation>>;

pub(super) struct Port(pub(super) HANDLE);

// SAFETY: a completion port may be used from any thread.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

impl Port {
    pub(super) fn with(handle: &OwnedHandle) -> Self {
        // SAFETY: no handle to bind: this makes a port.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, 1) };
        assert!(!port.is_null(), "error {}", error());
        // SAFETY: both are open handles.
        let bound = unsafe { CreateIoCompletionPort(handle.as_raw_handle(), port, 0, 0) };
        assert!(!bound.is_null(), "error {}", error());
        Self(port)
    }

    /// Waits for packets and marks their operations done.
    fn dispatch(&self) {
        let mut entries = [OVERLAPPED_ENTRY::default(); 64];
        let mut count = 0;
        // SAFETY: the entries have room for the number stated.
        let ok = unsafe { GetQueuedCompletionStatusEx(self.0, entries.as_mut_ptr(), 64, &mut count, INFINITE, 0) };
        assert_ne!(ok, 0, "error {}", error());
        for entry in &entries[..count as usize] {
            let operation: *const Operation = entry.lpOverlapped.cast();
            // SAFETY: every packet of this port belongs to an operation that is kept until it is done.
            unsafe { (*operation).done.store(true, Release) };
        }
    }
}

/// A handle, and memory of finished operations to use again.
struct Calls {
    handle: OwnedHandle,
    free: Vec<Pinned>,
}

impl Calls {
    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Pinned {
        let new = || Operation { overlapped: OVERLAPPED::default(), output: [0; ROOM], done: AtomicBool::new(false) };
        let call = self.free.pop().unwrap_or_else(|| Box::new(UnsafeCell::new(new())));
        let operation = call.get();
        // SAFETY: the operation is over, so nobody else uses its memory; it is kept until it is done.
        let ok = unsafe {
            (*operation).overlapped = OVERLAPPED::default();
            (*operation).done = AtomicBool::new(false);
            let room = if output { ((&raw mut (*operation).output).cast(), ROOM as u32) } else { (null_mut(), 0) };
            let input = if input.is_empty() { (null(), 0) } else { (input.as_ptr().cast(), input.len() as u32) };
            let overlapped = &raw mut (*operation).overlapped;
            let handle = self.handle.as_raw_handle();
            DeviceIoControl(handle, code, input.0, input.1, room.0, room.1, null_mut(), overlapped)
        };
        // A call that succeeds at once has a packet too: the handle is in the default mode.
        assert!(ok != 0 || error() == ERROR_IO_PENDING, "error {}", error());
        call
    }

    fn cancel(&self, call: &Pinned) {
        // SAFETY: the operation's owner has not freed it.
        unsafe { CancelIoEx(self.handle.as_raw_handle(), &raw const (*call.get()).overlapped) };
    }

    /// Takes the result, after `wait` was called until the call is done.
    fn finish(&mut self, call: Pinned, wait: impl Fn()) -> Option<Bytes> {
        // SAFETY: the flag is atomic.
        while !unsafe { (*call.get()).done.load(Acquire) } {
            wait();
        }
        // SAFETY: the operation is done.
        let (status, bytes) = unsafe { ((*call.get()).overlapped.Internal as i32, (*call.get()).output) };
        self.free.push(call);
        match status {
            STATUS_CANCELLED => None,
            status if status >= 0 => Some(bytes),
            status => panic!("status {status:#x}"),
        }
    }
}

/// The thread that submits also waits for packets.
pub(super) struct OneThread(Calls, Port);

/// Its own thread waits for packets and unparks the one that submits.
pub(super) struct Dispatcher(Calls);

/// The same calls, with another way to wait.
macro_rules! submitted_and_cancelled {
    () => {
        type Call = Pinned;

        fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Pinned {
            self.0.start(code, input, output)
        }

        fn cancel(&mut self, call: &Pinned) {
            self.0.cancel(call);
        }
    };
}

impl Io for OneThread {
    submitted_and_cancelled!();

    fn on(handle: OwnedHandle) -> Self {
        let port = Port::with(&handle);
        Self(Calls { handle, free: Vec::new() }, port)
    }

    fn finish(&mut self, call: Pinned) -> Option<Bytes> {
        self.0.finish(call, || self.1.dispatch())
    }
}

impl Io for Dispatcher {
    submitted_and_cancelled!();

    fn on(handle: OwnedHandle) -> Self {
        let (port, caller) = (Port::with(&handle), thread::current());
        thread::spawn(move || {
            loop {
                port.dispatch();
                caller.unpark();
            }
        });
        Self(Calls { handle, free: Vec::new() })
    }

    fn finish(&mut self, call: Pinned) -> Option<Bytes> {
        self.0.finish(call, thread::park)
    }
}
