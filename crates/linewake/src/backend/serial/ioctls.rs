//! The ioctls of a terminal's modem lines: ioctl_tty(2), `asm-generic/ioctls.h`, `asm-generic/termios.h`.

use overlapped::linux::Ioctl;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

// SAFETY: ioctl_tty(2): TIOCMGET writes one `int`.
pub(super) const TIOCMGET: Ioctl<u32> = unsafe { Ioctl::from_request(0x5415) };
// SAFETY: ioctl_tty(2): TIOCMBIS reads one `int`.
pub(super) const TIOCMBIS: Ioctl<u32> = unsafe { Ioctl::from_request(0x5416) };
// SAFETY: ioctl_tty(2): TIOCMBIC reads one `int`.
pub(super) const TIOCMBIC: Ioctl<u32> = unsafe { Ioctl::from_request(0x5417) };
// SAFETY: `linux/serial.h`: TIOCGICOUNT writes one `serial_icounter_struct`.
pub(super) const TIOCGICOUNT: Ioctl<Counters> = unsafe { Ioctl::from_request(0x545d) };

/// True if this architecture has these ioctl numbers. Some have others.
pub(super) const ARE_GENERIC: bool =
    !cfg!(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc", target_arch = "sparc64"));

/// TIOCM_… of CTS, DSR, RNG, CAR, RTS and DTR: by offset.
pub(super) const BITS: [u32; 6] = [0x020, 0x100, 0x080, 0x040, 0x004, 0x002];

/// `struct serial_icounter_struct`: how often an interrupt found a line changed, and counters that are not used here.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Counters {
    cts: u32,
    dsr: u32,
    rng: u32,
    dcd: u32,
    others: [u32; 16],
}

impl Counters {
    /// The counters of the inputs, by offset.
    pub(super) fn inputs(&self) -> [u32; super::look::INPUTS] {
        [self.cts, self.dsr, self.rng, self.dcd]
    }
}
