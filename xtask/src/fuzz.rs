//! `cargo xtask fuzz`: searches for bytes that break a decoder, with libFuzzer, for a limited time.
//!
//! The targets are those of `fuzz/`. libFuzzer writes the bytes that it finds to `fuzz/artifacts`. After you have
//! mended the code, move the file to `fuzz/seeds`: the stage `fuzz` of `cargo xtask test` replays it.

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use crate::command::CommandLine;
use crate::need::{self, Need};
use crate::report::Report;
use crate::run::{Failure, Run};
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The targets to run; all if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How many seconds each target runs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let known = targets()?;
    if let Some(unknown) = arguments.targets.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no target \"{unknown}\"; the targets are {}", known.join(", ")).into());
    }
    let chosen = if arguments.targets.is_empty() { &known } else { &arguments.targets };
    need::provide(&[Need::Fuzz])?;
    let run = Run::start("fuzz")?;
    let mut report = Report::new();
    let width = chosen.iter().map(String::len).max().unwrap_or(0);
    for target in chosen {
        report.begin(&format!("{target:<width$}"));
        report.run(&run, || look(&run, target, arguments.seconds));
    }
    Ok(report.close())
}

/// The names of the targets, which are those of the directories with their seeds.
fn targets() -> Result<Vec<String>, Box<dyn Error>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(workspace::root().join("fuzz/seeds"))? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

/// Runs one target on its seeds, and on mutations of them. Returns libFuzzer's closing line.
fn look(run: &Run, target: &str, seconds: u32) -> Result<String, Failure> {
    let directory = workspace::target().join("fuzz");
    // The corpus that libFuzzer builds is kept for the next run.
    let corpus = directory.join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let before = run.text()?.len();
    let command = CommandLine::new("cargo +nightly fuzz run --fuzz-dir fuzz --target-dir")
        .arg(workspace::shown(&directory))
        .arg(target)
        .arg(workspace::shown(&corpus))
        .arg(format!("fuzz/seeds/{target}"))
        .args("-- -timeout=10")
        .arg(format!("-max_total_time={seconds}"));
    run.command(&command)?;
    let said = run.text()?.split_off(before);
    let done = said.lines().find_map(|line| line.strip_prefix("Done "));
    let done = done.ok_or_else(|| Failure {
        command: Some(command.to_string()),
        reason: "its output has no line \"Done\" with the number of inputs".to_owned(),
    })?;
    Ok(done.to_owned())
}
