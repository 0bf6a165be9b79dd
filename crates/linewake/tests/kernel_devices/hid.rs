//! A HID that a test plays (/dev/uhid, linux/uhid.h).

use overlapped::Device;

/// `struct uhid_event`: the type, and a union as large as its largest member, `uhid_create2_req`.
const EVENT: usize = 4 + 4372;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;

/// Of the vendor's own kind: report 1 has 16 buttons, report 2 a byte, report 3 seven.
#[rustfmt::skip]
const DESCRIPTOR: [u8; 48] = [
    0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, // a usage page and a usage of the vendor's, an application
    0x85, 0x01, 0x09, 0x01, 0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x10, 0x81, 0x02, // report 1: 16 bits
    0x85, 0x02, 0x09, 0x02, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x02, // report 2: a byte
    0x85, 0x03, 0x09, 0x03, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x07, 0x81, 0x02, // report 3: seven bytes
    0xc0,
];

/// It is there until it is dropped.
pub(crate) struct Box(Device);

impl Box {
    /// Bus 3 (USB), vendor 0x1209, product 1.
    pub(crate) fn plug_in() -> Self {
        let device = Device::open("/dev/uhid").unwrap();
        let mut create = event(CREATE2);
        create[4..7].copy_from_slice(b"box");
        // After name, place and serial number: the descriptor's length, the bus, the vendor and the product.
        let at = 4 + 128 + 64 + 64;
        create[at..at + 2].copy_from_slice(&(DESCRIPTOR.len() as u16).to_ne_bytes());
        create[at + 2..at + 4].copy_from_slice(&3_u16.to_ne_bytes());
        create[at + 4..at + 8].copy_from_slice(&0x1209_u32.to_ne_bytes());
        create[at + 8..at + 12].copy_from_slice(&1_u32.to_ne_bytes());
        create[at + 20..at + 20 + DESCRIPTOR.len()].copy_from_slice(&DESCRIPTOR);
        device.write(&create).wait().unwrap();
        Self(device)
    }

    pub(crate) fn report(&self, bytes: &[u8]) {
        let mut report = event(INPUT2);
        report[4..6].copy_from_slice(&(bytes.len() as u16).to_ne_bytes());
        report[6..6 + bytes.len()].copy_from_slice(bytes);
        self.0.write(&report).wait().unwrap();
    }
}

fn event(kind: u32) -> Vec<u8> {
    let mut event = vec![0; EVENT];
    event[..4].copy_from_slice(&kind.to_ne_bytes());
    event
}
