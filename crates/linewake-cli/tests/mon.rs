//! `linewake mon`, as its users run it.

#[path = "../../linewake/tests/support/schema.rs"]
mod schema;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn linewake(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linewake"));
    command.args(arguments).stdin(Stdio::null()).env_remove("CLICOLOR_FORCE");
    command
}

fn run(arguments: &[&str]) -> Output {
    linewake(arguments).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// It fails, says all these parts on standard error, and prints nothing else.
fn assert_refused(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert_eq!(out(&output), "", "{arguments:?}");
    for part in parts {
        assert!(err(&output).contains(part), "{arguments:?} says nothing of {part}: {}", err(&output));
    }
}

/// `12 lines: 34 edges delivered, none lost; 4 threads`
fn assert_summary(text: &str, lines: u64, delivered: u64) {
    let (head, threads) = text.lines().next().unwrap().rsplit_once("; ").unwrap();
    let plural = |number| if number == 1 { "" } else { "s" };
    let expected = format!("{lines} line{}: {delivered} edge{} delivered, ", plural(lines), plural(delivered));
    assert!(head.starts_with(&expected), "{text:?} is not {expected:?}");
    let threads: u32 = threads.trim().strip_suffix(" threads").unwrap().parse().unwrap();
    // This one, the dispatcher's, the simulated chip's and the one that waits for signals.
    assert!((3..=6).contains(&threads), "{text}");
}

#[test]
fn a_line_is_seconds_direction_and_name() {
    let output = run(&["mon", "-c", "sim", "-n", "25"]);
    assert!(output.status.success(), "{output:?}");
    let mut last = 0;
    for line in out(&output).lines() {
        let [time, kind, name] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
        let (seconds, nanoseconds) = time.split_once('.').unwrap();
        assert_eq!(nanoseconds.len(), 9, "{line}");
        let now = seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanoseconds.parse::<u64>().unwrap();
        assert!(now >= last);
        last = now;
        assert!(["rising", "falling"].contains(&kind), "{line}");
        assert!(name.starts_with('"') && name.ends_with('"'), "{line}");
    }
    assert_eq!(out(&output).lines().count(), 25);
    assert_summary(err(&output), 12, 25);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "no colours in a pipe");
}

#[test]
fn the_same_seed_prints_the_same() {
    let print = |seed| run(&["mon", "-c", "sim", "--seed", seed, "-n", "15"]).stdout;
    assert_eq!(print("3"), print("3"));
    assert_ne!(print("3"), print("4"));
}

#[test]
fn it_ends_after_its_period() {
    let began = Instant::now();
    let output = run(&["mon", "-c", "sim", "--for", "700ms", "pps", "tamper"]);
    let took = began.elapsed();
    assert!(output.status.success(), "{output:?}");
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(20), "{took:?}");
    // On a busy machine the chip is older than the watch, and there may be a third.
    assert!(out(&output).starts_with("0.500000000\trising\t\"pps\"\n0.600000000\tfalling\t\"pps\"\n"));
    assert_summary(err(&output), 2, out(&output).lines().count() as u64);
    assert!(err(&output).contains("none lost"), "{}", err(&output));
}

#[test]
fn a_period_of_nothing_is_over_at_once() {
    let output = run(&["mon", "-c", "sim", "--for", "0", "door"]);
    assert!(output.status.success());
    assert_eq!(out(&output), "");
    assert_summary(err(&output), 1, 0);
}

#[test]
fn json_is_by_the_schema_and_accounts_for_every_edge() {
    let output = run(&["mon", "-c", "sim", "-n", "30", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(err(&output), "", "the summary is a record");
    let mut kinds = Vec::new();
    let mut records = Vec::new();
    for line in out(&output).lines() {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        kinds.push(record["record"].as_str().unwrap().to_owned());
        records.push(record);
    }
    let mut expected = vec!["start"];
    expected.extend(["state"; 12]);
    expected.extend(["edge"; 30]);
    expected.push("summary");
    assert_eq!(kinds, expected);
    let summary = records.last().unwrap();
    assert!(summary["threads"].as_u64().is_none_or(|threads| threads <= 6));
    let lines = summary["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 12);
    for line in lines {
        assert_eq!(line["account"], "exact");
        let mine = |record: &&serde_json::Value| record["record"] == "edge" && record["offset"] == line["offset"];
        assert_eq!(line["delivered"], records.iter().filter(mine).count());
    }
    // The state fits the first edge of its line.
    for state in records.iter().filter(|record| record["record"] == "state") {
        let mine = |record: &&serde_json::Value| record["record"] == "edge" && record["offset"] == state["offset"];
        if let Some(first) = records.iter().find(mine) {
            assert_eq!(first["kind"] == "falling", state["level"] == 1, "{state} {first}");
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    for format in [&[][..], &["--json"]] {
        let mut child =
            linewake(&["mon", "-c", "sim"]).args(format).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().is_ok());
        drop(lines);
        let status = wait(&mut child);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("linewake:") && !said.contains("panic"), "{said}");
    }
}

/// Waits for a child, but not for ever.
fn wait(child: &mut std::process::Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[cfg(unix)]
fn signals_end_it_with_the_summary() {
    for (signal, format) in [("-INT", &[][..]), ("-TERM", &[]), ("-HUP", &["--json"])] {
        let mut child =
            linewake(&["mon", "-c", "sim"]).args(format).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        printed.read_line(&mut first).unwrap();
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = wait(&mut child);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        let mut rest = String::new();
        printed.read_to_string(&mut rest).unwrap();
        if format.is_empty() {
            assert_summary(&said, 12, 1 + rest.lines().count() as u64);
        } else {
            assert!(rest.lines().last().unwrap().starts_with(r#"{"record":"summary","#), "{rest}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_the_account_is_told() {
    for format in [&[][..], &["--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child =
            linewake(&["mon", "-c", "sim"]).args(format).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let status = wait(&mut child);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        let lines: Vec<_> = said.lines().collect();
        assert!(lines[0].starts_with("12 lines: "), "{said}");
        let last = lines.last().unwrap();
        assert!(last.starts_with("linewake: cannot write to standard output: "), "{said}");
        assert_eq!(last.contains("missing there"), format.is_empty(), "the records begin before any edge: {said}");
    }
}

#[test]
fn bad_input_is_named_with_what_would_do() {
    assert_refused(&["mon", "-c", "gpiochip9"], &["linewake: ", "\"gpiochip9\"", "\"sim\""]);
    assert_refused(&["mon", "-c", ""], &["\"\"", "\"sim\""]);
    assert_refused(&["mon", "-c", "sim:0"], &["\"sim:0\"", "1 to 1024"]);
    assert_refused(&["mon", "-c", r"\\.\NoSuchDevice"], &[r#""\\.\NoSuchDevice""#]);
    assert_refused(&["mon", "-c", "sim", "dorr"], &["cannot find line \"dorr\"", "\"sim\"", "\"door\""]);
    assert_refused(&["mon", "-c", "sim", "99"], &["offset 99 is out of range", "\"sim\""]);
    assert_refused(&["mon", "-c", "sim", "pps", "0"], &["lines \"pps\" and \"0\" are the same line", "\"sim\""]);
    assert_refused(&["mon", "-c", "sim", "--for", "5sec"], &["5sec", "--for", "us, ms, s or m"]);
    assert_refused(&["mon", "-c", "sim", "--for", ""], &["--for"]);
    assert_refused(&["mon", "-c", "sim", "-n", "-1"], &["-1"]);
    assert_refused(&["mon", "-c", "sim", "-n", "many"], &["many"]);
    assert_refused(&["mon", "-c", "sim", "--seed", "x"], &["x"]);
    assert_refused(&["mon", "-c", r"\\.\LineWake0", "--seed", "1"], &[r#""\\.\LineWake0""#, "seed"]);
    assert_refused(&["mon", "--frob"], &["--frob"]);
    assert_refused(&["mon"], &["--chip"]);
    assert_refused(&["munch"], &["munch"]);
}

#[test]
fn help_is_a_manual() {
    for arguments in
        [&["--help"][..], &["-h"], &["mon", "--help"], &["mon", "-h"], &["driver", "--help"], &["--version"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(err(&output), "");
        assert!(!out(&output).is_empty());
    }
    let manual = run(&["mon", "--help"]);
    for part in
        ["Examples:", "Exit codes:", "--chip", "--for", "--json", "--seed", "--num-events", "overflowed", "LINE"]
    {
        assert!(out(&manual).contains(part), "{part} is missing in:\n{}", out(&manual));
    }
}

#[test]
#[cfg(not(windows))]
fn the_driver_needs_windows_and_says_so() {
    for action in [&["install", "--path", "x.sys"][..], &["start"], &["stop"], &["remove"], &["status"]] {
        assert_refused(&[&["driver"], action].concat(), &["\"LineWake\"", "Windows", "\"sim\""]);
    }
}
