//! The modem lines of a serial port as four inputs: CTS, DSR, RI and DCD.
//!
//! `cargo run -p overlapped --example modem_status` uses a simulated port; on Windows, with a path (`\\.\COM3`), a real
//! one. A serial driver takes one IOCTL_SERIAL_WAIT_ON_MASK at a time. It tells which line changed, but not how often.
//! So this keeps one call pending, and reads the levels after each.
//!
//! On Linux, TIOCMGET and TIOCGICOUNT read the modem lines; they do not wait.

use overlapped::{Access, CtlCode, Device, Error, ErrorKind, Ioctl, Method};

/// FILE_DEVICE_SERIAL_PORT (`winioctl.h`); the codes and masks are those of `ntddser.h`.
const SERIAL_PORT: u16 = 0x1b;
const SET_WAIT_MASK_CODE: CtlCode = CtlCode::new(SERIAL_PORT, 17, Method::Buffered, Access::Any);
const WAIT_ON_MASK_CODE: CtlCode = CtlCode::new(SERIAL_PORT, 18, Method::Buffered, Access::Any);
const GET_MODEMSTATUS_CODE: CtlCode = CtlCode::new(SERIAL_PORT, 26, Method::Buffered, Access::Any);

// SAFETY: IOCTL_SERIAL_SET_WAIT_MASK reads one ULONG, the events to wait for.
const SET_WAIT_MASK: Ioctl<u32, ()> = unsafe { Ioctl::new(SET_WAIT_MASK_CODE) };
// SAFETY: IOCTL_SERIAL_WAIT_ON_MASK writes one ULONG, the events that happened.
const WAIT_ON_MASK: Ioctl<(), u32> = unsafe { Ioctl::new(WAIT_ON_MASK_CODE) };
// SAFETY: IOCTL_SERIAL_GET_MODEMSTATUS writes one ULONG, the lines' levels.
const GET_MODEMSTATUS: Ioctl<(), u32> = unsafe { Ioctl::new(GET_MODEMSTATUS_CODE) };

/// A line's name, its event (SERIAL_EV_…) and its level in the modem status (SERIAL_…_STATE).
const LINES: [(&str, u32, u32); 4] =
    [("CTS", 0x08, 0x10), ("DSR", 0x10, 0x20), ("RI", 0x100, 0x40), ("DCD", 0x20, 0x80)];

fn main() -> Result<(), Error> {
    match std::env::args().nth(1) {
        Some(path) => watch_until_gone(&Device::open(path)?),
        None => watch_until_gone(&Device::simulated(simulated::Port::new())?),
    }
}

/// Runs the client until a call finds the port unplugged.
fn watch_until_gone(port: &Device) -> Result<(), Error> {
    match watch(port) {
        Err(error) if error.kind() == ErrorKind::Disconnected => println!("the port is gone"),
        result => return result,
    }
    Ok(())
}

/// Prints every change.
fn watch(port: &Device) -> Result<(), Error> {
    let mask = LINES.iter().fold(0, |mask, (_, event, _)| mask | event);
    port.call(SET_WAIT_MASK, &mask).wait()?;
    let mut changes = port.inverted(WAIT_ON_MASK, &()).pending(1).start();
    while let Some(change) = changes.wait_next() {
        let events = *change?;
        if events == 0 {
            // Another program has set another mask, which ends a wait.
            continue;
        }
        let levels = *port.call(GET_MODEMSTATUS, &()).wait()?;
        for (name, event, level) in LINES {
            if events & event != 0 {
                println!("{name} changed; it is {}", if levels & level != 0 { "on" } else { "off" });
            }
        }
    }
    Ok(())
}

/// A simulated serial port, with the rules of a serial driver.
mod simulated {
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use overlapped::Status;
    use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};

    use super::{GET_MODEMSTATUS_CODE, LINES, SET_WAIT_MASK_CODE, WAIT_ON_MASK_CODE};

    #[derive(Default)]
    struct State {
        mask: u32,
        levels: u32,
        /// Events that no call has got yet.
        happened: u32,
        gone: bool,
    }

    #[derive(Default)]
    pub(super) struct Port {
        state: Mutex<State>,
        waiting: Queue<()>,
    }

    impl Port {
        /// A port whose lines change one after the other. Then it is unplugged.
        pub(super) fn new() -> Arc<Self> {
            let port = Arc::<Self>::default();
            let peer = port.clone();
            thread::spawn(move || {
                for (_, event, level) in LINES.iter().chain(&LINES[..2]) {
                    thread::sleep(Duration::from_millis(50));
                    let mut state = peer.state.lock().unwrap();
                    state.levels ^= level;
                    state.happened |= event & state.mask;
                    peer.tell(&mut state);
                }
                thread::sleep(Duration::from_millis(50));
                let mut state = peer.state.lock().unwrap();
                state.gone = true;
                if let Some((request, ())) = peer.waiting.pop() {
                    request.complete(Status::DEVICE_REMOVED);
                }
            });
            port
        }

        /// Completes the wait, if there is one and an event for it. A driver may complete while it holds a lock.
        fn tell(&self, state: &mut State) {
            if state.happened != 0
                && let Some((mut request, ())) = self.waiting.pop()
            {
                request.write(&std::mem::take(&mut state.happened).to_ne_bytes());
                request.complete(Status::SUCCESS);
            }
        }
    }

    impl Driver for Port {
        fn name(&self) -> String {
            "simulated serial port".to_owned()
        }

        fn control(&self, mut request: Request) -> Outcome {
            let mut state = self.state.lock().unwrap();
            match request.code() {
                _ if state.gone => request.complete(Status::DEVICE_REMOVED),
                SET_WAIT_MASK_CODE => {
                    let Ok(mask) = request.input().try_into() else {
                        return request.complete(Status::INVALID_PARAMETER);
                    };
                    *state = State { mask: u32::from_ne_bytes(mask), happened: 0, ..*state };
                    // A wait with the old mask ends, without an event.
                    if let Some((mut waiting, ())) = self.waiting.pop() {
                        waiting.write(&0_u32.to_ne_bytes());
                        waiting.complete(Status::SUCCESS);
                    }
                    request.complete(Status::SUCCESS)
                }
                // Only one wait may be pending.
                WAIT_ON_MASK_CODE if !self.waiting.is_empty() => request.complete(Status::INVALID_PARAMETER),
                WAIT_ON_MASK_CODE => {
                    let (pended, outcome) = request.pend();
                    self.waiting.push(pended, ());
                    self.tell(&mut state);
                    outcome
                }
                GET_MODEMSTATUS_CODE => {
                    request.write(&state.levels.to_ne_bytes());
                    request.complete(Status::SUCCESS)
                }
                _ => request.complete(Status::INVALID_DEVICE_REQUEST),
            }
        }

        fn cancel(&self, request: RequestId) {
            self.waiting.cancel(request);
        }

        fn cleanup(&self, file: FileId) {
            self.waiting.complete_all_of(file, Status::CANCELLED);
        }
    }
}

#[test]
fn the_simulated_port_is_watched_until_it_is_gone() {
    watch_until_gone(&Device::simulated(simulated::Port::new()).unwrap()).unwrap();
}
