//! Files on Windows, opened and adopted: what their reads and writes mean.
#![cfg(windows)]

#[path = "support/pipe.rs"]
mod pipe;

use std::path::{Path, PathBuf};

use overlapped::{CtlCode, Device, ErrorKind, Ioctl, Port};
use pipe::*;
use windows_sys::Win32::Storage::FileSystem::{FILE_APPEND_DATA, FILE_FLAG_OVERLAPPED, SECURITY_IMPERSONATION};

/// A file for one test. It is removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("overlapped-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The handle may not be closed yet. Then the file stays in the system's temporary directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An asynchronous handle has no position: without an offset, each write and each read would be at the start of the
/// file.
#[test]
fn a_file_is_read_and_written_at_an_offset() {
    let file = Scratch::new("places", b"0123456789");
    let device = Device::options().open(file.path()).unwrap();
    let refused = [
        (device.write(b"first").wait().map(drop).unwrap_err(), "write_at"),
        (device.read(4).wait().map(drop).unwrap_err(), "read_at"),
        (device.standing_reads(4).start().wait_next().unwrap().map(drop).unwrap_err(), "read_at"),
    ];
    for (error, remedy) in refused {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
    }
    device.write_at(10, b"ab").wait().unwrap();
    assert_eq!(&*device.read_at(8, 8).wait().unwrap(), b"89ab");
    assert_eq!(std::fs::read(file.path()).unwrap(), b"0123456789ab");
}

/// Windows ignores the offset when a handle has only the right to append.
#[test]
fn a_file_opened_to_append_is_written_without_an_offset() {
    let file = Scratch::new("append", b"0");
    let device = Device::options().access_mode(FILE_APPEND_DATA).open(file.path()).unwrap();
    for piece in [b"+1", b"+2", b"+3"] {
        assert_eq!(device.write(piece).wait().unwrap().information(), 2);
    }
    assert_eq!(device.read(1).wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = device.write_at(0, b"0").wait().unwrap_err();
    assert!(error.to_string().contains("open to append"), "{error}");
    drop(device);
    assert_eq!(std::fs::read(file.path()).unwrap(), b"0+1+2+3");
}

#[test]
fn a_pipe_has_no_offsets() {
    let (device, client) = connected();
    for error in [device.read_at(0, 4).wait().map(drop).unwrap_err(), device.write_at(7, b"x").wait().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    device.write(b"question").wait().unwrap();
    assert_eq!(read(&client), b"question");
}

#[test]
fn an_adopted_handle_has_offsets_too() {
    use std::os::windows::fs::OpenOptionsExt;
    let file = Scratch::new("adopted", b"0123456789");
    let handle = std::fs::File::options().read(true).custom_flags(FILE_FLAG_OVERLAPPED).open(file.path()).unwrap();
    let device = Device::from_handle(handle).unwrap();
    assert_eq!(device.read(4).wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(&*device.read_at(4, 4).wait().unwrap(), b"4567");
}

#[test]
fn an_adopted_handle_has_the_name_it_is_given() {
    let port = Port::manual().unwrap();
    let options = Device::options().port(&port).name("the pump");
    let device = options.adopt(server(&pipe_name(), FILE_FLAG_OVERLAPPED)).unwrap();
    assert_eq!(device.name(), "the pump");
    let listen = device.call(LISTEN, &());
    assert_eq!(port.pending()[0].device.as_deref(), Some("the pump"));
    device.cancel_all();
    let error = port.block_on(listen).unwrap().unwrap_err();
    assert_eq!(error.device(), Some("the pump"));
    let error = options.adopt(server(&pipe_name(), 0)).unwrap_err();
    assert_eq!(error.device(), Some("the pump"));
    assert_eq!(options.open("no such device").unwrap_err().device(), Some("the pump"));
}

/// SECURITY_IMPERSONATION and SECURITY_IDENTIFICATION, combined in one word, mean SECURITY_DELEGATION.
#[test]
fn security_flags_are_not_accepted_as_attributes() {
    let file = Scratch::new("security", b"");
    let open = |attributes| Device::options().attributes(attributes).open(file.path());
    for attributes in [SECURITY_IMPERSONATION, 0x0010_0000, 0x0004_0000, 0x0008_0000, 0x2000_0000 | 0x0001_0000] {
        let error = open(attributes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{attributes:#x}");
        assert!(error.to_string().contains("security_qos"), "{error}");
    }
    // FILE_FLAG_SEQUENTIAL_SCAN, FILE_FLAG_OVERLAPPED, FILE_ATTRIBUTE_NORMAL
    for attributes in [0x0800_0000, 0x4000_0000, 0x80] {
        open(attributes).unwrap();
    }
}

/// Needs a serial port, which `SERIAL_PORT` names. A pseudo-terminal works that is linked as `dosdevices/com5` in
/// Wine's prefix. The driver decides what the timeouts do: Wine 8's driver still waits for full buffers.
#[test]
#[ignore = "needs a serial port: set SERIAL_PORT to its name"]
fn the_serial_timeouts_end_a_read_with_the_first_bytes() {
    // SAFETY: ntddser.h: IOCTL_SERIAL_GET_TIMEOUTS reads nothing and writes one SERIAL_TIMEOUTS.
    const GET_TIMEOUTS: Ioctl<(), [u32; 5]> = unsafe { Ioctl::new(CtlCode::from_u32(0x001b_0020)) };
    let Ok(port) = std::env::var("SERIAL_PORT") else { panic!("set SERIAL_PORT to the name of a serial port") };
    let kept = Device::options().keep_serial_timeouts(true).open(&port).unwrap();
    let own = *kept.call(GET_TIMEOUTS, &()).wait().unwrap();
    // The handle is closed by the time the port is opened again: the port cannot be shared.
    drop(kept);
    let device = Device::open(&port).unwrap();
    let told = *device.call(GET_TIMEOUTS, &()).wait().unwrap();
    // The values: interval, multiplier and constant for reads, multiplier and constant for writes.
    const MAX: u32 = u32::MAX;
    assert_eq!(told, [MAX, MAX, MAX - 1, own[3], own[4]]);
}
