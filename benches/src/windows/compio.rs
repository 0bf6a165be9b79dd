//! compio-driver: its proactor, on one thread, and its DeviceIoControl operation.

use std::os::windows::io::{AsRawHandle, OwnedHandle};

use compio_driver::op::DeviceIoControl;
use compio_driver::{Key, Proactor, PushEntry, SharedFd};
use windows_sys::Win32::Foundation::ERROR_OPERATION_ABORTED;

use super::io::{Bytes, Io, ROOM};

type Operation = DeviceIoControl<SharedFd<OwnedHandle>, &'static [u8], Bytes>;
type Ended = std::io::Result<Bytes>;

pub(super) struct Driver {
    proactor: Proactor,
    handle: SharedFd<OwnedHandle>,
}

pub(super) enum Call {
    Pending(Key<Operation>),
    Ready(Ended),
}

fn ended(result: compio_buf::BufResult<usize, Operation>) -> Ended {
    use compio_buf::IntoInner;
    let (_, output) = result.1.into_inner();
    result.0.map(|_| output.unwrap_or([0; ROOM]))
}

impl Io for Driver {
    type Call = Call;

    fn on(handle: OwnedHandle) -> Self {
        let mut proactor = Proactor::new().unwrap();
        proactor.attach(handle.as_raw_handle() as _).unwrap();
        Self { proactor, handle: SharedFd::new(handle) }
    }

    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Call {
        let input = Some(input).filter(|input| !input.is_empty());
        let operation = DeviceIoControl::new(self.handle.clone(), code, input, output.then_some([0; ROOM]));
        match self.proactor.push(operation) {
            PushEntry::Pending(key) => Call::Pending(key),
            PushEntry::Ready(result) => Call::Ready(ended(result)),
        }
    }

    fn cancel(&mut self, call: &Call) {
        if let Call::Pending(key) = call {
            let cancel = self.proactor.register_cancel(key);
            self.proactor.cancel_token(cancel);
        }
    }

    fn finish(&mut self, call: Call) -> Option<Bytes> {
        let result = match call {
            Call::Ready(result) => result,
            Call::Pending(mut key) => loop {
                match self.proactor.pop(key) {
                    PushEntry::Ready(result) => break ended(result),
                    PushEntry::Pending(pending) => key = pending,
                }
                self.proactor.poll(None).unwrap();
            },
        };
        match result {
            Ok(bytes) => Some(bytes),
            Err(error) if error.raw_os_error() == Some(ERROR_OPERATION_ABORTED as i32) => None,
            Err(error) => panic!("{error}"),
        }
    }
}
