//! Named pipes of Windows keep the rules of every stream, as pipes of Linux and simulated ones do.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;
#[path = "support/stream.rs"]
mod stream;
mod support;

use std::os::windows::io::OwnedHandle;

use overlapped::{Device, ErrorKind, Port};
use stream::{Ends, conformance};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::Pipes::{PIPE_READMODE_BYTE, PIPE_TYPE_BYTE};

/// The client's end, which writes.
struct Client(OwnedHandle);

impl Ends for Client {
    const END: Option<ErrorKind> = Some(ErrorKind::Disconnected);

    fn pair(port: &Port) -> (Device, Self) {
        let name = pipe::pipe_name();
        let server = pipe::server_of(&name, FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_READMODE_BYTE);
        // A pipe listens from its beginning.
        let client = pipe::client_of(&name);
        (Device::from_handle_on(port, server).unwrap(), Self(client))
    }

    fn send(&mut self, bytes: &[u8]) {
        pipe::write(&self.0, bytes);
    }
}

conformance!(Client);
