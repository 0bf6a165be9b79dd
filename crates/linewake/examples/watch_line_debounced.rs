//! Prints the presses and releases of a button without its bounces, each with the time of the first contact.
//!
//! `cargo run -p linewake --example watch_line_debounced [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;
use linewake::filter::{Filter, FilterEvent};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "button".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let request = chip.request().line(line).consumer("watch-line-debounced").start()?;
    let mut events = request.filtered(Filter::button())?;
    for _ in 0..2 {
        match events.wait_next().transpose()? {
            Some(FilterEvent::Edge(edge)) => writeln!(out, "{} {} \"{line}\"", edge.timestamp_ns, edge.kind.as_str())?,
            Some(FilterEvent::Chatter(chatter)) => writeln!(out, "\"{line}\" is {}", chatter.kind.as_str())?,
            _ => break,
        }
    }
    let tally = events.tally(line)?;
    writeln!(out, "{} edges, {} passed, {} filtered", tally.delivered, tally.passed, tally.filtered)?;
    Ok(())
}
