//! Installs and starts linewake.sys for a test. Stops and removes it afterwards.

use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ControlService, CreateServiceW, DeleteService, OpenSCManagerW, SC_HANDLE,
    SC_MANAGER_ALL_ACCESS, SERVICE_ALL_ACCESS, SERVICE_CONTROL_STOP, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL,
    SERVICE_KERNEL_DRIVER, SERVICE_RUNNING, SERVICE_STATUS, SERVICE_STOPPED, StartServiceW,
};

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// The service of a kernel driver, started.
#[derive(Debug)]
pub struct Service {
    manager: SC_HANDLE,
    service: SC_HANDLE,
}

impl Service {
    /// Starts the driver that LINEWAKE_SYS names. If the variable is not set: prints a line and returns `None`.
    pub fn start_from_environment() -> Option<Self> {
        let Ok(path) = std::env::var("LINEWAKE_SYS") else {
            println!("skipped: LINEWAKE_SYS does not name linewake.sys (`cargo xtask test --only wine` sets it)");
            return None;
        };
        let (name, path) = (wide("LineWakeTest"), wide(&path));
        // SAFETY: no machine and no database are named, which means this machine's.
        let manager = unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_ALL_ACCESS) };
        assert!(!manager.is_null(), "the service manager: error {}", error());
        // SAFETY: the strings are NUL-terminated and live through the call; the other pointers may be null.
        let service = unsafe {
            CreateServiceW(
                manager,
                name.as_ptr(),
                name.as_ptr(),
                SERVICE_ALL_ACCESS,
                SERVICE_KERNEL_DRIVER,
                SERVICE_DEMAND_START,
                SERVICE_ERROR_NORMAL,
                path.as_ptr(),
                null(),
                null_mut(),
                null(),
                null(),
                null(),
            )
        };
        assert!(!service.is_null(), "creating the service: error {}", error());
        let this = Self { manager, service };
        this.start();
        Some(this)
    }

    pub fn start(&self) {
        // SAFETY: the service is open; no arguments.
        let started = unsafe { StartServiceW(self.service, 0, null()) };
        assert_ne!(started, 0, "starting the driver: error {}", error());
        self.await_state(SERVICE_RUNNING);
    }

    pub fn stop(&self) {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the service is open and the status lives through the call.
        let stopped = unsafe { ControlService(self.service, SERVICE_CONTROL_STOP, &mut status) };
        assert_ne!(stopped, 0, "stopping the driver: error {}", error());
        self.await_state(SERVICE_STOPPED);
    }

    fn await_state(&self, wanted: u32) {
        use windows_sys::Win32::System::Services::QueryServiceStatus;
        for _ in 0..1000 {
            let mut status = SERVICE_STATUS::default();
            // SAFETY: as above.
            let ok = unsafe { QueryServiceStatus(self.service, &mut status) };
            if ok != 0 && status.dwCurrentState == wanted {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the driver is not in state {wanted} after ten seconds");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut status = SERVICE_STATUS::default();
        // SAFETY: the handles are open and not used afterwards; a call that fails here had nothing left to do.
        unsafe {
            ControlService(self.service, SERVICE_CONTROL_STOP, &mut status);
            DeleteService(self.service);
            CloseServiceHandle(self.service);
            CloseServiceHandle(self.manager);
        }
    }
}

fn error() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetLastError() }
}
