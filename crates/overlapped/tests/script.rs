//! A scripted device follows its script, line by line.

mod support;

use std::time::{Duration, Instant};

use overlapped::sim::Script;
use overlapped::{Device, ErrorKind, Ioctl, Port, Status};
use support::*;

// SAFETY: a scripted device writes no more than it has room for.
const CALL: Ioctl<u32, u32> = unsafe { Ioctl::new(code(0x820)) };

fn open(script: &Script) -> (Port, Device) {
    let port = Port::manual().unwrap();
    let device = Device::simulated_on(&port, script.clone()).unwrap();
    (port, device)
}

#[test]
fn a_script_answers_and_remembers_its_requests() {
    let script = Script::new("card").answer(CALL.code(), Status::SUCCESS, 5_u32.to_ne_bytes());
    let (_port, device) = open(&script);
    assert_eq!(*device.call(CALL, &7).wait().unwrap(), 5);
    assert_eq!(device.call(WAIT, &()).wait().unwrap_err().kind(), ErrorKind::Unsupported);
    let seen = script.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].input, 7_u32.to_ne_bytes());
    assert_eq!(device.name(), "card");
}

#[test]
fn completions_come_in_the_order_of_the_script() {
    let script = Script::new("card").pend(CALL.code());
    let (port, device) = open(&script);
    let calls: Vec<_> = (0..3).map(|n| device.call(CALL, &n)).collect();
    assert_eq!(script.pended(), 3);
    for n in 10..13_u32 {
        assert!(script.complete(CALL.code(), Status::SUCCESS, n.to_ne_bytes()));
    }
    assert!(!script.complete(CALL.code(), Status::SUCCESS, []));
    drain(&port);
    let results: Vec<_> = calls.into_iter().map(|call| *call.wait().unwrap()).collect();
    assert_eq!(results, [10, 11, 12]);
}

#[test]
fn a_scripted_fault_hits_only_the_nth_request() {
    let script = Script::new("card")
        .answer(CALL.code(), Status::SUCCESS, 5_u32.to_ne_bytes())
        .fail_nth(2, Status::IO_DEVICE_ERROR)
        .lie_nth(3, 999)
        .twice_nth(5)
        .never_nth(6);
    let (port, device) = open(&script);
    assert!(device.call(CALL, &0).wait().is_ok());
    assert_eq!(device.call(CALL, &0).wait().unwrap_err().kind(), ErrorKind::Other);
    assert_eq!(device.call(CALL, &0).wait().unwrap().information(), 999);
    assert!(device.call(CALL, &0).wait().is_ok());
    let twice = device.call(CALL, &0);
    drain(&port);
    assert_eq!(twice.wait().unwrap_err().kind(), ErrorKind::Truncated, "no bytes");
    assert_eq!(port.stats().strays, 1);
    let never = device.call(CALL, &0).wait_timeout(Duration::from_millis(5));
    assert_eq!(never.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(port.stats().in_flight, 1);
    assert!(device.call(CALL, &0).wait().is_ok());
}

#[test]
fn a_scripted_delay_delays_the_answer() {
    let delay = Duration::from_millis(30);
    let script = Script::new("card").delay(CALL.code(), delay, Status::SUCCESS, 1_u32.to_ne_bytes());
    let device = Device::simulated(script).unwrap();
    let begin = Instant::now();
    let calls: Vec<_> = (0..5).map(|n| device.call(CALL, &n)).collect();
    for call in calls {
        assert_eq!(*call.wait().unwrap(), 1);
    }
    assert!(begin.elapsed() >= delay);
}

#[test]
fn cancellation_can_be_ignored_or_lose_the_race() {
    let deaf = Script::new("deaf").pend(CALL.code()).ignore_cancels();
    let (port, device) = open(&deaf);
    drop(device.call(CALL, &0));
    drain(&port);
    assert_eq!((deaf.pended(), port.stats().in_flight), (1, 1));
    drop(device);
    drain(&port);
    assert_eq!((deaf.pended(), port.stats().in_flight), (0, 0), "closing ends the call");

    let late = Script::new("late").pend(CALL.code()).succeed_when_cancelled(9_u32.to_ne_bytes());
    let (port, device) = open(&late);
    let call = device.call(CALL, &0);
    call.cancel();
    assert_eq!(*port.block_on(call).unwrap().unwrap(), 9);
}

#[test]
fn unplugging_ends_calls_until_the_device_is_back() {
    let script = Script::new("card").pend(CALL.code());
    let (port, device) = open(&script);
    let call = device.call(CALL, &0);
    script.unplug();
    assert_eq!(port.block_on(call).unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(device.call(CALL, &0).wait().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(Device::simulated_on(&port, script.clone()).unwrap_err().kind(), ErrorKind::Disconnected);
    script.replug();
    let call = Device::simulated_on(&port, script.clone()).unwrap().call(CALL, &0);
    assert!(script.complete(CALL.code(), Status::SUCCESS, 3_u32.to_ne_bytes()));
    assert_eq!(*port.block_on(call).unwrap().unwrap(), 3);
}
