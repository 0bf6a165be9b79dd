//! A driver that returns any bytes where `linewake.sys` would return its answers. The library does not panic, does not
//! hang, and delivers no edge of a line that is not watched.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use linewake::{Chip, Trust};
use linewake_controller::protocol::{
    self, BatchHeader, ChipInfo, EDGE_FALLING, EDGE_RISING, EdgeRecord, LineCounters, LineInfo, LineSet, LineTotals,
    VERSION, name,
};
use overlapped::{CtlCode, Device, Status, sim};
use zerocopy::IntoBytes;

use crate::input::Input;

const LINES: u32 = 4;

/// The codes whose answers are read.
const CODES: [CtlCode; 7] = [
    protocol::GET_INFO,
    protocol::GET_LINE_INFO,
    protocol::GET_VALUES,
    protocol::GET_COUNTERS,
    protocol::GET_TOTALS,
    protocol::WAIT_ANY,
    protocol::CONFIGURE,
];

/// A wrong answer that the driver gives once.
struct Lie {
    status: u32,
    /// By how many bytes the claimed count is above the true count, or below.
    more: i8,
    /// Bytes that overwrite the right answer from `at` on; beyond its end they make it longer.
    at: usize,
    bytes: Vec<u8>,
}

/// Reads lies: code (1 byte), kind (1), status (4, for kinds with one), place (1), count (1), length (1), bytes.
fn lies(mut input: Input<'_>) -> HashMap<CtlCode, VecDeque<Lie>> {
    let mut lies: HashMap<_, VecDeque<_>> = HashMap::new();
    while !input.is_over() {
        let code = CODES[usize::from(input.u8()) % CODES.len()];
        let status = if input.u8() % 4 == 3 { input.u32() } else { 0 };
        let (at, more, len) = (input.u8().into(), input.u8() as i8, input.u8());
        let bytes = input.bytes(len.into()).to_vec();
        lies.entry(code).or_default().push_back(Lie { status, more, at, bytes });
    }
    lies
}

fn truth(code: CtlCode, waits: u32) -> Vec<u8> {
    let list = |record: &dyn Fn(u32) -> Vec<u8>| (0..LINES).flat_map(record).collect();
    match code {
        protocol::GET_INFO => {
            let (version, lines) = (VERSION, LINES);
            let info = ChipInfo { version, lines, readers: 8, max_queue: 64, name: name("liar"), ..Default::default() };
            info.as_bytes().to_vec()
        }
        protocol::GET_LINE_INFO => list(&|offset| {
            let name = name(["zero", "one", "two", ""][offset as usize % 4]);
            LineInfo { offset, name, ..Default::default() }.as_bytes().to_vec()
        }),
        protocol::GET_VALUES => LineSet::default().as_bytes().to_vec(),
        protocol::GET_COUNTERS => list(&|offset| LineCounters { offset, ..Default::default() }.as_bytes().to_vec()),
        protocol::GET_TOTALS => list(&|offset| LineTotals { offset, ..Default::default() }.as_bytes().to_vec()),
        protocol::WAIT_ANY => {
            let mut bytes = BatchHeader { count: LINES, ..Default::default() }.as_bytes().to_vec();
            for offset in 0..LINES {
                let (seqno, line_seqno) = (waits * LINES + offset + 1, waits + 1);
                let kind = if waits.is_multiple_of(2) { EDGE_RISING } else { EDGE_FALLING };
                let timestamp_ns = seqno.into();
                let edge = EdgeRecord { timestamp_ns, offset, kind, seqno, line_seqno, overflowed: 0, merged: 0 };
                bytes.extend(edge.as_bytes());
            }
            bytes
        }
        _ => Vec::new(),
    }
}

/// How many waits it answers; then it is unplugged.
const WAITS: u32 = 6;

fn driver(lies: HashMap<CtlCode, VecDeque<Lie>>) -> impl sim::Driver {
    let state = Mutex::new((lies, 0));
    sim::from_fn(move |mut request| {
        let code = request.code();
        let (lie, waits) = {
            let (lies, waits) = &mut *state.lock().expect("no thread panics while it holds the lock");
            if code == protocol::WAIT_ANY {
                *waits += 1;
            }
            (lies.get_mut(&code).and_then(VecDeque::pop_front), *waits)
        };
        if code == protocol::WAIT_ANY && waits > WAITS {
            return request.complete(Status::DEVICE_NOT_CONNECTED);
        }
        let mut answer = truth(code, waits.saturating_sub(1));
        let Some(Lie { status, more, at, bytes }) = lie else {
            request.write(&answer);
            return request.complete(Status::SUCCESS);
        };
        answer.resize(answer.len().max(at + bytes.len()), 0);
        answer[at..at + bytes.len()].copy_from_slice(&bytes);
        let count = answer.len().saturating_add_signed(more.into());
        request.write(&answer[..count.min(answer.len())]);
        request.lie(Status::from_u32(status), count)
    })
}

pub fn chip(input: &[u8]) {
    let said = |error: linewake::Error| assert!(!error.to_string().is_empty());
    let driver = std::sync::Arc::new(driver(lies(Input(input))));
    let chip = match Chip::from_devices("liar", move || Device::simulated(driver.clone())) {
        Ok(chip) => chip,
        Err(error) => return said(error),
    };
    let lines = chip.info().lines;
    chip.lines().map(drop).unwrap_or_else(said);
    chip.totals().map(drop).unwrap_or_else(said);
    chip.value("one").map(drop).unwrap_or_else(said);
    let mut request = match chip.request().all_lines().start() {
        Ok(request) => request,
        Err(error) => return said(error),
    };
    let watched = request.lines().len();
    assert_eq!(watched, lines as usize);
    let stopper = request.stopper();
    for count in 0..10_000 {
        match request.wait_next() {
            None => break,
            Some(Ok(edge)) => assert!(edge.offset.get() < lines, "{edge:?}"),
            Some(Err(error)) => said(error),
        }
        if count == usize::from(input.first().copied().unwrap_or(u8::MAX)) {
            stopper.stop();
        }
        assert!(count < 9_999, "the request does not end");
    }
    let account = request.finish();
    assert_eq!(account.lines().len(), watched);
    assert!(account.trust() == Trust::Exact || account.doubt().is_some());
}
