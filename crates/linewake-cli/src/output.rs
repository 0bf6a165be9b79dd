//! Standard output: it is buffered, and a failed write ends the command.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit::{self, Failure};

/// Locks standard output for this command.
pub(crate) fn standard() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Writes the whole output of a command.
pub(crate) fn write(text: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = standard();
    let written = text(&mut out).and_then(|()| out.flush());
    // Dropping the writer would try again to write the rest.
    let _ = out.into_parts();
    written.or_else(|error| exit::unwritten(&error))
}

/// Writes one JSON object and a newline.
pub(crate) fn json(out: &mut impl Write, object: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}
