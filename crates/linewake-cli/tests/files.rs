//! Files that live long: appended to, moved away while they are written, and opened again.
#![cfg_attr(not(unix), allow(unused_imports, dead_code, reason = "half of it is about signals"))]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
#[cfg(unix)]
use support::{ends, signal};
use support::{err, linewake, output, run, until};
use test_support::schema;

/// A directory of this test's own, with a chip whose line "door" changes every 10 ms.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = Self(std::env::temp_dir().join(format!("linewake-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&place.0).unwrap();
        place.write("chip.toml", "[[line]]\nname = \"door\"\nperiod = \"20ms\"\n[[line]]\nname = \"bell\"\n");
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn chip(&self) -> String {
        format!("sim:{}", self.path("chip.toml"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Watches for three edges, and writes all three formats.
    fn watch(&self, more: &[&str]) -> std::process::Output {
        let (json, csv) = (format!("--json={}", self.path("a.jsonl")), format!("--csv={}", self.path("a.csv")));
        let (chip, vcd) = (self.chip(), self.path("a.vcd"));
        run(&[&["mon", "-q", "-c", &chip, "-n", "3", &json, &csv, "--vcd", &vcd], more].concat())
    }

    fn records(&self, name: &str) -> Vec<Value> {
        let text = self.text(name);
        assert_eq!(text.lines().flat_map(schema::faults_of_line).collect::<Vec<_>>(), [""; 0], "{name}: {text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The edges of the door in a waveform: ticks and levels, after the first level.
    fn wave(&self, name: &str) -> Vec<(u64, String)> {
        let mut waveform = wellen::simple::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let first = waveform.hierarchy().scopes().next().unwrap();
        let scope = waveform.hierarchy()[first].name(waveform.hierarchy()).to_owned();
        let door = waveform.hierarchy().lookup_var(&[&*scope], "door").unwrap();
        let door = waveform.hierarchy()[door].signal_ref();
        waveform.load_signals(&[door]);
        let times = waveform.time_table().to_vec();
        let changes = waveform.get_signal(door).unwrap().iter_changes();
        let mut changes: Vec<_> =
            changes.map(|(at, value)| (times[at as usize], value.to_bit_string().unwrap())).collect();
        // An edge that was on its way at the end is discarded, so the level is unknown from there on.
        changes.pop_if(|(_, level)| level == "x");
        assert!(changes.iter().all(|(_, level)| level != "x"), "{name}: {changes:?}");
        changes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["record"] == kind).collect()
}

#[test]
fn files_are_emptied_unless_append_is_given() {
    let place = Place::new("append");
    for more in [&[][..], &["--overwrite"], &[]] {
        let output = place.watch(more);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(of_kind(&place.records("a.jsonl"), "start").len(), 1);
    }
    let rows = place.text("a.csv").lines().count();
    for times in 2..4 {
        let output = place.watch(&["--append"]);
        assert!(output.status.success(), "{output:?}");
        let records = place.records("a.jsonl");
        assert_eq!(of_kind(&records, "start").len(), times, "each watch begins a segment");
        assert_eq!(of_kind(&records, "summary").len(), times, "with its own account");
        let csv = place.text("a.csv");
        assert_eq!(csv.lines().count(), times * (rows - 1) + 1);
        assert_eq!(csv.matches("timestamp_ns").count(), 1, "the header is there once: {csv}");
        let renamed = format!("a.{}.vcd", times - 1);
        assert!(err(&output).contains(&renamed), "it is said: {output:?}");
        assert_eq!(place.wave(&renamed).len(), 4, "what was there is whole");
        assert_eq!(place.wave("a.vcd").len(), 4);
    }
    let record = |more: &[&str]| {
        let (chip, file) = (place.chip(), place.path("r.jsonl"));
        let output = run(&[&["record", &file, "-c", &chip, "-n", "1"], more].concat());
        assert!(output.status.success(), "{output:?}");
        of_kind(&place.records("r.jsonl"), "start").len()
    };
    assert_eq!([record(&[]), record(&["--append"]), record(&["--append"]), record(&[])], [1, 2, 3, 1]);
    assert_eq!(place.watch(&["--append", "--overwrite"]).status.code(), Some(1));
}

#[test]
fn a_record_that_was_cut_off_is_not_continued() {
    let place = Place::new("cut");
    assert!(place.watch(&[]).status.success());
    let (json, csv) = (place.text("a.jsonl"), place.text("a.csv"));
    // The last record is cut off, as by a power failure.
    place.write("a.jsonl", &json[..json.len() - 20]);
    place.write("a.csv", &csv[..csv.len() - 12]);
    let output = place.watch(&["--append"]);
    assert!(output.status.success(), "{output:?}");
    assert!(err(&output).contains("its last record was cut off"), "{output:?}");
    assert!(err(&output).contains("its last row was cut off"), "{output:?}");
    let good = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
    let text = place.text("a.jsonl");
    assert_eq!(text.lines().filter(|line| !good(line)).count(), 1, "it costs that record only: {text}");
    assert_eq!(text.matches("\"record\":\"start\"").count(), 2);
    let rows = place.text("a.csv");
    assert!(rows.lines().all(|row| row.split(',').count() == 10 && row.ends_with(|end: char| end != ',')), "{rows}");
    assert_eq!(rows.lines().count(), 2 * csv.lines().count() - 2, "one row is taken away, and no header is added");
}

#[test]
fn a_file_of_another_kind_is_written_over_if_that_is_asked_for() {
    let place = Place::new("other");
    place.write("a.jsonl", "dear diary\n");
    let output = place.watch(&["--append"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("a.jsonl\": it is not a record stream; "), "{output:?}");
    place.write("a.jsonl", "");
    place.write("a.csv", "time,level\n1,2\n");
    let output = place.watch(&["--append"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("a.csv\": it is not CSV with these columns; "), "{output:?}");
    assert_eq!(place.text("a.csv"), "time,level\n1,2\n");
    assert!(place.watch(&["--overwrite"]).status.success());
}

/// Another program may read a waveform while it is written.
#[test]
fn two_commands_do_not_write_one_waveform() {
    let place = Place::new("two");
    let (chip, vcd) = (place.chip(), place.path("a.vcd"));
    let mut first = linewake(&["mon", "-q", "-c", &chip, "--vcd", &vcd]).stderr(Stdio::null()).spawn().unwrap();
    let edges = || if place.has("a.vcd") { place.text("a.vcd").matches("\n#").count() } else { 0 };
    until("there are edges", || edges() > 3);
    let others = [&["--append"][..], &[]].map(|more| place.watch(more));
    let before = edges();
    let deadline = Instant::now() + Duration::from_secs(10);
    while edges() < before + 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let after = edges();
    first.kill().unwrap();
    first.wait().unwrap();
    for output in others {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(err(&output).contains("cannot write \"") && err(&output).contains("a.vcd\": "), "{output:?}");
        assert!(
            err(&output).contains(if cfg!(unix) { "another command writes it" } else { "os error 32" }),
            "{output:?}"
        );
    }
    assert!(after >= before + 3, "the first goes on");
    assert!(!place.has("a.1.vcd"));
    assert!(place.watch(&[]).status.success());
}

/// Starts a program in its own session, so that it has no terminal.
#[test]
#[cfg(target_os = "linux")]
fn a_restarted_service_keeps_what_it_wrote() {
    let place = Place::new("service");
    let (chip, file) = (place.chip(), place.path("s.jsonl"));
    let start = |more: &[&str]| {
        let mut command = Command::new("setsid");
        command.args(["-w", env!("CARGO_BIN_EXE_linewake"), "record", &file, "-c", &chip, "-n", "1"]).args(more);
        let output = output(command.env("INVOCATION_ID", "0123456789abcdef0123456789abcdef").stdin(Stdio::null()));
        assert!(output.status.success(), "{output:?}");
        of_kind(&place.records("s.jsonl"), "start").len()
    };
    assert_eq!([start(&[]), start(&[]), start(&["--overwrite"]), start(&[])], [1, 2, 1, 2]);
}

/// An edge that was on its way when the signal came is reported as discarded. No other may be lost.
fn none_lost_before_the_end(said: &str) {
    assert!(!said.contains("overflowed") && !said.contains("merged"), "{said}");
}

#[test]
#[cfg(unix)]
fn a_hang_up_signal_reopens_files() {
    let place = Place::new("rotate");
    let chip = place.chip();
    let (json, csv, vcd) = (place.path("a.jsonl"), place.path("a.csv"), place.path("a.vcd"));
    let (to_json, to_csv) = (format!("--json={json}"), format!("--csv={csv}"));
    let child = linewake(&["mon", "-q", "-c", &chip, &to_json, &to_csv, "--vcd", &vcd])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let edges = |name: &str| place.has(name) && place.text(name).matches("\"edge\"").count() > 10;
    until("there are edges", || edges("a.jsonl"));
    // The command itself renames a waveform.
    for name in ["a.jsonl", "a.csv"] {
        std::fs::rename(place.path(name), place.path(&format!("{name}.1"))).unwrap();
    }
    signal(&child, "-HUP");
    until("there are edges in the next file", || edges("a.jsonl") && place.has("a.1.vcd"));
    // The other files were not moved away, so they go on.
    signal(&child, "-HUP");
    until("there is another waveform", || place.has("a.2.vcd"));
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "-TERM");
    let (code, said) = ends(child);
    assert_eq!(code, Some(0), "{said}");
    let streams = [place.records("a.jsonl.1"), place.records("a.jsonl")];
    for stream in &streams {
        let kinds: Vec<_> = stream.iter().map(|record| record["record"].as_str().unwrap()).collect();
        assert_eq!(kinds[..4], ["start", "state", "state", "edge"], "it begins as a stream does");
        assert_eq!((of_kind(stream, "start").len(), kinds.last()), (1, Some(&"summary")));
        let door = &stream.last().unwrap()["lines"][0];
        assert_eq!(door["delivered"], of_kind(stream, "edge").len(), "each has its own account");
        // The first level is the one before the first edge.
        assert_eq!(stream[1]["level"] == 0, stream[3]["kind"] == "rising", "{stream:?}");
    }
    let numbers: Vec<_> = streams
        .iter()
        .flat_map(|stream| of_kind(stream, "edge"))
        .map(|edge| edge["line_seqno"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no edge is lost or doubled");
    assert!(said.contains(&format!(": {} edges delivered, ", numbers.len())), "{said}");
    none_lost_before_the_end(&said);
    let rows = [place.text("a.csv.1"), place.text("a.csv")];
    let header = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged";
    for rows in &rows {
        let lines: Vec<_> = rows.lines().collect();
        assert_eq!((lines[0], rows.matches("timestamp_ns").count()), (header, 1));
        assert!(lines[1].contains(",door,state,") && lines[2].contains(",bell,state,"), "{rows}");
    }
    let of_door =
        |rows: &String| rows.lines().filter(|row| row.contains(",rising,") || row.contains(",falling,")).count();
    assert_eq!(rows.iter().map(of_door).sum::<usize>(), numbers.len());
    waveforms_of_a_rotation_have_all_edges(&place, numbers.len());
}

#[cfg(unix)]
fn waveforms_of_a_rotation_have_all_edges(place: &Place, edges: usize) {
    let waves = ["a.1.vcd", "a.2.vcd", "a.vcd"].map(|name| place.wave(name));
    assert_eq!(waves.iter().map(|wave| wave.len() - 1).sum::<usize>(), edges, "{waves:?}");
    for wave in &waves {
        assert_eq!(wave[0].0, 0);
        assert!(wave.len() < 2 || wave[1].0 == 1, "its time begins with its first edge: {wave:?}");
        assert!(wave.windows(2).all(|two| two[0].1 != two[1].1), "the level at its beginning is right: {wave:?}");
    }
    let told: usize = ["a.1.vcd", "a.2.vcd", "a.vcd"]
        .iter()
        .map(|name| {
            let text = place.text(name);
            let (before, _) = text.rsplit_once(" edge").unwrap();
            before.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(told, edges, "the accounts in the waveforms are of them");
}

#[test]
#[cfg(unix)]
fn if_a_file_cannot_be_opened_again_the_old_one_goes_on() {
    let place = Place::new("nowhere");
    let [there, aside] = ["there", "aside"].map(|name| place.path(name));
    std::fs::create_dir(&there).unwrap();
    let (to_json, vcd, chip) = (format!("--json={there}/a.jsonl"), format!("{there}/a.vcd"), place.chip());
    let child = linewake(&["mon", "-q", "-c", &chip, &to_json, "--vcd", &vcd]).stderr(Stdio::piped()).spawn().unwrap();
    let edges = |name: &str| if place.has(name) { place.text(name).matches("\"edge\"").count() } else { 0 };
    until("there are edges", || edges("there/a.jsonl") > 3);
    std::fs::rename(&there, &aside).unwrap();
    signal(&child, "-HUP");
    let before = edges("aside/a.jsonl");
    until("the old file goes on", || edges("aside/a.jsonl") > before + 10);
    signal(&child, "-TERM");
    let (code, said) = ends(child);
    assert_eq!(code, Some(0), "{said}");
    for name in ["a.jsonl\" again: ", "a.vcd\": "] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(place.records("aside/a.jsonl").last().unwrap()["record"], "summary");
    assert!(place.wave("aside/a.vcd").len() > 10);
}

/// The spans are put in at the end of the watch, and the directory may have another name by then.
#[test]
#[cfg(unix)]
fn spans_reach_a_waveform_whose_directory_was_moved() {
    for (name, before, edges) in [("moved", "", 1), ("marked", "echo 2000 door 0 4;", 2)] {
        let place = Place::new(name);
        let [there, aside] = ["there", "aside"].map(|name| place.path(name));
        std::fs::create_dir(&there).unwrap();
        place.write(
            "lossy.sh",
            &format!(
                "echo lines door=0; echo 1000 door 1 1; {before}\n\
                 until [ -e \"$0.go\" ]; do [ -e \"$0\" ] || exit; sleep 0.05; done\n\
                 echo 9000 door 0 16; echo 9500 door 1 17\nexec sleep 60\n"
            ),
        );
        let (chip, vcd) = (format!("exec:sh {}", place.path("lossy.sh")), format!("{there}/a.vcd"));
        let wanted = (edges + 2).to_string();
        let child =
            linewake(&["mon", "-q", "-c", &chip, "-n", &wanted, "--vcd", &vcd]).stderr(Stdio::piped()).spawn().unwrap();
        let text = |name: &str| if place.has(name) { place.text(name) } else { String::new() };
        until("there are edges", || text("there/a.vcd").lines().filter(|line| line.starts_with('#')).count() > edges);
        std::fs::rename(&there, &aside).unwrap();
        place.write("lossy.sh.go", "");
        let (code, said) = ends(child);
        assert_eq!(code, Some(0), "{name}: {said}");
        let waveform = place.text("aside/a.vcd");
        let spans = waveform.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(spans, edges, "{name}: {waveform}");
        let left: Vec<_> = std::fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["a.vcd"]);
        assert!(!place.has("there"));
    }
}

#[test]
#[cfg(unix)]
fn a_file_that_is_copied_and_emptied_begins_anew() {
    let place = Place::new("copytruncate");
    let (to_json, to_csv, chip) =
        (format!("--json={}", place.path("a.jsonl")), format!("--csv={}", place.path("a.csv")), place.chip());
    let child = linewake(&["mon", "-q", "-c", &chip, &to_json, &to_csv]).stderr(Stdio::piped()).spawn().unwrap();
    until("there are edges", || place.has("a.jsonl") && place.text("a.jsonl").matches("\"edge\"").count() > 10);
    for name in ["a.jsonl", "a.csv"] {
        let file = std::fs::File::options().write(true).open(place.path(name)).unwrap();
        file.set_len(0).unwrap();
    }
    until("there are edges again", || place.text("a.jsonl").matches("\"edge\"").count() > 10);
    signal(&child, "-TERM");
    let (code, said) = ends(child);
    assert_eq!(code, Some(0), "{said}");
    let records = place.records("a.jsonl");
    assert_eq!(
        records[..3].iter().map(|record| record["record"].as_str().unwrap()).collect::<Vec<_>>(),
        ["start", "state", "state"]
    );
    assert!(place.text("a.csv").starts_with("timestamp_ns,"), "{}", place.text("a.csv"));
}

/// A clock is set back before the file is moved away, and again after that.
#[test]
#[cfg(unix)]
fn clock_steps_are_in_the_next_file_too() {
    let place = Place::new("steps");
    place.write(
        "steps.sh",
        "echo clock realtime; echo lines door=0\n\
         echo 1700000003000000000 door 1; echo 1700000002500000000 door 0\n\
         until [ -e \"$0.go\" ]; do [ -e \"$0\" ] || exit; sleep 0.05; done\n\
         echo 1700000002600000000 door 1\nexec sleep 60\n",
    );
    let chip = format!("exec:sh {}", place.path("steps.sh"));
    let (to_json, to_csv) = (format!("--json={}", place.path("a.jsonl")), format!("--csv={}", place.path("a.csv")));
    let child = linewake(&["mon", "-q", "-c", &chip, &to_json, &to_csv]).stderr(Stdio::piped()).spawn().unwrap();
    until("there are two edges", || place.has("a.jsonl") && place.text("a.jsonl").matches("\"edge\"").count() == 2);
    for name in ["a.jsonl", "a.csv"] {
        std::fs::rename(place.path(name), place.path(&format!("{name}.1"))).unwrap();
    }
    signal(&child, "-HUP");
    until("there is a next file", || place.has("a.csv"));
    place.write("steps.sh.go", "");
    until("there is an edge in it", || place.has("a.jsonl") && place.text("a.jsonl").contains("\"edge\""));
    signal(&child, "-TERM");
    let (code, said) = ends(child);
    assert_eq!(code, Some(0), "{said}");
    let clock = |name: &str| of_kind(&place.records(name), "clock").into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(clock("a.jsonl").len(), 1);
    assert_eq!(clock("a.jsonl"), clock("a.jsonl.1"));
    let rows = place.text("a.csv");
    let events: Vec<_> = rows.lines().skip(1).map(|row| row.split(',').nth(4).unwrap()).collect();
    assert_eq!(events, ["state", "clock", "clock", "rising"]);
}

/// A watch ends with its terminal, unless it was started to outlive it.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_hangs_up_ends_its_watch() {
    let place = Place::new("terminal");
    let to_json = format!("--json={}", place.path("a.jsonl"));
    let (user, path) = support::terminal();
    let line = || std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let child = Command::new("setsid")
        .args(["-c", "-w", env!("CARGO_BIN_EXE_linewake"), "mon", "-q", "-c", &place.chip(), &to_json])
        .stdin(line())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("there are edges", || place.has("a.jsonl") && place.text("a.jsonl").contains("\"edge\""));
    drop(user);
    let (_, said) = ends(child);
    assert!(said.contains(" delivered, "), "{said}");
    none_lost_before_the_end(&said);
    assert_eq!(place.records("a.jsonl").last().unwrap()["record"], "summary");
}
