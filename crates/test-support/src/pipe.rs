//! Real pipes of Windows.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use windows_sys::Win32::Foundation::{GetLastError, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, WriteFile,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, SetNamedPipeHandleState,
};

pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

pub fn pipe_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!(r"\\.\pipe\overlapped-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst))
}

/// The server's end of a message pipe.
pub fn server(name: &str, flags: u32) -> OwnedHandle {
    server_of(name, flags, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE)
}

/// The server's end of a pipe of this mode.
pub fn server_of(name: &str, flags: u32, mode: u32) -> OwnedHandle {
    // SAFETY: the name is a NUL-terminated string that lives through the call.
    let handle = unsafe {
        CreateNamedPipeW(
            wide(name).as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE | flags,
            mode,
            1,
            65536,
            65536,
            0,
            null(),
        )
    };
    // SAFETY: no preconditions.
    assert_ne!(handle, INVALID_HANDLE_VALUE, "{name}: error {}", unsafe { GetLastError() });
    // SAFETY: the handle is new and ours.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}

/// The client's end of a message pipe.
pub fn client(name: &str) -> OwnedHandle {
    let handle = client_of(name);
    let mode = PIPE_READMODE_MESSAGE;
    // SAFETY: the handle is open and the mode lives through the call.
    unsafe { SetNamedPipeHandleState(handle.as_raw_handle(), &mode, null(), null()) };
    handle
}

/// The client's end: a plain synchronous handle.
pub fn client_of(name: &str) -> OwnedHandle {
    // SAFETY: as above.
    let handle = unsafe { CreateFileW(wide(name).as_ptr(), 0xc000_0000, 0, null(), OPEN_EXISTING, 0, null_mut()) };
    // SAFETY: no preconditions.
    assert_ne!(handle, INVALID_HANDLE_VALUE, "{name}: error {}", unsafe { GetLastError() });
    // SAFETY: the handle is new and ours.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}

pub fn write(handle: &OwnedHandle, bytes: &[u8]) {
    let mut written = 0;
    // SAFETY: a synchronous handle; the bytes and the count live through the call.
    let ok = unsafe { WriteFile(handle.as_raw_handle(), bytes.as_ptr(), bytes.len() as u32, &mut written, null_mut()) };
    assert!(ok != 0 && written as usize == bytes.len());
}

pub fn read(handle: &OwnedHandle) -> Vec<u8> {
    use std::io::Read;
    let mut file = std::fs::File::from(handle.try_clone().unwrap());
    let mut bytes = [0; 256];
    let count = file.read(&mut bytes).unwrap();
    bytes[..count].to_vec()
}
