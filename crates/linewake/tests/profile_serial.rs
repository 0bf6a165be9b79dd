//! The system's serial driver through a profile: its rules on a simulated port, and a real port if one is named.

#[path = "support/port.rs"]
mod port;

use std::time::Duration;

use linewake::profile::Profile;
use linewake::{Chip, EdgeEvent, EdgeKind, Request, Trust};
use overlapped::{Device, Status, sim};
use port::SerialPort;

const SERIAL: &str = include_str!("../../../profiles/serial.toml");

fn next(request: &mut Request) -> EdgeEvent {
    request.wait_next_timeout(Duration::from_secs(20)).expect("the stream goes on").unwrap()
}

#[test]
fn the_rules_of_a_serial_driver_are_kept() {
    let port = SerialPort::new();
    let profile = Profile::parse("serial.toml", SERIAL).unwrap().allow_writes(true);
    let device = port.clone();
    let chip = Chip::from_profile(&profile, move || Device::simulated(device.clone())).unwrap();
    port.switch(3);
    assert_eq!(chip.values(["CTS", "DSR", "RI", "DCD"]).unwrap(), [false, false, false, true]);
    let mut edges = chip.request().lines(["CTS", "DCD"]).start().unwrap();
    assert_eq!(edges.lines()[1].active_at_start, Some(true));
    assert!(chip.value("CTS").is_err(), "a port can be open only once");
    for round in 0..100 {
        port.switch(1); // not requested
        port.switch(0);
        let edge = next(&mut edges);
        let kind = if round % 2 == 0 { EdgeKind::Rising } else { EdgeKind::Falling };
        assert_eq!((edge.name.as_deref(), edge.kind, edge.missed.total()), (Some("CTS"), kind, 0));
        if round % 10 == 0 {
            port.end_wait();
        }
    }
    port.switch(3);
    assert_eq!((next(&mut edges).offset.get(), edges.value("DCD").unwrap()), (3, false));
    let account = edges.finish();
    assert_eq!((account.total().delivered, account.total().lost(), account.trust()), (101, 0, Trust::AtLeast));
}

#[test]
fn empty_answers_of_waits_cause_no_busy_loop() {
    let profile = Profile::parse("serial.toml", SERIAL).unwrap().allow_writes(true);
    let chip = Chip::from_profile(&profile, || {
        Device::simulated(sim::from_fn(|mut request| {
            request.write(&[0; 4]);
            request.complete(Status::SUCCESS)
        }))
    });
    let mut edges = chip.unwrap().request().all_lines().start().unwrap();
    for _ in 0..3 {
        assert!(edges.wait_next_timeout(Duration::from_millis(50)).unwrap().unwrap_err().is_timeout());
    }
    edges.stopper().stop();
    assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none());
}

/// With LINEWAKE_COM=COM9, opens that port, sets it up, reads it, waits for it and releases it.
#[test]
#[cfg(windows)]
fn a_real_port_does_what_the_profile_says() {
    let Ok(com) = std::env::var("LINEWAKE_COM") else {
        println!("skipped: LINEWAKE_COM names no serial port");
        return;
    };
    let path = std::env::temp_dir().join("linewake-serial.toml");
    std::fs::write(&path, SERIAL.replace("COM1", &com)).unwrap();
    let chip = Chip::options().allow_writes(true).open(path.to_str().unwrap()).unwrap();
    let levels = chip.values(0..4).unwrap();
    println!("CTS, DSR, RI, DCD: {levels:?}");
    for _ in 0..3 {
        println!("asking for the lines");
        let mut edges = chip.request().all_lines().start().unwrap();
        println!("waiting");
        assert_eq!(edges.values().unwrap().len(), 4);
        println!("levels are read");
        match edges.wait_next_timeout(Duration::from_millis(200)) {
            Some(Ok(edge)) => println!("{edge:?}"),
            Some(Err(error)) => assert!(error.is_timeout(), "{error}"),
            None => panic!("the stream is over"),
        }
        println!("stopping");
        edges.stopper().stop();
        assert!(edges.wait_next_timeout(Duration::from_secs(20)).is_none_or(|edge| edge.is_ok()));
    }
}
