//! `linewake record` and `linewake replay`, as their users run them.

mod support;

use std::fs;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use support::{Scratch, err, linewake, out, run};
use test_support::schema;

/// The edge records of a stream. Asserts that every record keeps to the schema.
fn edge_records(stream: &str) -> Vec<String> {
    stream.lines().for_each(|line| assert_eq!(schema::faults_of_line(line), [""; 0], "{line}"));
    stream.lines().filter(|line| line.starts_with(r#"{"record":"edge""#)).map(str::to_owned).collect()
}

/// The records of a kind.
fn records(stream: &str, kind: &str) -> Vec<serde_json::Value> {
    let records = stream.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records.filter(|record| record["record"] == kind).collect()
}

/// Plays a capture without waiting.
fn fast(capture: &Scratch, more: &[&str]) -> Output {
    run(&[&["replay", capture.path(), "--fast"], more].concat())
}

/// Time, direction and line of each edge, as text.
fn printed(output: &Output) -> Vec<&str> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    out(output).lines().collect()
}

/// Runs a command until it takes less than `limit`. A busy machine may be too slow now and then, but not each time.
fn within(limit: Duration, arguments: &[&str]) -> Output {
    for _ in 0..10 {
        let began = Instant::now();
        let output = run(arguments);
        assert!(output.status.success(), "{output:?}");
        if began.elapsed() < limit {
            return output;
        }
    }
    panic!("it never takes less than {limit:?}")
}

/// Builds a capture.
struct Stream(String);

impl Stream {
    fn new(schema: u32, clock: &str, boot: &str) -> Self {
        Self(String::new()).start(schema, clock, boot)
    }

    fn start(mut self, schema: u32, clock: &str, boot: &str) -> Self {
        let chips = if schema >= 4 {
            r#","chips":[{"chip":"gpiochip0","id":"usb-1","name":"gpiochip0","label":"left"}]"#
        } else {
            ""
        };
        self.0 += &format!(
            r#"{{"record":"start","schema":{schema},"host":"pi","boot_id":"{boot}","clock":"{clock}","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":true{chips}}}"#
        );
        self.line("")
    }

    fn line(mut self, text: &str) -> Self {
        self.0 += text;
        self.0.push('\n');
        self
    }

    fn state(self, offset: u32, name: &str, level: u8) -> Self {
        self.line(&format!(
            r#"{{"record":"state","chip":"gpiochip0","offset":{offset},"name":"{name}","level":{level}}}"#
        ))
    }

    /// An edge of line 17.
    fn door(self, at_ns: u64, kind: &str, number: u32) -> Self {
        self.door_behind(at_ns, kind, number, 0)
    }

    fn door_behind(self, at_ns: u64, kind: &str, number: u32, lost: u32) -> Self {
        self.edge(17, "door", at_ns, kind, number, lost)
    }

    fn edge(self, offset: u32, name: &str, at_ns: u64, kind: &str, number: u32, lost: u32) -> Self {
        self.line(&format!(
            r#"{{"record":"edge","chip":"gpiochip0","offset":{offset},"name":"{name}","kind":"{kind}","timestamp_ns":{at_ns},"seqno":{number},"line_seqno":{number},"missed":{{"overflowed":{lost},"merged":0}}}}"#
        ))
    }

    fn summary(self, delivered: u64, overflowed: u64, account: &str) -> Self {
        self.line(&format!(
            r#"{{"record":"summary","lines":[{{"chip":"gpiochip0","offset":17,"name":"door","delivered":{delivered},"overflowed":{overflowed},"merged":0,"discarded":0,"account":"{account}","filter":null}}],"unattributed":0,"threads":2}}"#
        ))
    }

    /// Cuts off the last bytes, as a power failure does.
    fn cut(mut self, bytes: usize) -> Self {
        self.0.truncate(self.0.len() - bytes);
        self
    }

    fn save(&self, name: &str) -> Scratch {
        Scratch::with(name, &self.0)
    }
}

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_recording_is_played_as_it_was_recorded() {
    let capture = Scratch::new("round.jsonl");
    let output = run(&["record", capture.path(), "-c", "sim", "--for", "1500ms"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(err(&output).starts_with("12 lines: "), "the account is told: {output:?}");
    let recorded = capture.text();
    assert!(edge_records(&recorded).len() > 15, "{recorded}");

    let output = within(Duration::from_millis(1400), &["replay", capture.path(), "--fast", "--json"]);
    assert_eq!(edge_records(out(&output)), edge_records(&recorded), "to the nanosecond, with all numbers");
    for kind in ["start", "state"] {
        assert_eq!(records(out(&output), kind), records(&recorded, kind));
    }
    let lines = |stream: &str| records(stream, "summary")[0]["lines"].clone();
    assert_eq!(lines(out(&output)), lines(&recorded), "the account is the captured one");

    let began = Instant::now();
    let output = run(&["replay", capture.path(), "--speed", "2", "--json"]);
    let stamps = records(&recorded, "edge").into_iter().map(|edge| edge["timestamp_ns"].as_u64().unwrap());
    let stamps: Vec<_> = stamps.collect();
    assert!(began.elapsed() >= Duration::from_nanos((stamps.last().unwrap() - stamps[0]) / 2));
    assert_eq!(edge_records(out(&output)), edge_records(&recorded), "stamps do not depend on the speed");

    let output = fast(&capture, &["--json", "pps"]);
    let edges = records(out(&output), "edge");
    assert!(!edges.is_empty() && edges.iter().all(|edge| edge["name"] == "pps"), "{output:?}");
}

#[test]
fn lines_are_those_that_were_captured() {
    let capture =
        Stream::new(3, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1).summary(1, 0, "exact");
    let output = fast(&capture.save("one.jsonl"), &["--banner"]);
    assert_eq!(
        printed(&output),
        ["Monitoring line door...".replace("door", "'door'"), "1.000000000\trising\t\"door\"".into()]
    );
    assert!(err(&output).starts_with("1 line: 1 edge delivered, none lost"), "{output:?}");
    for line in ["17", "door", "gpiochip0:17", "gpiochip0:door"] {
        assert_eq!(printed(&fast(&capture.save("one.jsonl"), &[line])).len(), 1, "{line}");
    }
    let output = fast(&capture.save("one.jsonl"), &["gate"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).ends_with("one.jsonl\" has no line \"gate\"; it has \"door\"\n"), "{output:?}");
}

#[test]
fn a_waveform_is_played_and_is_the_same_again() {
    let capture = Scratch::new("wave.jsonl");
    let (first, second) = (Scratch::new("first.vcd"), Scratch::new("second.vcd"));
    run(&["record", capture.path(), "-c", "sim", "--for", "800ms", "pps", "encoder-a"]);
    for (from, to) in [(&capture, &first), (&first, &second)] {
        assert!(fast(from, &["--vcd", to.path(), "-q"]).status.success());
    }
    let changes = |file: &Scratch, name: &str| {
        let text = file.text();
        let variable = text.lines().find(|line| line.starts_with("$var") && line.contains(&format!(" {name} ")));
        let code = variable.unwrap().split(' ').nth(3).unwrap().to_owned();
        let (mut at, mut changes) = (0_u64, Vec::new());
        for line in text.lines() {
            if let Some(tick) = line.strip_prefix('#').and_then(|tick| tick.parse().ok()) {
                at = tick;
            } else if at > 0 && line.len() > 1 && line[1..] == code {
                changes.push((at, line[..1].to_owned()));
            }
        }
        changes
    };
    for name in ["pps", "encoder-a"] {
        let (first, second) = (changes(&first, name), changes(&second, name));
        assert!(first.len() >= 2, "{first:?}");
        assert_eq!(first, second);
    }
}

#[test]
fn no_edge_and_no_level_is_made_up() {
    let capture = Stream::new(3, "monotonic", "b")
        .state(17, "door", 0)
        .door(1_000, "rising", 1)
        .door_behind(3_000, "rising", 3, 1)
        .door(4_000, "falling", 4)
        .summary(3, 1, "exact")
        .save("same.jsonl");
    let output = fast(&capture, &["-F", "%S %E %Q %m"]);
    let expected = ["0.000001000 rising 1 0", "0.000003000 rising 3 1", "0.000004000 falling 4 0"];
    assert_eq!(printed(&output), expected);
    assert!(err(&output).starts_with("1 line: 3 edges delivered, 1 lost (1 overflowed)"), "{output:?}");
    let output = fast(&capture, &["--fail-on-loss", "-q"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("--fail-on-loss: 1 edge lost"), "{output:?}");
}

#[test]
fn a_capture_that_was_cut_off_is_played_up_to_there() {
    let capture = Stream::new(2, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    let capture = capture.door(3 * SECOND, "falling", 2).cut(40).save("cut.jsonl");
    let output = fast(&capture, &[]);
    assert_eq!(printed(&output), ["1.000000000\trising\t\"door\""]);
    assert!(err(&output).contains("ends in the middle of a record"), "{output:?}");
    assert!(err(&output).contains("1 edge delivered, at least 0 lost"), "nobody says what came behind: {output:?}");
}

#[test]
fn captures_that_were_appended_are_played_one_after_the_other() {
    let first =
        Stream::new(4, "monotonic", "b").state(17, "door", 0).door(5 * SECOND, "rising", 1).summary(1, 2, "exact");
    // A record is cut off, and another one begins on the same line; then blocks of zeros, and a blank line.
    let second = first.start(4, "monotonic", "c").state(17, "door", 1).door(SECOND, "falling", 1);
    let second = second.door(2 * SECOND, "rising", 2).cut(50).start(4, "realtime", "c").state(17, "door", 1);
    let third = second.state(4, "bell", 0).door(9 * SECOND, "falling", 1).line("\0\0\0\0\0").line("");
    let capture = third.edge(4, "bell", 10 * SECOND, "rising", 1, 0).save("appended.jsonl");

    let output = fast(&capture, &[]);
    let stamps: Vec<_> = printed(&output).iter().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(stamps, ["5.000000000", "1.000000000", "9.000000000", "10.000000000"], "as captured");
    for says in
        [":8: a record is cut off, and another capture begins", "has zeros", "\" has 3 segments, one after the other"]
    {
        assert!(err(&output).contains(says), "{says}: {output:?}");
    }

    let output = fast(&capture, &["--json"]);
    edge_records(out(&output));
    let clocks: Vec<_> =
        records(out(&output), "start").iter().map(|start| (start["clock"].clone(), start["boot_id"].clone())).collect();
    assert_eq!(
        clocks,
        [("monotonic".into(), "b".into()), ("monotonic".into(), "c".into()), ("realtime".into(), "c".into())]
    );
    let accounts = records(out(&output), "summary");
    let account = |at: usize| {
        let line = &accounts[at]["lines"][0];
        (line["delivered"].as_u64(), line["overflowed"].as_u64(), line["account"].as_str())
    };
    let each =
        [(Some(1), Some(2), Some("exact")), (Some(1), Some(0), Some("at least")), (Some(1), Some(0), Some("at least"))];
    assert_eq!([account(0), account(1), account(2)], each, "each has an account of its own");

    // All edges are on one axis, with the line that came later.
    let wave = Scratch::new("appended.vcd");
    assert!(fast(&capture, &["-q", "--vcd", wave.path(), "--vcd-timescale", "1ms"]).status.success());
    let text = wave.text();
    let ticks: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix('#')?.parse().ok()).collect();
    assert!(ticks.is_sorted() && *ticks.last().unwrap() >= 1000, "{text}");
    assert!(text.contains(" bell ") && text.contains(" door "), "{text}");
    assert_eq!(printed(&fast(&capture, &["bell"])).len(), 1, "a line of a later segment");
}

/// As `--json-strings` writes them.
#[test]
fn whole_numbers_may_be_strings() {
    let stamp = u64::MAX - 1;
    let capture = Stream::new(4, "monotonic", "b").state(17, "door", 0).door(stamp - 1, "rising", 1);
    let capture = capture.door(stamp, "falling", 2).summary(2, 0, "exact").save("plain.jsonl");
    let strings = Scratch::new("strings.jsonl");
    fs::write(&strings.0, fast(&capture, &["--json", "--json-strings"]).stdout).unwrap();
    assert!(strings.text().contains(&format!("\"timestamp_ns\":\"{stamp}\"")), "{}", strings.text());
    let output = fast(&strings, &["--json"]);
    assert_eq!(edge_records(out(&output)), edge_records(&capture.text()));
    assert_eq!(records(out(&output), "summary")[0]["lines"], records(&capture.text(), "summary")[0]["lines"]);
}

#[test]
fn levels_are_unknown_between_two_watches() {
    let first =
        Stream::new(4, "monotonic", "b").state(17, "door", 0).door(5 * SECOND, "rising", 1).summary(1, 0, "exact");
    let second =
        first.start(4, "monotonic", "b").state(17, "door", 1).door(9 * SECOND, "falling", 1).summary(1, 0, "exact");
    let wave = Scratch::new("between.vcd");
    assert!(
        fast(&second.save("between.jsonl"), &["-q", "--vcd", wave.path(), "--vcd-timescale", "1ms"]).status.success()
    );
    let text = wave.text();
    let (before, after) = text.split_once("\nx!\n").unwrap_or_else(|| panic!("{text}"));
    assert!(before.contains("\n1!\n") && after.contains("#4001\n") && after.contains("\n0!\n"), "{text}");
}

#[test]
fn two_chips_of_one_name_are_two() {
    let start = r#"{"record":"start","schema":4,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null,"chips":[{"chip":"exec:sh a","id":"exec:sh a","name":"sh","label":"sh"},{"chip":"exec:sh b","id":"exec:sh b","name":"sh","label":"sh"}]}"#;
    let mut text = format!("{start}\n");
    for (number, chip) in [(1, "exec:sh a"), (1, "exec:sh b"), (2, "exec:sh a"), (2, "exec:sh b")] {
        let kind = if number == 1 { "rising" } else { "falling" };
        text += &format!(
            r#"{{"record":"edge","chip":"{chip}","offset":0,"name":"door","kind":"{kind}","timestamp_ns":{number},"seqno":{number},"line_seqno":{number},"missed":{{"overflowed":0,"merged":0}}}}"#
        );
        text.push('\n');
    }
    let capture = Scratch::with("twins.jsonl", &text);
    let output = fast(&capture, &["-F", "%c %l %E"]);
    let expected =
        ["exec:sh a door rising", "exec:sh b door rising", "exec:sh a door falling", "exec:sh b door falling"];
    assert_eq!(printed(&output), expected);
    assert!(err(&output).starts_with("2 lines: 4 edges delivered"), "{output:?}");
    assert_eq!(printed(&fast(&capture, &["exec:sh b:door"])).len(), 2);
    let output = fast(&capture, &["--json"]);
    assert_eq!(
        records(out(&output), "start")[0]["chips"],
        serde_json::from_str::<serde_json::Value>(start).unwrap()["chips"]
    );
    let summary = &records(out(&output), "summary")[0]["lines"];
    assert_eq!((summary[0]["chip"].as_str(), summary[1]["chip"].as_str()), (Some("exec:sh a"), Some("exec:sh b")));
}

/// Every output marks the step, and each edge has its own time.
#[test]
fn a_clock_step_without_a_record_is_reported() {
    let half = SECOND / 2;
    let capture = Stream::new(3, "realtime", "b").state(17, "door", 0).door(6 * half, "rising", 1);
    let capture = capture.door(8 * half, "falling", 2).door(5 * half, "rising", 3).door(7 * half, "falling", 4);
    let capture = capture.save("untold.jsonl");
    let wave = Scratch::new("untold.vcd");
    let output = fast(&capture, &["--json"]);
    let steps = records(out(&output), "clock");
    let step = |key: &str| steps[0][key].as_u64();
    assert_eq!(steps.len(), 1, "{output:?}");
    let expected = [8 * half, 5 * half, 8 * half + 1000].map(Some);
    assert_eq!(["before_ns", "after_ns", "arrival_ns"].map(step), expected);
    assert!(err(&output).contains("is unknown, and taken as 1 us"), "{output:?}");
    let output = fast(&capture, &["--vcd", wave.path()]);
    assert!(output.status.success(), "{output:?}");
    let text = wave.text();
    assert!(text.contains("$comment"), "{text}");
    let changes = text.lines().filter(|line| line.starts_with(['0', '1'])).count();
    assert!(changes >= 5, "a level and four edges: {text}");
    let output = fast(&capture, &["--csv"]);
    assert_eq!(out(&output).lines().filter(|row| row.contains(",clock,")).count(), 2, "{output:?}");
    // The output can be read back, with the same step and on the same axis.
    let again = Scratch::with("untold_again.jsonl", out(&fast(&capture, &["--json"])));
    assert_eq!(records(out(&fast(&again, &["--json"])), "clock"), steps);
}

/// The standard output of two services is one file.
#[test]
fn two_watches_in_one_file_have_every_edge_in_the_account() {
    let summary = r#"{"record":"summary","lines":[{"chip":"gpiochip0","offset":17,"name":"door","delivered":2,"overflowed":0,"merged":0,"discarded":0,"account":"exact"}],"unattributed":0}"#;
    let start = |stream: Stream| stream.start(4, "monotonic", "b").state(17, "door", 0);
    let capture = start(Stream(String::new())).door(SECOND, "rising", 1);
    let capture = start(capture).door(2 * SECOND, "falling", 2).door(2 * SECOND, "rising", 1);
    let capture = capture.line(summary).door(3 * SECOND, "falling", 2).line(summary).save("two.jsonl");
    let output = fast(&capture, &[]);
    assert_eq!(printed(&output).len(), 4, "{output:?}");
    assert!(err(&output).contains("1 line: 4 edges delivered"), "{output:?}");
    assert!(err(&output).contains("was written by several watches at the same time"), "{output:?}");
}

/// No record shows the step, but the numbers of the line do.
#[test]
fn a_clock_that_was_set_back_loses_no_edge() {
    let day = 1_700_000_000 * SECOND;
    let capture = Stream::new(3, "realtime", "b")
        .state(17, "door", 0)
        .door(day + 3 * SECOND, "rising", 1)
        .door(day + 4 * SECOND, "falling", 2)
        .door(day + 2 * SECOND, "rising", 3)
        .door(day + 3 * SECOND, "falling", 4)
        .save("stepped.jsonl");
    let wave = Scratch::new("stepped.vcd");
    let output = fast(&capture, &["-F", "%Q %S", "--vcd", wave.path(), "--vcd-timescale", "1ms"]);
    let expected =
        ["1 1700000003.000000000", "2 1700000004.000000000", "3 1700000002.000000000", "4 1700000003.000000000"];
    assert_eq!(printed(&output), expected);
    assert!(err(&output).contains("stepped.jsonl\":5: the clock was set back by 2.000000000 s here"), "{output:?}");
    let text = wave.text();
    let ticks: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix('#')?.parse().ok()).collect();
    assert!(ticks.is_sorted(), "{text}");
    assert!(ticks.last().unwrap() - ticks[1] >= 2000, "a second before and one behind: {text}");
}

#[test]
fn a_recorded_clock_step_of_fifty_years_is_not_waited_for() {
    let years = 50 * 31_536_000 * SECOND;
    let step = format!(
        r#"{{"record":"clock","chip":"gpiochip0","before_ns":{SECOND},"after_ns":{years},"arrival_ns":{}}}"#,
        SECOND + 5
    );
    let capture = Stream::new(4, "realtime", "b").state(17, "door", 0).door(SECOND, "rising", 1).line(&step);
    let capture = capture.door(years, "falling", 2).door(years + 1, "rising", 3).save("years.jsonl");
    let began = Instant::now();
    let output = run(&["replay", capture.path(), "--json"]);
    assert!(output.status.success() && began.elapsed() < Duration::from_secs(60), "{output:?}");
    let edges = records(out(&output), "edge");
    assert_eq!((edges.len(), edges[1]["timestamp_ns"].as_u64()), (3, Some(years)));
    assert_eq!(records(out(&output), "clock")[0], serde_json::from_str::<serde_json::Value>(&step).unwrap());
}

#[test]
fn times_stay_whole_numbers_after_a_year() {
    let year = 31_536_000 * SECOND;
    let capture = Stream::new(3, "monotonic", "b").state(17, "door", 0).door(SECOND + 1, "rising", 1);
    let capture = capture.door(SECOND + 3, "falling", 2).door(year + 1, "rising", 3).door(year + 3, "falling", 4);
    let output = fast(&capture.save("year.jsonl"), &["--csv"]);
    let stamps = out(&output).lines().filter(|row| row.contains("ing,"));
    let stamps: Vec<u64> = stamps.map(|row| row.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(stamps, [SECOND + 1, SECOND + 3, year + 1, year + 3]);
}

#[test]
fn it_is_played_as_it_was_timed() {
    let capture = Stream::new(3, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    let capture = capture.door(7 * SECOND, "falling", 2).save("timed.jsonl");
    let began = Instant::now();
    let output = run(&["replay", capture.path(), "--speed", "12.5"]);
    assert!(output.status.success() && began.elapsed() >= Duration::from_millis(480), "{output:?}");
    within(Duration::from_millis(450), &["replay", capture.path(), "--fast"]);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_long_silence_at_once() {
    let capture = Stream::new(3, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    let capture = capture.door(SECOND * 1_000_000, "falling", 2).save("silent.jsonl");
    for file in [capture.path(), "-"] {
        let mut replay = linewake(&["replay", file]);
        let mut child = replay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if file == "-" {
            // The signal must come while the command waits for the pipe, not for the time of an edge.
            let some = capture.text().lines().take(3).collect::<Vec<_>>().join("\n");
            stdin.write_all(format!("{some}\n").as_bytes()).unwrap();
        }
        let mut first = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        let began = Instant::now();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(60), "{output:?}");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(err(&output).contains("not all of the capture was played: a signal ended it"), "{output:?}");
        if file != "-" {
            assert!(err(&output).contains("nothing comes for 11 days; --fast does not wait"), "{output:?}");
        }
        drop(stdin);
    }
}

#[test]
fn an_early_end_is_reported() {
    let mut capture = Stream::new(3, "monotonic", "b").state(17, "door", 0);
    for (number, at_s) in [(1, 10), (2, 11), (3, 12), (4, 20), (5, 21)] {
        capture = capture.door(at_s * SECOND, if number % 2 == 1 { "rising" } else { "falling" }, number);
    }
    let capture = capture.summary(5, 0, "exact").save("ends.jsonl");
    for (arguments, edges, code, says) in [
        (&[][..], 5, 0, "1 line: 5 edges delivered, none lost"),
        (&["-n", "2"], 2, 0, "2 edges delivered, at least 0 lost"),
        (&["-n", "6"], 5, 3, "5 of 6 edges came, and the capture was over"),
        (&["--for", "2s"], 3, 0, "3 edges delivered"),
        (&["--for", "1d"], 5, 0, "5 edges delivered"),
        (&["--for", "2s", "-n", "4"], 3, 3, "3 of 4 edges came, and --for was over"),
        (&["--idle-timeout", "5s"], 3, 0, "3 edges delivered"),
        (&["--idle-timeout", "9s"], 5, 0, "5 edges delivered"),
        (&["--idle-timeout", "5s", "-n", "4"], 3, 3, "3 of 4 edges came, and --idle-timeout was over"),
    ] {
        let output = fast(&capture, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert_eq!(out(&output).lines().count(), edges, "{arguments:?}: {output:?}");
        assert!(err(&output).contains(says), "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_filter_passes_the_edges_that_it_would_have_passed_then() {
    // The line bounces: 3 edges within 2 ms, and again at the release; then a glitch.
    let mut capture = Stream::new(3, "monotonic", "b").state(17, "door", 0);
    let times_us = [0, 500, 900, 90_000, 90_400, 90_800, 200_000, 200_300];
    for (number, at_us) in (1..).zip(times_us) {
        let kind = if number % 2 == 1 { "rising" } else { "falling" };
        capture = capture.door(SECOND + at_us * 1000, kind, number);
    }
    let capture = capture.save("bounces.jsonl");
    let output = fast(&capture, &["--filter", "debounce=5ms", "-F", "%Q %E"]);
    assert_eq!(printed(&output), ["1 rising", "4 falling"]);
    assert!(err(&output).contains("--filter: 8 edges delivered, 2 passed, 6 filtered"), "{output:?}");
    let output = fast(&capture, &["--filter", "debounce=5ms", "--json"]);
    let line = &records(out(&output), "summary")[0]["lines"][0];
    let filter = |key: &str| line["filter"][key].as_u64().unwrap();
    assert_eq!(line["delivered"].as_u64().unwrap(), filter("passed") + filter("filtered") + filter("held"));
}

#[test]
fn a_capture_of_what_passed_a_filter_is_played() {
    let capture = Scratch::new("filtered.jsonl");
    let filter = ["--filter", "chatter=3/100ms,resume=0", "button"];
    let output = run(&[&["record", capture.path(), "-c", "sim", "--for", "1500ms"], &filter[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let recorded = capture.text();
    assert!(recorded.contains("\"record\":\"chatter\""), "{recorded}");
    let output = fast(&capture, &["--json"]);
    assert_eq!(edge_records(out(&output)), edge_records(&recorded));
    for kind in ["chatter", "gap"] {
        assert_eq!(records(out(&output), kind), records(&recorded, kind));
    }
    assert_eq!(records(out(&output), "summary")[0]["lines"], records(&recorded, "summary")[0]["lines"]);
}

#[test]
fn csv_is_played_as_the_records_are() {
    let capture = Stream::new(4, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    let capture = capture.door_behind(2 * SECOND, "rising", 5, 3).door(3 * SECOND, "falling", 6).save("rows.jsonl");
    let rows = Scratch::new("rows.csv");
    fs::write(&rows.0, fast(&capture, &["--csv"]).stdout).unwrap();
    let output = fast(&rows, &["--json"]);
    assert_eq!(edge_records(out(&output)), edge_records(&capture.text()));
    assert_eq!(records(out(&output), "state"), records(&capture.text(), "state"));
    // The capture is twice in one file, and cut off.
    let text = rows.text();
    let twice = Scratch::with("twice.csv", &format!("{text}{}", &text[..text.len() - 9]));
    let output = fast(&twice, &[]);
    assert_eq!(printed(&output).len(), 5);
    assert!(err(&output).contains("ends in the middle of a row"), "{output:?}");
    assert!(err(&output).contains("has 2 segments"), "{output:?}");
}

const DUMP: &str = "$timescale 1 us $end
$scope module top $end
$var wire 1 ! a $end
$var wire 2 \" b [1:0] $end
$upscope $end
$enddefinitions $end
#0
0!
b00 \"
#10
1!
#20
b10 \"
";

#[test]
fn a_waveform_is_recognised_by_its_contents() {
    for name in ["bits.vcd", "BITS.VCD", "bits.txt"] {
        let wave = Scratch::with(name, DUMP);
        let output = fast(&wave, &[]);
        assert_eq!(printed(&output), ["0.000010000\trising\t\"a\"", "0.000020000\trising\t\"b[1]\""], "{name}");
        assert!(err(&output).starts_with("3 lines: 2 edges delivered, none lost"), "{output:?}");
        assert_eq!(printed(&fast(&wave, &["b[1]"])).len(), 1);
        assert_eq!(printed(&fast(&wave, &["b"])).len(), 1, "all bits of it");
        assert_eq!(printed(&fast(&wave, &["2"])).len(), 1, "by its place");
    }
    for name in ["-", "/dev/stdin"] {
        if cfg!(windows) && name != "-" {
            continue;
        }
        let mut replay = linewake(&["replay", name, "--fast"]);
        let mut child = replay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(DUMP.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(printed(&output).len(), 2, "{output:?}");
    }
}

#[test]
fn lines_of_a_large_waveform_must_be_chosen() {
    let mut text = String::from("$scope module top $end\n");
    (0..1500).for_each(|wire| text += &format!("$var wire 1 n{wire} net{wire} $end\n"));
    text += "$upscope $end $enddefinitions $end\n#0\n";
    (0..1500).for_each(|wire| text += &format!("0n{wire}\n"));
    let wave = Scratch::with("large.vcd", &(text + "#5\n1n1400\n1n3\n"));
    let output = fast(&wave, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        err(&output).contains("has 1500 lines, and at most 1024") && err(&output).contains("choose some"),
        "{output:?}"
    );
    for line in ["net1400", "1400", "top.net1400"] {
        assert_eq!(printed(&fast(&wave, &[line])), ["0.000000005\trising\t\"net1400\""], "{line}");
    }
    let output = fast(&wave, &["nett"]);
    assert!(err(&output).contains("has no line \"nett\"; it has \"net0\", \"net1\","), "{output:?}");
}

#[test]
fn a_bias_sets_the_level_of_an_undriven_wire() {
    let text = "$var wire 1 ! sda $end $enddefinitions $end\n#0\nz!\n#10\n0!\n#20\nz!\n";
    let wave = Scratch::with("drain.vcd", text);
    let output = fast(&wave, &[]);
    assert!(printed(&output).is_empty() && err(&output).contains("--bias pull-up"), "{output:?}");
    assert_eq!(printed(&fast(&wave, &["-b", "pull-up"])).len(), 2);
    assert!(printed(&fast(&wave, &["-b", "pull-down"])).is_empty());
}

#[test]
fn a_capture_may_begin_with_a_byte_order_mark() {
    let capture = Stream::new(2, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    let capture = Scratch::with("mark.jsonl", &format!("\u{feff}{}", capture.0));
    assert_eq!(printed(&fast(&capture, &[])), ["1.000000000\trising\t\"door\""]);
}

/// Edges from a pipe are printed while it is open: the edge of "door" after a second.
fn tells_before_the_end(arguments: &[&str], text: &str) {
    let mut replay = linewake(arguments);
    let mut child = replay.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    let mut line = vec![0; "1.000000000\trising\t\"door\"\n".len()];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), "1.000000000\trising\t\"door\"\n");
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
}

/// A pipe stays open, and its edges are printed as they come.
#[test]
fn edges_from_a_pipe_are_printed_at_once() {
    let capture = Stream::new(4, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
    tells_before_the_end(&["replay", "-", "--fast"], &capture.0);
}

/// The next item may take long, so edges are printed before it, even if the last item prints nothing.
#[test]
fn each_burst_from_a_pipe_is_printed_before_the_next() {
    let records = Stream::new(4, "monotonic", "b")
        .state(17, "door", 0)
        .door(SECOND, "rising", 1)
        .line(r#"{"record":"summary","lines":[],"unattributed":0}"#);
    let wave = "$timescale 1ns $end $var wire 1 ! door $end $var wire 1 x y $end $enddefinitions $end\n\
        #0\n0!\n0x\n#1000000000\n1!\n#1000000001\n1x\n#1000000002\n";
    let rows = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n\
        1000000000,c,1,door,rising,1,1,1,0,0\nsaid\n";
    for burst in [&*records.0, wave, rows] {
        tells_before_the_end(&["replay", "-", "--fast", "door"], burst);
    }
}

/// The first bytes tell the format. The message has the name in one pair of quotes.
#[test]
fn a_truncated_fst_is_named_in_the_error() {
    let packed = [&[254, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 1, 0][..], &[0x1f, 0x8b, 8, 0, 9, 9, 9]].concat();
    let plain = [&[0, 0, 0, 0, 0, 0, 0, 1, 0x49][..], &[7; 40]].concat();
    for bytes in [&packed[..5], &packed, &plain] {
        let capture = Scratch::new("cut.fst");
        fs::write(capture.path(), bytes).unwrap();
        let output = fast(&capture, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let begin = format!("linewake: cannot read \"{}\": ", capture.path());
        assert!(err(&output).starts_with(&begin), "{output:?}");
    }
}

/// Memory does not grow with the length of the capture.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_the_same_after_ten_times_as_many_edges() {
    let peak_kib = |edges: u32| {
        let wave = Scratch::new(&format!("memory-{edges}.vcd"));
        let rows = Scratch::new(&format!("memory-{edges}.csv"));
        let mut replay =
            linewake(&["replay", "-", "--fast", "--vcd", wave.path(), &format!("--csv={}", rows.path()), "-q"]);
        let mut child = replay.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = std::io::BufWriter::new(child.stdin.take().unwrap());
        stdin.write_all(Stream::new(4, "monotonic", "b").state(17, "door", 0).0.as_bytes()).unwrap();
        for number in 1..=edges {
            let kind = if number % 2 == 1 { "rising" } else { "falling" };
            let edge = Stream(String::new()).door_behind(u64::from(number) * 1000, kind, number, number % 2);
            stdin.write_all(edge.0.as_bytes()).unwrap();
        }
        stdin.flush().unwrap();
        // It has read everything but what the pipe holds.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (few, many) = (peak_kib(50_000), peak_kib(500_000));
    assert!(many < few + 4096, "{few} KiB, and {many} KiB");
}

/// Edges before the fault are printed, and then the place of the fault.
#[test]
fn a_capture_that_is_wrong_further_on_is_played_as_far_as_that() {
    let capture = Stream::new(3, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1).line("{\"record\":");
    let capture = capture.door(2 * SECOND, "falling", 2).save("wrong.jsonl");
    let output = fast(&capture, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(out(&output), "1.000000000\trising\t\"door\"\n");
    assert!(err(&output).contains("wrong.jsonl\":4:"), "{output:?}");
}

/// A line without an end is not read to its end.
#[cfg(unix)]
#[test]
fn replay_fails_at_a_line_without_an_end() {
    let zeros = fs::File::open("/dev/zero").unwrap();
    let output = support::linewake(&["replay", "/dev/stdin", "--fast"]).stdin(zeros).output().unwrap();
    assert_eq!((output.status.code(), out(&output)), (Some(1), ""), "{output:?}");
    let remedy = "this line has no end; a capture is what \"linewake record\" writes";
    assert_eq!(err(&output), format!("linewake: \"/dev/stdin\":1: {remedy}\n"));
}

#[test]
fn a_capture_is_not_overwritten_by_one_that_cannot_begin() {
    let capture = Scratch::with("kept.jsonl", "kept");
    let output = run(&["record", capture.path(), "-c", "sim", "--queue-size", "1"]);
    assert_eq!((output.status.code(), capture.text().as_str()), (Some(1), "kept"), "{output:?}");
}

#[test]
fn record_says_where_it_wrote_to() {
    let scratch = Scratch::new("where.jsonl");
    let output = run(&["record", scratch.path(), "-c", "sim", "-n", "1"]);
    assert!(output.status.success(), "{output:?}");
    assert!(err(&output).ends_with(&format!("written to \"{}\"\n", scratch.path())), "{output:?}");
}

#[test]
fn the_level_of_a_chip_that_returned_is_no_edge() {
    let gap = |to_ns: &str, over: bool| {
        format!(
            r#"{{"record":"gap","chip":"gpiochip0","reason":"unplugged","from_ns":{SECOND},"to_ns":{to_ns},"over":{over},"delivered":1,"overflowed":0,"merged":0,"discarded":0}}"#
        )
    };
    for level in [0, 1] {
        let back = (2 * SECOND).to_string();
        let capture = Stream::new(4, "monotonic", "b").state(17, "door", 0).door(SECOND, "rising", 1);
        let capture = capture.line(&gap("null", false)).line(&gap(&back, true)).state(17, "door", level);
        let capture =
            capture.door_behind(3 * SECOND, "rising", 2 + u32::from(level), u32::from(level == 1)).save("back.jsonl");
        let wave = Scratch::new("back.vcd");
        assert_eq!(printed(&fast(&capture, &["--vcd", wave.path()])).len(), 2);
        let output = fast(&wave, &["-F", "%E"]);
        assert_eq!(printed(&output), ["rising", "rising"], "{level}: {}", wave.text());
    }
}
