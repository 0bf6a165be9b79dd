//! Finds the format of a capture from its content.

use std::io::{self, BufRead as _, Read};

use linewake::text::is_utf16;

use crate::csv::HEAD;
use crate::line_reader::LineReader;

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Csv,
    Vcd,
    Ghw,
    Fst,
}

/// How many bytes show the format.
const ENOUGH: usize = 64;
/// How many bytes are searched if other lines come first.
const MOST: usize = 1 << 16;
/// The beginning of an FST: a header, and its length.
pub(crate) const FST: [u8; 9] = [0, 0, 0, 0, 0, 0, 0, 1, 0x49];
/// The beginning of an FST that is compressed as a whole: its length, of eight bytes, follows.
const PACKED_FST: &[u8] = &[254, 0];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether a file is an FST, even one that was cut off later.
pub(crate) fn is_fst(first: &[u8]) -> bool {
    first.starts_with(&FST) || first.starts_with(PACKED_FST)
}

/// An unsupported compression, and the command that unpacks it.
pub(crate) fn packed(first: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match first {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "xz -dc"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ("bzip2", "bzip2 -dc"),
        [b'P', b'K', 3, 4, ..] => ("zip", "unzip -p"),
        [0x04, 0x22, 0x4d, 0x18, ..] => ("lz4", "lz4 -dc"),
        _ => return None,
    })
}

/// The format by the content, or by the name where the content does not show it.
pub(crate) fn kind<R: Read>(name: &str, source: &mut LineReader<R>) -> io::Result<Kind> {
    // Peek little: a pipe may bring a few bytes now, and the rest much later.
    let first = source.peek(4)?;
    let extension = extension(name);
    if is_utf16(first) {
        return Ok(if extension == "vcd" { Kind::Vcd } else { Kind::Json });
    }
    if first.starts_with(BOM) && extension != "vcd" {
        source.consume(BOM.len());
    }
    let begins = |begin: &[u8], with: &[u8]| begin.starts_with(with);
    let nothing = |byte: &&u8| byte.is_ascii_whitespace();
    let first = source.peek(1)?.iter().find(|byte| !nothing(byte)).copied();
    Ok(match first {
        Some(b'{') => Kind::Json,
        Some(b'$') => Kind::Vcd,
        Some(b't') if begins(source.peek(ENOUGH)?, HEAD[0].as_bytes()) => Kind::Csv,
        Some(b'G') if begins(source.peek(ENOUGH)?, b"GHDLwave") => Kind::Ghw,
        Some(0 | 254) if is_fst(source.peek(ENOUGH)?) => Kind::Fst,
        _ => match &*extension {
            "vcd" | "evcd" => Kind::Vcd,
            "csv" => Kind::Csv,
            _ => by_lines(source)?,
        },
    })
}

fn extension(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let unpacked = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    unpacked.rsplit_once('.').map_or("", |(_, extension)| extension).to_owned()
}

/// Searches after zeros, and after lines of other programs.
fn by_lines<R: Read>(source: &mut LineReader<R>) -> io::Result<Kind> {
    let mut at = 0;
    let mut columns = None;
    while at < MOST {
        let here = source.buffered();
        let Some(length) = memchr::memchr(b'\n', &here[at..]).map(|length| length + 1) else {
            if here.len() < MOST && source.more()? {
                continue;
            }
            break;
        };
        let line = here[at..at + length].trim_ascii();
        let line = &line[line.iter().take_while(|byte| **byte == 0).count()..];
        if line.starts_with(b"{") || line.starts_with(b"[{") {
            return Ok(Kind::Json);
        }
        if memchr::memmem::find(line, HEAD[0].as_bytes()).is_some() {
            return Ok(Kind::Csv);
        }
        // Two lines with as many columns are a table.
        let count = |of: u8| memchr::memchr_iter(of, line).count();
        let separators = [count(b','), count(b';')].into_iter().max().filter(|count| *count > 0);
        if separators.is_some() && at > 0 && separators == columns {
            return Ok(Kind::Csv);
        }
        columns = separators.filter(|_| at == 0);
        at += length;
    }
    Ok(Kind::Json)
}
