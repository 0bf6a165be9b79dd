//! Standard output, which is collected until the tool waits or ends.

use std::io::{self, Write as _};

use super::Exit;
use crate::display::add_printable;

/// The output that is not written yet.
#[derive(Debug)]
pub(super) struct Out {
    bytes: Vec<u8>,
    /// A write failed, which was reported; nothing more is written.
    has_failed: bool,
}

/// The bytes at which the output is written: a chip may have very many lines.
const FULL: usize = 1 << 16;

impl Out {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(512), has_failed: false }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        self.text(itoa::Buffer::new().format(number));
    }

    /// Adds a text that somebody else chose, so that it cannot control the terminal.
    pub(super) fn printable(&mut self, text: &[u8]) {
        add_printable(&mut self.bytes, text);
    }

    /// Writes the collected output. If its reader has left, the tool ends well.
    pub(super) fn flush(&mut self) -> Result<(), Exit> {
        let written = self.try_flush();
        written.map_err(|error| {
            self.has_failed = true;
            match error.kind() {
                io::ErrorKind::BrokenPipe => Exit { message: Vec::new(), code: 0 },
                _ => Exit::new(format!("cannot write to standard output: {error}")),
            }
        })
    }

    /// Writes the collected output, if that is possible.
    fn try_flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() || self.has_failed {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(&self.bytes).and_then(|()| out.flush());
        self.bytes.clear();
        written
    }

    /// Output that a full disk refuses is dropped: the tool holds lines, and its output matters less.
    pub(super) fn flush_if_possible(&mut self) -> Result<(), Exit> {
        match self.try_flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.has_failed = true;
                Err(Exit { message: Vec::new(), code: 0 })
            }
            _ => Ok(()),
        }
    }

    /// Writes the collected output if there is much.
    pub(super) fn relieve(&mut self) -> Result<(), Exit> {
        if self.bytes.len() < FULL { Ok(()) } else { self.flush() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal_and_keeps_its_bytes() {
        for (name, shown) in [
            (&b"door"[..], &b"door"[..]),
            (b"a\x1b[2Jb\nc\x7f", br"a\u{1b}[2Jb\nc\u{7f}"),
            ("tür \u{9b}2J \u{a0}".as_bytes(), "tür \\u{9b}2J \u{a0}".as_bytes()),
            (b"\xff\xfe\xc2", b"\xff\xfe\xc2"),
        ] {
            let mut out = Out::new();
            out.printable(name);
            assert_eq!(out.bytes, shown);
        }
    }
}
