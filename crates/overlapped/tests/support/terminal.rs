//! Terminals: both ends, and their modes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use overlapped::Device;
use overlapped::linux::{Direction, Ioctl, request};

// SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int).
pub(crate) const TIOCGPTN: Ioctl<u32> = unsafe { Ioctl::new(Direction::Read, b'T', 0x30) };
// SAFETY: ioctl_tty(2): TIOCSPTLCK, _IOW('T', 0x31, int).
pub(crate) const TIOCSPTLCK: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 0x31, 4)) };
/// `struct termios` of the kernel: four words, the line discipline and 19 control characters.
pub(crate) type Termios = [[u8; 4]; 9];
// SAFETY: ioctl_tty(2): TCGETS writes, and TCSETS reads, one `struct termios`.
pub(crate) const TCGETS: Ioctl<Termios> = unsafe { Ioctl::from_request(0x5401) };
// SAFETY: as above.
pub(crate) const TCSETS: Ioctl<Termios> = unsafe { Ioctl::from_request(0x5402) };
pub(crate) fn open_terminal() -> (Device, PathBuf) {
    let master = Device::open("/dev/ptmx").unwrap();
    master.ioctl(TIOCSPTLCK, 0).unwrap();
    let path = format!("/dev/pts/{}", master.ioctl(TIOCGPTN, 0).unwrap());
    make_raw(&Device::open(&path).unwrap());
    (master, path.into())
}

pub(crate) fn make_raw(terminal: &Device) {
    let mut termios = terminal.ioctl(TCGETS, Termios::default()).unwrap();
    // Clears the input, output and local modes. The control modes, the third of the four words, stay.
    for word in [0, 1, 3] {
        termios[word] = [0; 4];
    }
    terminal.ioctl(TCSETS, termios).unwrap();
}

/// Both ends of a raw terminal, as plain files.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let master = File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    let device = Device::from_fd(master.try_clone().unwrap()).unwrap();
    device.ioctl(TIOCSPTLCK, 0).unwrap();
    let path = format!("/dev/pts/{}", device.ioctl(TIOCGPTN, 0).unwrap());
    let slave = File::options().read(true).write(true).open(path).unwrap();
    make_raw(&Device::from_fd(slave.try_clone().unwrap()).unwrap());
    let flags = rustix::fs::fcntl_getfl(&slave).unwrap();
    rustix::fs::fcntl_setfl(&slave, flags - rustix::fs::OFlags::NONBLOCK).unwrap();
    (master.into(), slave.into())
}
