//! The error messages of Debian's C library, which libgpiod's tools print; other C libraries have other words.

#[cfg(target_os = "linux")]
use std::io;

use linewake::ErrorKind;

/// The message of a system call's error.
#[cfg(target_os = "linux")]
pub(super) fn of(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => of_errno(errno),
        None => error.to_string(),
    }
}

/// The message of a simulated chip's error.
pub(super) fn of_library(error: &linewake::Error) -> String {
    match error.kind() {
        ErrorKind::Busy => "Device or resource busy".to_owned(),
        ErrorKind::Unsupported => "Operation not supported".to_owned(),
        ErrorKind::InvalidInput => "Invalid argument".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(target_os = "linux")]
fn of_errno(errno: i32) -> String {
    let known = match errno {
        5 => "Input/output error",
        12 => "Cannot allocate memory",
        16 => "Device or resource busy",
        24 => "Too many open files",
        25 => "Inappropriate ioctl for device",
        36 => "File name too long",
        40 => "Too many levels of symbolic links",
        95 => "Operation not supported",
        110 => "Connection timed out",
        _ => {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let said = text.split(" (os error").next().unwrap_or_default();
            let is_unknown = said.starts_with("Unknown error") || said == "No error information";
            return if is_unknown { format!("Unknown error {errno}") } else { said.to_owned() };
        }
    };
    known.to_owned()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_same_whatever_the_c_library() {
        for (errno, words) in [
            (1, "Operation not permitted"),
            (2, "No such file or directory"),
            (5, "Input/output error"),
            (13, "Permission denied"),
            (16, "Device or resource busy"),
            (19, "No such device"),
            (22, "Invalid argument"),
            (25, "Inappropriate ioctl for device"),
            (517, "Unknown error 517"),
        ] {
            assert_eq!(of(&io::Error::from_raw_os_error(errno)), words);
        }
    }
}
