//! Prints the first ten edges of several chips in order of time: one stream, one thread.
//!
//! `cargo run -p linewake --example watch_multiple_chips [CHIP]...`: two simulated chips unless others are given.

use std::error::Error;
use std::io::{self, Write};

use linewake::{Chip, Event, Monitor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut chips: Vec<String> = std::env::args().skip(1).collect();
    if chips.is_empty() {
        chips = vec!["sim".to_owned(), "sim".to_owned()];
    }
    run(&chips, &mut io::stdout())
}

/// The body of `main`, which the test of all examples calls too.
pub(crate) fn run(specs: &[String], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut monitor = Monitor::builder();
    for (seed, spec) in (1..).zip(specs) {
        // Two simulated chips with the same seed have the same edges.
        let options = if spec.starts_with("sim") { Chip::options().seed(seed) } else { Chip::options() };
        monitor = monitor.request(options.open(spec)?.request().all_lines());
    }
    let mut monitor = monitor.start()?;
    let mut seen = 0;
    while seen < 10 {
        let Some(event) = monitor.wait_next().transpose()? else { break };
        if let Event::Edge { request, edge } = event {
            seen += 1;
            let name = edge.name.as_deref().unwrap_or("unnamed");
            writeln!(out, "{} {request}:{} {} \"{name}\"", edge.timestamp_ns, edge.chip, edge.kind.as_str())?;
        }
    }
    for (request, account) in monitor.finish().iter().enumerate() {
        let (figures, trust) = (account.total(), account.trust().as_str());
        writeln!(out, "{request}: {} delivered, {} lost ({trust})", figures.delivered, figures.lost())?;
    }
    Ok(())
}
