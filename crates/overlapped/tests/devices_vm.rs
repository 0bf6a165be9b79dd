//! Real devices in the virtual machine: input devices, a HID, a network interface, a clock, a watchdog, a console.
//! Their behaviour shows what arguments the drivers were given.
#![cfg(all(target_os = "linux", not(miri)))]
#![allow(dead_code, reason = "the tests do not begin at `main`")]

#[path = "../examples/evdev_grab.rs"]
mod evdev_grab;
#[path = "../examples/hidraw_features.rs"]
mod hidraw_features;
#[path = "../examples/sysfs_watch.rs"]
mod sysfs_watch;
#[path = "../examples/tun_echo.rs"]
mod tun_echo;
#[path = "../examples/uinput_keyboard.rs"]
mod uinput_keyboard;

use std::ffi::c_ulong;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use evdev_grab::evdev;
use hidraw_features::hidraw;
use overlapped::linux::{Direction, Ioctl, IoctlByValue, request};
use overlapped::{Device, ErrorCode, ErrorKind};
use test_support::hid;
use test_support::until;
use tun_echo::tun;
use uinput_keyboard::uinput::{EV_KEY, Keyboard};

/// Checks whether this is the virtual machine, and prints a line if it is not.
fn is_the_machine() -> bool {
    let is_the_machine = std::env::var_os("LINEWAKE_VM").is_some();
    if !is_the_machine {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there are the devices)");
    }
    is_the_machine
}

/// Waits for something that the system makes a moment later.
fn soon<T>(mut find: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until("it comes", || {
        found = find();
        found.is_some()
    });
    found.unwrap()
}

const KEY_A: u16 = 30;
const KEY_B: u16 = 48;

fn keyboard(name: &str) -> (Keyboard, PathBuf) {
    let keyboard = Keyboard::plug_in(name, &[KEY_A, KEY_B]).unwrap();
    let path = soon(|| keyboard.path().unwrap());
    (keyboard, path)
}

/// The keys that are pressed, in order, up to and including `last`.
fn pressed_up_to(device: &Device, last: u16) -> Vec<u16> {
    let mut pressed = Vec::new();
    evdev::watch(device, Duration::from_secs(60), |event| {
        if (event.kind, event.value) == (EV_KEY, 1) {
            pressed.push(event.code);
        }
        if pressed.last() == Some(&last) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    pressed
}

#[test]
fn a_uinput_keyboard_has_the_keys_and_the_name_it_was_given() {
    if !is_the_machine() {
        return;
    }
    let (keyboard, path) = keyboard("a keyboard with a name of some length");
    let device = evdev::open(&path).unwrap();
    assert_eq!(evdev::name(&device).unwrap(), "a keyboard with a name of some length");
    assert_eq!(evdev::keys(&device).unwrap(), [KEY_A, KEY_B]);
    keyboard.unplug().unwrap();
    assert_eq!(evdev::name(&device).unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn a_grabbed_keyboard_sends_keys_to_its_grabber_only() {
    if !is_the_machine() {
        return;
    }
    let (keyboard, path) = keyboard("grabbed");
    let (mine, others) = (evdev::open(&path).unwrap(), evdev::open(&path).unwrap());
    evdev::grab(&mine, true).unwrap();
    assert_eq!(evdev::grab(&others, true).unwrap_err().kind(), ErrorKind::Busy);
    keyboard.press(KEY_A).unwrap();
    // If the driver were passed an address in place of the 0, that would mean yes.
    evdev::grab(&mine, false).unwrap();
    keyboard.press(KEY_B).unwrap();
    assert_eq!(pressed_up_to(&mine, KEY_B), [KEY_A, KEY_B]);
    assert_eq!(pressed_up_to(&others, KEY_B), [KEY_B]);
    evdev::grab(&others, true).unwrap();
}

#[test]
fn a_datagram_through_a_tun_interface_comes_back() {
    if !is_the_machine() {
        return;
    }
    // SAFETY: linux/if_tun.h: TUNSETPERSIST, _IOW('T', 203, int): the driver takes a number, 0 for no.
    const TUNSETPERSIST: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Write, b'T', 203) };
    const INTERFACE: &str = "/sys/class/net/kept";
    let tun = tun::open("kept").unwrap();
    assert_eq!(std::fs::read_to_string(format!("{INTERFACE}/owner")).unwrap().trim(), "0");
    tun.ioctl_by_value(TUNSETPERSIST, 1).unwrap();
    drop(tun);
    // The interface is there without an owner. If the driver were passed an address in place of the 0, it would stay.
    let again = soon(|| tun::open("kept").ok());
    again.ioctl_by_value(TUNSETPERSIST, 0).unwrap();
    drop(again);
    soon(|| (!PathBuf::from(INTERFACE).exists()).then_some(()));
}

/// `/dev/uhid`: a thread plays a HID (linux/uhid.h).
mod uhid {
    use super::hid::{EVENT, event, made};
    use super::*;

    const DESTROY: u32 = 1;
    const GET_REPORT: u32 = 9;
    const GET_REPORT_REPLY: u32 = 10;
    const SET_REPORT: u32 = 13;
    const SET_REPORT_REPLY: u32 = 14;

    /// A vendor-specific HID: no report numbers, reports of 8 bytes, features of 8 bytes.
    const DESCRIPTOR: [u8; 25] = [
        0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x08,
        0x81, 0x02, 0x09, 0x02, 0xb1, 0x02, 0xc0,
    ];

    /// A HID that keeps the feature that is sent to it, and gives it back.
    pub(super) fn plug_in(name: &str) -> Device {
        let device = Device::from_fd(made(name, 6, &DESCRIPTOR)).unwrap();
        let driver = device.clone();
        thread::spawn(move || play(&driver));
        device
    }

    pub(super) fn unplug(device: &Device) {
        device.write(&event(DESTROY)).wait().unwrap();
    }

    fn play(device: &Device) {
        let mut feature = Vec::new();
        let mut events = device.standing_reads(EVENT).start();
        while let Some(Ok(asked)) = events.wait_next() {
            let kind = u32::from_ne_bytes(asked[..4].try_into().unwrap());
            let mut answer = event(if kind == GET_REPORT { GET_REPORT_REPLY } else { SET_REPORT_REPLY });
            // The id of the question that is answered.
            answer[4..8].copy_from_slice(&asked[4..8]);
            match kind {
                GET_REPORT => {
                    answer[10..12].copy_from_slice(&(feature.len() as u16).to_ne_bytes());
                    answer[12..12 + feature.len()].copy_from_slice(&feature);
                }
                SET_REPORT => {
                    let len = u16::from_ne_bytes([asked[10], asked[11]]);
                    feature = asked[12..12 + usize::from(len)].to_vec();
                }
                _ => continue,
            }
            device.write(&answer).wait().unwrap();
        }
    }
}

#[test]
fn hid_features_have_the_length_that_was_set() {
    if !is_the_machine() {
        return;
    }
    let plugged = uhid::plug_in("with features");
    let is_it = |device: &Device| hidraw::name(device).is_ok_and(|name| name == "with features");
    let device = soon(|| (0..8).find_map(|n| Device::open(format!("/dev/hidraw{n}")).ok().filter(&is_it)));
    assert_eq!(hidraw::descriptor_size(&device).unwrap(), 25);
    for len in [2, 5, 9] {
        let sent: Vec<u8> = (0..len).collect();
        hidraw::set_feature(&device, &sent).unwrap();
        // The buffer may have room for more than the device gives.
        for room in [usize::from(len) - 1, 64, 4000] {
            assert_eq!(hidraw::feature(&device, 0, room).unwrap(), sent, "{room}");
        }
    }
    // With less room, only the first part comes.
    assert_eq!(hidraw::feature(&device, 0, 3).unwrap(), [0, 1, 2, 3]);
    uhid::unplug(&plugged);
    let gone = soon(|| hidraw::feature(&device, 0, 8).err().filter(|error| error.kind() != ErrorKind::Other));
    assert_eq!(gone.kind(), ErrorKind::Disconnected, "{gone}");
}

#[test]
fn a_clock_has_the_rate_that_was_set_and_ticks() {
    if !is_the_machine() {
        return;
    }
    // SAFETY: linux/rtc.h: RTC_UIE_ON and RTC_UIE_OFF have no argument.
    const RTC_UIE_ON: Ioctl<()> = unsafe { Ioctl::new(Direction::None, b'p', 0x03) };
    // SAFETY: as above.
    const RTC_UIE_OFF: Ioctl<()> = unsafe { Ioctl::new(Direction::None, b'p', 0x04) };
    // SAFETY: RTC_IRQP_READ, _IOR('p', 0x0b, unsigned long), writes one.
    const RTC_IRQP_READ: Ioctl<[u8; size_of::<c_ulong>()]> = unsafe { Ioctl::new(Direction::Read, b'p', 0x0b) };
    // SAFETY: RTC_IRQP_SET, _IOW('p', 0x0c, unsigned long), takes a rate in hertz.
    const RTC_IRQP_SET: IoctlByValue<c_ulong> = unsafe { IoctlByValue::new(Direction::Write, b'p', 0x0c) };
    let clock = Device::options().write(false).open("/dev/rtc0").unwrap();
    clock.ioctl_by_value(RTC_IRQP_SET, 64).unwrap();
    assert_eq!(clock.ioctl(RTC_IRQP_READ, [0; size_of::<c_ulong>()]).unwrap(), (64 as c_ulong).to_ne_bytes());
    assert_eq!(clock.ioctl_by_value(RTC_IRQP_SET, c_ulong::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
    clock.ioctl(RTC_UIE_ON, ()).unwrap();
    let tick = clock.read(size_of::<c_ulong>()).wait().unwrap();
    clock.ioctl(RTC_UIE_OFF, ()).unwrap();
    // The first byte holds RTC_UF, the others the number of ticks.
    let tick = c_ulong::from_ne_bytes((*tick).try_into().unwrap());
    assert!(tick & 0x10 != 0 && tick >> 8 >= 1, "{tick:#x}");
}

#[test]
fn a_watchdog_is_set_and_kept_quiet() {
    if !is_the_machine() {
        return;
    }
    // SAFETY: linux/watchdog.h: WDIOC_SETTIMEOUT, _IOWR('W', 6, int), reads and writes one `int`.
    const SETTIMEOUT: Ioctl<i32> = unsafe { Ioctl::new(Direction::ReadWrite, b'W', 6) };
    // SAFETY: WDIOC_KEEPALIVE is _IOR('W', 5, int), and takes nothing.
    const KEEPALIVE: IoctlByValue<i32> = unsafe { IoctlByValue::new(Direction::Read, b'W', 5) };
    let watchdog = Device::options().read(false).open("/dev/watchdog0").unwrap();
    assert_eq!(watchdog.ioctl(SETTIMEOUT, 3600).unwrap(), 3600);
    watchdog.ioctl_by_value(KEEPALIVE, 0).unwrap();
    assert_eq!(Device::options().read(false).open("/dev/watchdog0").unwrap_err().kind(), ErrorKind::Busy);
    // The magic character: after it, closing the device stops the watchdog.
    watchdog.write(b"V").wait().unwrap();
}

#[test]
fn an_ioctl_that_a_signal_interrupts_is_not_made_again() {
    if !is_the_machine() {
        return;
    }
    // SAFETY: linux/vt.h: VT_WAITACTIVE takes the number of a console, and waits until it is shown.
    const VT_WAITACTIVE: IoctlByValue<i32> = unsafe { IoctlByValue::from_request(0x5607) };
    const NEVER_SHOWN: i32 = 60;
    let console = Device::options().write(false).open("/dev/tty0").unwrap();
    let waiting = thread::spawn(move || console.ioctl_by_value(VT_WAITACTIVE, NEVER_SHOWN));
    let stop_and_go_on = format!("kill -STOP {0}; kill -CONT {0}", std::process::id());
    // If the ioctl were made again, it would wait for ever. The first signals may come before it waits.
    while !waiting.is_finished() {
        assert!(Command::new("sh").args(["-c", &stop_and_go_on]).status().unwrap().success());
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(waiting.join().unwrap().unwrap_err().code(), Some(ErrorCode::Errno(4)));
}

#[test]
fn an_integer_at_an_address_is_read_there() {
    if !is_the_machine() {
        return;
    }
    // SAFETY: linux/if_tun.h: TUNSETSNDBUF, _IOW('T', 212, int), reads one `int`; TUNGETSNDBUF writes it.
    const TUNSETSNDBUF: Ioctl<i32> = unsafe { Ioctl::at_address(request(Direction::Write, b'T', 212, 4)) };
    // SAFETY: as above.
    const TUNGETSNDBUF: Ioctl<i32> = unsafe { Ioctl::new(Direction::Read, b'T', 211) };
    let tun = tun::open("buffered").unwrap();
    tun.ioctl(TUNSETSNDBUF, 123_456).unwrap();
    assert_eq!(tun.ioctl(TUNGETSNDBUF, 0).unwrap(), 123_456);
}
