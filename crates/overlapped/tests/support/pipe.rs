//! Real pipes, and their control codes: operations of the kernel that can be pending without any hardware.
#![allow(dead_code, reason = "each test file uses its part")]

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use overlapped::{Access, CtlCode, Device, Ioctl, Method};
use windows_sys::Win32::Foundation::{GetLastError, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, WriteFile,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, SetNamedPipeHandleState,
};

// SAFETY: FSCTL_PIPE_LISTEN (winioctl.h, ntifs.h) has neither input nor output.
pub(crate) const LISTEN: Ioctl<(), ()> =
    unsafe { Ioctl::new(CtlCode::new(CtlCode::NAMED_PIPE, 2, Method::Buffered, Access::Any)) };
// SAFETY: FSCTL_PIPE_PEEK has no input and writes FILE_PIPE_PEEK_BUFFER: 16 bytes and then data, as much as fits.
pub(crate) const PEEK: Ioctl<(), [u8]> =
    unsafe { Ioctl::slice(CtlCode::new(CtlCode::NAMED_PIPE, 3, Method::Buffered, Access::Read), 64) };
// SAFETY: FSCTL_PIPE_TRANSCEIVE writes its input to the pipe and reads a message into the output, as much as fits.
pub(crate) const TRANSCEIVE: Ioctl<[u8], [u8]> =
    unsafe { Ioctl::slice(CtlCode::new(CtlCode::NAMED_PIPE, 5, Method::Neither, Access::ReadWrite), 64) };

/// [`PEEK`] with room for this many bytes: 16, and some data. With fewer the driver refuses.
pub(crate) const fn peek(room: usize) -> Ioctl<(), [u8]> {
    // SAFETY: as for `PEEK`.
    unsafe { Ioctl::slice(PEEK.code(), room) }
}

/// [`TRANSCEIVE`] with room for an answer of this many bytes.
pub(crate) const fn transceive(room: usize) -> Ioctl<[u8], [u8]> {
    // SAFETY: as for `TRANSCEIVE`.
    unsafe { Ioctl::slice(TRANSCEIVE.code(), room) }
}

// SAFETY: FSCTL_SET_SPARSE without an input sets the attribute; it writes nothing.
pub(crate) const SET_SPARSE: Ioctl<(), ()> =
    unsafe { Ioctl::new(CtlCode::new(CtlCode::FILE_SYSTEM, 49, Method::Buffered, Access::Any)) };
// SAFETY: no driver knows this code; it is refused before a buffer is used.
pub(crate) const UNKNOWN: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::from_u32(0x0022_2000)) };

pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

pub(crate) fn pipe_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!(r"\\.\pipe\overlapped-{}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst))
}

/// The server's end of a message pipe.
pub(crate) fn server(name: &str, flags: u32) -> OwnedHandle {
    server_of(name, flags, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE)
}

/// The server's end of a pipe of this mode.
pub(crate) fn server_of(name: &str, flags: u32, mode: u32) -> OwnedHandle {
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
pub(crate) fn client(name: &str) -> OwnedHandle {
    let handle = client_of(name);
    let mode = PIPE_READMODE_MESSAGE;
    // SAFETY: the handle is open and the mode lives through the call.
    unsafe { SetNamedPipeHandleState(handle.as_raw_handle(), &mode, null(), null()) };
    handle
}

/// The client's end: a plain synchronous handle.
pub(crate) fn client_of(name: &str) -> OwnedHandle {
    // SAFETY: as above.
    let handle = unsafe { CreateFileW(wide(name).as_ptr(), 0xc000_0000, 0, null(), OPEN_EXISTING, 0, null_mut()) };
    // SAFETY: no preconditions.
    assert_ne!(handle, INVALID_HANDLE_VALUE, "{name}: error {}", unsafe { GetLastError() });
    // SAFETY: the handle is new and ours.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}

pub(crate) fn write(handle: &OwnedHandle, bytes: &[u8]) {
    let mut written = 0;
    // SAFETY: a synchronous handle; the bytes and the count live through the call.
    let ok = unsafe { WriteFile(handle.as_raw_handle(), bytes.as_ptr(), bytes.len() as u32, &mut written, null_mut()) };
    assert!(ok != 0 && written as usize == bytes.len());
}

pub(crate) fn read(handle: &OwnedHandle) -> Vec<u8> {
    use std::io::Read;
    let mut file = std::fs::File::from(handle.try_clone().unwrap());
    let mut bytes = [0; 256];
    let count = file.read(&mut bytes).unwrap();
    bytes[..count].to_vec()
}

/// A connected pipe: our end, and a client's.
pub(crate) fn connected() -> (Device, OwnedHandle) {
    let name = pipe_name();
    let device = Device::from_handle(server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    listen.wait().unwrap();
    (device, client)
}
