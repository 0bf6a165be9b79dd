//! Waiting for readiness without reading: the data stay, or another reader gets them.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/place.rs"]
mod place;
#[allow(unused_macros, unused_imports, reason = "its suite is for streams")]
#[path = "support/stream.rs"]
mod stream;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use overlapped::linux::{Interest, Ioctl};
use overlapped::{Device, ErrorKind, Operation, Port};
use place::is_idle;
use rustix::net::SendFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stream::{LONG, SHORT, is_pending, settle};

fn pipe() -> (Port, Device, std::io::PipeWriter) {
    let port = Port::manual().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    (port.clone(), Device::from_fd_on(&port, reader).unwrap(), writer)
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

#[test]
fn readiness_takes_no_data_and_ends_every_wait() {
    let (port, device, mut writer) = pipe();
    let mut waits = [(); 3].map(|()| device.readable());
    settle(&port);
    assert!(waits.iter_mut().all(is_pending));
    let what = Operation::Ready { interest: Interest::Readable };
    assert_eq!(port.pending()[0].operation, what);
    assert_eq!(what.to_string(), "wait until readable");
    writer.write_all(b"one").unwrap();
    for wait in waits {
        port.block_on(wait).unwrap().unwrap();
    }
    port.block_on(device.readable()).unwrap().unwrap();
    assert!(is_idle(&port), "the file is readable, but has no pending wait");
    assert_eq!(&*port.block_on(device.read(64)).unwrap().unwrap(), b"one");
    assert!(is_pending(&mut device.readable()));
}

#[test]
fn readiness_does_not_delay_reads() {
    let (port, device, mut writer) = pipe();
    let (mut readable, read) = (device.readable(), device.read(64));
    writer.write_all(b"one").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"one");
    assert!(!is_pending(&mut readable));
    // The event is queued, but another owner of the file has read the data.
    let mut readable = device.readable();
    let mut twin = std::fs::File::from(device.as_fd().unwrap().try_clone_to_owned().unwrap());
    writer.write_all(b"two").unwrap();
    twin.read_exact(&mut [0; 3]).unwrap();
    settle(&port);
    assert!(is_pending(&mut readable));
    assert!(is_idle(&port));
}

/// Three copies of one open file are reported as ready together. A copy that is served after the read finds no data.
#[test]
fn readiness_whose_data_was_read_does_not_count() {
    let (port, device, mut writer) = pipe();
    let copy = || Device::from_fd_on(&port, device.as_fd().unwrap().try_clone_to_owned().unwrap()).unwrap();
    let copies = [copy(), copy(), copy()];
    let (mut first, read, mut last) = (copies[0].readable(), copies[1].read(64), copies[2].readable());
    settle(&port);
    writer.write_all(b"for one").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"for one");
    settle(&port);
    assert!(is_pending(&mut first) || is_pending(&mut last));
    assert!(is_idle(&port));
}

#[test]
fn a_wait_for_room_to_write() {
    let port = Port::manual().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let device = Device::from_fd_on(&port, writer).unwrap();
    port.block_on(device.writable()).unwrap().unwrap();
    while !is_pending(&mut device.write(&[0; 4096])) {}
    settle(&port);
    let mut writable = device.writable();
    settle(&port);
    assert!(is_pending(&mut writable));
    reader.read_exact(&mut [0; 1 << 15]).unwrap();
    port.block_on(writable).unwrap().unwrap();
}

#[test]
fn a_hang_up_ends_waits_for_readiness() {
    let (port, device, writer) = pipe();
    let (readable, priority) = (device.readable(), device.priority());
    drop(writer);
    port.block_on(readable).unwrap().unwrap();
    port.block_on(priority).unwrap().unwrap();
    assert!(is_idle(&port));
}

#[test]
fn waiting_for_readiness_can_be_cancelled_dropped_and_timed() {
    let (port, device, _writer) = pipe();
    let readable = device.readable();
    readable.cancel();
    assert_eq!(port.block_on(readable).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(device.priority().wait_timeout(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    drop(device.readable());
    let readable = device.readable();
    device.cancel_all();
    assert_eq!(port.block_on(readable).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    device.readable().then(|_| ());
    drop(device);
    settle(&port);
    assert_eq!(port.stats().in_flight, 0);
}

#[test]
fn a_pidfd_is_readable_when_its_process_has_ended() {
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let fd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    let port = Port::manual().unwrap();
    let device = Device::from_fd_on(&port, fd).unwrap();
    let mut ended = device.readable();
    settle(&port);
    assert!(is_pending(&mut ended));
    drop(child.stdin.take());
    port.block_on(ended).unwrap().unwrap();
    assert!(child.try_wait().unwrap().is_some());
}

#[test]
fn urgent_data_is_reported_each_time() {
    // SAFETY: ioctl_tty(2): FIONREAD writes one `int`.
    const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
    let port = Port::manual().unwrap();
    let (ours, theirs) = connection();
    let device = Device::from_fd_on(&port, OwnedFd::from(ours)).unwrap();
    for round in 0..3 {
        let mut priority = device.priority();
        let mut count = device.ioctl_when(Interest::Priority, FIONREAD, -1);
        settle(&port);
        assert!(is_pending(&mut priority) && is_pending(&mut count), "{round}");
        let mut read = device.read(64);
        theirs.send_urgent(b"!");
        port.block_on(priority).unwrap().unwrap();
        port.block_on(count).unwrap().unwrap();
        assert!(is_pending(&mut read), "urgent data does not come with the other data");
        (&theirs).write_all(b"the rest").unwrap();
        assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"the rest");
        assert!(is_idle(&port));
    }
}

trait SendUrgent {
    fn send_urgent(&self, bytes: &[u8]);
}

impl SendUrgent for TcpStream {
    fn send_urgent(&self, bytes: &[u8]) {
        rustix::net::send(self, bytes, SendFlags::OOB).unwrap();
    }
}

/// A trigger of the pressure files reports each event once, to the first that looks.
#[test]
fn pressure_is_reported_again_and_again() {
    let Ok(cpu) = Device::open("/proc/pressure/cpu") else {
        return println!("skipped: this system has no pressure files");
    };
    // A stall of a millisecond in two seconds. Any user may ask for that.
    if cpu.write(b"some 1000 2000000\0").wait().is_err() {
        return println!("skipped: this user may not set a trigger");
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 * std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::SeqCst) {
                    std::hint::spin_loop()
                }
            });
        }
        let told: Vec<_> = (0..2).map(|_| cpu.priority().wait_timeout(LONG).map(drop)).collect();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(told.iter().all(Result::is_ok), "{told:?}");
    });
}

#[test]
fn a_file_that_never_waits_is_always_ready_and_a_simulated_device_is_no_file() {
    let null = Device::open("/dev/null").unwrap();
    for mut wait in [null.readable(), null.writable(), null.priority()] {
        assert!(!is_pending(&mut wait));
    }
    let simulated = Device::simulated(support::Device::new()).unwrap();
    assert_eq!(simulated.readable().wait().unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Readiness, reads, cancellations and the end, all at once.
#[test]
fn readiness_races_with_reads_and_cancellations_and_no_wait_is_stuck() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let device = Device::from_fd(reader).unwrap();
    let feeder = std::thread::spawn(move || {
        for n in 0..20_000_u32 {
            writer.write_all(&[n as u8]).unwrap();
            if n % 64 == 0 {
                std::thread::yield_now();
            }
        }
    });
    std::thread::scope(|scope| {
        for waiter in 0..2 {
            let device = &device;
            scope.spawn(move || {
                for round in 0..3000 {
                    let wait = device.readable();
                    match (round + waiter) % 3 {
                        0 => drop(wait),
                        1 => wait.cancel(),
                        _ => drop(wait.wait().unwrap()),
                    }
                }
            });
        }
        let mut count = 0;
        loop {
            let bytes = device.read(7).wait().unwrap();
            count += bytes.len();
            if bytes.is_empty() {
                break;
            }
        }
        assert_eq!(count, 20_000);
    });
    feeder.join().unwrap();
}
