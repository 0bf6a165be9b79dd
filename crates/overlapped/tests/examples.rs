//! The examples' own tests: each runs on its simulated device, and `pipe_listen` on a pipe where the system has them.
#![cfg(not(loom))]
#![allow(dead_code, reason = "the tests do not begin at `main`")]

#[path = "../examples/directory_changes.rs"]
mod directory_changes;
#[path = "../examples/disk_query.rs"]
mod disk_query;
#[cfg(not(miri))]
#[path = "../examples/evdev_grab.rs"]
mod evdev_grab;
#[path = "../examples/event_handle.rs"]
mod event_handle;
#[cfg(not(miri))]
#[path = "../examples/gpiochip_line.rs"]
mod gpiochip_line;
#[path = "../examples/hid_read.rs"]
mod hid_read;
#[cfg(not(miri))]
#[path = "../examples/hidraw_features.rs"]
mod hidraw_features;
#[path = "../examples/modem_status.rs"]
mod modem_status;
#[path = "../examples/pipe_listen.rs"]
mod pipe_listen;
// An address in a record is a number, and the memory at that address has an exposed provenance.
#[cfg(not(miri))]
#[path = "../examples/scsi_inquiry.rs"]
mod scsi_inquiry;
#[path = "../examples/simulated_device.rs"]
mod simulated_device;
#[cfg(not(miri))]
#[path = "../examples/sysfs_watch.rs"]
mod sysfs_watch;
#[cfg(not(miri))]
#[path = "../examples/terminal_bytes.rs"]
mod terminal_bytes;
#[cfg(not(miri))]
#[path = "../examples/tun_echo.rs"]
mod tun_echo;
#[cfg(not(miri))]
#[path = "../examples/uinput_keyboard.rs"]
mod uinput_keyboard;
#[cfg(not(miri))]
#[path = "../examples/unbuffered_read.rs"]
mod unbuffered_read;
#[path = "../examples/vendor_card.rs"]
mod vendor_card;
