//! Microsoft's DMap driver: pins are attached one by one, and each has a queue of interrupts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use linewake::{Edges, ErrorKind, Figures, Trust};
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Status};

use test_support::random::Random;

use crate::{chip, come, edges, end, finished, next, profile, taken_until, told, wait_until, watched};

const fn code(function: u16) -> CtlCode {
    CtlCode::new(0x423, function, Method::Buffered, Access::Any)
}
const ATTACH: CtlCode = code(0x105);
const DETACH: CtlCode = code(0x106);
const WAIT: CtlCode = code(0x107);

/// The queue size of a pin. The sources do not say how many interrupts the real driver queues.
const QUEUED: usize = 4;

/// An attached pin.
#[derive(Default)]
struct Pin {
    mode: u16,
    /// The new state and the time of each queued interrupt.
    events: VecDeque<(u16, u64)>,
    /// Interrupts that were dropped since the last notification.
    dropped: u32,
}

#[derive(Default)]
struct State {
    states: BTreeMap<u32, bool>,
    attached: BTreeMap<u32, Pin>,
    /// The calls in order, for example "attach 5 3".
    asked: Vec<String>,
    is_gone: bool,
    /// The length of the answers, if it is wrong.
    bytes: Option<usize>,
}

#[derive(Default)]
struct Board {
    state: Mutex<State>,
    waiting: Queue<u32>,
}

impl Board {
    /// Changes a pin at this time of the performance counter.
    fn change(&self, pin: u32, time: u64) {
        let mut state = self.state.lock().unwrap();
        let now = state.states.entry(pin).or_default();
        *now = !*now;
        let (now, bit) = (*now, if *now { 1 } else { 2 });
        let Some(attached) = state.attached.get_mut(&pin).filter(|attached| attached.mode & bit != 0) else { return };
        if attached.events.len() < QUEUED {
            attached.events.push_back((now.into(), time));
        } else {
            attached.dropped += 1;
        }
        self.serve(&mut state, pin);
    }

    fn serve(&self, state: &mut State, pin: u32) {
        let bytes = state.bytes;
        let Some(attached) = state.attached.get_mut(&pin) else { return };
        while !attached.events.is_empty()
            && let Some((mut wait, _)) = self.waiting.pop_if(|_, of| *of == pin)
        {
            let (now, time) = attached.events.pop_front().expect("it is not empty");
            let mut notify = Vec::new();
            notify.extend((pin as u16).to_le_bytes());
            notify.extend(now.to_le_bytes());
            notify.extend(std::mem::take(&mut attached.dropped).to_le_bytes());
            notify.extend(time.to_le_bytes());
            notify.truncate(bytes.unwrap_or(notify.len()));
            wait.write(&notify);
            wait.complete(Status::SUCCESS);
        }
    }

    fn end_waits(&self, pin: u32, status: Status) {
        while let Some((wait, _)) = self.waiting.pop_if(|_, of| *of == pin) {
            wait.complete(status);
        }
    }

    fn pull_out(&self) {
        self.state.lock().unwrap().is_gone = true;
        while let Some((wait, _)) = self.waiting.pop() {
            wait.complete(Status::DEVICE_REMOVED);
        }
    }
}

impl Driver for Board {
    fn name(&self) -> String {
        "DmapGpio".to_owned()
    }

    fn control(&self, request: Request) -> Outcome {
        let mut state = self.state.lock().unwrap();
        let (code, input) = (request.code(), request.input());
        let &[a, b, c, d] = input else { return request.complete(Status::INVALID_PARAMETER) };
        let number = u32::from_le_bytes([a, b, c, d]);
        match code {
            _ if state.is_gone => request.complete(Status::DEVICE_REMOVED),
            ATTACH => {
                let (pin, mode) = (number & 0xffff, (number >> 16) as u16);
                state.asked.push(format!("attach {pin} {mode}"));
                if pin > 53 || !(1..=3).contains(&mode) {
                    return request.complete(Status::INVALID_PARAMETER);
                }
                state.attached.insert(pin, Pin { mode, ..Pin::default() });
                request.complete(Status::SUCCESS)
            }
            DETACH => {
                state.asked.push(format!("detach {number}"));
                state.attached.remove(&number);
                self.end_waits(number, Status::CANCELLED);
                request.complete(Status::SUCCESS)
            }
            WAIT if request.output_len() < 16 => request.complete(Status::BUFFER_TOO_SMALL),
            WAIT if !state.attached.contains_key(&number) => request.complete(Status::INVALID_DEVICE_REQUEST),
            WAIT => {
                let (pended, outcome) = request.pend();
                self.waiting.push(pended, number);
                self.serve(&mut state, number);
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
        self.state.lock().unwrap().attached.clear();
    }
}

#[test]
fn each_pin_is_attached_and_detached_by_a_call_of_its_own() {
    let board = Arc::<Board>::default();
    let chip = chip(&profile!("dmap-gpio"), &board);
    let mut request = chip.request().lines(["GPIO5", "GPIO13"]).start().unwrap();
    assert_eq!(board.state.lock().unwrap().asked, ["attach 5 3", "attach 13 3"]);
    board.change(13, 10);
    board.change(6, 11); // not requested
    board.change(5, 12);
    board.change(13, 13);
    let mut seen = told(&mut request, 3);
    seen.sort();
    assert_eq!(seen, edges([("GPIO13", false), ("GPIO13", true), ("GPIO5", true)]));
    assert_eq!(finished(request).1.total(), Figures { delivered: 3, ..Figures::default() });
    wait_until(|| board.state.lock().unwrap().asked.len() == 4);
    assert_eq!(board.state.lock().unwrap().asked[2..], ["detach 5", "detach 13"]);
}

#[test]
fn the_driver_is_told_which_edges_are_wanted() {
    for (edges, asked) in [(Edges::Rising, "attach 6 1"), (Edges::Falling, "attach 6 2"), (Edges::Both, "attach 6 3")] {
        let board = Arc::<Board>::default();
        let request = chip(&profile!("dmap-gpio"), &board).request().line("GPIO6").edges(edges).start().unwrap();
        assert_eq!(board.state.lock().unwrap().asked, [asked]);
        drop(request);
    }
}

/// The time is in ticks of 100 ns, from an unknown start of the performance counter.
#[test]
fn an_edge_has_the_time_of_its_interrupt() {
    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("dmap-gpio"), &board);
    const START: u64 = 77_000_000_000;
    board.change(5, START);
    let first = next(&mut request);
    board.change(5, START + 25);
    board.change(6, START + 31);
    let mut times = [next(&mut request), next(&mut request)].map(|edge| edge.timestamp_ns - first.timestamp_ns);
    times.sort_unstable();
    assert_eq!(times, [2_500, 3_100]);
}

#[test]
fn interrupts_that_the_driver_dropped_are_lost_by_its_count() {
    let board = Arc::<Board>::default();
    let chip = chip(&profile!("dmap-gpio"), &board);
    let mut request = chip.request().line("GPIO5").start().unwrap();
    wait_until(|| board.waiting.len() == 2);
    let waits: Vec<_> = std::iter::from_fn(|| board.waiting.pop()).collect();
    for time in 0..11 {
        board.change(5, time); // no wait is pending: four are queued
    }
    for (wait, pin) in waits {
        board.waiting.push(wait, pin);
    }
    board.serve(&mut board.state.lock().unwrap(), 5);
    let seen = told(&mut request, 4);
    assert_eq!(seen.iter().map(|edge| edge.2).collect::<Vec<_>>(), [7, 0, 0, 0]);
    board.change(5, 12);
    assert_eq!(told(&mut request, 1)[0].2, 0);
    let (rest, account) = finished(request);
    assert!(rest.is_empty());
    assert_eq!(account.total(), Figures { delivered: 5, overflowed: 7, ..Figures::default() });
    assert_eq!(account.trust(), Trust::AtLeast);
}

#[test]
fn delivered_and_lost_edges_are_those_that_were_driven() {
    let mut random = Random::new(0xD3A9);
    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("dmap-gpio"), &board);
    let mut driven = [0_u64; 3];
    for time in 0..2_000 {
        let line = random.below(3);
        board.change([5, 6, 13][line], time);
        driven[line] += 1;
        if random.below(50) == 0 {
            come(&mut request);
        }
    }
    // One more edge of each pin, when there is room for it. It reports what was lost before it.
    for (line, pin) in [5, 6, 13].into_iter().enumerate() {
        taken_until(&mut request, || board.state.lock().unwrap().attached[&pin].events.is_empty());
        board.change(pin, 2_000);
        driven[line] += 1;
    }
    let (_, account) = finished(request);
    for (line, driven) in account.lines().iter().zip(driven) {
        assert_eq!(line.figures.total(), driven, "{line:?}");
    }
}

#[test]
fn a_board_that_is_gone_and_an_answer_that_is_short_end_the_stream() {
    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("dmap-gpio"), &board);
    board.change(5, 1);
    assert_eq!(told(&mut request, 1), edges([("GPIO5", true)]));
    board.pull_out();
    assert!(end(&mut request).is_disconnected());

    let board = Arc::<Board>::default();
    let mut request = watched(&profile!("dmap-gpio"), &board);
    board.state.lock().unwrap().bytes = Some(8);
    board.change(5, 1);
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("8 bytes"), "{error}");
    assert_eq!(request.finish().total().total(), 0);
}

#[test]
fn a_pin_that_the_board_does_not_have_is_refused() {
    let board = Arc::<Board>::default();
    let text = include_str!("../../../../profiles/dmap-gpio.toml").replace("number = 13", "number = 99");
    let profile = crate::allowed("dmap-gpio.toml", &text);
    let error = chip(&profile, &board).request().all_lines().start().unwrap_err();
    assert!(error.to_string().contains("DmapGpio"), "{error}");
    wait_until(|| board.state.lock().unwrap().attached.is_empty());
}
