//! A serial port of Windows, if one is named: LINEWAKE_COM=COM1. Its inputs must not be connected.
#![cfg(windows)]

use std::time::Duration;

use linewake::{Chip, ErrorKind, Trust};

#[test]
fn a_port_is_watched_and_its_outputs_are_set() {
    let Some(port) = std::env::var("LINEWAKE_COM").ok() else {
        println!("skipped: LINEWAKE_COM is not set; set it to the name of a port that may be opened");
        return;
    };
    let chip = Chip::open(&format!("serial:{port}")).unwrap();
    let levels: Vec<_> = chip.lines().unwrap().into_iter().map(|line| (line.name, line.active)).collect();
    println!("{levels:?}");
    let mut inputs = chip.request().lines(["CTS", "DSR", "RI", "DCD"]).start().unwrap();
    assert!(inputs.lines().iter().zip(&levels).all(|(line, (_, active))| line.active_at_start == *active));
    let busy = chip.request().line("CTS").start().unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");

    println!("watched");
    assert!(inputs.wait_next_timeout(Duration::from_millis(300)).unwrap().unwrap_err().is_timeout());
    let mut outputs = chip.request().output("RTS", false).start().unwrap();
    outputs.set_value("RTS", true).unwrap();
    println!("outputs set");
    inputs.stopper().stop();
    assert!(inputs.wait_next().is_none());
    let account = inputs.finish();
    assert_eq!((account.total().total(), account.trust()), (0, Trust::AtLeast));
    assert!(chip.request().line("CTS").start().is_ok(), "the lines were released");
}
