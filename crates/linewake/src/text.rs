//! Reads text files that people write. Errors say what to do.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Reads a UTF-8 text file of at most `most` bytes.
///
/// # Errors
/// The system's error kind, or `InvalidData` if the file is too large or not UTF-8.
pub fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    file.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "is its path right?",
            ErrorKind::PermissionDenied => "give yourself permission to read it",
            ErrorKind::IsADirectory => "name a file in it",
            _ => "name another file",
        };
        io::Error::new(error.kind(), format!("{error}; {remedy}"))
    })?;
    let invalid = |what: String| Err(io::Error::new(ErrorKind::InvalidData, what));
    if bytes.len() as u64 > most {
        return invalid(format!("it has more than {most} bytes; name another file"));
    }
    if is_utf16(&bytes) {
        return invalid("it is UTF-16; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).or_else(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(format!("its line {line} is not UTF-8; save it as UTF-8"))
    })
}

/// True if it begins like UTF-16: with a byte order mark, or with two ASCII characters.
#[must_use]
pub fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, b, c, d, ..] => {
            matches!([a, b, c, d].map(|byte| *byte == 0), [false, true, false, true] | [true, false, true, false])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_for_a_file_that_is_not_text_says_what_to_do() {
        let path = std::env::temp_dir().join(format!("linewake-{}-text", std::process::id()));
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path, 12).unwrap_err().to_string()
        };
        let utf16 = |units: &str, order: fn(u16) -> [u8; 2]| units.encode_utf16().flat_map(order).collect::<Vec<_>>();
        for bytes in [
            utf16("\u{feff}a=1", u16::to_le_bytes),
            utf16("\u{feff}a=1", u16::to_be_bytes),
            utf16("a=1", u16::to_le_bytes),
            utf16("a=1", u16::to_be_bytes),
        ] {
            assert_eq!(said(&bytes), "it is UTF-16; save it as UTF-8", "{bytes:?}");
        }
        assert_eq!(said(b"a\n\nb = '\xfc'"), "its line 3 is not UTF-8; save it as UTF-8");
        assert_eq!(said(b"a = 'thirteen"), "it has more than 12 bytes; name another file");
        for text in ["", "a", "\u{feff}a = 1", "ü = 1"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path, 12).unwrap(), text);
        }
        std::fs::remove_file(&path).unwrap();
        let error = read(&path, 12).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("; is its path right?"), "{error}");
    }
}
