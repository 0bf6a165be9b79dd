//! Prints the facts and the capabilities of a chip.
//!
//! `cargo run -p linewake --example get_chip_info [CHIP]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    run(&chip, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let info = chip.info();
    writeln!(out, "{} [{}] ({} lines)", info.name, info.label, info.lines)?;
    let can = chip.capabilities();
    let abilities = [
        ("outputs", can.outputs),
        ("active-low", can.active_low),
        ("bias", can.bias),
        ("drive", can.drive),
        ("debounce", can.debounce),
        ("shared lines", can.shared_lines),
        ("values at one moment", can.atomic_values),
    ];
    for (ability, has) in abilities {
        writeln!(out, "{ability}: {}", if has { "yes" } else { "no" })?;
    }
    writeln!(out, "account: {} at best", can.account.as_str())?;
    Ok(())
}
