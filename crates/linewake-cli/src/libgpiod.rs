//! The program under the name of one of libgpiod's tools: exactly that tool.
//!
//! It is a path of its own, beside the subcommands: it has one thread, opens the kernel's chips by blocking calls,
//! keeps names and messages as bytes, and reads the command line as the C library does. It opens gpiochips only, so
//! that a user who may run `gpioget` as root by a rule of sudo can read lines and do no more. For tests it has
//! simulated chips, if the environment says so: see [`chips::SIM`]. docs/gpiod.md lists what differs from libgpiod's
//! tools on purpose.
//!
//! - `tool` knows the names; `getopt` and `number` read the command line; `help` prints help and version.
//! - `chips` finds chips, `chip` is one of them with its requests, `resolve` finds lines.
//! - `out` collects output, `print` formats it; `strerror` has the C library's error messages.
//! - `detect`, `info`, `get`, `set` (with `outputs` and `interactive`), `mon` and `notify` are the tools.

mod chip;
mod chips;
mod context;
mod detect;
mod exit;
mod get;
mod getopt;
mod help;
mod info;
mod interactive;
mod mon;
mod notify;
mod number;
mod out;
mod outputs;
mod print;
mod resolve;
mod set;
mod strerror;
pub(crate) mod tool;
mod wait;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use self::context::Context;
use self::exit::Exit;
use self::out::Out;
use self::tool::Tool;

/// Runs the program as one of the tools.
pub(crate) fn run(tool: Tool, prog: &OsStr, words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut context = Context { tool, prog: prog.as_encoded_bytes().to_vec(), out: Out::new() };
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
        Err(Exit { message, code }) => {
            // A failed write was reported.
            let _ = context.out.flush();
            if !message.is_empty() {
                context.say(&message);
            }
            ExitCode::from(code)
        }
    }
}
