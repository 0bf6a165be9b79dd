//! Real calls on Windows, by bare system calls, by this crate and by others.
//!
//! Every way to make them implements [`Io`]; the programs are written once.

mod bare;
mod blocking;
mod compio;
mod file;
mod ours;
mod overlapped_io;
#[path = "../../../crates/overlapped/tests/support/pipe.rs"]
mod pipe;
#[allow(dead_code, reason = "it is shared with a test that needs more of it")]
#[path = "../../../crates/overlapped/tests/support/service.rs"]
mod service;

use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::thread;

use linewake_controller::protocol::{
    CONFIGURE, DRIVE, DRIVE_TOGGLE, Drive, EdgeRecord, LINE_EDGES, LINE_INPUT, LineConfig, WAIT_LINE, WaitLine,
};
use windows_sys::Win32::Foundation::{GetLastError, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_EXISTING, ReadFile, WriteFile};

use crate::turns::{Program, program};

/// FSCTL_PIPE_LISTEN and FSCTL_PIPE_TRANSCEIVE (`ntifs.h`).
const LISTEN: u32 = 0x0011_0008;
const TRANSCEIVE: u32 = 0x0011_c017;

/// Room for what the calls here bring.
const ROOM: usize = 64;
type Bytes = [u8; ROOM];

/// A way to make overlapped calls on one handle.
trait Io: 'static {
    /// A call in flight.
    type Call;

    /// Over a handle that was opened for overlapped I/O.
    fn on(handle: OwnedHandle) -> Self;

    /// Submits a control code. It has room for [`ROOM`] bytes of output, or none.
    fn start(&mut self, code: u32, input: &'static [u8], output: bool) -> Self::Call;

    fn cancel(&mut self, call: &Self::Call);

    /// Waits until the call is over. `None`: it was cancelled.
    ///
    /// # Panics
    /// When it failed otherwise.
    fn finish(&mut self, call: Self::Call) -> Option<Bytes>;
}

/// Starts the driver that LINEWAKE_SYS names. It is stopped when the value is dropped.
pub fn start_driver() -> impl Drop {
    service::Service::start_from_environment().expect("LINEWAKE_SYS names the driver")
}

/// A program of a comparison on Windows.
pub fn find(comparison: &str, name: &str) -> Option<Program> {
    if let Some(mode) = comparison.strip_prefix("file-") {
        return file::find(mode == "skip", name);
    }
    Some(match name {
        "bare" => compared::<bare::OneThread>(comparison, 0),
        "bare-dispatcher" => compared::<bare::Dispatcher>(comparison, 1),
        "overlapped-manual" => compared::<ours::Manual>(comparison, 2),
        "overlapped" => compared::<ours::Default>(comparison, 3),
        "compio" => compared::<compio::Driver>(comparison, 4),
        "windows-overlapped-io-sys" => compared::<overlapped_io::Endpoint>(comparison, 5),
        "blocking" => compared::<blocking::Threads>(comparison, 6),
        _ => return None,
    })
}

fn compared<T: Io>(comparison: &str, line: u32) -> Program {
    match comparison.split_once(':').map_or((comparison, 1), |(name, n)| (name, n.parse().expect("a number"))) {
        ("transceive", _) => transceive::<T>(),
        ("listen", _) => listen_and_cancel::<T>(),
        ("driver", 1) => wait_and_drive::<T>(line, 1),
        ("driver", pending) => wait_and_drive::<T>(0, pending),
        _ => panic!("no comparison \"{comparison}\""),
    }
}

/// A question down a pipe; it pends until the other end, a thread with a synchronous handle, has answered.
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

/// Waits for edges, pending in the driver, so many at a time; and the call that makes the edges.
fn wait_and_drive<T: Io>(line: u32, pending: u32) -> Program {
    let lines = pending.min(1000);
    let each = pending / lines;
    let mut io = T::on(open(r"\\.\LineWake0"));
    let offsets = move || line..line + lines;
    let all: Vec<_> = offsets().map(|offset| LineConfig { offset, flags: LINE_INPUT | LINE_EDGES }).collect();
    let call = io.start(CONFIGURE, leaked(&all[..]), false);
    io.finish(call).expect("nobody cancels it");
    let waits: Vec<_> = offsets().map(|offset| leaked(&WaitLine { offset, ..Default::default() })).collect();
    let drives: Vec<_> =
        offsets().map(|offset| Drive { offset, action: DRIVE_TOGGLE, count: each, reserved: 0 }).collect();
    let drives = leaked(&drives[..]);
    let mut calls = Vec::with_capacity(pending as usize);
    program(move |count| {
        for _ in 0..count / u64::from(pending) {
            for _ in 0..each {
                calls.extend(waits.iter().map(|wait| io.start(WAIT_LINE, wait, true)));
            }
            let drive = io.start(DRIVE, drives, false);
            io.finish(drive).expect("nobody cancels it");
            for (call, offset) in calls.drain(..).zip(offsets().cycle()) {
                let bytes = io.finish(call).expect("nobody cancels it");
                let (edge, _) = zerocopy::FromBytes::read_from_prefix(&bytes).expect("the record is shorter");
                let edge: EdgeRecord = edge;
                assert_eq!((edge.offset, edge.overflowed, edge.merged), (offset, 0, 0));
            }
        }
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

fn error() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetLastError() }
}

/// Threads of this process.
pub fn threads() -> usize {
    use windows_sys::Win32::Foundation::CloseHandle;
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    let mut count = 0;
    // SAFETY: the snapshot is a handle of ours; the entry lives through the calls and says its size.
    unsafe {
        let snapshot: HANDLE = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
        assert_ne!(snapshot, INVALID_HANDLE_VALUE);
        let mut more = Thread32First(snapshot, &mut entry);
        while more != 0 {
            count += usize::from(entry.th32OwnerProcessID == std::process::id());
            more = Thread32Next(snapshot, &mut entry);
        }
        CloseHandle(snapshot);
    }
    count
}
