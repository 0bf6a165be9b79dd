//! A driver may answer anything. Every false answer is an error that names the driver, and none causes a panic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use linewake::{Account, Chip, Edges, Error, ErrorKind, Request, Trust};
use linewake_controller::protocol::{
    self, BatchHeader, ChipInfo, EDGE_FALLING, EDGE_RISING, EdgeRecord, LineCounters, LineInfo, LineSet, VERSION, name,
};
use overlapped::{CtlCode, Device, Status, sim};
use zerocopy::{Immutable, IntoBytes};

const LINES: u32 = 4;

/// The false answer to a code, if there is one: the bytes, and the length that the driver claims.
type Lie = dyn Fn(CtlCode) -> Option<Vec<u8>> + Send + Sync;

/// A driver that gives right answers except those of `lie`. Its waits pend after the first one.
struct Liar {
    lie: Box<Lie>,
    waits: Mutex<usize>,
    pended: sim::Queue<()>,
}

impl sim::Driver for Liar {
    fn name(&self) -> String {
        "liar".to_owned()
    }

    fn control(&self, mut request: sim::Request) -> sim::Outcome {
        let code = request.code();
        let first_wait = code == protocol::WAIT_ANY && {
            let mut waits = self.waits.lock().unwrap();
            *waits += 1;
            *waits == 1
        };
        let answer = match (self.lie)(code) {
            Some(_) if code == protocol::WAIT_ANY && !first_wait => None,
            Some(lie) => Some(lie),
            None => truth(code),
        };
        match answer {
            Some(bytes) => {
                request.write(&bytes);
                // A count beyond the buffer is also false.
                request.lie(Status::SUCCESS, bytes.len())
            }
            None => {
                let (pended, outcome) = request.pend();
                self.pended.push(pended, ());
                outcome
            }
        }
    }

    fn cancel(&self, request: sim::RequestId) {
        self.pended.cancel(request);
    }

    fn cleanup(&self, file: sim::FileId) {
        self.pended.complete_all_of(file, Status::CANCELLED);
    }
}

fn truth(code: CtlCode) -> Option<Vec<u8>> {
    Some(match code {
        protocol::GET_INFO => info().as_bytes().to_vec(),
        protocol::GET_LINE_INFO => list(|offset| LineInfo { offset, ..Default::default() }),
        protocol::GET_COUNTERS => list(|offset| LineCounters { offset, ..Default::default() }),
        protocol::GET_VALUES => LineSet::default().as_bytes().to_vec(),
        protocol::WAIT_ANY => return None,
        _ => vec![],
    })
}

fn info() -> ChipInfo {
    ChipInfo { version: VERSION, lines: LINES, readers: 8, max_queue: 64, name: name("liar"), ..Default::default() }
}

fn list<T: IntoBytes + Immutable>(record: impl Fn(u32) -> T) -> Vec<u8> {
    (0..LINES).flat_map(|offset| record(offset).as_bytes().to_vec()).collect()
}

fn edge(offset: u32, line_seqno: u32) -> EdgeRecord {
    EdgeRecord { timestamp_ns: 7, offset, kind: EDGE_RISING, seqno: line_seqno, line_seqno, overflowed: 0, merged: 0 }
}

fn batch(count: u32, edges: &[EdgeRecord]) -> Vec<u8> {
    let mut bytes = BatchHeader { count, ..Default::default() }.as_bytes().to_vec();
    bytes.extend(edges.as_bytes());
    bytes
}

fn chip(lie: impl Fn(CtlCode) -> Option<Vec<u8>> + Send + Sync + 'static) -> Result<Chip, Error> {
    let lie = Arc::new(lie);
    Chip::from_devices("liar", move || {
        let lie = lie.clone();
        let lie = Box::new(move |code| lie(code));
        Device::simulated(Liar { lie, waits: Mutex::new(0), pended: sim::Queue::default() })
    })
}

/// A chip that gives false answers only to one code.
fn lying_to(code: CtlCode, lie: Vec<u8>) -> Result<Chip, Error> {
    chip(move |asked| (asked == code).then(|| lie.clone()))
}

fn request(chip: &Chip) -> Request {
    chip.request().lines([0, 2]).start().unwrap()
}

/// The stream and the account end with this false answer.
fn ends_with_it(mut edges: Request) -> (Error, Account) {
    let end = loop {
        match edges.wait_next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the false answer was accepted"),
        }
    };
    assert!(edges.wait_next().is_none(), "it is over");
    (end, edges.finish())
}

#[test]
fn right_answers_are_accepted() {
    let chip = lying_to(protocol::WAIT_ANY, batch(2, &[edge(2, 1), edge(0, 1)])).unwrap();
    let mut edges = request(&chip);
    assert_eq!(edges.wait_next().unwrap().unwrap().offset.get(), 2);
    assert_eq!(edges.wait_next().unwrap().unwrap().offset.get(), 0);
    assert_eq!(edges.account().trust(), Trust::AtLeast);
}

#[test]
fn the_level_at_the_start_is_worked_out_from_what_happened_since() {
    for (edges, driven, active, at_start) in [
        (Edges::Both, 0, true, true),
        (Edges::Both, 1, true, false),
        (Edges::Both, 2, true, true),
        (Edges::Both, 3, false, true),
        (Edges::Rising, 0, true, true),
        (Edges::Rising, 1, true, false),
        (Edges::Falling, 0, false, false),
        (Edges::Falling, 1, false, true),
    ] {
        let chip = chip(move |code| match code {
            protocol::GET_COUNTERS => {
                Some(list(|offset| LineCounters { offset, driven, queued: driven, ..Default::default() }))
            }
            protocol::GET_VALUES => Some(LineSet::from_iter((0..LINES).filter(|_| active)).as_bytes().to_vec()),
            _ => None,
        });
        let request = chip.unwrap().request().line(0).edges(edges).start().unwrap();
        assert_eq!(request.lines()[0].active_at_start, Some(at_start), "{edges:?}, {driven} edges since");
    }
    // The line never stops changing, so its level is unknown.
    let driven = AtomicU64::new(0);
    let chip = chip(move |code| {
        let driven = driven.fetch_add(1, Relaxed);
        (code == protocol::GET_COUNTERS).then(|| list(|offset| LineCounters { offset, driven, ..Default::default() }))
    });
    assert_eq!(chip.unwrap().request().line(0).start().unwrap().lines()[0].active_at_start, None);
}

#[test]
fn an_invalid_batch_ends_the_stream() {
    let good = [edge(0, 1), edge(2, 1)];
    let kind = EdgeRecord { kind: 7, ..edge(0, 1) };
    for (what, lie) in [
        ("nothing", vec![]),
        ("half a header", vec![1; 20]),
        ("a count too small", batch(1, &good)),
        ("a count too large", batch(3, &good)),
        ("a count that overflows", batch(u32::MAX, &good)),
        ("no edge", batch(0, &[])),
        ("an unknown kind", batch(1, &[kind])),
        ("a line the chip does not have", batch(2, &[edge(0, 1), edge(LINES, 1)])),
        ("the largest offset", batch(1, &[edge(u32::MAX, 1)])),
        ("a line that was not asked for", batch(1, &[edge(1, 1)])),
        ("half a record", batch(2, &good)[..100].to_vec()),
        ("more than the buffer holds", vec![0; 1 << 20]),
        ("text", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>".to_vec()),
    ] {
        let chip = lying_to(protocol::WAIT_ANY, lie).unwrap();
        let (error, account) = ends_with_it(request(&chip));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{what}: {error}");
        assert!(error.to_string().contains("\"liar\""), "{what}: {error}");
        assert_eq!(account.trust(), Trust::None, "{what}");
        assert!(account.doubt().is_some(), "{what}");
    }
}

#[test]
fn random_bytes_do_no_harm() {
    let mut random = 0x5EED_u64;
    for round in 0..600 {
        let mut bytes = vec![0; round % 250];
        for byte in &mut bytes {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (random >> 56) as u8 & [0xFF, 3, 1][round % 3];
        }
        for code in [protocol::GET_INFO, protocol::GET_LINE_INFO, protocol::GET_COUNTERS, protocol::WAIT_ANY] {
            let Ok(chip) = lying_to(code, bytes.clone()) else {
                continue;
            };
            let Ok(mut edges) = chip.request().lines([0, 2]).start() else {
                continue;
            };
            if code == protocol::WAIT_ANY {
                while let Some(Ok(_)) = edges.wait_next() {}
            }
            let _ = edges.finish();
        }
    }
}

#[test]
fn a_chip_that_misdescribes_itself_is_not_opened() {
    for (what, info) in [
        ("version 0; expected version", ChipInfo { version: 0, ..info() }),
        ("4294967295 lines", ChipInfo { lines: u32::MAX, ..info() }),
        ("1025 lines", ChipInfo { lines: 1025, ..info() }),
    ] {
        let error = lying_to(protocol::GET_INFO, info.as_bytes().to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(what.trim()), "{error}");
    }
    let short = lying_to(protocol::GET_INFO, vec![1; 3]).unwrap_err();
    assert_eq!(short.device().unwrap().kind(), overlapped::ErrorKind::Truncated);

    let lines = list(|offset| LineInfo { offset, ..Default::default() });
    for (what, lie) in [
        ("none", vec![]),
        ("one less", lines[..lines.len() * 3 / 4].to_vec()),
        ("the same again", list(|_| LineInfo::default())),
        ("far away", list(|offset| LineInfo { offset: u32::MAX - offset, ..Default::default() })),
    ] {
        let error = lying_to(protocol::GET_LINE_INFO, lie).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{what}: {error}");
    }
}

#[test]
fn the_level_at_the_start_is_counted_back_from_the_edges_that_came_first() {
    for (driven, active, before) in [(0, true, true), (1, true, false), (1, false, true), (2, false, false)] {
        let counters = list(move |offset| LineCounters { offset, driven, queued: driven, ..Default::default() });
        let values = LineSet::from_iter(active.then_some(0)).as_bytes().to_vec();
        let chip = chip(move |code| match code {
            protocol::GET_COUNTERS => Some(counters.clone()),
            protocol::GET_VALUES => Some(values.clone()),
            _ => None,
        })
        .unwrap();
        let edges = chip.request().line(0).start().unwrap();
        assert_eq!(edges.lines()[0].active_at_start, Some(before), "{driven} edges before it was {active}");
    }
}

#[test]
fn a_name_that_is_no_text_is_cut() {
    let chip = lying_to(
        protocol::GET_LINE_INFO,
        list(|offset| LineInfo {
            offset,
            name: [[0xFF; 32], *b"ab\xFFcdefghijklmnopqrstuvwxyz01234"][offset as usize % 2],
            ..Default::default()
        }),
    )
    .unwrap();
    assert_eq!(chip.find("ab").unwrap().get(), 1);
    assert_eq!(chip.request().line(1).start().unwrap().lines()[0].name.as_deref(), Some("ab"));
}

#[test]
fn counters_that_do_not_add_up_are_not_trusted() {
    let of = |driven, delivered, queued| {
        list(move |offset| LineCounters { offset, driven, delivered, queued, ..Default::default() })
    };
    for (what, lie) in [
        ("driven without a fate", of(9, 1, 0)),
        ("fewer delivered than came", of(0, 0, 0)),
        ("still queued after the end", of(2, 1, 1)),
        ("sums that overflow", of(u64::MAX, u64::MAX, u64::MAX)),
    ] {
        let chip = chip(move |code| match code {
            protocol::WAIT_ANY => Some(batch(2, &[edge(0, 1), edge(2, 1)])),
            protocol::GET_COUNTERS => Some(lie.clone()),
            _ => None,
        })
        .unwrap();
        let mut edges = request(&chip);
        edges.wait_next().unwrap().unwrap();
        edges.wait_next().unwrap().unwrap();
        let account = edges.finish();
        assert_eq!(account.trust(), Trust::None, "{what}: {account:?}");
        assert!(account.doubt().unwrap().to_string().contains("do not add up"), "{what}");
    }
}

#[test]
fn numbering_that_contradicts_the_figures_is_not_trusted() {
    let gap = EdgeRecord { kind: EDGE_FALLING, ..edge(0, 5) };
    let chip = lying_to(protocol::WAIT_ANY, batch(2, &[edge(0, 1), gap])).unwrap();
    let mut edges = request(&chip);
    edges.wait_next().unwrap().unwrap();
    edges.wait_next().unwrap().unwrap();
    let account = edges.account();
    assert_eq!((account.lines()[0].trust, account.lines()[1].trust), (Trust::None, Trust::AtLeast));
}

#[test]
fn the_error_of_a_driver_is_quoted() {
    let refuse = |code| {
        Chip::from_devices("nay", move || {
            Device::simulated(sim::from_fn(move |mut request| {
                if request.code() == code {
                    return request.complete(Status::ACCESS_DENIED);
                }
                request.write(&truth(request.code()).unwrap_or_default());
                request.complete(Status::SUCCESS)
            }))
        })
    };
    assert!(refuse(protocol::GET_INFO).unwrap_err().to_string().contains("STATUS_ACCESS_DENIED"));
    for code in [protocol::SET_READER, protocol::CONFIGURE, protocol::GET_COUNTERS, protocol::GET_VALUES] {
        let error = refuse(code).unwrap().request().line(0).start().unwrap_err();
        assert_eq!(error.device().unwrap().kind(), overlapped::ErrorKind::AccessDenied, "{error}");
    }
    let (error, account) = ends_with_it(request(&refuse(protocol::WAIT_ANY).unwrap()));
    assert_eq!(error.kind(), ErrorKind::Device);
    assert_eq!(account.doubt().map(Error::kind), Some(ErrorKind::Device));
}
