//! Numbers with seven bits in each byte, the lowest first. FST and GHW use them.

/// Reads a number from the bytes that `next` returns; `None` if it does not end within 64 bits.
pub(crate) fn unsigned<E>(next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    Ok(number(next)?.map(|(number, _)| number))
}

/// Like [`unsigned`], with a sign.
pub(crate) fn signed<E>(next: impl FnMut() -> Result<u8, E>) -> Result<Option<i64>, E> {
    // The highest bit that was read is the sign.
    Ok(number(next)?.map(|(number, bits)| {
        let unused = 64_u32.saturating_sub(bits);
        (number << unused) as i64 >> unused
    }))
}

/// The number, and how many bits were read.
fn number<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<(u64, u32)>, E> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(Some((number, shift + 7)));
        }
    }
    Ok(None)
}
