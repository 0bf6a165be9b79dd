//! The Sensoray 826: each enabled edge is captured once, and a wait takes the captures of its mask.

use std::sync::{Arc, Mutex, MutexGuard};

use linewake::{ErrorKind, Figures, Trust};
use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Access, CtlCode, Method, Status};

use test_support::random::Random;

use crate::{chip, come, end, finished, nothing_comes, profile, taken_until, told, wait_until, watched};

const WAITDIO: CtlCode = CtlCode::new(0x22, 9, Method::Buffered, Access::Any);

/// The numbers of `struct s826_waitdio`.
type Wait = [u32; 8];
const MASK: usize = 1;
const RC: usize = 4;
const NOT_READY: i32 = -3;

#[derive(Default)]
struct State {
    levels: u64,
    /// The inputs whose rising edges are enabled for capture, and those that were captured.
    enabled: u64,
    captured: u64,
    /// The timeouts of the waits, in microseconds.
    limits: Vec<u32>,
    /// The length of the answers, if it is wrong.
    bytes: Option<usize>,
    is_gone: bool,
}

#[derive(Default)]
struct Board {
    state: Mutex<State>,
    waiting: Queue<Wait>,
}

fn words(bits: u64) -> [u32; 2] {
    [bits as u32 & 0xff_ffff, (bits >> 24) as u32]
}

fn bits(wait: &Wait) -> u64 {
    u64::from(wait[MASK]) | u64::from(wait[MASK + 1]) << 24
}

impl Board {
    fn new() -> Arc<Self> {
        let board = Arc::<Self>::default();
        board.lock().enabled = (1 << 48) - 1;
        board
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes these inputs.
    fn toggle(&self, inputs: u64) {
        let mut state = self.lock();
        state.levels ^= inputs;
        state.captured |= inputs & state.levels & state.enabled;
        self.serve(&mut state);
    }

    fn serve(&self, state: &mut State) {
        let captured = state.captured;
        if let Some((request, wait)) = self.waiting.pop_if(|_, wait| captured & bits(wait) != 0) {
            self.answer(state, request, wait);
        }
    }

    /// Ends a wait with the captures, or with nothing if it timed out.
    fn answer(&self, state: &mut State, mut request: overlapped::sim::Pended, mut wait: Wait) {
        let happened = state.captured & bits(&wait);
        state.captured &= !bits(&wait);
        [wait[MASK], wait[MASK + 1]] = words(happened);
        wait[RC] = if happened == 0 { NOT_READY as u32 } else { 0 };
        let bytes: Vec<u8> = wait.iter().flat_map(|word| word.to_le_bytes()).collect();
        request.write(&bytes[..state.bytes.unwrap_or(bytes.len())]);
        request.complete(Status::SUCCESS);
    }

    /// Lets a wait time out after its ten seconds.
    fn time_is_over(&self) {
        let mut state = self.lock();
        if let Some((request, wait)) = self.waiting.pop() {
            self.answer(&mut state, request, wait);
        }
    }

    fn pull_out(&self) {
        self.lock().is_gone = true;
        while let Some((request, _)) = self.waiting.pop() {
            request.complete(Status::NO_SUCH_DEVICE);
        }
    }
}

impl Driver for Board {
    fn name(&self) -> String {
        "s826".to_owned()
    }

    fn control(&self, request: Request) -> Outcome {
        let mut state = self.lock();
        if state.is_gone {
            return request.complete(Status::NO_SUCH_DEVICE);
        }
        if request.code() != WAITDIO {
            return request.complete(Status::INVALID_DEVICE_REQUEST);
        }
        if request.input().len() != size_of::<Wait>() || request.output_len() < size_of::<Wait>() {
            return request.complete(Status::BUFFER_TOO_SMALL);
        }
        let mut wait = Wait::default();
        for (word, bytes) in wait.iter_mut().zip(request.input().as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        assert!(wait[MASK] >> 24 == 0 && wait[MASK + 1] >> 24 == 0, "each number has 24 inputs");
        assert_eq!(wait[3], 1, "any of them");
        state.limits.push(wait[0]);
        let (pended, outcome) = request.pend();
        self.waiting.push(pended, wait);
        self.serve(&mut state);
        outcome
    }

    fn cancel(&self, request: RequestId) {
        self.waiting.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.waiting.complete_all_of(file, Status::CANCELLED);
    }
}

/// Rising edges of these inputs, with none missing before them.
fn rose<const N: usize>(inputs: [u32; N]) -> Vec<(String, bool, u64)> {
    inputs.map(|input| (input.to_string(), true, 0)).into()
}

#[test]
fn the_second_number_has_the_inputs_from_24_on() {
    let board = Board::new();
    let chip = chip(&profile!("s826"), &board);
    let mut request = chip.request().lines([0, 23, 24, 31, 47]).start().unwrap();
    wait_until(|| board.waiting.len() == 1);
    let (pended, wait) = board.waiting.pop().unwrap();
    assert_eq!((wait[MASK], wait[MASK + 1]), (1 << 23 | 1, 1 << 23 | 1 << 7 | 1));
    board.waiting.push(pended, wait);
    board.toggle(1 << 30); // not requested
    for (inputs, expected) in [(1 << 24, rose([24])), (1 << 47, rose([47])), (1 << 31, rose([31])), (1, rose([0]))] {
        board.toggle(inputs);
        assert_eq!(told(&mut request, 1), expected);
        board.toggle(inputs); // it falls again, which is not captured
    }
    board.toggle(1 << 23 | 1 << 24);
    assert_eq!(told(&mut request, 2), rose([23, 24]));
    let (rest, account) = finished(request);
    assert!(rest.is_empty());
    assert_eq!((account.total(), account.trust()), (Figures { delivered: 6, ..Figures::default() }, Trust::AtLeast));
}

/// All edges are rising, so none is missing between two of them.
#[test]
fn falling_edges_that_are_not_captured_are_not_lost() {
    let board = Board::new();
    let mut request = watched(&profile!("s826"), &board);
    for _ in 0..20 {
        board.toggle(1 << 40);
        assert_eq!(told(&mut request, 1), rose([40]));
        board.toggle(1 << 40);
    }
    assert_eq!(finished(request).1.total(), Figures { delivered: 20, ..Figures::default() });
}

#[test]
fn a_wait_whose_time_is_over_is_made_again_and_is_no_edge() {
    let board = Board::new();
    let mut request = watched(&profile!("s826"), &board);
    for _ in 0..100 {
        assert!(taken_until(&mut request, || board.waiting.len() == 1).is_empty());
        board.time_is_over();
    }
    nothing_comes(&mut request);
    assert!(board.lock().limits.iter().all(|&limit| limit == 10_000_000));
    board.toggle(1 << 5);
    assert_eq!(told(&mut request, 1), rose([5]));
    assert_eq!(finished(request).1.total().total(), 1);
}

/// There must never be two waits, because the end of one takes the interrupts of the other.
#[test]
fn there_is_one_wait_at_a_time_and_what_comes_between_two_is_captured() {
    let mut random = Random::new(0x826);
    let board = Board::new();
    let mut request = watched(&profile!("s826"), &board);
    let mut driven = [0_u64; 48];
    let mut seen = Vec::new();
    for _ in 0..3_000 {
        let input = random.below(48);
        board.toggle(1 << input);
        driven[input] += board.lock().levels >> input & 1;
        assert!(board.waiting.len() <= 1);
        if random.below(20) == 0 {
            seen.append(&mut come(&mut request));
        }
    }
    seen.append(&mut taken_until(&mut request, || board.lock().captured == 0 && board.waiting.len() == 1));
    let (mut rest, account) = finished(request);
    seen.append(&mut rest);
    let mut delivered = [0_u64; 48];
    for edge in seen {
        assert!(edge.kind == linewake::EdgeKind::Rising && edge.missed.total() == 0, "{edge:?}");
        delivered[edge.offset.get() as usize] += 1;
    }
    for (input, line) in account.lines().iter().enumerate() {
        assert_eq!(line.figures.total(), delivered[input]);
        assert!((u64::from(driven[input] > 0)..=driven[input]).contains(&delivered[input]), "{line:?} of {driven:?}");
    }
}

#[test]
fn an_answer_that_is_short_and_a_board_that_is_gone_end_the_stream() {
    let board = Board::new();
    let mut request = watched(&profile!("s826"), &board);
    board.lock().bytes = Some(8);
    board.toggle(1);
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("8 bytes"), "{error}");
    assert_eq!(request.finish().total().total(), 0);

    let board = Board::new();
    let mut request = watched(&profile!("s826"), &board);
    board.pull_out();
    assert!(end(&mut request).is_disconnected());
}
