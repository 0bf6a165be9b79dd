//! The program where it is called by the name of one of libgpiod's tools: that tool, no more and no less.
//!
//! It is a path of its own, beside the subcommands: one thread, the kernel's chips by blocking calls, names and messages as
//! bytes, and the command line as the C library reads it. A chip is a gpiochip here and nothing else, so that who may run
//! `gpioget` as root by a rule of sudo can read lines, and do no more. For tests there are also simulated chips, if the
//! environment says so: see [`chips::SIM`]. What differs from libgpiod's on purpose is in docs/gpiod.md.
//!
//! - `getopt` and `number` read the command line; `help` writes what the tools have to say of themselves.
//! - `chips` finds chips, `chip` is one of them and what it holds, `resolve` finds lines on them.
//! - `out` writes, `print` says how things are shown; `strerror` has the C library's words for errors.
//! - `detect`, `info`, `get`, `set` (with `interactive`), `mon` and `notify` are the tools.

mod chip;
mod chips;
mod detect;
mod get;
mod getopt;
mod help;
mod info;
mod interactive;
mod mon;
mod notify;
mod number;
mod out;
mod print;
mod resolve;
mod set;
mod strerror;
mod wait;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use self::out::Out;
use crate::caller::Tool;

/// Why a tool ends before it is done.
#[derive(Debug, PartialEq, Eq)]
struct Died {
    /// What is said, behind the name of the program.
    message: Vec<u8>,
    code: u8,
}

impl Died {
    fn new(message: impl Into<Vec<u8>>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// Everything is said.
    fn silent() -> Self {
        Self::new("")
    }

    /// Its words, something that need not be text, and the end.
    fn of(before: &str, what: &[u8], after: &str) -> Self {
        Self::new([before.as_bytes(), what, after.as_bytes()].concat())
    }
}

/// A tool at work.
struct Context {
    name: &'static str,
    /// As the program was called, with the path if there was one.
    prog: Vec<u8>,
    out: Out,
}

impl Context {
    /// Says something on standard error. What was printed before stands before it.
    fn error(&mut self, message: &[u8]) -> Result<(), Died> {
        self.out.flush()?;
        self.say(message);
        Ok(())
    }

    fn say(&self, message: &[u8]) {
        let line = [&self.prog[..], b": ", message, b"\n"].concat();
        // It may be closed: then there is nobody to tell.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), &line);
    }
}

/// Runs the program as one of the tools.
pub(crate) fn run(name: &'static str, tool: Tool, prog: &OsStr, words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut context = Context { name, prog: prog.as_encoded_bytes().to_vec(), out: Out::new() };
    let words: Vec<_> = words.map(OsString::into_encoded_bytes).collect();
    let run = match tool {
        Tool::Detect => detect::run,
        Tool::Info => info::run,
        Tool::Get => get::run,
        Tool::Set => set::run,
        Tool::Mon => mon::run,
        Tool::Notify => notify::run,
    };
    let ended = run(&mut context, &words);
    let ended = ended.and_then(|code| context.out.flush().map(|()| code));
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Died { message, code }) => {
            // What could not be written was said.
            let _ = context.out.flush();
            if !message.is_empty() {
                context.say(&message);
            }
            ExitCode::from(code)
        }
    }
}
