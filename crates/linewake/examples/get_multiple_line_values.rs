//! Reads several lines, at the same moment if the chip can.
//!
//! `cargo run -p linewake --example get_multiple_line_values [CHIP] [LINE]...`: the simulated chip
//! unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let mut lines: Vec<String> = arguments.collect();
    if lines.is_empty() {
        lines = vec!["door".to_owned(), "button".to_owned(), "pps".to_owned()];
    }
    run(&chip, &lines, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, lines: &[String], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    for (line, active) in lines.iter().zip(chip.values(lines)?) {
        writeln!(out, "\"{line}\"={}", if active { "active" } else { "inactive" })?;
    }
    Ok(())
}
