//! Exit codes: 0 done as asked; 1 an error; 2 edges were lost, with --fail-on-loss; 3 it ended before all awaited edges
//! or events came.

mod support;

#[cfg(unix)]
use std::io::{BufRead as _, BufReader};
use std::process::Output;
#[cfg(unix)]
use std::process::{Child, Stdio};

use support::{Scratch, err, run};
#[cfg(unix)]
use support::{ends, linewake};

/// One pulse half a second in, and nothing more.
const PULSE: &str = "[[line]]\nname = \"door\"\nfirst = \"500ms\"\nhigh = \"100ms\"\nlow = \"1h\"\ntimes = 1\n";
/// Edges faster than a queue of two is read, 300 ms in; then none.
const FLOOD: &str = "[[line]]\nname = \"door\"\nfirst = \"300ms\"\nhigh = \"1us\"\nlow = \"1us\"\ntimes = 2000\n";

/// Checks the exit code, and the last line on standard error.
fn assert_ends(arguments: &[&str], code: i32, last: &str) {
    assert_ended(&run(arguments), arguments, code, last);
}

fn assert_ended(output: &Output, arguments: &[&str], code: i32, last: &str) {
    let said = err(output).lines().last().unwrap_or_default();
    assert!(output.status.code() == Some(code) && said.contains(last), "{arguments:?}, {code} {last:?}: {output:?}");
}

#[test]
fn missing_edges_are_counted_and_end_it_with_3() {
    let script = Scratch::with("awaited.toml", PULSE);
    let chip = format!("sim:{}", script.path());
    let file = Scratch::new("awaited.jsonl");
    for command in [&["mon", "-q"][..], &["mon", "--json"], &["record", file.path()]] {
        let with = |more: &[&'static str]| [command, &["-c", &chip], more].concat();
        assert_ends(&with(&["-n", "3", "--for", "1s"]), 3, "linewake: 2 of 3 edges came, and --for was over");
        assert_ends(&with(&["-n", "1", "--for", "0"]), 3, "linewake: 0 of 1 edge came, and --for was over");
        let idle = "linewake: 2 of 3 edges came, and --idle-timeout was over";
        assert_ends(&with(&["-n", "3", "--idle-timeout", "2s"]), 3, idle);
        assert_ends(&with(&["-n", "2", "--for", "1m"]), 0, "");
        assert_ends(&with(&["-n", "0", "--for", "100ms"]), 0, "");
        assert_ends(&with(&["--idle-timeout", "100ms"]), 0, "");
    }
    // Only edges that pass the filter count.
    let filtered = ["mon", "-c", &chip, "-n", "1", "--for", "1s", "--filter", "debounce=1m"];
    assert_ends(&filtered, 3, "linewake: 0 of 1 edge came, and --for was over");
}

#[test]
fn missing_events_are_counted_and_end_notify_with_3() {
    let idle = ["notify", "-c", "sim", "--idle-timeout", "50ms", "door"];
    assert_ends(&[&idle[..], &["-n", "2"]].concat(), 3, "linewake: 0 of 2 events came, and --idle-timeout was over");
    assert_ends(&idle, 0, "");
}

#[test]
#[cfg(unix)]
fn a_source_that_ends_first_ends_it_with_3() {
    let program = Scratch::with("source.sh", "echo 'clock monotonic'; echo 'lines door=0'; echo '1000 door 1'");
    let chip = format!("exec:sh {}", program.path());
    let output = run(&["mon", "-c", &chip, "-n", "2"]);
    assert_ended(&output, &["-n 2"], 3, "linewake: 1 of 2 edges came, and the chip was gone");
    assert!(err(&output).contains("ended (exit status: 0); --reattach waits"), "{output:?}");
    assert_ends(&["mon", "-c", &chip, "-n", "1"], 0, "");
    assert_ends(&["mon", "-c", &chip], 1, "ended (exit status: 0)");
}

#[test]
fn fail_on_loss_goes_before_missing_edges() {
    let script = Scratch::with("flood.toml", FLOOD);
    let chip = format!("sim:{}", script.path());
    let flood = ["mon", "-c", &chip, "-q", "--for", "1500ms", "--queue-size", "2"];
    let output = run(&[&flood[..], &["-n", "100000", "--fail-on-loss"]].concat());
    assert_ended(&output, &flood, 2, "linewake: --fail-on-loss: ");
    assert!(err(&output).contains(" of 100000 edges came, and --for was over\n"), "{output:?}");
    assert_ends(&[&flood[..], &["--fail-on-loss"]].concat(), 2, "linewake: --fail-on-loss: ");
    assert_ends(&[&flood[..], &["-n", "100000"]].concat(), 3, " of 100000 edges came, and --for was over");
    assert_ends(&flood, 0, "");
}

/// Starts a command, and returns when it has printed its first line.
#[cfg(unix)]
fn started(arguments: &[&str]) -> Child {
    let mut child = linewake(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    child
}

/// Checks how a command ends after a signal.
#[cfg(unix)]
fn assert_signalled(arguments: &[&str], code: i32, last: &str) {
    for signal in ["-TERM", "-INT"] {
        // A shell has its background jobs ignore Ctrl-C; a program with a handler of its own receives it all the same.
        let child = started(arguments);
        let killed = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_ended(&child.wait_with_output().unwrap(), arguments, code, last);
    }
}

#[test]
#[cfg(unix)]
fn a_second_signal_ends_it_at_once_and_says_what_is_missing() {
    let script = Scratch::with("second.toml", PULSE);
    let chip = format!("sim:{}", script.path());
    // The watch waits for this command, and the command waits for the end of the watch.
    let command = "echo runs; while kill -0 $PPID 2>/dev/null; do sleep 0.05; done";
    let arguments = ["mon", "-c", &chip, "-q", "--exec", command];
    let mut child = linewake(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::with_capacity(1, child.stderr.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    for signal in ["-INT", "-TERM"] {
        std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    }
    let said = "linewake: ended by a second signal: the summary is missing, and the outputs may lack their last edges";
    let (code, told) = ends(child);
    assert!(code == Some(1) && told.contains(said), "{code:?}: {told}");
}

#[test]
#[cfg(unix)]
fn a_signal_before_the_last_awaited_edge_ends_it_with_3() {
    let mon = ["mon", "-c", "sim", "--banner", "tamper"];
    assert_signalled(&mon, 0, "1 line: ");
    assert_signalled(&[&mon[..], &["-n", "3"]].concat(), 3, "linewake: 0 of 3 edges came, and a signal ended it");
    let notify = ["notify", "-c", "sim", "--banner", "door"];
    assert_signalled(&notify, 0, "");
    let early = "linewake: 0 of 3 events came, and a signal ended it";
    assert_signalled(&[&notify[..], &["-n", "3"]].concat(), 3, early);
    let set = ["set", "-c", "sim", "--banner", "led=1"];
    assert_signalled(&[&set[..], &["-t", "1h"]].concat(), 0, "");
    let toggling = "linewake: a signal ended it before the toggling was over";
    assert_signalled(&[&set[..], &["-t", "10m,0"]].concat(), 3, toggling);
    let holding = "linewake: a signal ended it before --hold-period was over";
    assert_signalled(&[&set[..], &["-p", "10m"]].concat(), 3, holding);
}

#[test]
#[cfg(unix)]
fn a_signal_ends_a_prompt_with_0_and_an_unfinished_command_with_3() {
    use std::io::Write as _;

    for (commands, code, last) in
        [("get\n", 0, ""), ("get\nsleep 10m\n", 3, "linewake: a signal ended it before the command \"sleep\" was over")]
    {
        let mut set = linewake(&["set", "-c", "sim", "-i", "led=1"]);
        let mut child = set.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(commands.as_bytes()).unwrap();
        BufReader::with_capacity(1, child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        // The next command has begun.
        std::thread::sleep(std::time::Duration::from_millis(500));
        let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        assert_ended(&output, &[commands], code, last);
        drop(stdin);
    }
}

#[test]
#[cfg(unix)]
fn a_signal_in_the_middle_of_a_capture_ends_replay_with_3() {
    let start = r#"{"record":"start","schema":2,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null}
{"record":"state","chip":"x","offset":0,"name":"door","level":0}"#;
    let edge = |kind: &str, seconds: u64, seqno: u64| {
        format!(
            r#"{{"record":"edge","chip":"x","offset":0,"name":"door","kind":"{kind}","timestamp_ns":{},"seqno":{seqno},"line_seqno":{seqno},"missed":{{"overflowed":0,"merged":0}}}}"#,
            seconds * 1_000_000_000
        )
    };
    let text = [start, &edge("rising", 1, 1), &edge("falling", 1000, 2), ""].join("\n");
    let capture = Scratch::with("cut.jsonl", &text);
    assert_signalled(&["replay", capture.path()], 3, "linewake: not all of the capture was played: a signal ended it");
    assert_ends(&["replay", capture.path(), "--fast"], 0, "");
    assert_ends(&["replay", capture.path(), "-n", "1"], 0, "");
}

#[test]
#[cfg(unix)]
fn a_reader_that_leaves_before_the_last_awaited_edge_ends_it_with_3() {
    for (more, code) in [(&[][..], 0), (&["-n", "1000"], 3)] {
        let arguments = [&["mon", "-c", "sim"], more].concat();
        let mut child = started(&arguments);
        drop(child.stdout.take());
        let last = if code == 3 { " of 1000 edges came, and its reader left" } else { " delivered" };
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(err(&output).contains(last), "{output:?}");
    }
}

#[test]
fn every_help_says_what_its_command_ends_with() {
    let all = run(&["--help"]);
    let text = String::from_utf8(all.stdout).unwrap();
    for code in ["  0  done as asked", "  1  an error", "  2  edges were lost", "  3  it ended too early"] {
        assert!(text.contains(code), "{text}");
    }
    let commands = text.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        let help = run(&[name, "--help"]);
        let text = support::out(&help);
        assert!(text.contains("  0  done as asked") && text.contains("  1  an error"), "{name}: {text}");
        let [two, three] = ["  2  edges", "  3  "].map(|code| text.contains(code));
        assert_eq!(two, ["mon", "record", "replay"].contains(name), "{name}");
        assert_eq!(three, ["mon", "record", "replay", "notify", "set"].contains(name), "{name}");
    }
}

/// A line's name comes from a device or a script, a key from a file, and the rest from the caller of the command.
#[test]
fn a_name_in_an_error_cannot_command_the_terminal() {
    let named = Scratch::with("named.toml", "[[line]]\nname = \"a\\u001b[2J\\nlinewake: b\"\n");
    let key = Scratch::with("key.toml", "\"clo\\u001bck\" = 1\n");
    let (named, key) = (format!("sim:{}", named.path()), format!("sim:{}", key.path()));
    for (arguments, part) in [
        (&["get", "-c", &named, "c"][..], r"a\u{1b}[2J\nlinewake: b"),
        (&["get", "-c", &key, "c"], r#"unknown key "clo\u{1b}ck""#),
        (&["get", "-c", "no\x1b\nsuch", "c"], r#"there is no chip "no\u{1b}\nsuch""#),
        (&["get", "-c", "profile:no\x1bsuch", "c"], r#"cannot read the profile "no\u{1b}such""#),
        (&["get", "--no\x1bsuch"], r#"unexpected argument "--no\u{1b}such""#),
        (&["no\u{9b}such"], r#"unknown command "no\u{9b}such""#),
    ] {
        let output = run(arguments);
        assert_ended(&output, arguments, 1, part);
        let said = err(&output).trim_end_matches(['\r', '\n']);
        assert!(!said.contains(char::is_control), "{arguments:?}: {said:?}");
    }
    // A hard link on Windows needs the same volume as the program, and this directory is on it.
    let tools = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("exit_codes_tools");
    let _ = std::fs::remove_dir_all(&tools);
    std::fs::create_dir_all(&tools).unwrap();
    assert_ends(&["links", tools.to_str().unwrap()], 0, "");
    let tool = tools.join(format!("gpioget{}", std::env::consts::EXE_SUFFIX));
    let output = std::process::Command::new(tool).args(["-c", "no\x1b\nsuch", "0"]).output().unwrap();
    assert_ended(&output, &["gpioget"], 1, r"character device 'no\u{1b}\nsuch'");
}

/// The user must know of each output that is incomplete.
#[test]
#[cfg(target_os = "linux")]
fn every_output_on_a_full_disk_is_named() {
    let script = Scratch::with("full.toml", PULSE);
    let chip = format!("sim:{}", script.path());
    let full = Scratch::new("full.jsonl");
    std::os::unix::fs::symlink("/dev/full", full.path()).unwrap();
    let json = format!("--json={}", full.path());
    let capture = Scratch::new("full_capture.jsonl");
    assert_ends(&["record", "-c", &chip, "-n", "2", capture.path()], 0, "");
    for command in [&["mon", "-c", &chip, "-n", "1"][..], &["replay", capture.path(), "--fast"]] {
        let arguments = [command, &["-q", &json, "--csv=/dev/full"]].concat();
        let output = run(&arguments);
        assert_ended(&output, &arguments, 1, "full.jsonl\": No space left");
        assert!(err(&output).contains("linewake: cannot write to \"/dev/full\": No space left"), "{output:?}");
    }
}
