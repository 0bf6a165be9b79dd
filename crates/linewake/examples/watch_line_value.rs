//! Prints the first six edges of a line, and the account of all of its edges.
//!
//! `cargo run -p linewake --example watch_line_value [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use linewake::Chip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let chip = arguments.next().unwrap_or_else(|| "sim".to_owned());
    let line = arguments.next().unwrap_or_else(|| "button".to_owned());
    run(&chip, &line, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(spec: &str, line: &str, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(spec)?;
    let mut request = chip.request().line(line).consumer("watch-line-value").start()?;
    for _ in 0..6 {
        let Some(edge) = request.wait_next().transpose()? else { break };
        let (time_ns, kind) = (edge.timestamp_ns, edge.kind.as_str());
        writeln!(out, "{time_ns} {kind} \"{line}\" #{}, {} missing before it", edge.line_seqno, edge.missed.total())?;
    }
    let account = request.finish();
    let figures = account.total();
    writeln!(out, "{} delivered, {} lost ({})", figures.delivered, figures.lost(), account.trust().as_str())?;
    Ok(())
}
