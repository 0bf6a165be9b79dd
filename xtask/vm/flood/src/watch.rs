//! A reader that takes edges with the library, and does nothing with them.

use std::error::Error;
use std::time::Duration;

use linewake::Chip;
use linewake::record::{Record, Summary};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Hold a witness beside a single line
    #[arg(long)]
    witness: bool,
    /// How many events the kernel queues; 0 for the kernel's default
    #[arg(long, default_value_t = 0)]
    queue: u32,
    /// How many microseconds an edge may wait in the kernel's queue for further edges
    #[arg(long, default_value_t = 0)]
    gather: u64,
    chip: String,
    lines: Vec<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(&arguments.chip)?;
    let request = chip.request().lines(arguments.lines.iter().copied());
    let request = request.witness(arguments.witness).queue_size(arguments.queue);
    let mut request = request.gather(Duration::from_micros(arguments.gather)).start()?;
    let stopper = request.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    while let Some(edge) = request.wait_next() {
        edge?;
    }
    let account = request.finish();
    let summary = Summary::new([(&*chip.info().name, &account)], None);
    println!("{}", serde_json::to_string(&Record::Summary(summary))?);
    Ok(())
}
