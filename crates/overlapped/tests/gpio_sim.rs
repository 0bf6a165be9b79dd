//! Real gpiochips, made by the kernel's gpio-sim in the virtual machine: line requests are ioctls, edges are standing
//! reads.
#![cfg(all(target_os = "linux", not(miri)))]

#[allow(dead_code, reason = "the tests do not begin at `main`")]
#[path = "../examples/gpiochip_line.rs"]
mod gpiochip_line;

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use gpiochip_line::gpio::{LineEvent, request, watch};
use gpiosim::{Bank, Sim};
use overlapped::linux::{Direction, Ioctl};
use overlapped::{Device, ErrorCode, ErrorKind, InvertedCall, Port};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// A chip with eight lines. Outside the virtual machine: prints a line and returns `None`.
fn chip() -> Option<Sim> {
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there is gpio-sim)");
        return None;
    }
    Some(gpiosim::builder().with_bank(&Bank::new(8, "eight lines")).live().unwrap())
}

fn line(sim: &Sim, offset: u32) -> Device {
    Device::from_fd(request(path(sim), offset).unwrap()).unwrap()
}

fn path(sim: &Sim) -> &std::path::Path {
    sim.chips()[0].dev_path()
}

/// Whether no edge comes for this time.
fn quiet(reads: &mut InvertedCall<[u8]>, time: Duration) -> bool {
    reads.wait_next_timeout(time).is_some_and(|end| end.is_err_and(|error| error.kind() == ErrorKind::TimedOut))
}

/// `struct gpiochip_info` (linux/gpio.h).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ChipInfo {
    name: [u8; 32],
    label: [u8; 32],
    lines: u32,
}

// SAFETY: linux/gpio.h: GPIO_GET_CHIPINFO_IOCTL writes one `gpiochip_info`.
const CHIP_INFO: Ioctl<ChipInfo> = unsafe { Ioctl::new(Direction::Read, 0xb4, 0x01) };

#[test]
fn a_chip_reports_its_label_and_number_of_lines() {
    let Some(sim) = chip() else { return };
    let info = Device::open(path(&sim)).unwrap().ioctl(CHIP_INFO, ChipInfo::new_zeroed()).unwrap();
    assert_eq!(info.name.split(|&byte| byte == 0).next(), Some(sim.chips()[0].chip_name.as_bytes()));
    assert_eq!(info.label.split(|&byte| byte == 0).next(), Some(&b"eight lines"[..]));
    assert_eq!(info.lines, 8);
}

#[test]
fn the_example_sees_every_edge_in_order() {
    let Some(sim) = chip() else { return };
    let line = line(&sim, 3);
    // Fewer edges than the 16 that the kernel keeps for one request, so that none is lost however long the test sleeps.
    const EDGES: u32 = 16;
    for _ in 0..EDGES {
        sim.chips()[0].toggle(3).unwrap();
    }
    let (mut seen, mut last) = (0, 0);
    watch(&line, |event: &LineEvent| {
        seen += 1;
        assert_eq!((event.line_seqno, event.offset), (seen, 3));
        assert_eq!(event.id, if seen % 2 == 1 { 1 } else { 2 }, "the line starts low");
        assert!(event.timestamp_ns > last);
        last = event.timestamp_ns;
        if seen == EDGES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!(seen, EDGES);
}

#[test]
fn each_edge_comes_at_once_and_alone() {
    let Some(sim) = chip() else { return };
    let line = line(&sim, 0);
    let mut reads = line.standing_reads(64 * size_of::<LineEvent>()).start();
    for round in 1..=100 {
        assert!(quiet(&mut reads, Duration::ZERO));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| reads.wait_next().unwrap().unwrap());
            if round % 2 == 0 {
                // Time for the reader to fall asleep. In the other rounds the edge may come first.
                thread::sleep(Duration::from_millis(1));
            }
            sim.chips()[0].toggle(0).unwrap();
            let bytes = waiting.join().unwrap();
            let events = <[LineEvent]>::ref_from_bytes(&bytes).unwrap();
            assert_eq!(events.iter().map(|event| event.line_seqno).collect::<Vec<_>>(), [round]);
        });
    }
}

#[test]
fn many_lines_on_one_manual_port() {
    let Some(sim) = chip() else { return };
    let port = Port::manual().unwrap();
    let lines: Vec<_> =
        (0..8).map(|offset| Device::from_fd_on(&port, request(path(&sim), offset).unwrap()).unwrap()).collect();
    let mut reads: Vec<_> = lines.iter().map(|line| line.standing_reads(64 * size_of::<LineEvent>()).start()).collect();
    for round in 1..=20 {
        for offset in 0..8 {
            sim.chips()[0].toggle(offset).unwrap();
        }
        for (offset, reads) in (0..).zip(&mut reads) {
            let bytes = port.block_on(reads.next()).unwrap().unwrap().unwrap();
            let events = <[LineEvent]>::ref_from_bytes(&bytes).unwrap();
            let seen: Vec<_> = events.iter().map(|event| (event.offset, event.line_seqno)).collect();
            assert_eq!(seen, [(offset, round)]);
        }
    }
}

#[test]
fn a_line_that_is_taken_is_busy_and_one_that_does_not_exist_is_invalid() {
    let Some(sim) = chip() else { return };
    let _line = line(&sim, 5);
    let error = request(path(&sim), 5).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, Some(ErrorCode::Errno(16))));
    assert!(error.to_string().contains(path(&sim).to_str().unwrap()), "{error}");
    assert_eq!(request(path(&sim), 8).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn unplugging_the_chip_ends_a_pending_read_with_disconnected() {
    let Some(sim) = chip() else { return };
    let line = line(&sim, 0);
    let mut reads = line.standing_reads(64 * size_of::<LineEvent>()).start();
    assert!(quiet(&mut reads, Duration::from_millis(50)));
    drop(sim);
    let error = reads.wait_next_timeout(Duration::from_secs(10)).expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    assert!(reads.wait_next().is_none(), "the stream goes on after its last error");
}
