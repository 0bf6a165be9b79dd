//! Prints the wires and changes of a waveform, or measures how fast it is read.
//!
//! ```sh
//! cargo run --release -p linewake-wave --example wave -- FILE [WIRE…]        # its wires and their changes
//! cargo run --release -p linewake-wave --example wave -- --rate FILE [WIRE…]  # changes per second
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use linewake_wave::Reader;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_rate = arguments.first().is_some_and(|first| first == "--rate");
    if is_rate {
        arguments.remove(0);
    }
    let (file, chosen) = arguments.split_first().ok_or("name a file")?;
    let mut reader = Reader::open(Path::new(file))?;
    let chosen: Vec<_> = chosen.iter().flat_map(|name| reader.find(name)).collect();
    let chosen = if chosen.is_empty() { reader.lines() } else { chosen };
    let names = reader.names(&chosen);
    reader.watch(&chosen);
    if is_rate {
        let begun = Instant::now();
        let mut count = 0_u64;
        for change in &mut reader {
            change?;
            count += 1;
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!("{count} changes in {seconds:.3} s: {:.0} changes/s", count as f64 / seconds);
    } else {
        println!("{:?}, {} wires: {}", reader.format(), names.len(), names.join(" "));
        let shown = |wire: u32| chosen.iter().position(|&chosen| chosen == wire as usize);
        for change in &mut reader {
            let change = change?;
            let name = shown(change.wire).map_or("?", |at| &names[at]);
            println!("{} ns {name} {:?}", change.at_ns, change.level);
        }
    }
    reader.left_out().iter().for_each(|left_out| println!("left out: {left_out}"));
    reader.warnings().iter().for_each(|warning| println!("warning: {warning}"));
    Ok(())
}
