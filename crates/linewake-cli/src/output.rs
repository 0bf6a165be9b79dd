//! Standard output: buffered, and what to do when it cannot be written.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit::Failure;

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
    written.or_else(|error| failed(&error))
}

/// A reader that has left wanted no more. A full disk is an error.
pub(crate) fn failed(error: &io::Error) -> Result<(), Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(Failure::new(format!("cannot write to standard output: {error}")))
}

/// One JSON object and a newline.
pub(crate) fn json(out: &mut impl Write, object: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}
