//! The name of the running tool, and its outputs.

use super::exit::Exit;
use super::out::Out;
use super::tool::Tool;
use crate::display::add_printable;

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

    /// Writes one line to standard error. An argument in it cannot control the terminal.
    pub(super) fn say(&self, message: &[u8]) {
        let mut line = Vec::new();
        add_printable(&mut line, &[&self.prog[..], b": ", message].concat());
        line.push(b'\n');
        // If standard error is closed, the message is dropped.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), &line);
    }
}
