//! What a running tool knows of itself: its name, and where it writes.

use super::exit::Exit;
use super::out::Out;
use super::tool::Tool;

/// A running tool.
pub(super) struct Context {
    pub(super) tool: Tool,
    /// The first word of the command line, with its path.
    pub(super) prog: Vec<u8>,
    pub(super) out: Out,
}

impl Context {
    /// Writes to standard error, after all that was printed before.
    pub(super) fn error(&mut self, message: &[u8]) -> Result<(), Exit> {
        self.out.flush()?;
        self.say(message);
        Ok(())
    }

    pub(super) fn say(&self, message: &[u8]) {
        let line = [&self.prog[..], b": ", message, b"\n"].concat();
        // It may be closed: then there is nobody to tell.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), &line);
    }
}
