//! QEMU's parallel port, by its registers (/dev/port): a machine without a printer, whose port answers as if there were one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const STATUS: u64 = 0x379;
const CONTROL: u64 = 0x37a;

/// nSelectIn and nInit, without which QEMU's port does nothing; and what makes the difference.
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

    /// An interrupt: the end of a strobe makes one. It stays until the status is read.
    pub(crate) fn interrupt(&self) {
        self.write(CONTROL, STANDING | INTERRUPTS | STROBE);
        self.write(CONTROL, STANDING | INTERRUPTS);
        self.take_back();
    }

    /// The end of an interrupt, if there is one: enabling them makes one too.
    pub(crate) fn take_back(&self) {
        self.0.read_exact_at(&mut [0], STATUS).unwrap();
    }

    /// A strobe without an interrupt: the printer is busy. When it is over, acknowledging takes two looks at the status.
    pub(crate) fn strobe(&self, on: bool) {
        self.write(CONTROL, if on { STANDING | STROBE } else { STANDING });
    }

    /// As it is before anything is printed.
    pub(crate) fn reset(&self) {
        self.write(CONTROL, 0);
        self.write(CONTROL, STANDING);
    }
}
