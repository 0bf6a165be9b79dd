//! The service manager of Windows, for one kernel driver: this is the only file of the command, with `threads.rs`, that
//! talks to the system itself.

use std::fmt;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DRIVER_BLOCKED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_IMAGE_HASH, ERROR_PATH_NOT_FOUND,
    ERROR_SERVICE_ALREADY_RUNNING, ERROR_SERVICE_DISABLED, ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_EXISTS,
    ERROR_SERVICE_MARKED_FOR_DELETE, ERROR_SERVICE_NOT_ACTIVE, GetLastError,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfigW, CloseServiceHandle, ControlService, CreateServiceW, DeleteService, OpenSCManagerW,
    OpenServiceW, QUERY_SERVICE_CONFIGW, QueryServiceConfigW, QueryServiceStatus, SC_HANDLE, SC_MANAGER_CONNECT,
    SC_MANAGER_CREATE_SERVICE, SERVICE_CHANGE_CONFIG, SERVICE_CONTROL_STOP, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL,
    SERVICE_KERNEL_DRIVER, SERVICE_NO_CHANGE, SERVICE_QUERY_CONFIG, SERVICE_QUERY_STATUS, SERVICE_RUNNING,
    SERVICE_START, SERVICE_STATUS, SERVICE_STOP, SERVICE_STOPPED, StartServiceW,
};

use crate::exit::Failure;

/// The service's name.
const NAME: &str = "LineWake";
/// The right to delete an object, one of the standard rights (winnt.h).
const DELETE: u32 = 0x0001_0000;
/// How long a driver may take to load or unload.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn install(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let absolute = std::path::absolute(path).map_err(|error| Failure::new(format!("the path \"{shown}\": {error}")))?;
    if !absolute.is_file() {
        let remedy = "say with --path where linewake.sys is";
        return Err(Failure::new(format!("there is no file \"{}\"; {remedy}", absolute.display())));
    }
    let manager = Handle::manager(SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE)?;
    let (name, file) = (utf16(NAME), utf16(&absolute));
    // SAFETY: the manager is open; the strings are terminated and outlive the call; null is allowed where it is given.
    let created = unsafe {
        CreateServiceW(
            manager.0,
            name.as_ptr(),
            name.as_ptr(),
            SERVICE_QUERY_STATUS,
            SERVICE_KERNEL_DRIVER,
            SERVICE_DEMAND_START,
            SERVICE_ERROR_NORMAL,
            file.as_ptr(),
            null(),
            null_mut(),
            null(),
            null(),
            null(),
        )
    };
    match Handle::new(created) {
        Ok(_) => {}
        Err(ERROR_SERVICE_EXISTS) => {
            let service = manager.service(SERVICE_CHANGE_CONFIG)?;
            // SAFETY: as above; NO_CHANGE and null leave the rest as it is.
            let changed = unsafe {
                ChangeServiceConfigW(
                    service.0,
                    SERVICE_NO_CHANGE,
                    SERVICE_NO_CHANGE,
                    SERVICE_NO_CHANGE,
                    file.as_ptr(),
                    null(),
                    null_mut(),
                    null(),
                    null(),
                    null(),
                    null(),
                )
            };
            check(changed).map_err(|code| failed("install", code))?;
        }
        Err(code) => return Err(failed("install", code)),
    }
    Ok(format!("the driver \"{NAME}\" is installed from \"{}\"; next: linewake driver start", absolute.display()))
}

pub(crate) fn start() -> Result<String, Failure> {
    let service = Handle::manager(SC_MANAGER_CONNECT)?.service(SERVICE_START | SERVICE_QUERY_STATUS)?;
    // SAFETY: the service is open; a driver gets no arguments.
    let started = unsafe { StartServiceW(service.0, 0, null()) };
    match check(started) {
        Ok(()) | Err(ERROR_SERVICE_ALREADY_RUNNING) => {}
        Err(code) => return Err(failed("start", code)),
    }
    service.becomes(SERVICE_RUNNING, "start", "it did not say why; the system's event log may")?;
    Ok(format!("the driver \"{NAME}\" is running: its device is \"\\\\.\\LineWake0\""))
}

pub(crate) fn stop() -> Result<String, Failure> {
    let service = Handle::manager(SC_MANAGER_CONNECT)?.service(SERVICE_STOP | SERVICE_QUERY_STATUS)?;
    service.stop()?;
    Ok(format!("the driver \"{NAME}\" is stopped"))
}

pub(crate) fn remove() -> Result<String, Failure> {
    let manager = Handle::manager(SC_MANAGER_CONNECT)?;
    let gone = format!("the driver \"{NAME}\" is not installed");
    let service = match manager.find(SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE)? {
        Some(service) => service,
        None => return Ok(gone),
    };
    service.stop()?;
    // SAFETY: the service is open.
    match check(unsafe { DeleteService(service.0) }) {
        Ok(()) | Err(ERROR_SERVICE_MARKED_FOR_DELETE) => Ok(gone),
        Err(code) => Err(failed("remove", code)),
    }
}

pub(crate) fn status() -> Result<String, Failure> {
    let manager = Handle::manager(SC_MANAGER_CONNECT)?;
    let Some(service) = manager.find(SERVICE_QUERY_STATUS | SERVICE_QUERY_CONFIG)? else {
        return Ok(format!("the driver \"{NAME}\" is not installed"));
    };
    let state = match service.state()? {
        SERVICE_RUNNING => "running",
        SERVICE_STOPPED => "installed and not running",
        _ => "being started or stopped",
    };
    Ok(format!("the driver \"{NAME}\" is {state}: \"{}\"", service.path()?))
}

/// A handle of the service manager, or of the service.
struct Handle(SC_HANDLE);

impl Handle {
    /// Takes over what a function has just returned; null is a failure.
    fn new(handle: SC_HANDLE) -> Result<Self, u32> {
        if handle.is_null() { Err(last_error()) } else { Ok(Self(handle)) }
    }

    fn manager(access: u32) -> Result<Self, Failure> {
        // SAFETY: null names this computer and its database.
        Self::new(unsafe { OpenSCManagerW(null(), null(), access) }).map_err(|code| failed("reach", code))
    }

    /// The service, if it is installed.
    fn find(&self, access: u32) -> Result<Option<Self>, Failure> {
        // SAFETY: the manager is open, and the name is terminated and outlives the call.
        match Self::new(unsafe { OpenServiceW(self.0, utf16(NAME).as_ptr(), access) }) {
            Ok(service) => Ok(Some(service)),
            Err(ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
            Err(code) => Err(failed("open", code)),
        }
    }

    fn service(&self, access: u32) -> Result<Self, Failure> {
        self.find(access)?.ok_or_else(|| failed("open", ERROR_SERVICE_DOES_NOT_EXIST))
    }

    fn state(&self) -> Result<u32, Failure> {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the service is open and the status outlives the call.
        check(unsafe { QueryServiceStatus(self.0, &mut status) }).map_err(|code| failed("query", code))?;
        Ok(status.dwCurrentState)
    }

    fn stop(&self) -> Result<(), Failure> {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the service is open and the status outlives the call.
        match check(unsafe { ControlService(self.0, SERVICE_CONTROL_STOP, &mut status) }) {
            Ok(()) => self.becomes(SERVICE_STOPPED, "stop", "end the programs that have its device open"),
            Err(ERROR_SERVICE_NOT_ACTIVE) => Ok(()),
            Err(code) => Err(failed("stop", code)),
        }
    }

    fn becomes(&self, state: u32, what: &str, remedy: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.state()?;
            if now == state {
                return Ok(());
            }
            // A driver that fails to start is stopped again, and not on its way.
            if Instant::now() >= deadline || now == SERVICE_STOPPED {
                return Err(Failure::new(format!("the driver \"{NAME}\" did not {what}; {remedy}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The file it is loaded from.
    fn path(&self) -> Result<String, Failure> {
        // The most that QueryServiceConfigW asks for is 8 KiB (its documentation).
        let mut buffer = [0_u64; 1024];
        let config: *mut QUERY_SERVICE_CONFIGW = buffer.as_mut_ptr().cast();
        let mut needed = 0;
        // SAFETY: the service is open; the buffer is aligned for the record and has the length that is said.
        let queried = unsafe { QueryServiceConfigW(self.0, config, size_of_val(&buffer) as u32, &mut needed) };
        check(queried).map_err(|code| failed("query", code))?;
        // SAFETY: the call has filled the record, and its strings, terminated, into the buffer.
        let path = unsafe {
            let start = (*config).lpBinaryPathName;
            let length = if start.is_null() { 0 } else { (0..).take_while(|&at| *start.add(at) != 0).count() };
            if length == 0 { &[] } else { std::slice::from_raw_parts(start, length) }
        };
        Ok(String::from_utf16_lossy(path))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and this is its last use.
        unsafe { CloseServiceHandle(self.0) };
    }
}

/// The calling thread's last error: to be read at once, and only after a call has failed.
fn last_error() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetLastError() }
}

fn check(done: i32) -> Result<(), u32> {
    if done == 0 { Err(last_error()) } else { Ok(()) }
}

/// What the user can do about an error of the service manager.
fn failed(what: &str, code: u32) -> Failure {
    let remedy: &dyn fmt::Display = match code {
        ERROR_ACCESS_DENIED => &"this needs an administrator: run it from an elevated prompt",
        ERROR_SERVICE_DOES_NOT_EXIST => &"it is not installed; first: linewake driver install --path linewake.sys",
        ERROR_SERVICE_MARKED_FOR_DELETE => &"it is being removed; end the programs that have its device open",
        ERROR_SERVICE_DISABLED => &"it is disabled; linewake driver remove, then install it again",
        ERROR_INVALID_IMAGE_HASH => {
            &"Windows loads signed drivers only. For tests: \"bcdedit /set testsigning on\" as an administrator, restart, \
              and sign linewake.sys with a test certificate"
        }
        ERROR_DRIVER_BLOCKED => &"Windows blocks this driver; see the code-integrity event log",
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => {
            &"its file is gone; linewake driver install --path linewake.sys says where it is"
        }
        _ => &std::io::Error::from_raw_os_error(code as i32),
    };
    Failure::new(format!("cannot {what} the driver \"{NAME}\": {remedy} (error {code})"))
}

/// Terminated, as the system wants it.
fn utf16(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}
