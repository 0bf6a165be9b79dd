//! Prints the first six edges of a line, as a stream, on any executor.
//!
//! `cargo run -p linewake --example async_watch_line_value [CHIP] [LINE]`: the simulated chip unless another is given.

use std::error::Error;
use std::io::{self, Write};

use futures::StreamExt;
use futures::executor::block_on;
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
    let request = chip.request().line(line).consumer("async-watch-line-value").start()?;
    block_on(async {
        let mut edges = request.take(6);
        while let Some(edge) = edges.next().await.transpose()? {
            writeln!(out, "{} {} \"{line}\"", edge.timestamp_ns, edge.kind.as_str())?;
        }
        Ok::<(), Box<dyn Error>>(())
    })?;
    Ok(())
}
