//! The sample driver of the OSR USB-FX2 kit: every message of the board completes all requests that are pending.

use std::sync::{Arc, Mutex};

use linewake::{ErrorKind, Figures, Trust};
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Status};

use test_support::random::Random;

use crate::{
    by_turns, chip, edges, end, finished, no_more_than, nothing_comes, profile, taken_until, told, wait_until, watched,
};

/// CTL_CODE shifts the first digit of 0x65500 out.
const DEVICE_TYPE: u16 = (0x65500_u32 << 16 >> 16) as u16;
const READ_SWITCHES: CtlCode = CtlCode::new(DEVICE_TYPE, 0x806, Method::Buffered, Access::Read);
const GET_INTERRUPT_MESSAGE: CtlCode = CtlCode::new(DEVICE_TYPE, 0x809, Method::OutDirect, Access::Read);

struct Kit {
    /// The switches as the board sends them: 0 is on. `None` if it is not plugged in.
    switches: Mutex<Option<u8>>,
    waiting: Queue<()>,
}

impl Kit {
    fn new() -> Arc<Self> {
        Arc::new(Self { switches: Mutex::new(Some(0xff)), waiting: Queue::default() })
    }

    /// Moves these switches, which makes one message. A program without a pending request does not get it.
    fn move_switches(&self, which: u8) {
        let mut switches = self.switches.lock().unwrap();
        let byte = switches.as_mut().expect("the kit is plugged in");
        *byte ^= which;
        let byte = *byte;
        self.message(&[byte]);
    }

    fn message(&self, bytes: &[u8]) {
        // Complete the requests that are pending now, and not those that a completion causes.
        for _ in 0..self.waiting.len() {
            let Some((mut wait, ())) = self.waiting.pop() else { break };
            wait.write(bytes);
            wait.complete(Status::SUCCESS);
        }
    }

    /// The board comes out of a low power state and sends the state of the switches.
    fn wake_up(&self) {
        let switches = self.switches.lock().unwrap().expect("the kit is plugged in");
        self.message(&[switches]);
    }

    /// The continuous reader of the endpoint fails, and all pending requests fail with it.
    fn fail(&self, status: Status) {
        while let Some((wait, ())) = self.waiting.pop() {
            wait.complete(status);
        }
    }

    fn pull_out(&self) {
        *self.switches.lock().unwrap() = None;
        self.fail(Status::DEVICE_NOT_CONNECTED);
    }
}

impl Driver for Kit {
    fn name(&self) -> String {
        "osrfx2".to_owned()
    }

    fn open(&self, _: FileId) -> Result<(), Status> {
        self.switches.lock().unwrap().map(|_| ()).ok_or(Status::NO_SUCH_DEVICE)
    }

    fn control(&self, mut request: Request) -> Outcome {
        let switches = self.switches.lock().unwrap();
        match (request.code(), *switches) {
            (READ_SWITCHES | GET_INTERRUPT_MESSAGE, None) => request.complete(Status::DEVICE_NOT_CONNECTED),
            (READ_SWITCHES | GET_INTERRUPT_MESSAGE, _) if request.output_len() < 1 => {
                request.complete(Status::BUFFER_TOO_SMALL)
            }
            (READ_SWITCHES, Some(switches)) => {
                request.write(&[switches]);
                request.complete(Status::SUCCESS)
            }
            (GET_INTERRUPT_MESSAGE, _) => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, ());
                outcome
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

#[test]
fn a_switch_that_is_on_is_active() {
    let kit = Kit::new();
    kit.move_switches(0b0000_0100);
    let chip = chip(&profile!("osrfx2"), &kit);
    assert_eq!(chip.values(["SW2", "SW3"]).unwrap(), [false, true]);
    let mut request = chip.request().all_lines().start().unwrap();
    assert_eq!(request.lines()[2].active_at_start, Some(true));
    for (which, expected) in [
        (0b0000_0001, edges([("SW1", true)])),
        (0b1000_0101, edges([("SW1", false), ("SW3", false), ("SW8", true)])),
        (0b0000_0100, edges([("SW3", true)])),
    ] {
        wait_until(|| kit.waiting.len() == 1);
        kit.move_switches(which);
        assert_eq!(told(&mut request, expected.len()), expected);
    }
    let (rest, account) = finished(request);
    assert!(rest.is_empty());
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 5, ..Figures::default() }, Trust::AtLeast));
}

#[test]
fn a_message_that_says_nothing_new_is_no_edge() {
    let kit = Kit::new();
    let mut request = watched(&profile!("osrfx2"), &kit);
    // More often than results are kept for a program that does not take them.
    for _ in 0..50 {
        assert!(taken_until(&mut request, || kit.waiting.len() == 1).is_empty());
        kit.wake_up();
    }
    nothing_comes(&mut request);
    wait_until(|| kit.waiting.len() == 1);
    kit.move_switches(0b10);
    assert_eq!(told(&mut request, 1), edges([("SW2", true)]));
    assert_eq!(finished(request).1.total().total(), 1);
}

/// Nothing waited when a switch was moved. The next message has the state of all switches.
#[test]
fn unseen_moves_come_with_the_next_message_and_count_once() {
    let kit = Kit::new();
    let mut request = watched(&profile!("osrfx2"), &kit);
    wait_until(|| kit.waiting.len() == 1);
    *kit.switches.lock().unwrap() = Some(0b1111_1100);
    kit.move_switches(0b0000_0010);
    assert_eq!(told(&mut request, 1), edges([("SW1", true)]), "SW2 went on and off again");
    nothing_comes(&mut request);
    assert_eq!(finished(request).1.total().total(), 1);
}

#[test]
fn no_more_is_told_than_was_moved() {
    let mut random = Random::new(0x0542);
    let kit = Kit::new();
    let mut request = watched(&profile!("osrfx2"), &kit);
    let mut moved = [0_u64; 8];
    let mut seen = Vec::new();
    for _ in 0..300 {
        let which = random.below(256) as u8;
        if random.below(3) > 0 {
            seen.append(&mut taken_until(&mut request, || kit.waiting.len() == 1));
        }
        kit.move_switches(which);
        (0..8).filter(|bit| which >> bit & 1 == 1).for_each(|bit| moved[bit] += 1);
    }
    // One more message, so that the last move is reported.
    for _ in 0..2 {
        seen.append(&mut taken_until(&mut request, || kit.waiting.len() == 1));
        kit.wake_up();
    }
    let (mut rest, account) = finished(request);
    seen.append(&mut rest);
    let is_on = by_turns::<8>(&seen);
    no_more_than(&account, &moved);
    let switches = kit.switches.lock().unwrap().unwrap();
    assert!((0..8).all(|bit| is_on[bit] == (switches >> bit & 1 == 0)), "the last edge of a switch is how it is");
}

#[test]
fn a_kit_that_is_pulled_out_or_fails_ends_the_stream() {
    let kit = Kit::new();
    let mut request = watched(&profile!("osrfx2"), &kit);
    kit.pull_out();
    assert!(end(&mut request).is_disconnected());

    let kit = Kit::new();
    let mut request = watched(&profile!("osrfx2"), &kit);
    wait_until(|| kit.waiting.len() == 1);
    kit.fail(Status::IO_DEVICE_ERROR);
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Device && error.to_string().contains("osrfx2"), "{error}");
    assert_eq!(request.finish().total().total(), 0);
}
