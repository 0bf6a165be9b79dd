//! Counts the edges of each line of a capture.

use std::path::Path;

use linewake_capture::{Capture, Error, Item};

fn main() -> Result<(), Error> {
    let file = std::env::args_os().nth(1).unwrap_or_else(|| "-".into());
    let mut capture = Capture::open(Path::new(&file))?;
    let mut edges = Vec::new();
    while let Some(item) = capture.next()? {
        match item {
            Item::Line(line) => edges.resize(edges.len().max(line + 1), 0_u64),
            Item::Edge(edge) => edges[edge.line] += 1,
            Item::Notice(notice) => eprintln!("{notice}"),
            _ => {}
        }
    }
    for (line, edges) in capture.lines().iter().zip(edges) {
        let name = line.name.as_deref().unwrap_or("unnamed");
        println!("{} {} {name}: {edges}", capture.chips()[line.chip].name, line.offset);
    }
    Ok(())
}
