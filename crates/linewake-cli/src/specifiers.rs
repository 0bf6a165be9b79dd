//! The formats of `--format`: text in which `%` and a letter stand for a value.

use std::io::{self, Write};

/// Writes a format and a newline. `expand` writes the value of a letter, or returns `None` for an unknown letter: that
/// is written unchanged, and so is a `%` at the end.
pub(crate) fn write<W: Write>(
    out: &mut W,
    format: &str,
    mut expand: impl FnMut(&mut W, char) -> Option<io::Result<()>>,
) -> io::Result<()> {
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.write_all(before.as_bytes())?;
        let mut letters = after.chars();
        match letters.next() {
            None | Some('%') => out.write_all(b"%")?,
            Some(letter) => match expand(out, letter) {
                Some(written) => written?,
                None => write!(out, "%{letter}")?,
            },
        }
        rest = letters.as_str();
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_unknown_goes_out_as_it_is() {
        let written = |format: &str| {
            let mut out = Vec::new();
            let expand = |out: &mut Vec<u8>, letter| (letter == 'l').then(|| std::io::Write::write_all(out, b"door"));
            super::write(&mut out, format, expand).unwrap();
            String::from_utf8(out).unwrap()
        };
        for (format, expected) in [
            ("%l", "door"),
            ("", ""),
            ("%%", "%"),
            ("%", "%"),
            ("a%", "a%"),
            ("%%l %l%l.", "%l doordoor."),
            ("%x %ü%l", "%x %üdoor"),
            ("%%%", "%%"),
            ("tür %l\\n", "tür door\\n"),
        ] {
            assert_eq!(written(format), format!("{expected}\n"), "{format}");
        }
    }
}
