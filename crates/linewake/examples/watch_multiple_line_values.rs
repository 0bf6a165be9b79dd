//! Prints the first ten edges of several lines, in order of time.
//!
//! `cargo run -p linewake --example watch_multiple_line_values [CHIP] [LINE]...`: the simulated chip
//! unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let mut lines: Vec<String> = arguments.collect();
    if lines.is_empty() {
        lines = vec!["button".to_owned(), "encoder-a".to_owned(), "encoder-b".to_owned(), "pps".to_owned()];
    }
    run(&chip, &lines, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, lines: &[String], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let mut request = chip.request().lines(lines).consumer("watch-multiple-line-values").start()?;
    for line in request.lines() {
        let name = line.name.as_deref().unwrap_or("unnamed");
        let level = line.active_at_start.map_or("unknown", |active| if active { "active" } else { "inactive" });
        writeln!(out, "{} \"{name}\" is {level}", line.offset)?;
    }
    for _ in 0..10 {
        let Some(edge) = request.wait_next().transpose()? else { break };
        let name = edge.name.as_deref().unwrap_or("unnamed");
        writeln!(out, "{} {} {} \"{name}\"", edge.timestamp_ns, edge.kind.as_str(), edge.offset)?;
    }
    Ok(())
}
