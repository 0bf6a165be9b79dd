//! How long the command takes from its start to its end when there is little to do: `--help`, and `get` on a simulated chip.
//!
//! A program that does nothing at all is started in turn with them: what that takes is this machine's, and not ours.

use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::command::CommandLine;
use crate::workspace;

/// How often each is started.
const ROUNDS: usize = 200;
/// What each may take, at the median.
const AIM: Duration = Duration::from_millis(5);

/// `cargo xtask start-up`
pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    let build = CommandLine::new("cargo build --release -p linewake-cli");
    if !build.command().status()?.success() {
        return Err(format!("this command failed: {build}").into());
    }
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
    println!("{:<26} {:>9} {:>9} {:>9}", "of 200 starts, in ms", "fastest", "median", "90 %");
    for ((name, ..), mut times) in runs.into_iter().zip(times) {
        times.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, slow) = (times[ROUNDS / 2], times[ROUNDS * 9 / 10]);
        println!("{name:<26} {:>9.2} {:>9.2} {:>9.2}", ms(times[0]), ms(median), ms(slow));
        is_slow |= median > AIM;
    }
    if is_slow {
        println!("\nthe median of one is above {} ms: on a busy machine look at the fastest", AIM.as_millis());
    }
    Ok(ExitCode::SUCCESS)
}
