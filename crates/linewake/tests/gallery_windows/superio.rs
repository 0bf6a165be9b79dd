//! WinRing0's codes for port access, and a Super-I/O chip with an index and a data port.

use std::sync::{Arc, Mutex};

use linewake::{ErrorKind, Figures};
use overlapped::sim::{Driver, Outcome, Request};
use overlapped::{Access, CtlCode, Method, Status};

use crate::{chip, edges, end, finished, nothing_comes, profile, taken_until, told, wait_until, watched};

const READ_PORT: CtlCode = CtlCode::new(40_000, 0x833, Method::Buffered, Access::Read);
const WRITE_PORT: CtlCode = CtlCode::new(40_000, 0x836, Method::Buffered, Access::Write);

const INDEX: u32 = 0x2e;
const DATA: u32 = 0x2f;
const GPIO: u8 = 6;

#[derive(Default)]
struct SuperIo {
    /// How many keys came in a row. Two of them unlock the chip.
    keys: u8,
    index: u8,
    device: u8,
    pins: u8,
    /// How often the chip was locked again.
    locks: u32,
    /// The status with which WinRing0 ends a read.
    fails: Option<Status>,
    /// True if the answers to reads have no bytes.
    is_short: bool,
}

impl SuperIo {
    fn is_unlocked(&self) -> bool {
        self.keys >= 2
    }

    fn write(&mut self, port: u32, value: u8) {
        match (port, value, self.is_unlocked()) {
            (INDEX, 0x87, false) => self.keys += 1,
            (INDEX, _, false) => self.keys = 0,
            (INDEX, 0xaa, true) => {
                self.keys = 0;
                self.locks += 1;
            }
            (INDEX, _, true) => self.index = value,
            (DATA, _, true) if self.index == 0x07 => self.device = value,
            (DATA, _, true) => panic!("register {:#x} of device {} is written to", self.index, self.device),
            _ => {}
        }
    }

    fn read(&self, port: u32) -> u8 {
        match (port, self.is_unlocked(), self.device, self.index) {
            (DATA, true, GPIO, 0xf2) => self.pins,
            // No chip answers at this port.
            _ => 0xff,
        }
    }
}

#[derive(Default)]
struct WinRing0(Mutex<SuperIo>);

impl WinRing0 {
    fn set(&self, pins: u8) {
        self.0.lock().unwrap().pins = pins;
    }

    fn locks(&self) -> u32 {
        self.0.lock().unwrap().locks
    }
}

impl Driver for WinRing0 {
    fn name(&self) -> String {
        "WinRing0_1_2_0".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut chip = self.0.lock().unwrap();
        match (request.code(), request.input()) {
            (WRITE_PORT, &[a, b, c, d, value]) => {
                chip.write(u32::from_le_bytes([a, b, c, d]), value);
                request.complete(Status::SUCCESS)
            }
            (READ_PORT, &[a, b, c, d]) => {
                if let Some(status) = chip.fails {
                    return request.complete(status);
                }
                let value = chip.read(u32::from_le_bytes([a, b, c, d]));
                if !chip.is_short {
                    request.write(&[value]);
                }
                request.complete(Status::SUCCESS)
            }
            _ => request.complete(Status::INVALID_PARAMETER),
        }
    }
}

#[test]
fn the_pins_are_read_by_index_and_data_and_the_chip_is_locked_after() {
    let ring = Arc::<WinRing0>::default();
    ring.set(0b0000_0010);
    let chip = chip(&profile!("superio-f71882"), &ring);
    assert_eq!(chip.values(["GPIO00", "GPIO01", "GPIO07"]).unwrap(), [false, true, false]);
    assert!(!ring.0.lock().unwrap().is_unlocked());
    let mut request = chip.request().all_lines().start().unwrap();
    assert_eq!(request.lines()[1].active_at_start, Some(true));
    for (pins, expected) in [
        (0b1000_0010, edges([("GPIO07", true)])),
        (0b0000_0000, edges([("GPIO01", false), ("GPIO07", false)])),
        (0b0000_0001, edges([("GPIO00", true)])),
    ] {
        ring.set(pins);
        assert_eq!(told(&mut request, expected.len()), expected);
    }
    assert_eq!(finished(request).1.total(), Figures { delivered: 4, ..Figures::default() });
    wait_until(|| !ring.0.lock().unwrap().is_unlocked());
}

/// Another program sets another index and device between two polls.
#[test]
fn each_look_chooses_its_register_anew() {
    let ring = Arc::<WinRing0>::default();
    let mut request = watched(&profile!("superio-f71882"), &ring);
    for round in 0..10 {
        let quiet = taken_until(&mut request, || {
            let mut chip = ring.0.lock().unwrap();
            let is_locked = !chip.is_unlocked();
            if is_locked {
                (chip.index, chip.device) = (round, 4);
            }
            is_locked
        });
        let locks = ring.locks();
        let more = taken_until(&mut request, || ring.locks() > locks + 1);
        assert!(quiet.is_empty() && more.is_empty(), "{quiet:?} {more:?}");
    }
    nothing_comes(&mut request);
    ring.set(1);
    assert_eq!(told(&mut request, 1), edges([("GPIO00", true)]));
    assert_eq!(finished(request).1.total().total(), 1);
}

#[test]
fn a_read_without_a_byte_and_one_that_fails_end_the_stream() {
    let ring = Arc::<WinRing0>::default();
    ring.set(0xff);
    let mut request = watched(&profile!("superio-f71882"), &ring);
    ring.0.lock().unwrap().is_short = true;
    let error = end(&mut request);
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("found none"), "{error}");
    assert_eq!(request.finish().total(), Figures::default());

    let ring = Arc::<WinRing0>::default();
    let mut request = watched(&profile!("superio-f71882"), &ring);
    ring.0.lock().unwrap().fails = Some(Status::DEVICE_DOES_NOT_EXIST);
    assert!(end(&mut request).is_disconnected());
}

/// A list of calls for the levels needs one call that gives levels.
#[test]
fn levels_by_calls_of_which_none_tells_any_are_refused() {
    let text = include_str!("../../../../profiles/superio-f71882.toml");
    let (before, after) = text.split_once("[levels]").unwrap();
    assert!(after.contains("\"read-pins\", "));
    let text = format!("{before}[levels]{}", after.replace("\"read-pins\", ", ""));
    let error = linewake::profile::Profile::parse("superio.toml", &text).unwrap_err();
    assert!(
        error.to_string().contains("[levels] needs `levels` or `level` in the output of one of its calls"),
        "{error}"
    );
}
