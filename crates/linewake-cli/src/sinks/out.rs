//! A buffered output: standard output, or a file.

use std::io::{self, Write};
use std::path::Path;

use super::files::{ExistingFile, Format, Log, quoted};
use crate::exit::{self, Failure};
use crate::readers;

/// A buffered output. Dropping it discards what is still buffered, because that could not be written.
pub(crate) struct Out {
    buffer: Vec<u8>,
    into: Target,
}

enum Target {
    /// Standard output.
    Stream(Box<dyn Write>),
    Log(Log),
}

impl Target {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => stream,
            Self::Log(log) => log,
        }
    }
}

/// The buffer is written out when it is this long.
const FULL: usize = 1 << 16;

impl Out {
    pub(crate) fn new(into: Box<dyn Write>) -> Self {
        Self { buffer: Vec::with_capacity(FULL + 1024), into: Target::Stream(into) }
    }

    /// A file, or standard output for "-".
    pub(crate) fn open(path: &Path, format: Format, existing: ExistingFile) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::new(Box::new(io::stdout().lock())));
        }
        let log = Log::open(path, format, existing)?;
        Ok(Self { buffer: Vec::with_capacity(FULL + 1024), into: Target::Log(log) })
    }

    fn log(&self) -> Option<&Log> {
        if let Target::Log(log) = &self.into { Some(log) } else { None }
    }

    /// True if the file is empty. Always true for standard output.
    pub(crate) fn is_empty(&self) -> bool {
        self.log().is_none_or(Log::is_empty)
    }

    /// True if another program has emptied the file since the last write.
    pub(crate) fn was_emptied(&mut self) -> bool {
        if let Target::Log(log) = &mut self.into { log.was_emptied() } else { false }
    }

    /// The file to go on in, if another one has the name now. Reports when it cannot be opened.
    pub(crate) fn successor(&self) -> Option<Log> {
        let log = self.log()?;
        log.successor().unwrap_or_else(|error| {
            let path = quoted(log.path());
            exit::say(&format!("linewake: cannot open {path} again: {error}; the old file is still written\n"));
            None
        })
    }

    /// Writes out everything, and goes on in another file.
    pub(crate) fn go_on_in(&mut self, log: Log) -> io::Result<()> {
        self.flush()?;
        self.into = Target::Log(log);
        Ok(())
    }

    /// Writes out everything, and fails if the file was removed.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.log().map_or(Ok(()), Log::is_there)
    }

    /// The output, for those who look whether its reader has left.
    pub(crate) fn place(&self) -> readers::WatchedOutput<'_> {
        self.log().map_or(readers::WatchedOutput::Stdout, |log| readers::WatchedOutput::File(log.file()))
    }

    /// A number, in decimal digits.
    #[inline]
    pub(crate) fn number(&mut self, number: impl itoa::Integer) -> io::Result<()> {
        self.write_all(itoa::Buffer::new().format(number).as_bytes())
    }

    fn write_out(&mut self) -> io::Result<()> {
        let written = self.into.writer().write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < FULL { Ok(()) } else { self.write_out() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        self.into.writer().flush()
    }
}
