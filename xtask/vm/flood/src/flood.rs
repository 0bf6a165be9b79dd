//! Floods the lines, and prints what the reader delivered and lost.

use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use linewake::Chip;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::consumer::Consumer;
use crate::usage::Usage;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The name of the reader in the result
    #[arg(long)]
    name: String,
    /// How many lines change, one after another
    #[arg(long)]
    lines: u32,
    /// The number of edges on all lines together
    #[arg(long)]
    edges: u32,
    /// How many lines of the reader's output are read in a second; 0 for no limit
    #[arg(long, default_value_t = 0)]
    slow: u64,
    /// The command of the reader; `CHIP` stands for the chip, and `LINES` for the offsets of the lines
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    reader: Vec<String>,
}

/// How many lines the chip has that do not change. A witness may take one.
const SPARE: u32 = 2;
/// A reader that did nothing for this long has nothing left to do.
const IDLE: Duration = Duration::from_secs(1);
/// How long the reader may take until it watches, or until it rests.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let bank = gpiosim::Bank::new(arguments.lines + SPARE, "flood");
    let sim = gpiosim::builder().with_bank(&bank).with_name("flood").live()?;
    let chip = &sim.chips()[0];
    let mut reader = start(arguments, chip)?;
    let consumer = Consumer::start(reader.stdout.take().ok_or("it is piped")?, arguments.slow);
    wait_until_watched(arguments, chip, &mut reader)?;

    let before = rest(&reader, &consumer)?;
    let took = flood(arguments, chip)?;
    let used = rest(&reader, &consumer)? - before;
    kill_process(Pid::from_child(&reader), Signal::TERM)?;
    let mut said = String::new();
    reader.stderr.take().ok_or("it is piped")?.read_to_string(&mut said)?;
    let printed = consumer.join()?;
    reader.wait()?;

    let lost = LossReport::reported(&printed.last, &said);
    let delivered = lost.delivered.unwrap_or(printed.edges);
    let mut figures = vec![
        ("lines", arguments.lines.into()),
        ("slow", arguments.slow),
        ("driven", arguments.edges.into()),
        ("took_ns", took.as_nanos() as u64),
        ("delivered", delivered),
        ("overflowed", lost.overflowed),
        ("merged", lost.merged),
        ("discarded", lost.discarded),
        ("cpu_ns", used.cpu_ns),
        ("threads", used.threads),
        ("sleeps", used.sleeps),
    ];
    figures.extend(lost.unattributed.map(|number| ("unattributed", number)));
    let figures: Vec<_> = figures.iter().map(|(name, number)| format!("{name}={number}")).collect();
    println!("{}\t{}", arguments.name, figures.join("\t"));
    if lost.delivered.is_some_and(|delivered| printed.edges > 0 && delivered != printed.edges) {
        return Err(format!("the reader printed {} edges, but reports {delivered}", printed.edges).into());
    }
    Ok(())
}

fn start(arguments: &Arguments, chip: &gpiosim::Chip) -> std::io::Result<Child> {
    let mut words = Vec::new();
    for word in &arguments.reader {
        match word.as_str() {
            "CHIP" => words.push(chip.dev_path().display().to_string()),
            "LINES" => words.extend((0..arguments.lines).map(|line| line.to_string())),
            word => words.push(word.to_owned()),
        }
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn wait_until_watched(arguments: &Arguments, chip: &gpiosim::Chip, reader: &mut Child) -> Result<(), Box<dyn Error>> {
    let chip = Chip::open(&chip.dev_path().display().to_string())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lines = chip.lines()?;
        let watched = lines.iter().take(arguments.lines as usize).filter(|line| line.config.edges.is_some()).count();
        if watched == arguments.lines as usize {
            return Ok(());
        }
        if Instant::now() > deadline || reader.try_wait()?.is_some() {
            let mut said = String::new();
            let _ = reader.kill();
            reader.stderr.take().ok_or("it is piped")?.read_to_string(&mut said)?;
            return Err(format!("timed out waiting for \"{}\" to watch its lines: {said}", arguments.name).into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the reader has nothing left to do. Returns the resources that it has used.
fn rest(reader: &Child, consumer: &Consumer) -> Result<Usage, Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = (Usage::of(reader.id())?, consumer.bytes());
    loop {
        thread::sleep(IDLE);
        let now = (Usage::of(reader.id())?, consumer.bytes());
        if now.0.cpu_ns == last.0.cpu_ns && now.1 == last.1 {
            return Ok(now.0);
        }
        if Instant::now() > deadline {
            return Err("timed out waiting for the reader to rest".into());
        }
        last = now;
    }
}

/// Changes the lines one after another, as fast as this machine can. They are low at first.
fn flood(arguments: &Arguments, chip: &gpiosim::Chip) -> std::io::Result<Duration> {
    let open = |line| {
        let pull = format!("/sys/devices/platform/{}/{}/sim_gpio{line}/pull", chip.dev_name, chip.chip_name);
        File::options().write(true).open(pull)
    };
    let pulls = (0..arguments.lines).map(open).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    for edge in 0..arguments.edges {
        let word: &[u8] = if (edge / arguments.lines).is_multiple_of(2) { b"pull-up" } else { b"pull-down" };
        pulls[(edge % arguments.lines) as usize].write_all_at(word, 0)?;
    }
    Ok(began.elapsed())
}

/// The edges that a reader says it delivered and lost.
#[derive(Default)]
struct LossReport {
    delivered: Option<u64>,
    overflowed: u64,
    merged: u64,
    unattributed: Option<u64>,
    discarded: u64,
}

impl LossReport {
    /// Reads the last record, or else the summary on standard error. Some readers have neither.
    fn reported(last: &str, said: &str) -> Self {
        if let Ok(summary) = serde_json::from_str::<Value>(last)
            && summary["record"] == "summary"
        {
            let sum = |name: &str| {
                let lines = summary["lines"].as_array().into_iter().flatten();
                lines.filter_map(|line| line[name].as_u64()).sum()
            };
            return Self {
                delivered: Some(sum("delivered")),
                overflowed: sum("overflowed"),
                merged: sum("merged") + summary["unattributed"].as_u64().unwrap_or(0),
                unattributed: summary["unattributed"].as_u64(),
                discarded: sum("discarded"),
            };
        }
        let mut lost = Self::default();
        let summary = said.lines().find(|line| line.contains(" delivered, ")).unwrap_or_default();
        let words: Vec<_> = summary.split([' ', ',', '(', ')', ';']).filter(|word| !word.is_empty()).collect();
        for two in words.windows(2) {
            let Ok(number) = two[0].parse() else { continue };
            match two[1] {
                "edge" | "edges" => lost.delivered = Some(number),
                "overflowed" => lost.overflowed = number,
                "merged" => lost.merged = number,
                "discarded" => lost.discarded = number,
                _ => {}
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_summaries_are_understood() {
        let text = "8 lines: 39 edges delivered, at least 12 lost (5 overflowed, 7 merged); 3 threads\n  \
                    \"x\": 4 edges delivered, at least 5 lost (5 overflowed)\n";
        let lost = LossReport::reported("1.2\trising\t\"x\"\n", text);
        assert_eq!((lost.delivered, lost.overflowed, lost.merged, lost.discarded), (Some(39), 5, 7, 0));
        let record = r#"{"record":"summary","unattributed":3,"lines":[{"delivered":4,"overflowed":1,"merged":2,"discarded":6}]}"#;
        let lost = LossReport::reported(record, "");
        assert_eq!((lost.delivered, lost.overflowed, lost.merged, lost.discarded), (Some(4), 1, 5, 6));
        assert_eq!(lost.unattributed, Some(3));
        assert!(LossReport::reported("1.2\trising\t\"x\"\n", "").delivered.is_none());
    }
}
