//! Named pipes of Windows pass the tests that pipes of Linux and simulated devices pass.
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

/// The client's end. It writes.
struct Client(OwnedHandle);

impl Ends for Client {
    const END: Option<ErrorKind> = Some(ErrorKind::Disconnected);

    fn pair(port: &Port) -> (Device, Self) {
        let name = pipe::pipe_name();
        let server = pipe::server_of(&name, FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_READMODE_BYTE);
        // A pipe listens as soon as it exists.
        let client = pipe::client_of(&name);
        (Device::from_handle_on(port, server).unwrap(), Self(client))
    }

    fn send(&mut self, bytes: &[u8]) {
        pipe::write(&self.0, bytes);
    }
}

conformance!(Client);

/// A pipe has one server: its name can be used again as soon as the drop of the last owner has returned, even if the
/// dispatcher was reading the pipe.
#[test]
fn the_name_of_a_pipe_can_be_used_again_at_once() {
    let (name, rounds) = (pipe::pipe_name(), support::rounds(300));
    for round in 0..rounds {
        // This fails while another server has the name.
        let server = pipe::server_of(&name, FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE | PIPE_READMODE_BYTE);
        let client = pipe::client_of(&name);
        let device = Device::from_handle(server).unwrap();
        let mut stream = device.standing_reads(1).pending(2).window(4).start();
        pipe::write(&client, &[7; 16]);
        for _ in 0..round % 3 {
            stream.wait_next().unwrap().unwrap();
        }
        (0..round % 64 * 8).for_each(|_| std::hint::spin_loop());
        if round % 2 == 0 {
            drop(device);
            drop(stream);
        } else {
            drop(stream);
            device.close().wait().unwrap();
        }
    }
    println!("the name was used {rounds} times: 0 refused");
}
