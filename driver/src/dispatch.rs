//! The routines that the I/O manager calls: entry, unload, and the four major functions.

use core::ptr::null_mut;

use linewake_controller::Status;
use linewake_controller::protocol::FILE_DEVICE_LINEWAKE;
use windows_sys::Wdk::Foundation::{DEVICE_OBJECT, DRIVER_OBJECT, IRP};
use windows_sys::Wdk::System::SystemServices::{
    FILE_DEVICE_SECURE_OPEN, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IoCreateDevice,
    IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink,
};
use windows_sys::Win32::Foundation::{NTSTATUS, UNICODE_STRING};

use crate::chip::{self, CHIPS, Extension, LINES, extension};
use crate::request::{Irp, Request};

// From wdm.h; windows-sys 0.61 lacks them.
const DO_BUFFERED_IO: u32 = 0x4;
const DO_DEVICE_INITIALIZING: u32 = 0x80;

/// A device object: its name in the kernel, its name for programs, and its extension.
struct Device {
    name: &'static [u16],
    link: &'static [u16],
    extension: Extension,
}

static DEVICES: [Device; 3] = [
    Device {
        name: &utf16(br"\Device\LineWake0"),
        link: &utf16(br"\DosDevices\LineWake0"),
        extension: Extension { chip: &CHIPS[0], no_cancel: false },
    },
    Device {
        name: &utf16(br"\Device\LineWake1"),
        link: &utf16(br"\DosDevices\LineWake1"),
        extension: Extension { chip: &CHIPS[1], no_cancel: false },
    },
    Device {
        name: &utf16(br"\Device\LineWakeNoCancel"),
        link: &utf16(br"\DosDevices\LineWakeNoCancel"),
        extension: Extension { chip: &CHIPS[0], no_cancel: true },
    },
];

/// The image's entry point.
///
/// # Safety
/// The I/O manager calls it once, with the driver's own object.
#[unsafe(no_mangle)]
unsafe extern "system" fn DriverEntry(driver: *mut DRIVER_OBJECT, _registry: *const UNICODE_STRING) -> NTSTATUS {
    for (chip, label) in CHIPS.iter().zip(["LineWake0", "LineWake1"]) {
        chip.with(|chip| {
            chip.controller.init(label, "linewake.sys", LINES);
            for offset in 0..LINES as u32 {
                let mut name = *b"line0000";
                let digits = decimal(&mut name, offset);
                chip.controller.set_line_name(offset, core::str::from_utf8(digits).unwrap_or(""));
            }
        });
    }
    for device in &DEVICES {
        // SAFETY: the driver's own object, which the I/O manager passed.
        let status = unsafe { create_device(driver, device) };
        if status < 0 {
            // SAFETY: no handle was opened yet.
            unsafe { delete_devices(driver) };
            return status;
        }
    }
    // SAFETY: we may fill it in until DriverEntry returns.
    let driver = unsafe { &mut *driver };
    driver.DriverUnload = Some(unload);
    driver.MajorFunction[IRP_MJ_CREATE as usize] = Some(create);
    driver.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(device_control);
    driver.MajorFunction[IRP_MJ_CLEANUP as usize] = Some(cleanup);
    driver.MajorFunction[IRP_MJ_CLOSE as usize] = Some(cleanup);
    Status::SUCCESS.to_u32() as NTSTATUS
}

/// # Safety
/// `driver` is the driver's own object.
unsafe fn create_device(driver: *const DRIVER_OBJECT, device: &Device) -> NTSTATUS {
    let (name, link) = (unicode(device.name), unicode(device.link));
    let mut object: *mut DEVICE_OBJECT = null_mut();
    // A driver for real machines calls IoCreateDeviceSecure, to say who may open the device; that function is in a
    // library that we do not link. FILE_DEVICE_SECURE_OPEN applies the device's security to names below it too.
    // SAFETY: the strings are static; the object goes where the pointer says.
    let status = unsafe {
        IoCreateDevice(
            driver,
            size_of::<Extension>() as u32,
            &name,
            FILE_DEVICE_LINEWAKE.into(),
            FILE_DEVICE_SECURE_OPEN,
            false,
            &mut object,
        )
    };
    if status < 0 {
        return status;
    }
    // SAFETY: just created, with room for the extension, and not open before DO_DEVICE_INITIALIZING is cleared.
    unsafe {
        (*object).DeviceExtension.cast::<Extension>().write(device.extension);
        (*object).Flags |= DO_BUFFERED_IO;
        (*object).Flags &= !DO_DEVICE_INITIALIZING;
    }
    // SAFETY: the strings are static.
    unsafe { IoCreateSymbolicLink(&link, &name) }
}

/// # Safety
/// `driver` is the driver's own object, and no request of its devices is left.
unsafe fn delete_devices(driver: *const DRIVER_OBJECT) {
    for device in &DEVICES {
        // SAFETY: a static string. If the link does not exist, the call fails without harm.
        unsafe { IoDeleteSymbolicLink(&unicode(device.link)) };
    }
    // SAFETY: by the caller's promise; each deletion removes its object from the list.
    unsafe {
        while !(*driver).DeviceObject.is_null() {
            IoDeleteDevice((*driver).DeviceObject);
        }
    }
}

unsafe extern "system" fn unload(driver: *const DRIVER_OBJECT) {
    CHIPS.iter().for_each(chip::end);
    // SAFETY: the driver's own object, and `end` left nothing pended.
    unsafe { delete_devices(driver) };
}

unsafe extern "system" fn create(device: *const DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a new IRP from the I/O manager.
    let Some(request) = (unsafe { accept(irp) }) else { return Status::INVALID_PARAMETER.to_u32() as NTSTATUS };
    let file = request.irp().file();
    // SAFETY: the file object of a create request is live and not shared yet.
    let file = unsafe { &mut *file };
    // `\\.\LineWake0\something`: there is nothing below the device.
    if file.FileName.Length != 0 {
        return answer(request, Status::INVALID_PARAMETER);
    }
    // SAFETY: one of our device objects.
    let extension = unsafe { extension(device) };
    match extension.chip.with(|chip| chip.controller.open()) {
        Ok(reader) => {
            file.FsContext = reader.to_bits() as usize as *mut _;
            answer(request, Status::SUCCESS)
        }
        Err(status) => {
            file.FsContext2 = status.to_u32() as usize as *mut _;
            answer(request, status)
        }
    }
}

unsafe extern "system" fn device_control(device: *const DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a new IRP from the I/O manager.
    let Some(request) = (unsafe { accept(irp) }) else { return Status::INVALID_PARAMETER.to_u32() as NTSTATUS };
    // Wine 8 does not wait for IRP_MJ_CREATE, so a handle may exist there though it was refused.
    // SAFETY: the file object outlives its requests; only `create` writes these fields.
    let refused = unsafe { (*request.irp().file()).FsContext2 } as usize as u32;
    if refused != 0 {
        return answer(request, Status::from_u32(refused));
    }
    // SAFETY: one of our device objects.
    let Extension { chip, no_cancel } = unsafe { extension(device) };
    let status = if no_cancel { chip::control_without_cancel(chip, request) } else { chip::control(chip, request) };
    status.to_u32() as NTSTATUS
}

/// IRP_MJ_CLEANUP: the last handle was closed. Pended requests keep the file object alive until they are completed
/// here. IRP_MJ_CLOSE: nothing refers to the file object any more, and nothing is left to do. But Wine 8 has no
/// IRP_MJ_CLEANUP and sends IRP_MJ_CLOSE instead. Doing this twice is harmless.
unsafe extern "system" fn cleanup(device: *const DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: a new IRP from the I/O manager.
    let Some(request) = (unsafe { accept(irp) }) else { return Status::INVALID_PARAMETER.to_u32() as NTSTATUS };
    // SAFETY: one of our device objects.
    let extension = unsafe { extension(device) };
    chip::cleanup(extension.chip, request.irp().file(), request.irp().reader());
    answer(request, Status::SUCCESS)
}

/// # Safety
/// The I/O manager has just passed the IRP to a dispatch routine.
unsafe fn accept(irp: *mut IRP) -> Option<Request> {
    // SAFETY: by the caller's promise it is not completed, and we must complete it.
    unsafe { Irp::new(irp).map(|irp| Request::own(irp)) }
}

fn answer(mut request: Request, status: Status) -> NTSTATUS {
    request.set_status(status, 0);
    request.complete();
    status.to_u32() as NTSTATUS
}

/// Writes a number after "line", without leading zeros. Returns the used part of the text.
fn decimal(text: &mut [u8; 8], number: u32) -> &[u8] {
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = number;
    for digit in text[4..].iter_mut().take(digits).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    &text[..4 + digits]
}

const fn utf16<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut text = [0; N];
    let mut i = 0;
    while i < N {
        text[i] = ascii[i] as u16;
        i += 1;
    }
    text
}

fn unicode(text: &'static [u16]) -> UNICODE_STRING {
    let bytes = size_of_val(text) as u16;
    UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: text.as_ptr().cast_mut() }
}
