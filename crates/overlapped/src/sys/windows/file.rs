//! An overlapped handle bound to a port, and how requests are submitted to it.

use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, IntoRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_MODE_INFORMATION, FileModeInformation, NtFsControlFile, NtQueryInformationFile, NtReadFile, NtWriteFile,
};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE, STATUS_NOT_SUPPORTED};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CREATE_NEW, CreateFileW, FILE_FLAG_OVERLAPPED, OPEN_ALWAYS, OPEN_EXISTING, SECURITY_ANONYMOUS,
    SECURITY_DELEGATION, SECURITY_IDENTIFICATION, SECURITY_IMPERSONATION, SECURITY_SQOS_PRESENT, TRUNCATE_EXISTING,
};
use windows_sys::Win32::System::IO::{CancelIoEx, IO_STATUS_BLOCK};
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

use super::last_error;
use crate::device::Backend;
use crate::port::InFlight;
use crate::slab::Slot;
use crate::unread::StreamKind;
use crate::{Device, Disposition, Error, ErrorCode, ErrorKind, OpenOptions, Operation, Port};
use crate::{SecurityQos, Status};

// A token is 64 bits and travels where the system keeps a pointer.
const _: () = assert!(size_of::<usize>() == 8, "64-bit Windows only");

/// GENERIC_READ and GENERIC_WRITE (`winnt.h`).
const GENERIC_READ: u32 = 0x8000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
/// FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT (`wdm.h`): the handle was not opened for overlapped I/O.
const SYNCHRONOUS: u32 = 0x10 | 0x20;

const NO_EVENT: HANDLE = ptr::null_mut();

/// An overlapped handle that is bound to a port.
#[derive(Debug)]
pub(crate) struct File {
    handle: HANDLE,
    is_closed: AtomicBool,
    /// Gone when the handle is closed.
    is_open: Mutex<Option<Arc<()>>>,
}

// SAFETY: a handle may be used from any thread; it is closed only when the file is dropped.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

pub(crate) fn open(options: &OpenOptions, path: &Path) -> Result<Device, Error> {
    let name: Arc<str> = path.to_string_lossy().into();
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return Err(Error::new(ErrorKind::InvalidInput, Operation::Open).on(&name).hint("the path has a NUL in it"));
    }
    wide.push(0);
    let port = options.port.clone().map_or_else(Port::global, Ok)?;
    let generic = |wanted: bool, right: u32| if wanted { right } else { 0 };
    let access =
        options.access_mode.unwrap_or(generic(options.read, GENERIC_READ) | generic(options.write, GENERIC_WRITE));
    let disposition = match options.disposition {
        Disposition::CreateNew => CREATE_NEW,
        Disposition::CreateAlways => CREATE_ALWAYS,
        Disposition::OpenExisting => OPEN_EXISTING,
        Disposition::OpenAlways => OPEN_ALWAYS,
        Disposition::TruncateExisting => TRUNCATE_EXISTING,
    };
    let security = match options.security {
        SecurityQos::Anonymous => SECURITY_ANONYMOUS,
        SecurityQos::Identification => SECURITY_IDENTIFICATION,
        SecurityQos::Impersonation => SECURITY_IMPERSONATION,
        SecurityQos::Delegation => SECURITY_DELEGATION,
    };
    let flags = options.attributes | FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | security;
    let fail = |code: ErrorCode| Error::from_code(code, Operation::Open).on(&name);
    // SAFETY: the path is a NUL-terminated string that lives through the call; no other pointer is given.
    let handle = unsafe {
        CreateFileW(wide.as_ptr(), access, options.share_mode, ptr::null(), disposition, flags, ptr::null_mut())
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(fail(last_error()));
    }
    let file = File::new(handle);
    if options.skip_completion_port_on_success {
        file.skip_completion_port_on_success();
    }
    Device::assemble(&port, name.clone(), |_| {
        file.bind(&port).map_err(fail)?;
        Ok(Backend::File(file))
    })
}

/// Takes over a handle that somebody else opened.
pub(crate) fn adopt(port: &Port, handle: OwnedHandle) -> Result<Device, Error> {
    let name: Arc<str> = format!("handle {:#x}", handle.as_raw_handle().addr()).into();
    if is_synchronous(handle.as_raw_handle()) {
        return Err(Error::new(ErrorKind::InvalidInput, Operation::Adopt)
            .on(&name)
            .hint("it was not opened for overlapped I/O: open it with FILE_FLAG_OVERLAPPED"));
    }
    let file = File::new(handle.into_raw_handle());
    Device::assemble(port, name.clone(), |_| {
        file.bind(port).map_err(|code| {
            Error::from_code(code, Operation::Adopt)
                .on(&name)
                .hint("a handle must be overlapped, and can be bound to one completion port only, once")
        })?;
        Ok(Backend::File(file))
    })
}

/// Whether the handle lacks FILE_FLAG_OVERLAPPED. A handle that cannot tell is left to the binding to refuse.
fn is_synchronous(handle: HANDLE) -> bool {
    let mut mode = FILE_MODE_INFORMATION { Mode: 0 };
    let mut block = IO_STATUS_BLOCK::default();
    let size = size_of::<FILE_MODE_INFORMATION>() as u32;
    // SAFETY: both out-parameters live through the call, whose length is the record's; the query never pends.
    let status =
        unsafe { NtQueryInformationFile(handle, &mut block, (&raw mut mode).cast(), size, FileModeInformation) };
    status >= 0 && mode.Mode & SYNCHRONOUS != 0
}

impl File {
    fn new(handle: HANDLE) -> Self {
        Self { handle, is_closed: AtomicBool::new(false), is_open: Mutex::new(Some(Arc::default())) }
    }

    pub(crate) fn raw_handle(&self) -> HANDLE {
        self.handle
    }

    /// Tells whether the handle is open still, without keeping it so.
    pub(crate) fn is_open(&self) -> Weak<()> {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        is_open.as_ref().map_or_else(Weak::new, Arc::downgrade)
    }

    /// Binds the handle to the port.
    fn bind(&self, port: &Port) -> Result<(), ErrorCode> {
        // SAFETY: the handle is open: this value owns it.
        unsafe { port.inner.queue().bind(self.handle) }
    }

    /// Asks for no packet when a request succeeds at once. Where the system refuses there are packets, as without.
    fn skip_completion_port_on_success(&self) {
        // SAFETY: the handle is open: this value owns it.
        unsafe { SetFileCompletionNotificationModes(self.handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS as u8) };
    }

    /// Hands the operation to the driver. `Some`: it is final, and no packet of this operation counts any more.
    ///
    /// # Safety
    /// The slot is prepared, the operation has begun, and the slot outlives it.
    pub(crate) unsafe fn submit(&self, operation: InFlight, slot: &Slot, what: Operation) -> Option<(Status, usize)> {
        // SAFETY: the operation has begun and this call is its kernel's side.
        let memory = unsafe { slot.memory() };
        let (block, context) = (memory.io_status.cast(), ptr::without_provenance(operation.token() as usize));
        // Asynchronous handles have no position of their own: a place must be given, and a stream ignores it.
        let at = |offset: Option<u64>| offset.unwrap_or(0) as i64;
        // SAFETY: block and buffers are the slot's and outlive the operation; the context is a number, not an address;
        // the offset is read before the call returns.
        let status = unsafe {
            match what {
                Operation::Read { offset } => {
                    let (buffer, len) = (memory.output.cast(), memory.output_len);
                    NtReadFile(self.handle, NO_EVENT, None, context, block, buffer, len, &at(offset), ptr::null())
                }
                Operation::Write { offset } => {
                    let (buffer, len) = (memory.input.cast(), memory.input_len);
                    NtWriteFile(self.handle, NO_EVENT, None, context, block, buffer, len, &at(offset), ptr::null())
                }
                Operation::Control(code) => {
                    let submit = if code.is_file_system_control() { NtFsControlFile } else { NtDeviceIoControlFile };
                    submit(
                        self.handle,
                        NO_EVENT,
                        None,
                        context,
                        block,
                        code.to_u32(),
                        memory.input.cast(),
                        memory.input_len,
                        memory.output.cast(),
                        memory.output_len,
                    )
                }
                _ => STATUS_NOT_SUPPORTED,
            }
        };
        let status = Status::from_u32(status as u32);
        if status == Status::PENDING {
            return None;
        }
        if status.is_error() {
            // A hard failure leaves the block as it was. Should it queue a packet, that is a stray.
            return Some((status, 0));
        }
        // SAFETY: the submission has returned, and not with "pending": the block is written, or never will be, or the
        // driver breaks the rules and completes later all the same.
        let (in_block, information) = unsafe { slot.status() };
        // A success whose block still says "pending" is pending.
        (in_block != Status::PENDING).then_some((status, information))
    }

    /// Asks for the cancellation of one operation.
    ///
    /// # Safety
    /// The caller holds the operation: its slot is not used again before this returns.
    pub(crate) unsafe fn cancel(&self, slot: &Slot) {
        // It is a request: ERROR_NOT_FOUND means that the operation is over or about to be.
        // SAFETY: the handle is open while `self` lives; the address only names the operation.
        unsafe { CancelIoEx(self.handle, slot.io_status().cast()) };
    }

    pub(crate) fn stream_kind(&self) -> StreamKind {
        StreamKind::Messages
    }

    pub(crate) fn more(&self, _room: &mut [u8]) -> usize {
        0
    }

    /// Closes the handle. Nobody uses it any more.
    pub(crate) fn close(&self) -> Result<(), ErrorCode> {
        if !self.is_closed.swap(true, AcqRel) {
            // SAFETY: the handle was given to this value alone, and is closed here once.
            let closed = unsafe { CloseHandle(self.handle) };
            *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if closed == 0 {
                return Err(last_error());
            }
        }
        Ok(())
    }

    pub(crate) fn cancel_all(&self) {
        // SAFETY: the handle is open while `self` lives; no operation is named.
        unsafe { CancelIoEx(self.handle, ptr::null()) };
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
