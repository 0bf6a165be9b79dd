//! The numbers of calls: control codes of Windows and ioctls of Linux.

use overlapped::{Access, CtlCode, Method};

use crate::Error;
use crate::keys::{Keys, Value};

/// The direction bits of an ioctl's number, as seen from the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    None,
    Read,
    Write,
    ReadWrite,
}

const METHODS: &[(&str, Method)] = &[("buffered", Method::Buffered), ("out-direct", Method::OutDirect)];
/// Methods that are refused with a reason, and that error messages do not list.
const REFUSED_METHODS: &[(&str, Method)] = &[("in-direct", Method::InDirect), ("neither", Method::Neither)];
const ACCESSES: &[(&str, Access)] =
    &[("any", Access::Any), ("read", Access::Read), ("write", Access::Write), ("read-write", Access::ReadWrite)];

fn parts<'a>(keys: &Keys<'a>) -> [Option<Value<'a>>; 4] {
    [keys.get("device_type"), keys.get("function"), keys.get("method"), keys.get("access")]
}

/// True if there is a control code or a part of one.
pub(super) fn is_said(keys: &Keys<'_>) -> bool {
    keys.get("code").is_some() || parts(keys).iter().any(Option::is_some)
}

/// Reads a code as one number, or as the fields of the macro CTL_CODE.
pub(super) fn control(keys: &Keys<'_>) -> Result<CtlCode, Error> {
    let code = match (keys.get("code"), parts(keys)) {
        (Some(value), [None, None, None, None]) => number_of_code(&value)?,
        (Some(_), _) => {
            let message = "has `code`; remove `device_type`, `function`, `method` and `access`";
            return Err(keys.error(format!("\"{}\" {message}", keys.path())));
        }
        (None, [None, None, None, None]) => {
            let message = "does nothing; add a control code of Windows (`code`, or the four fields of CTL_CODE), an \
                           `ioctl` of Linux, or `write = true`";
            return Err(keys.error(format!("\"{}\" {message}", keys.path())));
        }
        (None, [device_type, function, method, access]) => {
            let missing = |key: &str| {
                keys.error(format!("\"{}\" lacks `{key}`; set `code`, or the four fields of CTL_CODE", keys.path()))
            };
            let device_type = device_type.ok_or_else(|| missing("device_type"))?.number(0, 0xffff)? as u16;
            let function = function.ok_or_else(|| missing("function"))?.number(0, 0xfff)? as u16;
            let access = access.ok_or_else(|| missing("access"))?.word(ACCESSES)?;
            let value = method.ok_or_else(|| missing("method"))?;
            let text = value.text()?;
            let method = match REFUSED_METHODS.iter().find(|(word, _)| *word == text) {
                Some((_, method)) => *method,
                None => value.word(METHODS)?,
            };
            CtlCode::new(device_type, function, method, access)
        }
    };
    Ok(code)
}

/// The reason why a profile may not send this code, or `None` if it may.
pub(super) fn refused(code: CtlCode) -> Option<String> {
    let reason = match code.method() {
        Method::Buffered | Method::OutDirect => return None,
        Method::Neither => "METHOD_NEITHER gives the driver addresses of this program, which a file must not choose",
        Method::InDirect => "METHOD_IN_DIRECT sends the output buffer to the device",
    };
    Some(format!(
        "a profile cannot send {code}: {reason}; use METHOD_BUFFERED or METHOD_OUT_DIRECT (if it is an ioctl \
         of Linux: {})",
        as_ioctl(code.to_u32())
    ))
}

fn number_of_code(value: &Value<'_>) -> Result<CtlCode, Error> {
    if value.is_text() {
        return value.text()?.parse().map_err(|error| value.error(error));
    }
    Ok(CtlCode::from_u32(value.number(0, u32::MAX.into())? as u32))
}

/// Describes a number as an ioctl, with the line to write in the profile.
fn as_ioctl(number: u32) -> String {
    let group = (number >> 8) as u8;
    let letter = if group.is_ascii_graphic() { format!(" '{}'", group as char) } else { String::new() };
    let is = match said(number) {
        Some((Direction::Read, size)) => format!("_IOR, {size} bytes, "),
        Some((Direction::Write, size)) => format!("_IOW, {size} bytes, "),
        Some((Direction::ReadWrite, size)) => format!("_IOWR, {size} bytes, "),
        Some((Direction::None, _)) | None => String::new(),
    };
    let number_of_type = number & 0xff;
    format!("{is}type {group:#04x}{letter}, number {number_of_type}; write `ioctl = {number:#x}` instead of `code`")
}

/// The error for a control code in a profile with a Linux device.
pub(super) fn on_linux(code: CtlCode) -> String {
    format!(
        "the device is a Linux device, which has no control codes; as an ioctl {code} is {}",
        as_ioctl(code.to_u32())
    )
}

/// Reads an ioctl as one number, or as the arguments of the macro _IOC. `length` is the length of its buffer.
pub(super) fn ioctl(value: &Value<'_>, length: usize) -> Result<(u32, Option<(Direction, usize)>), Error> {
    const DIRECTIONS: &[(&str, Direction)] = &[
        ("none", Direction::None),
        ("read", Direction::Read),
        ("write", Direction::Write),
        ("read-write", Direction::ReadWrite),
    ];
    if !value.is_table() {
        let number = value.number(0, u32::MAX.into())? as u32;
        return Ok((number, said(number)));
    }
    let keys = value.table()?.only(&["direction", "type", "number", "size"])?;
    let direction = keys.need("direction")?.word(DIRECTIONS)?;
    let group = keys.need("type")?;
    let group = if group.is_text() {
        match group.text()?.as_bytes() {
            [letter] => u32::from(*letter),
            _ => return Err(group.error("expected one letter, like \"p\", or a number")),
        }
    } else {
        group.number(0, 0xff)? as u32
    };
    let number = keys.need("number")?.number(0, 0xff)? as u32;
    let size = match keys.get("size") {
        Some(size) => size.size(0, LARGEST)?,
        None if direction == Direction::None => 0,
        None if length <= LARGEST => length,
        None => {
            return Err(keys.error(format!(
                "a size of {length} is too large for the number of an ioctl; expected at most {LARGEST}"
            )));
        }
    };
    keys.finish()?;
    let number = compose(direction, group as u8, number as u8, size);
    Ok((number, said(number)))
}

/// The largest size in a number. _IOC_SIZEBITS is 14 in asm-generic/ioctl.h, and 13 on some architectures.
const LARGEST: usize = 0x1fff;

/// The number of an ioctl on this system.
#[cfg(target_os = "linux")]
fn compose(direction: Direction, group: u8, number: u8, size: usize) -> u32 {
    let direction = match direction {
        Direction::None => overlapped::linux::Direction::None,
        Direction::Read => overlapped::linux::Direction::Read,
        Direction::Write => overlapped::linux::Direction::Write,
        Direction::ReadWrite => overlapped::linux::Direction::ReadWrite,
    };
    overlapped::linux::request(direction, group, number, size)
}

/// The number of an ioctl by asm-generic/ioctl.h, so that other systems can read profiles too.
#[cfg(not(target_os = "linux"))]
fn compose(direction: Direction, group: u8, number: u8, size: usize) -> u32 {
    let direction = match direction {
        Direction::None => 0,
        Direction::Write => 1,
        Direction::Read => 2,
        Direction::ReadWrite => 3,
    };
    direction << 30 | (size as u32) << 16 | u32::from(group) << 8 | u32::from(number)
}

/// The direction and size of the argument, from the number. `None` for _IO, and for old numbers that do not contain
/// them.
fn said(number: u32) -> Option<(Direction, usize)> {
    let (group, last, size) = ((number >> 8) as u8, number as u8, (number >> 16) as usize & LARGEST);
    let directions = [Direction::Read, Direction::Write, Direction::ReadWrite];
    let is = |direction: &Direction| size > 0 && compose(*direction, group, last, size) == number;
    directions.into_iter().find(is).map(|direction| (direction, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_ioctl_gives_its_direction_and_size() {
        for direction in [Direction::Read, Direction::Write, Direction::ReadWrite] {
            assert_eq!(said(compose(direction, b'p', 0x81, 1)), Some((direction, 1)));
        }
        assert_eq!(said(compose(Direction::None, b'p', 0x8b, 0)), None);
        assert_eq!(said(0x541b), None, "FIONREAD has an old number");
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_error_for_a_control_code_describes_the_ioctl_with_that_number() {
        // linux/ppdev.h: PPRSTATUS is _IOR('p', 0x81, unsigned char).
        let told = on_linux(CtlCode::from_u32(0x8001_7081));
        assert!(
            told.contains("_IOR, 1 bytes, type 0x70 'p', number 129; write `ioctl = 0x80017081` instead"),
            "{told}"
        );
        assert!(on_linux(CtlCode::from_u32(0x708b)).contains("`ioctl = 0x708b`"));
    }
}
