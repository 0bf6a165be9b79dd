//! A profile made from the input, and a device that returns the rest of the input. The library does not panic, delivers
//! no edge of a line that no record names, and reports no more edges, delivered and lost together, than the records
//! have. This file reads the records by its own code, and not by the library's.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use linewake::profile::Profile;
use linewake::{Chip, Edges};
use overlapped::{Device, Status, sim};

use crate::input::Input;

/// A number in a record, as this file reads it.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    width: usize,
    big: bool,
    /// The first bit, and how many.
    bits: Option<(u32, u32)>,
}

impl Place {
    /// A place that fits into a record in most cases, sometimes with bits.
    fn of(input: &mut Input<'_>, record: usize, widest: usize) -> Self {
        let width = 1 + usize::from(input.u8()) % widest;
        let choice = input.u8();
        let at = usize::from(choice & 0x3f) % record.max(1);
        let bits = (choice & 0x40 != 0).then(|| {
            let first = u32::from(input.u8()) % (8 * width as u32);
            (first, 1 + u32::from(input.u8()) % (8 * width as u32 - first))
        });
        Self { at, width, big: choice & 0x80 != 0, bits }
    }

    fn mask(input: &mut Input<'_>, record: usize) -> Self {
        Self { bits: None, ..Self::of(input, record, 2) }
    }

    fn number(self, record: &[u8]) -> u64 {
        let bytes = &record[self.at..self.at + self.width];
        let value = |(place, byte): (usize, &u8)| {
            let from_low = if self.big { self.width - 1 - place } else { place };
            u64::from(*byte) << (8 * from_low)
        };
        let whole: u64 = bytes.iter().enumerate().map(value).sum();
        match self.bits {
            None => whole,
            Some((first, count)) => whole >> first & self.greatest_of(count),
        }
    }

    fn greatest_of(self, bits: u32) -> u64 {
        u64::MAX >> (64 - bits)
    }

    fn greatest(self) -> u64 {
        self.greatest_of(self.bits.map_or(8 * self.width as u32, |(_, count)| count))
    }

    fn text(self) -> String {
        let endian = if self.big { "big" } else { "little" };
        let bits = self.bits.map(|(first, count)| format!(", bit = {first}, bits = {count}")).unwrap_or_default();
        format!("at = {}, width = {}, endian = '{endian}'{bits}", self.at, self.width)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Means {
    Edge,
    Level,
    Mask,
    Count,
}

/// A profile, and what this file needs to read its records.
struct GeneratedProfile {
    text: String,
    lines: u32,
    record: usize,
    is_stream: bool,
    means: Means,
    only: Option<(Place, u64)>,
    line: Option<Place>,
    level: Option<Place>,
    levels: Option<Place>,
    changed: Option<Place>,
    rising: Option<Place>,
    falling: Option<Place>,
    missing: Vec<Place>,
    line_seqno: Option<Place>,
    count: Option<Place>,
    since: u8,
}

/// The bytes whose bits choose what a profile has.
#[derive(Clone, Copy)]
struct Choices {
    kind: u8,
    sizes: u8,
    words: u8,
}

impl Choices {
    fn by_read(self) -> bool {
        self.kind & 4 != 0
    }

    /// Whether the profile names the edge, and no field does.
    fn is_fixed(self) -> bool {
        self.kind & 128 != 0
    }
}

fn make(input: &mut Input<'_>) -> GeneratedProfile {
    let choices = Choices { kind: input.u8(), sizes: input.u8(), words: input.u8() };
    let Choices { kind, sizes, words } = choices;
    let record = 1 + usize::from(sizes >> 3) % 12;
    let (has_line, has_only) = (kind & 16 != 0, kind & 32 != 0);
    let mut made = GeneratedProfile {
        text: String::new(),
        lines: 1 + u32::from(sizes & 7) % 5,
        record,
        is_stream: choices.by_read() && kind & 8 != 0,
        means: [Means::Edge, Means::Level, Means::Mask, Means::Count][usize::from(kind & 3)],
        only: has_only.then(|| (Place::of(input, record, 2), u64::from(input.u8() & 3))),
        line: has_line.then(|| Place::of(input, record, 2)),
        level: None,
        levels: None,
        changed: None,
        rising: None,
        falling: None,
        missing: Vec::new(),
        line_seqno: None,
        count: None,
        since: words & 3,
    };
    let mut fields = String::new();
    if let Some(line) = made.line {
        field(&mut fields, "line", line, "");
    }
    made.choose_fields(input, choices, &mut fields);
    if words & 32 != 0 {
        field(&mut fields, "timestamp", Place::of(input, record, 8), ", hz = 1000");
    }
    made.text = made.written(choices, &fields);
    made
}

/// Adds a field to those of the record.
fn field(fields: &mut String, name: &str, place: Place, more: &str) -> Place {
    write!(fields, "{name} = {{ {}{more} }}, ", place.text()).expect("a text can be written");
    place
}

impl GeneratedProfile {
    /// Chooses the fields that belong to what a record means.
    fn choose_fields(&mut self, input: &mut Input<'_>, choices: Choices, fields: &mut String) {
        let (words, record) = (choices.words, self.record);
        match self.means {
            Means::Edge => {
                if !choices.is_fixed() {
                    let others = if words & 4 == 0 { ", others = 'ignore'" } else { "" };
                    let edge = Place::of(input, record, 2);
                    field(fields, "edge", edge, &format!(", rising = 1, falling = 0{others}"));
                }
                if choices.kind & 64 != 0 {
                    self.missing.push(field(fields, "overflowed", Place::of(input, record, 1), ""));
                }
                if words & 8 != 0 {
                    self.line_seqno = Some(field(fields, "line_seqno", Place::of(input, record, 4), ""));
                }
            }
            Means::Level if words & 8 != 0 => {
                self.levels = Some(field(fields, "levels", Place::mask(input, record), ""));
            }
            Means::Level => self.level = Some(field(fields, "level", Place::of(input, record, 2), "")),
            Means::Mask if words & 8 != 0 => {
                self.changed = Some(field(fields, "changed", Place::mask(input, record), ""));
                self.levels = Some(field(fields, "levels", Place::mask(input, record), ""));
            }
            Means::Mask => {
                self.rising = Some(field(fields, "rising", Place::mask(input, record), ""));
                if words & 16 != 0 {
                    self.falling = Some(field(fields, "falling", Place::mask(input, record), ""));
                }
            }
            Means::Count => {
                let since = ["start", "last", "open", "start"][usize::from(self.since)];
                let since = format!(", since = '{since}'");
                self.count = Some(field(fields, "count", Place::of(input, record, 8), &since));
            }
        }
    }

    /// The text of the profile.
    fn written(&self, choices: Choices, fields: &str) -> String {
        let (Choices { kind, sizes, words }, lines, record) = (choices, self.lines, self.record);
        let wait = match self.means {
            Means::Edge if choices.is_fixed() => "edge = 'rising'\n",
            Means::Count if choices.is_fixed() => "edge = 'falling'\n",
            Means::Level if words & 64 != 0 => "repeats = 'loss'\n",
            _ => "",
        };
        let only = self.only.map(|(place, is)| format!(", only = [{{ {}, is = {is} }}]", place.text()));
        let only = only.unwrap_or_default();
        let unknown = if self.line.is_some() && words & 128 != 0 { ", unknown_line = 'ignore'" } else { "" };
        let is_list = self.line.is_some() || lines == 1 || self.means == Means::Mask || self.levels.is_some();
        let length = if is_list { record * 8 } else { record * lines as usize };
        let output = format!(
            "{{ length = {length}, record = {record}, rest = 'unused'{only}{unknown}, fields = {{ {fields} }} }}"
        );
        let low = if sizes & 0x40 != 0 { "active_low = true\n" } else { "" };
        let start = ["inactive", "active", "unknown"][usize::from(words >> 5) % 3];
        let means = ["edge", "level", "mask", "count"][usize::from(kind & 3)];
        let (call, by) = if choices.by_read() {
            let reads = if kind & 8 != 0 { "bytes" } else { "messages" };
            (String::new(), format!("by = 'read'\nreads = '{reads}'\noutput = {output}\n"))
        } else {
            let code = "device_type = 0x8000\nfunction = 0x801\nmethod = 'buffered'\naccess = 'read'";
            (format!("[call.wait]\n{code}\noutput = {output}\n"), "by = 'call'\ncall = 'wait'\n".to_owned())
        };
        format!(
            "name = 'made'\nlines = {lines}\n{low}{call}[levels]\nstart = '{start}'\n\
             [wait]\npending = 1\n{by}means = '{means}'\n{wait}"
        )
    }
}

/// The contents of the records: the most edges that there can be, and the lines that they name.
#[derive(Default)]
struct RecordTotals {
    most: u64,
    named: BTreeSet<u64>,
    counts: std::collections::BTreeMap<u64, u64>,
    seqnos: std::collections::BTreeMap<u64, u64>,
}

impl RecordTotals {
    /// Reads a record at a place in its message.
    fn record(&mut self, made: &GeneratedProfile, index: usize, record: &[u8]) {
        if made.only.is_some_and(|(place, is)| place.number(record) != is) {
            return;
        }
        let set = |mask: Option<Place>| mask.map_or(0, |mask| mask.number(record));
        let bits = |mask: u64| (0..u64::from(made.lines)).filter(move |line| mask >> line & 1 == 1);
        match made.means {
            Means::Mask => {
                let (rising, falling, changed) = (set(made.rising), set(made.falling), set(made.changed));
                self.named.extend(bits(rising | falling | changed));
                // The same direction twice, or an unchanged level, means that one edge is missing.
                self.most += 2 * (bits(rising).count() + bits(falling).count() + bits(changed).count()) as u64;
            }
            Means::Level if made.levels.is_some() => {
                self.named.extend(0..u64::from(made.lines));
                self.most += 2 * u64::from(made.lines);
            }
            Means::Edge | Means::Level | Means::Count => {
                let line = match made.line {
                    Some(line) => line.number(record),
                    None if made.lines == 1 => 0,
                    None => index as u64,
                };
                self.named.insert(line);
                let more = match made.count {
                    Some(place) => self.counted(made, line, place.number(record), place.greatest()),
                    None => 2 + made.missing.iter().map(|place| place.number(record)).sum::<u64>(),
                };
                self.most = self.most.saturating_add(more);
                if let Some(place) = made.line_seqno {
                    let number = place.number(record);
                    let before = self.seqnos.insert(line, number);
                    let gap = before.map_or(0, |before| number.wrapping_sub(before).wrapping_sub(1) & place.greatest());
                    self.most = self.most.saturating_add(gap);
                }
            }
        }
    }

    fn counted(&mut self, made: &GeneratedProfile, line: u64, count: u64, greatest: u64) -> u64 {
        let before = self.counts.insert(line, count);
        match (made.since, before) {
            (1, _) => count,
            (2, None) => count,
            (_, None) => 0,
            (_, Some(before)) => count.wrapping_sub(before) & greatest,
        }
    }
}

/// A device that returns these chunks one after the other, and is then gone.
fn device(chunks: VecDeque<Vec<u8>>) -> impl sim::Driver {
    struct Answers(Mutex<VecDeque<Vec<u8>>>);
    impl Answers {
        fn give(&self, mut request: sim::Request) -> sim::Outcome {
            match self.0.lock().expect("no thread panics while it holds the lock").pop_front() {
                Some(bytes) => {
                    request.write(&bytes);
                    request.complete(Status::SUCCESS)
                }
                None => request.complete(Status::DEVICE_NOT_CONNECTED),
            }
        }
    }
    impl sim::Driver for Answers {
        fn control(&self, request: sim::Request) -> sim::Outcome {
            self.give(request)
        }
        fn read(&self, request: sim::Request) -> sim::Outcome {
            self.give(request)
        }
    }
    Answers(Mutex::new(chunks))
}

pub fn profile(input: &[u8]) {
    let mut input = Input(input);
    let made = make(&mut input);
    let profile = match Profile::parse("made.toml", &made.text) {
        Ok(profile) => profile.allow_writes(true),
        Err(error) => return assert!(error.to_string().starts_with("made.toml:"), "{error}\n{}", made.text),
    };
    assert!(!profile.explain().to_string().is_empty());
    let edges = [Edges::Both, Edges::Rising, Edges::Falling][usize::from(input.u8()) % 3];
    // Most messages have whole records, and none is longer than the output.
    let room = if made.text.contains(&format!("length = {}", made.record * 8)) { 8 } else { made.lines as usize };
    let mut chunks = VecDeque::new();
    while !input.is_over() && chunks.len() < 64 {
        let length = input.u8();
        let whole = made.record * (1 + usize::from(length & 7) % room);
        let length = if length & 0xc0 == 0xc0 { usize::from(length & 0x1f).min(made.record * room) } else { whole };
        chunks.push_back(input.bytes(length.max(1)).to_vec());
    }
    let mut said = RecordTotals::default();
    let stream: Vec<u8> = chunks.iter().flatten().copied().collect();
    let messages: Vec<&[u8]> = if made.is_stream { vec![&stream] } else { chunks.iter().map(Vec::as_slice).collect() };
    for message in messages {
        let records = message.chunks_exact(made.record).enumerate();
        records.for_each(|(index, record)| said.record(&made, index, record));
    }
    let driver = Arc::new(device(chunks));
    let chip = Chip::from_profile(&profile, move || Device::simulated(driver.clone())).expect("it opens");
    let mut request = chip.request().all_lines().edges(edges).start().expect("nothing is asked of it at the start");
    let ended = std::iter::from_fn(|| request.wait_next()).find_map(|edge| match edge {
        Ok(edge) => {
            let line = u64::from(edge.offset.get());
            assert!(said.named.contains(&line), "no record names line {line}: {edge:?}\n{}", made.text);
            None
        }
        Err(error) => Some(error),
    });
    assert!(ended.is_some_and(|error| !error.to_string().is_empty()), "it ends with the device's error");
    let total = request.finish().total();
    let (told, most) = (total.delivered + total.lost(), said.most);
    assert!(told <= most, "{told} edges were delivered or lost, but the records have at most {most}\n{}", made.text);
}
