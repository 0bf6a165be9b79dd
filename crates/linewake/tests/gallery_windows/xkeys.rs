//! A box of buttons behind the system's HID driver: it gives whole reports, keeps a ring of them for each handle, and
//! also sends reports of other kinds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use linewake::{ErrorKind, Trust};
use overlapped::Status;
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};

use test_support::random::Random;

use crate::{
    by_turns, come, edges, end, finished, next, no_more_than, nothing_comes, profile, taken_until, told, wait_until,
    watched,
};

/// The length of a report, with the byte for its number.
const INPUT_REPORT: usize = 33;
const OUTPUT_REPORT: usize = 36;
/// How many reports the HID driver keeps for a handle by default. When there are more, it drops the oldest.
const RING: usize = 32;

#[derive(Default)]
struct State {
    columns: [u8; 4],
    milliseconds: u32,
    rings: BTreeMap<FileId, VecDeque<Vec<u8>>>,
    is_gone: bool,
}

#[derive(Default)]
struct Box24 {
    state: Mutex<State>,
    waiting: Queue<()>,
}

impl Box24 {
    /// Presses or releases a button, 1 to 24, which makes one report.
    fn toggle(&self, button: usize) {
        let mut state = self.state.lock().unwrap();
        state.columns[(button - 1) / 6] ^= 1 << ((button - 1) % 6);
        self.report(&mut state, 0);
    }

    /// The report with the state of all buttons. In `kind`, bit 0 is the program switch, and bit 1 marks a requested
    /// report.
    fn report(&self, state: &mut State, kind: u8) {
        let mut report = vec![0, 9, kind];
        report.extend(state.columns);
        report.extend(state.milliseconds.to_be_bytes());
        self.send(state, report);
    }

    fn send(&self, state: &mut State, mut report: Vec<u8>) {
        report.resize(INPUT_REPORT, 0);
        for ring in state.rings.values_mut() {
            if ring.len() == RING {
                ring.pop_front();
            }
            ring.push_back(report.clone());
        }
        self.serve(state);
    }

    fn serve(&self, state: &mut State) {
        for (file, ring) in &mut state.rings {
            while !ring.is_empty()
                && let Some((mut read, ())) = self.waiting.pop_if(|read, ()| read.file() == *file)
            {
                // As many whole reports as fit.
                for _ in 0..read.output_len() / INPUT_REPORT {
                    ring.pop_front().into_iter().for_each(|report| {
                        read.write(&report);
                    });
                }
                read.complete(Status::SUCCESS);
            }
        }
    }

    fn time(&self, milliseconds: u32) {
        self.state.lock().unwrap().milliseconds = milliseconds;
    }

    fn pull_out(&self) {
        self.state.lock().unwrap().is_gone = true;
        while let Some((read, ())) = self.waiting.pop() {
            read.complete(Status::DEVICE_NOT_CONNECTED);
        }
    }
}

impl Driver for Box24 {
    fn name(&self) -> String {
        "hid#vid_05f3&pid_0405".to_owned()
    }

    fn open(&self, file: FileId) -> Result<(), Status> {
        let mut state = self.state.lock().unwrap();
        state.rings.insert(file, VecDeque::new());
        if state.is_gone { Err(Status::NO_SUCH_DEVICE) } else { Ok(()) }
    }

    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn read(&self, request: Request) -> Outcome {
        let mut state = self.state.lock().unwrap();
        if state.is_gone {
            return request.complete(Status::DEVICE_NOT_CONNECTED);
        }
        if request.output_len() < INPUT_REPORT {
            return request.complete(Status::INVALID_BUFFER_SIZE);
        }
        let (pended, outcome) = request.pend();
        self.waiting.push(pended, ());
        self.serve(&mut state);
        outcome
    }

    fn write(&self, mut request: Request) -> Outcome {
        let mut state = self.state.lock().unwrap();
        if request.input().len() != OUTPUT_REPORT {
            return request.complete(Status::INVALID_PARAMETER);
        }
        match request.input() {
            [0, 177, ..] => self.report(&mut state, 2),
            [0, 214, ..] => self.send(&mut state, vec![0, 9, 214, 1, 2, 3, 0xff, 0xff, 0xff, 0xff]),
            other => panic!("the box does not know {other:?}"),
        }
        request.set_information(OUTPUT_REPORT);
        request.complete(Status::SUCCESS)
    }

    fn cancel(&self, request: RequestId) {
        self.waiting.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.state.lock().unwrap().rings.remove(&file);
        self.waiting.complete_all_of(file, Status::CANCELLED);
    }
}

#[test]
fn the_box_says_how_its_buttons_are_and_then_each_press() {
    let keys = Arc::<Box24>::default();
    keys.toggle(24); // before the first read
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    nothing_comes(&mut request);
    for (button, expected) in [(24, ("24", false)), (1, ("1", true)), (7, ("7", true)), (1, ("1", false))] {
        keys.toggle(button);
        assert_eq!(told(&mut request, 1), edges([expected]));
    }
    let (rest, account) = finished(request);
    assert!(rest.is_empty());
    assert_eq!((account.total().total(), account.trust()), (4, Trust::AtLeast));
}

#[test]
fn reports_of_another_kind_and_reports_that_say_nothing_new_are_no_edges() {
    let keys = Arc::<Box24>::default();
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    {
        let mut state = keys.state.lock().unwrap();
        // A version report, whose bytes would look like buttons; another report number; the program switch; the same
        // state again.
        keys.send(&mut state, vec![0, 9, 214, 0xff, 0xff, 0xff, 0xff]);
        keys.send(&mut state, vec![5, 9, 0, 0xff, 0xff, 0xff, 0xff]);
        keys.report(&mut state, 1);
        keys.report(&mut state, 2);
    }
    nothing_comes(&mut request);
    keys.toggle(13);
    assert_eq!(told(&mut request, 1), edges([("13", true)]));
    assert_eq!(finished(request).1.total().total(), 1);
}

#[test]
fn a_button_has_the_time_of_the_box_which_wraps() {
    let keys = Arc::<Box24>::default();
    keys.time(u32::MAX - 5);
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    keys.toggle(2);
    let first = next(&mut request).timestamp_ns;
    assert_eq!(first, u64::from(u32::MAX - 5) * 1_000_000);
    keys.time(4);
    keys.toggle(2);
    assert_eq!(next(&mut request).timestamp_ns, first + 10_000_000);
}

/// More presses than the HID driver keeps, while nobody reads. The number of missing edges is unknown, and none is
/// invented.
#[test]
fn no_more_is_told_than_was_pressed() {
    let mut random = Random::new(0x24);
    let keys = Arc::<Box24>::default();
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    taken_until(&mut request, || keys.waiting.len() == 2);
    let mut seen = Vec::new();
    let mut pressed = [0_u64; 24];
    for _ in 0..50 {
        for _ in 0..random.below(100) {
            let button = random.below(24);
            keys.toggle(button + 1);
            pressed[button] += 1;
        }
        if random.below(3) > 0 {
            seen.append(&mut come(&mut request));
        }
    }
    seen.append(&mut taken_until(&mut request, || keys.state.lock().unwrap().rings.values().all(VecDeque::is_empty)));
    let (mut rest, account) = finished(request);
    seen.append(&mut rest);
    by_turns::<24>(&seen);
    no_more_than(&account, &pressed);
}

#[test]
fn a_report_that_is_cut_and_a_box_that_is_pulled_out_end_the_stream() {
    let keys = Arc::<Box24>::default();
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    wait_until(|| !keys.waiting.is_empty());
    let (mut read, ()) = keys.waiting.pop().unwrap();
    read.write(&[0, 9, 0, 1, 0, 0, 0]);
    read.complete(Status::SUCCESS);
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("7 bytes"), "{error}");
    assert_eq!(request.finish().total().total(), 0);

    let keys = Arc::<Box24>::default();
    let mut request = watched(&profile!("xkeys-xk24"), &keys);
    keys.pull_out();
    assert!(end(&mut request).is_disconnected());
}
