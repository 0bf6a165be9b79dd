//! Pins of a connection of the resource hub: they are read together, and nothing reports when they change.

use std::sync::{Arc, Mutex};

use linewake::{ErrorKind, Figures};
use overlapped::sim::{Driver, Outcome, Request};
use overlapped::{Access, CtlCode, Method, Status};

use crate::{chip, edges, end, finished, profile, taken_until, told, watched};

const READ_PINS: CtlCode = CtlCode::new(0x48, 0, Method::Buffered, Access::Any);

/// The levels of the pins, and how the driver answers.
struct State {
    pins: u8,
    readings: u64,
    ends: Status,
    bytes: usize,
}

struct Connection(Mutex<State>);

impl Connection {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { pins: 0, readings: 0, ends: Status::SUCCESS, bytes: 1 })))
    }

    fn set(&self, pins: u8) {
        self.0.lock().unwrap().pins = pins;
    }

    fn readings(&self) -> u64 {
        self.0.lock().unwrap().readings
    }
}

impl Driver for Connection {
    fn name(&self) -> String {
        "RESOURCE_HUB".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut state = self.0.lock().unwrap();
        match request.code() {
            READ_PINS if request.output_len() < 1 => request.complete(Status::BUFFER_TOO_SMALL),
            READ_PINS if state.ends.is_error() => request.complete(state.ends),
            READ_PINS => {
                state.readings += 1;
                let answer = [state.pins];
                request.write(&answer[..state.bytes]);
                request.complete(Status::SUCCESS)
            }
            _ => request.complete(Status::INVALID_DEVICE_REQUEST),
        }
    }
}

#[test]
fn pins_are_polled_and_a_pulse_between_two_looks_is_not_invented() {
    let pins = Connection::new();
    pins.set(0b0010_0000);
    let chip = chip(&profile!("gpioclx"), &pins);
    assert_eq!(chip.values([4, 5]).unwrap(), [false, true]);
    let mut request = chip.request().lines([0, 5]).start().unwrap();
    assert_eq!(request.lines()[1].active_at_start, Some(true));
    for (set, expected) in [
        (0b0010_0001, edges([("0", true)])),
        (0b1000_0000, edges([("0", false), ("5", false)])), // 7 is not requested
        (0b0000_0001, edges([("0", true)])),
    ] {
        pins.set(set);
        assert_eq!(told(&mut request, expected.len()), expected);
    }
    // A pulse between two polls: each request for the pins waits for this lock.
    {
        let mut state = pins.0.lock().unwrap();
        state.pins = 0;
        state.pins = 1;
    }
    let readings = pins.readings();
    assert!(taken_until(&mut request, || pins.readings() > readings + 2).is_empty());
    let (rest, account) = finished(request);
    assert!(rest.is_empty());
    assert_eq!(account.total(), Figures { delivered: 4, ..Figures::default() });
}

#[test]
fn looking_again_is_no_edge() {
    let pins = Connection::new();
    let mut request = watched(&profile!("gpioclx"), &pins);
    assert!(taken_until(&mut request, || pins.readings() > 20).is_empty());
    assert_eq!(finished(request).1.total(), Figures::default());
}

#[test]
fn an_answer_without_a_byte_and_a_failure_end_the_stream() {
    let pins = Connection::new();
    pins.set(0xff);
    let mut request = watched(&profile!("gpioclx"), &pins);
    pins.0.lock().unwrap().bytes = 0;
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("found none"), "{error}");
    assert_eq!(request.finish().total(), Figures::default());
    // It is not a level either.
    let error = chip(&profile!("gpioclx"), &pins).values([0]).unwrap_err();
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("found none"), "{error}");

    let pins = Connection::new();
    let mut request = watched(&profile!("gpioclx"), &pins);
    pins.0.lock().unwrap().ends = Status::DEVICE_REMOVED;
    assert!(end(&mut request).is_disconnected());
    // A connection of output pins.
    let pins = Connection::new();
    pins.0.lock().unwrap().ends = Status::ACCESS_DENIED;
    let error = chip(&profile!("gpioclx"), &pins).request().all_lines().start().unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
}
