//! Device files on Linux: pipes, terminals, counters, files and devices of the system.
#![cfg(all(target_os = "linux", not(miri)))]

#[path = "support/place.rs"]
mod place;
#[path = "support/stream.rs"]
mod stream;
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::borrow::Borrow;
use std::fs::File;
use std::future::Future;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use overlapped::linux::{Direction, Interest, Ioctl};
use overlapped::{Access, CtlCode, Device, Disposition, Error, ErrorCode, ErrorKind, Method, Operation, Port, Status};
use place::{Path, fifo, is_idle};
use rustix::event::{EventfdFlags, eventfd};
use stream::{Ends, LONG, SHORT, conformance, is_pending, settle};
use terminal::{TCGETS, TCSETS, TIOCGPTN, TIOCSPTLCK, Termios, open_terminal, terminal};

// SAFETY: ioctl_tty(2): FIONREAD writes one `int`, the number of bytes that can be read.
const FIONREAD: Ioctl<i32> = unsafe { Ioctl::from_request(0x541b) };
// SAFETY: ioctl_tty(2): TIOCOUTQ writes one `int`.
const TIOCOUTQ: Ioctl<i32> = unsafe { Ioctl::from_request(0x5411) };
// SAFETY: no driver knows this request.
const UNKNOWN: Ioctl<u64> = unsafe { Ioctl::new(Direction::ReadWrite, 0xff, 0xee) };
// SAFETY: ioctl_tty(2): TIOCEXCL has no argument.
const TIOCEXCL: Ioctl<()> = unsafe { Ioctl::from_request(0x540c) };

struct Pipe(PipeWriter);

impl Ends for Pipe {
    const END: Option<ErrorKind> = None;
    fn pair(port: &Port) -> (Device, Self) {
        let (reader, writer) = std::io::pipe().unwrap();
        (Device::from_fd_on(port, reader).unwrap(), Self(writer))
    }
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

mod on_pipes {
    use super::*;
    conformance!(Pipe);
}

/// A terminal without echo and lines, read at its far end.
struct Terminal(File);

impl Ends for Terminal {
    // When the other end is closed, the terminal counts as an unplugged device, not as the end of a file.
    const END: Option<ErrorKind> = Some(ErrorKind::Disconnected);
    fn pair(port: &Port) -> (Device, Self) {
        let (master, slave) = terminal();
        (Device::from_fd_on(port, master).unwrap(), Self(slave.into()))
    }
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }
}

mod on_terminals {
    use super::*;
    conformance!(Terminal);
}

fn manual() -> (Port, Device, PipeWriter) {
    let port = Port::manual().unwrap();
    let (device, Pipe(writer)) = Pipe::pair(&port);
    (port, device, writer)
}

fn writing() -> (Port, Device, PipeReader) {
    let port = Port::manual().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    (port.clone(), Device::from_fd_on(&port, writer).unwrap(), reader)
}

// Opening.

#[test]
fn a_missing_device_is_not_found() {
    let error = Device::open("/dev/no such device").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), r#"open "/dev/no such device": not found: ENOENT (2)"#);
    assert_eq!(error.code(), Some(ErrorCode::Errno(2)));
    let error = Device::open("/dev/null/0").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(ErrorCode::Errno(20))));
    let error = Device::open("a\0b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("NUL"), "{error}");
}

#[test]
fn an_open_that_the_system_refuses_says_why() {
    let kind = |path: &str| Device::open(path).unwrap_err().kind();
    assert_eq!(kind("/proc/sys/kernel/ostype"), ErrorKind::AccessDenied);
    assert_eq!(kind(std::env::current_exe().unwrap().to_str().unwrap()), ErrorKind::Busy);
    assert_eq!(kind("/dev"), ErrorKind::InvalidInput);
    let fifo = fifo();
    let error = Device::options().read(false).open(&fifo.0).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::NotFound, Some(ErrorCode::Errno(6))),
        "expected ENXIO: the FIFO has no reader"
    );
}

#[test]
fn options_without_a_counterpart_are_refused_and_not_ignored() {
    for options in
        [Device::options().access_mode(0x8000_0000), Device::options().share_mode(0), Device::options().attributes(2)]
    {
        let error = options.open("/dev/null").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.code(), None);
    }
}

#[test]
fn a_device_is_opened_with_the_access_that_was_asked_for() {
    let read_only = Device::options().write(false).open("/dev/null").unwrap();
    assert_eq!(read_only.write(b"x").wait().unwrap_err().code(), Some(ErrorCode::Errno(9)));
    let write_only = Device::options().read(false).open("/dev/zero").unwrap();
    assert_eq!(write_only.read(1).wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    let (_master, path) = open_terminal();
    let neither = Device::options().read(false).write(false).open(path).unwrap();
    assert!(neither.read(1).wait().is_err());
    neither.ioctl(FIONREAD, 0).unwrap();
}

#[test]
fn a_device_is_not_inherited_and_does_not_become_the_controlling_terminal() {
    let (master, path) = open_terminal();
    let device = Device::open(&path).unwrap();
    let mut found = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|to| to == path) {
            let info = std::fs::read_to_string(PathBuf::from("/proc/self/fdinfo").join(entry.file_name())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            let flags = u32::from_str_radix(flags, 8).unwrap();
            let [nonblock, cloexec] = [rustix::fs::OFlags::NONBLOCK.bits(), rustix::fs::OFlags::CLOEXEC.bits()];
            assert_eq!(flags & (nonblock | cloexec), nonblock | cloexec);
            found += 1;
        }
    }
    assert_eq!(found, 1);
    drop((master, device));
}

#[test]
fn dispositions_create_and_empty_files() {
    let path = Path::new();
    let options = |disposition| Device::options().disposition(disposition);
    assert_eq!(options(Disposition::TruncateExisting).open(&path.0).unwrap_err().kind(), ErrorKind::NotFound);
    options(Disposition::CreateNew).open(&path.0).unwrap().write(b"text").wait().unwrap();
    assert_eq!(options(Disposition::CreateNew).open(&path.0).unwrap_err().code(), Some(ErrorCode::Errno(17)));
    let read = |device: &Device| device.read_at(0, 64).wait().unwrap().to_vec();
    assert_eq!(read(&options(Disposition::OpenAlways).open(&path.0).unwrap()), b"text");
    assert_eq!(read(&options(Disposition::CreateAlways).open(&path.0).unwrap()), b"");
}

#[test]
fn a_file_opened_for_its_path_alone_is_a_clear_error() {
    let fd = rustix::fs::open("/dev/null", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    let name = format!("fd {}", fd.as_raw_fd());
    let error = Device::from_fd(fd).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Operation::Adopt));
    assert!(error.to_string().contains(&name) && error.to_string().contains("O_PATH"), "{error}");
}

#[test]
fn an_adopted_file_is_made_non_blocking() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let twin = reader.try_clone().unwrap();
    let _device = Device::from_fd(reader).unwrap();
    assert!(rustix::fs::fcntl_getfl(&twin).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn two_devices_may_share_an_open_file_and_each_byte_goes_to_one() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let port = Port::manual().unwrap();
    let twin = Device::from_fd_on(&port, reader.try_clone().unwrap()).unwrap();
    let device = Device::from_fd_on(&port, reader).unwrap();
    let mut streams = [&device, &twin].map(|device| device.standing_reads(1).pending(4).window(100).start());
    for n in 0..60 {
        writer.write_all(&[n]).unwrap();
        settle(&port);
    }
    drop(writer);
    let mut seen: Vec<u8> = Vec::new();
    for stream in &mut streams {
        while let Some(bytes) = port.block_on(stream.next()).unwrap() {
            seen.extend_from_slice(&bytes.unwrap());
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
}

// Reading and writing.

#[test]
fn a_write_waits_for_room_and_says_how_much_it_wrote() {
    let (port, device, mut reader) = writing();
    let chunk = vec![7; 1 << 16];
    let mut written = 0;
    let pending = loop {
        let mut write = device.write(&chunk);
        if is_pending(&mut write) {
            break write;
        }
        assert!(written < 1 << 24);
        written += chunk.len();
    };
    let mut next = device.write(b"after it");
    settle(&port);
    assert!(is_pending(&mut next), "writes wait in order");
    let mut bytes = vec![0; 1 << 16];
    reader.read_exact(&mut bytes).unwrap();
    let count = port.block_on(pending).unwrap().unwrap().information();
    assert!(count > 0 && count <= chunk.len());
    let mut rest = vec![0; written - bytes.len() + count];
    reader.read_exact(&mut rest).unwrap();
    assert!(rest.iter().all(|b| *b == 7));
    assert_eq!(port.block_on(next).unwrap().unwrap().information(), 8);
    let mut last = [0; 8];
    reader.read_exact(&mut last).unwrap();
    assert_eq!(&last, b"after it");
    assert!(is_idle(&port), "a pipe that has room is not watched");
}

#[test]
fn a_write_without_a_reader_is_disconnected_even_when_pending() {
    let (port, device, reader) = writing();
    let chunk = vec![7; 1 << 16];
    let mut pending = loop {
        let mut write = device.write(&chunk);
        if is_pending(&mut write) {
            break write;
        }
    };
    settle(&port);
    assert!(is_pending(&mut pending));
    drop(reader);
    let error = port.block_on(pending).unwrap().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Disconnected, Some(ErrorCode::Errno(32))));
    assert_eq!(port.block_on(device.write(b"x")).unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(is_idle(&port));
}

#[test]
fn reads_and_writes_of_one_file_do_not_wait_for_each_other() {
    let port = Port::manual().unwrap();
    let (master, slave) = terminal();
    let device = Device::from_fd_on(&port, master).unwrap();
    let mut slave = File::from(slave);
    let mut read = device.read(64);
    assert!(is_pending(&mut read));
    assert_eq!(port.block_on(device.write(b"down")).unwrap().unwrap().information(), 4);
    let mut bytes = [0; 4];
    slave.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"down");
    slave.write_all(b"up").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"up");
}

#[test]
fn an_unplugged_terminal_is_disconnected() {
    let port = Port::manual().unwrap();
    let (master, slave) = terminal();
    let device = Device::from_fd_on(&port, slave).unwrap();
    let pending = device.read(64);
    let mut standing = device.standing_reads(64).start();
    drop(master);
    assert_eq!(port.block_on(pending).unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(port.block_on(standing.next()).unwrap().unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(port.block_on(standing.next()).unwrap().is_none());
    assert_eq!(port.block_on(device.read(64)).unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(port.block_on(device.write(b"x")).unwrap().unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(device.ioctl(TCGETS, Termios::default()).unwrap_err().kind(), ErrorKind::Disconnected);
    assert!(is_idle(&port));
}

#[test]
fn a_counter_is_a_device() {
    let port = Port::manual().unwrap();
    let counter = Device::from_fd_on(&port, eventfd(0, EventfdFlags::empty()).unwrap()).unwrap();
    let read = counter.read(8);
    port.block_on(counter.write(&5_u64.to_ne_bytes())).unwrap().unwrap();
    assert_eq!(*port.block_on(read).unwrap().unwrap(), 5_u64.to_ne_bytes());
    assert_eq!(port.block_on(counter.read(7)).unwrap().unwrap_err().code(), Some(ErrorCode::Errno(22)));
}

#[test]
fn a_timer_ticks() {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    let every = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    timerfd_settime(&fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: every, it_value: every }).unwrap();
    let begin = Instant::now();
    let mut ticks = Device::from_fd(fd).unwrap().standing_reads(8).start();
    let mut count = 0;
    while count < 10 {
        let expired = ticks.wait_next_timeout(LONG).unwrap().unwrap();
        count += u64::from_ne_bytes(expired.as_ref().try_into().unwrap());
    }
    assert!(begin.elapsed() >= Duration::from_millis(18));
}

#[test]
fn a_fifo_by_its_path() {
    let path = fifo();
    let port = Port::manual().unwrap();
    let fifo = Device::options().port(&port).open(&path.0).unwrap();
    let read = fifo.read(64);
    port.block_on(fifo.write(b"round")).unwrap().unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"round");
    assert_eq!(fifo.name(), path.0.to_str().unwrap());
}

#[test]
fn null_is_empty_and_zero_never_ends() {
    let null = Device::open("/dev/null").unwrap();
    assert_eq!(null.read(64).wait().unwrap().len(), 0);
    assert_eq!(null.write(b"gone").wait().unwrap().information(), 4);
    assert!(null.standing_reads(64).start().wait_next().is_none());
    let port = Port::manual().unwrap();
    let zero = Device::options().port(&port).open("/dev/zero").unwrap();
    let mut zeros = zero.standing_reads(64).window(8).start();
    assert_eq!(port.stats().in_flight, 8, "no more than the window");
    for _ in 0..100 {
        assert_eq!(*port.block_on(zeros.next()).unwrap().unwrap().unwrap(), [0; 64]);
    }
}

#[test]
fn regular_files_have_offsets_and_a_position() {
    let path = Path::new();
    let file = Device::options().disposition(Disposition::CreateNew).open(&path.0).unwrap();
    assert_eq!(file.write_at(4, b"tail").wait().unwrap().information(), 4);
    assert_eq!(file.write_at(0, b"head").wait().unwrap().information(), 4);
    assert_eq!(&*file.read_at(2, 4).wait().unwrap(), b"adta");
    assert_eq!(file.read_at(8, 4).wait().unwrap().len(), 0, "the end");
    assert_eq!(&*file.read(5).wait().unwrap(), b"headt");
    let mut rest = file.standing_reads(2).window(2).start();
    assert_eq!(&*rest.wait_next().unwrap().unwrap(), b"ai");
    assert_eq!(&*rest.wait_next().unwrap().unwrap(), b"l");
    assert!(rest.wait_next().is_none());
    assert!(!is_pending(&mut file.read(1)), "a regular file never waits");
}

#[test]
fn a_pipe_has_no_offsets() {
    let (_port, device, _writer) = manual();
    let error = device.read_at(1, 4).wait().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::InvalidInput, Some(ErrorCode::Errno(29))));
}

#[test]
fn ten_thousand_pipes_wait_without_a_thread() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // Each needs two descriptors. The other tests need some, too.
    let count = limit.current.map_or(10_000, |most| (most.saturating_sub(500) / 2).min(10_000)) as usize;
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let port = Port::manual().unwrap();
    let (mut streams, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (device, Pipe(writer)) = Pipe::pair(&port);
        streams.push(device.standing_reads(8).pending(1).window(2).start());
        writers.push(writer);
    }
    let before = threads();
    for (n, writer) in writers.iter_mut().enumerate().rev() {
        writer.write_all(&n.to_ne_bytes()).unwrap();
    }
    let begin = Instant::now();
    for (n, stream) in streams.iter_mut().enumerate() {
        assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), n.to_ne_bytes());
    }
    println!("{count} pipes read in {:?}; {before} threads in this process", begin.elapsed());
    drop(writers);
    for stream in &mut streams {
        assert!(port.block_on(stream.next()).unwrap().is_none());
    }
}

// Work that the dispatcher must not do.

#[test]
fn a_file_without_reads_costs_nothing() {
    let (port, device, mut writer) = manual();
    let read = device.read(1);
    writer.write_all(b"more than one").unwrap();
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"m");
    assert!(is_idle(&port), "the file is readable, but has no pending read");
    drop(writer);
    assert!(is_idle(&port), "the file is hung up, but has no pending read");
    assert_eq!(&*port.block_on(device.read(64)).unwrap().unwrap(), b"ore than one");
    assert_eq!(port.block_on(device.read(64)).unwrap().unwrap().len(), 0);
}

/// How many system calls of this kind this thread has made: reads (`syscr`) or writes (`syscw`).
fn so_far(what: &str) -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(": ")).unwrap().parse().unwrap()
}

#[test]
fn a_standing_read_costs_one_read() {
    for pending in [1, 2] {
        let (port, device, mut writer) = manual();
        let mut stream = device.standing_reads(8).pending(pending).start();
        let before = so_far("syscr");
        let own = so_far("syscr") - before;
        let before = so_far("syscr");
        for n in 0..1000_u64 {
            writer.write_all(&n.to_ne_bytes()).unwrap();
            assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), n.to_ne_bytes());
        }
        assert_eq!(so_far("syscr") - before - own, 1000, "{pending} pending");
    }
}

#[test]
fn a_write_that_waits_is_not_tried_because_there_is_something_to_read() {
    use std::os::unix::net::UnixStream;
    let port = Port::manual().unwrap();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let device = Device::from_fd_on(&port, OwnedFd::from(ours)).unwrap();
    let chunk = [0; 4096];
    let mut full = loop {
        let mut write = device.write(&chunk);
        if is_pending(&mut write) {
            break write;
        }
    };
    let mut stream = device.standing_reads(1).start();
    let before = so_far("syscw");
    for _ in 0..100 {
        theirs.write_all(&[1]).unwrap();
        assert_eq!(*port.block_on(stream.next()).unwrap().unwrap().unwrap(), [1]);
    }
    assert_eq!(so_far("syscw") - before, 0, "a write was tried because the other end had sent");
    assert!(is_pending(&mut full));
}

#[test]
fn a_read_does_not_overtake_a_read_that_is_being_served() {
    let port = Port::manual().unwrap();
    let (device, Pipe(mut writer)) = Pipe::pair(&port);
    // The other thread serves reads while this one submits more.
    let polling = std::thread::spawn(move || while port.poll(Some(LONG)) > 0 {});
    for round in 0..20_000_u32 {
        let first = device.read(1);
        writer.write_all(b"12").unwrap();
        (0..round % 256).for_each(|_| std::hint::spin_loop());
        let second = device.read(1);
        // The other thread takes the bytes: this one does not wait at the port.
        let both = futures::executor::block_on(async { [first.await.unwrap()[0], second.await.unwrap()[0]] });
        assert_eq!(both, *b"12", "round {round}");
    }
    drop(polling);
}

#[test]
fn a_read_that_finds_nothing_stays_the_first() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let port = Port::manual().unwrap();
    let devices = [reader.try_clone().unwrap(), reader].map(|fd| Device::from_fd_on(&port, fd).unwrap());
    let mut reads = devices.each_ref().map(|device| [device.read(1), device.read(1)]);
    writer.write_all(&[0]).unwrap();
    support::drain(&port);
    // The system reports both as ready. One device gets the byte, and the other's reads wait as before.
    let loser = usize::from(is_pending(&mut reads[1][0]));
    assert!(!is_pending(&mut reads[1 - loser][0]));
    devices[1 - loser].cancel_all();
    for byte in 1..=2 {
        writer.write_all(&[byte]).unwrap();
        support::drain(&port);
        assert!(!is_pending(&mut reads[loser][usize::from(byte) - 1]), "in order");
    }
}

/// Two copies of one open file are both reported as ready, and one of them finds nothing while its read is being
/// cancelled.
#[test]
fn a_cancellation_during_a_read_that_finds_nothing_is_not_lost() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let twin = Device::from_fd(reader.try_clone().unwrap()).unwrap();
    let device = Device::from_fd(reader).unwrap();
    for round in 0..20_000_u32 {
        let reads = [device.read(1), twin.read(1)];
        writer.write_all(&[1]).unwrap();
        (0..round % 128).for_each(|_| std::hint::spin_loop());
        reads.iter().for_each(|read| read.cancel());
        let taken: usize = reads.into_iter().filter_map(|read| read.wait_timeout(LONG).ok()).map(|r| r.len()).sum();
        if taken == 0 {
            assert_eq!(*device.read(1).wait().unwrap(), [1]);
        } else {
            assert_eq!(taken, 1);
        }
    }
}

/// As above, but the devices are closed meanwhile: then no read waits for them any more, and the port stops watching
/// them.
#[test]
fn closing_during_a_read_that_finds_nothing_ends_it() {
    for round in 0..3000_u32 {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let copy = reader.try_clone().unwrap();
        let devices = [reader.try_clone().unwrap(), reader].map(|fd| Device::from_fd(fd).unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        for device in &devices {
            for _ in 0..2 {
                let tell = tell.clone();
                device.read(1).then(move |end| tell.send(end.map_or(0, |bytes| bytes.len())).unwrap());
            }
        }
        writer.write_all(&[1]).unwrap();
        (0..round % 128).for_each(|_| std::hint::spin_loop());
        drop(devices);
        let taken: usize = (0..4).map(|_| told.recv_timeout(LONG).unwrap()).sum();
        assert!(taken <= 1);
        drop(copy);
    }
}

#[test]
fn a_device_that_was_closed_is_not_watched_though_a_copy_lives_on() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let copy = reader.try_clone().unwrap();
    let port = Port::manual().unwrap();
    let device = Device::from_fd_on(&port, reader).unwrap();
    drop(device.read(1));
    let mut read = device.read(1);
    assert!(is_pending(&mut read));
    drop((read, device));
    writer.write_all(b"for the copy").unwrap();
    assert!(is_idle(&port));
    drop(copy);
}

#[test]
fn a_descriptor_that_is_used_again_is_another_device() {
    let port = Port::manual().unwrap();
    for round in 0..200_u8 {
        let (reader, mut old) = std::io::pipe().unwrap();
        let number = reader.as_raw_fd();
        let device = Device::from_fd_on(&port, reader).unwrap();
        let lost = device.read(8);
        // The old pipe's event is queued. The port may or may not have fetched it when the descriptor is used for the
        // next pipe.
        old.write_all(b"old").unwrap();
        drop((lost, device));
        let (reader, mut new) = std::io::pipe().unwrap();
        let reused = reader.as_raw_fd() == number;
        let device = Device::from_fd_on(&port, reader).unwrap();
        let mut read = device.read(8);
        support::drain(&port);
        assert!(is_pending(&mut read), "round {round}, reused: {reused}");
        new.write_all(&[round]).unwrap();
        assert_eq!(*port.block_on(read).unwrap().unwrap(), [round]);
    }
    settle(&port);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0));
}

#[test]
fn closing_while_the_dispatcher_reads() {
    for _ in 0..300 {
        let (device, Pipe(mut writer)) = Pipe::pair(&Port::global().unwrap());
        let stream = device.standing_reads(4).pending(3).start();
        let tally = stream.tally();
        let thread = std::thread::spawn(move || while writer.write_all(&[1; 4]).is_ok() {});
        std::thread::yield_now();
        drop((stream, device));
        thread.join().unwrap();
        support::until("the reads are over", || tally.calls_in_flight() == 0);
    }
}

#[test]
fn a_file_that_always_has_more_does_not_starve_another() {
    let port = Port::manual().unwrap();
    let (flood, Pipe(mut much)) = Pipe::pair(&port);
    let (quiet, Pipe(mut little)) = Pipe::pair(&port);
    let mut flood = flood.standing_reads(1).pending(8).window(10_000).start();
    let mut read = quiet.read(1);
    assert!(is_pending(&mut read));
    much.write_all(&[1; 10_000]).unwrap();
    little.write_all(b"x").unwrap();
    assert!(port.poll(Some(LONG)) <= 2, "at most one completion of each file");
    assert!(!is_pending(&mut read));
    for _ in 0..10_000 {
        port.block_on(flood.next()).unwrap().unwrap().unwrap();
    }
}

#[test]
fn packets_do_not_keep_files_from_their_turn_nor_files_packets() {
    let port = Port::manual().unwrap();
    let driver = support::Device::new();
    let simulated = Device::simulated_on(&port, driver.clone()).unwrap();
    let (pipe, Pipe(mut writer)) = Pipe::pair(&port);
    let calls: Vec<_> = (0..1000).map(|_| simulated.call(support::WAIT, &())).collect();
    let mut read = pipe.read(1);
    assert!(is_pending(&mut read));
    while driver.complete_one(1) {}
    writer.write_all(b"x").unwrap();
    assert!(port.poll(Some(LONG)) > 0);
    assert!(!is_pending(&mut read), "a thousand packets delayed the file");
    settle(&port);
    drop(calls);
    // Two hundred files that are ready, and one packet.
    let mut pipes: Vec<_> = (0..200).map(|_| Pipe::pair(&port)).collect();
    let streams: Vec<_> = pipes.iter().map(|(device, _)| device.standing_reads(1).window(100).start()).collect();
    pipes.iter_mut().for_each(|(_, Pipe(writer))| writer.write_all(&[1; 50]).unwrap());
    let mut call = simulated.call(support::WAIT, &());
    driver.complete_one(1);
    assert!(port.poll(Some(LONG)) > 0);
    assert!(!is_pending(&mut call), "two hundred ready files delayed the packet");
    drop(streams);
}

#[test]
fn a_wait_survives_an_interruption() {
    let (port, device, _writer) = manual();
    let _read = device.read(1);
    let script = format!("sleep 0.05; kill -STOP {0}; sleep 0.02; kill -CONT {0}", std::process::id());
    let mut child = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let begin = Instant::now();
    assert_eq!(port.poll(Some(Duration::from_millis(300))), 0);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    child.wait().unwrap();
}

#[test]
fn several_threads_may_poll_one_port() {
    let port = Port::manual().unwrap();
    let pairs: Vec<_> = (0..8).map(|_| Pipe::pair(&port)).collect();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    port.poll(Some(SHORT));
                }
            });
        }
        let readers: Vec<_> = pairs
            .into_iter()
            .map(|(device, Pipe(mut writer))| {
                scope.spawn(move || (0..2000_u32).for_each(|n| writer.write_all(&n.to_ne_bytes()).unwrap()));
                scope.spawn(move || {
                    let mut stream = device.standing_reads(4).pending(3).window(5).start();
                    for n in 0..2000_u32 {
                        assert_eq!(*stream.wait_next().unwrap().unwrap(), n.to_ne_bytes());
                    }
                    assert!(stream.wait_next().is_none());
                })
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        over.store(true, SeqCst);
    });
    settle(&port);
    let stats = port.stats();
    assert_eq!((stats.in_flight, stats.strays), (0, 0));
}

// Ioctls.

#[test]
fn requests_have_the_numbers_of_the_headers() {
    assert_eq!(TIOCGPTN.request(), 0x8004_5430);
    assert_eq!(TIOCSPTLCK.request(), 0x4004_5431);
    assert_eq!(UNKNOWN.request(), 0xc008_ffee);
    // SAFETY: linux/watchdog.h: WDIOC_KEEPALIVE is _IOR('W', 5, int); BLKFLSBUF, linux/fs.h, is _IO(0x12, 97).
    let flush: Ioctl<()> = unsafe { Ioctl::new(Direction::None, 0x12, 97) };
    assert_eq!(flush.request(), 0x1261);
    assert_eq!(format!("{TIOCGPTN:?}"), "Ioctl(0x80045430)");
}

#[test]
fn an_ioctl_at_once_goes_both_ways() {
    let (_port, device, mut writer) = manual();
    writer.write_all(b"12345").unwrap();
    assert_eq!(device.ioctl(FIONREAD, -1).unwrap(), 5);
    let (master, path) = open_terminal();
    let slave = Device::open(&path).unwrap();
    assert_eq!(slave.ioctl(TIOCOUTQ, -1).unwrap(), 0);
    // Written and read back: a raw terminal, except for the control modes.
    let termios = slave.ioctl(TCGETS, [[0xaa; 4]; 9]).unwrap();
    assert_eq!((termios[0], termios[1], termios[3]), ([0; 4], [0; 4], [0; 4]));
    assert_ne!(termios[2], [0xaa; 4]);
    slave.ioctl(TIOCEXCL, ()).unwrap();
    drop(master);
}

#[test]
fn the_return_value_of_an_ioctl_is_not_lost() {
    // SAFETY: ioctl_nsfs(2): no argument; it returns the kind of namespace.
    const NS_GET_NSTYPE: Ioctl<()> = unsafe { Ioctl::new(Direction::None, 0xb7, 0x3) };
    const CLONE_NEWUTS: u32 = 0x0400_0000;
    let namespace = Device::options().write(false).open("/proc/self/ns/uts").unwrap();
    assert_eq!(namespace.ioctl_with_value(NS_GET_NSTYPE, ()).unwrap(), (CLONE_NEWUTS, ()));
    let reply = namespace.ioctl_when(Interest::Readable, NS_GET_NSTYPE, ()).wait().unwrap();
    assert_eq!(reply.information(), CLONE_NEWUTS as usize);
    // This one returns 0 and answers in its argument. The argument comes back unchanged in length.
    let (_port, device, mut writer) = manual();
    writer.write_all(b"12345").unwrap();
    assert_eq!(device.ioctl_with_value(FIONREAD, -1).unwrap(), (0, 5));
}

#[test]
fn an_unknown_ioctl_is_unsupported() {
    let (_port, device, _writer) = manual();
    let error = device.ioctl(UNKNOWN, 0).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, Some(ErrorCode::Errno(25))));
    assert!(error.to_string().starts_with("ioctl 0xc008ffee on \"fd "), "{error}");
    assert!(error.to_string().ends_with("not supported: ENOTTY (25)"), "{error}");
}

#[test]
fn control_codes_and_ioctls_do_not_meet() {
    let (_port, device, _writer) = manual();
    // SAFETY: no Linux file knows control codes; nothing is read or written.
    let code: overlapped::Ioctl<(), u32> =
        unsafe { overlapped::Ioctl::new(CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Any)) };
    assert_eq!(device.call(code, &()).wait().unwrap_err().kind(), ErrorKind::Unsupported);
    let simulated = Device::simulated(support::Device::new()).unwrap();
    assert_eq!(simulated.ioctl(FIONREAD, 0).unwrap_err().kind(), ErrorKind::Unsupported);
    let call = simulated.ioctl_when(Interest::Readable, FIONREAD, 0);
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn an_ioctl_waits_until_the_file_is_ready() {
    let (port, device, mut writer) = manual();
    let mut call = device.ioctl_when(Interest::Readable, FIONREAD, -1);
    settle(&port);
    assert!(is_pending(&mut call));
    let listed = port.pending();
    let what = Operation::Ioctl { request: FIONREAD.request(), when: Some(Interest::Readable) };
    assert_eq!((listed.len(), listed[0].operation), (1, what));
    assert_eq!(what.to_string(), "ioctl 0x0000541b when readable");
    writer.write_all(b"123").unwrap();
    assert_eq!(*port.block_on(call).unwrap().unwrap(), 3);
    // The ioctl takes its turn: the read before it takes two of the three bytes.
    let (read, count) = (device.read(2), device.ioctl_when(Interest::Readable, FIONREAD, -1));
    assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"12");
    assert_eq!(*port.block_on(count).unwrap().unwrap(), 1);
    let error = port.block_on(device.ioctl_when(Interest::Readable, UNKNOWN, 0)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn an_ioctl_waits_for_room_and_can_be_cancelled() {
    let (port, device, reader) = writing();
    let writable = device.ioctl_when(Interest::Writable, FIONREAD, -1);
    assert_eq!(*port.block_on(writable).unwrap().unwrap(), 0);
    while !is_pending(&mut device.write(&[0; 4096])) {}
    settle(&port);
    let mut full = device.ioctl_when(Interest::Writable, FIONREAD, -1);
    settle(&port);
    assert!(is_pending(&mut full));
    full.cancel();
    assert_eq!(port.block_on(full).unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(reader);
}

#[test]
fn an_ioctl_that_waited_returns_its_argument() {
    let port = Port::manual().unwrap();
    let (_master, path) = open_terminal();
    let terminal = Device::options().port(&port).open(path).unwrap();
    let mut termios = terminal.ioctl(TCGETS, Termios::default()).unwrap();
    // ECHO is one of the local modes.
    termios[3] = 0o10_u32.to_ne_bytes();
    let set = port.block_on(terminal.ioctl_when(Interest::Writable, TCSETS, termios)).unwrap().unwrap();
    assert_eq!(set.into_inner(), termios);
    assert_eq!(terminal.ioctl(TCGETS, Termios::default()).unwrap(), termios);
    let none = port.block_on(terminal.ioctl_when(Interest::Writable, TIOCEXCL, ())).unwrap().unwrap();
    assert_eq!(none.information(), 0);
}

#[test]
fn an_ioctl_on_a_file_that_is_always_ready_runs_at_once() {
    let path = Path::new();
    let file = Device::options().disposition(Disposition::CreateNew).open(&path.0).unwrap();
    file.write(b"12345678").wait().unwrap();
    // For a regular file, FIONREAD gives the number of bytes after the file's position.
    let mut call = file.ioctl_when(Interest::Readable, FIONREAD, -1);
    assert!(!is_pending(&mut call));
    assert_eq!(file.ioctl(FIONREAD, -1).unwrap(), 0);
}

// Errors and processes.

#[test]
fn a_simulated_device_may_answer_with_linux_errors() {
    use overlapped::sim;
    let device = Device::simulated(sim::from_fn(|request| request.complete(Status::from_errno(108)))).unwrap();
    let error = device.call(support::WAIT, &()).wait().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Disconnected, Some(ErrorCode::Errno(108))));
    assert!(error.to_string().ends_with("ESHUTDOWN (108)"), "{error}");
}

/// Runs `child` in a forked process. It returns 0 for success, or a number that tells where it failed.
fn in_a_fork(child: impl FnMut() -> i32 + Send + Sync + 'static) {
    use std::os::unix::process::CommandExt;
    let mut child = child;
    let mut command = std::process::Command::new("true");
    // SAFETY: the closure runs between fork and exec; it makes calls that fail at once, with an allocator that is made
    // for it, and locks nothing that another thread holds for longer than an instant.
    unsafe {
        command.pre_exec(move || match child() {
            0 => Ok(()),
            place => Err(std::io::Error::from_raw_os_error(place)),
        });
    }
    assert!(command.status().unwrap_or_else(|error| panic!("in the child: {:?}", error.raw_os_error())).success());
}

fn is_refused<T>(result: impl Borrow<Result<T, Error>>) -> bool {
    let refused = |error: &Error| error.kind() == ErrorKind::Unsupported && error.to_string().contains("forked");
    result.borrow().as_ref().err().is_some_and(refused)
}

#[test]
fn in_the_child_of_a_fork_calls_fail_and_the_parents_go_on() {
    for port in [Port::global().unwrap(), Port::manual().unwrap()] {
        let (device, Pipe(mut writer)) = Pipe::pair(&port);
        let parents_port = port.clone();
        // What the child finds here is its own copy. Dropping the copy must not harm the parent.
        let here = Arc::new(Mutex::new(Some((device.read(64), device.standing_reads(4).start(), device))));
        let copy = here.clone();
        in_a_fork(move || {
            let Some((mut read, mut stream, device)) = copy.lock().unwrap().take() else { return 1 };
            if !is_refused(device.read(1).wait()) || !is_refused(device.write(b"x").wait()) {
                return 2;
            }
            match pin!(&mut read).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) if is_refused(&result) => {}
                _ => return 3,
            }
            if !is_refused(device.read(1).wait_timeout(SHORT)) || !stream.wait_next().is_some_and(is_refused) {
                return 4;
            }
            if parents_port.poll(None) != 0 || !is_refused(Device::options().port(&parents_port).open("/dev/null")) {
                return 5;
            }
            device.cancel_all();
            drop((read, stream, device));
            // With a port of its own the child may do anything.
            let Ok(own) = Port::manual() else { return 6 };
            let Ok((reader, mut writer)) = std::io::pipe() else { return 7 };
            let Ok(device) = Device::from_fd_on(&own, reader) else { return 8 };
            let read = device.read(8);
            if writer.write_all(b"own").is_err()
                || !own.block_on(read).is_ok_and(|read| read.is_ok_and(|bytes| *bytes == *b"own"))
            {
                return 9;
            }
            if Port::global().is_ok_and(|port| port.stats().slots == 0) { 0 } else { 10 }
        });
        let (read, stream, device) = here.lock().unwrap().take().unwrap();
        writer.write_all(b"to the parent").unwrap();
        assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"to the parent");
        drop(stream);
        let read = device.read(64);
        writer.write_all(b"again").unwrap();
        assert_eq!(&*port.block_on(read).unwrap().unwrap(), b"again");
    }
}

mod unbuffered {
    use super::*;
    use overlapped::Buffer;

    const BLOCK: usize = 4096;

    /// A file of 64 blocks, each filled with its number, opened for transfers that bypass the page cache. `None` if the
    /// file system does not have such transfers, or accepts buffers of any alignment.
    fn open(name: &str) -> Option<Device> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let blocks: Vec<u8> = (0..64).flat_map(|number| [number; BLOCK]).collect();
        std::fs::write(&path, blocks).unwrap();
        let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
        let file = std::fs::File::options().read(true).write(true).custom_flags(flags).open(&path);
        let _ = std::fs::remove_file(&path);
        let device = Device::from_fd(file.ok()?).unwrap();
        // If the system accepts a transfer that is not aligned, these tests would show nothing.
        let odd = device.read_into_at(0, Buffer::aligned(BLOCK + 1, BLOCK).unwrap()).wait();
        odd.status().is_err().then_some(device)
    }

    #[test]
    fn buffers_of_the_crate_are_aligned_for_unbuffered_files() {
        let Some(device) = open("unbuffered-plain") else { return println!("no unbuffered files here") };
        for len in [BLOCK, 5 * BLOCK, 64 * BLOCK] {
            let reply = device.read_at(BLOCK as u64, len).wait().unwrap();
            assert_eq!((reply.len(), reply[0]), (len.min(63 * BLOCK), 1), "{len}");
        }
        assert_eq!(device.write_at(BLOCK as u64, &[7; BLOCK]).wait().unwrap().information(), BLOCK);
        assert_eq!(device.read_at(BLOCK as u64, BLOCK).wait().unwrap()[..], [7; BLOCK]);
    }

    #[test]
    fn standing_reads_are_aligned_for_unbuffered_files() {
        let Some(device) = open("unbuffered-stream") else { return println!("no unbuffered files here") };
        let mut stream = device.standing_reads(4 * BLOCK).start();
        let mut blocks = 0;
        while let Some(item) = stream.wait_next() {
            for block in item.unwrap().chunks(BLOCK) {
                assert_eq!(usize::from(block[0]), blocks);
                blocks += 1;
            }
        }
        assert_eq!(blocks, 64);
    }

    #[test]
    fn the_callers_aligned_buffers_are_passed_as_they_are() {
        let Some(device) = open("unbuffered-own") else { return println!("no unbuffered files here") };
        let mut buffer = Buffer::aligned(2 * BLOCK, BLOCK).unwrap();
        buffer.fill(9);
        let written = device.write_from_at(0, buffer).wait();
        assert_eq!((written.status().is_ok(), written.information), (true, 2 * BLOCK));
        let read = device.read_into_at(BLOCK as u64, written.input).wait();
        assert_eq!((read.len(), read.output[0], read.output[BLOCK]), (2 * BLOCK, 9, 2));
    }
}
