//! Prints the first three rising edges of a line.
//!
//! `cargo run -p linewake --example watch_line_rising [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::{Chip, Edges};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "encoder-a".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let mut request = chip.request().line(line).edges(Edges::Rising).consumer("watch-line-rising").start()?;
    for _ in 0..3 {
        let Some(edge) = request.wait_next().transpose()? else { break };
        writeln!(out, "{} {} \"{line}\"", edge.timestamp_ns, edge.kind.as_str())?;
    }
    Ok(())
}
