//! Makes a line an output and switches it on and off.
//!
//! `cargo run -p linewake --example toggle_line_value [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "led".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let mut request = chip.request().output(line, false).consumer("toggle-line-value").start()?;
    for round in 0..6 {
        let active = round % 2 == 0;
        request.set_value(line, active)?;
        writeln!(out, "\"{line}\"={}", if active { "active" } else { "inactive" })?;
        sleep(Duration::from_millis(50));
    }
    // Dropping the request gives the line back.
    Ok(())
}
