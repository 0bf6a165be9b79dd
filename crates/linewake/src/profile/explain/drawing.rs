//! Draws the bytes of an input or a record in order: a ruler, and a row for each part.
//!
//! ```text
//!       byte 0       8       16
//!            ........aabbcccc
//!       .  bytes 0 to 7: mean nothing
//!       a  bytes 8 to 9 (least significant first): …
//! ```

use std::fmt;

use super::super::field::{Endian, Field};
use super::super::input::{Input, InputValue};
use super::super::output::{Output, Role, Since, Tick};
use super::words::{Where, either, plural};

/// The most bytes that are drawn; more do not fit on a line.
const WIDEST: usize = 64;

/// A part of the bytes, with its meaning.
struct Part {
    /// The first byte and its first bit, for sorting.
    first: (usize, u32),
    /// The bytes of the part, each with the bits that belong to it.
    bytes: Vec<(usize, u8)>,
    place: String,
    /// The byte order, if there is more than one byte.
    endian: Option<Endian>,
    meaning: String,
}

impl Part {
    fn of(field: &Field, meaning: String) -> Self {
        let mut bytes: Vec<(usize, u8)> = Vec::new();
        for (byte, bit) in field.places() {
            match bytes.iter_mut().find(|(at, _)| *at == byte) {
                Some((_, bits)) => *bits |= 1 << bit,
                None => bytes.push((byte, 1 << bit)),
            }
        }
        let first = field.places().min().unwrap_or((field.at, 0));
        let endian = (field.width > 1).then_some(field.endian);
        Self { first, bytes, place: Where(field).to_string(), endian, meaning }
    }
}

/// The bytes and bits that no part covers: runs of whole bytes, and the remaining bits of others.
fn gaps(parts: &[Part], length: usize, meaning: &str) -> Vec<Part> {
    let mut named = vec![0_u8; length];
    for (byte, bits) in parts.iter().flat_map(|part| &part.bytes) {
        if let Some(byte) = named.get_mut(*byte) {
            *byte |= bits;
        }
    }
    let mut gaps = Vec::new();
    let mut at = 0;
    while at < length {
        let from = at;
        while at < length && named[at] == 0 {
            at += 1;
        }
        let place = match at - from {
            0 if named[at] == 0xff => {
                at += 1;
                continue;
            }
            0 => {
                at += 1;
                let bits: Vec<_> =
                    (0..8).filter(|bit| named[from] >> bit & 1 == 0).map(|bit: u32| bit.to_string()).collect();
                format!("byte {from} bit{} {}", if bits.len() == 1 { "" } else { "s" }, bits.join(", "))
            }
            1 => format!("byte {from}"),
            _ => format!("bytes {from} to {}", at - 1),
        };
        // Bit 8 puts the gap after a part that begins at the same byte.
        gaps.push(Part { first: (from, 8), bytes: Vec::new(), place, endian: None, meaning: format!(": {meaning}") });
    }
    gaps
}

fn draw(f: &mut fmt::Formatter<'_>, mut parts: Vec<Part>, length: usize, rest: &str) -> fmt::Result {
    parts.sort_by_key(|part| part.first);
    let gaps = gaps(&parts, length, rest);
    let letters = (b'a'..=b'z').chain(b'A'..=b'Z').map(char::from);
    let mut rows: Vec<_> = letters.chain(std::iter::repeat('+')).zip(parts).collect();
    let letter = |at: usize| {
        let mut here = rows.iter().filter(|(_, part)| part.bytes.iter().any(|(byte, _)| *byte == at));
        match (here.next(), here.next()) {
            (None, _) => '.',
            (Some((letter, _)), None) => *letter,
            (Some(_), Some(_)) => '#',
        }
    };
    let drawn: String = if length <= WIDEST { (0..length).map(letter).collect() } else { String::new() };
    if drawn.len() > 1 {
        let mut ruler = String::new();
        for at in (0..length).step_by(4) {
            ruler.push_str(&format!("{at:<4}"));
        }
        writeln!(f, "      byte {}", ruler.trim_end())?;
        writeln!(f, "           {drawn}")?;
    }
    rows.extend(gaps.into_iter().map(|gap| ('.', gap)));
    rows.sort_by_key(|(_, part)| part.first);
    // The byte order is mostly the same for all parts; then it is printed once.
    let endians: Vec<_> = rows.iter().filter_map(|(_, part)| part.endian).collect();
    let common = endians.first().filter(|first| endians.iter().all(|endian| endian == *first)).copied();
    let word = |endian| if endian == Endian::Big { "most" } else { "least" };
    for (letter, part) in &rows {
        let endian = part.endian.filter(|_| common.is_none());
        let endian = endian.map(|endian| format!(" ({} significant first)", word(endian))).unwrap_or_default();
        writeln!(f, "      {letter}  {}{endian}{}", part.place, part.meaning)?;
    }
    if drawn.contains('#') {
        writeln!(f, "      #  a byte that several of these share")?;
    }
    match common {
        Some(endian) => writeln!(f, "      the {} significant byte of a number comes first", word(endian)),
        None => Ok(()),
    }
}

pub(super) fn input(f: &mut fmt::Formatter<'_>, input: &Input) -> fmt::Result {
    if input.length == 0 {
        return writeln!(f, "    sends nothing");
    }
    let each = if input.each_line { " for each requested line" } else { "" };
    writeln!(f, "    sends {}{each}:", plural(input.length, "byte"))?;
    let has_bytes = input.bytes.iter().any(|&byte| byte != 0);
    if has_bytes {
        let mut bytes: Vec<_> = input.bytes.iter().take(WIDEST).map(|byte| format!("{byte:02x}")).collect();
        if input.bytes.len() > WIDEST {
            bytes.push(format!("… ({} more)", input.bytes.len() - WIDEST));
        }
        for (row, bytes) in bytes.chunks(16).enumerate() {
            writeln!(f, "      {}{}", if row == 0 { "the bytes " } else { "          " }, bytes.join(" "))?;
        }
    }
    let parts = input.fields.iter().map(|(field, sent)| Part::of(field, format!(": {}", sent_words(sent)))).collect();
    if input.fields.is_empty() && has_bytes {
        return Ok(());
    }
    draw(f, parts, input.length, if has_bytes { "as in the bytes above" } else { "zero" })
}

fn sent_words(sent: &InputValue) -> String {
    let fixed = match sent {
        InputValue::Number(number) => return format!("{number} ({number:#x})"),
        InputValue::Line => "the number of the line",
        InputValue::Mask => "the bits of the requested lines",
        InputValue::Lines => "how many lines are requested",
        InputValue::Queue => "how many events to queue, 0 for the driver's default",
        InputValue::Event => "the handle of an event",
        InputValue::Edges { rising, falling, none } => {
            return format!(
                "the wanted edges: {rising:#x} rising, {falling:#x} falling, {:#x} both, {none:#x} none",
                rising | falling
            );
        }
    };
    fixed.to_owned()
}

pub(super) fn output(f: &mut fmt::Formatter<'_>, output: &Output) -> fmt::Result {
    if output.length == 0 {
        return writeln!(f, "    gets nothing");
    }
    writeln!(f, "    gets up to {}:", plural(output.length, "byte"))?;
    if output.header > 0 {
        writeln!(f, "      a header of {}", plural(output.header, "byte"))?;
    }
    if let Some(records) = &output.records {
        writeln!(f, "      {}, `records`: how many records follow", Where(records))?;
    }
    if output.length - output.header > output.record {
        let room = (output.length - output.header) / output.record.max(1);
        let most = output.at_most.unwrap_or(room);
        writeln!(f, "      records of {}, {most} at most; in each:", plural(output.record, "byte"))?;
    }
    let fields = output
        .fields
        .iter()
        .map(|(role, field)| Part::of(field, format!(", `{}`: {}", role.key(), meaning(*role, output))));
    let only = output
        .only
        .iter()
        .map(|only| Part::of(&only.field, format!(", `only`: {}; other records are ignored", either(&only.is))));
    let fraction = output.fraction.iter().map(|(field, tick)| {
        Part::of(field, format!(", `fraction`: added to the timestamp, in units of {}", unit(*tick)))
    });
    let lost = output.lost.iter().map(|only| {
        Part::of(
            &only.field,
            format!(", `lost`: {} means, if all of `lost` match, that records were lost", either(&only.is)),
        )
    });
    let parts: Vec<_> = fields.chain(only).chain(lost).chain(fraction).collect();
    if parts.is_empty() {
        return writeln!(f, "      they are ignored");
    }
    draw(f, parts, output.record, if output.rest_is_unused { "unused" } else { "ignored" })?;
    if !output.lost.is_empty() {
        let all = output.lost.iter().map(|lost| format!("{} in {}", either(&lost.is), Where(&lost.field)));
        let all: Vec<_> = all.collect();
        writeln!(f, "      a record with {} means that the device lost others", all.join(" and "))?;
    }
    if output.ignores_unknown_lines {
        writeln!(f, "      a record of a line that is not listed above is ignored")?;
    }
    Ok(())
}

fn unit(tick: Tick) -> String {
    match tick {
        Tick { numerator: 1_000_000_000, denominator: 1 } => "1 s".to_owned(),
        Tick { numerator, denominator: 1 } => period(numerator),
        Tick { denominator, .. } => format!("1/{denominator} s"),
    }
}

fn meaning(role: Role, output: &Output) -> String {
    let fixed = match role {
        Role::Line => "the number of the line",
        Role::Edge => {
            let others = if output.ignores_other_edges { "ignored" } else { "an error" };
            let (rising, falling) = (output.rising, output.falling);
            return format!("the edge: {rising} is rising, {falling} is falling, any other number is {others}");
        }
        Role::Level => "the level of the line, 0 for inactive",
        Role::Count => {
            let since = match output.since {
                Since::Last => "how many edges the line had since the last record",
                Since::Open => "how many edges the line had since the device was opened",
                Since::Start if output.first_is_edge => "how many edges the line ever had; the first report is an edge",
                Since::Start => "how many edges the line ever had; those in the first report happened before",
            };
            return since.to_owned();
        }
        Role::Timestamp => {
            let wraps = match output.field(Role::Timestamp).map(Field::greatest) {
                Some(u64::MAX) | None => String::new(),
                Some(greatest) => format!("; it wraps after {}", period(output.tick.ns(greatest))),
            };
            return format!("when it happened, in units of {}{wraps}", unit(output.tick));
        }
        Role::Seqno => "the number of the edge among all edges",
        Role::LineSeqno => "the number of the edge among those of the line",
        Role::Overflowed => "how many edges of the line were dropped from a full queue",
        Role::Merged => "how many edges of the line were merged with others",
        Role::Changed => "a bit for each line that changed",
        Role::Rising => "a bit for each line that became active",
        Role::Falling => "a bit for each line that became inactive",
        Role::Levels => "a bit for each line that is active",
        Role::Happened => "how many edges of the line happened",
        Role::Delivered => "how many of them the device delivered",
        Role::Discarded => "how many of them were queued when the lines were released",
    };
    fixed.to_owned()
}

/// An approximate period, in the largest unit that fits.
fn period(ns: u64) -> String {
    const UNITS: [(u64, u64, &str); 6] = [
        (86_400_000_000_000, 2, "days"),
        (3_600_000_000_000, 2, "hours"),
        (60_000_000_000, 2, "minutes"),
        (1_000_000_000, 2, "seconds"),
        (1_000_000, 1, "ms"),
        (1_000, 1, "µs"),
    ];
    match UNITS.iter().find(|(unit, least, _)| ns / unit >= *least) {
        Some((unit, _, name)) => format!("{} {name}", ns / unit),
        None => format!("{ns} ns"),
    }
}
