//! Finds a line by its name: its offset on the chip.
//!
//! `cargo run -p linewake --example find_line_by_name [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "door".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    match chip.named(line) {
        [] => writeln!(out, "line \"{line}\" not found on {chip}")?,
        [offset] => writeln!(out, "{chip} {offset}")?,
        [first, others @ ..] => writeln!(out, "{chip} {first}, and {} more of that name", others.len())?,
    }
    Ok(())
}
