//! `cargo xtask replay-rate`: measures how many edges a second `linewake replay --fast` plays on one processor, and how
//! much memory it takes, for each format of captures and each kind of output.
//!
//! It first makes a capture of four lines, and plays it into the other formats.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::CommandLine;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many edges the capture has
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    edges: u32,
}

/// The aim, in edges a second.
const AIM: f64 = 1e6;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    CommandLine::new("cargo build --release -p linewake-cli").run()?;
    let linewake = workspace::target().join(format!("release/linewake{}", std::env::consts::EXE_SUFFIX));
    let directory = workspace::target().join("replay-rate");
    fs::create_dir_all(&directory)?;
    let file = |name: &str| directory.join(name);
    let records = file("capture.jsonl");
    println!("making captures of {} edges", arguments.edges);
    make(&records, arguments.edges)?;
    for (option, name) in [("--csv", "capture.csv"), ("--vcd", "capture.vcd")] {
        let output = format!("{option}={}", file(name).display());
        let mut made = Command::new(&linewake);
        made.arg("replay").arg(&records).args(["--fast", "-q", &output]).stderr(Stdio::null());
        if !made.status()?.success() {
            return Err(format!("\"linewake replay {output}\" failed").into());
        }
    }
    let mut captures = vec![records.clone(), file("capture.csv"), file("capture.vcd")];
    for (packer, words) in [("gzip", &["-kf"][..]), ("zstd", &["-qf"])] {
        for name in ["capture.jsonl", "capture.csv", "capture.vcd"] {
            let packed = Command::new(packer).args(words).arg(file(name)).status();
            match packed {
                Ok(status) if status.success() => {
                    captures.push(file(&format!("{name}.{}", if packer == "gzip" { "gz" } else { "zst" })));
                }
                _ => println!("\"{packer}\" is missing or failed: its format is left out"),
            }
        }
    }
    let mut is_slow = false;
    println!("{:<34} {:>14} {:>12}", "from", "edges/s", "peak");
    let mut measure = |name: &str, capture: &Path, words: &[String]| -> Result<(), Box<dyn Error>> {
        let (time, peak_kib) = play(&linewake, capture, words)?;
        let rate = f64::from(arguments.edges) / time.as_secs_f64();
        let peak = peak_kib.map_or_else(|| "?".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
        println!("{name:<34} {rate:>14.0} {peak:>12}");
        is_slow |= rate < AIM;
        Ok(())
    };
    for capture in &captures {
        let name = capture.file_name().unwrap_or_default().to_string_lossy();
        measure(&format!("{name}, to text"), capture, &[])?;
    }
    for option in ["--json", "--csv", "--vcd"] {
        let output = format!("{option}={}", file("output").display());
        measure(&format!("capture.jsonl, to {option}"), &records, &["-q".to_owned(), output])?;
    }
    fs::remove_dir_all(&directory)?;
    if is_slow {
        println!("\na rate is below {AIM} edges a second: if the machine was busy, measure again");
    }
    Ok(ExitCode::SUCCESS)
}

/// A record stream of four lines, as `linewake record` writes it.
fn make(path: &PathBuf, edges: u32) -> Result<(), Box<dyn Error>> {
    const LINES: [&str; 4] = ["door", "bell", "flow", "pps"];
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(
        out,
        r#"{{"record":"start","schema":4,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null,"chips":[]}}"#
    )?;
    for (offset, name) in LINES.iter().enumerate() {
        writeln!(out, r#"{{"record":"state","chip":"gpiochip0","offset":{offset},"name":"{name}","level":0}}"#)?;
    }
    let mut numbers = [0_u32; LINES.len()];
    let mut at_ns = 1_000_000_000_u64;
    for seqno in 1..=edges {
        let offset = (seqno / 3 + seqno) as usize % LINES.len();
        numbers[offset] += 1;
        let (name, number) = (LINES[offset], numbers[offset]);
        let kind = if number % 2 == 1 { "rising" } else { "falling" };
        // The time between two edges is never the same.
        at_ns += 2_000 + u64::from(seqno.wrapping_mul(2_654_435_761) % 99_991);
        writeln!(
            out,
            r#"{{"record":"edge","chip":"gpiochip0","offset":{offset},"name":"{name}","kind":"{kind}","timestamp_ns":{at_ns},"seqno":{seqno},"line_seqno":{number},"missed":{{"overflowed":0,"merged":0}}}}"#
        )?;
    }
    Ok(out.flush()?)
}

/// Plays a capture, on one processor if the system has `taskset`. Returns how long it took, and its peak memory in KiB.
fn play(linewake: &Path, capture: &Path, words: &[String]) -> Result<(Duration, Option<u64>), Box<dyn Error>> {
    let command = |program: &Path| {
        let mut command = Command::new(program);
        if program != linewake {
            command.args(["-c", "0"]).arg(linewake);
        }
        command.arg("replay").arg(capture).arg("--fast").args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let began = Instant::now();
    let mut child = command(Path::new("taskset")).spawn().or_else(|_| command(linewake).spawn())?;
    let mut peak_kib = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_kib = peak(&child).or(peak_kib);
        thread::sleep(Duration::from_millis(5));
    };
    let time = began.elapsed();
    if !status.success() {
        return Err(format!("\"linewake replay {} {}\" failed: {status}", capture.display(), words.join(" ")).into());
    }
    Ok((time, peak_kib))
}

fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}
