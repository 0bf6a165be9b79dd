//! Ioctls by value, without an argument, on bytes and raw: these tests check what the driver is passed. They use
//! terminals, whose driver refuses numbers that it does not know.
#![cfg(all(target_os = "linux", not(miri)))]

use std::ffi::c_int;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use overlapped::linux::{Argument, Direction, Interest, Ioctl, IoctlByValue, IoctlBytes, request};
use overlapped::sim::{Driver, FileId, Outcome, Request, Script};
use overlapped::{Device, ErrorCode, ErrorKind, Operation, Status};

/// EINVAL: the driver's answer to a number that it does not know.
const INVALID: Option<ErrorCode> = Some(ErrorCode::Errno(22));
const TCFLSH_NUMBER: u32 = 0x540b;
const TCIFLUSH: i32 = 0;
const TCOFLUSH: i32 = 1;

// SAFETY: ioctl_tty(2): TCFLSH takes one of three numbers, and refuses all others.
const TCFLSH: IoctlByValue<i32> = unsafe { IoctlByValue::from_request(TCFLSH_NUMBER) };
// SAFETY: without an argument it is passed 0, TCIFLUSH.
const TCFLSH_INPUT: Ioctl<()> = unsafe { Ioctl::from_request(TCFLSH_NUMBER) };
// SAFETY: ioctl_tty(2): FIONREAD writes one `int`, the number of bytes that can be read.
const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
// SAFETY: ioctl_tty(2): TIOCGPTN, _IOR('T', 0x30, unsigned int), writes no more bytes than it says.
const TIOCGPTN: IoctlBytes = unsafe { IoctlBytes::new(Direction::Read, b'T', 0x30) };
// SAFETY: ioctl_tty(2): TIOCSPTLCK, _IOW('T', 0x31, int), reads one `int` at the address.
const TIOCSPTLCK: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 0x31, 4)) };
// SAFETY: ioctl_tty(2): TIOCGPTPEER, _IO('T', 0x41), takes the flags of open(2).
const TIOCGPTPEER: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::None, b'T', 0x41) };

/// The master of a terminal, and its other end, which has five bytes to read.
fn terminal() -> (Device, Device) {
    let master = Device::open("/dev/ptmx").unwrap();
    master.ioctl(TIOCSPTLCK, 0).unwrap();
    let slave = Device::from_fd(peer(&master)).unwrap();
    send(&master, &slave, b"line\n");
    (master, slave)
}

/// Sends a line, and waits until it has arrived: a kernel thread of the terminal passes it on.
fn send(master: &Device, slave: &Device, line: &[u8]) {
    master.write(line).wait().unwrap();
    let arrived = slave.ioctl_when(Interest::Readable, FIONREAD, -1).wait().unwrap();
    assert_eq!(*arrived, line.len() as i32);
}

fn peer(master: &Device) -> OwnedFd {
    const O_RDWR_NOCTTY_CLOEXEC: i32 = 0o2_000_402;
    let descriptor = master.ioctl_by_value(TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC).unwrap();
    let descriptor = c_int::try_from(descriptor).unwrap();
    // SAFETY: the driver has made this descriptor for us, and it has no other owner.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[test]
fn an_ioctl_without_an_argument_passes_zero_by_every_way() {
    let (master, slave) = terminal();
    slave.ioctl(TCFLSH_INPUT, ()).unwrap();
    assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 0);
    assert_eq!(slave.ioctl_with_value(TCFLSH_INPUT, ()).unwrap(), (0, ()));
    send(&master, &slave, b"more\n");
    TCFLSH_INPUT.run_on(peer(&master), ()).unwrap();
    assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 0);
    for interest in [Interest::Writable, Interest::Readable] {
        send(&master, &slave, b"more\n");
        assert_eq!(slave.ioctl_when(interest, TCFLSH_INPUT, ()).wait().unwrap().information(), 0);
        assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 0);
    }
}

#[test]
fn a_number_is_passed_by_value() {
    let (_master, slave) = terminal();
    slave.ioctl_by_value(TCFLSH, TCOFLUSH).unwrap();
    assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 5, "the input was discarded, not the output");
    for wrong in [3, -1, i32::MIN] {
        assert_eq!(slave.ioctl_by_value(TCFLSH, wrong).unwrap_err().code(), INVALID);
    }
    slave.ioctl_by_value(TCFLSH, TCIFLUSH).unwrap();
    assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 0);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_long_number_is_not_cut_to_an_int() {
    // SAFETY: as for TCFLSH: the driver gets an `unsigned long`.
    const TCFLSH_LONG: IoctlByValue<usize> = unsafe { IoctlByValue::from_request(TCFLSH_NUMBER) };
    let (_master, slave) = terminal();
    slave.ioctl_by_value(TCFLSH_LONG, 1).unwrap();
    assert_eq!(slave.ioctl_by_value(TCFLSH_LONG, 1 << 32).unwrap_err().code(), INVALID);
    assert_eq!(slave.ioctl(FIONREAD, -1).unwrap(), 5, "a number was cut to 0");
}

#[test]
fn a_descriptor_that_an_ioctl_returns_is_an_open_file() {
    let (master, _slave) = terminal();
    let mut other = File::from(peer(&master));
    other.write_all(b"x").unwrap();
    let mut echo = Vec::new();
    while echo.len() < 7 {
        echo.extend_from_slice(&master.read(64).wait().unwrap());
    }
    assert_eq!(echo, b"line\r\nx");
    let mut line = [0; 5];
    other.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"line\n");
}

#[test]
fn a_request_on_bytes_has_their_length_in_its_number() {
    let (master, slave) = terminal();
    let mut number = [0xff; 4];
    assert_eq!(master.ioctl_bytes(TIOCGPTN, &mut number).unwrap(), 0);
    let path = format!("/dev/pts/{}", u32::from_ne_bytes(number));
    assert_eq!(Device::open(path).unwrap().ioctl(FIONREAD, -1).unwrap(), 5);
    drop(slave);
    // With another length, it is another request.
    let error = master.ioctl_bytes(TIOCGPTN, &mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("ioctl 0x80085430 on \"/dev/ptmx\""), "{error}");
    let none = master.ioctl_bytes(TIOCGPTN, &mut []).unwrap_err();
    assert!(none.to_string().starts_with("ioctl 0x80005430 on"), "{none}");
}

#[test]
fn more_bytes_than_a_request_number_can_hold_are_refused() {
    let master = Device::open("/dev/ptmx").unwrap();
    let mut bytes = vec![0; 1 << 16];
    let largest = (0..bytes.len()).rev().find(|&len| TIOCGPTN.request(len).is_some()).unwrap();
    assert_eq!(TIOCGPTN.request(largest), Some(request(Direction::Read, b'T', 0x30, largest)));
    // This one gets as far as the driver, which does not know such a request.
    let largest_yet = master.ioctl_bytes(TIOCGPTN, &mut bytes[..largest]).unwrap_err();
    assert_eq!(largest_yet.kind(), ErrorKind::Unsupported);
    // If the length were cut to its bits, the second of these would be the request for four bytes.
    for len in [largest + 1, largest + 5, bytes.len()] {
        let error = master.ioctl_bytes(TIOCGPTN, &mut bytes[..len]).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidInput, None), "{len}");
        assert!(error.to_string().contains("pass fewer bytes"), "{error}");
    }
}

#[test]
fn a_raw_ioctl_passes_its_argument_unchanged() {
    let (master, slave) = terminal();
    let mut unread: c_int = -1;
    // SAFETY: FIONREAD writes one `int`.
    let returned = unsafe { slave.ioctl_raw(FIONREAD.request(), (&raw mut unread).cast()) };
    assert_eq!((returned.unwrap(), unread), (0, 5));
    // SAFETY: TCFLSH takes a number.
    let refused = unsafe { slave.ioctl_raw(TCFLSH_NUMBER, ptr::without_provenance_mut(9)) }.unwrap_err();
    assert_eq!(refused.code(), INVALID);
    assert!(refused.to_string().starts_with("ioctl 0x0000540b on \"fd "), "{refused}");
    drop(master);
}

#[test]
fn a_simulated_device_has_no_ioctl_unless_its_driver_has() {
    let simulated = Device::simulated(Script::new("card")).unwrap();
    let bytes = simulated.ioctl_bytes(TIOCGPTN, &mut [0; 4]);
    for error in [bytes.unwrap_err(), simulated.ioctl_by_value(TCFLSH, 0).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().ends_with("the simulated device does not have this ioctl"), "{error}");
    }
    // SAFETY: this device has no driver that would take a number for an address.
    let raw = unsafe { simulated.ioctl_raw(TCFLSH_NUMBER, ptr::null_mut()) }.unwrap_err();
    let when = simulated.ioctl_when(Interest::Readable, FIONREAD, 0).wait().unwrap_err();
    assert_eq!([raw.kind(), when.kind()], [ErrorKind::Unsupported; 2]);
    assert!(raw.to_string().ends_with("a simulated device takes no addresses"), "{raw}");
}

/// A driver that reports what it was passed.
struct Witness(std::sync::Mutex<Vec<String>>);

impl Driver for Witness {
    fn control(&self, request: Request) -> Outcome {
        request.complete(Status::INVALID_DEVICE_REQUEST)
    }

    fn ioctl(&self, _: FileId, request: u32, argument: Argument<'_>) -> Result<u32, Status> {
        self.0.lock().unwrap().push(format!("{request:#x} {argument:?}"));
        match argument {
            Argument::None => panic!("a panic in the driver, as the test wants it"),
            Argument::Value(value) if value > 9 => Err(Status::from_errno(22)),
            Argument::Value(value) => Ok(value as u32 + 1),
            Argument::Bytes(bytes) => {
                bytes.reverse();
                Ok(0)
            }
        }
    }

    fn ready(&self, request: Request) -> Outcome {
        let is_priority = request.operation() == Operation::Ready { interest: Interest::Priority };
        request.complete(if is_priority { Status::SUCCESS } else { Status::NOT_SUPPORTED })
    }
}

#[test]
fn a_simulated_driver_gets_ioctls_as_they_are_passed() {
    let witness = std::sync::Arc::new(Witness(std::sync::Mutex::default()));
    let device = Device::simulated(witness.clone()).unwrap();
    assert_eq!(device.ioctl_by_value(TCFLSH, 7).unwrap(), 8);
    assert_eq!(device.ioctl_by_value(TCFLSH, 10).unwrap_err().code(), INVALID);
    assert_eq!(device.ioctl(FIONREAD, 0x0102_0304).unwrap(), 0x0403_0201);
    let mut bytes = [1, 2, 3];
    assert_eq!(device.ioctl_bytes(TIOCGPTN, &mut bytes).unwrap(), 0);
    assert_eq!(bytes, [3, 2, 1]);
    assert_eq!(
        device.ioctl(TCFLSH_INPUT, ()).unwrap_err().code(),
        Some(ErrorCode::Status(Status::DRIVER_INTERNAL_ERROR))
    );
    let seen = witness.0.lock().unwrap();
    let expected = ["0x540b Value(7)", "0x540b Value(10)", "0x541b Bytes([4, 3, 2, 1])", "0x80035430 Bytes([1, 2, 3])"];
    assert_eq!(seen[..4], expected);
    assert_eq!(seen[4], "0x540b None");
    device.priority().wait().unwrap();
    assert_eq!(device.readable().wait().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn streams_of_bytes_are_recognised() {
    use std::os::unix::net::{UnixDatagram, UnixStream};
    let (reader, _writer) = std::io::pipe().unwrap();
    let (_master, slave) = terminal();
    let (stream, _other) = UnixStream::pair().unwrap();
    let (messages, _peer) = UnixDatagram::pair().unwrap();
    let adopted = [Device::from_fd(reader).unwrap(), slave, Device::from_fd(stream).unwrap()];
    assert!(adopted.iter().all(Device::is_byte_stream));
    for device in [Device::from_fd(messages).unwrap(), Device::open("/dev/zero").unwrap()] {
        assert!(!device.is_byte_stream(), "{device:?}");
    }
}

#[test]
fn requests_by_value_have_the_numbers_of_the_headers() {
    // SAFETY: these requests are not passed to any driver.
    unsafe {
        // linux/if_tun.h, linux/uinput.h, linux/rtc.h, linux/kvm.h, sound/asound.h.
        assert_eq!(IoctlByValue::<i32>::new(Direction::Write, b'T', 204).request(), 0x4004_54cc);
        assert_eq!(IoctlByValue::<i32>::new(Direction::Write, b'U', 100).request(), 0x4004_5564);
        let rate = IoctlByValue::<std::ffi::c_ulong>::new(Direction::Write, b'p', 0x0c).request();
        assert_eq!(rate, 0x4000_700c | (size_of::<usize>() as u32) << 16);
        assert_eq!(IoctlByValue::<u32>::new(Direction::None, 0xae, 0x41).request(), 0xae41);
        assert_eq!(IoctlByValue::<i32>::from_request(0x4004_4145).request(), 0x4004_4145);
    }
    assert_eq!(format!("{TCFLSH:?} {TIOCGPTN:?}"), "IoctlByValue(0x0000540b) IoctlBytes(0x80005430)");
    fn is_send_and_sync<T: Send + Sync + Copy>() {}
    is_send_and_sync::<IoctlByValue<i32>>();
    is_send_and_sync::<IoctlBytes>();
}

/// A declaration that does not compile in a constant panics at run time.
fn is_refused<T: std::fmt::Debug>(declare: impl FnOnce() -> T + std::panic::UnwindSafe, remedies: &[&str]) {
    let message = *std::panic::catch_unwind(declare).unwrap_err().downcast::<&str>().unwrap();
    assert!(remedies.iter().all(|remedy| message.contains(remedy)), "{message}");
}

#[test]
fn an_ambiguous_declaration_names_the_remedies() {
    let both = ["`IoctlByValue`", "`Ioctl::at_address`"];
    // SAFETY: these are declared and not used.
    unsafe {
        is_refused(|| Ioctl::<i32>::new(Direction::Write, b'T', 204), &both);
        is_refused(|| Ioctl::<usize>::new(Direction::Write, b'p', 0x0c), &both);
        is_refused(|| Ioctl::<u8>::new(Direction::Write, b'k', 1), &both);
        is_refused(|| Ioctl::<u32>::from_request(request(Direction::Write, b'T', 204, 4)), &both);
        // An argument that is not an integer is at an address, and so is one that the driver writes.
        let _ = Ioctl::<[u8; 4]>::new(Direction::Write, b'x', 1);
        let _ = Ioctl::<[u64; 2]>::new(Direction::Write, b'x', 1);
        let _ = Ioctl::<i32>::new(Direction::ReadWrite, b'W', 6);
        let _ = Ioctl::<u32>::new(Direction::Read, b'T', 0x30);
    }
}

#[test]
fn a_declaration_that_does_not_fit_its_request_names_the_remedies() {
    let both = ["`Ioctl::at_address`", "`IoctlByValue`"];
    // SAFETY: these are declared and not used.
    unsafe {
        let says_int = request(Direction::Write, b'T', 202, 4);
        is_refused(|| Ioctl::<[u8; 67]>::from_request(request(Direction::Read, 0xb4, 1, 68)), &both);
        // Half a number, or two numbers.
        is_refused(|| Ioctl::<i32>::from_request(request(Direction::Read, b'f', 1, 8)), &both);
        is_refused(|| Ioctl::<u16>::from_request(request(Direction::Read, b'f', 1, 1)), &both);
        // WDIOC_KEEPALIVE: _IOR('W', 5, int), whose argument the driver ignores.
        is_refused(|| Ioctl::<()>::from_request(request(Direction::Read, b'W', 5, 4)), &both);
        is_refused(|| IoctlByValue::<u32>::from_request(request(Direction::Read, 0xb4, 1, 68)), &["`Ioctl`"]);
        is_refused(|| Ioctl::<()>::at_address(says_int), &["`IoctlByValue`"]);
        // TUNSETIFF: the argument has more room than the header says.
        assert_eq!(Ioctl::<[u8; 40]>::from_request(says_int).request(), says_int);
        // FS_IOC_GETFLAGS: the argument has less room, and `at_address` says so.
        let says_long = request(Direction::Read, b'f', 1, 8);
        assert_eq!(Ioctl::<i32>::at_address(says_long).request(), says_long);
    }
}
