//! The control codes of a serial driver: `ntddser.h`.

use overlapped::{Access, CtlCode, Ioctl, Method};

const fn code(function: u16) -> CtlCode {
    /// FILE_DEVICE_SERIAL_PORT (`winioctl.h`).
    const SERIAL_PORT: u16 = 0x1b;
    CtlCode::new(SERIAL_PORT, function, Method::Buffered, Access::Any)
}

// SAFETY: IOCTL_SERIAL_SET_DTR reads and writes nothing.
pub(super) const SET_DTR: Ioctl<(), ()> = unsafe { Ioctl::new(code(9)) };
// SAFETY: IOCTL_SERIAL_CLR_DTR reads and writes nothing.
pub(super) const CLR_DTR: Ioctl<(), ()> = unsafe { Ioctl::new(code(10)) };
// SAFETY: IOCTL_SERIAL_SET_RTS reads and writes nothing.
pub(super) const SET_RTS: Ioctl<(), ()> = unsafe { Ioctl::new(code(12)) };
// SAFETY: IOCTL_SERIAL_CLR_RTS reads and writes nothing.
pub(super) const CLR_RTS: Ioctl<(), ()> = unsafe { Ioctl::new(code(13)) };
// SAFETY: IOCTL_SERIAL_SET_WAIT_MASK reads one ULONG, the events to wait for.
pub(super) const SET_WAIT_MASK: Ioctl<u32, ()> = unsafe { Ioctl::new(code(17)) };
// SAFETY: IOCTL_SERIAL_WAIT_ON_MASK writes one ULONG, the events that happened.
pub(super) const WAIT_ON_MASK: Ioctl<(), u32> = unsafe { Ioctl::new(code(18)) };
// SAFETY: IOCTL_SERIAL_GET_MODEMSTATUS writes one ULONG, the inputs' levels.
pub(super) const GET_MODEMSTATUS: Ioctl<(), u32> = unsafe { Ioctl::new(code(26)) };
// SAFETY: IOCTL_SERIAL_GET_DTRRTS writes one ULONG, the outputs' levels.
pub(super) const GET_DTRRTS: Ioctl<(), u32> = unsafe { Ioctl::new(code(30)) };

/// SERIAL_EV_… of CTS, DSR, RING and RLSD: by offset.
pub(super) const EVENTS: [u32; super::look::INPUTS] = [0x0008, 0x0010, 0x0100, 0x0020];

/// SERIAL_…_STATE of CTS, DSR, RI and DCD: by offset.
pub(super) const STATES: [u32; super::look::INPUTS] = [0x10, 0x20, 0x40, 0x80];

/// SERIAL_RTS_STATE and SERIAL_DTR_STATE.
pub(super) const OUTPUTS: [u32; 2] = [0x02, 0x01];
