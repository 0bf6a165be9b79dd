//! On the kernel's gpio-sim in the virtual machine: what the command writes of a watch in which the time of day is set,
//! of one of 200 lines, and of one whose chip is unplugged. Every edge is in every place it is written to, and is
//! replayed.
#![cfg(all(target_os = "linux", not(miri)))]

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gpiosim::{Bank, Level, Sim};
use serde_json::Value;
use test_support::time_of_day;

/// Where `linewake` is in the guest: `cargo xtask test` puts it there.
const LINEWAKE: &str = "/test/linewake";

/// One test at a time, because the machine has one time of day.
fn one() -> Option<MutexGuard<'static, ()>> {
    static ONE: Mutex<()> = Mutex::new(());
    if std::env::var_os("LINEWAKE_VM").is_none() {
        println!("skipped: LINEWAKE_VM is not set (`cargo xtask test --only vm` sets it, where there is gpio-sim)");
        return None;
    }
    Some(ONE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn chip(name: &str, lines: u32) -> Sim {
    gpiosim::builder().with_name(name).with_bank(Bank::new(lines, name).name(0, "door")).live().unwrap()
}

/// A watch with all outputs.
struct Watch {
    child: Child,
    directory: String,
}

const FILES: [&str; 3] = ["w.jsonl", "w.csv", "w.vcd"];

impl Watch {
    fn begin(name: &str, arguments: &[&str]) -> Self {
        let directory = format!("/tmp/sinks-{name}");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let mut command = Command::new(LINEWAKE);
        command.args(["mon", "--banner", "--json=w.jsonl", "--csv=w.csv", "--vcd", "w.vcd"]).args(arguments);
        command.stdin(Stdio::null()).current_dir(&directory);
        command.stdout(fs::File::create(format!("{directory}/out")).unwrap());
        command.stderr(fs::File::create(format!("{directory}/err")).unwrap());
        let child = command.spawn().unwrap();
        let watch = Self { child, directory };
        watch.until("out", "Monitoring");
        watch
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(format!("{}/{name}", self.directory)).unwrap()
    }

    fn until(&self, name: &str, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.text(name).contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {:?} {:?}", self.text(name), self.text("err"));
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end, and returns the exit code.
    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    fn stop(&mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.end()
    }

    /// Number of edges in each output, and in a replay of each file.
    fn edges(&self) -> Vec<(String, usize)> {
        let is_edge = |line: &&str| line.contains("\trising\t") || line.contains("\tfalling\t");
        let mut found = vec![("text".to_owned(), self.text("out").lines().filter(is_edge).count())];
        let json = self.text("w.jsonl");
        found.push(("json".into(), json.lines().filter(|line| line.contains(r#""record":"edge""#)).count()));
        let csv = self.text("w.csv");
        let is_edge = |line: &&str| line.contains(",rising,") || line.contains(",falling,");
        found.push(("csv".into(), csv.lines().filter(is_edge).count()));
        for file in FILES {
            let output = self.replay(file, &["--fast"]);
            assert_eq!(output.status.code(), Some(0), "{file}: {output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            let is_edge = |line: &&str| line.contains("\trising\t") || line.contains("\tfalling\t");
            found.push((format!("replay of {file}"), text.lines().filter(is_edge).count()));
        }
        found
    }

    fn replay(&self, file: &str, arguments: &[&str]) -> Output {
        let path = format!("{}/{file}", self.directory);
        Command::new(LINEWAKE).arg("replay").args(arguments).arg(path).stdin(Stdio::null()).output().unwrap()
    }

    /// The last time of the waveform, in nanoseconds.
    fn length_ns(&self) -> u64 {
        let vcd = self.text("w.vcd");
        let last = vcd.lines().filter_map(|line| line.strip_prefix('#')?.parse().ok()).next_back();
        last.unwrap()
    }

    fn records(&self, kind: &str) -> Vec<Value> {
        let json = self.text("w.jsonl");
        let records = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["record"] == kind).collect()
    }
}

fn assert_everywhere(watch: &Watch, count: usize) {
    let found = watch.edges();
    assert!(found.iter().all(|(_, edges)| *edges == count), "not {count}: {found:?} {}", watch.text("err"));
}

#[test]
fn edges_around_a_step_of_the_clock_are_in_every_place() {
    let Some(_one) = one() else { return };
    let sim = chip("steps", 8);
    let chip = &sim.chips()[0];
    let steps =
        [(3600, true, "-Erealtime"), (50 * 365 * 86_400, false, "--utc"), (50 * 365 * 86_400, true, "-Erealtime")];
    for (seconds, back, option) in steps {
        chip.set_pull(0, Level::Low).unwrap();
        let mut watch = Watch::begin("step", &["-c", "label:steps", "door", "-n", "4", "--stats", "60s", option]);
        for (number, level) in [Level::High, Level::Low, Level::High, Level::Low].into_iter().enumerate() {
            chip.set_pull(0, level).unwrap();
            watch.until("w.csv", &format!(",{},{},0,0\n", number + 1, number + 1));
            sleep(Duration::from_millis(10));
            if number == 0 {
                time_of_day::set(Duration::from_secs(seconds), back);
            }
        }
        assert_eq!(watch.end(), Some(0), "{}", watch.text("err"));
        assert_everywhere(&watch, 4);
        assert!(watch.length_ns() < 20_000_000_000, "{}", watch.text("w.vcd"));
        assert!(watch.text("w.vcd").contains("$comment"), "{}", watch.text("w.vcd"));
        let [clock] = &watch.records("clock")[..] else { panic!("one clock: {}", watch.text("w.jsonl")) };
        let ns = |key: &str| i128::from(clock[key].as_u64().unwrap());
        let step = ns("after_ns") - ns("arrival_ns");
        let expected = i128::from(seconds) * if back { -1_000_000_000 } else { 1_000_000_000 };
        assert!((step - expected).abs() < 10_000_000_000, "{clock}");
        // A delay of an hour, or a negative one, would be printed in thousands of seconds.
        let err = watch.text("err");
        let latest =
            |line: &str| line.split_once("written after ")?.1.rsplit_once(" max ")?.1.strip_suffix(" s")?.parse().ok();
        assert!(err.lines().filter_map(latest).all(|seconds: f64| seconds < 1000.0), "{err}");
    }
}

#[test]
fn a_watch_has_one_thread_and_the_one_for_signals() {
    let Some(_one) = one() else { return };
    let sim = chip("threads", 8);
    let chip = &sim.chips()[0];
    let mut watch = Watch::begin("threads", &["-c", "label:threads", "--filter", "debounce=5ms", "door"]);
    for (level, way) in [(Level::High, ",rising,"), (Level::Low, ",falling,")] {
        chip.set_pull(0, level).unwrap();
        watch.until("w.csv", way);
    }
    let tasks = fs::read_dir(format!("/proc/{}/task", watch.child.id())).unwrap().count();
    assert_eq!(watch.stop(), Some(0), "{}", watch.text("err"));
    let said = watch.text("err");
    assert_eq!(
        (tasks, said.contains("1 line: 2 edges delivered, ") && said.contains("; 2 threads\n")),
        (2, true),
        "{said}"
    );
}

#[test]
fn two_hundred_lines_that_all_change_are_in_every_place() {
    let Some(_one) = one() else { return };
    let sim = chip("big", 200);
    let chip = &sim.chips()[0];
    let mut watch = Watch::begin("big", &["-c", "label:big", "-n", "400"]);
    for level in [Level::High, Level::Low] {
        (0..200).for_each(|line| chip.set_pull(line, level).unwrap());
    }
    assert_eq!(watch.end(), Some(0), "{}", watch.text("err"));
    assert_everywhere(&watch, 400);
    let lines: std::collections::BTreeSet<_> =
        watch.records("edge").iter().map(|edge| edge["offset"].as_u64().unwrap()).collect();
    assert_eq!(lines.len(), 200);
}

#[test]
fn a_chip_that_is_unplugged_and_comes_back_is_in_every_place() {
    let Some(_one) = one() else { return };
    let mut sim = Some(chip("gone", 8));
    let pull = |sim: &Option<Sim>, level| sim.as_ref().unwrap().chips()[0].set_pull(0, level).unwrap();
    let mut watch = Watch::begin("gone", &["-c", "label:gone", "door", "--reattach", "--fail-on-loss"]);
    pull(&sim, Level::High);
    watch.until("w.csv", ",rising,");
    sim = None;
    watch.until("w.csv", ",gone,");
    sim = sim.or_else(|| Some(chip("gone", 8)));
    watch.until("w.csv", ",back,");
    watch.until("w.jsonl", r#""over":true"#);
    pull(&sim, Level::High);
    let deadline = Instant::now() + Duration::from_secs(20);
    while watch.text("w.csv").matches(",rising,").count() < 2 {
        assert!(Instant::now() < deadline, "{}", watch.text("w.csv"));
        sleep(Duration::from_millis(5));
    }
    assert_eq!(watch.stop(), Some(2), "{}", watch.text("err"));
    assert_eq!(watch.records("gap").len(), 2);
    let chips: std::collections::BTreeSet<_> =
        watch.records("edge").iter().map(|edge| edge["chip"].to_string()).collect();
    assert_eq!(chips.len(), 1, "it keeps its name");
    let is_edge = |line: &&str| line.contains("\trising\t");
    assert_eq!(watch.text("out").lines().filter(is_edge).count(), 2);
    for file in FILES {
        let output = watch.replay(file, &["--fast", "-q"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}
