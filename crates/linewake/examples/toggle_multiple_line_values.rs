//! Makes several lines outputs and toggles them in opposite directions, at the same moment if the chip can.
//!
//! `cargo run -p linewake --example toggle_multiple_line_values [CHIP] [LINE]...`: the simulated chip
//! unless another is given.

use std::error::Error;
use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let mut lines: Vec<String> = arguments.collect();
    if lines.is_empty() {
        lines = vec!["led".to_owned(), "relay-1".to_owned()];
    }
    run(&chip, &lines, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, lines: &[String], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let values = |round| lines.iter().enumerate().map(move |(place, line)| (line, (place + round) % 2 == 0));
    let mut request = chip.set_values(values(0))?;
    for round in 0..6 {
        request.set_values(values(round))?;
        let shown: Vec<_> = values(round).map(|(line, active)| format!("\"{line}\"={}", u8::from(active))).collect();
        writeln!(out, "{}", shown.join(" "))?;
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
