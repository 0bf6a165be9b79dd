//! A watch with --idle-timeout sleeps until the time could be over.

mod support;

use std::time::{Duration, Instant};

use support::{Scratch, err, run};

/// Two edges, 600 ms in, and nothing more.
const PULSE: &str = "[[line]]\nname = \"door\"\nfirst = \"500ms\"\nhigh = \"100ms\"\nlow = \"1h\"\ntimes = 1\n";

#[test]
fn the_idle_timeout_begins_with_the_last_edge_even_if_it_is_filtered() {
    let script = Scratch::with("quiet.toml", PULSE);
    let chip = format!("sim:{}", script.path());
    for filter in [&[][..], &["--filter", "debounce=1m"]] {
        let began = Instant::now();
        let output = run(&[&["mon", "-q", "-c", &chip, "--idle-timeout", "4s"], filter].concat());
        let took = began.elapsed();
        assert!(output.status.success() && err(&output).contains("1 line: 2 edges delivered"), "{output:?}");
        // The time counts from the last edge, and not from the start or from the last check.
        assert!(took >= Duration::from_millis(4550) && took < Duration::from_millis(7500), "{took:?}");
    }
}

/// The number of times that the main thread of a process has gone to sleep.
#[cfg(target_os = "linux")]
fn sleeps(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/task/{process}/status")).unwrap();
    let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    switches.unwrap().trim().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_watch_that_waits_for_quiet_sleeps() {
    for filter in [&[][..], &["--filter", "debounce=1m"]] {
        let words = ["mon", "-q", "-c", "sim", "--idle-timeout", "1h", "tamper"];
        let mut child = support::linewake(&[&words[..], filter].concat()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(700));
        let before = sleeps(child.id());
        std::thread::sleep(Duration::from_secs(1));
        let after = sleeps(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(before > 0 && after - before <= 3, "it woke {} times in a second: {filter:?}", after - before);
    }
}
