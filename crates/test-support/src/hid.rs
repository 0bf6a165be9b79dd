//! A HID that a test makes (/dev/uhid, linux/uhid.h).

use std::fs::File;
use std::io::Write as _;

/// `struct uhid_event`: the type, and a union as large as its largest member, `uhid_create2_req`.
pub const EVENT: usize = 4 + 4372;
const CREATE2: u32 = 11;

/// A HID of vendor 0x1209, product 1, on this bus (3 is USB, 6 is a virtual bus). It exists until the device is closed.
pub fn made(name: &str, bus: u16, descriptor: &[u8]) -> File {
    let mut device = File::options().read(true).write(true).open("/dev/uhid").unwrap();
    let mut create = event(CREATE2);
    create[4..4 + name.len()].copy_from_slice(name.as_bytes());
    // After the name, the place and the serial number come the descriptor's length, the bus, the vendor and the
    // product.
    let at = 4 + 128 + 64 + 64;
    create[at..at + 2].copy_from_slice(&(descriptor.len() as u16).to_ne_bytes());
    create[at + 2..at + 4].copy_from_slice(&bus.to_ne_bytes());
    create[at + 4..at + 8].copy_from_slice(&0x1209_u32.to_ne_bytes());
    create[at + 8..at + 12].copy_from_slice(&1_u32.to_ne_bytes());
    create[at + 20..at + 20 + descriptor.len()].copy_from_slice(descriptor);
    device.write_all(&create).unwrap();
    device
}

/// An event of this type. The rest of it is zero.
pub fn event(kind: u32) -> Vec<u8> {
    let mut event = vec![0; EVENT];
    event[..4].copy_from_slice(&kind.to_ne_bytes());
    event
}
