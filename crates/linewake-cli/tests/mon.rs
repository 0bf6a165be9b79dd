//! `linewake mon`, as its users run it.

#[path = "../../linewake/tests/support/schema.rs"]
mod schema;
mod support;

use std::io::{BufRead as _, BufReader, Read as _};
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Scratch, err, linewake, out, run};

/// It fails, says all these parts on standard error, and prints nothing else.
fn assert_refused(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    assert_eq!(out(&output), "", "{arguments:?}");
    for part in parts {
        assert!(err(&output).contains(part), "{arguments:?} says nothing of {part}: {}", err(&output));
    }
    assert_eq!(err(&output).lines().count(), 1, "{arguments:?}: {}", err(&output));
}

#[test]
fn a_queue_of_nothing_is_the_chips_own() {
    let print = |more: &[&str]| run(&[&["mon", "-c", "sim", "-n", "5", "-F", "%S %l"], more].concat()).stdout;
    assert_eq!(print(&["--queue-size", "0"]), print(&[]));
}

/// `12 lines: 34 edges delivered, none lost; 4 threads`
fn assert_summary(text: &str, lines: u64, delivered: u64) {
    let (head, threads) = text.lines().next().unwrap().rsplit_once("; ").unwrap();
    let plural = |number| if number == 1 { "" } else { "s" };
    let expected = format!("{lines} line{}: {delivered} edge{} delivered, ", plural(lines), plural(delivered));
    assert!(head.starts_with(&expected), "{text:?} is not {expected:?}");
    let threads: u32 = threads.trim().strip_suffix(" threads").unwrap().parse().unwrap();
    // This one, the dispatcher's, the simulated chip's and the one that waits for signals.
    assert!((2..=6).contains(&threads), "{text}");
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
        assert!(name.starts_with("sim ") && name.ends_with('"'), "{line}");
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
    assert!(out(&output).starts_with("0.500000000\trising\tsim 0 \"pps\"\n0.600000000\tfalling\tsim 0 \"pps\"\n"));
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
    for format in [&[][..], &["--json"], &["--csv"]] {
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
    for (signal, format) in [("-INT", &[][..]), ("-TERM", &[]), ("-TERM", &["--json"])] {
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
fn it_outlives_its_terminal_if_it_is_to() {
    let words = ["mon", "-c", "sim", "-n", "20"];
    let mut child = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_linewake"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    printed.read_line(&mut String::new()).unwrap();
    let killed = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    printed.read_to_string(&mut rest).unwrap();
    assert_eq!((wait(&mut child).code(), rest.lines().count()), (Some(0), 19));
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
    assert_refused(&["mon", "-c", "sim", "--for", "5sec"], &["5sec", "--for", "us, ms, s, m, h or d"]);
    assert_refused(&["mon", "-c", "sim", "--for", ""], &["--for"]);
    for option in ["--for", "--idle-timeout", "--stats", "--heartbeat", "--debounce-period", "--exec-cooldown"] {
        assert_refused(&["mon", "-c", "sim", option, "-3s"], &["\"-3s\"", option, "a whole number, as in 500"]);
    }
    assert_refused(&["mon", "-c", "sim", "-n", "-1"], &["\"-1\"", "--num-events", "0 to 2147483647"]);
    assert_refused(&["mon", "-c", "sim", "--queue-size", "-1"], &["\"-1\"", "--queue-size", "0 to 4294967295"]);
    assert_refused(&["mon", "-c", "sim", "--queue-size", "1"], &["a queue of 1", "2 to 1024"]);
    assert_refused(
        &["mon", "-c", "sim", "--seed", "18446744073709551616"],
        &["18446744073709551616", "0 to 18446744073709551615"],
    );
    assert_refused(&["mon", "-c", "sim", "--seed", "-1"], &["\"-1\"", "--seed", "out of range"]);
    assert_refused(&["mon", "-c", "sim", "--vcd-timescale", "-1us"], &["\"-1us\"", "1, 10 or 100"]);
    assert_refused(&["mon", "-c", "sim", "-E", "realtime"], &["\"sim\"", "take the monotonic clock"]);
    assert_refused(&["mon", "-c", "sim:/no/such.toml"], &["\"/no/such.toml\"", "is its path right?"]);
    assert_refused(&["mon", "-c", "sim:/no/such.vcd"], &["\"/no/such.vcd\"", "is its path right?"]);
    assert_refused(&["mon", "-c", "profile:/no/such.toml"], &["\"/no/such.toml\"", "is its path right?"]);
    assert_refused(&["mon", "-c", "sim", "-n", "many"], &["many"]);
    assert_refused(&["mon", "-c", "sim", "--seed", "x"], &["x"]);
    assert_refused(&["mon", "-c", "sim", "-b", "up"], &["up", "--bias", "pull-up", "pull-down", "disabled"]);
    assert_refused(&["mon", "-c", "sim", "-e", "none"], &["none", "--edges", "rising", "falling", "both"]);
    assert_refused(&["mon", "-c", "sim", "-E", "tai"], &["tai", "--event-clock", "monotonic", "realtime", "hte"]);
    assert_refused(&["mon", "-c", "sim", "-p", "2w"], &["2w", "--debounce", "us, ms, s, m, h or d"]);
    assert_refused(&["mon", "-c", "sim", "-p", "72m"], &["4294967295us", "4320000000us"]);
    assert_refused(&["mon", "-c", "sim", "-p", "2h"], &["4294967295us", "7200000000us"]);
    assert_refused(&["mon", "-c", "sim", "--for", "213503983d"], &["213503983d", "--for", "at most"]);
    assert_refused(&["mon", "-c", "sim", "--idle-timeout", "x"], &["--idle-timeout"]);
    assert_refused(&["mon", "-c", "sim", "--stats", "0"], &["--stats", "above zero"]);
    assert_refused(&["mon", "-c", "sim", "--vcd-timescale", "2us"], &["2us", "1, 10 or 100"]);
    assert_refused(&["mon", "-c", "sim", "--exec-queue", "0", "--exec", "true"], &["--exec-queue"]);
    assert_refused(&["mon", "-c", r"\\.\LineWake0", "--seed", "1"], &[r#""\\.\LineWake0""#, "seed"]);
    assert_refused(&["mon", "--frob"], &["--frob"]);
    assert_refused(&["mon"], &["missing a line", "--chip"]);
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

#[test]
fn many_places_are_told_the_same() {
    let [json, csv, vcd] = ["json", "csv", "vcd"].map(|name| Scratch::new(&format!("places.{name}")));
    let (to_json, to_csv) = (format!("--json={}", json.path()), format!("--csv={}", csv.path()));
    let output = run(&["mon", "-c", "sim", "-n", "20", &to_json, &to_csv, "--vcd", vcd.path(), "-F", "%S %E %o %q"]);
    assert!(output.status.success(), "{output:?}");
    assert_summary(err(&output), 12, 20);
    let text: Vec<_> = out(&output).lines().map(str::to_owned).collect();
    let json: Vec<serde_json::Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let json: Vec<_> = json.iter().filter(|record| record["record"] == "edge").collect();
    let csv = csv.text();
    let mut rows = csv.lines();
    let head: Vec<_> = rows.next().unwrap().split(',').collect();
    let rows: Vec<Vec<_>> =
        rows.map(|row| row.split(',').collect()).filter(|row: &Vec<&str>| row[4] != "state").collect();
    assert_eq!((text.len(), json.len(), rows.len()), (20, 20, 20));
    for ((text, json), row) in text.iter().zip(json).zip(rows) {
        let of = |name: &str| row[head.iter().position(|column| *column == name).unwrap()];
        let ns = json["timestamp_ns"].as_u64().unwrap();
        let (kind, offset, seqno) = (json["kind"].as_str().unwrap(), &json["offset"], &json["seqno"]);
        assert_eq!(text, &format!("{}.{:09} {kind} {offset} {seqno}", ns / 1_000_000_000, ns % 1_000_000_000));
        assert_eq!(of("timestamp_ns"), ns.to_string());
        assert_eq!((of("event"), of("offset"), of("seqno")), (kind, &*offset.to_string(), &*seqno.to_string()));
        assert_eq!(of("level"), if kind == "rising" { "1" } else { "0" });
        assert_eq!(of("name"), json["name"].as_str().unwrap());
    }
    let waveform = vcd.text();
    let changes = waveform.rsplit_once("$end\n").unwrap().0.rsplit_once("$end\n").unwrap().1;
    let changes: Vec<_> = changes.lines().filter(|line| !line.starts_with(['#', '$', ' '])).collect();
    // Edges that were on their way when it ended are unknown, on two wires.
    let unknown = changes.iter().filter(|change| change.starts_with('x')).count();
    assert_eq!(changes.len(), 20 + 2 * unknown, "{changes:?}");
}

#[test]
fn levels_at_the_start_are_right_across_chips() {
    let output = run(&["mon", "-c", "sim", "-I", "--banner", "-n", "1", "pps", "sim:8:door"]);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = out(&output).lines().collect();
    assert_eq!(lines[0], "\"pps\"=inactive \"sim:8:door\"=inactive");
    assert_eq!(lines[1], "Monitoring lines 'pps', and 'sim:8:door'...");
    assert!(lines[2].contains("\trising\tsim 0 \"pps\""), "{lines:?}");
    let output = run(&["mon", "-c", "sim", "-IN", "--active-low", "--for", "0", "door", "tamper", "1"]);
    assert_eq!(out(&output), "1 1 1\n");
    let output = run(&["mon", "-c", "sim", "-I", "--unquoted", "--for", "0", "door"]);
    assert_eq!(out(&output), "door=inactive\n");
}

#[test]
fn times_are_of_the_day_when_asked() {
    let output = run(&["mon", "-c", "sim", "-n", "1", "--utc", "pps"]);
    let time = out(&output).split('\t').next().unwrap();
    assert!(time.len() == 30 && time.starts_with("20") && time.ends_with('Z') && &time[10..11] == "T", "{time}");
    let mut command = linewake(&["mon", "-c", "sim", "-n", "1", "--localtime", "pps"]);
    let output = command.env("TZ", "Asia/Kathmandu").output().unwrap();
    let time = out(&output).split('\t').next().unwrap();
    assert!(time.len() == 29 && &time[10..11] == "T", "{time}");
}

#[test]
fn an_idle_watch_ends_by_itself() {
    let began = Instant::now();
    let output = run(&["mon", "-c", "sim", "--idle-timeout", "300ms", "tamper"]);
    assert!(output.status.success(), "{output:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(out(&output), "");
    // The pulse at half a second comes within it, and no other does.
    let script = Scratch::with(
        "idle.toml",
        "[[line]]\nname = \"door\"\nfirst = \"500ms\"\nhigh = \"100ms\"\nlow = \"1h\"\ntimes = 1\n",
    );
    let output = run(&["mon", "-c", &format!("sim:{}", script.path()), "--idle-timeout", "2s", "door"]);
    assert_eq!(out(&output).lines().count(), 2, "{output:?}");
}

#[test]
fn it_shows_that_it_is_alive() {
    let output = run(&["mon", "-c", "sim", "--for", "900ms", "--heartbeat", "200ms", "--json", "pps"]);
    let records: Vec<serde_json::Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in out(&output).lines() {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
    }
    let beats: Vec<_> = records.iter().filter(|record| record["record"] == "heartbeat").collect();
    assert!((2..=4).contains(&beats.len()), "{records:?}");
    let mut edges = 0;
    for record in &records {
        edges += u64::from(record["record"] == "edge");
        assert!(record["record"] != "heartbeat" || record["delivered"] == edges, "{records:?}");
    }
    assert_eq!(err(&output), "");
    let output = run(&["mon", "-c", "sim", "--for", "500ms", "--heartbeat", "200ms", "tamper"]);
    assert!(err(&output).starts_with("alive: 0 edges so far\n"), "{output:?}");
}

#[test]
fn figures_are_said_while_it_runs() {
    let output = run(&["mon", "-c", "sim", "--for", "1300ms", "--stats", "1s", "-q"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = err(&output);
    assert_eq!(said.matches("stats of ").count(), 2, "each second, and what is left: {said}");
    let pps = said.lines().find(|line| line.starts_with("  \"pps\": ")).unwrap();
    assert!(pps.contains(", no rate yet, 0 missing, level 0, written after p50 "), "{pps}");
    assert!(said.contains(" lines quiet\n"), "{said}");
}

#[test]
#[cfg(unix)]
fn a_command_is_run_for_edges_one_at_a_time() {
    let file = Scratch::new("exec");
    let command = format!("echo $LINEWAKE_EVENT $LINEWAKE_NAME $LINEWAKE_LINE_SEQNO >> {}; echo seen", file.path());
    let output = run(&["mon", "-c", "sim", "-n", "4", "--exec", &command, "pps"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(file.text(), "rising pps 1\nfalling pps 2\nrising pps 3\nfalling pps 4\n");
    assert_eq!(out(&output).lines().count(), 4, "its output is not among the edges");
    assert_eq!(err(&output).matches("seen\n").count(), 4);
    assert!(err(&output).contains("--exec: ran 4 times\n"), "{output:?}");
    let output = run(&["mon", "-c", "sim", "-n", "4", "-q", "--exec", "exit 3", "--exec-cooldown", "500ms", "pps"]);
    assert!(err(&output).contains("--exec: ran 2 times, 2 failed, 2 not run in the cooldown\n"), "{output:?}");
    assert!(err(&output).contains("the command \"exit 3\" failed: exit status: 3"), "{output:?}");
    let slow = ["mon", "-c", "sim", "--for", "1s", "-q", "--exec", "sleep 0.4", "--exec-queue", "1", "button"];
    let output = run(&slow);
    assert!(err(&output).contains("not run since the queue was full\n"), "{output:?}");
}

#[test]
#[cfg(unix)]
fn a_signal_does_not_wait_for_the_commands_that_have_not_begun() {
    let mut child = linewake(&["mon", "-c", "sim", "--exec", "sleep 2", "button"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first runs, and four wait.
    for _ in 0..5 {
        printed.next().unwrap().unwrap();
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let left = said.split("--exec: ran 1 time, ").nth(1).and_then(|rest| rest.split(" not run since it was").next());
    assert!(left.is_some_and(|left| left.parse::<u32>().unwrap() >= 4), "{said}");
    assert!(said.contains("1 line: "), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_written_is_named() {
    for option in ["--json=/no/such/file", "--csv=/no/such/file", "--vcd=/no/such/file"] {
        assert_refused(&["mon", "-c", "sim", option], &["\"/no/such/file\"", "make its directory first"]);
    }
    assert_refused(&["mon", "-c", "sim", "--json=/"], &["cannot write \"/\"", "name a file"]);
    assert_refused(&["mon", "-c", "sim", "--vcd=/dev/full"], &["\"/dev/full\"", "not a file"]);
    assert_refused(&["mon", "-c", "sim", "--vcd", "-"], &["standard output", "--vcd FILE"]);
    assert_refused(&["mon", "-c", "sim", "--json", "--csv"], &["--json and --csv both", "--csv=FILE"]);
    // The others are told to the end.
    let csv = Scratch::new("full.csv");
    let output = run(&["mon", "-c", "sim", "--for", "5s", "--json=/dev/full", &format!("--csv={}", csv.path())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).lines().next().unwrap().starts_with("12 lines: "), "{output:?}");
    assert!(err(&output).contains("linewake: cannot write to \"/dev/full\": "), "{output:?}");
    assert!(csv.text().starts_with("timestamp_ns,chip,"), "{}", csv.text());
}

/// A queue of 16, and a reader that is too slow for a while.
const LOSSY: &str = r#"
clock = "virtual"
queue_size = 16
[[line]]
name = "door"
period = "2ms"
[[line]]
name = "bell"
period = "300ms"
[[slow]]
at = "200ms"
for = "300ms"
"#;

#[test]
fn what_was_lost_is_in_every_output_and_may_be_a_failure() {
    let (script, vcd, csv) = (Scratch::with("lossy.toml", LOSSY), Scratch::new("lossy.vcd"), Scratch::new("lossy.csv"));
    let chip = format!("sim:{}", script.path());
    let to_csv = format!("--csv={}", csv.path());
    let arguments = ["mon", "-c", &chip, "-n", "700", "--fail-on-loss", "--vcd", vcd.path(), &to_csv];
    let output = run(&[&arguments[..], &["-F", "%l %m"]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let missing = |line: &str| line.strip_prefix("door ").and_then(|missing| missing.parse::<u64>().ok());
    let told: u64 = out(&output).lines().filter_map(missing).sum();
    assert!(told > 200, "150 pulses in the time it was slow: {told}");
    let columns: u64 = csv
        .text()
        .lines()
        .filter(|row| row.contains(",door,"))
        .filter_map(|row| row.split(',').nth(8).and_then(|overflowed| overflowed.parse::<u64>().ok()))
        .sum();
    assert_eq!(columns, told);
    let said = err(&output);
    assert!(said.contains("  \"door\": ") && said.contains(" overflowed"), "{said}");
    assert!(said.contains("linewake: --fail-on-loss: ") && said.contains(" lost; "), "{said}");
    let changes = lost_of_door(&vcd);
    // In microseconds: what is queued when it is slow is the newest of the 300 ms.
    let slow = |span: &[(u64, String)]| span[0].1 == "1" && (200_000..450_000).contains(&(span[1].0 - span[0].0));
    assert!(changes.windows(2).any(slow), "{changes:?}: {}", vcd.text());
    let quiet = run(&["mon", "-c", "sim", "-n", "3", "--fail-on-loss"]);
    assert_eq!(quiet.status.code(), Some(0), "what is on its way when it ends is no loss: {quiet:?}");
}

/// A waveform's changes of `door_lost`: at which microsecond to what.
fn lost_of_door(file: &Scratch) -> Vec<(u64, String)> {
    let mut waveform = wellen::simple::read(&file.0).unwrap();
    let lost = waveform.hierarchy().lookup_var(&["sim"], "door_lost").unwrap();
    let lost = waveform.hierarchy()[lost].signal_ref();
    waveform.load_signals(&[lost]);
    let times = waveform.time_table().to_vec();
    let changes = waveform.get_signal(lost).unwrap().iter_changes();
    changes.map(|(at, value)| (times[at as usize], value.to_bit_string().unwrap())).collect()
}

/// A chip that is gone twice. Its time waits for edges that are queued, and nobody can read it.
const REPLUGGED: &str = r#"
clock = "virtual"
[[line]]
name = "door"
period = "10ms"
[[unplug]]
at = "202ms"
for = "301ms"
[[unplug]]
at = "1s"
for = "500ms"
"#;

#[test]
fn a_chip_that_comes_back_is_watched_on_with_the_gap_in_every_output() {
    let script = Scratch::with("replugged.toml", REPLUGGED);
    let [json, csv, vcd] = ["json", "csv", "vcd"].map(|name| Scratch::new(&format!("replugged.{name}")));
    let chip = format!("sim:{}", script.path());
    let (to_json, to_csv) = (format!("--json={}", json.path()), format!("--csv={}", csv.path()));
    let watch = ["mon", "-c", &chip, "-n", "200", "--reattach"];
    let output = run(&[&watch[..], &["--vcd", vcd.path(), &to_json, &to_csv, "-I", "-F", "%S %E"]].concat());
    assert!(output.status.success(), "{output:?}");

    let said: Vec<_> = err(&output).lines().collect();
    let gone = |said: &str| said.starts_with("the chip \"sim\" is gone: ") && said.ends_with("; waiting for it");
    assert!(gone(said[0]) && gone(said[2]), "{said:?}");
    assert_eq!((said[1], said[3]), ("the chip \"sim\" is back", "the chip \"sim\" is back"));
    assert!(said[4].starts_with("1 line: 200 edges delivered, at least "), "{said:?}");
    assert!(said[5].starts_with("  \"door\": 200 edges delivered, at least "), "{said:?}");

    let printed: Vec<_> = out(&output).lines().collect();
    assert_eq!(
        printed.iter().filter(|line| line.starts_with("\"door\"=")).count(),
        3,
        "at the start, and when it is back"
    );
    assert!(
        printed.windows(3).any(|at| at == ["0.200000000 rising", "\"door\"=active", "0.505000000 falling"]),
        "{printed:?}"
    );

    let records: Vec<serde_json::Value> = json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.text().lines().flat_map(schema::faults_of_line).collect::<Vec<_>>(), [""; 0]);
    let gaps: Vec<_> = records.iter().filter(|record| record["record"] == "gap").collect();
    let told = |gap: &&serde_json::Value| (gap["over"] == true, gap["from_ns"].as_u64(), gap["delivered"].as_u64());
    let (first, second) = ((Some(200_000_000), Some(41)), (Some(1_000_000_000), Some(141)));
    let expected =
        [(false, first), (true, first), (false, second), (true, second)].map(|(over, (from, n))| (over, from, n));
    assert_eq!(gaps.iter().map(told).collect::<Vec<_>>(), expected);
    let summary = records.last().unwrap();
    assert_eq!((&summary["lines"][0]["delivered"], &summary["lines"][0]["account"]), (&200.into(), &"at least".into()));

    let csv = csv.text();
    let rows = |event: &str| csv.lines().filter(|row| row.contains(event)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows("gone"), ["200000000,sim,-1,,gone,-1,0,0,0,0", "1000000000,sim,-1,,gone,-1,0,0,0,0"]);
    let back = ["200000000,sim,-1,,back,-1,0,0,0,0", "1000000000,sim,-1,,back,-1,0,0,0,0"];
    assert_eq!(rows("back"), back, "the time is one that nobody can read, and that of the row before");

    // From behind the last edge before the gap to the first one after it.
    let lost: Vec<_> = lost_of_door(&vcd).into_iter().skip(1).take(4).collect();
    let expected = [(200_001, "1"), (505_000, "0"), (1_000_001, "1"), (1_505_000, "0")];
    assert_eq!(lost, expected.map(|(at, value)| (at, value.to_owned())));

    let output = run(&[&watch[..], &["--fail-on-loss", "-q"]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("linewake: --fail-on-loss: ") && err(&output).contains("a chip was gone 2 times"));
    let output = run(&[&watch[..5], &["-q"]].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        err(&output).starts_with("1 line: 41 edges delivered, ") && err(&output).contains("linewake: "),
        "{output:?}"
    );
}

#[test]
fn a_gap_ends_when_the_chip_is_back_where_its_clock_can_be_read() {
    let script = Scratch::with(
        "replugged-now.toml",
        &REPLUGGED.replace("virtual", "real").replace("202ms", "2002ms").replace("1s", "9s"),
    );
    let [json, vcd] = ["json", "vcd"].map(|name| Scratch::new(&format!("replugged-now.{name}")));
    let chip = format!("sim:{}", script.path());
    let to_json = format!("--json={}", json.path());
    let output = run(&["mon", "-c", &chip, "-n", "440", "--reattach", "-q", &to_json, "--vcd", vcd.path()]);
    assert!(output.status.success(), "{output:?}");
    let text = json.text();
    let records: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let back = records.iter().position(|record| record["over"] == true).unwrap();
    let (from, to) = (records[back]["from_ns"].as_u64().unwrap(), records[back]["to_ns"].as_u64().unwrap());
    // At 2.303 s it is there again, and then it is looked for.
    assert!(from < 2_003_000_000 && to >= 2_303_000_000, "{}", records[back]);
    let next = records[back..].iter().find(|record| record["record"] == "edge").unwrap();
    assert!(next["timestamp_ns"].as_u64().unwrap() >= to, "{next}");
    let lost: Vec<_> = lost_of_door(&vcd).into_iter().filter(|(at, _)| *at > 0).collect();
    // On a busy machine single edges are lost, too: those spans are short.
    let span = |pair: &[(u64, String)]| (pair[0].1 == "1" && pair[1].1 == "0").then(|| (pair[0].0, pair[1].0));
    let spans = lost.windows(2).filter_map(span);
    let (begin, end) = spans.max_by_key(|(begin, end)| end - begin).unwrap_or_else(|| panic!("{lost:?}"));
    assert!(
        (299_000..).contains(&(end - begin)) && (to - from) / 1000 - (end - begin) <= 3,
        "{from} to {to}, {lost:?}"
    );
}

/// A button, of which the clock is virtual.
const BOUNCES: &str = r#"
clock = "virtual"
[[line]]
name = "button"
first = "100ms"
high = "200ms"
low = "300ms"
bounce = { count = [2, 6], spacing = ["100us", "1ms"], width = ["100us", "1ms"] }
"#;

#[test]
fn a_filter_passes_the_first_edge_of_a_bounce() {
    let script = Scratch::with("bounces.toml", BOUNCES);
    let watch = ["mon", "-c", &format!("sim:{}", script.path()), "-F", "%S %E", "button"];
    let plain = run(&[&watch[..], &["-n", "300"]].concat());
    let output = run(&[&watch[..], &["-n", "6", "--filter", "button"]].concat());
    assert!(output.status.success(), "{output:?}");
    let (plain, filtered) = (out(&plain), out(&output));
    assert!(filtered.lines().count() == 6, "{filtered}");
    assert_eq!(plain.lines().next(), filtered.lines().next());
    assert!(filtered.lines().all(|line| plain.contains(line)), "with the stamps they have");
    let kinds: Vec<_> = filtered.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert!(kinds.iter().enumerate().all(|(at, kind)| (*kind == "rising") == (at % 2 == 0)), "{kinds:?}");
    assert!(err(&output).contains("--filter: ") && err(&output).contains(" passed, "), "{output:?}");
    assert_refused(&["mon", "-c", "sim", "--filter", "buton"], &["\"buton\"", "--filter", "\"button\""]);
    assert_refused(&["mon", "-c", "sim", "--filter", "glitch=1ms", "-e", "rising"], &["glitch", "watch both"]);
}

/// The records of a stream, each of which is by the schema.
fn records(stream: &str) -> Vec<serde_json::Value> {
    let record = |line| {
        assert_eq!(schema::faults_of_line(line), [""; 0], "{line}");
        serde_json::from_str(line).unwrap()
    };
    stream.lines().map(record).collect()
}

#[test]
fn what_filters_do_is_in_the_record_stream() {
    let csv = Scratch::new("filter.csv");
    let to = format!("--csv={}", csv.path());
    // The button bounces within milliseconds, twice in a second.
    let filter = "chatter=3/100ms,resume=0";
    let output = run(&["mon", "-c", "sim", "--for", "1800ms", "--json", &to, "--filter", filter, "button", "pps"]);
    assert!(output.status.success(), "{output:?}");
    let records = records(out(&output));
    let of = |kind: &str| records.iter().filter(|record| record["record"] == kind).collect::<Vec<_>>();
    let chatter = of("chatter");
    let states: Vec<_> = chatter.iter().map(|record| record["state"].as_str().unwrap()).collect();
    assert!(states.len() >= 2, "{chatter:?}");
    let turns = ["blocked", "unblocked"].into_iter().cycle();
    assert_eq!(states, turns.take(states.len()).collect::<Vec<_>>(), "{chatter:?}");
    for pair in chatter.chunks_exact(2) {
        let (blocked, unblocked) = (pair[0], pair[1]);
        assert!(blocked["name"] == "button" && blocked["changes"] == 4 && blocked["withheld"].is_null(), "{blocked}");
        assert!(unblocked["name"] == "button" && unblocked["withheld"].as_u64() > Some(0), "{unblocked}");
        let at_ns = |record: &serde_json::Value| record["timestamp_ns"].as_u64().unwrap();
        assert!(at_ns(unblocked) >= at_ns(blocked) + 100_000_000, "{blocked} {unblocked}");
    }
    let summary = records.last().unwrap();
    for line in summary["lines"].as_array().unwrap() {
        let number = |field: &str| line["filter"][field].as_u64().unwrap();
        let edges = of("edge").into_iter().filter(|edge| edge["name"] == line["name"]).count() as u64;
        assert_eq!(number("passed"), edges, "{line}");
        assert_eq!(line["delivered"].as_u64().unwrap(), edges + number("filtered") + number("held"), "{line}");
        assert_eq!(number("blocks") > 0, line["name"] == "button", "{line}");
    }
    let rows = csv.text();
    let rows: Vec<_> = rows.lines().map(|row| row.split(',').collect::<Vec<_>>()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{rows:?}");
    let told = rows.iter().filter(|row| row[4].ends_with("blocked"));
    let told: Vec<_> = told.map(|row| (row[0].to_owned(), row[3], row[4])).collect();
    let expected =
        chatter.iter().zip(&states).map(|(record, state)| (record["timestamp_ns"].to_string(), "button", *state));
    assert_eq!(told, expected.collect::<Vec<_>>());
    assert!(err(&output).contains("\"button\" is blocked: 4 changes\n"), "{output:?}");
}

#[test]
fn edges_that_pass_and_are_not_written_are_held() {
    let output = run(&["mon", "-c", "sim", "-n", "5", "--json", "--filter", "button"]);
    let records = records(out(&output));
    assert_eq!(records.iter().filter(|record| record["record"] == "edge").count(), 5);
    let lines = records.last().unwrap()["lines"].as_array().unwrap();
    let sum = |field: &str| lines.iter().map(|line| line["filter"][field].as_u64().unwrap()).sum::<u64>();
    let delivered: u64 = lines.iter().map(|line| line["delivered"].as_u64().unwrap()).sum();
    assert_eq!((sum("passed"), delivered), (5, 5 + sum("filtered") + sum("held")));
    let plain = run(&["mon", "-c", "sim", "-n", "5", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(out(&plain).lines().last().unwrap()).unwrap();
    assert!(summary["lines"].as_array().unwrap().iter().all(|line| line["filter"].is_null()), "{summary}");
}

#[test]
fn edges_that_are_filtered_are_no_silence() {
    // Nothing of what the pulses of the first two seconds bring passes, and the watch does not end for that.
    let output =
        run(&["mon", "-c", "sim", "--for", "2s", "--idle-timeout", "1300ms", "--filter", "debounce=1m", "pps"]);
    assert!(output.status.success(), "{output:?}");
    let delivered = err(&output).split(" edge").next().and_then(|head| head.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(delivered >= Some(3), "{output:?}");
}

#[test]
#[cfg(unix)]
fn a_set_of_the_configuration_is_watched_by_its_labels() {
    let directory = Scratch::new("config");
    std::fs::create_dir_all(directory.0.join("linewake")).unwrap();
    let file = directory.0.join("linewake/linewake.toml");
    let text =
        "[set.pumps]\nlines = [\"sim:pps\", { line = \"sim:8:1\", label = \"Knopf\", unit = \"L\", per_edge = 0.5 }]\n";
    std::fs::write(&file, text).unwrap();
    let with = |arguments: &[&str]| linewake(arguments).env("XDG_CONFIG_HOME", &directory.0).output().unwrap();
    let output = with(&["mon", "@pumps", "--for", "1s", "--stats", "10s"]);
    assert!(output.status.success(), "{output:?}");
    assert!(out(&output).contains("\trising\t\"pps\"\n"), "{output:?}");
    assert!(out(&output).contains("\trising\t\"Knopf\"\n"), "{output:?}");
    assert!(err(&output).contains(" L in all, 0 missing"), "{output:?}");
    let output = with(&["config"]);
    assert!(
        out(&output).contains("@pumps\n  \"sim:pps\"\n  \"sim:8:1\" label=\"Knopf\" unit=\"L\" per-edge=0.5\n"),
        "{output:?}"
    );
    let output = with(&["mon", "@pump"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("\"@pump\"") && err(&output).contains("\"@pumps\""), "{output:?}");
    std::fs::write(&file, "[set.pumps]\nlines = [\"a\", 7]\n").unwrap();
    for arguments in [&["mon", "@pumps"][..], &["config"]] {
        let output = with(arguments);
        assert_eq!(output.status.code(), Some(1));
        let said = err(&output);
        assert!(said.contains("linewake.toml\":2:15: ") && said.lines().count() == 1, "{said}");
    }
    std::fs::remove_dir_all(&directory.0).unwrap();
}

#[test]
#[cfg(unix)]
fn as_gpiomon_it_says_no_more_than_gpiomon() {
    let tool = Scratch::new("tools");
    std::fs::create_dir_all(&tool.0).unwrap();
    let gpiomon = tool.0.join("gpiomon");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linewake"), &gpiomon).unwrap();
    let gpiomon = |arguments: &[&str]| {
        let mut command = Command::new(&gpiomon);
        command.args(arguments).env("LINEWAKE_SIM", "1").stdin(Stdio::null()).output().unwrap()
    };
    let output = gpiomon(&["-c", "sim", "-n", "2", "--banner", "-I", "pps"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let expected = "\"pps\"=inactive\nMonitoring line 'pps'...\n0.500000000\trising\tsim 0 \"pps\"\n0.600000000\tfalling\tsim 0 \"pps\"\n";
    assert_eq!(out(&output), expected);
    let output = gpiomon(&["-c", "sim", "-n", "1", "-F", "%q %Q %m %l %e%", "pps"]);
    assert_eq!(out(&output), "%q %Q %m pps 1%\n");
    let output = gpiomon(&["-c", "sim", "--idle-timeout", "100", "tamper"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    for (arguments, says) in [
        (&["-c", "sim", "-e", "sideways", "pps"][..], "gpiomon: invalid edges: sideways\n"),
        (&["-c", "sim", "-E", "tai", "pps"], "gpiomon: invalid event clock: tai\n"),
        (&["-c", "sim", "-p", "5h", "pps"], "gpiomon: invalid period: 5h\n"),
        (&["-c", "sim", "-n", "x", "pps"], "gpiomon: invalid number: 'x'\n"),
        (&["-c", "sim", "nope"], "gpiomon: cannot find line 'nope'\n"),
        (&["-c", "sim"], "gpiomon: at least one GPIO line must be specified\n"),
        (&["-c", "sim", "-p", "72m", "pps"], "gpiomon: maximum debounce period is 4294967295us, got 4320000000us\n"),
    ] {
        let output = gpiomon(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(err(&output).ends_with(says), "{arguments:?}: {}", err(&output));
    }
    std::fs::remove_dir_all(&tool.0).unwrap();
}

/// A file system of 64 KiB, if this user may make one.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_becomes_full_ends_it_with_the_account() {
    let disk = Scratch::new("disk");
    std::fs::create_dir_all(&disk.0).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none", disk.path()]).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        println!("skipped: a small file system needs root");
        return;
    }
    let busy = Scratch::with("busy.toml", "[[line]]\nname = \"a\"\nperiod = \"500us\"\n");
    let chip = format!("sim:{}", busy.path());
    let outputs: Vec<_> =
        [&["mon", "-q", "--json="][..], &["mon", "-q", "--csv="], &["mon", "-q", "--vcd="], &["record", ""]]
            .iter()
            .map(|words| {
                let file = disk.0.join("full");
                let [words @ .., last] = words else { unreachable!() };
                let last = format!("{last}{}", file.display());
                let output = run(&[words, &["-c", &chip, "--for", "20s", &last]].concat());
                let size = std::fs::metadata(&file).map(|file| file.len());
                let _ = std::fs::remove_file(&file);
                (output, size)
            })
            .collect();
    let unmounted = Command::new("umount").arg(&disk.0).status().unwrap();
    assert!(unmounted.success());
    let _ = std::fs::remove_dir(&disk.0);
    for (output, size) in outputs {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(size.unwrap() >= 48 * 1024, "it was written as far as there was room");
        let said: Vec<_> = err(&output).lines().collect();
        assert!(said[0].starts_with("1 line: ") && said[0].contains(" edges delivered"), "{said:?}");
        let last = said.last().unwrap();
        assert!(last.starts_with("linewake: cannot write to \"") && last.contains("missing there"), "{said:?}");
    }
}

/// Its chip is unplugged after half a second, and again.
const FAULTS: &str = concat!("sim:", env!("CARGO_MANIFEST_DIR"), "/../../scripts/faults.toml");

#[test]
fn a_chip_that_goes_away_is_a_loss_to_who_asks_for_that() {
    let gone = ["mon", "-q", "-c", FAULTS, "button"];
    let output = run(&gone);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).ends_with("; --reattach waits until it is back\n"), "{output:?}");
    assert!(!err(&output).contains("; waiting for it"), "{output:?}");
    let output = run(&[&gone[..], &["--fail-on-loss"]].concat());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(err(&output).contains("--fail-on-loss: "), "{output:?}");
    assert!(err(&output).contains("a chip was gone 1 time"), "{output:?}");
}

#[test]
fn what_is_no_number_is_said_so() {
    assert_refused(&["mon", "-c", "sim", "-n", "abc"], &["\"abc\"", "expected a whole number"]);
}

/// As it is with `clock realtime` in docs/exec.md.
#[cfg(unix)]
#[test]
fn a_program_that_stamps_with_the_time_of_day_may_be_asked_for_it() {
    let chip = "exec:sh -c 'echo clock realtime; echo lines a; echo 1700000000123456789 a 1; exec sleep 60'";
    let output = run(&["mon", "-c", chip, "-n", "1", "-E", "realtime"]);
    assert!(output.status.success(), "{output:?}");
    assert!(out(&output).starts_with("2023-11-14T22:13:20.123456789Z\trising\t"), "{output:?}");
    let other = chip.replace("realtime", "monotonic");
    assert_refused(&["mon", "-c", &other, "-n", "1", "-E", "realtime"], &["take the monotonic clock"]);
}
