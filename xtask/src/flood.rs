//! `cargo xtask flood`: gives linewake, gpiomon and gpiocdev the same flood of edges, in the virtual machine, and
//! compares how many each loses. `docs/flood.md` has the results.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::command::CommandLine;
use crate::stage::STATIC;
use crate::{report, vm, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many edges a flood has
    #[arg(long, default_value_t = 40_000)]
    edges: u32,
    /// Run only the readers whose names contain this
    #[arg(long, value_name = "NAME", conflicts_with = "write")]
    only: Option<String>,
    /// Run only with this number of processors
    #[arg(long, value_name = "1|2", conflicts_with = "write")]
    cpus: Option<u8>,
    /// Write the tables to docs/flood.md
    #[arg(long)]
    write: bool,
}

const GPIOCDEV: &str = "0.6.0";
/// How many lines a second a slow consumer reads.
const SLOW: u64 = 5000;
/// A program that reads edges. In its command, `CHIP` and `LINES` are replaced by the chip and its lines.
struct Reader {
    name: &'static str,
    command: &'static str,
    lines: u32,
    /// It prints edges, so a slow consumer can delay it.
    prints: bool,
}

const fn prints(name: &'static str, command: &'static str) -> Reader {
    Reader { name, command, lines: 8, prints: true }
}

const fn takes(name: &'static str, lines: u32, command: &'static str) -> Reader {
    Reader { name, command, lines, prints: false }
}

/// The others are compared with the first.
const READERS: &[Reader] = &[
    prints("gpiomon", "gpiomon -c CHIP LINES"),
    prints("gpiocdev edges", "./gpiocdev edges -c CHIP LINES"),
    prints("gpiocdev edges --json", "./gpiocdev edges --json -c CHIP LINES"),
    prints("linewake mon", "./linewake mon -c CHIP LINES"),
    prints("linewake mon --json", "./linewake mon --json -c CHIP LINES"),
    takes("bare epoll and read, 8 lines", 8, "./flood bare CHIP LINES"),
    takes("the library, 8 lines", 8, "./flood watch --queue 1024 CHIP LINES"),
    takes("the library, 8 lines, gathering", 8, "./flood watch --queue 1024 --gather 4000 CHIP LINES"),
    takes("the library, one line", 1, "./flood watch --queue 1024 CHIP LINES"),
    takes("the library, one line and a witness", 1, "./flood watch --queue 1024 --witness CHIP LINES"),
];

/// `cargo xtask flood`
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    vm::provide()?;
    let directory = workspace::target().join("flood");
    fs::create_dir_all(&directory)?;
    let files = build(&directory)?;
    let kernel = vm::prepare()?;

    let mut text = format!("{} edges, on Linux {kernel}.\n", arguments.edges);
    let machines: [(u8, &str, &[&str]); 2] = [
        (1, "One processor, whose time is that of its instructions", &["--steady"]),
        (2, "Two processors", &["--cpus", "2"]),
    ];
    for (cpus, title, options) in machines {
        if arguments.cpus.is_some_and(|only| only != cpus) {
            continue;
        }
        let results = in_the_guest(arguments, &directory, &files, options)?;
        let table = format!("\n## {title}\n\n{}", table(&results));
        print!("{table}");
        text.push_str(&table);
    }
    if arguments.write {
        report::write_figures("docs/flood.md", "cargo xtask flood --write", &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the programs for the guest: ours, and gpiocdev, which no package has.
fn build(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let shown = |path: &Path| workspace::shown(path);
    // The profile of releases: see `cargo xtask dist`.
    let ours = CommandLine::new("cargo build --profile dist -p linewake-cli -p flood --target").args(STATIC);
    let peer = CommandLine::new("cargo install gpiocdev-cli --quiet --locked --version")
        .args(GPIOCDEV)
        .args("--target")
        .args(STATIC)
        .args("--root")
        .arg(shown(&directory.join("gpiocdev")))
        .args("--target-dir")
        .arg(shown(&directory.join("build")));
    for command in [ours, peer] {
        command.run()?;
    }
    let ours = workspace::target().join(STATIC).join("dist");
    Ok(vec![ours.join("flood"), ours.join("linewake"), directory.join("gpiocdev/bin/gpiocdev")])
}

/// Runs one flood after another in the guest. Returns their results.
fn in_the_guest(
    arguments: &Arguments,
    directory: &Path,
    files: &[PathBuf],
    options: &[&str],
) -> Result<Vec<Figures>, Box<dyn Error>> {
    let mut script = String::from("#!/bin/sh\nset -e\n");
    let wanted = |reader: &&Reader| arguments.only.as_ref().is_none_or(|only| reader.name.contains(only.as_str()));
    for slow in [0, SLOW] {
        for reader in READERS.iter().filter(wanted).filter(|reader| reader.prints || slow == 0) {
            let Reader { name, command, lines, .. } = reader;
            let edges = arguments.edges;
            writeln!(
                script,
                "./flood run --name '{name}' --lines {lines} --edges {edges} --slow {slow} {command} >>/results/figures"
            )?;
        }
    }
    let path = directory.join("floods");
    fs::write(&path, script)?;
    let out = directory.join("results");
    workspace::emptied(&out)?;
    let mut command = CommandLine::new("").arg(std::env::current_exe()?.to_string_lossy()).args("vm run --out");
    command = command.arg(out.display().to_string());
    for option in options {
        command = command.args(option);
    }
    for file in files {
        command = command.args("--file").arg(file.display().to_string());
    }
    command.args("--").arg(path.display().to_string()).run()?;
    let figures = fs::read_to_string(out.join("figures"))?;
    Ok(figures.lines().map(Figures::read).collect())
}

/// The result of one flood, as the program in the guest prints it: a name, and named numbers.
struct Figures {
    name: String,
    numbers: HashMap<String, u64>,
}

impl Figures {
    fn read(line: &str) -> Self {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default().to_owned();
        let number = |field: &str| {
            let (name, number) = field.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        Self { name, numbers: fields.filter_map(number).collect() }
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }

    fn an_edge(&self, name: &str) -> f64 {
        self.number(name) as f64 / self.number("delivered").max(1) as f64
    }

    /// How many edges happened and were neither delivered nor reported as lost.
    fn unknown(&self) -> i64 {
        let accounted: u64 =
            ["delivered", "overflowed", "merged", "discarded"].iter().map(|name| self.number(name)).sum();
        self.number("driven") as i64 - accounted as i64
    }
}

fn table(results: &[Figures]) -> String {
    let mut text = String::from(
        "| reader | output is read | edges/s | delivered | overflowed | merged | of these unattributed | unknown | CPU \
         | CPU an edge | beside gpiomon | threads | wake-ups an edge |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for figures in results {
        let number = |name| figures.number(name);
        let peer = results.iter().find(|peer| peer.name == READERS[0].name && peer.number("slow") == number("slow"));
        let ratio =
            peer.filter(|_| number("lines") == 8).map(|peer| figures.an_edge("cpu_ns") / peer.an_edge("cpu_ns"));
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {} | {} | {} | {} | {} | {:.3} s | {:.1} µs | {} | {} | {:.2} |",
            figures.name,
            match number("slow") {
                0 => "as it comes".to_owned(),
                slow => format!("{slow} lines/s"),
            },
            number("driven") as f64 * 1e9 / number("took_ns").max(1) as f64,
            number("delivered"),
            number("overflowed"),
            number("merged"),
            figures.numbers.get("unattributed").map(u64::to_string).unwrap_or_default(),
            figures.unknown(),
            number("cpu_ns") as f64 / 1e9,
            figures.an_edge("cpu_ns") / 1e3,
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            number("threads"),
            figures.an_edge("sleeps"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_edges_are_neither_delivered_nor_reported_lost() {
        let figures = Figures::read("a reader\tdriven=100\tdelivered=60\toverflowed=20\tmerged=5\tdiscarded=1");
        assert_eq!((figures.name.as_str(), figures.unknown()), ("a reader", 14));
    }
}
