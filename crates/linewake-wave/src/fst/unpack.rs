//! Unpacks the parts of a file. It allocates no more than the given bytes can fill.

use lz4_flex::block::decompress_into;
use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};

use super::file::{Bytes, File, Part, Shape, kind};

/// The largest size of an unpacked part, in bytes.
pub(super) const LARGEST: u64 = 1 << 28;

/// The size that the file gives, if it is possible.
fn checked(packed: usize, unpacked: u64, ratio: u64) -> Result<usize, String> {
    if unpacked > LARGEST {
        return Err(format!("a part of it has {unpacked} bytes unpacked; at most {LARGEST} are read"));
    }
    match unpacked > (packed as u64 + 64) * ratio {
        true => Err("a part of it gives a size that it cannot have".into()),
        false => Ok(unpacked as usize),
    }
}

pub(super) fn lz4(packed: &[u8], unpacked: u64) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; checked(packed.len(), unpacked, 255)?];
    let written = decompress_into(packed, &mut bytes).map_err(|_| "a part of it (LZ4) is damaged")?;
    bytes.truncate(written);
    Ok(bytes)
}

pub(super) fn zlib(packed: &[u8], unpacked: u64) -> Result<Vec<u8>, String> {
    let limit = checked(packed.len(), unpacked, 1032)?;
    decompress_to_vec_zlib_with_limit(packed, limit).map_err(|_| "a part of it (zlib) is damaged".into())
}

/// Bytes are stored unpacked if packing does not make them smaller.
pub(super) fn zlib_or_stored(packed: Vec<u8>, unpacked: u64) -> Result<Vec<u8>, String> {
    if packed.len() as u64 == unpacked { Ok(packed) } else { zlib(&packed, unpacked) }
}

pub(super) fn gzip(packed: &[u8], unpacked: u64) -> Result<Vec<u8>, String> {
    let limit = checked(packed.len(), unpacked, 1032)?;
    let body = match packed {
        // There is nothing between the head and the body.
        [0x1f, 0x8b, 8, 0, _, _, _, _, _, _, body @ ..] => body,
        _ => return Err("a part of it (gzip) is damaged".into()),
    };
    decompress_to_vec_with_limit(body, limit).map_err(|_| "a part of it (gzip) is damaged".into())
}

/// FastLZ (both levels): runs of literals, and copies of earlier bytes.
pub(super) fn fastlz(packed: &[u8], unpacked: u64) -> Result<Vec<u8>, String> {
    let limit = checked(packed.len(), unpacked, 255)?;
    let is_second = packed.first().is_some_and(|first| first >> 5 == 1);
    let mut input = Bytes(packed);
    let mut output = Vec::with_capacity(limit);
    let mut is_first = true;
    let mut run = |input: &mut Bytes<'_>| -> Option<()> {
        let code = input.u8()?;
        let code = if std::mem::take(&mut is_first) { code & 0x1f } else { code };
        if code < 32 {
            output.extend_from_slice(input.take(usize::from(code) + 1)?);
        } else {
            let mut length = usize::from(code >> 5) + 2;
            if length == 9 {
                loop {
                    let more = input.u8()?;
                    length += usize::from(more);
                    if !is_second || more < 255 {
                        break;
                    }
                }
            }
            let low = input.u8()?;
            let mut back = (usize::from(code & 0x1f) << 8) + usize::from(low) + 1;
            if is_second && low == 255 && code & 0x1f == 31 {
                back = (usize::from(input.u8()?) << 8) + usize::from(input.u8()?) + 8192;
            }
            let start = output.len().checked_sub(back)?;
            if output.len() + length > limit {
                return None;
            }
            (start..start + length).for_each(|from| output.push(output[from]));
        }
        (output.len() <= limit).then_some(())
    };
    while !input.0.is_empty() {
        run(&mut input).ok_or("a part of it (FastLZ) is damaged")?;
    }
    Ok(output)
}

/// The kind of each source: digits, a real, or a text.
pub(super) fn geometry(file: &mut File, part: Part) -> Result<Vec<Shape>, String> {
    let bytes = file.read(part.start, part.length)?;
    let mut input = Bytes(&bytes);
    let damage = "the list of its variables is damaged";
    let (unpacked, count) = (input.u64().ok_or(damage)?, input.u64().ok_or(damage)?);
    let bytes = zlib_or_stored(input.0.to_vec(), unpacked)?;
    let mut input = Bytes(&bytes);
    // Each has at least one byte.
    if count > bytes.len() as u64 {
        return Err(damage.into());
    }
    let shape = |_| {
        Ok(match input.varint().and_then(|shape| u32::try_from(shape).ok()).ok_or(damage)? {
            0 => Shape::Real,
            u32::MAX => Shape::Text,
            digits => Shape::Digits(digits),
        })
    };
    (0..count).map(shape).collect()
}

/// The names of all variables.
pub(super) fn names(file: &mut File, part: Part) -> Result<Vec<u8>, String> {
    let bytes = file.read(part.start, part.length)?;
    let mut input = Bytes(&bytes);
    let damage = "the names of its variables are damaged";
    let unpacked = input.u64().ok_or(damage)?;
    match part.kind {
        kind::NAMES_GZIP => gzip(input.0, unpacked),
        kind::NAMES_LZ4 => lz4(input.0, unpacked),
        _ => {
            let once = input.varint().ok_or(damage)?;
            lz4(&lz4(input.0, once)?, unpacked)
        }
    }
}
