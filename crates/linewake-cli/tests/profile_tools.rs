//! `linewake profile decode` and `try`, as their users run them.

mod support;

use std::io::Write as _;
use std::process::Stdio;

use support::{Scratch, err, linewake, out, run};

/// A box of eight switches that are read; records of another kind come between.
const BOX: &str = "name = 'box'\n[device]\npath = '/dev/box0'\n[[line]]\nname = 'door'\n[[line]]\nname = 'lamp'\n\
                   [levels]\nstart = 'unknown'\n[wait]\nby = 'read'\nmeans = 'level'\nreads = 'messages'\n\
                   [wait.output]\nlength = 64\nrecord = 2\nonly = [{ at = 0, width = 1, is = 1 }]\n\
                   fields = { levels = { at = 1, width = 1 } }\n";

const DECODED: &str = "record 0: levels 0b00000001 (line door)\n\
                       record 1: ignored: expected 1 in byte 0, found 2\n\
                       record 2: levels 0b00000011 (lines door, lamp)\n";

fn piped(arguments: &[&str], input: &[u8]) -> std::process::Output {
    let mut command = linewake(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // The command may not read all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn bytes_are_decoded_however_they_are_written() {
    let file = Scratch::with("decode.toml", BOX);
    for hex in [&["010102000103"][..], &["01", "01", "02", "00", "01", "03"], &["01:01 02-00", "0x01,0x3"]] {
        let output = run(&[&["profile", "decode", file.path()], hex].concat());
        assert_eq!(out(&output), DECODED, "{hex:?}: {output:?}");
        assert!(output.status.success() && err(&output).is_empty());
    }
    let by_name = run(&["profile", "decode", "--call", "read", file.path(), "0101"]);
    assert_eq!(out(&by_name), DECODED.lines().next().unwrap().to_owned() + "\n");
    for dump in [
        "01 01 02 00 01 03\n",
        "00000000: 0101 0200 0103                           ......\n",
        "00000000  01 01 02 00 01 03                                 |......|\n00000006\n",
        "0000000 01 01 02 00 01 03\n0000006\n",
    ] {
        let output = piped(&["profile", "decode", file.path(), "-"], dump.as_bytes());
        assert_eq!(out(&output), DECODED, "{dump}: {output:?}");
    }
}

#[test]
fn bytes_in_place_of_text_are_told_how_to_become_text() {
    let file = Scratch::with("binary.toml", BOX);
    let binary = piped(&["profile", "decode", file.path(), "-"], &[0xff, 0, 1]);
    assert!(err(&binary).contains("pipe it through xxd or hexdump -C"), "{binary:?}");
}

#[test]
fn a_call_is_named_where_several_tell() {
    let ports = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/refused/files/ports.toml");
    let output = run(&["profile", "decode", ports, "01", "--call", "high"]);
    assert_eq!(out(&output), "record 0: levels 0b00000001 (line b)\n", "{output:?}");
}

/// On a terminal as the device, with the test at its other end.
#[cfg(target_os = "linux")]
mod attempt {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    use super::support::{Scratch, err, linewake, out, run, terminal};

    struct Box {
        end: File,
        /// It stays a terminal as long as someone has it open.
        _line: File,
        path: String,
    }

    impl Box {
        fn new() -> Self {
            let (end, path) = terminal();
            let line = File::options().read(true).write(true).open(&path).unwrap();
            let mut settings = tcgetattr(&line).unwrap();
            settings.make_raw();
            tcsetattr(&line, OptionalActions::Now, &settings).unwrap();
            fcntl_setfl(&end, OFlags::NONBLOCK).unwrap();
            Self { end, _line: line, path }
        }

        fn was_sent(&mut self) -> Vec<u8> {
            let mut bytes = [0; 64];
            self.end.read(&mut bytes).map_or(Vec::new(), |length| bytes[..length].to_vec())
        }
    }

    fn profile(path: &str) -> String {
        format!(
            "name = 'box'\nsetup = 'enable'\n[device]\npath = '{path}'\naccess = 'read-write'\n[[line]]\nname = 'door'\n\
             [[line]]\nname = 'lamp'\n[call.enable]\nwrite = true\ninput = {{ bytes = 'aa 01' }}\n[levels]\n\
             start = 'inactive'\n[wait]\nby = 'read'\nreads = 'bytes'\nmeans = 'level'\n[wait.output]\nlength = 64\n\
             record = 2\nonly = [{{ at = 0, width = 1, is = 1 }}]\nfields = {{ levels = {{ at = 1, width = 1 }} }}\n"
        )
    }

    fn started(file: &Scratch, arguments: &[&str]) -> Child {
        // --for ends it if the test waits for something that does not come.
        let arguments = [&["profile", "try", "--for", "30s", file.path()], arguments].concat();
        linewake(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Reads what it shows up to some words.
    fn shows(child: &mut Child, wanted: &str) -> String {
        let stdout = child.stdout.as_mut().unwrap();
        let (mut shown, begun) = (Vec::new(), Instant::now());
        while !String::from_utf8_lossy(&shown).contains(wanted) {
            let mut byte = [0];
            let length = stdout.read(&mut byte).unwrap();
            let text = String::from_utf8_lossy(&shown);
            assert!(length > 0 && begun.elapsed() < Duration::from_secs(30), "{wanted:?} is not in {text}");
            shown.push(byte[0]);
        }
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn it_shows_what_comes_and_sends_nothing_that_is_not_allowed() {
        let mut device = Box::new();
        let file = Scratch::with("try.toml", &profile(&device.path));
        let mut child = started(&file, &["-n", "2"]);
        let begun = shows(&mut child, "allows it\n");
        assert!(begun.contains("skipped  enable\n") && begun.contains("                      aa 01\n"), "{begun}");
        device.end.write_all(&[1, 1, 2, 0, 1]).unwrap();
        let first = shows(&mut child, "EDGE     rising line 0 \"door\", stamped ");
        for part in
            ["01 01 02 00 01\n", "record 0: levels 0b00000001 (line door)\n", "record 1: ignored: expected 1 in byte 0"]
        {
            assert!(first.contains(part), "{part:?} is not in {first}");
        }
        device.end.write_all(&[0]).unwrap();
        let second = shows(&mut child, "EDGE     falling line 0 \"door\", stamped ");
        let whole = "with the bytes before, these records are whole:\n                      01 00\n                      \
                     record 0: levels 0b00000000 (no line)\n";
        assert!(second.contains(whole), "{second}");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(err(&output).contains("2 lines: 2 edges delivered"), "{output:?}");
        assert!(!out(&output).contains("failed"), "{output:?}");
        assert!(device.was_sent().is_empty());
    }

    #[test]
    fn allowed_calls_are_sent_and_an_early_end_has_its_exit_code() {
        let mut device = Box::new();
        let file = Scratch::with("allowed.toml", &profile(&device.path));
        let output = run(&["profile", "try", file.path(), "--allow-writes", "-n", "5", "--for", "300ms"]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(err(&output).ends_with("linewake: 0 of 5 edges came, and --for was over\n"), "{output:?}");
        assert!(out(&output).contains("sent     enable\n                      aa 01\n"), "{output:?}");
        assert_eq!(device.was_sent(), [0xaa, 1]);
        let output = run(&["profile", "try", file.path(), "--allow-writes", "--for", "100ms"]);
        assert!(output.status.success(), "nothing was awaited: {output:?}");
    }

    #[test]
    fn it_ends_at_once_if_the_call_that_tells_is_left_out() {
        let waits = "name = 'card'\nlines = 8\n[device]\npath = '/dev/null'\n[call.wait]\nioctl = 0x8001e005\nblocks = true\n\
                     output = { length = 1, fields = { rising = { at = 0, width = 1 } } }\n[wait]\nby = 'call'\ncall = 'wait'\n\
                     means = 'mask'\n";
        let file = Scratch::with("left-out.toml", waits);
        let output = run(&["profile", "try", file.path()]);
        assert!(output.status.success(), "{output:?}");
        assert!(out(&output).contains("skipped  wait\n"), "{output:?}");
        assert!(
            err(&output).contains("\"wait\" was left out, so no edge can come; --allow-writes allows it"),
            "{output:?}"
        );
    }

    #[test]
    fn repeated_answers_of_a_poll_are_counted_and_not_printed() {
        let mut device = Box::new();
        // FIONREAD: how many bytes there are to read.
        let polls = format!(
            "name = 'poll'\nlines = 8\n[device]\npath = '{}'\n[call.waiting]\nioctl = 0x541b\n\
             output = {{ length = 4, fields = {{ levels = {{ at = 0 }} }} }}\n[levels]\ncall = 'waiting'\n[wait]\nby = 'poll'\n\
             period_us = 1000\nthen = 'waiting'\nmeans = 'level'\n",
            device.path
        );
        let file = Scratch::with("poll.toml", &polls);
        let mut child = started(&file, &["--allow-writes", "-n", "1"]);
        shows(&mut child, "answer   waiting\n");
        std::thread::sleep(Duration::from_millis(100));
        device.end.write_all(&[0]).unwrap();
        let shown = shows(&mut child, "EDGE     rising line 0, stamped ");
        assert!(shown.contains(" more calls and answers as before\n"), "{shown}");
        assert!(shown.contains("01 00 00 00\n                      record 0: levels 0b"), "{shown}");
        assert!(shown.lines().count() < 12, "{shown}");
        assert!(child.wait().unwrap().success());
    }
}
