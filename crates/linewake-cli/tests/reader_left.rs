//! A watch ends as soon as its reader leaves, and not only with the next edge.
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Scratch, linewake};

/// One edge after 300 ms, and then none for long.
const ONCE: &str = "echo 'clock monotonic'; echo 'lines door=0'; sleep 0.3; echo '1000 door 1'; exec sleep 1000\n";

/// How a child ends after its reader left, and its standard error. Fails if it takes too long.
fn ends(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it waits for the next edge");
            }
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

fn goes_on(child: &mut Child) -> bool {
    std::thread::sleep(Duration::from_millis(500));
    let goes_on = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    child.wait().unwrap();
    goes_on
}

fn first_line(reader: impl std::io::Read) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, reader).read_line(&mut line).unwrap();
    line
}

fn spawn(arguments: &[&str], stdout: impl Into<Stdio>) -> Child {
    linewake(arguments).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap()
}

/// A capture of two edges that are a quarter of an hour apart.
fn capture(name: &str) -> Scratch {
    Scratch::with(
        name,
        r#"{"record":"start","schema":3,"host":null,"boot_id":null,"clock":"monotonic","utc_offset_ns":null,"utc_error_ns":null,"utc_synchronised":null}
{"record":"state","chip":"x","offset":0,"name":"door","level":0}
{"record":"edge","chip":"x","offset":0,"name":"door","kind":"rising","timestamp_ns":1000,"seqno":1,"line_seqno":1,"missed":{"overflowed":0,"merged":0}}
{"record":"edge","chip":"x","offset":0,"name":"door","kind":"falling","timestamp_ns":900000000000,"seqno":2,"line_seqno":2,"missed":{"overflowed":0,"merged":0}}
"#,
    )
}

#[test]
fn every_command_that_keeps_printing_notices_a_closed_pipe() {
    let program = Scratch::with("left.sh", ONCE);
    let chip = format!("exec:sh {}", program.path());
    let capture = capture("left.jsonl");
    for (arguments, code) in [
        (&["mon", "-c", &chip][..], 0),
        (&["mon", "-c", &chip, "--json"], 0),
        (&["mon", "-c", &chip, "--csv"], 0),
        (&["mon", "-c", &chip, "-q", "--json=/dev/stdout"], 0),
        (&["mon", "-c", &chip, "--filter", "debounce=1ms"], 0),
        (&["mon", "-c", &chip, "-n", "2"], 3),
        (&["record", "-", "-c", &chip], 0),
        (&["replay", capture.path()], 0),
        (&["notify", "-c", "sim", "--banner", "door"], 0),
        (&["notify", "-c", "sim", "--json", "-n", "1", "door"], 3),
    ] {
        let mut child = spawn(arguments, Stdio::piped());
        let line = first_line(child.stdout.as_mut().unwrap());
        drop(child.stdout.take());
        let (ended, said) = ends(child);
        assert_eq!(ended, Some(code), "{arguments:?}: {line}{said}");
        assert!(!said.contains("cannot"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_closed_named_pipe_is_noticed() {
    let pipe = Scratch::new("left.fifo");
    assert!(Command::new("mkfifo").arg(pipe.path()).status().unwrap().success());
    let capture = capture("named.jsonl");
    for option in ["--json", "--csv"] {
        let option = format!("{option}={}", pipe.path());
        for words in [&["mon", "-c", "sim", "-q", &option, "tamper"][..], &["replay", capture.path(), "-q", &option]] {
            let child = spawn(words, Stdio::null());
            assert!(first_line(File::open(pipe.path()).unwrap()).len() > 10);
            assert_eq!(ends(child).0, Some(0), "{words:?}");
        }
    }
}

#[test]
fn a_closed_socket_is_noticed_and_a_half_closed_one_goes_on() {
    let quiet = ["mon", "-c", "sim", "--banner", "tamper"];
    for ends_it in [false, true] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut child = spawn(&quiet, OwnedFd::from(theirs));
        first_line(&ours);
        ours.shutdown(Shutdown::Write).unwrap();
        if ends_it {
            drop(ours);
            assert_eq!(ends(child).0, Some(0));
        } else {
            assert!(goes_on(&mut child), "who writes no more still reads");
        }
    }
}

#[test]
fn a_lost_terminal_is_noticed_even_if_its_signal_is_ignored() {
    for words in [["mon", "-c", "sim", "--banner", "tamper"], ["notify", "-c", "sim", "--banner", "door"]] {
        let (user, path) = support::terminal();
        let terminal = File::options().read(true).write(true).open(path).unwrap();
        // A shell that ignores hang-ups, as do the programs that it starts.
        let mut child = Command::new("sh");
        child.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_linewake")]).args(words);
        let child = child.stdin(Stdio::null()).stdout(terminal).stderr(Stdio::piped()).spawn().unwrap();
        first_line(&user);
        drop(user);
        let (code, said) = ends(child);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("cannot"), "{said}");
    }
}

#[test]
fn a_command_that_prints_nothing_needs_no_reader() {
    let file = Scratch::new("left.csv");
    let mut child = spawn(&["mon", "-c", "sim", "-q", &format!("--csv={}", file.path()), "tamper"], Stdio::piped());
    drop(child.stdout.take());
    assert!(goes_on(&mut child));
}
