//! QEMU's edu device behind uio_pci_generic: its registers raise and clear its interrupt (docs/specs/edu.rst of QEMU).

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap};

const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;
const REGISTERS: usize = 4096;

/// The command register in the configuration of a PCI device, with the bit that disables its interrupts.
const COMMAND: u64 = 4;
const INTERRUPT_DISABLE: u16 = 1 << 10;

pub(crate) struct Edu {
    /// The registers, mapped until the program ends.
    registers: NonNull<u32>,
    configuration: File,
}

impl Edu {
    /// The edu device of the virtual machine.
    pub(crate) fn find() -> Self {
        let devices = fs::read_dir("/sys/bus/pci/devices").unwrap().map(|entry| entry.unwrap().path());
        let is_edu = |path: &PathBuf| fs::read_to_string(path.join("device")).is_ok_and(|id| id.trim() == "0x11e8");
        let path = devices.into_iter().find(is_edu).expect("the machine has an edu device: --boards");
        let open = |name| File::options().read(true).write(true).open(path.join(name)).unwrap();
        let file = open("resource0");
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: mmap(2): a new mapping, at an address of the system's choice, of the registers' first page.
        let address = unsafe { mmap(std::ptr::null_mut(), REGISTERS, protection, MapFlags::SHARED, &file, 0) };
        Self { registers: NonNull::new(address.unwrap()).unwrap().cast(), configuration: open("config") }
    }

    fn write(&self, register: usize, value: u32) {
        assert!(register < REGISTERS);
        // SAFETY: the page is mapped for good, and the register is in it, at a multiple of 4.
        unsafe { self.registers.as_ptr().add(register / 4).write_volatile(value) };
    }

    /// Raises an interrupt. The driver then disables interrupts.
    pub(crate) fn interrupt(&self) {
        self.write(RAISE, 1);
        self.write(ACKNOWLEDGE, 1);
    }

    /// Enables the next interrupt.
    pub(crate) fn enable(&self) {
        let mut command = [0; 2];
        self.configuration.read_exact_at(&mut command, COMMAND).unwrap();
        let command = u16::from_le_bytes(command) & !INTERRUPT_DISABLE;
        self.configuration.write_all_at(&command.to_le_bytes(), COMMAND).unwrap();
    }
}
