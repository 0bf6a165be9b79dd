//! A pipe to a child: the child writes, a [`Device`] reads.

use std::io;
use std::process::Stdio;

use overlapped::Device;

#[cfg(all(target_os = "linux", not(miri)))]
pub(super) fn pipe() -> io::Result<(Device, Stdio)> {
    let (reader, writer) = io::pipe()?;
    // Only this end becomes non-blocking: the child waits when the pipe is full.
    Ok((Device::from_fd(reader)?, writer.into()))
}

/// Anonymous pipes of Windows cannot be overlapped. This is a named pipe with a secret name, for one writer on this
/// computer, which is connected here.
#[cfg(windows)]
pub(super) fn pipe() -> io::Result<(Device, Stdio)> {
    use std::hash::{BuildHasher as _, RandomState};
    use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
    use windows_sys::Win32::Storage::FileSystem::{
        FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_INBOUND,
    };
    use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_WAIT};

    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Relaxed));
    let secret = RandomState::new().hash_one((process, number));
    let name = format!(r"\\.\pipe\linewake-exec-{process}-{number}-{secret:016x}");
    let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
    let open_mode = PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE;
    let mode = PIPE_TYPE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the name ends with a zero, and no security attributes are given.
    let server = unsafe { CreateNamedPipeW(wide.as_ptr(), open_mode, mode, 1, 0, 64 << 10, 0, std::ptr::null()) };
    if server == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    #[expect(unsafe_code, reason = "a handle of the system's")]
    // SAFETY: the system gave it just now, and nobody else has it.
    let server = unsafe { OwnedHandle::from_raw_handle(server) };
    let writer = std::fs::OpenOptions::new().write(true).open(&name)?;
    Ok((Device::from_handle(server)?, writer.into()))
}

#[cfg(not(any(windows, all(target_os = "linux", not(miri)))))]
pub(super) fn pipe() -> io::Result<(Device, Stdio)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "programs run on Linux and Windows only"))
}
