//! Prints which program requests and releases a line, while this program does both.
//!
//! `cargo run -p linewake --example watch_line_info [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::{Chip, Edges, ErrorKind, LineConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "door".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let mut events = match chip.watch_info([line]) {
        // Some chips do not report this; a program can poll `line_info` instead.
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let request = chip.request().line(line).consumer("watch-line-info").start()?;
            let holder = chip.line_info(line)?.consumer;
            writeln!(out, "{error}; \"{line}\" is held by \"{}\"", holder.as_deref().unwrap_or("nobody"))?;
            drop(request);
            return Ok(());
        }
        events => events?,
    };
    let mut request = chip.request().line(line).consumer("watch-line-info").start()?;
    if chip.capabilities().reconfigure {
        request.reconfigure([(line, LineConfig::watch(Edges::Rising))])?;
    }
    drop(request);
    while let Some(event) = events.wait_next().transpose()? {
        let kind = event.kind.as_str();
        writeln!(out, "{} {kind} {} \"{line}\"", event.timestamp_ns, event.line.offset)?;
        if kind == "released" {
            break;
        }
    }
    Ok(())
}
