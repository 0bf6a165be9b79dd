//! QEMU's parallel port, through its registers (/dev/port). There is no printer, but the port answers as if there were
//! one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const STATUS: u64 = 0x379;
const CONTROL: u64 = 0x37a;

/// nSelectIn and nInit, without which QEMU's port does nothing; the second constant is the strobe.
const STANDING: u8 = 0x0c;
const STROBE: u8 = 0x01;
const INTERRUPTS: u8 = 0x10;

pub(crate) struct Port(File);

impl Port {
    pub(crate) fn open() -> Self {
        Self(File::options().read(true).write(true).open("/dev/port").unwrap())
    }

    fn write(&self, register: u64, value: u8) {
        self.0.write_all_at(&[value], register).unwrap();
    }

    /// Makes an interrupt with the end of a strobe. It stays until the status is read.
    pub(crate) fn interrupt(&self) {
        self.write(CONTROL, STANDING | INTERRUPTS | STROBE);
        self.write(CONTROL, STANDING | INTERRUPTS);
        self.take_back();
    }

    /// Ends a pending interrupt. Enabling interrupts makes one too.
    pub(crate) fn take_back(&self) {
        self.0.read_exact_at(&mut [0], STATUS).unwrap();
    }

    /// A strobe without an interrupt: the printer is busy. After it, an acknowledge takes two reads of the status.
    pub(crate) fn strobe(&self, on: bool) {
        self.write(CONTROL, if on { STANDING | STROBE } else { STANDING });
    }

    /// Resets the port to its state before printing.
    pub(crate) fn reset(&self) {
        self.write(CONTROL, 0);
        self.write(CONTROL, STANDING);
    }
}
