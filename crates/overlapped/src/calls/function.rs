//! Any other overlapped function of Windows: one call that lends it an OVERLAPPED and buffers.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle, RawHandle};
use std::sync::Arc;

use windows_sys::Win32::System::IO::OVERLAPPED;

use super::pending::Pending;
use super::raw::RawReply;
use crate::operation::slab::{Memory, What};
use crate::words::token::InFlight;
use crate::{Buffer, Device, Error, ErrorCode, ErrorKind, Operation, RawCall, Status};

/// What [`Device::call_with`] lends to an overlapped function: the handle, an OVERLAPPED, and the two buffers.
///
/// The call owns all of it until the call has ended, wherever its caller is by then.
///
/// ```
/// use overlapped::{Buffer, Device, RawCall, Returned};
/// # type Write = unsafe extern "system" fn(*mut (), *const u8, u32, *mut u32, *mut ()) -> i32;
/// # fn example(disk: &Device, write_file: Write) -> RawCall {
/// let sector = Buffer::from([7; 512].as_slice());
/// // SAFETY: WriteFile reads the input's length and uses the OVERLAPPED, until its packet comes or it has failed.
/// unsafe {
///     disk.call_with(sector, Buffer::empty(), |lent| {
///         let (handle, overlapped) = (lent.handle().cast(), lent.overlapped_at(7 * 512).cast());
///         let (bytes, count) = (lent.input().cast(), std::ptr::null_mut());
///         Returned::from_bool(write_file(handle, bytes, lent.input_len(), count, overlapped))
///     })
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Submission<'a> {
    handle: BorrowedHandle<'a>,
    overlapped: *mut OVERLAPPED,
    memory: Memory,
}

impl Submission<'_> {
    /// The device's handle: a HANDLE, or a SOCKET cast to one.
    #[must_use]
    pub fn handle(&self) -> RawHandle {
        self.handle.as_raw_handle()
    }

    /// The OVERLAPPED, all zero except for its status. Leave its event null: the completion comes through the port.
    #[must_use]
    pub fn overlapped(&self) -> *mut c_void {
        self.overlapped.cast()
    }

    /// The OVERLAPPED with an offset, which goes into its `Offset` and `OffsetHigh`.
    #[must_use]
    pub fn overlapped_at(&self, offset: u64) -> *mut c_void {
        // SAFETY: the call owns the structure, and no function has it yet: the function gets it from what this returns,
        // as the caller of `call_with` has promised.
        unsafe {
            (*self.overlapped).Anonymous.Anonymous.Offset = offset as u32;
            (*self.overlapped).Anonymous.Anonymous.OffsetHigh = (offset >> 32) as u32;
        }
        self.overlapped()
    }

    /// The input's address; null when it is empty.
    #[must_use]
    pub fn input(&self) -> *const c_void {
        self.memory.input.cast_const().cast()
    }

    /// The length of the input in bytes.
    #[must_use]
    pub fn input_len(&self) -> u32 {
        self.memory.input_len
    }

    /// The output's address; null when it is empty.
    #[must_use]
    pub fn output(&self) -> *mut c_void {
        self.memory.output.cast()
    }

    /// The length of the output in bytes.
    #[must_use]
    pub fn output_len(&self) -> u32 {
        self.memory.output_len
    }
}

/// The return value of an overlapped function.
///
/// ```
/// use overlapped::Returned;
/// // A function that returns its error, or `WSAGetLastError` after one that returned SOCKET_ERROR.
/// assert_eq!(Returned::from_code(0), Returned::Success);
/// assert_eq!(Returned::from_code(997), Returned::Pending); // ERROR_IO_PENDING, WSA_IO_PENDING
/// assert_eq!(Returned::from_code(5), Returned::Failed(5)); // ERROR_ACCESS_DENIED
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// It succeeded at once. Whether a packet comes too makes no difference.
    Success,
    /// ERROR_IO_PENDING: a packet will come.
    Pending,
    /// Any other error of Win32 or Winsock. No packet will come, unless the error is a warning that left its status in
    /// the OVERLAPPED.
    Failed(u32),
}

/// ERROR_IO_PENDING and WSA_IO_PENDING (`winerror.h`).
const IO_PENDING: u32 = 997;

impl Returned {
    /// For a function that returns a BOOL. This reads the thread's last error: call it with the function's result right
    /// after the function.
    #[must_use]
    pub fn from_bool(returned: i32) -> Self {
        if returned != 0 { Self::Success } else { Self::failed(crate::system::windows::last_error_code()) }
    }

    /// For a function that returns its error, 0 for none.
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        if code == 0 { Self::Success } else { Self::failed(code) }
    }

    fn failed(code: u32) -> Self {
        if code == IO_PENDING { Self::Pending } else { Self::Failed(code) }
    }
}

impl Device {
    /// Submits any other overlapped function: `ReadDirectoryChangesW`, `LockFileEx`, `ConnectNamedPipe`,
    /// `WinUsb_ReadPipe`, `TransmitFile`. The closure runs once, on this thread. It calls the function with the handle
    /// and the memory that it is [lent](Submission), and returns the function's return value. From then on this is a
    /// call like any other: await it, cancel it, time it out or drop it; its buffers come back.
    ///
    /// The reply's [`information`](RawReply::information) is the byte count from the OVERLAPPED.
    ///
    /// ```
    /// # use overlapped::{Buffer, Device, Error, Returned};
    /// # type ReadDirectoryChanges = unsafe extern "system" fn(
    /// #     *mut (), *mut (), u32, i32, u32, *mut u32, *mut (), *const ()) -> i32;
    /// # fn example(directory: &Device, read_directory_changes: ReadDirectoryChanges) -> Result<(), Error> {
    /// const FILE_NOTIFY_CHANGE_FILE_NAME: u32 = 1;
    /// // SAFETY: ReadDirectoryChangesW writes at most the output's length, until its packet comes or it has failed.
    /// let changes = unsafe {
    ///     directory.call_with(Buffer::empty(), Buffer::aligned(4096, 4)?, |lent| {
    ///         Returned::from_bool(read_directory_changes(
    ///             lent.handle().cast(),
    ///             lent.output().cast(),
    ///             lent.output_len(),
    ///             0,
    ///             FILE_NOTIFY_CHANGE_FILE_NAME,
    ///             std::ptr::null_mut(),
    ///             lent.overlapped().cast(),
    ///             std::ptr::null(),
    ///         ))
    ///     })
    /// };
    /// let reply = changes.wait();
    /// reply.status()?;
    /// println!("{:02x?}", &reply.output[..reply.len()]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// In the reply, with both buffers: the function's error as [`ErrorCode::Win32`], or the status with which it
    /// ended; [`ErrorKind::Unsupported`] for a simulated device.
    ///
    /// # Panics
    /// When the closure does. Then it is unknown what the closure has called, so the memory is never freed.
    ///
    /// # Safety
    /// The closure calls at most one function, at most once, with this OVERLAPPED, on this handle (or on one for the
    /// same open file), without a completion routine, and returns what that function returned. After that it does not
    /// touch the OVERLAPPED and the buffers. The function ends in the way of Win32: either it fails and is done with
    /// everything, or it writes its status into the OVERLAPPED and what it began ends through the handle's completion
    /// port. Until then it reads and writes nothing but the OVERLAPPED, no more than the two buffers, and memory that
    /// the caller keeps valid for so long.
    pub unsafe fn call_with(
        &self,
        input: Buffer,
        output: Buffer,
        submit: impl FnOnce(&Submission<'_>) -> Returned,
    ) -> RawCall {
        let (inner, what) = (&self.inner, Operation::Function);
        let Some(file) = inner.file() else {
            let error = inner.error(ErrorKind::Unsupported, what).hint("only a real device has a handle");
            return RawCall::ready(RawReply::refused(error, input, output, Some(())));
        };
        let (index, slot) = match inner.lend(What::of(what), input, output, ()) {
            Err(refused) => return RawCall::ready(refused),
            Ok(taken) => taken,
        };
        inner.port.take_strays();
        let operation = InFlight::new(index, slot.machine.begin(None));
        // If the closure panics, this is dropped: what may be in flight is cancelled, and its memory stays allocated.
        let pending = Pending::new(inner.clone(), operation);
        let loans = &inner.port.loans;
        let submission = Submission {
            handle: file.borrow(),
            overlapped: loans.lend(operation),
            // SAFETY: the operation has begun, and this is its kernel's side.
            memory: unsafe { slot.memory() },
        };
        let returned = submit(&submission);
        let ended = loans.ended(operation);
        if ended.is_some() {
            inner.port.stray_is_due();
        }
        match (returned, ended) {
            (Returned::Pending, _) | (Returned::Success, None) => RawCall::pending(pending),
            (Returned::Success, Some(ended)) => RawCall::ready(pending.take_ended(ended)),
            // A warning has written its data and its count. A failure has done nothing, and no packet comes.
            (Returned::Failed(_), Some(ended)) if ended.0.is_warning() => RawCall::ready(pending.take_ended(ended)),
            (Returned::Failed(code), _) => {
                let error = Error::from_code(ErrorCode::Win32(code), what).on(&inner.name);
                RawCall::ready(pending.take_ended((Status::UNSUCCESSFUL, 0)).failed(error))
            }
        }
    }

    /// The handle, for functions that return at once: `SetNamedPipeHandleState`, `SetCommState`, `SetupComm`,
    /// `GetFileInformationByHandleEx`. It is open as long as the device is borrowed.
    ///
    /// It is bound to the device's port. Overlapped functions go through [`call_with`](Self::call_with): the packet of
    /// any other would only be counted, in [`PortStats::strays`](crate::PortStats::strays).
    ///
    /// ```
    /// # use std::os::windows::io::AsRawHandle;
    /// # use overlapped::{Device, Error};
    /// # type SetState = unsafe extern "system" fn(*mut (), *const u32, *const u32, *const u32) -> i32;
    /// # fn example(pipe: &Device, set_named_pipe_handle_state: SetState) -> Result<(), Error> {
    /// const PIPE_READMODE_MESSAGE: u32 = 2; // a client reads bytes until it says so
    /// let handle = pipe.as_handle()?.as_raw_handle();
    /// let null = std::ptr::null();
    /// // SAFETY: the handle is open, and the mode lives through the call.
    /// unsafe { set_named_pipe_handle_state(handle.cast(), &PIPE_READMODE_MESSAGE, null, null) };
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a simulated device, or an event.
    pub fn as_handle(&self) -> Result<BorrowedHandle<'_>, Error> {
        self.inner.file().map(crate::completers::windows::File::borrow).ok_or_else(|| self.has_no_handle())
    }

    /// Turns the device into its handle: to give it to another process, or to close it and see the result. The handle
    /// stays bound to the device's port. Operations in flight whose calls were dropped stay with the driver until they
    /// end.
    ///
    /// ```
    /// # use overlapped::{Device, Error};
    /// # fn example(pipe: Device) -> Result<(), Error> {
    /// let handle = pipe.into_handle()?;
    /// let end = std::process::Stdio::from(handle); // a child's standard input
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while a clone, a call or a stream has the handle too: drop them first;
    /// [`ErrorKind::Unsupported`] for a simulated device, or an event. The device is dropped in both cases.
    pub fn into_handle(self) -> Result<OwnedHandle, Error> {
        if self.inner.file().is_none() {
            return Err(self.has_no_handle());
        }
        match Arc::try_unwrap(self.inner) {
            Err(shared) => Err(shared.busy(Operation::Handle)),
            Ok(mut last) => {
                last.is_closing = true;
                last.inner.shut_and_take().ok_or_else(|| last.busy(Operation::Handle))
            }
        }
    }

    fn has_no_handle(&self) -> Error {
        self.inner.error(ErrorKind::Unsupported, Operation::Handle).hint("only a real device has a handle")
    }
}
