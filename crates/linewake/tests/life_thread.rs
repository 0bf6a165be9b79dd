//! A simulated chip has no thread. When a watched change is due, the port's timer wakes it on the one thread that
//! dispatches completions. If nothing is due, there is not even a timer. This test is alone in its process.
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use linewake::{Chip, Edges};

/// How often each other thread of this process went to sleep so far.
fn sleeps() -> Vec<u64> {
    let me = std::process::id().to_string();
    let of = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        // The test harness waits in the main thread; this test has its own thread.
        let is_ours = task.file_name().to_str() != Some(&*me) && !name.starts_with("they_sleep");
        is_ours.then(|| count.trim().parse().ok()).flatten()
    };
    fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(of).collect()
}

#[test]
fn they_sleep_on_one_thread_and_wake_up_for_what_is_watched() {
    assert_eq!(sleeps(), [0; 0]);
    let chips: Vec<_> = (0..16).map(|_| Chip::open("sim").unwrap()).collect();
    let quiet: Vec<_> = chips.iter().map(|chip| chip.request().lines(["tamper", "estop"]).start().unwrap()).collect();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(sleeps(), [0; 0], "sixteen chips without watched changes need no thread");

    let lively: Vec<_> =
        chips.iter().map(|chip| chip.request().line("pps").edges(Edges::Rising).start().unwrap()).collect();
    thread::sleep(Duration::from_millis(50));
    let started = sleeps().first().copied().expect("sixteen chips have one thread in all: the one that dispatches");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(sleeps().len(), 1);
    let awake = sleeps()[0] - started;
    // Each chip changes two or three times in that time.
    assert!((2..16 * 10).contains(&awake), "it wakes up for the edges of pps and not for other lines: {awake}");

    // After the chips are dropped, nothing wakes up the thread.
    drop((chips, quiet, lively));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let before = sleeps();
        thread::sleep(Duration::from_millis(1100));
        if sleeps() == before {
            break;
        }
        assert!(Instant::now() < deadline, "something outlives the chips");
    }
}
