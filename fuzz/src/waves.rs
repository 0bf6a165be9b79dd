//! Any bytes as waveforms. Reading ends, with an error or without; time does not go back; a wire that changes gets
//! another level; and a wire that is watched alone has the same changes as among all wires.

use std::collections::HashMap;
use std::io::Cursor;

use linewake_wave::{Change, Error, Reader};

/// How many changes are read: a few bytes can stand for many.
const MOST: usize = 1 << 16;

/// A value change dump.
pub fn vcd(bytes: &[u8]) {
    check(true, || Reader::vcd("fuzz", Box::new(Cursor::new(bytes.to_vec()))));
}

/// An FST file.
pub fn fst(bytes: &[u8]) {
    // Unwatched wires are not read, and neither is damage there.
    check(false, || Reader::fst("fuzz", Cursor::new(bytes.to_vec())));
}

/// A GHW file.
pub fn ghw(bytes: &[u8]) {
    check(true, || Reader::ghw("fuzz", Box::new(Cursor::new(bytes.to_vec()))));
}

fn check(reads_all: bool, open: impl Fn() -> Result<Reader, Error>) {
    let mut reader = match open() {
        Ok(reader) => reader,
        Err(error) => return assert!(error.to_string().contains("fuzz"), "{error}"),
    };
    let wires = reader.wire_count();
    if wires < 1 << 12 {
        let lines = reader.lines();
        let names = reader.names(&lines);
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), lines.len());
        for wire in reader.wires().take(16) {
            assert!(reader.find(&wire.path()).contains(&wire.index()), "{}", wire.path());
        }
    }
    reader.left_out().iter().for_each(|left_out| drop(left_out.to_string()));
    let (mut at_ns, mut levels) = (0, HashMap::new());
    let mut all = Vec::new();
    for change in reader.by_ref().take(MOST) {
        let Ok(change) = change else { break };
        assert!(change.at_ns >= at_ns);
        assert!((change.wire as usize) < wires);
        assert_ne!(levels.insert(change.wire, change.level), Some(change.level));
        at_ns = change.at_ns;
        all.push(change);
    }
    let is_end = reads_all && all.len() < MOST;
    reader.warnings().iter().for_each(|warning| assert!(warning.contains("fuzz"), "{warning}"));
    let chosen: Vec<_> = (0..wires).filter(|wire| wire % 3 == 1).collect();
    let expected: Vec<Change> = all.into_iter().filter(|change| change.wire % 3 == 1).collect();
    let mut reader = open().unwrap();
    reader.watch(&chosen);
    let told: Vec<_> = reader.map_while(Result::ok).take(expected.len() + usize::from(is_end)).collect();
    assert_eq!(told, expected);
}
