//! Standard output: buffered, and what to do when it cannot be written.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit::{self, Failure};

/// Standard output, for this command alone.
pub(crate) fn standard() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Writes all there is to write.
pub(crate) fn write(text: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = standard();
    let written = text(&mut out).and_then(|()| out.flush());
    // What could not be written is not tried again.
    let _ = out.into_parts();
    written.or_else(|error| exit::unwritten(&error))
}

/// One JSON object and a newline.
pub(crate) fn json(out: &mut impl Write, object: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}
