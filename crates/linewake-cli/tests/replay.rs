//! `linewake record` and `linewake replay`, as their users run them.

#[path = "../../linewake/tests/support/schema.rs"]
mod schema;
mod support;

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use support::{Scratch, err, run};

/// Time stamp, line and direction of each edge.
fn edges(stream: &[u8]) -> Vec<(u64, u64, String)> {
    let records = std::str::from_utf8(stream).unwrap().lines().map(|line| {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    });
    let edge = |record: serde_json::Value| {
        (record["record"] == "edge").then(|| {
            let number = |key: &str| record[key].as_u64().unwrap();
            (number("timestamp_ns"), number("offset"), record["kind"].as_str().unwrap().to_owned())
        })
    };
    records.filter_map(edge).collect()
}

/// The time of each edge after that of the first.
fn apart(edges: &[(u64, u64, String)]) -> Vec<u64> {
    edges.iter().map(|edge| edge.0 - edges[0].0).collect()
}

/// Runs it until it takes less than that: a busy machine may have it take longer, but not each time.
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

#[test]
fn what_was_recorded_is_played() {
    let capture = Scratch::new("round.jsonl");
    let output = run(&["record", capture.path(), "-c", "sim", "--for", "1500ms"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(err(&output).starts_with("12 lines: "), "the account is told: {output:?}");
    let recorded = edges(&fs::read(&capture.0).unwrap());
    assert!(recorded.len() > 15, "{recorded:?}");
    let lines = |edges: &[(u64, u64, String)]| edges.iter().map(|edge| (edge.1, edge.2.clone())).collect::<Vec<_>>();

    let output = within(Duration::from_millis(1400), &["replay", capture.path(), "--fast", "--json"]);
    let fast = edges(&output.stdout);
    assert_eq!(lines(&fast), lines(&recorded));
    assert_eq!(apart(&fast), apart(&recorded), "to the nanosecond");

    let began = Instant::now();
    let output = run(&["replay", capture.path(), "--speed", "2", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let span = *apart(&recorded).last().unwrap();
    assert!(began.elapsed() >= Duration::from_nanos(span / 2));
    let faster = edges(&output.stdout);
    assert_eq!(lines(&faster), lines(&recorded));
    assert!(apart(&faster).iter().zip(apart(&recorded)).all(|(fast, slow)| fast.abs_diff(slow / 2) <= 1), "{faster:?}");

    let output = run(&["replay", capture.path(), "--fast", "--json", "pps"]);
    assert!(edges(&output.stdout).iter().all(|edge| edge.1 == 0) && !edges(&output.stdout).is_empty(), "{output:?}");
}

#[test]
fn a_waveform_is_played_and_is_the_same_again() {
    let capture = Scratch::new("wave.jsonl");
    let (first, second) = (Scratch::new("first.vcd"), Scratch::new("second.vcd"));
    run(&["record", capture.path(), "-c", "sim", "--for", "800ms", "pps", "encoder-a"]);
    for (from, to) in [(&capture, &first), (&first, &second)] {
        let output = run(&["replay", from.path(), "--fast", "--vcd", to.path(), "-q"]);
        assert!(output.status.success(), "{output:?}");
    }
    let changes = |file: &Scratch, name: &str| {
        let text = fs::read_to_string(&file.0).unwrap();
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
        let first = changes[0].0;
        changes.into_iter().map(|(at, level)| (at - first, level)).collect::<Vec<_>>()
    };
    for name in ["pps", "encoder-a"] {
        let (first, second) = (changes(&first, name), changes(&second, name));
        assert!(first.len() >= 2 && first.len() == second.len(), "{first:?} {second:?}");
        for (first, second) in first.iter().zip(&second) {
            assert!(
                first.1 == second.1 && first.0.abs_diff(second.0) <= 1,
                "{first:?} {second:?}: a tick is a microsecond"
            );
        }
    }
}

const START: &str = r#"{"record":"start","schema":2,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null}"#;
const STATE: &str = r#"{"record":"state","chip":"x","offset":3,"name":"door","level":0}"#;

fn edge(at_ns: u64, kind: &str, seqno: u32) -> String {
    format!(
        r#"{{"record":"edge","chip":"x","offset":3,"name":"door","kind":"{kind}","timestamp_ns":{at_ns},"seqno":{seqno},"line_seqno":{seqno},"missed":{{"overflowed":0,"merged":0}}}}"#
    )
}

#[test]
fn two_edges_of_a_direction_have_one_between_them() {
    let text =
        [START, STATE, &edge(1_000, "rising", 1), &edge(3_000, "rising", 3), &edge(4_000, "falling", 4)].join("\n");
    let capture = Scratch::with("same.jsonl", &format!("{text}\n"));
    let output = run(&["replay", capture.path(), "--fast", "--json"]);
    let played = edges(&output.stdout);
    assert_eq!(apart(&played), [0, 1_000, 2_000, 3_000]);
    let kinds: Vec<_> = played.iter().map(|edge| &*edge.2).collect();
    assert_eq!(kinds, ["rising", "falling", "rising", "falling"]);
    assert!(played.iter().all(|edge| edge.1 == 3), "lines keep their places");
}

#[test]
fn a_capture_that_was_cut_off_is_played_as_far_as_it_goes() {
    let text = [START, STATE, &edge(1_000, "rising", 1), &edge(3_000, "falling", 2)[..40]].join("\n");
    let capture = Scratch::with("cut.jsonl", &text);
    let output = run(&["replay", capture.path(), "--fast"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0.200000000\trising\t\"door\"\n");
    assert!(err(&output).contains("ends in the middle of a record"), "{output:?}");
}

#[test]
fn a_capture_may_begin_with_the_mark_of_utf_8() {
    let text = ["\u{feff}", START, "\n", STATE, "\n", &edge(1_000, "rising", 1), "\n"].concat();
    let capture = Scratch::with("mark.jsonl", &text);
    let output = run(&["replay", capture.path(), "--fast"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0.200000000\trising\t\"door\"\n");
}

#[test]
fn what_is_no_capture_is_refused_with_its_place() {
    let other = START.replace("\"schema\":2", "\"schema\":9");
    for (name, text, says) in [
        ("empty.jsonl", String::new(), "no lines"),
        ("text.jsonl", "hello\n".to_owned(), ":1:1: "),
        ("other.jsonl", format!("{other}\n"), "schema 9"),
        ("late.jsonl", format!("{STATE}\n"), ":1:1: it does not begin with a start record"),
        ("bad.jsonl", format!("{START}\n{STATE}\n{{\"record\":\"edge\"}}\n"), ":3:"),
        ("none.jsonl", format!("{START}\n"), "no lines"),
        ("binary.jsonl", "\u{0}\u{1}\n".to_owned(), ":1:1: "),
        ("utf16.jsonl", START.chars().flat_map(|c| [c, '\0']).collect(), "is UTF-16; save it as UTF-8"),
        ("bad.vcd", "$timescale 1 parsec $end\n".to_owned(), ":1: "),
    ] {
        let capture = Scratch::with(name, &text);
        let output = run(&["replay", capture.path(), "--fast"]);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let said = err(&output);
        assert!(said.starts_with("linewake: ") && said.lines().count() == 1, "{said}");
        assert!(said.contains(capture.path()) && said.contains(says), "{name}: {said}");
    }
    for (arguments, says) in [
        (&["replay", "/no/such/capture"][..], "\"/no/such/capture\""),
        (&["replay"], "FILE"),
        (&["replay", "x", "--speed", "0"], "0.000001"),
        (&["replay", "x", "--speed", "-2"], "\"-2\""),
        (&["replay", "x", "--speed", "fast"], "fast"),
        (&["record", "-c", "sim"], "FILE"),
        (&["record", "/no/such/place", "-c", "sim"], "\"/no/such/place\""),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = err(&output);
        assert!(said.contains(says) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

/// What does not end is not read to its end.
#[cfg(unix)]
#[test]
fn a_line_without_an_end_ends_replay() {
    for file in ["/dev/zero", "/dev/stdin"] {
        let zeros = fs::File::open("/dev/zero").unwrap();
        let output = support::linewake(&["replay", file, "--fast"]).stdin(zeros).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let remedy = "this line does not end; a capture is what \"linewake record\" writes";
        assert_eq!(err(&output), format!("linewake: \"{file}\":1: {remedy}\n"));
    }
}

#[test]
fn a_capture_of_what_passed_a_filter_is_played() {
    let capture = Scratch::new("filtered.jsonl");
    let filter = ["--filter", "chatter=3/100ms,resume=0", "button"];
    let output = run(&[&["record", capture.path(), "-c", "sim", "--for", "1500ms"], &filter[..]].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(capture.text().contains("\"record\":\"chatter\""), "{}", capture.text());
    assert!(capture.text().starts_with("{\"record\":\"start\",\"schema\":4,"), "{}", capture.text());
    let passed = edges(capture.text().as_bytes());
    // It ends with the last edge.
    let output =
        within(Duration::from_millis(1500), &["replay", capture.path(), "--fast", "--json", "--filter", "none"]);
    // Withheld edges may be put in again, between two of the same direction.
    assert!(edges(&output.stdout).len() >= passed.len() && !passed.is_empty(), "{output:?}");
}

#[test]
fn a_line_given_as_the_file_is_no_file() {
    let output = run(&["record", "pps", "-c", "sim", "-n", "1"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains("\"pps\" is the name of a line"), "{output:?}");
    assert!(!std::path::Path::new("pps").exists());
}

#[test]
fn a_capture_is_not_overwritten_by_one_that_cannot_begin() {
    let capture = Scratch::with("kept.jsonl", "kept");
    let output = run(&["record", capture.path(), "-c", "sim", "--queue-size", "1"]);
    assert_eq!((output.status.code(), capture.text().as_str()), (Some(1), "kept"), "{output:?}");
}

#[test]
fn where_it_was_written_to_is_said() {
    let scratch = Scratch::new("where.jsonl");
    let output = run(&["record", scratch.path(), "-c", "sim", "-n", "1"]);
    assert!(output.status.success(), "{output:?}");
    assert!(err(&output).ends_with(&format!("written to \"{}\"\n", scratch.path())), "{output:?}");
}
