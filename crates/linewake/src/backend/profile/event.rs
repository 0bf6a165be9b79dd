//! The Win32 events that a driver or its library signals.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use overlapped::Event;
use windows_sys::Win32::System::Threading::{CreateEventW, OpenEventW, SYNCHRONIZATION_SYNCHRONIZE};

use crate::{Error, ErrorKind};

/// Opens the event of this name, which the driver or its library has made.
pub(super) fn open(name: &str) -> Result<Event, Error> {
    let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: the name ends with a zero.
    let handle = unsafe { OpenEventW(SYNCHRONIZATION_SYNCHRONIZE, 0, wide.as_ptr()) };
    let event = format!("the event \"{name}\" cannot be opened");
    Ok(Event::new(owned(handle, &event)?)?)
}

/// A new event that resets itself, and the number of its handle for the driver. The handle is open as long as the
/// event.
pub(super) fn make() -> Result<(Event, u64), Error> {
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: no name, no security; resets itself, and is not signalled.
    let handle = unsafe { CreateEventW(ptr::null(), 0, 0, ptr::null()) };
    let handle = owned(handle, "no event can be made")?;
    let number = handle.as_raw_handle() as u64;
    Ok((Event::new(handle)?, number))
}

fn owned(handle: *mut std::ffi::c_void, what: &str) -> Result<OwnedHandle, Error> {
    if handle.is_null() {
        let reason = std::io::Error::last_os_error();
        return Err(Error::new(ErrorKind::Device, format!("{what}: {reason}; is the driver or its service running?")));
    }
    #[expect(unsafe_code, reason = "a handle of the system's")]
    // SAFETY: the system gave it just now, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
