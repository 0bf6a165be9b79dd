//! The command watches cards whose drivers report edges by ioctls. A kernel module in the virtual machine behaves as
//! those drivers do. Ctrl-C ends a wait that blocks in the driver.
#![cfg(all(target_os = "linux", not(miri)))]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use test_support::cards::{Card, cards};

/// Where `linewake` is in the guest: `cargo xtask test` puts it there.
const LINEWAKE: &str = "/test/linewake";

/// `linewake mon` on a card by its profile.
struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn begin(name: &str, profile: &str) -> Self {
        let file = format!("/tmp/{name}.toml");
        fs::write(&file, profile).unwrap();
        let mut command = Command::new(LINEWAKE);
        command.args(["mon", "-c", &format!("profile:{file}"), "--allow-writes", "--format", "%o %e"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    fn end(mut self) -> Output {
        let mut stdout = Vec::new();
        self.out.read_to_end(&mut stdout).unwrap();
        Output { stdout, ..self.child.wait_with_output().unwrap() }
    }
}

#[test]
fn ctrl_c_ends_a_wait_by_its_call() {
    let Some(_one) = cards() else { return };
    let card = Card("apci");
    card.rest(24);
    let mut watch = Watch::begin("apci", include_str!("../../../profiles/apci.toml"));
    for (line, level) in [(3, true), (20, true), (3, false)] {
        card.until_waiting(1);
        card.set(line, level);
        assert_eq!(watch.line(), format!("{line} {}", if level { 1 } else { 2 }));
    }
    card.until_waiting(1);
    let asked = Instant::now();
    watch.interrupt();
    let output = watch.end();
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains("3 edges delivered, at least 0 lost"), "{summary}");
    card.until_left();
}

#[test]
fn ctrl_c_ends_the_waits_of_all_lines_and_a_limit_is_no_end() {
    let Some(_one) = cards() else { return };
    for (name, profile, waits) in [
        ("per-line", include_str!("../../../profiles/per-line.toml"), 16),
        ("digitalio", include_str!("../../../profiles/digitalio.toml"), 1),
        ("mpv", include_str!("../../../profiles/mpv.toml"), 1),
    ] {
        let card = Card(name);
        card.rest(8);
        let mut watch = Watch::begin(name, profile);
        card.until_waiting(waits);
        card.set(2, true);
        assert_eq!(watch.line(), "2 1", "{name}");
        card.until_waiting(waits);
        watch.interrupt();
        let output = watch.end();
        let summary = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(summary.contains("1 edge delivered, at least 0 lost"), "{name}: {summary}");
        card.until_left();
    }
}

#[test]
fn a_wait_that_nothing_ends_keeps_the_process_until_the_next_edge_and_no_longer() {
    let Some(_one) = cards() else { return };
    let card = Card("uio48");
    card.rest(48);
    let mut watch = Watch::begin("uio48", include_str!("../../../profiles/uio48.toml"));
    card.until_waiting(1);
    card.set(2, true);
    assert_eq!(watch.line(), "2 1");
    card.until_waiting(1);
    watch.interrupt();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(watch.child.try_wait().unwrap(), None, "the driver sleeps, and hears no signal");
    card.toggle(0, 2);
    let output = watch.end();
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains("1 edge delivered, at least 0 lost"), "{summary}");
    card.until_left();
}
