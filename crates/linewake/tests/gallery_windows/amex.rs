//! The board of an amusement machine: two control codes for two groups of switches.

use std::sync::{Arc, Mutex};

use linewake::{ErrorKind, Figures};
use overlapped::sim::{Driver, Outcome, Request};
use overlapped::{CtlCode, Status};

use crate::{chip, edges, end, finished, profile, told, watched};

const GET_PSW: CtlCode = CtlCode::from_u32(0x8000_6008);
const GET_DIPSW: CtlCode = CtlCode::from_u32(0x8000_600C);

#[derive(Default)]
struct State {
    dip: u32,
    push: u32,
    /// The answer to the push switches has two bytes.
    is_short: bool,
    is_gone: bool,
}

#[derive(Default)]
struct Board(Mutex<State>);

impl Driver for Board {
    fn name(&self) -> String {
        "amex".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        let state = self.0.lock().unwrap();
        let switches = match request.code() {
            _ if state.is_gone => return request.complete(Status::DEVICE_REMOVED),
            GET_DIPSW => state.dip,
            GET_PSW => state.push,
            _ => return request.complete(Status::INVALID_DEVICE_REQUEST),
        };
        let is_short = state.is_short && request.code() == GET_PSW;
        request.write(&switches.to_le_bytes()[..if is_short { 2 } else { 4 }]);
        request.complete(Status::SUCCESS)
    }
}

#[test]
fn two_codes_are_two_groups_of_lines() {
    let board = Arc::<Board>::default();
    board.0.lock().unwrap().dip = 0b1000_0001;
    let chip = chip(&profile!("amex"), &board);
    assert_eq!(chip.values(["DIP1", "DIP2", "DIP8", "TEST", "SERVICE"]).unwrap(), [true, false, true, false, false]);
    let mut request = chip.request().all_lines().start().unwrap();
    let at_start: Vec<_> = request.lines().iter().map(|line| line.active_at_start == Some(true)).collect();
    assert_eq!(at_start, [true, false, false, false, false, false, false, true, false, false]);
    for (dip, push, expected) in [
        (0b1000_0001, 0b01, edges([("TEST", true)])),
        (0b1000_0001, 0b10, edges([("TEST", false), ("SERVICE", true)])),
        (0b1000_0000, 0b10, edges([("DIP1", false)])),
        (0b0000_0010, 0b10, edges([("DIP2", true), ("DIP8", false)])),
        (0b0000_0010, 0b00, edges([("SERVICE", false)])),
    ] {
        {
            let mut state = board.0.lock().unwrap();
            (state.dip, state.push) = (dip, push);
        }
        let mut seen = told(&mut request, expected.len());
        seen.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(seen, expected);
    }
    assert_eq!(finished(request).1.total(), Figures { delivered: 7, ..Figures::default() });
}

#[test]
fn an_answer_that_is_short_and_a_board_that_is_gone_end_the_stream() {
    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("amex"), &board);
    board.0.lock().unwrap().is_short = true;
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("2 bytes"), "{error}");

    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("amex"), &board);
    board.0.lock().unwrap().is_gone = true;
    assert!(end(&mut request).is_disconnected());
}
