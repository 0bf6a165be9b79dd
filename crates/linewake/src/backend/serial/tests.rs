//! Tests how looks become edges, and the watch by masks on a simulated port that keeps the rules of a serial driver.

use std::future::poll_fn;
use std::sync::Mutex;
use std::time::Duration;

use overlapped::sim::{Driver, FileId, Outcome, Queue, Request, RequestId};
use overlapped::{Device, Port, Status};

use super::*;

/// Checks looks one after the other. Each has the counted changes, the level after them, and the edges to find.
fn looks(counts_ends: bool, start: bool, looks: &[(u32, bool, u32)]) {
    let (mut before, mut known) = (start, 0);
    for (place, &(counted, after, found)) in looks.iter().enumerate() {
        assert_eq!(changes(counts_ends, counted, Some(before), after, &mut known), found, "look {place} of {looks:?}");
        before = after;
    }
}

#[test]
fn what_is_counted_is_what_happened() {
    looks(false, false, &[(0, false, 0), (1, true, 1), (1, false, 1), (2, false, 2), (7, true, 7), (0, true, 0)]);
}

#[test]
fn a_level_that_turned_without_a_count_is_a_change() {
    looks(false, false, &[(0, true, 1), (0, false, 1)]);
    // A change that the level showed before it was counted gives only one edge.
    looks(false, false, &[(0, true, 1), (1, true, 0), (1, false, 1)]);
    looks(false, false, &[(1, false, 2), (1, false, 0), (2, false, 2)]);
    // A change that was seen before its count is remembered until the next look only.
    looks(false, false, &[(0, true, 1), (0, true, 0), (1, false, 1), (1, true, 1)]);
}

#[test]
fn only_the_end_of_a_ring_is_counted() {
    // A ring in one look, twice; one that begins in one look and ends in the next; one whose end is counted late.
    looks(
        true,
        false,
        &[(1, false, 2), (1, false, 2), (0, true, 1), (1, false, 1), (0, true, 1), (0, false, 1), (1, false, 0)],
    );
}

#[test]
fn an_unknown_level_proves_nothing() {
    let mut known = 0;
    assert_eq!(changes(false, 0, None, true, &mut known), 0);
    assert_eq!(changes(false, 3, None, true, &mut known), 3);
}

/// A simulated serial driver.
#[derive(Default)]
struct Simulated(Mutex<State>, Queue<()>);

#[derive(Default)]
struct State {
    mask: u32,
    levels: u32,
    outputs: u32,
    happened: u32,
    gone: bool,
}

impl Simulated {
    /// Changes an input this many times.
    fn toggle(&self, line: usize, times: u32) {
        let mut state = self.0.lock().unwrap();
        for _ in 0..times {
            state.levels ^= codes::STATES[line];
            let rings_on = line == RI && state.levels & codes::STATES[RI] != 0;
            state.happened |= if rings_on { 0 } else { codes::EVENTS[line] & state.mask };
        }
        self.tell(&mut state);
    }

    fn unplug(&self) {
        self.0.lock().unwrap().gone = true;
        while let Some((request, ())) = self.1.pop() {
            request.complete(Status::DEVICE_REMOVED);
        }
    }

    fn tell(&self, state: &mut State) {
        if state.happened != 0
            && let Some((mut request, ())) = self.1.pop()
        {
            request.write(&std::mem::take(&mut state.happened).to_ne_bytes());
            request.complete(Status::SUCCESS);
        }
    }
}

impl Driver for Simulated {
    fn name(&self) -> String {
        "COM42".to_owned()
    }

    fn control(&self, mut request: Request) -> Outcome {
        let mut state = self.0.lock().unwrap();
        let function = request.code().to_u32() >> 2 & 0xfff;
        match function {
            _ if state.gone => return request.complete(Status::DEVICE_REMOVED),
            9 => state.outputs |= 1,
            10 => state.outputs &= !1,
            12 => state.outputs |= 2,
            13 => state.outputs &= !2,
            17 => {
                (state.mask, state.happened) = (u32::from_ne_bytes(request.input().try_into().unwrap()), 0);
                if let Some((mut waiting, ())) = self.1.pop() {
                    waiting.write(&0_u32.to_ne_bytes());
                    waiting.complete(Status::SUCCESS);
                }
            }
            18 if !self.1.is_empty() => return request.complete(Status::INVALID_PARAMETER),
            18 => {
                let (pended, outcome) = request.pend();
                self.1.push(pended, ());
                self.tell(&mut state);
                return outcome;
            }
            26 => _ = request.write(&state.levels.to_ne_bytes()),
            30 => _ = request.write(&state.outputs.to_ne_bytes()),
            _ => return request.complete(Status::INVALID_DEVICE_REQUEST),
        }
        request.complete(Status::SUCCESS)
    }

    fn cancel(&self, request: RequestId) {
        self.1.cancel(request);
    }

    fn cleanup(&self, file: FileId) {
        self.1.complete_all_of(file, Status::CANCELLED);
    }
}

fn masked() -> (Arc<Simulated>, Arc<mask::Port>) {
    let driver = Arc::<Simulated>::default();
    let port = mask::Port::with(Device::simulated(driver.clone()).unwrap()).unwrap();
    (driver, Arc::new(port))
}

/// Waits for the next look.
fn next(watch: &mut mask::PortWatch, port: &mask::Port) -> Result<Look, Error> {
    let next = Port::global().unwrap().block_on_timeout(poll_fn(|cx| watch.poll(port, cx)), Duration::from_secs(20));
    next.unwrap().expect("nothing comes").expect("it is not over")
}

#[test]
fn a_wait_says_which_line_changed_and_the_levels_are_read_after() {
    let (driver, port) = masked();
    driver.toggle(1, 1);
    let (mut watch, start) = mask::PortWatch::start(&port, Duration::ZERO).unwrap();
    assert_eq!(start, Some(0b0010));
    driver.toggle(0, 1);
    assert_eq!(next(&mut watch, &port).unwrap(), Look { levels: 0b0011, changes: [1, 0, 0, 0] });
    driver.toggle(3, 4);
    assert_eq!(next(&mut watch, &port).unwrap(), Look { levels: 0b0011, changes: [0, 0, 0, 1] });
    // The second wait reports the changes since the first, all in one if need be.
    driver.toggle(2, 2);
    driver.toggle(1, 1);
    let mut seen = [0; INPUTS];
    while seen != [0, 1, 1, 0] {
        let look = next(&mut watch, &port).unwrap();
        seen = std::array::from_fn(|line| seen[line] + look.changes[line]);
        assert!(seen.iter().all(|&changes| changes <= 1), "{seen:?}");
    }
    driver.unplug();
    assert!(next(&mut watch, &port).unwrap_err().is_disconnected());
}

#[test]
fn outputs_are_set_and_read_back_over_control_codes() {
    let (driver, port) = masked();
    for (offset, active, levels) in [(4, true, 0b01_0000), (5, true, 0b11_0000), (4, false, 0b10_0000), (5, false, 0)] {
        port.set(offset, active).unwrap();
        assert_eq!(port.levels().unwrap(), levels);
    }
    assert_eq!(port.name(), "COM42");
    assert_eq!(driver.0.lock().unwrap().outputs, 0);
}

#[test]
fn what_happened_before_the_end_is_seen_at_the_end() {
    let (driver, port) = masked();
    let (mut watch, _) = mask::PortWatch::start(&port, Duration::ZERO).unwrap();
    driver.toggle(0, 1);
    driver.toggle(1, 2);
    watch.stop();
    let mut looks = Vec::new();
    while let Some(look) = Port::global().unwrap().block_on(poll_fn(|cx| watch.poll(&port, cx))).unwrap() {
        looks.push(look.unwrap());
    }
    assert!(looks.iter().all(|look| look.levels == 0b0001));
    assert_eq!([0, 1].map(|line| looks.iter().map(|look| look.changes[line]).sum::<u32>()), [1, 1]);
}

#[test]
fn a_device_without_modem_lines_is_refused() {
    let device =
        Device::simulated(overlapped::sim::from_fn(|request| request.complete(Status::INVALID_DEVICE_REQUEST)));
    let error = mask::Port::with(device.unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("has no modem lines"), "{error}");
}
