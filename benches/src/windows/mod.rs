//! Real calls on Windows: with bare system calls, with this crate and with others.
//!
//! Each way implements [`io::Io`]; the programs are written once.

mod bare;
mod blocking;
mod compio;
mod file;
mod io;
mod ours;
mod overlapped_io;

use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::thread;
use std::time::Instant;

use linewake_controller::protocol::{
    CONFIGURE, DRIVE, DRIVE_TOGGLE, Drive, EdgeRecord, LINE_EDGES, LINE_INPUT, LINE_RELEASE, LineConfig, WAIT_LINE,
    WaitLine,
};
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, ReadFile, WriteFile};
use zerocopy::FromBytes;

use self::io::{Bytes, Io, ROOM, error};
use crate::turns::{Program, program};
use test_support::{pipe, service};

/// FSCTL_PIPE_LISTEN and FSCTL_PIPE_TRANSCEIVE (`ntifs.h`).
const LISTEN: u32 = 0x0011_0008;
const TRANSCEIVE: u32 = 0x0011_c017;

/// Starts the driver that LINEWAKE_SYS names. It is stopped when the value is dropped.
pub fn start_driver() -> impl Drop {
    service::Service::start_from_environment().expect("LINEWAKE_SYS names the driver")
}

/// A program of a comparison on Windows.
pub fn find(comparison: &str, name: &str) -> Option<Program> {
    if let Some(mode) = comparison.strip_prefix("file-") {
        return file::find(mode == "skip", name);
    }
    if comparison == "callback" {
        let server = || pipe::server(&pipe::pipe_name(), FILE_FLAG_OVERLAPPED);
        return (name == "overlapped").then(|| ours::called_back(server(), LISTEN));
    }
    Some(match name {
        "bare" => compared::<bare::OneThread>(comparison),
        "bare-dispatcher" => compared::<bare::Dispatcher>(comparison),
        "overlapped-manual" => compared::<ours::Manual>(comparison),
        "overlapped" => compared::<ours::Default>(comparison),
        "compio" => compared::<compio::Driver>(comparison),
        "windows-overlapped-io-sys" => compared::<overlapped_io::Endpoint>(comparison),
        "blocking" => compared::<blocking::Threads>(comparison),
        _ => return None,
    })
}

fn compared<T: Io>(comparison: &str) -> Program {
    match comparison.split_once(':').map_or((comparison, 1), |(name, n)| (name, n.parse().expect("a number"))) {
        ("transceive", _) => transceive::<T>(),
        ("listen", _) => listen_and_cancel::<T>(),
        ("driver", pending) => wait_and_drive::<T>(pending),
        _ => panic!("no comparison \"{comparison}\""),
    }
}

/// A question through a pipe. It pends until the other end, a thread with a synchronous handle, has answered.
fn transceive<T: Io>() -> Program {
    let name = pipe::pipe_name();
    let server = pipe::server(&name, FILE_FLAG_OVERLAPPED);
    let client = pipe::client(&name);
    thread::spawn(move || echo(&client));
    let mut io = T::on(server);
    program(move |count| {
        for _ in 0..count {
            let call = io.start(TRANSCEIVE, b"question", true);
            let answer = io.finish(call).expect("nobody cancels it");
            assert_eq!(&answer[..8], b"question");
        }
    })
}

fn echo(client: &OwnedHandle) {
    use std::os::windows::io::AsRawHandle;
    let mut bytes: Bytes = [0; ROOM];
    loop {
        let (mut read, mut written) = (0, 0);
        // SAFETY: a synchronous handle; buffer and counts live through the calls.
        let went_on = unsafe {
            ReadFile(client.as_raw_handle(), bytes.as_mut_ptr(), ROOM as u32, &mut read, null_mut()) != 0
                && WriteFile(client.as_raw_handle(), bytes.as_ptr(), read, &mut written, null_mut()) != 0
        };
        if !went_on {
            return;
        }
    }
}

/// A wait for a client that never comes, and its cancellation.
fn listen_and_cancel<T: Io>() -> Program {
    let mut io = T::on(pipe::server(&pipe::pipe_name(), FILE_FLAG_OVERLAPPED));
    program(move |count| {
        for _ in 0..count {
            let call = io.start(LISTEN, b"", false);
            io.cancel(&call);
            assert!(io.finish(call).is_none(), "nobody connects");
        }
    })
}

/// Waits for edges, which pend in the driver, so many at a time; and the call that makes the edges.
///
/// All programs use the same lines, and every watcher sees the edges. So a line is watched only during a turn.
fn wait_and_drive<T: Io>(pending: u32) -> Program {
    let lines = pending.min(1000);
    let each = pending / lines;
    let mut io = T::on(open(r"\\.\LineWake0"));
    let configured = |flags| leaked(&(0..lines).map(|offset| LineConfig { offset, flags }).collect::<Vec<_>>()[..]);
    let (watched, released) = (configured(LINE_INPUT | LINE_EDGES), configured(LINE_RELEASE));
    let waits: Vec<_> = (0..lines).map(|offset| leaked(&WaitLine { offset, ..Default::default() })).collect();
    let toggled = |offset| Drive { offset, action: DRIVE_TOGGLE, count: each, reserved: 0 };
    let drives = leaked(&(0..lines).map(toggled).collect::<Vec<_>>()[..]);
    let mut calls = Vec::with_capacity(pending as usize);
    Box::new(move |count| {
        let configure = io.start(CONFIGURE.to_u32(), watched, false);
        io.finish(configure).expect("nobody cancels it");
        let started = Instant::now();
        for _ in 0..count / u64::from(pending) {
            for _ in 0..each {
                calls.extend(waits.iter().map(|wait| io.start(WAIT_LINE.to_u32(), wait, true)));
            }
            let drive = io.start(DRIVE.to_u32(), drives, false);
            io.finish(drive).expect("nobody cancels it");
            for (call, offset) in calls.drain(..).zip((0..lines).cycle()) {
                let bytes = io.finish(call).expect("nobody cancels it");
                let (edge, _) = EdgeRecord::read_from_prefix(&bytes).expect("the record is shorter");
                assert_eq!((edge.offset, edge.overflowed, edge.merged), (offset, 0, 0));
            }
        }
        let taken = started.elapsed();
        let release = io.start(CONFIGURE.to_u32(), released, false);
        io.finish(release).expect("nobody cancels it");
        taken
    })
}

fn leaked<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(records: &T) -> &'static [u8] {
    records.as_bytes().to_vec().leak()
}

fn open(path: &str) -> OwnedHandle {
    let path = pipe::wide(path);
    // SAFETY: the path is a NUL-terminated string that lives through the call.
    let handle =
        unsafe { CreateFileW(path.as_ptr(), 0xc000_0000, 3, null(), OPEN_EXISTING, FILE_FLAG_OVERLAPPED, null_mut()) };
    assert_ne!(handle, INVALID_HANDLE_VALUE, "error {}", error());
    // SAFETY: the handle is new and ours.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}
