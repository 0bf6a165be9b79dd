//! Input devices that a test makes and operates (/dev/uinput, linux/uinput.h).

use overlapped::Device;
use overlapped::linux::{Direction, Ioctl, IoctlByValue};

// SAFETY: linux/uinput.h: UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_ABSBIT and UI_SET_SWBIT take the number of a bit.
const SET_EVBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 100) };
// SAFETY: as above.
const SET_KEYBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 101) };
// SAFETY: as above.
const SET_ABSBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 103) };
// SAFETY: as above.
const SET_SWBIT: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'U', 109) };
// SAFETY: UI_DEV_CREATE has no argument.
const CREATE: Ioctl<()> = unsafe { Ioctl::new(Direction::None, b'U', 1) };

/// EV_SYN, EV_KEY, EV_ABS, EV_SW and EV_REP (linux/input-event-codes.h).
const SYN: u16 = 0;
pub(crate) const KEY: u16 = 1;
pub(crate) const ABS: u16 = 3;
pub(crate) const SW: u16 = 5;
pub(crate) const REP: u16 = 20;

/// A device that exists until this is dropped.
pub(crate) struct Made(Device);

impl Made {
    /// A device with these kinds of events, and these codes of each kind.
    pub(crate) fn new(name: &str, has: &[(u16, &[u16])]) -> Self {
        let device = Device::open("/dev/uinput").unwrap();
        for &(kind, codes) in has {
            device.ioctl_by_value(SET_EVBIT, kind.into()).unwrap();
            let bit = match kind {
                KEY => SET_KEYBIT,
                ABS => SET_ABSBIT,
                _ => SET_SWBIT,
            };
            for &code in codes {
                device.ioctl_by_value(bit, code.into()).unwrap();
            }
        }
        // `struct uinput_user_dev`: a name of 80 bytes, bus, vendor, product, version, and four times 64 numbers of
        // axes.
        let mut made = vec![0; 80 + 8 + 4 + 4 * 64 * 4];
        made[..name.len()].copy_from_slice(name.as_bytes());
        made[80..82].copy_from_slice(&6_u16.to_ne_bytes());
        // The greatest and the least value of each axis.
        for axis in 0..64 {
            made[92 + 4 * axis..][..4].copy_from_slice(&1000_i32.to_ne_bytes());
            made[92 + 256 + 4 * axis..][..4].copy_from_slice(&(-1000_i32).to_ne_bytes());
        }
        device.write(&made).wait().unwrap();
        device.ioctl(CREATE, ()).unwrap();
        Self(device)
    }

    /// Sends an event, and the end of the group of simultaneous events.
    pub(crate) fn send(&self, kind: u16, code: u16, value: i32) {
        let mut events = Vec::new();
        for (kind, code, value) in [(kind, code, value), (SYN, 0, 0)] {
            // `struct input_event`: the kernel fills in the time, which is two `long`s.
            events.extend([0; 2 * size_of::<isize>()]);
            events.extend(kind.to_ne_bytes());
            events.extend(code.to_ne_bytes());
            events.extend(value.to_ne_bytes());
        }
        self.0.write(&events).wait().unwrap();
    }
}
