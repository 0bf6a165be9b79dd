//! `cargo xtask bench`: the programs in `benches/` beside each other, and what came of it in `benches/README.md`.
//!
//! The programs of a comparison are started once and take turns, a few milliseconds each, again and again: whatever
//! else the machine does, it does to all of them. Only the ratios of each round are kept. A slow machine is no failure;
//! a program that crashes, or loses a call and hangs, is one.

mod dotnet;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::command::CommandLine;
use crate::need::{self, Need, WINDOWS};
use crate::{driver, report, wine, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the sections with these letters; the README stays as it is
    #[arg(long, value_name = "LETTERS")]
    only: Option<String>,
}

/// Programs that take turns. Every one is measured against the first.
struct Comparison {
    section: char,
    title: &'static str,
    /// Its name in the program `turns`.
    name: &'static str,
    on: On,
    /// Names as `turns` knows them, and what to call them.
    programs: &'static [(&'static str, &'static str)],
    /// Calls in a turn are a multiple of this.
    multiple: u64,
    turn: Turn,
}

#[derive(Clone, Copy, PartialEq)]
enum On {
    Linux,
    Wine,
}

/// How long a turn takes, roughly, and how many there are.
#[derive(Clone, Copy)]
enum Turn {
    /// Shorter than a scheduler's slice, so that many turns are not interrupted.
    Short,
    /// For calls that go through other processes.
    Long,
    /// For many calls at once.
    Whole,
    /// For programs that a garbage collector interrupts.
    Second,
}

impl Turn {
    fn plan(self) -> (Duration, usize) {
        match self {
            Turn::Short => (Duration::from_millis(2), 151),
            Turn::Long => (Duration::from_millis(5), 151),
            Turn::Whole => (Duration::from_millis(5), 9),
            Turn::Second => (Duration::from_millis(100), 31),
        }
    }
}

const FILE: &[(&str, &str)] =
    &[("nt", "bare NtFsControlFile"), ("win32", "bare DeviceIoControl"), ("overlapped", "overlapped")];
const ONE_THREAD: &[(&str, &str)] = &[
    ("bare", "bare GetQueuedCompletionStatusEx loop"),
    ("overlapped-manual", "overlapped, manual port"),
    ("compio", "compio-driver 0.12"),
    ("windows-overlapped-io-sys", "windows-overlapped-io-sys 0.3"),
];
const TWO_THREADS: &[(&str, &str)] = &[
    ("bare-dispatcher", "bare GetQueuedCompletionStatusEx thread"),
    ("overlapped", "overlapped, default port"),
    ("blocking", "one blocking thread for each call"),
];
const MANY: &[(&str, &str)] = &[
    ("bare", "bare GetQueuedCompletionStatusEx loop"),
    ("overlapped-manual", "overlapped, manual port"),
    ("overlapped", "overlapped, default port"),
    ("compio", "compio-driver 0.12"),
];
const SIM: &[(&str, &str)] =
    &[("oneshot", "by hand: a queue of tokio oneshot senders"), ("overlapped", "overlapped, manual port")];
const SIM_THREADS: &[(&str, &str)] = &[
    ("oneshot", "by hand: a queue of tokio oneshot senders"),
    ("overlapped-manual", "overlapped, manual port"),
    ("overlapped", "overlapped, default port"),
];
const PIPES: &[(&str, &str)] = &[
    ("epoll", "bare epoll loop"),
    ("overlapped", "overlapped, standing reads with a callback, manual port"),
    ("overlapped-awaited", "overlapped, standing reads awaited by tokio tasks, default port"),
    ("overlapped-in-its-loop", "overlapped, awaited by tokio tasks, port in tokio's own loop (AsyncFd)"),
    ("tokio", "tokio AsyncFd, a task each"),
];

const HAND_OVER: &[(&str, &str)] = &[("turns", "turns"), ("several", "several in the queue")];

const CALLED_BACK: &[(&str, &str)] =
    &[(DOTNET, ".NET Core 3.1, ThreadPoolBoundHandle"), ("overlapped", "overlapped, default port")];
/// Not a program of `turns`.
const DOTNET: &str = "dotnet";

macro_rules! comparisons {
    ($($section:literal $name:literal $title:literal $on:ident $turn:ident $multiple:literal $programs:ident;)*) => {
        &[$(Comparison {
            section: $section, name: $name, title: $title, on: On::$on, turn: Turn::$turn, multiple: $multiple,
            programs: $programs,
        }),*]
    };
}

const COMPARISONS: &[Comparison] = comparisons! {
    'a' "file-default" "FSCTL_SET_SPARSE, default mode" Wine Short 1 FILE;
    'a' "file-skip" "FSCTL_SET_SPARSE, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS" Wine Short 1 FILE;
    'b' "transceive" "FSCTL_PIPE_TRANSCEIVE and the answer, one thread" Wine Long 1 ONE_THREAD;
    'b' "transceive" "FSCTL_PIPE_TRANSCEIVE and the answer, completions on another thread" Wine Long 1 TWO_THREADS;
    'b' "listen" "FSCTL_PIPE_LISTEN and its cancellation, one thread" Wine Long 1 ONE_THREAD;
    'b' "listen" "FSCTL_PIPE_LISTEN and its cancellation, completions on another thread" Wine Long 1 TWO_THREADS;
    'c' "driver" "a wait in linewake.sys and the call that ends it, one thread" Wine Long 1 ONE_THREAD;
    'c' "driver" "a wait in linewake.sys and the call that ends it, completions on another thread" Wine Long 1 TWO_THREADS;
    'd' "sim-1" "submit, complete, take: one call at a time" Linux Short 1 SIM;
    'd' "sim-64" "submit, complete, take: 64 calls at a time" Linux Short 64 SIM;
    'd' "sim-threads-1" "completed by another thread: one call at a time" Linux Long 1 SIM_THREADS;
    'd' "sim-threads-64" "completed by another thread: 64 calls at a time" Linux Long 64 SIM_THREADS;
    'e' "driver:1" "1 wait pending in linewake.sys, and the call that ends it" Wine Long 1 MANY;
    'e' "driver:100" "100 waits pending in linewake.sys, and the call that ends them" Wine Long 100 MANY;
    'e' "driver:10000" "10,000 waits pending in linewake.sys, and the call that ends them" Wine Whole 10000 MANY;
    'g' "pipes:1" "a message from 1 pipe" Linux Short 1 PIPES;
    'g' "pipes:100" "a message from each of 100 pipes" Linux Short 100 PIPES;
    'g' "pipes:10000" "a message from each of 10,000 pipes" Linux Long 10000 PIPES;
    'i' "hand-over:1" "1 thread waits, epoll" Linux Long 1 HAND_OVER;
    'i' "hand-over:2" "2 threads wait, epoll" Linux Long 1 HAND_OVER;
    'i' "hand-over:8" "8 threads wait, epoll" Linux Long 1 HAND_OVER;
    'i' "hand-over:1" "1 thread waits, a completion port under Wine" Wine Long 1 HAND_OVER;
    'i' "hand-over:2" "2 threads wait, a completion port under Wine" Wine Long 1 HAND_OVER;
    'i' "hand-over:8" "8 threads wait, a completion port under Wine" Wine Long 1 HAND_OVER;
    'j' "callback" "FSCTL_PIPE_LISTEN and its cancellation, called back" Wine Second 1 CALLED_BACK;
};

/// What each section is about and what we aim at.
const SECTIONS: &[(char, &str, &str)] = &[
    ('a', "A call that ends at once", "Under Wine, on a file: the cheapest call there is. Aim: 0.85 of bare Nt."),
    (
        'b',
        "Calls that pend in a pipe",
        "Under Wine. Aim: 0.97 of the bare loop, ahead of every peer, and 0.95 of one blocking thread for each call.",
    ),
    ('c', "Calls that pend in a driver", "Under Wine, with linewake.sys. Aim: as (b)."),
    (
        'd',
        "A simulated device",
        "The cost of the crate alone, without a system. A oneshot channel is the cheapest way to carry a result from \
         one place to another. Aim: 100 ns on a manual port, and 80 ns with 64 calls at a time. On the default port, \
         with completions by another thread: 0.9 of the channel.",
    ),
    (
        'e',
        "Many calls pending",
        "Aim: no further thread, at most 192 bytes of memory for each pending small call, and the same cost for each \
         call, however many are pending.",
    ),
    (
        'f',
        "Allocations",
        "For each call on a simulated device, after a hundred calls that allocate what later ones use again. Aim: \
         none, and one with a callback.",
    ),
    (
        'g',
        "Pipes on Linux",
        "One message is written to every pipe; the time is that of reading them all. Aim: with a callback, 0.8 of \
         the bare epoll loop; awaited by tasks, as fast as tokio's AsyncFd.",
    ),
    (
        'h',
        "Instructions",
        "The instructions of one call in this process, without the kernel's, counted by Callgrind. They are the same \
         on every run, whatever else the machine does. Those of a message include its write.",
    ),
    (
        'i',
        "Threads that wait at one queue",
        "Bare system calls: each thread waits for a packet of its own, and one packet comes at a time. With turns, \
         one thread waits in the queue, and wakes the thread whose packet has come. Without turns, all threads wait \
         in the queue, and pass on packets that are not theirs.",
    ),
    (
        'j',
        "Beside .NET",
        "Under Wine. A callback passes the result to the thread that waits: with a TaskCompletionSource for each \
         call in .NET, and with a channel for each call on overlapped's default port. Aim: 1.2 of .NET.",
    ),
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    if !cfg!(target_os = "linux") {
        return Err("the comparisons need Linux and Wine".into());
    }
    need::provide(&[Need::Wine, Need::Mingw, Need::Valgrind])?;
    for command in [build(None), build(Some(WINDOWS)), driver::build_command()] {
        command.run()?;
    }
    let sys = driver::install()?;
    let wanted = |section: char| arguments.only.as_ref().is_none_or(|letters| letters.contains(section));
    let session = wine::Session::begin()?;
    let mut text = machine();
    print!("\n{text}");
    let mut service = None;
    for (letter, title, about) in SECTIONS.iter().filter(|(letter, ..)| wanted(*letter)) {
        let mut section = format!("\n## ({letter}) {title}\n\n{about}\n");
        match letter {
            'e' => section.push_str(&pending()?),
            'f' => section.push_str(&allocations()?),
            'h' => section.push_str(&instructions()?),
            _ => {}
        }
        print!("{section}");
        text.push_str(&section);
        for comparison in COMPARISONS.iter().filter(|comparison| comparison.section == *letter) {
            if comparison.name.starts_with("driver") && service.is_none() {
                let mut command = program(On::Wine, "driver");
                command.env("LINEWAKE_SYS", wine::windows_path(&sys));
                service = Some(Player::start("linewake.sys", command)?);
            }
            let table = compare(comparison)?;
            print!("{table}");
            text.push_str(&table);
        }
    }
    service.into_iter().try_for_each(Player::end)?;
    drop(session);
    if arguments.only.is_none() {
        report::write_figures("benches/README.md", "cargo xtask bench", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The benches are a package of their own, with their own lock and directory. A peer names a newer compiler than it
/// needs.
fn build(target: Option<&str>) -> CommandLine {
    let directory = workspace::shown(&workspace::target().join("benches"));
    let build = CommandLine::new("cargo build --release --locked --ignore-rust-version")
        .args("--manifest-path benches/Cargo.toml --target-dir")
        .arg(directory);
    target.into_iter().fold(build, |build, target| build.args("--target").args(target))
}

fn program(on: On, name: &str) -> Command {
    let directory = workspace::target().join("benches");
    let mut command = match on {
        On::Linux => Command::new(directory.join("release").join(name)),
        On::Wine => {
            let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
            command.args(["wine", "--"]).arg(directory.join(WINDOWS).join("release").join(format!("{name}.exe")));
            command
        }
    };
    command.env("RUST_BACKTRACE", "0");
    command
}

/// A program that takes turns.
struct Player {
    name: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

/// Longer than any turn takes: a program that has not answered by then has lost a call.
const LOST: Duration = Duration::from_secs(120);

impl Player {
    fn start(name: &str, mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (line, output) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|text| line.send(text)));
        let player = Self { name: name.to_owned(), child, input, output };
        match player.answer()?.as_str() {
            "ready" => Ok(player),
            other => Err(format!("{name} said \"{other}\"").into()),
        }
    }

    fn answer(&self) -> Result<String, Box<dyn Error>> {
        let what = "crashed, or lost a call and does not answer";
        self.output.recv_timeout(LOST).map_err(|_| format!("{}: it {what}", self.name).into())
    }

    /// Makes this many calls, and says how long they took.
    fn turn(&mut self, calls: u64) -> Result<Duration, Box<dyn Error>> {
        writeln!(self.input, "{calls}").map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Duration::from_nanos(self.answer()?.trim().parse()?))
    }

    fn end(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.input);
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("{}: {status}", self.name).into()) }
    }
}

/// Gives turns, and makes a table.
fn compare(comparison: &Comparison) -> Result<String, Box<dyn Error>> {
    let mut players = Vec::new();
    for (name, called) in comparison.programs {
        let command = if *name == DOTNET {
            dotnet::program()?
        } else {
            let mut command = program(comparison.on, "turns");
            command.args([comparison.name, name]);
            command
        };
        players.push(Player::start(called, command)?);
    }
    let (turn, rounds) = comparison.turn.plan();
    // All make as many calls as the first one makes in a turn.
    let mut calls = comparison.multiple;
    loop {
        let mut slowest = Duration::ZERO;
        for player in &mut players {
            slowest = slowest.max(player.turn(calls)?);
        }
        if slowest >= turn || calls >= 1 << 24 {
            break;
        }
        calls *= 2;
    }
    let mut times = vec![Vec::with_capacity(rounds); players.len()];
    for round in 0..rounds {
        for place in 0..players.len() {
            // No program always follows the same one.
            let player = (place + round) % players.len();
            times[player].push(players[player].turn(calls)?.as_nanos() as f64 / calls as f64);
        }
    }
    players.into_iter().try_for_each(Player::end)?;

    let first = comparison.programs[0].1;
    let mut table = format!("\n**{}**\n\n| program | a call | ratio | half of the rounds |\n", comparison.title);
    table.push_str("|---|--:|--:|--:|\n");
    for ((_, called), own) in comparison.programs.iter().zip(&times) {
        let mut ratios: Vec<f64> = times[0].iter().zip(own).map(|(first, own)| first / own).collect();
        let [low, middle, high] = quartiles(&mut ratios);
        let time = nanoseconds(quartiles(&mut own.clone())[1]);
        if *called == first {
            writeln!(table, "| {called} | {time} | 1 | |")?;
        } else {
            writeln!(table, "| {called} | {time} | **{middle:.2}** | {low:.2} – {high:.2} |")?;
        }
    }
    Ok(table)
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

fn nanoseconds(value: f64) -> String {
    match value {
        ..1e3 => format!("{value:.0} ns"),
        ..1e5 => format!("{:.1} µs", value / 1e3),
        ..1e6 => format!("{:.0} µs", value / 1e3),
        _ => format!("{:.1} ms", value / 1e6),
    }
}

/// The lines of a counting program: names and numbers.
fn counts(arguments: &[&str]) -> Result<Vec<(String, f64)>, Box<dyn Error>> {
    let output = program(On::Linux, "counts").args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("counts {}: {}", arguments.join(" "), output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    let pair = |line: &str| line.rsplit_once('\t').map(|(name, number)| (name.to_owned(), number.to_owned()));
    lines.lines().filter_map(pair).map(|(name, number)| Ok((name, number.parse()?))).collect()
}

fn pending() -> Result<String, Box<dyn Error>> {
    let mut table = String::from(
        "\n**On a simulated device, manual port**\n\n\
         | pending | threads more | bytes for each | submit | drain | slots made |\n|--:|--:|--:|--:|--:|--:|\n",
    );
    for count in [1, 100, 10_000, 1_000_000] {
        let counts = counts(&["pending", &count.to_string()])?;
        let value = |wanted: &str| counts.iter().find(|(name, _)| name == wanted).map_or(f64::NAN, |(_, value)| *value);
        // One call needs the first chunk, which is for the next calls too.
        let bytes = value("bytes") / value("slots").min(f64::from(count).max(8.0)) + value("call");
        writeln!(
            table,
            "| {count} | {} | {bytes:.0} | {} | {} | {} |",
            value("threads"),
            nanoseconds(value("submit")),
            nanoseconds(value("drain")),
            value("slots"),
        )?;
    }
    table.push_str(
        "\nBytes: the memory of the slots and of the list of free ones, divided by the number of pending calls, plus \
         the `Call` that the caller holds; for a single call, one of the first eight slots. Slots are allocated in \
         chunks and kept. Behind each chunk are 4 KiB that catch a driver's overrun; with few calls they are most of \
         the bytes. Drain: the time to handle the packets and take each result.\n",
    );
    Ok(table)
}

fn allocations() -> Result<String, Box<dyn Error>> {
    let mut table = String::from("\n| call | allocations |\n|---|--:|\n");
    for (name, allocations) in counts(&["allocations"])? {
        writeln!(table, "| {name} | {allocations} |")?;
    }
    Ok(table)
}

fn instructions() -> Result<String, Box<dyn Error>> {
    // Whole rounds of 64 and of 100.
    const CALLS: u32 = 6400;
    let mut table = String::from("\n| program | instructions | again |\n|---|--:|--:|\n");
    let programs = [
        ("sim-at-once", "overlapped", "a call that the driver ends at once"),
        ("sim-1", "overlapped", "submit, complete, take: one call at a time"),
        ("sim-64", "overlapped", "submit, complete, take: 64 calls at a time"),
        ("sim-1", "oneshot", "by hand: a queue of tokio oneshot senders"),
        ("pipes:100", "overlapped", "a message from each of 100 pipes: standing reads with a callback"),
        ("pipes:100", "tokio", "a message from each of 100 pipes: tokio AsyncFd"),
        ("pipes:100", "epoll", "a message from each of 100 pipes: bare epoll loop"),
    ];
    for (comparison, name, called) in programs {
        let count = || -> Result<f64, Box<dyn Error>> {
            let turns = workspace::target().join("benches/release/turns");
            let command = CommandLine::new("valgrind --tool=callgrind --callgrind-out-file=/dev/null")
                .args("--toggle-collect=measured")
                .arg(turns.display().to_string())
                .args(comparison)
                .args(name)
                .arg(CALLS.to_string());
            let output = command.command().stdin(Stdio::null()).output()?;
            let report = String::from_utf8_lossy(&output.stderr).into_owned();
            let collected = report.lines().find_map(|line| line.split_once("Collected : "));
            let Some((_, collected)) = collected.filter(|_| output.status.success()) else {
                return Err(format!("this command failed: {command}\n{report}").into());
            };
            Ok(collected.trim().parse::<f64>()? / f64::from(CALLS))
        };
        writeln!(table, "| {called} | {:.1} | {:.1} |", count()?, count()?)?;
    }
    Ok(table)
}

/// The machine that it was measured on.
fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let read = |line: &str| CommandLine::new(line).read().unwrap_or_default().trim().to_owned();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} × {}, Linux {}, {}, {}. Load when it began: {}.\n",
        thread::available_parallelism().map_or(1, usize::from),
        model.trim_start_matches(|c: char| c == ':' || c.is_whitespace()),
        read("uname -r").split('-').next().unwrap_or_default(),
        wine::programs().and_then(|programs| programs.version()).unwrap_or_default(),
        read("rustc --version"),
        load.split(' ').next().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_any_order() {
        assert_eq!(quartiles(&mut [5.0, 1.0, 4.0, 2.0, 3.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(&mut [7.0]), [7.0; 3]);
    }

    #[test]
    fn every_comparison_has_a_section() {
        for comparison in COMPARISONS {
            assert!(SECTIONS.iter().any(|(letter, ..)| *letter == comparison.section), "{}", comparison.title);
        }
    }
}
