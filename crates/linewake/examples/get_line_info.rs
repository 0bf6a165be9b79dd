//! Prints the information that a chip has about a line.
//!
//! `cargo run -p linewake --example get_line_info [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::{Chip, Direction};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "led".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let info = Chip::open(spec)?.line_info(line)?;
    let name = info.name.as_deref().unwrap_or("unnamed");
    let direction = if info.direction == Direction::Input { "input" } else { "output" };
    let active_low = if info.config.active_low { " active-low" } else { "" };
    let consumer = info.consumer.as_deref().unwrap_or(if info.used { "somebody" } else { "unused" });
    writeln!(out, "{} \"{name}\" {direction}{active_low} {consumer}", info.offset)?;
    Ok(())
}
