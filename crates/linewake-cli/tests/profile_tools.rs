//! `linewake profile decode`, as its users run it.

mod support;

use std::io::Write as _;
use std::process::Stdio;

use support::{Scratch, err, linewake, out, run};

/// A box of eight switches, which a read tells of; records of another kind come between.
const BOX: &str = "name = 'box'\n[device]\npath = '/dev/box0'\n[[line]]\nname = 'door'\n[[line]]\nname = 'lamp'\n\
                   [levels]\nstart = 'unknown'\n[wait]\nby = 'read'\nmeans = 'level'\nreads = 'messages'\n\
                   [wait.output]\nlength = 64\nrecord = 2\nonly = [{ at = 0, width = 1, is = 1 }]\n\
                   fields = { levels = { at = 1, width = 1 } }\n";

const DECODED: &str = "record 0: levels 0b00000001 (line door)\n\
                       record 1: of another kind, and ignored: 2 in byte 0, and not 1\n\
                       record 2: levels 0b00000011 (lines door, lamp)\n";

fn piped(arguments: &[&str], input: &[u8]) -> std::process::Output {
    let mut command = linewake(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may be one that is not read to its end.
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
fn what_cannot_be_decoded_is_said_in_one_line() {
    let file = Scratch::with("undecoded.toml", BOX);
    for (arguments, says) in [
        (&["0x"][..], "there are no bytes to decode"),
        (&["010"], "\"010\" has an odd number of digits"),
        (&["door"], "\"door\" is no byte: \"o\" is no hexadecimal digit"),
        (&["--call", "levels", "01"], "has no call \"levels\"; it has \"read\""),
        (&["010102"], "no whole number of records of 2 bytes"),
        (&[], "HEX"),
    ] {
        let output = run(&[&["profile", "decode", file.path()], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(err(&output).starts_with("linewake: ") && err(&output).lines().count() == 1, "{output:?}");
        assert!(err(&output).contains(says) && out(&output).is_empty(), "{arguments:?}: {output:?}");
    }
    let binary = piped(&["profile", "decode", file.path(), "-"], &[0xff, 0, 1]);
    assert!(err(&binary).contains("pipe it through xxd or hexdump -C"), "{binary:?}");
}

#[test]
fn where_several_calls_tell_it_is_to_be_said_which() {
    let ports = "name = 'ports'\n[device]\npath = '\\\\.\\Ports0'\n[[line]]\nname = 'a'\nfrom = 'low'\n[[line]]\nname = 'b'\n\
                 from = 'high'\nevent_bit = 0\n[wait]\nby = 'poll'\nperiod_us = 1000\nthen = ['low', 'high']\nmeans = 'level'\n\
                 [call.low]\ncode = 0x80006004\noutput = { length = 1, fields = { levels = { at = 0, width = 1 } } }\n\
                 [call.high]\ncode = 0x80006008\noutput = { length = 1, fields = { levels = { at = 0, width = 1 } } }\n";
    let file = Scratch::with("ports.toml", ports);
    let output = run(&["profile", "decode", file.path(), "01"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(err(&output).contains("say by --call which, of \"low\", \"high\""), "{output:?}");
    let output = run(&["profile", "decode", file.path(), "01", "--call", "high"]);
    assert_eq!(out(&output), "record 0: levels 0b00000001 (line b)\n", "{output:?}");
}
