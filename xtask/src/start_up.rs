//! `cargo xtask start-up`: measures how long the command runs when it has little to do: `--help`, and `get` on a
//! simulated chip. A program that does nothing is measured too: any program takes that long on this machine.
//!
//! `--guest` compares libgpiod's tools with ours of the same names: instructions, threads and memory, in the virtual
//! machine, whose clock counts instructions.

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::command::CommandLine;
use crate::stage::STATIC;
use crate::{vm, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Compare libgpiod's tools with ours instead, in the virtual machine
    #[arg(long)]
    guest: bool,
}

/// How often each program is started.
const ROUNDS: usize = 200;
/// The longest median that is good enough.
const AIM: Duration = Duration::from_millis(5);

/// `cargo xtask start-up`
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    if arguments.guest {
        return in_the_guest();
    }
    CommandLine::new("cargo build --release -p linewake-cli").run()?;
    let linewake = workspace::target().join(format!("release/linewake{}", std::env::consts::EXE_SUFFIX));
    let linewake = linewake.display().to_string();
    let runs: [(&str, &str, &[&str]); 4] = [
        ("nothing (\"true\")", "true", &[]),
        ("linewake --help", &linewake, &["--help"]),
        ("linewake get --help", &linewake, &["get", "--help"]),
        ("linewake get -c sim door", &linewake, &["get", "-c", "sim", "door"]),
    ];
    let mut times = vec![Vec::with_capacity(ROUNDS); runs.len()];
    for _ in 0..ROUNDS {
        for ((_, program, words), times) in runs.iter().zip(&mut times) {
            let mut command = Command::new(program);
            command.args(*words).stdin(Stdio::null()).stdout(Stdio::null());
            let began = Instant::now();
            let status = command.status().map_err(|error| format!("cannot start \"{program}\": {error}"))?;
            times.push(began.elapsed());
            if !status.success() {
                return Err(format!("\"{program}\" failed: {status}").into());
            }
        }
    }
    let mut is_slow = false;
    println!("{:<26} {:>9} {:>9} {:>9}", "200 starts, in ms", "fastest", "median", "90 %");
    for ((name, ..), mut times) in runs.into_iter().zip(times) {
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, slow) = (times[ROUNDS / 2], times[ROUNDS * 9 / 10]);
        println!("{name:<26} {:>9.2} {:>9.2} {:>9.2}", ms(times[0]), ms(median), ms(slow));
        is_slow |= median > AIM;
    }
    if is_slow {
        println!("\na median is above {} ms: if the machine was busy, look at the fastest start", AIM.as_millis());
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures libgpiod's tools and ours, from their start to their first byte of output or to their end.
fn in_the_guest() -> Result<ExitCode, Box<dyn Error>> {
    vm::provide()?;
    vm::prepare()?;
    // The profile of releases: see `cargo xtask dist`.
    CommandLine::new("cargo build --profile dist -p linewake-cli -p flood --target").args(STATIC).run()?;
    let built = workspace::target().join(STATIC).join("dist");
    let run = CommandLine::new("").arg(std::env::current_exe()?.to_string_lossy()).args("vm run --steady --file");
    let run = run.arg(built.join("linewake").display().to_string()).args("--");
    let run = run.arg(built.join("flood").display().to_string()).args("start-up ./linewake");
    let said = run.text()?;
    println!(
        "{:<36} {:>10} {:>10} {:>6}  {:>9}  {:>13}",
        "up to the first byte, or the end", "theirs", "ours", "ratio", "threads", "KiB at most"
    );
    let mut is_more = false;
    for line in said.lines() {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        let numbers: Vec<u64> = fields.filter_map(|field| field.split_once('=')?.1.parse().ok()).collect();
        let [their_ns, their_threads, their_kib, our_ns, our_threads, our_kib] = numbers[..] else { continue };
        let ratio = |ours: u64, theirs: u64| ours as f64 / theirs.max(1) as f64;
        // The guest's clock advances by 2 ns for each instruction.
        println!(
            "{name:<36} {:>10} {:>10} {:>6.2}  {their_threads:>4} {our_threads:>4}  {their_kib:>6} {our_kib:>6}",
            their_ns / 2,
            our_ns / 2,
            ratio(our_ns, their_ns),
        );
        is_more |= our_ns > their_ns || our_threads > their_threads || ratio(our_kib, their_kib) > 1.5;
    }
    if is_more {
        println!("\none of our tools takes more instructions or threads, or more than 1.5 times the memory");
    }
    Ok(if is_more { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
