//! The one thread of a simulated chip: it sleeps while nobody looks, and ends with the chip. Alone in its process.
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use linewake::Chip;

/// How often each life thread of this process went to sleep so far.
fn sleeps() -> Vec<u64> {
    let of = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        (name.trim() == "linewake-sim").then(|| count.trim().parse().ok()).flatten()
    };
    fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of).collect()
}

#[test]
fn it_sleeps_while_only_quiet_lines_are_watched_and_ends_with_the_chip() {
    let chip = Chip::open("sim").unwrap();
    let quiet = chip.request().lines(["tamper", "estop"]).start().unwrap();
    thread::sleep(Duration::from_millis(50));
    let before = sleeps();
    assert_eq!(before.len(), 1, "a chip has one thread");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(sleeps(), before, "it did not wake up");

    let lively = chip.request().line("pps").start().unwrap();
    thread::sleep(Duration::from_millis(1500));
    let awake = sleeps()[0] - before[0];
    assert!((1..20).contains(&awake), "it wakes up for the edges of pps and not for other lines: {awake}");

    drop((chip, quiet, lively));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !sleeps().is_empty() {
        assert!(Instant::now() < deadline, "it outlives its chip");
        thread::sleep(Duration::from_millis(1));
    }
}
