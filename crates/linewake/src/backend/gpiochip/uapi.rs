//! The kernel's interface to gpiochips, version 2, since Linux 5.10: `linux/gpio.h` and nothing else.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use overlapped::linux::{Direction, Ioctl};
use overlapped::{Device, Error};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::backend::again::uninterrupted;

/// GPIO_V2_LINES_MAX.
pub(super) const LINES: usize = 64;
/// GPIO_V2_LINE_NUM_ATTRS_MAX.
pub(super) const ATTRIBUTES: usize = 10;

/// `GPIO_V2_LINE_FLAG_…`.
#[allow(missing_docs, reason = "linux/gpio.h describes them")]
pub mod flag {
    pub const USED: u64 = 1 << 0;
    pub const ACTIVE_LOW: u64 = 1 << 1;
    pub const INPUT: u64 = 1 << 2;
    pub const OUTPUT: u64 = 1 << 3;
    pub const EDGE_RISING: u64 = 1 << 4;
    pub const EDGE_FALLING: u64 = 1 << 5;
    pub const OPEN_DRAIN: u64 = 1 << 6;
    pub const OPEN_SOURCE: u64 = 1 << 7;
    pub const BIAS_PULL_UP: u64 = 1 << 8;
    pub const BIAS_PULL_DOWN: u64 = 1 << 9;
    pub const BIAS_DISABLED: u64 = 1 << 10;
    pub const EVENT_CLOCK_REALTIME: u64 = 1 << 11;
    pub const EVENT_CLOCK_HTE: u64 = 1 << 12;
}

/// `GPIO_V2_LINE_ATTR_ID_…`.
pub(super) mod attribute {
    pub(crate) const FLAGS: u32 = 1;
    pub(crate) const OUTPUT_VALUES: u32 = 2;
    pub(crate) const DEBOUNCE: u32 = 3;
}

/// `struct gpiochip_info`.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ChipInfo {
    pub(super) name: [u8; 32],
    pub(super) label: [u8; 32],
    pub(super) lines: u32,
}

/// `struct gpio_v2_line_attribute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Attribute {
    pub(super) id: u32,
    padding: u32,
    value: u64,
}

impl Attribute {
    /// Flags, or a bit for each line.
    pub(super) fn bits(id: u32, bits: u64) -> Self {
        Self { id, padding: 0, value: bits }
    }

    pub(super) fn debounce(micros: u32) -> Self {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&micros.to_ne_bytes());
        Self { id: attribute::DEBOUNCE, padding: 0, value: u64::from_ne_bytes(bytes) }
    }

    #[cfg(test)]
    pub(super) fn bits_value(&self) -> u64 {
        self.value
    }

    /// A debounce period: the value is a union, and this is its smaller member.
    pub(super) fn micros(&self) -> u32 {
        let [a, b, c, d, ..] = self.value.to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }
}

/// `struct gpio_v2_line_config_attribute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct ConfigAttribute {
    pub(super) attribute: Attribute,
    /// A bit for each line of the request, by its place.
    pub(super) lines: u64,
}

/// `struct gpio_v2_line_config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineConfig {
    pub(super) flags: u64,
    pub(super) attribute_count: u32,
    padding: [u32; 5],
    pub(super) attributes: [ConfigAttribute; ATTRIBUTES],
}

/// `struct gpio_v2_line_request`.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineRequest {
    pub(super) offsets: [u32; LINES],
    pub(super) consumer: [u8; 32],
    pub(super) config: LineConfig,
    pub(super) lines: u32,
    pub(super) event_buffer_size: u32,
    padding: [u32; 5],
    pub(super) fd: i32,
}

/// `struct gpio_v2_line_values`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineValues {
    pub(super) bits: u64,
    pub(super) mask: u64,
}

/// `struct gpio_v2_line_info`.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineInfo {
    pub(super) name: [u8; 32],
    pub(super) consumer: [u8; 32],
    pub(super) offset: u32,
    pub(super) attribute_count: u32,
    pub(super) flags: u64,
    pub(super) attributes: [Attribute; ATTRIBUTES],
    padding: [u32; 4],
}

impl LineInfo {
    /// The argument of a call about one line.
    pub(super) fn about(offset: u32) -> Self {
        Self { offset, ..Self::new_zeroed() }
    }
}

/// `struct gpio_v2_line_info_changed`.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineInfoChanged {
    pub(super) info: LineInfo,
    pub(super) timestamp_ns: u64,
    pub(super) kind: u32,
    padding: [u32; 5],
}

/// `struct gpio_v2_line_event`.
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct LineEvent {
    pub(super) timestamp_ns: u64,
    /// 1: rising, 2: falling.
    pub(super) id: u32,
    pub(super) offset: u32,
    pub(super) seqno: u32,
    pub(super) line_seqno: u32,
    padding: [u32; 6],
}

const _: () = {
    assert!(size_of::<ChipInfo>() == 68);
    assert!(size_of::<LineConfig>() == 272);
    assert!(size_of::<LineRequest>() == 592);
    assert!(size_of::<LineInfo>() == 256);
    assert!(size_of::<LineInfoChanged>() == 288);
    assert!(size_of::<LineEvent>() == 48);
};

// SAFETY: linux/gpio.h: GPIO_GET_CHIPINFO_IOCTL writes one `gpiochip_info`.
pub(super) const CHIP_INFO: Ioctl<ChipInfo> = unsafe { Ioctl::new(Direction::Read, 0xb4, 0x01) };
// SAFETY: linux/gpio.h: GPIO_V2_GET_LINEINFO_IOCTL reads and writes one `gpio_v2_line_info`.
pub(super) const LINE_INFO: Ioctl<LineInfo> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x05) };
// SAFETY: linux/gpio.h: GPIO_V2_GET_LINEINFO_WATCH_IOCTL reads and writes one `gpio_v2_line_info`.
pub(super) const LINE_INFO_WATCH: Ioctl<LineInfo> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x06) };
// SAFETY: linux/gpio.h: GPIO_V2_GET_LINE_IOCTL reads and writes one `gpio_v2_line_request`; it uses no file descriptor
// that is in it, and gives a new one back.
pub(super) const GET_LINE: Ioctl<LineRequest> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x07) };
// SAFETY: linux/gpio.h: GPIO_V2_LINE_SET_CONFIG_IOCTL reads and writes one `gpio_v2_line_config`.
const SET_CONFIG: Ioctl<LineConfig> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x0d) };
// SAFETY: linux/gpio.h: GPIO_V2_LINE_GET_VALUES_IOCTL reads and writes one `gpio_v2_line_values`.
pub(super) const GET_VALUES: Ioctl<LineValues> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x0e) };
// SAFETY: linux/gpio.h: GPIO_V2_LINE_SET_VALUES_IOCTL reads and writes one `gpio_v2_line_values`.
pub(super) const SET_VALUES: Ioctl<LineValues> = unsafe { Ioctl::new(Direction::ReadWrite, 0xb4, 0x0f) };

pub(super) fn chip_info(chip: &Device) -> Result<ChipInfo, Error> {
    uninterrupted(|| chip.ioctl(CHIP_INFO, ChipInfo::new_zeroed()))
}

pub(super) fn line_info(chip: &Device, offset: u32) -> Result<LineInfo, Error> {
    uninterrupted(|| chip.ioctl(LINE_INFO, LineInfo::about(offset)))
}

/// Gives the facts of a line. From now on the chip's file reports each change of it.
pub(super) fn watch_line_info(chip: &Device, offset: u32) -> Result<LineInfo, Error> {
    chip.ioctl(LINE_INFO_WATCH, LineInfo::about(offset))
}

/// Takes lines. Returns the file that holds them, from which their edges are read; `None` if the driver made no file.
pub(super) fn get_lines(chip: &Device, request: &LineRequest) -> Result<Option<Device>, Error> {
    // -1 is no descriptor: if the driver does not write the field, it must not look like an answer.
    let granted = chip.ioctl(GET_LINE, LineRequest { fd: -1, ..request.clone() })?;
    // Errors name the chip's file, since the file of the lines has no path.
    made(granted.fd).map(|fd| Device::options().name(chip.name()).adopt(fd)).transpose()
}

/// Takes over the file descriptor that a driver says it has made.
pub(super) fn made(fd: i32) -> Option<OwnedFd> {
    // SAFETY: the kernel has made this descriptor for us, and nobody else has it: no other call gives such a file.
    holds_lines(fd).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// True if a number that a driver gave is a descriptor of a file that holds lines: an anonymous inode, which the kernel
/// names `gpio-line`.
fn holds_lines(fd: i32) -> bool {
    if fd < 0 {
        return false;
    }
    match std::fs::read_link(format!("/proc/self/fd/{fd}")) {
        Ok(name) => name.to_string_lossy().starts_with("anon_inode:") && name.to_string_lossy().contains("gpio"),
        // There is no such descriptor; or no /proc, and then the type must do: an anonymous inode has none.
        Err(_) => {
            // SAFETY: it is not -1. If it is closed the call says so, and if it is somebody else's, it only looks.
            let stat = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(fd) });
            stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Unknown)
        }
    }
}

pub(super) fn set_config(lines: &Device, config: LineConfig) -> Result<(), Error> {
    lines.ioctl(SET_CONFIG, config).map(drop)
}

/// The values of the first `count` lines of a request: a bit for each, by its place.
pub(super) fn values(lines: &Device, count: usize) -> Result<u64, Error> {
    let mask = u64::MAX >> (LINES - count.clamp(1, LINES));
    Ok(uninterrupted(|| lines.ioctl(GET_VALUES, LineValues { bits: 0, mask }))?.bits)
}

pub(super) fn set_values(lines: &Device, values: LineValues) -> Result<(), Error> {
    uninterrupted(|| lines.ioctl(SET_VALUES, values)).map(drop)
}

/// A name as the kernel keeps it: cut at 31 bytes, and not within a character.
pub(super) fn name(text: &str) -> [u8; 32] {
    let mut name = [0; 32];
    let mut end = text.len().min(31);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    name[..text.len()].copy_from_slice(text.as_bytes());
    name
}

/// A name from the kernel; it ends at the first zero.
pub(super) fn text(name: &[u8; 32]) -> String {
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..len]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_descriptor_that_no_driver_can_have_made_is_not_believed() {
        for fd in [i32::MIN, -1, 0, 1, 2] {
            assert!(made(fd).is_none(), "{fd}");
        }
        let file = std::fs::File::open("/dev/null").unwrap();
        let counter = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        for fd in [i32::MAX, file.as_raw_fd(), counter.as_raw_fd()] {
            assert!(made(fd).is_none(), "{fd}");
        }
    }
}
