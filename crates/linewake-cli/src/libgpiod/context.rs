//! A tool at work: how it is called, and where it says things.

use super::died::Died;
use super::out::Out;

/// A tool at work.
pub(super) struct Context {
    pub(super) name: &'static str,
    /// As the program was called, with the path if there was one.
    pub(super) prog: Vec<u8>,
    pub(super) out: Out,
}

impl Context {
    /// Says something on standard error. What was printed before stands before it.
    pub(super) fn error(&mut self, message: &[u8]) -> Result<(), Died> {
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
