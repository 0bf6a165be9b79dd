//! Captures with other content between their parts: messages, zeros, another program's columns.

use std::io;

use linewake_capture::{Capture, Edge, Item};

const START: &str = r#"{"record":"start","schema":3,"host":"pi","boot_id":"b","clock":"monotonic","utc_offset_ns":7,"utc_error_ns":1,"utc_synchronised":null}"#;
const HEAD: &str = "timestamp_ns,chip,offset,name,event,level,seqno,line_seqno,overflowed,merged\n";
/// What a watch prints to standard error.
const SAID: &str = "stats of 0.0 s: 0 edges, none missing; at least 9 in all\n  \"a, b\": 9, 3 lost\n  \"odd\n[1]\n";

fn edge(at_ns: u64, number: u32) -> String {
    let kind = ["falling", "rising"][number as usize % 2];
    format!(
        r#"{{"record":"edge","chip":"c","offset":17,"name":"door","kind":"{kind}","timestamp_ns":{at_ns},"seqno":{number},"line_seqno":{number},"missed":{{"overflowed":0,"merged":0}}}}"#
    ) + "\n"
}

/// Records of a watch with three edges.
fn records() -> String {
    format!("{START}\n{}{}{}", edge(5, 1), edge(6, 2), edge(7, 3))
}

/// Rows of a watch with three edges.
fn rows(name: &str) -> String {
    format!(
        "{HEAD}5,c,1,{name},state,0,0,0,0,0\n5,c,1,{name},rising,1,1,1,0,0\n6,c,1,{name},falling,0,2,2,0,0\n\
         7,c,1,{name},rising,1,3,3,0,0\n"
    )
}

/// Edges, segments and notices; or the error.
fn read(name: &str, text: &str) -> Result<(Vec<Edge>, usize, Vec<String>), String> {
    let mut capture =
        Capture::read(name, io::Cursor::new(text.as_bytes().to_vec())).map_err(|error| error.to_string())?;
    let (mut edges, mut segments, mut notices) = (Vec::new(), 0, Vec::new());
    while let Some(item) = capture.next().map_err(|error| error.to_string())? {
        match item {
            Item::Edge(edge) => edges.push(edge),
            Item::Begin(_) => segments += 1,
            Item::Notice(notice) => notices.push(notice.to_string()),
            _ => {}
        }
    }
    Ok((edges, segments, notices))
}

fn played(name: &str, text: &str) -> (usize, usize, Vec<String>) {
    let (edges, segments, notices) = read(name, text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    (edges.len(), segments, notices)
}

#[test]
fn messages_between_records_are_left_out_and_reported_once() {
    let (records, rows) = (records(), rows("a"));
    for (name, what, watch) in [("x", "record", &records), ("x.csv", "row", &rows), ("x", "row", &rows)] {
        let lines = watch.lines().count();
        let text = format!("{watch}{SAID}{watch}{SAID}{watch}{SAID}");
        let said = format!("\"{name}\": 12 lines are not {what}s, the first is line {}; they are left out", lines + 1);
        assert_eq!(played(name, &text), (9, 3, vec![said]));
        let text = format!("{SAID}{watch}{SAID}");
        let said = format!("\"{name}\": 8 lines are not {what}s, the first is line 1; they are left out");
        assert_eq!(played(name, &text), (3, 1, vec![said]));
        let text: String = watch
            .lines()
            .enumerate()
            .map(|(at, line)| if at == lines - 1 { format!("what?\n{line}\n") } else { format!("{line}\n") })
            .collect();
        let said = format!("\"{name}\":{lines}: this line is not a {what}; it is left out");
        assert_eq!(played(name, &text), (3, 1, vec![said]));
        // The part that was cut off, and the reason.
        for end in [SAID, ""] {
            let (notices, cut) = (1 + usize::from(!end.is_empty()), &watch[..watch.len() - 20]);
            let (edges, segments, said) = played(name, &format!("{cut}\n{end}{watch}"));
            assert_eq!((edges, segments, said.len()), (5, 2, notices), "{said:?}");
            assert!(said[0].starts_with(&format!("\"{name}\":{lines}: a {what} is cut off")), "{said:?}");
            let (edges, segments, said) =
                played(name, &format!("{cut}{}{end}", if end.is_empty() { "" } else { "\n" }));
            assert_eq!((edges, segments, said.len()), (2, 1, notices), "{said:?}");
            assert!(said[0].contains("ends in the middle"), "{said:?}");
        }
    }
    let text = format!("{}{{\"level\":\"info\"}}\n", records);
    assert_eq!(played("x", &text).2, ["\"x\":5: this line is not a record; it is left out"]);
}

#[test]
fn a_file_with_nothing_else_is_not_a_capture() {
    for (name, text, says) in [
        ("x", SAID, "\"x\":1:1: expected value; a capture is what \"linewake record\" writes"),
        ("x.csv", SAID, "\"x.csv\":1: expected the header \"timestamp_ns,chip,"),
        (
            "x",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "\"x\" has nothing but zeros, as a power loss leaves them; there is nothing",
        ),
        (
            "x.csv",
            "\0\0\0\0\0\0\0\0\0\n",
            "\"x.csv\" has nothing but zeros, as a power loss leaves them; there is nothing",
        ),
    ] {
        let error = read(name, text).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
    assert!(read("x", &"no\n".repeat(100_000)).is_err());
}

#[test]
fn a_row_that_is_cut_within_quotes_costs_no_edge_of_another_capture() {
    for cut in ["8,c,1,\"Pum", "8,c,1,\"Pump, 2\",ris", "8,c,1,", "8"] {
        for name in ["a", "\", 2\"", "\"Pump, 2\"", "\"Pump \"\"2\"\"\""] {
            let watch = rows(name);
            let bare = &watch[HEAD.len()..];
            for (between, next) in [("", &*watch), ("\n", &watch), ("", bare), ("\n", bare), ("\0\0\0", &watch)] {
                if cut == "8" && between.is_empty() && next == bare {
                    // Together they are a row.
                    continue;
                }
                let text = format!("{watch}{cut}{between}{next}");
                let (edges, segments, said) = played("x", &text);
                assert_eq!((edges, segments), (6, 2), "{said:?}: {text}");
                assert_eq!(said, ["\"x\":6: a row is cut off, and another capture begins after it"], "{text}");
            }
        }
    }
    // An unknown word is an event of a later version only if everything else is right.
    let later = format!("{}8,c,1,a,later,-1,0,0,0,0\n", rows("a"));
    assert_eq!(played("x", &later), (3, 1, vec![]));
    let error =
        read("x", &format!("{}8,c,1,a, 2\",state,-1,0,0,0\n9,c,1,a,rising,1,4,4,0,0\n", rows("a"))).unwrap_err();
    assert!(error.starts_with("\"x\":6: expected a number for the column \"level\", found \"state\""), "{error}");
}

#[test]
fn zeros_are_reported_and_no_whole_record_is_called_cut() {
    let zeros = "\0".repeat(300);
    let said = |name: &str| {
        vec![format!("\"{name}\" has zeros where nothing was written, as a power loss leaves them; they are left out")]
    };
    let (records, rows) = (records(), rows("a"));
    for (name, watch) in [("x", &records), ("x", &rows), ("x.csv", &rows)] {
        assert_eq!(played(name, &format!("{zeros}{watch}")), (3, 1, said(name)));
        assert_eq!(played(name, &format!("{watch}{zeros}{watch}")), (6, 2, said(name)));
        assert_eq!(played(name, &format!("{watch}{zeros}\n{zeros}{watch}{zeros}")), (6, 2, said(name)));
    }
    let text = format!("{}{zeros}{records}", records.trim_end());
    assert_eq!(played("x", &text), (6, 2, said("x")), "its line end alone is lost");
}

#[test]
fn a_file_that_another_program_changed_is_refused_with_a_remedy() {
    let head = HEAD.trim_end();
    let row = "5,c,1,a,rising,1,1,1,0,0";
    let array = format!("[{}]", records().trim_end().replace('\n', ","));
    let lines = "[\n  {\n    \"record\": \"start\"\n  }\n]\n".to_owned();
    let pretty = START.replace('{', "{\n  ").replace(',', ",\n  ").replace('}', "\n}\n");
    for (text, says) in [
        (
            format!(",{head}\n0,{row}\n"),
            "found another column before it; remove it, as with \"to_csv(FILE, index=False)\"",
        ),
        (format!("{head}\n{row}\n").replace(',', ";"), "found \";\" between its names; write commas"),
        (format!("time,{head}\n0,{row}\n"), "found another column before it"),
        ("time,value\n0,1\n".to_owned(), "expected the header \"timestamp_ns,chip,offset,name,event,"),
        ("timestamp_ns,chip\n0,1\n".to_owned(), "expected the header \"timestamp_ns,chip,offset,name,event,"),
        (array, "has its records in an array: write one record a line, as in \"jq -c '.[]' FILE | linewake replay -\""),
        (lines, "has its records in an array: write one record a line, as in \"jq -c '.[]' FILE | linewake replay -\""),
        (pretty, "has records of several lines: write one record a line, as in \"jq -c . FILE | linewake replay -\""),
    ] {
        let error = read("x", &text).unwrap_err();
        assert!(error.starts_with("\"x\"") && error.contains(says), "{error}");
    }
    let error = read("x", "hello, world\n").unwrap_err();
    assert!(error.contains("\"linewake record\""), "no table: {error}");
}

#[test]
fn another_compression_is_named_with_its_tool() {
    for (bytes, how, tool) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "xz", "xz -dc"),
        (b"BZh91AY&SY", "bzip2", "bzip2 -dc"),
        (b"PK\x03\x04\x14\0", "zip", "unzip -p"),
        (b"\x04\x22\x4d\x18\x64\x40", "lz4", "lz4 -dc"),
    ] {
        let error = Capture::read("x", io::Cursor::new(bytes.to_vec())).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("\"x\" is compressed with {how}: unpack it first, as in \"{tool} FILE | linewake replay -\"")
        );
    }
}

/// Returns its parts one at a time.
struct Bursts(Vec<Vec<u8>>);

impl io::Read for Bursts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(next) = self.0.pop() else { return Ok(0) };
        into[..next.len()].copy_from_slice(&next);
        Ok(next.len())
    }
}

#[test]
fn a_capture_returns_quiet_before_it_waits() {
    let (records, rows) = (records(), rows("a"));
    for watch in [&records, &rows] {
        // A message is no item, and nothing after it has come.
        let parts = vec![b"what?\n".to_vec(), format!("{watch}what?\n").into_bytes()];
        let mut capture = Capture::read("x", Bursts(parts)).unwrap();
        let mut edges = 0;
        loop {
            match capture.next().unwrap() {
                Some(Item::Edge(_)) => edges += 1,
                Some(Item::Quiet) => break,
                Some(_) => {}
                None => panic!("it waited with {edges} edges"),
            }
        }
        assert_eq!(edges, 3);
    }
}
