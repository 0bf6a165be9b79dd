//! A HID that a test simulates (/dev/uhid, linux/uhid.h).

use std::fs::File;
use std::io::Write as _;

use test_support::hid::{event, made};

const INPUT2: u32 = 12;

/// A vendor-defined report descriptor: report 1 has 16 buttons, report 2 has one byte, report 3 has seven.
#[rustfmt::skip]
const DESCRIPTOR: [u8; 48] = [
    0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, // a usage page and a usage of the vendor's, an application
    0x85, 0x01, 0x09, 0x01, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x10, 0x81, 0x02, // report 1: 16 bits
    0x85, 0x02, 0x09, 0x02, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x02, // report 2: a byte
    0x85, 0x03, 0x09, 0x03, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x07, 0x81, 0x02, // report 3: seven bytes
    0xc0,
];

/// The device exists until this is dropped.
pub(crate) struct Box(File);

impl Box {
    /// The bus is USB.
    pub(crate) fn plug_in() -> Self {
        Self(made("box", 3, &DESCRIPTOR))
    }

    pub(crate) fn report(&self, bytes: &[u8]) {
        let mut report = event(INPUT2);
        report[4..6].copy_from_slice(&(bytes.len() as u16).to_ne_bytes());
        report[6..6 + bytes.len()].copy_from_slice(bytes);
        (&self.0).write_all(&report).unwrap();
    }
}
