//! Real pipes, and their control codes: operations of the kernel that can be pending without any hardware.
#![allow(dead_code, reason = "each test file uses its part")]

use std::os::windows::io::OwnedHandle;

use overlapped::{Access, CtlCode, Device, Ioctl, Method};
#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use test_support::pipe::{client, client_of, pipe_name, read, server, server_of, wide, write};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;

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

/// A connected pipe: the server's end, and the client's.
pub(crate) fn connected() -> (Device, OwnedHandle) {
    let name = pipe_name();
    let device = Device::from_handle(server(&name, FILE_FLAG_OVERLAPPED)).unwrap();
    let listen = device.call(LISTEN, &());
    let client = client(&name);
    listen.wait().unwrap();
    (device, client)
}

/// A pending call that ends in a warning, since the answer does not fit in its output. It keeps the bytes that fit.
pub(crate) fn answer_too_long(device: &Device, client: &OwnedHandle) {
    let call = device.call(transceive(4), b"question".as_slice());
    assert_eq!(read(client), b"question");
    write(client, b"0123456789");
    let reply = call.wait().unwrap();
    assert!(reply.more_data());
    assert_eq!(&*reply, b"0123");
}
