//! Reads a line, then drives it, without giving it back in between.
//!
//! `cargo run -p linewake --example reconfigure_input_to_output [CHIP] [LINE]`: the simulated chip
//! unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::{Chip, LineConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "led".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let shown = |active| if active { "active" } else { "inactive" };
    let mut request = chip.request().line_with(line, LineConfig::input()).start()?;
    let active = request.value(line)?;
    writeln!(out, "\"{line}\"={} (input)", shown(active))?;
    request.reconfigure([(line, LineConfig::output(!active))])?;
    writeln!(out, "\"{line}\"={} (output)", shown(request.value(line)?))?;
    Ok(())
}
