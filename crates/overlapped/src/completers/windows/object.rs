//! Finds the type of a handle before the system's thread pool waits for it. The pool ends the process for a mutex, and
//! for a handle that it cannot wait for.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr;
use std::sync::Arc;

use windows_sys::Wdk::Foundation::{
    NtQueryObject, OBJECT_INFORMATION_CLASS, ObjectBasicInformation, ObjectTypeInformation,
};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, HANDLE, NTSTATUS, UNICODE_STRING, WAIT_FAILED};
use windows_sys::Win32::System::Threading::WaitForSingleObject;
use windows_sys::Win32::System::WindowsProgramming::{PUBLIC_OBJECT_BASIC_INFORMATION, PUBLIC_OBJECT_TYPE_INFORMATION};

use crate::system::windows::last_error;
use crate::{Error, ErrorCode, ErrorKind, Operation};

/// SYNCHRONIZE (`winnt.h`): the right to wait.
const SYNCHRONIZE: u32 = 0x0010_0000;

/// EVENT_BASIC_INFORMATION (`ntexapi.h`).
#[repr(C)]
#[derive(Default)]
struct EventInformation {
    /// EVENT_TYPE: 0 is NotificationEvent, reset by hand; 1 is SynchronizationEvent, reset by the wait that it ends.
    event_type: i32,
    state: i32,
}

#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn NtQueryEvent(
        event: HANDLE,
        class: i32,
        information: *mut EventInformation,
        length: u32,
        written: *mut u32,
    ) -> NTSTATUS;
}

/// What a wait does to the object's signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The wait that it ends takes the signal: auto-reset events, semaphores, timers.
    Taken,
    /// The signal stays: manual-reset events, processes, threads.
    Stays,
}

/// How the handle signals a wait of the pool, or why the pool cannot wait for it.
pub(super) fn waited_for(handle: &OwnedHandle) -> Result<Signal, Error> {
    let handle = handle.as_raw_handle();
    let type_name = type_name(handle);
    let refused = |kind: ErrorKind| {
        let name: Arc<str> = format!("{} {:#x}", type_name.as_deref().unwrap_or("handle"), handle.addr()).into();
        Error::new(kind, Operation::Adopt).on(&name)
    };
    let lacks_synchronize = || refused(ErrorKind::AccessDenied).hint("open or duplicate it with the right SYNCHRONIZE");
    let mut basic = PUBLIC_OBJECT_BASIC_INFORMATION::default();
    // SAFETY: the record is the one of this class, and lives through the call.
    let status = unsafe { query(handle, ObjectBasicInformation, &mut basic) };
    if type_name.as_deref() == Some("Mutant") {
        return Err(refused(ErrorKind::InvalidInput)
            .hint("use an event: a mutex would belong to the thread that waits, which is one of the system's"));
    }
    if status >= 0 && basic.GrantedAccess & SYNCHRONIZE == 0 {
        return Err(lacks_synchronize());
    }
    match type_name.as_deref() {
        Some("Event") if is_reset_by_hand(handle) => Ok(Signal::Stays),
        Some("Event" | "Semaphore" | "Timer" | "IRTimer") => Ok(Signal::Taken),
        // Waiting for any other object does not change it.
        // SAFETY: the handle is open.
        _ if unsafe { WaitForSingleObject(handle, 0) } != WAIT_FAILED => Ok(Signal::Stays),
        _ if last_error() == ErrorCode::Win32(ERROR_ACCESS_DENIED) => Err(lacks_synchronize()),
        _ => Err(refused(ErrorKind::InvalidInput)
            .hint("it cannot be waited for; pass an event, a semaphore, a timer or a process")),
    }
}

/// Whether it is a manual-reset event. Without the right EVENT_QUERY_STATE the event is taken for an auto-reset one:
/// then no signal is lost.
fn is_reset_by_hand(event: HANDLE) -> bool {
    let mut information = EventInformation { event_type: 1, state: 0 };
    let length = size_of::<EventInformation>() as u32;
    // SAFETY: EventBasicInformation is 0; the record lives through the call, which gets the record's length.
    let status = unsafe { NtQueryEvent(event, 0, &mut information, length, ptr::null_mut()) };
    status >= 0 && information.event_type == 0
}

/// "Event", "Mutant" and so on.
fn type_name(handle: HANDLE) -> Option<String> {
    /// The record, and behind it the name that it points to. No type name in the system is nearly this long.
    #[repr(C)]
    struct Named {
        record: PUBLIC_OBJECT_TYPE_INFORMATION,
        name: [u16; 128],
    }
    let mut named = Named { record: PUBLIC_OBJECT_TYPE_INFORMATION::default(), name: [0; 128] };
    // SAFETY: the record is the one of this class, with room behind it, and lives through the call.
    let status = unsafe { query(handle, ObjectTypeInformation, &mut named) };
    let UNICODE_STRING { Length: bytes, Buffer: start, .. } = named.record.TypeName;
    // The pointer is compared with the array's address, and never followed.
    let place = start.addr().checked_sub((&raw const named.name).addr())? / size_of::<u16>();
    let name = named.name.get(place..place.checked_add(usize::from(bytes) / size_of::<u16>())?)?;
    (status >= 0).then(|| String::from_utf16_lossy(name))
}

/// # Safety
/// `into` is the record that this class writes, or begins with it and has room for the rest.
unsafe fn query<T>(handle: HANDLE, class: OBJECT_INFORMATION_CLASS, into: &mut T) -> NTSTATUS {
    let into = ptr::from_mut(into).cast::<c_void>();
    // SAFETY: the caller's promise; the length is that of `into`.
    unsafe { NtQueryObject(handle, class, into, size_of::<T>() as u32, ptr::null_mut()) }
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::FromRawHandle;

    use windows_sys::Win32::System::Threading::{
        CreateEventW, CreateSemaphoreW, CreateWaitableTimerW, GetCurrentProcess,
    };

    use super::*;

    #[test]
    fn a_wait_takes_some_signals_and_leaves_others() {
        // SAFETY: no names and no security; the handles are new and ours.
        let new = |handle: HANDLE| unsafe { OwnedHandle::from_raw_handle(handle) };
        // SAFETY: as above.
        let (auto, manual, semaphore, timer) = unsafe {
            (
                new(CreateEventW(ptr::null(), 0, 0, ptr::null())),
                new(CreateEventW(ptr::null(), 1, 0, ptr::null())),
                new(CreateSemaphoreW(ptr::null(), 0, 1, ptr::null())),
                new(CreateWaitableTimerW(ptr::null(), 0, ptr::null())),
            )
        };
        for (handle, signal) in
            [(&auto, Signal::Taken), (&manual, Signal::Stays), (&semaphore, Signal::Taken), (&timer, Signal::Taken)]
        {
            assert_eq!(waited_for(handle).unwrap(), signal);
        }
        // SAFETY: no preconditions.
        let process = new(unsafe { GetCurrentProcess() });
        let process = process.try_clone().unwrap();
        assert_eq!(waited_for(&process).unwrap(), Signal::Stays);
        assert_eq!(type_name(auto.as_raw_handle()).as_deref(), Some("Event"));
    }
}
