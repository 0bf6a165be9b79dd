//! This crate.

use std::os::windows::io::OwnedHandle;
use std::sync::mpsc::sync_channel;

use overlapped::{Call, CtlCode, Device, ErrorKind, Ioctl, Port, Reply};

use super::io::{Bytes, Io, ROOM};
use crate::turns::{Program, program};

fn start(device: &Device, code: u32, input: &'static [u8], output: bool) -> Call<[u8]> {
    let room = if output { ROOM } else { 0 };
    // SAFETY: the codes used here read their input and write their output, and follow no address.
    device.call(unsafe { Ioctl::<[u8], [u8]>::slice(CtlCode::from_u32(code), room) }, input)
}

fn bytes(result: Result<Reply<[u8]>, overlapped::Error>) -> Option<Bytes> {
    match result {
        Ok(reply) => {
            let mut bytes = [0; ROOM];
            bytes[..reply.len()].copy_from_slice(&reply);
            Some(bytes)
        }
        Err(error) if error.kind() == ErrorKind::Cancelled => None,
        Err(error) => panic!("{error}"),
    }
}

/// On the default port, with its dispatcher.
pub(super) struct Default(Device);

impl Io for Default {
    type Call = Call<[u8]>;

    fn on(handle: OwnedHandle) -> Self {
        Self(Device::from_handle(handle).unwrap())
    }

    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Self::Call {
        start(&self.0, code, input, output)
    }

    fn cancel(&mut self, call: &Self::Call) {
        call.cancel();
    }

    fn finish(&mut self, call: Self::Call) -> Option<Bytes> {
        bytes(call.wait())
    }
}

/// On a manual port: everything on one thread.
pub(super) struct Manual {
    port: Port,
    device: Device,
}

impl Io for Manual {
    type Call = Call<[u8]>;

    fn on(handle: OwnedHandle) -> Self {
        let port = Port::manual().unwrap();
        Self { device: Device::from_handle_on(&port, handle).unwrap(), port }
    }

    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Self::Call {
        start(&self.device, code, input, output)
    }

    fn cancel(&mut self, call: &Self::Call) {
        call.cancel();
    }

    fn finish(&mut self, call: Self::Call) -> Option<Bytes> {
        bytes(self.port.block_on(call).unwrap())
    }
}

/// On the default port: a wait for a client that never comes, its cancellation, and a callback that tells this thread.
pub(super) fn called_back(handle: OwnedHandle, listen: u32) -> Program {
    let device = Device::from_handle(handle).unwrap();
    program(move |count| {
        for _ in 0..count {
            let (tell, told) = sync_channel(1);
            start(&device, listen, b"", false).then(move |result| tell.send(bytes(result)).unwrap());
            device.cancel_all();
            assert!(told.recv().unwrap().is_none(), "nobody connects");
        }
    })
}
