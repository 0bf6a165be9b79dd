//! The configuration manager: lists of device interfaces, and notices about them.

use std::ffi::{OsString, c_void};
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::Mutex;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_GET_DEVICE_INTERFACE_LIST_PRESENT, CM_Get_Device_Interface_List_SizeW, CM_Get_Device_Interface_ListW,
    CM_NOTIFY_ACTION, CM_NOTIFY_ACTION_DEVICEINTERFACEARRIVAL, CM_NOTIFY_ACTION_DEVICEINTERFACEREMOVAL,
    CM_NOTIFY_ACTION_DEVICEQUERYREMOVE, CM_NOTIFY_ACTION_DEVICEQUERYREMOVEFAILED,
    CM_NOTIFY_ACTION_DEVICEREMOVECOMPLETE, CM_NOTIFY_EVENT_DATA, CM_NOTIFY_FILTER, CM_NOTIFY_FILTER_0,
    CM_NOTIFY_FILTER_0_0, CM_NOTIFY_FILTER_0_1, CM_NOTIFY_FILTER_TYPE_DEVICEHANDLE,
    CM_NOTIFY_FILTER_TYPE_DEVICEINTERFACE, CONFIGRET, CR_BUFFER_SMALL, CR_SUCCESS, HCMNOTIFICATION,
    PCM_NOTIFY_CALLBACK,
};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::core::GUID;

use crate::system::foreign::{Running, caught};
use crate::system::sync::lock_std as lock;
use crate::{Error, ErrorCode, ErrorKind, InterfaceChange, Operation, Removal};

/// The paths of the interfaces of a class that are present.
pub(crate) fn present(class: u128) -> Result<Vec<PathBuf>, ErrorCode> {
    let class = GUID::from_u128(class);
    loop {
        let mut len = 0;
        // SAFETY: length and class live through the call; no device is named.
        let result = unsafe {
            CM_Get_Device_Interface_List_SizeW(&mut len, &class, ptr::null(), CM_GET_DEVICE_INTERFACE_LIST_PRESENT)
        };
        if result != CR_SUCCESS {
            return Err(ErrorCode::ConfigManager(result));
        }
        let mut list = vec![0_u16; len as usize];
        // SAFETY: as above; the list has the stated length.
        let result = unsafe {
            CM_Get_Device_Interface_ListW(
                &class,
                ptr::null(),
                list.as_mut_ptr(),
                len,
                CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
            )
        };
        match result {
            CR_SUCCESS => {
                let paths = list.split(|unit| *unit == 0).filter(|path| !path.is_empty());
                return Ok(paths.map(|path| OsString::from_wide(path).into()).collect());
            }
            // A device has come in between: ask again.
            CR_BUFFER_SMALL => {}
            result => return Err(ErrorCode::ConfigManager(result)),
        }
    }
}

type Register = unsafe extern "system" fn(
    *const CM_NOTIFY_FILTER,
    *const c_void,
    PCM_NOTIFY_CALLBACK,
    *mut HCMNOTIFICATION,
) -> CONFIGRET;
/// The type that `GetProcAddress` returns.
type Function = unsafe extern "system" fn() -> isize;
type Unregister = unsafe extern "system" fn(HCMNOTIFICATION) -> CONFIGRET;

/// Windows 8 has these functions; Windows 7 and some versions of Wine do not. So they are looked up, not linked.
fn functions() -> Option<(Register, Unregister)> {
    let library: Vec<u16> = "cfgmgr32.dll\0".encode_utf16().collect();
    // SAFETY: the names are NUL-terminated; the types are those of the functions' documentation (cfgmgr32.h). The
    // library stays loaded: this crate links to it.
    unsafe {
        let library = LoadLibraryW(library.as_ptr());
        let register = GetProcAddress(library, c"CM_Register_Notification".as_ptr().cast())?;
        let unregister = GetProcAddress(library, c"CM_Unregister_Notification".as_ptr().cast())?;
        Some((
            std::mem::transmute::<Function, Register>(register),
            std::mem::transmute::<Function, Unregister>(unregister),
        ))
    }
}

/// The callback of a notice.
enum Tell {
    Class(Box<dyn Fn(InterfaceChange) + Send + Sync>),
    Handle(Mutex<Box<dyn FnMut(Removal) + Send>>),
}

/// Keeps a callback registered until it is dropped.
#[derive(Debug)]
pub(crate) struct Registration(Option<Registered>);

#[derive(Debug)]
struct Registered {
    notification: HCMNOTIFICATION,
    unregister: Unregister,
    tell: *mut Tell,
}

// SAFETY: a registration may be ended on any thread; a `Tell` is `Send` and `Sync`.
unsafe impl Send for Registered {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Registered {}

pub(crate) fn watch_class(
    class: u128,
    tell: Box<dyn Fn(InterfaceChange) + Send + Sync>,
) -> Result<Registration, Error> {
    let u = CM_NOTIFY_FILTER_0 { DeviceInterface: CM_NOTIFY_FILTER_0_0 { ClassGuid: GUID::from_u128(class) } };
    register(CM_NOTIFY_FILTER_TYPE_DEVICEINTERFACE, u, Tell::Class(tell))
}

pub(crate) fn watch_handle(handle: HANDLE, tell: Box<dyn FnMut(Removal) + Send>) -> Result<Registration, Error> {
    let u = CM_NOTIFY_FILTER_0 { DeviceHandle: CM_NOTIFY_FILTER_0_1 { hTarget: handle } };
    register(CM_NOTIFY_FILTER_TYPE_DEVICEHANDLE, u, Tell::Handle(Mutex::new(tell)))
}

fn register(filter_type: i32, u: CM_NOTIFY_FILTER_0, tell: Tell) -> Result<Registration, Error> {
    let Some((register, unregister)) = functions() else {
        return Err(Error::new(ErrorKind::Unsupported, Operation::Interface)
            .hint("notices about devices need Windows 8 or later (CM_Register_Notification)"));
    };
    let size = size_of::<CM_NOTIFY_FILTER>() as u32;
    let filter = CM_NOTIFY_FILTER { cbSize: size, Flags: 0, FilterType: filter_type, Reserved: 0, u };
    let tell = Box::into_raw(Box::new(tell));
    let mut notification = HCMNOTIFICATION::default();
    // SAFETY: filter and out-parameter live through the call; the context lives until the registration's end.
    let result = unsafe { register(&filter, tell.cast(), Some(notice), &mut notification) };
    if result != CR_SUCCESS {
        // SAFETY: it was not registered, so nobody else has it.
        drop(unsafe { Box::from_raw(tell) });
        return Err(Error::from_code(ErrorCode::ConfigManager(result), Operation::Interface));
    }
    Ok(Registration(Some(Registered { notification, unregister, tell })))
}

unsafe extern "system" fn notice(
    _: HCMNOTIFICATION,
    context: *const c_void,
    action: CM_NOTIFY_ACTION,
    data: *const CM_NOTIFY_EVENT_DATA,
    size: u32,
) -> u32 {
    // SAFETY: the context is the one that was registered; it lives until the registration's end, which waits for this.
    let tell = unsafe { &*context.cast::<Tell>() };
    let _running = Running::begin(tell);
    // A panic must not unwind into the system.
    caught(|| match tell {
        Tell::Class(tell) => {
            // SAFETY: this is the system's record, with `size` bytes, and it ends with the interface's path.
            let path = unsafe { symbolic_link(data, size) };
            match action {
                CM_NOTIFY_ACTION_DEVICEINTERFACEARRIVAL => tell(InterfaceChange::Arrived(path)),
                CM_NOTIFY_ACTION_DEVICEINTERFACEREMOVAL => tell(InterfaceChange::Removed(path)),
                _ => {}
            }
        }
        Tell::Handle(tell) => {
            let removal = match action {
                CM_NOTIFY_ACTION_DEVICEQUERYREMOVE => Removal::Asked,
                CM_NOTIFY_ACTION_DEVICEQUERYREMOVEFAILED => Removal::Refused,
                CM_NOTIFY_ACTION_DEVICEREMOVECOMPLETE => Removal::Gone,
                _ => return,
            };
            lock(tell)(removal);
        }
    });
    // ERROR_SUCCESS: no objection.
    0
}

/// # Safety
/// `data` has `size` bytes and is of the type "device interface".
unsafe fn symbolic_link(data: *const CM_NOTIFY_EVENT_DATA, size: u32) -> PathBuf {
    // SAFETY: only an address is computed.
    let start = unsafe { &raw const (*data).u.DeviceInterface.SymbolicLink }.cast::<u16>();
    let before = start.addr() - data.addr();
    let units = (size as usize).saturating_sub(before) / 2;
    // SAFETY: the record has this many units after its head (the caller's promise); they are read one at a time.
    let path: Vec<u16> = (0..units).map(|at| unsafe { start.add(at).read() }).take_while(|unit| *unit != 0).collect();
    OsString::from_wide(&path).into()
}

impl Registered {
    fn end(self) {
        // SAFETY: registered, and ended only here. Ending waits for a running callback; after that nobody has the
        // context.
        unsafe {
            (self.unregister)(self.notification);
            drop(Box::from_raw(self.tell));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(registered) = self.0.take() else { return };
        if !Running::is_here(registered.tell) {
            return registered.end();
        }
        // A callback that ends its own registration would wait for itself, so another thread ends it. If that thread
        // cannot be started, the registration stays.
        let _ = std::thread::Builder::new().name("overlapped-notice".to_owned()).spawn(move || registered.end());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Locked while the system calls back.
    static TELLS: Mutex<()> = Mutex::new(());

    unsafe extern "system" fn unregister(_: HCMNOTIFICATION) -> CONFIGRET {
        drop(TELLS.lock().unwrap());
        CR_SUCCESS
    }

    #[test]
    fn a_notice_may_be_dropped_in_its_own_callback() {
        let own: &'static Mutex<Option<Registration>> = Box::leak(Box::default());
        let (tell, told) = mpsc::channel::<()>();
        let callback = move |_| {
            let _ = &tell;
            drop(own.lock().unwrap().take());
        };
        let tell = Box::into_raw(Box::new(Tell::Handle(Mutex::new(Box::new(callback)))));
        let notification = ptr::null_mut();
        *own.lock().unwrap() = Some(Registration(Some(Registered { notification, unregister, tell })));
        let tells = TELLS.lock().unwrap();
        // SAFETY: the context lives until `unregister` has returned.
        unsafe { notice(notification, tell.cast(), CM_NOTIFY_ACTION_DEVICEREMOVECOMPLETE, ptr::null(), 0) };
        drop(tells);
        // The callback is dropped, and so is its sender.
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
