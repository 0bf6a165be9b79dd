//! Captures: record streams, read back.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use linewake::record::{Edge, Kind, READABLE, Record, State};
use linewake::sim::{Change, Line, Script, What};
use linewake::text::is_utf16;
use linewake::{Chip, Offset};

use crate::exit::{self, Failure};
use crate::mon::summary::plural;

/// A longer line is no record.
const MOST_BYTES: u64 = 1 << 26;

/// Reads a record stream to its end: what happened, at the time stamps it has.
pub(super) fn read(path: &Path) -> Result<Script, Failure> {
    let shown = path.display();
    let cannot = |error| {
        let remedy = "name a file of \"linewake record\", or one that ends in \".vcd\"";
        Failure::new(format!("cannot read \"{shown}\": {error}; {remedy}"))
    };
    let mut file = BufReader::new(File::open(path).map_err(cannot)?);
    let mut capture = Capture::default();
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        if file.by_ref().take(MOST_BYTES).read_until(b'\n', &mut text).map_err(cannot)? == 0 {
            break;
        }
        if text.len() as u64 == MOST_BYTES {
            let remedy = "a capture is what \"linewake record\" writes";
            return Err(Failure::new(format!("\"{shown}\":{number}: this line does not end; {remedy}")));
        }
        if number == 1 {
            // As Windows' shells write what is given to them.
            if is_utf16(&text) {
                return Err(Failure::new(format!("\"{shown}\" is UTF-16; save it as UTF-8, or record it to a file")));
            }
            if text.starts_with(b"\xef\xbb\xbf") {
                text.drain(..3);
            }
        }
        let record = match serde_json::from_slice(&text) {
            Ok(record) => record,
            Err(_) if number > 1 && !text.ends_with(b"\n") => {
                exit::say(&format!("\"{shown}\" ends in the middle of a record; what is before it is played\n"));
                break;
            }
            Err(error) => {
                // It has a line of its own, which is always the first.
                let (what, column) = (error.to_string(), error.column());
                let what = what.split(" at line ").next().unwrap_or_default();
                let remedy = "a capture is what \"linewake record\" writes";
                return Err(Failure::new(format!("\"{shown}\":{number}:{column}: {what}; {remedy}")));
            }
        };
        match (&record, number) {
            (Record::Start(start), 1) if READABLE.contains(&start.schema) => {}
            (Record::Start(start), 1) => {
                let other = start.schema;
                let remedy = "play it with the version that recorded it";
                let (oldest, newest) = (READABLE.start(), READABLE.end());
                let what = format!("\"{shown}\" has schema {other}, and {oldest} to {newest} can be played");
                return Err(Failure::new(format!("{what}; {remedy}")));
            }
            (_, 1) => {
                let remedy = "a capture begins with a start record, as \"linewake record\" writes it";
                return Err(Failure::new(format!("\"{shown}\":1:1: it does not begin with a start record; {remedy}")));
            }
            _ => capture.note(&record),
        }
    }
    if capture.lines.is_empty() {
        let remedy = "a capture has a state record for each line, as \"linewake record\" writes it";
        return Err(Failure::new(format!("\"{shown}\" has no lines; {remedy}")));
    }
    if capture.put_in > 0 {
        let put_in = plural(capture.put_in, "edge");
        exit::say(&format!(
            "\"{shown}\" lacks edges that were lost: {put_in} put in, between two of the same direction\n"
        ));
    }
    Ok(capture.script())
}

#[derive(Default)]
struct Capture {
    lines: Vec<Recorded>,
    places: HashMap<(String, u32), usize>,
    changes: Vec<Change>,
    now_ns: u64,
    /// Edges between two of the same direction.
    put_in: u64,
}

/// A line of a capture.
struct Recorded {
    chip: String,
    offset: u32,
    name: Option<String>,
    initially: Option<bool>,
    /// The level it has, and since when.
    level: Option<bool>,
    since_ns: u64,
}

impl Capture {
    fn note(&mut self, record: &Record<'_>) {
        match record {
            Record::State(State { chip, offset, name, level }) => {
                let line = self.line(chip, *offset, name.as_deref());
                if let Some(level) = level {
                    self.level(line, *level == 1, self.now_ns);
                }
            }
            Record::Edge(Edge { chip, offset, name, kind, timestamp_ns, .. }) => {
                let line = self.line(chip, *offset, name.as_deref());
                let is_rising = *kind == Kind::Rising;
                self.now_ns = self.now_ns.max(*timestamp_ns);
                let Recorded { level, since_ns, .. } = self.lines[line];
                match level {
                    None => self.lines[line].initially = Some(!is_rising),
                    Some(level) if level == is_rising => {
                        self.change(line, !is_rising, since_ns.midpoint(*timestamp_ns));
                        self.put_in += 1;
                    }
                    Some(_) => {}
                }
                self.change(line, is_rising, *timestamp_ns);
            }
            Record::Gap(gap) => self.now_ns = self.now_ns.max(gap.to_ns.unwrap_or(0)),
            _ => {}
        }
    }

    fn line(&mut self, chip: &str, offset: u32, name: Option<&str>) -> usize {
        if let Some(&place) = self.places.get(&(chip.to_owned(), offset)) {
            return place;
        }
        let place = self.lines.len();
        self.places.insert((chip.to_owned(), offset), place);
        self.lines.push(Recorded {
            chip: chip.to_owned(),
            offset,
            name: name.map(str::to_owned),
            initially: None,
            level: None,
            since_ns: 0,
        });
        place
    }

    /// A line is known to have a level.
    fn level(&mut self, line: usize, level: bool, at_ns: u64) {
        match self.lines[line].level {
            None => {
                self.lines[line].initially = Some(level);
                self.lines[line].level = Some(level);
            }
            Some(before) if before != level => self.change(line, level, at_ns),
            Some(_) => {}
        }
    }

    fn change(&mut self, line: usize, level: bool, at_ns: u64) {
        let recorded = &mut self.lines[line];
        (recorded.level, recorded.since_ns) = (Some(level), at_ns);
        let what = What::Level { offset: Offset::from(line as u32), level };
        self.changes.push(Change { at_ns, what });
    }

    /// A chip of all lines: of one chip they keep their offsets, of several they have them in the order of the capture.
    fn script(mut self) -> Script {
        let first = self.lines[0].chip.clone();
        let is_one = self.lines.iter().all(|line| line.chip == first);
        let offset = |place: usize, line: &Recorded| if is_one { line.offset } else { place as u32 };
        let offsets: Vec<_> = self.lines.iter().enumerate().map(|(place, line)| offset(place, line)).collect();
        let mut script = Script::new();
        if is_one {
            script = script.label(first);
        }
        let names: Vec<_> = self.lines.iter().map(|line| line.name.clone().unwrap_or_default()).collect();
        for (line, &offset) in self.lines.iter().zip(&offsets) {
            let name = line.name.clone().unwrap_or_default();
            let is_unique = is_one || name.is_empty() || names.iter().filter(|other| **other == name).count() == 1;
            let name = if is_unique { name } else { format!("{}.{name}", line.chip) };
            script = script.line(Line::new(name).offset(offset).initially(line.initially.unwrap_or(false)));
        }
        for change in &mut self.changes {
            if let What::Level { offset, .. } = &mut change.what {
                *offset = offsets[offset.get() as usize].into();
            }
        }
        // One in the middle between two edges comes behind others that were before them.
        self.changes.sort_by_key(|change| change.at_ns);
        script.changes(self.changes)
    }
}

/// How often a watched line of the chip will change.
pub(super) fn edges(chip: &Chip, offsets: &[Offset], changes: impl Iterator<Item = Change>) -> Result<u64, Failure> {
    let mut levels: HashMap<_, _> = offsets.iter().copied().zip(chip.values(offsets.iter().copied())?).collect();
    let mut edges = 0;
    for change in changes {
        if let What::Level { offset, level } = change.what
            && let Some(now) = levels.get_mut(&offset)
        {
            edges += u64::from(std::mem::replace(now, level) != level);
        }
    }
    Ok(edges)
}
