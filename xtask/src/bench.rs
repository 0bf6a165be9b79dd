//! `cargo xtask bench`: compares the programs in `benches/`, and writes the results to `benches/README.md`.
//!
//! The programs of a comparison start once. Then they take turns of a few milliseconds, many times, so that other load
//! on the machine affects all of them. The results are the ratios of each round. A slow machine is no failure; a
//! program that crashes, or loses a call and hangs, is a failure.

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
use crate::need::{self, Need};
use crate::workspace::WINDOWS;
use crate::{driver, report, wine, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the sections with these letters; then the README is not written
    #[arg(long, value_name = "LETTERS")]
    only: Option<String>,
}

/// Programs that take turns. Each is compared with the first.
struct Comparison {
    section: char,
    title: &'static str,
    /// The name of the comparison in the program `turns`.
    name: &'static str,
    on: On,
    /// For each program, its name in `turns`, and its name in the table.
    programs: &'static [(&'static str, &'static str)],
    /// The number of calls in a turn is a multiple of this.
    multiple: u64,
    turn: Turn,
}

#[derive(Clone, Copy, PartialEq)]
enum On {
    Linux,
    Wine,
}

/// About how long a turn takes, and how many turns there are.
#[derive(Clone, Copy)]
enum Turn {
    /// Shorter than a time slice of the scheduler, so that many turns are not interrupted.
    Short,
    /// For calls that go through other processes.
    Long,
    /// For calls of which many are pending at once.
    Whole,
    /// For programs with a garbage collector, which interrupts them.
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
/// The .NET program, which is not one of `turns`.
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

/// For each section its letter, its title, and a text that describes it and gives the aim.
const SECTIONS: &[(char, &str, &str)] = &[
    ('a', "A call that ends at once", "Under Wine, on a file. No call is cheaper. Aim: 0.85 of bare NtFsControlFile."),
    (
        'b',
        "Calls that pend in a pipe",
        "Under Wine. Aims: 0.97 of the bare loop; faster than every other crate; 0.95 of a blocking thread for each call.",
    ),
    ('c', "Calls that pend in a driver", "Under Wine, with linewake.sys. The aims are those of (b)."),
    (
        'd',
        "A simulated device",
        "The cost of a call when the system below costs nothing. A oneshot channel is the cheapest way to hand over a \
         result. Aims: 100 ns for a call on a manual port, and 80 ns with 64 calls at a time; if another thread \
         completes the calls, the default port reaches 0.9 of the manual port.",
    ),
    (
        'e',
        "Many calls pending",
        "Aims: no additional thread; at most 192 bytes of overlapped's memory for each small call that is pending; the \
         same cost for a call, however many are pending.",
    ),
    (
        'f',
        "Allocations",
        "The allocations for one call on a simulated device, after a hundred calls that allocate room. Aims: none for \
         a call, and one for a callback.",
    ),
    (
        'g',
        "Pipes on Linux",
        "One message is written to every pipe. The time is that of reading all messages. Aims: 0.8 of the bare epoll \
         loop with a callback; as fast as tokio's AsyncFd if tasks await the messages.",
    ),
    (
        'h',
        "Instructions",
        "Callgrind counts the instructions of one call in this process, without those of the kernel. Other load on the \
         machine does not change the count. The instructions of a message include its write.",
    ),
    (
        'i',
        "Threads that wait at one queue",
        "Bare system calls. Each thread waits for its own packet, and one packet comes at a time. With turns, one \
         thread at a time is in the queue, and wakes the thread whose packet comes. Otherwise all threads are in the \
         queue, and pass on the packets of other threads.",
    ),
    (
        'j',
        "Beside .NET",
        "Under Wine. A callback on the default port tells the waiting thread that a call is over. For that, a call \
         has a TaskCompletionSource in .NET, and a channel here. Aim: 1.2 of .NET.",
    ),
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    if !cfg!(target_os = "linux") {
        return Err("\"cargo xtask bench\" needs Linux and Wine".into());
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

/// Builds the benches, a package with a lock file and a target directory of its own. One of the compared crates asks
/// for a newer compiler than it needs.
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

/// No turn takes as long: a program that has not answered by then has lost a call.
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
            other => Err(format!("{name}: expected \"ready\", found \"{other}\"").into()),
        }
    }

    fn answer(&self) -> Result<String, Box<dyn Error>> {
        let what = "no answer: the program crashed, or lost a call and hangs";
        self.output.recv_timeout(LOST).map_err(|_| format!("{}: {what}", self.name).into())
    }

    /// Has the program make this many calls. Returns how long they took.
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

/// Runs a comparison, and returns its table.
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
    // All make the same number of calls: so many that the slowest needs the time of a turn.
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
            // The order changes, so that no program always follows the same other one.
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

/// The output of the program `counts`: names and numbers.
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
        // A single call needs the first chunk of slots, which serves seven further calls.
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
        "\nBytes: the memory of the slots and of the list of free slots, divided by the number of pending calls, and \
         the caller's `Call`. A single call counts one of the first eight slots. Slots are allocated in chunks, and \
         kept. Each chunk ends with 4 KiB that a driver's overrun would hit; with few calls they are most of the \
         bytes. Drain: the packets are handled, and each result is taken.\n",
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
    // A multiple of 64 and of 100.
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

/// Describes this machine.
fn machine() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let read = |line: &str| CommandLine::new(line).read().unwrap_or_default().trim().to_owned();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} × {}, Linux {}, {}, {}. Load at the start: {}.\n",
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
