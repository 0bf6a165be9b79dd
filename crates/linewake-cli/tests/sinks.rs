//! One watch in every output: time stamps that go back, and lines that share a name.
#![cfg(unix)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::{Scratch, err, linewake, out, output, run};
use test_support::schema;

/// A directory with programs that are chips.
struct Programs(PathBuf);

impl Programs {
    fn new(name: &str, programs: &[(&str, &str)]) -> Self {
        let directory = std::env::temp_dir().join(format!("linewake-{}-{name}", std::process::id()));
        for (path, lines) in programs {
            let path = directory.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{lines}\nexec sleep 60\n")).unwrap();
        }
        Self(directory)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = output(linewake(arguments).current_dir(&self.0));
        assert!(output.status.success(), "{output:?}");
        output
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn records(&self, name: &str) -> Vec<Value> {
        let text = self.text(name);
        assert_eq!(text.lines().flat_map(schema::faults_of_line).collect::<Vec<_>>(), [""; 0], "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The changes of a wire: tick and value.
    fn wave(&self, file: &str, wire: &[&str]) -> Vec<(u64, String)> {
        let mut waveform = wellen::simple::read(self.0.join(file)).unwrap();
        let (name, scopes) = wire.split_last().unwrap();
        let found = waveform.hierarchy().lookup_var(scopes, name).unwrap_or_else(|| panic!("no wire {wire:?}"));
        let signal = waveform.hierarchy()[found].signal_ref();
        waveform.load_signals(&[signal]);
        let times = waveform.time_table().to_vec();
        let changes = waveform.get_signal(signal).unwrap().iter_changes();
        changes.map(|(at, value)| (times[at as usize], value.to_bit_string().unwrap())).collect()
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wave(changes: &[(u64, &str)]) -> Vec<(u64, String)> {
    changes.iter().map(|(at, value)| (*at, (*value).to_owned())).collect()
}

const DOOR_AND_GATE: &str = "echo clock realtime; echo lines door=0 gate=1";

#[test]
fn cells_of_numbers_are_whole_numbers() {
    let stamp = 1_577_134_800_018_226_901_u64;
    let edges: String = (0..4).map(|at| format!("\necho {} door {}", stamp + at * 101, (at + 1) % 2)).collect();
    let programs = Programs::new("rows", &[("cards.sh", &format!("{DOOR_AND_GATE}{edges}"))]);
    let output = programs.run(&["mon", "-c", "exec:sh cards.sh", "-n", "4", "--csv"]);
    let rows: Vec<Vec<_>> = out(&output).lines().skip(1).map(|row| row.split(',').collect()).collect();
    let events: Vec<_> = rows.iter().map(|row| row[4]).collect();
    assert_eq!(events, ["state", "state", "rising", "falling", "rising", "falling"]);
    for row in &rows {
        assert_eq!(row.len(), 10, "{row:?}");
        for column in [0, 2, 5, 6, 7, 8, 9] {
            assert!(row[column].parse::<i64>().is_ok(), "column {column} of {row:?}");
        }
    }
    let times: Vec<u64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(times[..2], [stamp; 2], "the levels have the time of the first edge, and not of now");
    assert_eq!(times[2..].windows(2).map(|two| two[1] - two[0]).collect::<Vec<_>>(), [101; 3], "to the nanosecond");
    assert_eq!(rows.iter().map(|row| row[5]).collect::<Vec<_>>(), ["0", "1", "1", "0", "1", "0"]);
}

/// Reads it with pandas, if that is installed.
#[test]
fn pandas_reads_each_column_as_its_type() {
    let script = "import pandas as p, sys\n\
        d = p.read_csv(sys.argv[1], keep_default_na=False)\n\
        print(list(d[d.event.isin(['rising', 'falling'])].timestamp_ns.diff())[1:])\n\
        print([c for c in d if d[c].dtype.kind in 'iu'])\n";
    if !Command::new("python3").args(["-c", "import pandas"]).output().is_ok_and(|output| output.status.success()) {
        println!("skipped: Python has no pandas here");
        return;
    }
    let edges = "\necho 1577134800018226901 door 1; echo 1577134800018227002 door 0";
    let programs = Programs::new("pandas", &[("cards.sh", &format!("{DOOR_AND_GATE}{edges}"))]);
    programs.run(&["mon", "-q", "-c", "exec:sh cards.sh", "-n", "2", "--csv=a.csv"]);
    let read = Command::new("python3").args(["-c", script]).arg(programs.0.join("a.csv")).output().unwrap();
    let columns = "['timestamp_ns', 'offset', 'level', 'seqno', 'line_seqno', 'overflowed', 'merged']";
    assert_eq!(out(&read), format!("[101.0]\n{columns}\n"), "{read:?}");
}

#[test]
fn the_levels_of_a_quiet_chip_are_written_after_a_second() {
    let csv = Scratch::new("quiet.csv");
    let script = Scratch::with("quiet.toml", "[[line]]\nname = \"tamper\"\n");
    let chip = format!("sim:{}", script.path());
    let mut child = linewake(&["mon", "-c", &chip, "--for", "60s", &format!("--csv={}", csv.path())]).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !csv.0.exists() || csv.text().lines().count() < 2 {
        assert!(std::time::Instant::now() < deadline, "nothing is written: {}", csv.text());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = csv.text();
    let cells: Vec<_> = text.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(cells[1..], ["sim", "0", "tamper", "state", "0", "0", "0", "0", "0"]);
    assert!(cells[0].parse::<u64>().is_ok());
}

/// The time of day is set back by 1.5 s between the second and the third edge, and once more later.
const STEPS: &str = "echo clock realtime; echo lines door=0\n\
    echo 1700000003000000000 door 1; echo 1700000004000000000 door 0; echo 1700000002500000000 door 1; \
    echo 1700000002600000000 door 0; echo 1600000000000000000 door 1";

#[test]
fn a_clock_step_is_in_every_output_and_loses_no_edge() {
    let programs = Programs::new("steps", &[("steps.sh", STEPS)]);
    let arguments = ["mon", "-c", "exec:sh steps.sh", "-n", "5", "-F", "%S %E", "--json=a.jsonl", "--csv=a.csv"];
    let run = "echo $LINEWAKE_TIMESTAMP_NS $LINEWAKE_AXIS_NS >>ran";
    let output = programs.run(&[&arguments[..], &["--vcd", "a.vcd", "--exec", run]].concat());
    let kinds: Vec<_> = out(&output).lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(kinds, ["rising", "falling", "rising", "falling", "rising"]);
    let said = err(&output).lines().filter(|line| line.contains("stepped: ")).collect::<Vec<_>>();
    assert_eq!(said.len(), 2, "{output:?}");
    assert!(said[0].ends_with("stepped: 1700000004.000000000 before, 1700000002.500000000 after"), "{said:?}");

    let records = programs.records("a.jsonl");
    let clocks: Vec<_> = records.iter().filter(|record| record["record"] == "clock").collect();
    assert_eq!(clocks.len(), 2);
    let csv = programs.text("a.csv");
    let rows: Vec<Vec<_>> = csv.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let steps: Vec<_> = rows.iter().filter(|row| row[4] == "clock").collect();
    for (record, rows) in clocks.iter().zip(steps.chunks(2)) {
        let time = |row: &[&str]| row[0].parse::<u64>().unwrap();
        assert_eq!((rows[0][5], rows[1][5]), ("0", "1"));
        assert_eq!(
            (Some(time(rows[0])), Some(time(rows[1]))),
            (record["arrival_ns"].as_u64(), record["after_ns"].as_u64())
        );
    }
    // Adding the last step to the time stamps gives times that never go back.
    let (mut shift, mut times) = (0, Vec::new());
    for row in &rows {
        let time: i128 = row[0].parse().unwrap();
        match (row[4], row[5]) {
            ("clock", "0") => shift = time,
            ("clock", _) => shift -= time,
            ("rising" | "falling", _) => times.push(time + shift),
            _ => {}
        }
    }
    assert!(times.windows(2).all(|two| two[0] <= two[1]), "{times:?}");
    let ran = programs.text("ran");
    let axis: Vec<i128> = ran.lines().map(|line| line.split_once(' ').unwrap().1.parse().unwrap()).collect();
    assert_eq!(axis, times, "the commands are told the same");

    let door = programs.wave("a.vcd", &["steps", "door"]);
    let first = times[0] - 1000;
    let ticks: Vec<_> = times.iter().map(|time| u64::try_from((time - first) / 1000).unwrap()).collect();
    assert_eq!(door.iter().map(|change| change.0).skip(1).collect::<Vec<_>>(), ticks);
    assert_eq!(door.iter().map(|change| &*change.1).collect::<Vec<_>>(), ["0", "1", "0", "1", "0", "1"], "{door:?}");
    let text = programs.text("a.vcd");
    assert_eq!(text.matches("the clock stepped at time ").count(), 2, "{text}");
    let comments = text.find("the clock stepped").unwrap();
    assert!(!text[comments..].contains("\n#"), "libsigrok reads no further than the first of them: {text}");
}

#[test]
fn a_waveform_of_the_past_is_no_longer_than_what_happened() {
    let edges = "\necho 1700000000000000000 door 1; echo 1700000001000000000 door 0; echo 1700000002500000000 door 1";
    let programs = Programs::new("past", &[("past.sh", &format!("{DOOR_AND_GATE}{edges}"))]);
    programs.run(&["mon", "-q", "-c", "exec:sh past.sh", "-n", "3", "door", "--vcd", "a.vcd"]);
    let door = programs.wave("a.vcd", &["past", "door"]);
    assert_eq!(door, wave(&[(0, "0"), (1, "1"), (1_000_001, "0"), (2_500_001, "1")]));
    let waveform = wellen::simple::read(programs.0.join("a.vcd")).unwrap();
    let end = *waveform.time_table().last().unwrap();
    assert!(end < 60_000_000, "it ends when the watch did, and not now: {end}");
}

#[test]
fn two_edges_with_the_same_stamp_are_both_in_a_waveform() {
    let edges = "\necho 5000000000 door 1; echo 5000000000 door 0; echo 5000000000 door 1; echo 5000000007 door 0";
    let programs = Programs::new("same", &[("same.sh", &format!("echo clock monotonic; echo lines door=0{edges}"))]);
    programs.run(&["mon", "-q", "-c", "exec:sh same.sh", "-n", "4", "--vcd", "a.vcd", "--vcd-timescale", "1ns"]);
    let door = programs.wave("a.vcd", &["same", "door"]);
    assert_eq!(door, wave(&[(0, "0"), (1, "1"), (2, "0"), (3, "1"), (8, "0")]));
    let output = programs.run(&["mon", "-q", "-c", "exec:sh same.sh", "-n", "4", "--vcd", "b.vcd"]);
    assert!(err(&output).contains("3 edges within a tick of another"), "{output:?}");
}

#[test]
fn two_chips_of_one_name_are_two_in_every_output() {
    let a = "echo clock monotonic; echo lines door=0\necho 1000000000 door 1; echo 3000000000 door 0";
    let b = "echo clock monotonic; echo lines door=0\necho 2000000000 door 1; echo 4000000000 door 0";
    let programs = Programs::new("two", &[("a/cards.sh", a), ("b/cards.sh", b)]);
    let chips = ["exec:sh a/cards.sh", "exec:sh b/cards.sh"];
    let lines = chips.map(|chip| format!("{chip}:door"));
    let files = ["-n", "4", "-I", "--json=a.jsonl", "--csv=a.csv", "--vcd", "a.vcd", "--stats", "20s"];
    let exec = ["--exec", "echo $LINEWAKE_CHIP $LINEWAKE_OFFSET >>ran"];
    let output = programs.run(&[&["mon", &lines[0], &lines[1]], &files[..], &exec].concat());
    // Without -c, the names alone would not tell the chips apart.
    let expected: String = [("1", "rising", 0), ("2", "rising", 1), ("3", "falling", 0), ("4", "falling", 1)]
        .map(|(second, kind, chip)| format!("{second}.000000000\t{kind}\t{} 0 \"door\"\n", chips[chip]))
        .concat();
    assert!(out(&output).ends_with(&expected), "{output:?}");
    assert!(err(&output).contains("2 lines: 4 edges delivered"), "{output:?}");
    for chip in chips {
        assert!(err(&output).contains(&format!("  {chip} 0 \"door\": 2, ")), "--stats tells them apart: {output:?}");
    }
    let count = |all: Vec<String>| chips.map(|chip| all.iter().filter(|is| *is == chip).count());
    let edges = programs.records("a.jsonl").into_iter().filter(|record| record["record"] == "edge");
    assert_eq!(count(edges.map(|edge| edge["chip"].as_str().unwrap().to_owned()).collect()), [2, 2]);
    let rows = programs.text("a.csv");
    let rows = rows.lines().filter(|row| row.contains("ing,")).map(|row| row.split(',').nth(1).unwrap().to_owned());
    assert_eq!(count(rows.collect()), [2, 2]);
    let ran = programs.text("ran");
    assert_eq!(count(ran.lines().map(|line| line.strip_suffix(" 0").unwrap().to_owned()).collect()), [2, 2]);
    for scope in ["exec_sh_a_cards_sh", "exec_sh_b_cards_sh"] {
        assert_eq!(programs.wave("a.vcd", &[scope, "door"]).len(), 3);
    }
    let levels = programs.run(&["mon", "-c", chips[0], "-c", chips[1], "--for", "100ms", "-I", "-q"]);
    let shown = chips.map(|chip| format!("\"{chip}:door\"=inactive")).join(" ");
    assert!(out(&levels).starts_with(&shown), "{levels:?}");
}

#[test]
fn numbers_that_other_programs_round_may_be_strings() {
    let edges = "\necho 1700000000123456789 door 1";
    let programs = Programs::new("strings", &[("p.sh", &format!("{DOOR_AND_GATE}{edges}"))]);
    let arguments = ["mon", "-c", "exec:sh p.sh", "-n", "1", "--json=a.jsonl"];
    programs.run(&arguments);
    let numbers = programs.records("a.jsonl");
    programs.run(&[&arguments[..], &["--json-strings"]].concat());
    let strings = programs.records("a.jsonl");
    let edge = |records: &[Value]| records.iter().find(|record| record["record"] == "edge").unwrap().clone();
    assert_eq!(edge(&numbers)["timestamp_ns"], 1_700_000_000_123_456_789_u64);
    assert_eq!(edge(&strings)["timestamp_ns"], "1700000000123456789");
    assert_eq!(edge(&strings)["offset"], 0, "what is never rounded stays a number");
    let summary = strings.last().unwrap();
    assert_eq!((&summary["lines"][0]["delivered"], &strings[0]["utc_offset_ns"]), (&"1".into(), &"0".into()));
    let read = |records: &[Value]| -> Vec<linewake::record::Record<'static>> {
        records.iter().map(|record| serde_json::from_value(record.clone()).unwrap()).collect()
    };
    assert_eq!(read(&strings)[1..3], read(&numbers)[1..3], "they are read as the numbers that they are");
    assert_eq!(run(&["mon", "-c", "sim", "--json-strings"]).status.code(), Some(1), "without --json it means nothing");
}

#[test]
fn all_edges_of_one_direction_are_in_a_waveform() {
    let lines = "echo clock realtime; echo lines door=0; \
        for at in 1000000 1000500 5000000 5003000; do \
        echo $at door 1 $((n+=1)); echo $((at+100)) door 0 $((n+=1)); done";
    let programs = Programs::new("one-direction", &[("door.sh", lines)]);
    for (edges, level) in [("rising", "1"), ("falling", "0")] {
        let watch = ["-c", "exec:bash door.sh", "-e", edges, "-n", "4", "--overwrite", "-q"];
        let files = ["--json=e.jsonl", "--vcd", "e.vcd", "--vcd-timescale", "1ns"];
        programs.run(&[&["mon"][..], &watch, &files, &["door"]].concat());
        let seen = programs.wave("e.vcd", &["door", "door"]);
        assert_eq!(seen.iter().skip(1).filter(|(_, value)| value == level).count(), 4, "{edges} {seen:?}");
        for file in ["e.jsonl", "e.vcd"] {
            let replayed = programs.run(&["replay", "--fast", file]);
            let is_watched = |line: &&str| line.contains(&format!("\t{edges}\t"));
            assert_eq!(out(&replayed).lines().filter(is_watched).count(), 4, "{edges} {file} {}", out(&replayed));
        }
    }
}

#[test]
fn the_first_edge_of_a_line_tells_the_level_before_it() {
    let lines = "echo clock realtime; echo lines door gate; \
        echo 1000000 door 1 1; echo 1500000 gate 0 1; echo 2000000 door 0 2";
    let programs = Programs::new("no-level", &[("door.sh", lines)]);
    programs.run(&["mon", "-c", "exec:sh door.sh", "-n", "3", "--csv=l.csv", "--vcd", "l.vcd", "-q"]);
    for file in ["l.csv", "l.vcd"] {
        let replayed = programs.run(&["replay", "--fast", file]);
        assert_eq!(out(&replayed).lines().count(), 3, "{file} {}", out(&replayed));
    }
}

#[test]
fn a_file_that_reaches_its_limit_is_an_error_with_the_account() {
    let lines = "echo clock realtime; echo lines door=0; \
        while [ $((n+=1)) -lt 2000 ]; do echo $((n*1000)) door $((n%2)) $n; done";
    let programs = Programs::new("limit", &[("door.sh", lines)]);
    let mut command = Command::new("bash");
    let linewake = linewake(&[]).get_program().to_str().unwrap().to_owned();
    let script = format!("ulimit -f 8; exec {linewake} mon -c 'exec:bash door.sh' -n 1999 --csv=u.csv -q door");
    let output = output(command.args(["-c", &script]).current_dir(&programs.0));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains("cannot write to \"u.csv\""), "{}", err(&output));
    assert!(err(&output).contains("1 line: "), "the account is said: {}", err(&output));
}

#[test]
fn edges_at_the_end_of_time_end_no_watch() {
    let lines = "echo lines a=0; echo 0 a 1; echo 18446744073709551615 a 0; echo 18446744073709551615 a 1";
    let programs = Programs::new("end-of-time", &[("a.sh", lines)]);
    let files = ["--json=e.jsonl", "--vcd", "e.vcd", "--vcd-timescale", "1ns", "a"];
    programs.run(&[&["mon", "-c", "exec:sh a.sh", "-n", "3", "-q"][..], &files].concat());
    let seen = programs.wave("e.vcd", &["a", "a"]);
    assert_eq!(seen.last(), Some(&(u64::MAX, "1".to_owned())), "there is no other tick for it: {seen:?}");
    let replayed = programs.run(&["replay", "--fast", "e.jsonl", "--vcd", "f.vcd", "--vcd-timescale", "1ns"]);
    assert_eq!(out(&replayed).lines().count(), 3);
    assert!(err(&replayed).contains("hides 1 edge within a tick of another"), "{}", err(&replayed));
}

#[test]
fn a_first_edge_behind_a_loss_is_in_a_waveform() {
    let lines = "echo clock realtime; echo lines a; echo 1000010 a 0 5; echo 1000020 a 1 6; echo 1000030 a 0 7";
    let programs = Programs::new("first-missing", &[("a.sh", lines)]);
    for scale in ["1ns", "1us"] {
        let files = ["--csv=m.csv", "--vcd", "m.vcd", "--vcd-timescale", scale, "--overwrite", "a"];
        programs.run(&[&["mon", "-c", "exec:sh a.sh", "-n", "3", "-q"][..], &files].concat());
        let text = programs.text("m.vcd");
        let mut files = vec!["m.csv"];
        // At a coarse scale two edges hide the others, and a message says so.
        files.extend((scale == "1ns").then_some("m.vcd"));
        for file in files {
            let replayed = programs.run(&["replay", "--fast", file, "-F", "%E %m"]);
            let edges: Vec<_> = out(&replayed).lines().collect();
            let missing = if file == "m.vcd" { 1 } else { 4 };
            assert_eq!(edges, [&*format!("falling {missing}"), "rising 0", "falling 0"], "{file} {text}");
        }
    }
}

#[test]
fn chatter_names_the_chip_where_two_lines_share_a_name() {
    let lines =
        "echo clock realtime; echo lines door=0; for n in $(seq 1 30); do echo $((n*1000)) door $((n%2)) $n; done";
    let programs = Programs::new("chatter", &[("a/cards.sh", lines), ("b/cards.sh", lines)]);
    let doors = ["exec:sh a/cards.sh:door", "exec:sh b/cards.sh:door"];
    let mon = ["mon", "-q", "--for", "500ms", "--filter", "chatter=5/s", "--json=c.jsonl"];
    let watched = programs.run(&[&mon[..], &doors].concat());
    let replayed = programs.run(&["replay", "--fast", "-q", "c.jsonl"]);
    for output in [watched, replayed] {
        for name in ["a", "b"] {
            let said = format!("exec:sh {name}/cards.sh 0 \"door\" is blocked: 6 changes");
            assert!(err(&output).contains(&said), "{}", err(&output));
        }
    }
}

#[test]
fn an_edge_behind_a_loss_is_replayed_at_any_level() {
    let lines = "echo clock realtime; echo lines a=0; echo 1000010 a 1 1; echo 1000020 a 1 5; echo 1000030 a 0 6; \
        echo 1000040 a 0 8";
    let programs = Programs::new("behind-a-loss", &[("a.sh", lines)]);
    let files = ["--json=l.jsonl", "--vcd", "l.vcd", "--vcd-timescale", "1ns", "a"];
    programs.run(&[&["mon", "-c", "exec:sh a.sh", "-n", "4", "-q"][..], &files].concat());
    for file in ["l.jsonl", "l.vcd"] {
        let replayed = programs.run(&["replay", "--fast", file, "-F", "%E"]);
        assert_eq!(out(&replayed), "rising\nrising\nfalling\nfalling\n", "{file}");
    }
}
