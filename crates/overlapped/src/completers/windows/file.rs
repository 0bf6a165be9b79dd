//! An overlapped handle bound to a port, and how requests are submitted to it.

use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, Weak};

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_ACCESS_INFORMATION, FILE_MODE_INFORMATION, FileAccessInformation, FileFsDeviceInformation,
    FileModeInformation, NtFsControlFile, NtQueryInformationFile, NtQueryVolumeInformationFile, NtReadFile,
    NtWriteFile,
};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Devices::Communication::{COMMTIMEOUTS, GetCommTimeouts, SetCommTimeouts};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE, STATUS_NOT_SUPPORTED};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CREATE_NEW, CreateFileW, FILE_APPEND_DATA, FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE,
    FILE_WRITE_DATA, OPEN_ALWAYS, OPEN_EXISTING, SECURITY_ANONYMOUS, SECURITY_DELEGATION, SECURITY_IDENTIFICATION,
    SECURITY_IMPERSONATION, SECURITY_SQOS_PRESENT, TRUNCATE_EXISTING,
};
use windows_sys::Win32::System::IO::{CancelIoEx, IO_STATUS_BLOCK, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{GetNamedPipeHandleStateW, PIPE_READMODE_MESSAGE};
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

use crate::completers::options::{Disposition, OpenOptions, SecurityQos};
use crate::operation::unread::StreamKind;
use crate::port::{self, Slot};
use crate::system::sync::lock_std as lock;
use crate::system::windows::last_error;
use crate::words::token::InFlight;
use crate::{Error, ErrorCode, ErrorKind, Operation, Status};

// A token is 64 bits and travels where the system keeps a pointer.
const _: () = assert!(size_of::<usize>() == 8, "64-bit Windows only");

/// GENERIC_READ and GENERIC_WRITE (`winnt.h`).
const GENERIC_READ: u32 = 0x8000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
/// SECURITY_SQOS_PRESENT and SECURITY_VALID_SQOS_FLAGS (`winbase.h`). We always set the former; then the other bits
/// mean the level, and no other flag.
const SECURITY_BITS: u32 = 0x001f_0000;
/// The types of devices whose files have offsets (`ntifs.h`): FILE_DEVICE_CD_ROM, CD_ROM_FILE_SYSTEM, DISK,
/// DISK_FILE_SYSTEM, FILE_SYSTEM, NETWORK_FILE_SYSTEM, VIRTUAL_DISK, MASS_STORAGE, DVD.
const WITH_PLACES: [u32; 9] = [0x02, 0x03, 0x07, 0x08, 0x09, 0x14, 0x24, 0x2d, 0x33];
/// FILE_DEVICE_NAMED_PIPE and FILE_DEVICE_MAILSLOT (`ntifs.h`).
const NAMED_PIPE: u32 = 0x11;
const MAILSLOT: u32 = 0x0c;
/// FILE_DEVICE_SERIAL_PORT and FILE_DEVICE_MODEM (`ntifs.h`).
const SERIAL_PORT: u32 = 0x1b;
const MODEM: u32 = 0x2b;
/// FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT (`wdm.h`): the handle was not opened for overlapped I/O.
const SYNCHRONOUS: u32 = 0x10 | 0x20;

const NO_EVENT: HANDLE = ptr::null_mut();

/// An overlapped handle that is bound to a port.
#[derive(Debug)]
pub(crate) struct File {
    handle: HANDLE,
    sort: Sort,
    is_closed: AtomicBool,
    /// `None` when the handle is closed.
    is_open: Mutex<Option<Arc<()>>>,
}

// SAFETY: a handle may be used from any thread; it is closed only when the file is dropped.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

/// A handle without a port.
pub(crate) type OpenHandle = File;

pub(crate) fn open(options: &OpenOptions, name: &Arc<str>, path: &Path) -> Result<OpenHandle, Error> {
    let invalid = |hint| Err(Error::new(ErrorKind::InvalidInput, Operation::Open).on(name).hint(hint));
    let mut wide: Vec<u16> = path.as_os_str().encode_wide().collect();
    if wide.contains(&0) {
        return invalid("the path contains a NUL; remove it");
    }
    if options.attributes & SECURITY_BITS != 0 {
        return invalid("set what a pipe's server may learn with `security_qos`, not with attributes");
    }
    let is_com_port = is_com_port(&wide);
    let shared = if is_com_port { 0 } else { FILE_SHARE_READ | FILE_SHARE_WRITE };
    wide.push(0);
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
    let shared = options.share_mode.unwrap_or(shared);
    // SAFETY: the path is a NUL-terminated string that lives through the call; no other pointer is given.
    let handle =
        unsafe { CreateFileW(wide.as_ptr(), access, shared, ptr::null(), disposition, flags, ptr::null_mut()) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(Error::from_code(last_error(), Operation::Open).on(name));
    }
    let file = File::new(handle);
    // Only where it is needed: a driver may take a code that it does not know for another one.
    if (is_com_port || file.sort == Sort::SerialPort) && !options.keep_serial_timeouts {
        file.end_reads_with_what_there_is();
    }
    if options.skip_completion_port_on_success {
        file.skip_completion_port_on_success();
    }
    Ok(file)
}

/// Takes over a handle that somebody else opened.
pub(crate) fn adopt(options: &OpenOptions, name: &Arc<str>, handle: OwnedHandle) -> Result<OpenHandle, Error> {
    if is_synchronous(handle.as_raw_handle()) {
        return Err(Error::new(ErrorKind::InvalidInput, Operation::Adopt)
            .on(name)
            .hint("open it for overlapped I/O, with FILE_FLAG_OVERLAPPED"));
    }
    let file = File::new(handle.into_raw_handle());
    if options.skip_completion_port_on_success {
        file.skip_completion_port_on_success();
    }
    Ok(file)
}

/// The result of a submission that returned this status, which is not "pending", and left these two values in the
/// status block. `None`: the operation is pending nevertheless.
fn ended(returned: Status, (in_block, information): (Status, usize)) -> Option<(Status, usize)> {
    if returned.is_error() {
        // A hard failure does not change the block. If it queues a packet, the packet is a stray.
        return Some((returned, 0));
    }
    // The block has the operation's real result. A read that is cancelled during its submission may return a success,
    // though it read nothing.
    (in_block != Status::PENDING).then_some((in_block, information))
}

/// Whether a path names a serial port: `COM3`, or any number with a prefix. Above 9, the short name is a file's name.
fn is_com_port(path: &[u16]) -> bool {
    let unit = |byte: u8| u16::from(byte);
    let is_separator = |at: u16| at == unit(b'\\') || at == unit(b'/');
    let (name, has_prefix) = match path {
        [a, b, dot, c, name @ ..]
            if [a, b, c].into_iter().all(|at| is_separator(*at)) && [unit(b'.'), unit(b'?')].contains(dot) =>
        {
            (name, true)
        }
        name => (name, false),
    };
    let name = name.strip_suffix(&[unit(b':')]).unwrap_or(name);
    let Some((com, number)) = name.split_at_checked(3) else { return false };
    let is_com = com.iter().zip(b"COM").all(|(at, letter)| *at == unit(*letter) || *at == unit(letter | 0x20));
    let is_number = !number.is_empty() && number.iter().all(|at| (unit(b'0')..=unit(b'9')).contains(at));
    is_com && is_number && (has_prefix || number.len() == 1)
}

/// The type of a handle, as far as it matters to reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// The driver decides.
    Device,
    /// A pipe, which has no offsets.
    Stream,
    SerialPort,
    /// A file or a disk: reads and writes need an offset.
    Places,
    /// A file that is only open for appending: writes go to its end, whatever their offset.
    Appended,
}

/// The type of a handle, by its device.
fn sort(handle: HANDLE) -> Sort {
    // FILE_FS_DEVICE_INFORMATION (`wdm.h`): the type and the characteristics.
    let mut device = [0_u32; 2];
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: both out-parameters live through the call, which gets the record's length; the query never pends.
    let status = unsafe {
        let size = size_of_val(&device) as u32;
        NtQueryVolumeInformationFile(handle, &mut block, device.as_mut_ptr().cast(), size, FileFsDeviceInformation)
    };
    match device[0] {
        _ if status < 0 => return Sort::Device,
        NAMED_PIPE | MAILSLOT => return Sort::Stream,
        SERIAL_PORT | MODEM => return Sort::SerialPort,
        kind if !WITH_PLACES.contains(&kind) => return Sort::Device,
        _ => {}
    }
    let mut rights = FILE_ACCESS_INFORMATION { AccessFlags: 0 };
    // SAFETY: as above.
    let status = unsafe {
        let size = size_of::<FILE_ACCESS_INFORMATION>() as u32;
        NtQueryInformationFile(handle, &mut block, (&raw mut rights).cast(), size, FileAccessInformation)
    };
    let appends = status >= 0 && rights.AccessFlags & (FILE_WRITE_DATA | FILE_APPEND_DATA) == FILE_APPEND_DATA;
    if appends { Sort::Appended } else { Sort::Places }
}

/// Whether the handle lacks FILE_FLAG_OVERLAPPED. `false` if the query fails: then binding it to the port will fail.
fn is_synchronous(handle: HANDLE) -> bool {
    let mut mode = FILE_MODE_INFORMATION { Mode: 0 };
    let mut block = IO_STATUS_BLOCK::default();
    let size = size_of::<FILE_MODE_INFORMATION>() as u32;
    // SAFETY: both out-parameters live through the call, which gets the record's length; the query never pends.
    let status =
        unsafe { NtQueryInformationFile(handle, &mut block, (&raw mut mode).cast(), size, FileModeInformation) };
    status >= 0 && mode.Mode & SYNCHRONOUS != 0
}

impl File {
    fn new(handle: HANDLE) -> Self {
        Self {
            handle,
            sort: sort(handle),
            is_closed: AtomicBool::new(false),
            is_open: Mutex::new(Some(Arc::default())),
        }
    }

    /// Why this handle does not allow the operation. An asynchronous handle has no position: a read or write of a file
    /// without an offset would always go to its beginning. And on a stream Windows would ignore an offset.
    pub(crate) fn objection(&self, what: Operation) -> Option<&'static str> {
        match (what, self.sort) {
            (Operation::Read { offset: None }, Sort::Places | Sort::Appended) => {
                Some("a file or disk needs an offset: use `read_at`")
            }
            (Operation::Write { offset: None }, Sort::Places) => {
                Some("a file or disk needs an offset: use `write_at`, or open it to append (`access_mode(4)`)")
            }
            (Operation::Write { offset: Some(_) }, Sort::Appended) => {
                Some("the file is open to append, and writes go to its end: use `write`")
            }
            (Operation::Read { offset: Some(_) } | Operation::Write { offset: Some(_) }, at)
                if at == Sort::Stream || at == Sort::SerialPort =>
            {
                Some("a pipe or a serial port has no offsets: use `read` and `write`")
            }
            _ => None,
        }
    }

    /// Makes reads of a serial port end as soon as there are bytes.
    fn end_reads_with_what_there_is(&self) {
        let mut timeouts = COMMTIMEOUTS::default();
        // SAFETY: the handle is open: this value owns it. The out-parameter lives through the call.
        if unsafe { GetCommTimeouts(self.handle, &mut timeouts) } == 0 {
            return;
        }
        timeouts.ReadIntervalTimeout = u32::MAX;
        timeouts.ReadTotalTimeoutMultiplier = u32::MAX;
        timeouts.ReadTotalTimeoutConstant = u32::MAX - 1;
        // SAFETY: as above.
        unsafe { SetCommTimeouts(self.handle, &timeouts) };
    }

    pub(crate) fn raw_handle(&self) -> HANDLE {
        self.handle
    }

    pub(crate) fn borrow(&self) -> BorrowedHandle<'_> {
        // SAFETY: the handle is open while `self` lives.
        unsafe { BorrowedHandle::borrow_raw(self.handle) }
    }

    /// Takes the handle out, once. It stays bound to the port. This file does not use it any more.
    pub(crate) fn take(&self) -> Option<OwnedHandle> {
        let is_taken = self.is_closed.swap(true, AcqRel);
        *lock(&self.is_open) = None;
        // SAFETY: the handle belonged to this value alone, which gives it up here.
        (!is_taken).then(|| unsafe { OwnedHandle::from_raw_handle(self.handle) })
    }

    /// A reference that lives as long as the handle is open. It does not keep the handle open.
    pub(crate) fn is_open(&self) -> Weak<()> {
        let is_open = lock(&self.is_open);
        is_open.as_ref().map_or_else(Weak::new, Arc::downgrade)
    }

    /// Binds the handle to the port.
    pub(crate) fn bind(self, port: &port::Inner, _id: u64, name: &Arc<str>, what: Operation) -> Result<Self, Error> {
        // SAFETY: the handle is open: this value owns it.
        match unsafe { port.queue().bind(self.handle) } {
            Ok(()) => Ok(self),
            Err(code) if what == Operation::Adopt => Err(Error::from_code(code, what)
                .on(name)
                .hint("open it overlapped, and bind it to no other completion port: a handle has one at most")),
            Err(code) => Err(Error::from_code(code, what).on(name)),
        }
    }

    /// Asks for no packet when a request succeeds at once. If the system refuses, packets come as without this.
    fn skip_completion_port_on_success(&self) {
        // SAFETY: the handle is open: this value owns it.
        unsafe { SetFileCompletionNotificationModes(self.handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS as u8) };
    }

    /// Submits the operation to the driver. `Some`: it is over, and its packet, if one comes, will not count.
    ///
    /// # Safety
    /// The slot is prepared, the operation has begun, and the slot outlives it.
    pub(crate) unsafe fn submit(&self, operation: InFlight, slot: &Slot, what: Operation) -> Option<(Status, usize)> {
        // SAFETY: the operation has begun and this call is its kernel's side.
        let memory = unsafe { slot.memory() };
        let (block, context) = (memory.io_status.cast(), ptr::without_provenance(operation.token() as usize));
        // Asynchronous handles have no position: an offset must be given, and a stream ignores it.
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
        // SAFETY: the submission has returned, and not with "pending". So the block is written, or never will be; only
        // a driver that breaks the rules completes later.
        ended(status, unsafe { slot.status() })
    }

    /// Asks the driver to cancel the one operation that this address names.
    ///
    /// # Safety
    /// The caller holds the operation: its slot is not used again before this returns.
    pub(crate) unsafe fn cancel(&self, named: *const OVERLAPPED) {
        // This is a request: ERROR_NOT_FOUND means that the operation is over, or about to be.
        // SAFETY: the handle is open while `self` lives; the address only names the operation.
        unsafe { CancelIoEx(self.handle, named) };
    }

    pub(crate) fn stream_kind(&self) -> StreamKind {
        match self.sort {
            Sort::SerialPort => StreamKind::Bytes,
            Sort::Places | Sort::Appended => StreamKind::Places,
            Sort::Device | Sort::Stream => StreamKind::Messages,
        }
    }

    /// Whether a read may return half of a message.
    pub(crate) fn is_byte_stream(&self) -> bool {
        match self.sort {
            Sort::SerialPort => true,
            Sort::Stream => self.is_read_in_bytes(),
            Sort::Device | Sort::Places | Sort::Appended => false,
        }
    }

    /// Whether it is a pipe in byte mode. A mailslot is not a pipe.
    fn is_read_in_bytes(&self) -> bool {
        let (mut state, handle) = (0, self.handle);
        let (instances, count, timeout) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: this value owns the handle, so it is open. The out-parameter lives through the call; the others are
        // null.
        let known =
            unsafe { GetNamedPipeHandleStateW(handle, &mut state, instances, count, timeout, ptr::null_mut(), 0) };
        known != 0 && state & PIPE_READMODE_MESSAGE == 0
    }

    pub(crate) fn more(&self, _room: &mut [u8]) -> usize {
        0
    }

    /// Closes the handle, once. Nothing uses it after this.
    pub(crate) fn close(&self) -> Result<(), ErrorCode> {
        if !self.is_closed.swap(true, AcqRel) {
            // SAFETY: the handle belongs to this value alone, and is closed only here, once.
            let closed = unsafe { CloseHandle(self.handle) };
            *lock(&self.is_open) = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_that_returns_a_success_ended_as_its_block_says() {
        assert_eq!(ended(Status::SUCCESS, (Status::SUCCESS, 4)), Some((Status::SUCCESS, 4)));
        assert_eq!(ended(Status::SUCCESS, (Status::PENDING, 0)), None);
        assert_eq!(ended(Status::SUCCESS, (Status::CANCELLED, 0)), Some((Status::CANCELLED, 0)));
        assert_eq!(ended(Status::SUCCESS, (Status::BUFFER_OVERFLOW, 9)), Some((Status::BUFFER_OVERFLOW, 9)));
        // A failure does not write the block.
        assert_eq!(ended(Status::ACCESS_DENIED, (Status::PENDING, 7)), Some((Status::ACCESS_DENIED, 0)));
    }

    #[test]
    fn a_serial_port_is_known_by_its_name() {
        let is = |path: &str| is_com_port(&path.encode_utf16().collect::<Vec<_>>());
        for path in ["COM3", "com1", "COM3:", r"\\.\COM12", r"\\.\com256", r"\\?\COM1", "//./COM3"] {
            assert!(is(path), "{path}");
        }
        // Above 9, the short name is a file's name.
        for path in
            ["", "COM", "COM12", "COMA", "CON", r"\\.\COM", r"\\.\pipe\COM3", r"\\server\COM3", "XCOM3", "COM3.txt"]
        {
            assert!(!is(path), "{path}");
        }
    }
}
