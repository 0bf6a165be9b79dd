//! Numbers of seven bits a byte, the lowest first: FST and GHW have them.

/// A number; `None` if it has no end within 64 bits. `next` gives its bytes.
pub(crate) fn unsigned<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The same, with a sign.
pub(crate) fn signed<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<i64>, E> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        number |= i64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let is_negative = byte & 0x40 != 0 && shift + 7 < 64;
            return Ok(Some(if is_negative { number | (-1 << (shift + 7)) } else { number }));
        }
    }
    Ok(None)
}
