//! Numbers with seven bits in each byte, the lowest first. FST and GHW use them.

/// Reads a number from the bytes that `next` returns; `None` if it does not end within 64 bits.
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

/// Like [`unsigned`], with a sign.
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
