//! A call that ends at once: FSCTL_SET_SPARSE on a file. Under Wine it is the cheapest call, so that the cost of each
//! way shows.
//!
//! Every handle is overlapped and bound to a port with a thread that takes its packets, in the default mode or with
//! FILE_SKIP_COMPLETION_PORT_ON_SUCCESS.

use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::thread;

use overlapped::{CtlCode, Device, Ioctl};
use windows_sys::Wdk::Storage::FileSystem::NtFsControlFile;
use windows_sys::Win32::Foundation::STATUS_PENDING;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_DELETE_ON_CLOSE, FILE_FLAG_OVERLAPPED, SetFileCompletionNotificationModes,
};
use windows_sys::Win32::System::IO::{
    DeviceIoControl, GetQueuedCompletionStatusEx, IO_STATUS_BLOCK, IO_STATUS_BLOCK_0, OVERLAPPED, OVERLAPPED_ENTRY,
};
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

use super::bare::Port;
use super::io::error;
use crate::turns::{Program, program};

const SET_SPARSE: u32 = 0x0009_00c4;

pub(super) fn find(skip: bool, name: &str) -> Option<Program> {
    let file = file(skip);
    Some(match name {
        "nt" => nt(file),
        "win32" => win32(file),
        "overlapped" => ours(file),
        _ => return None,
    })
}

fn file(skip: bool) -> OwnedHandle {
    let path: PathBuf = std::env::temp_dir().join(format!("overlapped-bench-{}", std::process::id()));
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE)
        .open(path)
        .unwrap();
    let handle = OwnedHandle::from(file);
    if skip {
        let mode = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS as u8;
        // SAFETY: the handle is open.
        let ok = unsafe { SetFileCompletionNotificationModes(handle.as_raw_handle(), mode) };
        assert_ne!(ok, 0, "error {}", error());
    }
    handle
}

/// A port with a thread that takes its packets.
fn bind(handle: &OwnedHandle) {
    let port = Port::with(handle);
    thread::spawn(move || {
        let port = port;
        let mut entries = [OVERLAPPED_ENTRY::default(); 64];
        let mut count = 0;
        // SAFETY: the entries have room for the number stated.
        while unsafe { GetQueuedCompletionStatusEx(port.0, entries.as_mut_ptr(), 64, &mut count, INFINITE, 0) } != 0 {}
    });
}

fn nt(file: OwnedHandle) -> Program {
    bind(&file);
    program(move |count| {
        let pending = IO_STATUS_BLOCK { Anonymous: IO_STATUS_BLOCK_0 { Status: STATUS_PENDING }, Information: 0 };
        let mut block = pending;
        let handle = file.as_raw_handle();
        for _ in 0..count {
            block = pending;
            let context = (&raw const block).cast();
            // SAFETY: the code has neither input nor output, and ends at once: it does not keep the block.
            let status = unsafe {
                NtFsControlFile(handle, null_mut(), None, context, &mut block, SET_SPARSE, null(), 0, null_mut(), 0)
            };
            assert_eq!(status, 0);
        }
        std::hint::black_box(&block);
    })
}

fn win32(file: OwnedHandle) -> Program {
    bind(&file);
    program(move |count| {
        let mut overlapped = OVERLAPPED::default();
        let handle = file.as_raw_handle();
        for _ in 0..count {
            overlapped = OVERLAPPED::default();
            // SAFETY: the code has neither input nor output, and ends at once: it does not keep the OVERLAPPED.
            let ok =
                unsafe { DeviceIoControl(handle, SET_SPARSE, null(), 0, null_mut(), 0, null_mut(), &mut overlapped) };
            assert_ne!(ok, 0, "error {}", error());
        }
        std::hint::black_box(&overlapped);
    })
}

fn ours(file: OwnedHandle) -> Program {
    // SAFETY: FSCTL_SET_SPARSE without an input sets the attribute; it writes nothing.
    let set_sparse: Ioctl<(), ()> = unsafe { Ioctl::new(CtlCode::from_u32(SET_SPARSE)) };
    let file = Device::from_handle(file).unwrap();
    program(move |count| {
        for _ in 0..count {
            file.call(set_sparse, &()).wait().unwrap();
        }
    })
}
