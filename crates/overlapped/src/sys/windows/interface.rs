//! The configuration manager: lists of device interfaces, and notices.

use std::cell::Cell;
use std::ffi::{OsString, c_void};
use std::os::windows::ffi::OsStringExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, PoisonError};

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

use crate::port::caught;
use crate::{Error, ErrorCode, ErrorKind, InterfaceChange, Operation, Removal};

fn guid(class: u128) -> GUID {
    GUID::from_u128(class)
}

/// The paths of the interfaces of a class that are present.
pub(crate) fn present(class: u128) -> Result<Vec<PathBuf>, ErrorCode> {
    let class = guid(class);
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
        // SAFETY: as above; the list has the length that is stated.
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
            // One has come in between.
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
/// What `GetProcAddress` gives.
type Function = unsafe extern "system" fn() -> isize;
type Unregister = unsafe extern "system" fn(HCMNOTIFICATION) -> CONFIGRET;

/// Windows 8 has them; Windows 7 and some versions of Wine do not: so they are looked up, not linked.
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

/// A notice, and who is told.
enum Tell {
    Class(Box<dyn Fn(InterfaceChange) + Send + Sync>),
    Handle(Mutex<Box<dyn FnMut(Removal) + Send>>),
}

thread_local! {
    /// This thread runs a notice of the system.
    static IN_A_NOTICE: Cell<bool> = const { Cell::new(false) };
}

/// A registered callback.
#[derive(Debug)]
pub(crate) struct Registration {
    notification: HCMNOTIFICATION,
    unregister: Unregister,
    tell: *mut Tell,
}

// SAFETY: a registration may be ended on any thread; who is told is `Send` and `Sync`.
unsafe impl Send for Registration {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl Sync for Registration {}

pub(crate) fn watch_class(
    class: u128,
    tell: Box<dyn Fn(InterfaceChange) + Send + Sync>,
) -> Result<Registration, Error> {
    let u = CM_NOTIFY_FILTER_0 { DeviceInterface: CM_NOTIFY_FILTER_0_0 { ClassGuid: guid(class) } };
    register(CM_NOTIFY_FILTER_TYPE_DEVICEINTERFACE, u, Tell::Class(tell))
}

pub(crate) fn watch_handle(handle: HANDLE, tell: Box<dyn FnMut(Removal) + Send>) -> Result<Registration, Error> {
    let u = CM_NOTIFY_FILTER_0 { DeviceHandle: CM_NOTIFY_FILTER_0_1 { hTarget: handle } };
    register(CM_NOTIFY_FILTER_TYPE_DEVICEHANDLE, u, Tell::Handle(Mutex::new(tell)))
}

fn register(filter_type: i32, u: CM_NOTIFY_FILTER_0, tell: Tell) -> Result<Registration, Error> {
    let Some((register, unregister)) = functions() else {
        return Err(Error::new(ErrorKind::Unsupported, Operation::Interface)
            .hint("this system gives no notices of devices (CM_Register_Notification)"));
    };
    let size = size_of::<CM_NOTIFY_FILTER>() as u32;
    let filter = CM_NOTIFY_FILTER { cbSize: size, Flags: 0, FilterType: filter_type, Reserved: 0, u };
    let tell = Box::into_raw(Box::new(tell));
    let mut notification = HCMNOTIFICATION::default();
    // SAFETY: filter and out-parameter live through the call; the context lives until the registration's end.
    let result = unsafe { register(&filter, tell.cast(), Some(notice), &mut notification) };
    if result != CR_SUCCESS {
        // SAFETY: it was not registered: nobody else has it.
        drop(unsafe { Box::from_raw(tell) });
        return Err(Error::from_code(ErrorCode::ConfigManager(result), Operation::Interface));
    }
    Ok(Registration { notification, unregister, tell })
}

unsafe extern "system" fn notice(
    _: HCMNOTIFICATION,
    context: *const c_void,
    action: CM_NOTIFY_ACTION,
    data: *const CM_NOTIFY_EVENT_DATA,
    size: u32,
) -> u32 {
    // SAFETY: the context is what was registered, and lives until the registration's end, which waits for this.
    let tell = unsafe { &*context.cast::<Tell>() };
    let outer = IN_A_NOTICE.replace(true);
    // A panic must not unwind into the system.
    caught(|| match tell {
        Tell::Class(tell) => {
            // SAFETY: the system's record, of this size, which ends in the interface's path.
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
            tell.lock().unwrap_or_else(PoisonError::into_inner)(removal);
        }
    });
    IN_A_NOTICE.set(outer);
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
    // SAFETY: the record has this many units after its head (the caller's promise); it is read a unit at a time.
    let path: Vec<u16> = (0..units).map(|at| unsafe { start.add(at).read() }).take_while(|unit| *unit != 0).collect();
    OsString::from_wide(&path).into()
}

/// What a registration leaves to be ended.
struct End(Unregister, HCMNOTIFICATION, *mut Tell);

// SAFETY: as of the registration.
unsafe impl Send for End {}

impl End {
    fn now(self) {
        let Self(unregister, notification, tell) = self;
        // SAFETY: registered, and ended here alone; it waits for a callback that runs. Then nobody has the context.
        unsafe {
            unregister(notification);
            drop(Box::from_raw(tell));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let end = End(self.unregister, self.notification, self.tell);
        if !IN_A_NOTICE.try_with(Cell::get).unwrap_or(false) {
            return end.now();
        }
        // Inside a notice the system would wait for this very thread. If no other can be had the registration stays.
        let _ = std::thread::Builder::new().name("overlapped-close".to_owned()).spawn(move || end.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    static ENDED_BY: Mutex<Option<ThreadId>> = Mutex::new(None);
    static IS_OVER: Mutex<()> = Mutex::new(());

    /// As the system's: it waits for the callback.
    unsafe extern "system" fn unregister(_: HCMNOTIFICATION) -> CONFIGRET {
        *ENDED_BY.lock().unwrap() = Some(std::thread::current().id());
        drop(IS_OVER.lock());
        CR_SUCCESS
    }

    #[test]
    fn a_notice_may_end_its_own_watching() {
        struct Told(std::sync::mpsc::Sender<Removal>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(Removal::Gone);
            }
        }
        let (tell, told) = channel();
        let watching = std::sync::Arc::new(Mutex::new(None));
        let (own, last) = (watching.clone(), Told(tell));
        let callback = move |removal| {
            drop(own.lock().unwrap().take());
            last.0.send(removal).unwrap();
        };
        let tell = Box::into_raw(Box::new(Tell::Handle(Mutex::new(Box::new(callback)))));
        *watching.lock().unwrap() = Some(Registration { notification: HCMNOTIFICATION::default(), unregister, tell });
        let under_way = IS_OVER.lock().unwrap();
        let data = ptr::null();
        // SAFETY: the context is what a registration has; of a handle's notice no data is looked at.
        unsafe { notice(HCMNOTIFICATION::default(), tell.cast(), CM_NOTIFY_ACTION_DEVICEQUERYREMOVE, data, 0) };
        assert_eq!(told.recv().unwrap(), Removal::Asked);
        assert_ne!(*ENDED_BY.lock().unwrap(), Some(std::thread::current().id()), "it would wait for itself");
        drop(under_way);
        assert_eq!(told.recv().unwrap(), Removal::Gone, "then the callback is gone");
    }
}
