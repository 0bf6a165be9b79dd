//! Measures the resources that a tool uses from its start to its end or its first byte of output: libgpiod's tools and
//! ours in turn, on the same chip.
//!
//! If the machine's clock counts instructions, the nanoseconds on the processor are instructions. The kernel's work for
//! the process counts too.

use std::error::Error;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::usage::Usage;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each tool is started
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// The command `linewake`
    linewake: PathBuf,
}

/// The tools with their arguments, and whether each ends by itself.
const RUNS: &[(&str, &[&str], bool)] = &[
    ("gpiomon", &["--banner", "-c", "CHIP", "0"], false),
    ("gpionotify", &["--banner", "-c", "CHIP", "0"], false),
    ("gpioset", &["--banner", "-c", "CHIP", "0=1"], false),
    ("gpioget", &["-c", "CHIP", "0"], true),
    ("gpioinfo", &["-c", "CHIP"], true),
    ("gpioget", &["door"], true),
    ("gpiodetect", &[], true),
];

/// The resources that one start used.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    cpu_ns: u64,
    threads: u64,
    /// The most memory that it had; 0 if it has ended.
    memory_kib: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut bank = gpiosim::Bank::new(8, "start-up");
    bank.name(0, "door");
    let sim = gpiosim::builder().with_bank(&bank).with_name("start-up").live()?;
    let chip = &sim.chips()[0].chip_name;
    let links = Path::new("/tmp/start-up");
    fs::create_dir_all(links)?;
    let made = Command::new(&arguments.linewake).arg("links").arg(links).stdout(Stdio::null()).status()?;
    if !made.success() {
        return Err("\"linewake links\" failed".into());
    }
    for (tool, words, ends) in RUNS {
        let words: Vec<_> = words.iter().map(|word| if *word == "CHIP" { chip } else { *word }).collect();
        let mut all = [Path::new("/bin"), links].map(|place| (place, Vec::new()));
        for _ in 0..arguments.rounds {
            for (place, taken) in &mut all {
                taken.push(start(Command::new(place.join(tool)).args(&words), *ends)?);
            }
        }
        print!("{tool} {}", words.join(" "));
        for ((_, mut taken), whose) in all.into_iter().zip(["their", "our"]) {
            taken.sort_unstable_by_key(|took| took.cpu_ns);
            let Took { cpu_ns, threads, memory_kib } = taken[taken.len() / 2];
            print!("\t{whose}_ns={cpu_ns}\t{whose}_threads={threads}\t{whose}_kib={memory_kib}");
        }
        println!();
    }
    Ok(())
}

fn start(command: &mut Command, ends: bool) -> Result<Took, Box<dyn Error>> {
    let before = children()?;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().ok_or("it is piped")?;
    if ends {
        out.read_to_end(&mut Vec::new())?;
        if !child.wait()?.success() {
            return Err(format!("{command:?} failed").into());
        }
        return Ok(Took { cpu_ns: children()? - before, ..Took::default() });
    }
    out.read_exact(&mut [0])?;
    let took = at_rest(&child)?;
    child.kill()?;
    child.wait()?;
    Ok(took)
}

/// The processor time of all child processes that have ended.
fn children() -> Result<u64, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let ns = |time: nix::sys::time::TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()) as u64 * 1000;
    Ok(ns(usage.user_time()) + ns(usage.system_time()))
}

/// Waits until the process sleeps. Returns the resources that it has used.
fn at_rest(child: &Child) -> Result<Took, Box<dyn Error>> {
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("State:").is_some_and(|state| state.starts_with('S')) {
            let usage = Usage::of(child.id())?;
            let memory = field("VmHWM:").and_then(|field| field.split(' ').next()?.parse().ok());
            return Ok(Took { cpu_ns: usage.cpu_ns, threads: usage.threads, memory_kib: memory.unwrap_or(0) });
        }
        thread::sleep(Duration::from_millis(1));
    }
}
