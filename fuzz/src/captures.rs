//! Any bytes as a capture: of records, of rows, or compressed. Reading ends, with an error or without; each segment
//! that begins also ends; each edge belongs to a known line; and on a line the time never goes back.

use std::collections::HashMap;
use std::io::Cursor;

use linewake_capture::{Capture, Item};

/// As records, one on each line.
pub fn capture_records(bytes: &[u8]) {
    read("x.jsonl", bytes);
}

/// As comma-separated values.
pub fn capture_rows(bytes: &[u8]) {
    read("x.csv", bytes);
}

/// As members of gzip and frames of Zstandard.
pub fn capture_packed(bytes: &[u8]) {
    read("x", bytes);
}

fn read(name: &str, bytes: &[u8]) {
    let mut capture = match Capture::read(name, Cursor::new(bytes.to_vec())) {
        Ok(capture) => capture,
        Err(error) => return assert!(error.to_string().contains(name)),
    };
    let mut times = HashMap::new();
    let (mut begun, mut ended) = (0, 0);
    loop {
        match capture.next() {
            Ok(Some(Item::Edge(edge))) => {
                assert!(edge.line < capture.lines().len());
                let before = times.insert(edge.line, edge.axis_ns).unwrap_or(0);
                assert!(before <= edge.axis_ns);
                assert!(capture.latest_ns() >= Some(edge.axis_ns));
            }
            Ok(Some(Item::Line(line) | Item::State { line, .. })) => {
                let line = &capture.lines()[line];
                assert!(line.chip < capture.chips().len());
            }
            Ok(Some(Item::Gap(gap))) => assert!(gap.chip < capture.chips().len()),
            Ok(Some(Item::Begin(segment))) => {
                assert_eq!(begun, ended);
                begun += 1;
                assert_eq!(segment.number, begun);
            }
            Ok(Some(Item::End(_))) => ended += 1,
            Ok(Some(Item::Notice(notice))) => assert!(notice.to_string().contains(name)),
            Ok(Some(_)) => {}
            Ok(None) => return assert_eq!(begun, ended),
            Err(error) => {
                assert!(error.to_string().contains(name));
                assert_eq!(capture.next(), Ok(None));
                return;
            }
        }
    }
}
