//! Bytes as text: hexadecimal digits in any usual form, and whole dumps.

/// The most bytes of an answer; no driver returns more.
const MOST_BYTES: usize = 1 << 20;

/// Reads bytes with any usual separator: `01 02`, `01:02`, `0x01, 0x02`, `\x01\x02`, `01-02`, `0102`.
///
/// # Errors
/// The word that is not a byte, in quotes.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    add(text, &mut bytes)?;
    Ok(bytes)
}

fn add(text: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    let between = |c: char| c.is_whitespace() || ":,;-_{}[]\\\"'".contains(c);
    for word in text.split(between).filter(|word| !word.is_empty()) {
        let digits = ["0x", "0X", "x"].iter().find_map(|prefix| word.strip_prefix(prefix));
        // A number in a C list may have one digit.
        let padded = digits.filter(|digits| digits.len() == 1).map(|digit| format!("0{digit}"));
        let digits = padded.as_deref().or(digits).unwrap_or(word).as_bytes();
        if let Some(other) = word.chars().find(|c| !c.is_ascii_hexdigit() && !"xX".contains(*c)) {
            return Err(format!(
                "expected a byte, found \"{}\"; \"{other}\" is not a hexadecimal digit",
                shortened(word)
            ));
        }
        if digits.len() % 2 != 0 {
            let what = "has an odd number of digits; write each byte with two, as in \"0a ff\"";
            return Err(format!("\"{}\" {what}", shortened(word)));
        }
        for two in digits.chunks_exact(2) {
            let byte = std::str::from_utf8(two).ok().and_then(|two| u8::from_str_radix(two, 16).ok());
            bytes.push(
                byte.ok_or_else(|| {
                    format!("expected a byte, found \"{}\"; write hexadecimal digits", shortened(word))
                })?,
            );
        }
        if bytes.len() > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes; give one answer of the driver"));
        }
    }
    Ok(())
}

fn shortened(word: &str) -> String {
    match word.char_indices().nth(24) {
        Some((at, _)) => format!("{}…", &word[..at]),
        None => word.to_owned(),
    }
}

/// Reads a dump of `xxd`, `hexdump -C` or `od -t x1`, or else bytes as [`bytes`] does.
///
/// # Errors
/// The line that is wrong, and why.
pub(crate) fn dump(text: &str) -> Result<Vec<u8>, String> {
    let lines: Vec<_> = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let Some(radix) = offsets(&lines) else {
        return bytes(text);
    };
    let mut bytes = Vec::new();
    let mut row = Vec::new();
    let mut repeats = false;
    for (index, line) in lines {
        let wrong = |what: String| format!("line {} of the dump: {what}", index + 1);
        let line = line.trim();
        if line == "*" {
            repeats = true;
            continue;
        }
        let (offset, rest) = line.split_once([':', ' ', '\t']).unwrap_or((line, ""));
        let at = usize::from_str_radix(offset, radix)
            .map_err(|_| wrong(format!("expected an offset, found \"{}\"", shortened(offset))))?;
        if at > MOST_BYTES {
            return Err(wrong(format!("it goes beyond {MOST_BYTES} bytes; give one answer of the driver")));
        }
        if std::mem::take(&mut repeats) && !row.is_empty() {
            while bytes.len() < at {
                bytes.extend_from_slice(&row);
            }
        }
        if at != bytes.len() {
            let came = bytes.len();
            return Err(wrong(format!("it begins at byte {at}, after {came} bytes; is a line missing?")));
        }
        // The bytes may follow once more as characters, which may be digits.
        let digits = match (line.contains(": "), rest.split_once('|')) {
            (true, _) => rest.trim_start().split_once("  ").map_or(rest, |(digits, _)| digits),
            (false, Some((digits, _))) => digits,
            (false, None) => rest,
        };
        if radix == 8 && digits.split_whitespace().any(|word| word.len() != 2) {
            let remedy = "dump single bytes, with \"hexdump -C\", \"xxd\" or \"od -t x1\"";
            return Err(wrong(format!("it has words, whose byte order is unknown; {remedy}")));
        }
        row.clear();
        add(digits, &mut row).map_err(wrong)?;
        bytes.extend_from_slice(&row);
    }
    Ok(bytes)
}

/// The base of the offsets at the start of each line, if the text is a dump with offsets.
fn offsets(lines: &[(usize, &str)]) -> Option<u32> {
    let (_, first) = lines.first()?;
    let (_, last) = lines.last()?;
    let digits = |text: &str| text.len() >= 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let first = first.trim();
    let (offset, _) = first.split_once([':', ' ', '\t'])?;
    if !digits(offset) {
        return None;
    }
    let rest = &first[offset.len()..];
    if rest.starts_with(": ") || (rest.contains('|') && first.ends_with('|')) {
        return Some(16);
    }
    // Other dumps end with a line that has only the number of bytes; `od` writes it in octal digits.
    let is_alone = lines.len() > 1 && digits(last.trim()) && offset.bytes().all(|byte| byte == b'0');
    is_alone.then_some(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_people_write_them() {
        for text in [
            "01 02 ff",
            "0102ff",
            "01:02:FF",
            "01-02-FF",
            "0x01 0x02 0xff",
            "0x0102ff",
            "{ 0x1, 0x2, 0xff }",
            "\\x01\\x02\\xff",
            "\"\\x01\\x02\\xff\"",
            " 01\n02\tff\r\n",
        ] {
            assert_eq!(bytes(text), Ok(vec![1, 2, 0xff]), "{text}");
        }
        assert_eq!(bytes(" "), Ok(vec![]));
    }

    #[test]
    fn what_is_no_byte_is_quoted() {
        for (text, says) in [
            ("01 2", "\"2\" has an odd number of digits"),
            ("01 0x123", "\"0x123\" has an odd number of digits"),
            ("01 hello", "expected a byte, found \"hello\"; \"h\" is not a hexadecimal digit"),
            ("01 zoë", "\"z\" is not a hexadecimal digit"),
            ("1x", "expected a byte, found \"1x\""),
            ("ää", "\"ä\" is not a hexadecimal digit"),
        ] {
            let said = bytes(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
        assert!(bytes(&"00".repeat((1 << 20) + 1)).unwrap_err().contains("more than 1048576 bytes"));
        assert!(bytes(&"é".repeat(1000)).unwrap_err().len() < 200);
    }

    #[test]
    fn dumps_of_the_usual_programs_are_read() {
        let sixteen: Vec<u8> = (0x30..0x42).collect();
        let xxd = "00000000: 3031 3233 3435 3637 3839 3a3b 3c3d 3e3f  0123456789:;<=>?\n\
                   00000010: 4041                                     @A\n";
        let xxd_single = "00000000: 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f  0123456789:;<=>?\n\
                          00000010: 40 41                                            @A\n";
        let hexdump = "00000000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n\
                       00000010  40 41                                             |@A|\n00000012\n";
        let od = "0000000 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f\n0000020 40 41\n0000022\n";
        let plain = "303132333435363738393a3b3c3d3e3f\n4041\n";
        for text in [xxd, xxd_single, hexdump, od, plain] {
            assert_eq!(dump(text).as_ref(), Ok(&sixteen), "{text}");
            assert_eq!(dump(&text.replace('\n', "\r\n")).as_ref(), Ok(&sixteen), "{text}");
        }
        // Bytes that could be offsets.
        assert_eq!(dump("00000000 01000000\n"), Ok(vec![0, 0, 0, 0, 1, 0, 0, 0]));
        assert_eq!(dump(""), Ok(vec![]));
    }

    #[test]
    fn rows_that_a_dump_leaves_out_are_filled_in() {
        let row = "00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|";
        let text = format!("00000000  {row}\n*\n00000030  ff                       |.|\n00000031\n");
        let bytes = dump(&text).unwrap();
        assert_eq!((bytes.len(), bytes[0x2f], bytes[0x30]), (0x31, 0x0f, 0xff));
        let endless = format!("00000000  {row}\n*\nffffffff  00  |.|\n");
        assert!(dump(&endless).unwrap_err().contains("line 3 of the dump: it goes beyond"));
    }

    #[test]
    fn a_dump_that_lacks_a_line_or_has_words_is_refused() {
        let lacks = "00000000: 0001  ..\n00000010: 0203  ..\n";
        assert!(dump(lacks).unwrap_err().contains("line 2 of the dump: it begins at byte 16, after 2 bytes"));
        let words = "0000000 0100 0302\n0000004\n";
        assert!(dump(words).unwrap_err().contains("\"hexdump -C\""));
        let foreign = "00000000: 0001  ..\nnonsense\n";
        assert!(dump(foreign).unwrap_err().contains("line 2 of the dump: expected an offset, found \"nonsense\""));
    }
}
