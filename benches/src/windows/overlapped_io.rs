//! windows-overlapped-io-sys: its completion port and its device adapter.

use std::collections::HashMap;
use std::os::windows::io::OwnedHandle;

use windows_overlapped_io_sys::{
    AssociatedEndpoint, Completion, CompletionPort, DeviceIoControlIo, OperationId, Started, UnassociatedEndpoint,
};
use windows_sys::Win32::Foundation::ERROR_OPERATION_ABORTED;
use windows_sys::Win32::System::Threading::INFINITE;

use super::io::{Bytes, Io, ROOM};

pub(super) struct Endpoint {
    port: &'static CompletionPort,
    endpoint: AssociatedEndpoint<'static>,
    /// Buffers to use again, and packets of calls that nobody has asked for yet.
    free: Vec<Vec<u8>>,
    completed: HashMap<OperationId, Completion>,
}

type Token = DeviceIoControlIo<&'static [u8], Vec<u8>>;

impl Io for Endpoint {
    type Call = Token;

    fn on(handle: OwnedHandle) -> Self {
        let port: &'static CompletionPort = Box::leak(Box::new(CompletionPort::new(1).unwrap()));
        // SAFETY: the handle is new, overlapped, in the default mode, and the only one.
        let endpoint = unsafe { UnassociatedEndpoint::assume_overlapped(handle) };
        Self { endpoint: port.associate(endpoint, 1).unwrap(), port, free: Vec::new(), completed: HashMap::new() }
    }

    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Token {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.resize(if output { ROOM } else { 0 }, 0);
        // SAFETY: the codes used here follow no address.
        match unsafe { self.endpoint.ioctl(code, input, buffer) }.unwrap() {
            Started::Pending(token) => token,
            Started::Completed { .. } => unreachable!("the handle is in the default mode"),
        }
    }

    fn cancel(&mut self, call: &Token) {
        self.endpoint.cancel(call.id()).unwrap();
    }

    fn finish(&mut self, call: Token) -> Option<Bytes> {
        let completion = match self.completed.remove(&call.id()) {
            Some(completion) => completion,
            None => loop {
                let completion = self.port.get(INFINITE).unwrap().expect("it waits without an end");
                match completion.id() {
                    Some(id) if id == call.id() => break completion,
                    Some(id) => drop(self.completed.insert(id, completion)),
                    None => {}
                }
            },
        };
        let (output, result) = call.claim(&completion).expect("it is this call's");
        let mut bytes = [0; ROOM];
        bytes[..output.len()].copy_from_slice(&output);
        self.free.push(output);
        match result {
            Ok(_) => Some(bytes),
            Err(error) if error.raw_os_error() == Some(ERROR_OPERATION_ABORTED as i32) => None,
            Err(error) => panic!("{error}"),
        }
    }
}
