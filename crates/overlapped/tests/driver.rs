//! A real kernel driver, linewake.sys: thousands of pended control codes that are cancelled, stopped and closed.
#![cfg(windows)]

use std::time::Duration;

use linewake_controller::protocol::{
    CONFIGURE, ChipInfo, DRIVE, DRIVE_TOGGLE, Drive, ECHO, EdgeRecord, First, GET_COUNTERS, GET_INFO, LINE_EDGES,
    LINE_INPUT, LineConfig, LineCounters, MAX_INPUT, REPLUG, UNPLUG, WAIT_LINE, WaitLine,
};
use overlapped::{CtlCode, Device, ErrorKind, Ioctl, Port};
use test_support::service::Service;
use test_support::{random::Random, until};
use windows_sys::Win32::Foundation::{CloseHandle, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcessId, GetProcessHandleCount};

macro_rules! codes {
    ($($name:ident: $in:ty => $out:ty = $code:expr;)*) => {
        // SAFETY: the records are those of the driver's own protocol, which documents what each code reads and writes.
        $(const $name: Ioctl<$in, $out> = unsafe { Ioctl::new($code) };)*
    };
}

codes! {
    INFO: () => ChipInfo = GET_INFO;
    SET_UP: [LineConfig] => () = CONFIGURE;
    WAIT: WaitLine => EdgeRecord = WAIT_LINE;
    MOVE: [Drive] => () = DRIVE;
    PULL_OUT: () => () = UNPLUG;
    PUT_BACK: () => () = REPLUG;
}
// SAFETY: as above.
const COUNTERS: Ioctl<First, [LineCounters]> = unsafe { Ioctl::slice(GET_COUNTERS, 1024) };
// SAFETY: as above.
const ECHO_BYTES: Ioctl<[u8], [u8]> = unsafe { Ioctl::slice(ECHO, 4) };

const PATH: &str = r"\\.\LineWake0";

fn open() -> Device {
    Device::open(PATH).unwrap()
}

fn watching(device: &Device, lines: u32) {
    let all: Vec<_> = (0..lines).map(|offset| LineConfig { offset, flags: LINE_INPUT | LINE_EDGES }).collect();
    device.call(SET_UP, &all[..]).wait().unwrap();
}

fn wait_for(offset: u32) -> WaitLine {
    WaitLine { offset, ..Default::default() }
}

fn toggle(device: &Device, lines: u32, count: u32) {
    let all: Vec<_> = (0..lines).map(|offset| Drive { offset, action: DRIVE_TOGGLE, count, reserved: 0 }).collect();
    device.call(MOVE, &all[..]).wait().unwrap();
}

/// How many edges were driven and delivered on all lines, by the driver's own counters.
fn driven_and_delivered(device: &Device) -> (u64, u64) {
    let counters = device.call(COUNTERS, &First::default()).wait().unwrap();
    assert!(counters.iter().all(LineCounters::is_closed));
    (counters.iter().map(|line| line.driven).sum(), counters.iter().map(|line| line.delivered).sum())
}

fn threads() -> usize {
    // SAFETY: the snapshot is a handle of ours; the entry lives through the calls and says its size.
    unsafe {
        let snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        assert_ne!(snapshot, INVALID_HANDLE_VALUE);
        let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
        let mut count = 0;
        let mut more = Thread32First(snapshot, &mut entry);
        while more != 0 {
            count += usize::from(entry.th32OwnerProcessID == GetCurrentProcessId());
            more = Thread32Next(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
        count
    }
}

fn handles() -> u32 {
    let mut count = 0;
    // SAFETY: the handle is this process's pseudo handle, and the count lives through the call.
    assert_ne!(unsafe { GetProcessHandleCount((-1_isize) as _, &mut count) }, 0);
    count
}

fn in_flight() -> usize {
    Port::global().unwrap().stats().in_flight
}

/// One test, in parts: they share the driver and count what the whole process has.
#[test]
fn driver_with_pended_control_codes() {
    let Some(service) = Service::start_from_environment() else { return };
    every_outcome();
    ten_thousand_waits_and_no_more_threads_than_for_one();
    ten_thousand_dropped_leave_nothing_behind();
    random_operations_and_every_edge_exactly_once();
    unplugging_ends_every_wait();
    a_driver_without_cancel_routines_lets_its_device_close();
    stopping_the_driver_ends_every_wait(&service);
}

fn every_outcome() {
    let device = open();
    let info = device.call(INFO, &()).wait().unwrap();
    assert!(info.lines >= 1000, "{info:?}");
    // Success, warning and failure, each at once.
    assert_eq!(&*device.call(ECHO_BYTES.with_capacity(64), b"12345678".as_slice()).wait().unwrap(), b"12345678");
    for _ in 0..100 {
        let reply = device.call(ECHO_BYTES, b"12345678".as_slice()).wait().unwrap();
        assert!(reply.more_data());
        assert_eq!(&*reply, b"1234");
    }
    let error = device.call(WAIT, &wait_for(1 << 20)).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // SAFETY: the driver does not know the code; it looks at no buffer.
    let unknown: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::from_u32(GET_INFO.to_u32() + 0x700)) };
    assert_eq!(device.call(unknown, &()).wait().unwrap_err().kind(), ErrorKind::Unsupported);
    // An input longer than any of the driver's.
    let long = vec![0; MAX_INPUT + 1];
    assert_eq!(device.call(ECHO_BYTES, &long[..]).wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    // An output that is shorter than the driver's record.
    // SAFETY: as declared above, with less room in the output.
    let short: Ioctl<(), u32> = unsafe { Ioctl::new(INFO.code()) };
    assert_eq!(device.call(short, &()).wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    // Pending, twice on one line: each edge comes once, in order.
    watching(&device, 1);
    let (first, second) = (device.call(WAIT, &wait_for(0)), device.call(WAIT, &wait_for(0)));
    toggle(&device, 1, 2);
    assert_eq!(first.wait().unwrap().line_seqno, 1);
    assert_eq!(second.wait().unwrap().line_seqno, 2);
}

fn ten_thousand_waits_and_no_more_threads_than_for_one() {
    const LINES: u32 = 1000;
    const EACH: u32 = 10;
    let (device, driving) = (open(), open());
    watching(&device, LINES);
    let one = device.call(WAIT, &wait_for(0));
    let with_one = threads();
    // The driver may take its time to end the dropped call. From now on the dispatcher's thread exists, which waits for
    // that.
    drop(one);
    let waits: Vec<_> = (0..LINES * EACH).map(|n| (n % LINES, device.call(WAIT, &wait_for(n % LINES)))).collect();
    let pending = in_flight();
    assert!(pending >= (LINES * EACH) as usize, "{pending} pending");
    let with_all = threads();
    println!("threads: {with_one} with one wait pended, {with_all} with {pending}");
    assert!(with_all <= with_one + 1);
    toggle(&driving, LINES, EACH);
    let mut seen = vec![0_u32; LINES as usize];
    for (line, wait) in waits {
        let edge = wait.wait().unwrap();
        assert_eq!(edge.offset, line);
        assert_eq!((edge.overflowed, edge.merged), (0, 0));
        let bit = 1 << edge.line_seqno;
        assert_eq!(seen[line as usize] & bit, 0, "line {line} got edge {} twice", edge.line_seqno);
        seen[line as usize] |= bit;
    }
    assert!(seen.iter().all(|bits| *bits == (1 << (EACH + 1)) - 2), "each edge exactly once");
    assert_eq!(driven_and_delivered(&device), ((LINES * EACH).into(), (LINES * EACH).into()));
}

fn ten_thousand_dropped_leave_nothing_behind() {
    let device = open();
    watching(&device, 100);
    let settle = || until("every slot is back", || in_flight() == 0);
    settle();
    let (before, slots) = (handles(), Port::global().unwrap().stats().slots);
    for _ in 0..100 {
        let waits: Vec<_> = (0..100).map(|line| device.call(WAIT, &wait_for(line))).collect();
        drop(waits);
    }
    settle();
    let stats = Port::global().unwrap().stats();
    assert_eq!(stats.slots, slots, "no more memory than before");
    assert_eq!(handles(), before);
    // The driver has forgotten them, too: the next edge goes to the next wait.
    let wait = device.call(WAIT, &wait_for(0));
    toggle(&device, 1, 1);
    assert_eq!(wait.wait().unwrap().line_seqno, 1);
}

/// Waits, drops, cancels, timeouts and drives at random. Each edge that the driver says it delivered has come to a
/// wait, or to a wait that was dropped. No edge comes twice.
fn random_operations_and_every_edge_exactly_once() {
    const LINES: u32 = 32;
    let mut random = Random::new(1);
    let mut below = move |limit: u64| random.below(limit);
    let (device, driving) = (open(), open());
    watching(&device, LINES);
    let mut waiting = std::collections::VecDeque::new();
    let mut seen = std::collections::HashSet::new();
    let (mut operations, mut dropped, mut given_up) = (0, 0, 0);
    let note = |seen: &mut std::collections::HashSet<_>, edge: EdgeRecord| {
        assert!(seen.insert((edge.offset, edge.line_seqno)), "{edge:?} came twice");
    };
    while operations < 50_000 {
        let line = below(LINES.into()) as u32;
        operations += 1;
        match below(20) {
            0..9 => waiting.push_back(device.call(WAIT, &wait_for(line))),
            9 => {
                drop(device.call(WAIT, &wait_for(line)));
                dropped += 1;
            }
            10 => {
                let call = device.call(WAIT, &wait_for(line));
                call.cancel();
                waiting.push_back(call);
            }
            11 => waiting.push_back(device.call(WAIT, &wait_for(line)).timeout(Duration::from_micros(below(3000)))),
            _ => {
                let drive = Drive { offset: line, action: DRIVE_TOGGLE, count: 1 + below(3) as u32, reserved: 0 };
                driving.call(MOVE, &[drive][..]).wait().unwrap();
            }
        }
        if waiting.len() > 500 {
            let call = waiting.pop_front().unwrap();
            match call.wait_timeout(Duration::from_millis(1)) {
                Ok(edge) => note(&mut seen, *edge),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::TimedOut), "{error}");
                    given_up += 1;
                }
            }
        }
    }
    device.cancel_all();
    for call in waiting {
        match call.wait() {
            Ok(edge) => note(&mut seen, *edge),
            Err(_) => given_up += 1,
        }
    }
    until("the dropped calls are over", || in_flight() == 0);
    let (driven, delivered) = driven_and_delivered(&device);
    let lost_with_drops = delivered - seen.len() as u64;
    println!(
        "{operations} operations: {driven} edges driven, {delivered} delivered, {} seen, {lost_with_drops} came to the \
         {dropped} waits that were dropped; {given_up} waits ended without an edge",
        seen.len()
    );
    assert!(lost_with_drops <= dropped);
}

fn unplugging_ends_every_wait() {
    let (device, other) = (open(), open());
    watching(&device, 100);
    let waits: Vec<_> = (0..100).map(|line| device.call(WAIT, &wait_for(line))).collect();
    other.call(PULL_OUT, &()).wait().unwrap();
    for wait in waits {
        assert_eq!(wait.wait().unwrap_err().kind(), ErrorKind::Disconnected);
    }
    assert_eq!(device.call(INFO, &()).wait().unwrap_err().kind(), ErrorKind::Disconnected);
    other.call(PUT_BACK, &()).wait().unwrap();
    open().call(INFO, &()).wait().unwrap();
}

fn a_driver_without_cancel_routines_lets_its_device_close() {
    let device = Device::open(r"\\.\LineWakeNoCancel").unwrap();
    watching(&device, 10);
    let waits: Vec<_> = (0..10).map(|line| device.call(WAIT, &wait_for(line))).collect();
    drop(waits);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(in_flight(), 10, "the driver ignores cancellation");
    drop(device);
    until("closing the handle has ended them", || in_flight() == 0);
    Device::open(r"\\.\LineWakeNoCancel").unwrap().call(INFO, &()).wait().unwrap();
}

fn stopping_the_driver_ends_every_wait(service: &Service) {
    for _ in 0..2 {
        let device = open();
        watching(&device, 100);
        let waits: Vec<_> = (0..100).map(|line| device.call(WAIT, &wait_for(line))).collect();
        service.stop();
        for wait in waits {
            let error = wait.wait().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Cancelled), "{error}");
        }
        drop(device);
        assert_eq!(Device::open(PATH).unwrap_err().kind(), ErrorKind::NotFound);
        service.start();
        let device = open();
        watching(&device, 1);
        let wait = device.call(WAIT, &wait_for(0));
        toggle(&device, 1, 1);
        assert_eq!(wait.wait().unwrap().line_seqno, 1);
    }
    until("every slot is back", || in_flight() == 0);
}
