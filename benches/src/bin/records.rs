//! How many edges a second `linewake mon --json` writes into a pipe, and how many are lost on the way.
//!
//! ```sh
//! cargo build --release -p linewake-cli
//! cargo run --release --manifest-path benches/Cargo.toml --bin records -- target/release/linewake 1000000 5
//! ```
//!
//! Sixteen simulated chips with one line each make the edges, at a rate that waits for nobody: a program that is too
//! slow loses edges, and is told. The program runs on one processor (`taskset`), the reader of the pipe on another.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::{env, fs};

const CHIPS: u64 = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [program, rate, seconds] = &arguments[..] else {
        return Err("usage: records LINEWAKE EDGES-PER-SECOND SECONDS".into());
    };
    let (rate, seconds): (u64, u64) = (rate.parse()?, seconds.parse()?);
    let directory = env::temp_dir().join(format!("linewake-records-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    // A period has two edges.
    let period_ns = 2_000_000_000 * CHIPS / rate;
    let mut command = Command::new("taskset");
    command.args(["-c", "0", program, "mon", "--json", "--for", &format!("{seconds}s")]);
    for chip in 0..CHIPS {
        let file = directory.join(format!("{chip}.toml"));
        let script = format!("queue_size = 1024\n[[line]]\nname = \"line-{chip}\"\nperiod = \"{period_ns}ns\"\n");
        fs::write(&file, script)?;
        command.arg("-c").arg(format!("sim:{}", file.display()));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let mut stream = BufReader::with_capacity(1 << 20, child.stdout.take().ok_or("there is no pipe")?);
    let stat = format!("/proc/{}/stat", child.id());
    let (mut edges, mut bytes, mut line, mut last, mut ticks) = (0_u64, 0, Vec::new(), Vec::new(), 0);
    loop {
        line.clear();
        let read = stream.read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        edges += u64::from(line.starts_with(b"{\"record\":\"edge\""));
        if edges.is_multiple_of(1 << 14) || line.starts_with(b"{\"record\":\"summary\"") {
            ticks = processor_ticks(&stat).unwrap_or(ticks);
        }
        std::mem::swap(&mut line, &mut last);
    }
    let status = child.wait()?;
    fs::remove_dir_all(&directory)?;
    let summary = String::from_utf8(last)?;
    let sum = |key: &str| -> u64 {
        let key = format!("\"{key}\":");
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        summary.split(&key).skip(1).filter_map(|part| digits(part).parse::<u64>().ok()).sum()
    };
    let (delivered, lost) = (sum("delivered"), sum("overflowed") + sum("merged"));
    let exact = summary.matches("\"account\":\"exact\"").count() as u64 == CHIPS;
    if !status.success() || delivered != edges || !exact {
        return Err(format!("{status}: {edges} records, {delivered} delivered, exact: {exact}").into());
    }
    let cpu = ticks as f64 / 100.0;
    println!("asked for {rate}/s for {seconds} s on {CHIPS} chips, on one processor");
    println!("{edges} edges written, {:.0}/s; {lost} lost; {} MB", edges as f64 / seconds as f64, bytes / 1_000_000);
    println!(
        "{cpu:.2} s of processor, with the simulation; {:.0} ns an edge that happened",
        cpu * 1e9 / (edges + lost).max(1) as f64
    );
    Ok(())
}

/// User and system time of a process, in hundredths of a second.
fn processor_ticks(stat: &str) -> Option<u64> {
    let text = fs::read_to_string(stat).ok()?;
    let fields: Vec<_> = text.rsplit_once(") ")?.1.split(' ').collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
