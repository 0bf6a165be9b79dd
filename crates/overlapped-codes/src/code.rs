//! Control codes: the 32-bit number that names one operation of a driver.

use core::error::Error;
use core::fmt;
use core::str::FromStr;

/// How the system passes the caller's buffers to the driver: the two low bits of a control code.
///
/// Source: "Buffer Descriptions for I/O Control Codes", Windows driver documentation.
///
/// ```
/// use overlapped_codes::{CtlCode, Method};
/// assert_eq!(CtlCode::from_u32(0x0011_c017).method(), Method::Neither); // FSCTL_PIPE_TRANSCEIVE
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// METHOD_BUFFERED (0): both buffers are copied through one system buffer.
    Buffered,
    /// METHOD_IN_DIRECT (1): the input is copied; the *output* buffer is locked and **read** by the driver.
    InDirect,
    /// METHOD_OUT_DIRECT (2): the input is copied; the output buffer is locked and written by the driver.
    OutDirect,
    /// METHOD_NEITHER (3): the driver gets the caller's own addresses.
    Neither,
}

/// The access with which a handle must have been opened: bits 14 and 15 of a control code. The system refuses a call on
/// a handle without it, before the driver sees the call. A simulated device does not check it.
///
/// ```
/// use overlapped_codes::{Access, CtlCode, Method};
/// const SET: CtlCode = CtlCode::new(0x8000, 0x801, Method::Buffered, Access::Write);
/// assert_eq!(SET.access(), Access::Write);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// FILE_ANY_ACCESS (0): any handle will do.
    Any,
    /// FILE_READ_ACCESS (1).
    Read,
    /// FILE_WRITE_ACCESS (2).
    Write,
    /// FILE_READ_ACCESS | FILE_WRITE_ACCESS (3).
    ReadWrite,
}

/// A device control code, as made by the `CTL_CODE` macro of the Windows headers:
/// device type (16 bits), access (2), function (12), method (2).
///
/// ```
/// use overlapped_codes::{Access, CtlCode, Method};
///
/// const LISTEN: CtlCode = CtlCode::new(0x11, 2, Method::Buffered, Access::Any);
/// assert_eq!(LISTEN.to_u32(), 0x0011_0008); // FSCTL_PIPE_LISTEN
/// assert_eq!(LISTEN.to_string(), "0x00110008");
/// assert_eq!("0x00110008".parse(), Ok(LISTEN));
/// ```
///
/// A function number that does not fit makes the declaration of the constant fail to compile:
///
/// ```compile_fail
/// use overlapped_codes::{Access, CtlCode, Method};
/// const TOO_FAR: CtlCode = CtlCode::new(0x8000, 0x1000, Method::Buffered, Access::Any);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CtlCode(u32);

impl CtlCode {
    /// Device type FILE_DEVICE_NAMED_PIPE (`winioctl.h`), whose codes are file-system controls.
    pub const NAMED_PIPE: u16 = 0x11;
    /// Device type FILE_DEVICE_FILE_SYSTEM (`winioctl.h`).
    pub const FILE_SYSTEM: u16 = 0x09;
    /// Device type FILE_DEVICE_MAILSLOT (`winioctl.h`), whose codes are file-system controls.
    pub const MAILSLOT: u16 = 0x0c;

    /// Makes a code from its four fields. Vendors use device types from 0x8000 and functions from 0x800.
    ///
    /// # Panics
    /// When `function` is 0x1000 or more: in a `const`, that is a compile-time error.
    #[must_use]
    pub const fn new(device_type: u16, function: u16, method: Method, access: Access) -> Self {
        assert!(function < 0x1000, "a function number is out of range; expected 0 to 0xfff");
        Self((device_type as u32) << 16 | (access as u32) << 14 | (function as u32) << 2 | method as u32)
    }

    /// The code with this value. Every 32-bit value is a code.
    #[must_use]
    pub const fn from_u32(code: u32) -> Self {
        Self(code)
    }

    /// The code's value, as the driver sees it.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        self.0
    }

    /// The device type: bits 16 to 31.
    ///
    /// ```
    /// # use overlapped_codes::CtlCode;
    /// // A code from a manual, and its fields.
    /// let code = CtlCode::from_u32(0x8000_a008);
    /// assert_eq!((code.device_type(), code.function()), (0x8000, 0x802));
    /// println!("{:?} {:?}", code.method(), code.access());
    /// ```
    #[must_use]
    pub const fn device_type(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The function number: bits 2 to 13, below 0x1000.
    #[must_use]
    pub const fn function(self) -> u16 {
        (self.0 >> 2 & 0xfff) as u16
    }

    /// How the buffers reach the driver: bits 0 and 1.
    #[must_use]
    pub const fn method(self) -> Method {
        match self.0 & 3 {
            0 => Method::Buffered,
            1 => Method::InDirect,
            2 => Method::OutDirect,
            _ => Method::Neither,
        }
    }

    /// The access that the handle needs: bits 14 and 15.
    #[must_use]
    pub const fn access(self) -> Access {
        match self.0 >> 14 & 3 {
            0 => Access::Any,
            1 => Access::Read,
            2 => Access::Write,
            _ => Access::ReadWrite,
        }
    }

    /// Whether the code is a file-system control (FSCTL), for which the system makes another kind of request than for a
    /// device control. The codes of file systems, named pipes and mailslots are.
    ///
    /// ```
    /// # use overlapped_codes::CtlCode;
    /// assert!(CtlCode::from_u32(0x0011_0008).is_file_system_control()); // FSCTL_PIPE_LISTEN
    /// assert!(!CtlCode::from_u32(0x0007_0000).is_file_system_control()); // IOCTL_DISK_GET_DRIVE_GEOMETRY
    /// ```
    #[must_use]
    pub const fn is_file_system_control(self) -> bool {
        matches!(self.device_type(), Self::FILE_SYSTEM | Self::NAMED_PIPE | Self::MAILSLOT)
    }
}

impl fmt::Display for CtlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for CtlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CtlCode({self}: device type {:#x}, function {:#x}, {:?}, access {:?})",
            self.device_type(),
            self.function(),
            self.method(),
            self.access()
        )
    }
}

/// The error for a text that is not a control code; `Display` shows the text in quotes.
///
/// ```
/// let e = "12".parse::<overlapped_codes::CtlCode>().unwrap_err();
/// assert_eq!(e.to_string(), r#""12" is not a control code: write it in hexadecimal, like 0x00222004"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseCtlCodeError {
    /// The first `len` bytes of the text, cut between characters.
    text: [u8; LONGEST],
    len: u8,
    is_cut: bool,
}

/// How many bytes of an invalid text are shown. A code has ten.
const LONGEST: usize = 40;

impl ParseCtlCodeError {
    fn new(text: &str) -> Self {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let shown = &text[..end];
        let mut bytes = [0; LONGEST];
        bytes[..shown.len()].copy_from_slice(shown.as_bytes());
        Self { text: bytes, len: shown.len() as u8, is_cut: shown.len() < text.len() }
    }
}

impl fmt::Display for ParseCtlCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = core::str::from_utf8(&self.text[..self.len.into()]).unwrap_or_default();
        let more = if self.is_cut { "…" } else { "" };
        let shown = shown.escape_debug();
        write!(f, "\"{shown}{more}\" is not a control code: write it in hexadecimal, like 0x00222004")
    }
}

impl Error for ParseCtlCodeError {}

impl FromStr for CtlCode {
    type Err = ParseCtlCodeError;

    /// Reads `0x` and one to eight hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .filter(|digits| digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| ParseCtlCodeError::new(text))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;

    use super::*;

    #[test]
    fn the_four_fields_come_back() {
        for method in [Method::Buffered, Method::InDirect, Method::OutDirect, Method::Neither] {
            for access in [Access::Any, Access::Read, Access::Write, Access::ReadWrite] {
                for (device_type, function) in [(0, 0), (0x11, 5), (0x8900, 0x801), (0xffff, 0xfff)] {
                    let code = CtlCode::new(device_type, function, method, access);
                    assert_eq!(
                        (code.device_type(), code.function(), code.method(), code.access()),
                        (device_type, function, method, access)
                    );
                    assert_eq!(code.to_string().parse(), Ok(code));
                    assert_eq!(CtlCode::from_u32(code.to_u32()), code);
                }
            }
        }
    }

    #[test]
    fn known_codes_have_their_known_values() {
        // winioctl.h and FSCTL_PIPE_TRANSCEIVE, FSCTL_SET_SPARSE, IOCTL_SERIAL_WAIT_ON_MASK.
        assert_eq!(CtlCode::new(0x11, 5, Method::Neither, Access::ReadWrite).to_u32(), 0x0011_c017);
        assert_eq!(CtlCode::new(0x09, 49, Method::Buffered, Access::Any).to_u32(), 0x0009_00c4);
        assert_eq!(CtlCode::new(0x1b, 18, Method::Buffered, Access::Any).to_u32(), 0x001b_0048);
    }

    #[test]
    fn debug_shows_the_fields() {
        let code = CtlCode::from_u32(0x0011_c017);
        assert_eq!(
            format!("{code:?}"),
            "CtlCode(0x0011c017: device type 0x11, function 0x5, Neither, access ReadWrite)"
        );
    }

    #[test]
    fn only_hexadecimal_is_a_code() {
        for text in ["", "0x", "12", "0x123456789", "0x000000001", "0x12g4", "0x+1", "-0x1", "0x 1"] {
            assert!(text.parse::<CtlCode>().is_err(), "{text:?}");
        }
        assert_eq!("0X1b0048".parse(), Ok(CtlCode::from_u32(0x1b0048)));
    }

    #[test]
    fn a_text_that_is_not_a_code_is_shown_up_to_a_length() {
        let shown = |text: &str| text.parse::<CtlCode>().unwrap_err().to_string();
        assert!(shown("a \"code\"\n").starts_with(r#""a \"code\"\n" is not a control code"#));
        let digits = "0123456789012345678901234567890123456789";
        assert!(shown(digits).starts_with(&format!("\"{digits}\" is not")));
        assert!(shown(&format!("{digits}0")).starts_with(&format!("\"{digits}…\" is not")));
        assert!(shown(&format!("{}é", &digits[1..])).starts_with(&format!("\"{}…\" is not", &digits[1..])));
    }
}
