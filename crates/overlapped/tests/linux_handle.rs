//! The open file of a device on Linux: its owners, when it is closed, and the flag it gets back. Also: signals.
#![cfg(all(target_os = "linux", not(miri)))]

#[allow(unused_macros, unused_imports, reason = "its suite is for streams")]
#[path = "support/stream.rs"]
mod stream;
mod support;

use std::fs::File;
use std::io::{ErrorKind as Io, Read, Write};
use std::os::fd::{AsFd, AsRawFd};

use overlapped::{Device, ErrorKind};
use rustix::fs::{OFlags, fcntl_getfl};
use stream::LONG;

fn is_blocking(file: impl AsFd) -> bool {
    !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
}

// The O_NONBLOCK flag.

#[test]
fn the_flag_of_an_adopted_file_is_given_back_as_it_was_found() {
    let (reader, writer) = std::io::pipe().unwrap();
    let device = Device::from_fd(reader.try_clone().unwrap()).unwrap();
    assert!(!is_blocking(&reader));
    drop(device);
    assert!(is_blocking(&reader));
    let back = Device::from_fd(reader.try_clone().unwrap()).unwrap().into_fd().unwrap();
    assert!(is_blocking(&reader) && is_blocking(&back));
    // A file that was non-blocking before stays so.
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    drop(Device::from_fd(writer.try_clone().unwrap()).unwrap());
    assert!(!is_blocking(&writer));
}

#[test]
fn the_last_device_of_an_open_file_gives_the_flag_back() {
    let (reader, writer) = std::io::pipe().unwrap();
    let adopt = || Device::from_fd(reader.try_clone().unwrap()).unwrap();
    // The other end of the same pipe is another open file, not a copy.
    let other = Device::from_fd(writer.try_clone().unwrap()).unwrap();
    for last in 0..3 {
        let mut devices = [(); 3].map(|()| Some(adopt()));
        for n in (0..3).filter(|n| *n != last) {
            devices[n] = None;
            assert!(!is_blocking(&reader), "another device uses the file: it must not block the dispatcher");
        }
        drop(devices);
        assert!(is_blocking(&reader) && !is_blocking(&writer));
    }
    drop(other);
    assert!(is_blocking(&writer));
}

// The file.

#[test]
fn the_file_can_be_looked_at_and_given_back() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let number = reader.as_raw_fd();
    let device = Device::from_fd(reader).unwrap();
    assert_eq!(device.as_fd().unwrap().as_raw_fd(), number);
    let clone = device.clone();
    let error = clone.into_fd().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("drop its other clones, calls and streams first"), "{error}");
    drop(device.read(1));
    let fd = device.into_fd().unwrap();
    assert_eq!(fd.as_raw_fd(), number);
    writer.write_all(b"for the file").unwrap();
    let mut bytes = [0; 12];
    File::from(fd).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"for the file", "the device took some of the bytes");
    let simulated = Device::simulated(support::Device::new()).unwrap();
    assert_eq!(simulated.as_fd().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(simulated.into_fd().unwrap_err().kind(), ErrorKind::Unsupported);
}

// Closing.

#[test]
fn the_file_is_closed_with_its_last_owner_though_the_dispatcher_reads_it() {
    for round in 0..20_000_u32 {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let device = Device::from_fd(reader).unwrap();
        let read = device.read(1);
        writer.write_all(b"1").unwrap();
        (0..round % 256).for_each(|_| std::hint::spin_loop());
        drop((read, device));
        assert_eq!(writer.write_all(b"2").unwrap_err().kind(), Io::BrokenPipe, "round {round}");
    }
}

#[test]
fn on_the_dispatcher_another_thread_closes() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let device = Device::from_fd(reader).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (trigger, mut pull) = std::io::pipe().unwrap();
    let trigger = Device::from_fd(trigger).unwrap();
    trigger.read(1).then(move |_| {
        drop(device);
        tell.send(()).unwrap();
    });
    pull.write_all(b"!").unwrap();
    told.recv_timeout(LONG).unwrap();
    support::until("the file is closed", || writer.write_all(b"x").is_err());
}

// Files that are always ready.

fn so_far() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

#[test]
fn the_dispatcher_reads_no_file_that_may_block() {
    let zero = Device::open("/dev/zero").unwrap();
    let regular = Device::options().write(false).open("/proc/self/exe").unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (trigger, mut pull) = std::io::pipe().unwrap();
    let trigger = Device::from_fd(trigger).unwrap();
    trigger.read(1).then(move |_| {
        let before = so_far();
        let own = so_far() - before;
        let before = so_far();
        let reads = [zero.read(8), zero.read(8), regular.read(4), regular.read(4), regular.read_at(1, 3)];
        tell.send((so_far() - before - own, reads)).unwrap();
    });
    pull.write_all(b"!").unwrap();
    let (made, reads) = told.recv_timeout(LONG).unwrap();
    assert_eq!(made, 0, "system calls that read, on the dispatcher");
    let [a, b, c, d, e] = reads.map(|read| read.wait_timeout(LONG).unwrap().to_vec());
    assert_eq!((a, b, c, e), (vec![0; 8], vec![0; 8], b"\x7fELF".to_vec(), b"ELF".to_vec()));
    assert_ne!(d, b"\x7fELF", "the second read did not go on after the first");
}

#[test]
fn a_stream_of_a_file_is_in_order_whichever_thread_reads() {
    let path = std::env::temp_dir().join(format!("overlapped-in-order-{}", std::process::id()));
    let bytes: Vec<u8> = (0..40_000_u32).flat_map(u32::to_ne_bytes).collect();
    std::fs::write(&path, &bytes).unwrap();
    let file = Device::options().write(false).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    // The window is larger than the number of reads submitted in a row: the dispatcher submits the others.
    let mut stream = file.standing_reads(4).window(100).start();
    let mut seen = Vec::new();
    while let Some(item) = stream.wait_next_timeout(LONG) {
        seen.extend_from_slice(&item.unwrap());
    }
    assert!(seen == bytes, "{} of {} bytes", seen.len(), bytes.len());
}

// Signals.

/// The signals that each of this crate's threads blocks, by `/proc`.
fn blocked() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).ok();
    let threads = tasks.filter_map(|task| {
        let status = read(task.ok()?.path().join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some((field("Name:")?.to_owned(), u64::from_str_radix(field("SigBlk:")?, 16).ok()?))
    });
    threads.filter(|(name, _)| name.starts_with("overlapped")).collect()
}

#[test]
fn our_threads_block_all_signals_and_other_threads_none() {
    // This needs the dispatcher's thread and the thread for files.
    let (trigger, mut pull) = std::io::pipe().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let trigger = Device::from_fd(trigger).unwrap();
    trigger.read(1).then(move |_| {
        tell.send(Device::open("/dev/zero").unwrap().read(1)).unwrap();
    });
    pull.write_all(b"!").unwrap();
    told.recv_timeout(LONG).unwrap().wait().unwrap();
    let threads = blocked();
    for expected in ["overlapped", "overlapped-file"] {
        assert!(threads.iter().any(|(name, _)| name == expected), "{threads:?}");
    }
    for (name, blocked) in threads {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD, libc::SIGPIPE] {
            assert!(blocked & 1 << (signal - 1) != 0, "{name} does not block signal {signal}: {blocked:#x}");
        }
    }
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    assert_eq!(own.trim(), "0000000000000000", "this thread's signals have changed");
}
