//! A block of changes: its stamps, and the values of each watched source.

use super::file::{Bytes, File, Part, Shape, kind};
use super::unpack::{self, LARGEST};
use crate::bits::{Bits, Level};
use crate::vcd::ports;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A block whose changes are being reported.
pub(super) struct Block {
    frame: Frame,
    times: Vec<u64>,
    /// The next time.
    at: usize,
    /// For each time: the first source that has a value there.
    heads: Vec<u32>,
    /// The watched sources that have values.
    sources: Vec<Values>,
    levels: Vec<Level>,
}

/// The place of the values at the beginning of the block.
struct Frame {
    start: u64,
    packed: u64,
    unpacked: u64,
    /// How many sources it has values of.
    count: u64,
}

/// The values of a source.
struct Values {
    source: u32,
    shape: Shape,
    is_port: bool,
    bytes: Vec<u8>,
    at: usize,
    /// The next source with a value at the same time.
    next: u32,
}

/// The place of a source's values.
#[derive(Clone, Copy, Debug)]
enum Place {
    Nowhere,
    /// The same as that of another source.
    Alias(u32),
    At {
        offset: u64,
        length: u64,
    },
}

/// The contents of a block, before its values are read.
struct Layout {
    /// The time at which the block begins.
    begin: u64,
    frame: Frame,
    times: Vec<u64>,
    /// The places of values count from here.
    values_start: u64,
    packing: u8,
    /// For each source.
    places: Vec<Place>,
}

impl Layout {
    fn read(file: &mut File, part: Part, source_count: usize) -> Result<Self, String> {
        let damage = "a block of changes is damaged";
        let end = part.start + part.length;
        let head = file.read(part.start, part.length.min(24 + 30))?;
        let (begin, frame) = frame(&head, part.start).ok_or(damage)?;
        let frame_end = frame.start.checked_add(frame.packed).filter(|&at| at < end).ok_or(damage)?;
        let numbers = file.read(frame_end, (end - frame_end).min(11))?;
        let mut input = Bytes(&numbers);
        let count = input.varint().ok_or(damage)?;
        // The byte for the packing belongs to the packed bytes: offsets count from it.
        let values_start = frame_end + (numbers.len() - input.0.len()) as u64;
        let packing = input.u8().ok_or(damage)?;
        let tail = file.read(end.checked_sub(24).filter(|&at| at >= values_start).ok_or(damage)?, 24)?;
        let mut tail = Bytes(&tail);
        let mut number = || tail.u64().ok_or(damage);
        let (unpacked, packed, time_count) = (number()?, number()?, number()?);
        let times_start = (end - 24).checked_sub(packed).ok_or(damage)?;
        let chain_end = times_start.checked_sub(8).filter(|&at| at >= values_start).ok_or(damage)?;
        let times = times(unpack::zlib_or_stored(file.read(times_start, packed)?, unpacked)?, time_count)?;
        let chain_length = Bytes(&file.read(chain_end, 8)?).u64().ok_or(damage)?;
        let chain_start = chain_end.checked_sub(chain_length).filter(|&at| at >= values_start).ok_or(damage)?;
        let chain = file.read(chain_start, chain_length)?;
        let count = usize::try_from(count).ok().filter(|&count| count <= source_count).ok_or(damage)?;
        let last = chain_start - values_start;
        let places = match part.kind {
            kind::CHANGES_ALIAS_2 => places_2(&chain, count, last),
            _ => places(&chain, count, last),
        };
        let places = places.ok_or(damage)?;
        Ok(Self { begin, frame, times, values_start, packing, places })
    }
}

/// Reads the head of a block that begins at `start`: its time, and the place of its frame.
fn frame(head: &[u8], start: u64) -> Option<(u64, Frame)> {
    let mut input = Bytes(head);
    let begin = input.u64()?;
    input.take(16)?;
    let (unpacked, packed, count) = (input.varint()?, input.varint()?, input.varint()?);
    let start = start + (head.len() - input.0.len()) as u64;
    Some((begin, Frame { start, packed, unpacked, count }))
}

impl Block {
    /// Reads the watched sources. Also returns the time at which the block begins.
    pub(super) fn read(
        file: &mut File,
        part: Part,
        shapes: &[Shape],
        watched: Vec<usize>,
        is_port: &[bool],
    ) -> Result<(Self, u64), String> {
        let Layout { begin, frame, times, values_start, packing, places } = Layout::read(file, part, shapes.len())?;
        let mut block =
            Self { frame, heads: vec![NONE; times.len()], times, at: 0, sources: Vec::new(), levels: Vec::new() };
        let mut total = 0;
        for source in watched {
            let place = match places.get(source) {
                Some(Place::Alias(of)) => places.get(*of as usize),
                place => place,
            };
            let Some(&Place::At { offset, length }) = place else { continue };
            let bytes = unpacked_values(file.read(values_start + offset, length)?, packing)?;
            total += bytes.len() as u64;
            if total > LARGEST {
                let remedy = "choose fewer of its lines";
                return Err(format!("a block of changes has more than {LARGEST} bytes when it is unpacked; {remedy}"));
            }
            let (shape, is_port) = (shapes[source], is_port[source]);
            block.sources.push(Values { source: source as u32, shape, is_port, bytes, at: 0, next: NONE });
            block.wait(block.sources.len() - 1, 0)?;
        }
        Ok((block, begin))
    }

    pub(super) fn first_time(&self) -> Option<u64> {
        self.times.first().copied()
    }

    /// The next time, for which [`Block::tell`] must be called.
    pub(super) fn next_time(&mut self) -> Option<u64> {
        // Skip times without a watched value.
        while self.at + 1 < self.heads.len() && self.heads[self.at] == NONE {
            self.at += 1;
        }
        self.times.get(self.at).copied()
    }

    /// Lets a source wait for the time of its next value, counted from the time `from`.
    fn wait(&mut self, place: usize, from: usize) -> Result<(), String> {
        let values = &mut self.sources[place];
        let rest = &values.bytes[values.at..];
        if rest.is_empty() {
            return Ok(());
        }
        let damage = "the changes of a variable are damaged";
        let first = Bytes(rest).varint().ok_or(damage)?;
        let shift = match (values.shape, first & 1) {
            (Shape::Digits(1), 0) => 2,
            (Shape::Digits(1), _) => 4,
            _ => 1,
        };
        let time = usize::try_from(first >> shift).ok().and_then(|delta| from.checked_add(delta));
        let head = time.and_then(|time| self.heads.get_mut(time)).ok_or(damage)?;
        values.next = std::mem::replace(head, place as u32);
        Ok(())
    }

    /// Reports the values at the next time.
    pub(super) fn tell(&mut self, bits: &mut Bits, at_ns: u64) -> Result<(), String> {
        let time = self.at;
        while self.heads[time] != NONE {
            let place = self.heads[time] as usize;
            let values = &mut self.sources[place];
            self.heads[time] = values.next;
            values.tell(&mut self.levels, bits, at_ns).ok_or("the changes of a variable are damaged")?;
            self.wait(place, time)?;
        }
        self.at += 1;
        Ok(())
    }

    /// Reports the values at the beginning of the block.
    pub(super) fn tell_frame(
        &self,
        file: &mut File,
        shapes: &[Shape],
        is_port: &[bool],
        bits: &mut Bits,
        at_ns: u64,
    ) -> Result<(), String> {
        let damage = "the values at the beginning of a block are damaged";
        let Frame { start, packed, unpacked, count } = self.frame;
        let bytes = unpack::zlib_or_stored(file.read(start, packed)?, unpacked)?;
        let mut input = Bytes(&bytes);
        let mut levels = Vec::new();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for (source, shape) in shapes.iter().take(count).enumerate() {
            let length = match shape {
                Shape::Digits(digits) => *digits as usize,
                Shape::Real => 8,
                Shape::Text => 0,
            };
            let value = input.take(length).ok_or(damage)?;
            if matches!(shape, Shape::Digits(_)) && bits.is_watched(source as u32) {
                levels.clear();
                digits(value, is_port[source], &mut levels);
                if !levels.is_empty() {
                    bits.vector(source as u32, &levels, at_ns);
                }
            }
        }
        Ok(())
    }
}

impl Values {
    /// Reports the next value. `None` if it is damaged.
    fn tell(&mut self, levels: &mut Vec<Level>, bits: &mut Bits, at_ns: u64) -> Option<()> {
        let mut input = Bytes(&self.bytes[self.at..]);
        let first = input.varint()?;
        levels.clear();
        match self.shape {
            Shape::Digits(1) => {
                let digit = match first & 1 {
                    0 => b"01"[(first >> 1) as usize & 1],
                    _ => b"xzhuwl-?"[(first >> 1) as usize & 7],
                };
                bits.scalar(self.source, Level::of(digit).unwrap_or(Level::Unknown), at_ns);
            }
            Shape::Digits(digits) if first & 1 == 0 => {
                let digits = digits as usize;
                let packed = input.take(digits.div_ceil(8))?;
                let bit = |place: usize| packed[place / 8] >> (7 - place % 8) & 1 == 1;
                levels.extend((0..digits).map(|place| if bit(place) { Level::High } else { Level::Low }));
            }
            Shape::Digits(length) => {
                digits(input.take(length as usize)?, self.is_port, levels);
            }
            Shape::Real if first & 1 == 0 => drop(input.take(1)?),
            Shape::Real => drop(input.take(8)?),
            Shape::Text => {
                let length = usize::try_from(input.varint()?).ok()?;
                input.take(length)?;
            }
        }
        if !levels.is_empty() {
            bits.vector(self.source, levels, at_ns);
        }
        self.at = self.bytes.len() - input.0.len();
        Some(())
    }
}

/// Decodes digits. Those of a port are its states; a blank and the strengths follow them.
fn digits(text: &[u8], is_port: bool, levels: &mut Vec<Level>) {
    if is_port {
        levels.extend(text.iter().map_while(|&state| ports::level(state)));
    } else {
        levels.extend(text.iter().map(|&digit| Level::of(digit).unwrap_or(Level::Unknown)));
    }
}

/// The stamps of a block.
fn times(bytes: Vec<u8>, count: u64) -> Result<Vec<u64>, String> {
    let damage = "the times of a block are damaged";
    // Each stamp has at least one byte.
    if count > bytes.len() as u64 {
        return Err(damage.into());
    }
    let (mut input, mut time) = (Bytes(&bytes), 0_u64);
    let next = |_| {
        time = time.checked_add(input.varint()?)?;
        Some(time)
    };
    (0..count).map(next).collect::<Option<_>>().ok_or_else(|| damage.into())
}

/// The values of a source. They are packed if a size comes before them.
fn unpacked_values(bytes: Vec<u8>, packing: u8) -> Result<Vec<u8>, String> {
    let mut input = Bytes(&bytes);
    let unpacked = input.varint().ok_or("the changes of a variable are damaged")?;
    match (unpacked, packing) {
        (0, _) => Ok(input.0.to_vec()),
        (_, b'4') => unpack::lz4(input.0, unpacked),
        (_, b'F') => unpack::fastlz(input.0, unpacked),
        _ => unpack::zlib(input.0, unpacked),
    }
}

/// Sets the length of the open entry, which reaches to the next offset or to the end.
fn close(places: &mut [Place], open: Option<(usize, u64)>, end: u64) -> Option<()> {
    if let Some((place, offset)) = open {
        let length = end.checked_sub(offset).filter(|&length| length > 0)?;
        *places.get_mut(place)? = Place::At { offset, length };
    }
    Some(())
}

fn places(chain: &[u8], count: usize, last: u64) -> Option<Vec<Place>> {
    let mut places = vec![Place::Nowhere; count];
    let (mut input, mut at, mut offset, mut open) = (Bytes(chain), 0_usize, 0_u64, None);
    while !input.0.is_empty() {
        let number = input.varint()?;
        if number == 0 {
            let alias = u32::try_from(input.varint()?.checked_sub(1)?).ok()?;
            *places.get_mut(at)? = Place::Alias(alias);
            at += 1;
        } else if number & 1 == 1 {
            offset = offset.checked_add(number >> 1).filter(|&offset| offset < last)?;
            close(&mut places, open, offset)?;
            open = Some((at, offset));
            at += 1;
        } else {
            at = at.checked_add(usize::try_from(number >> 1).ok()?)?;
        }
    }
    close(&mut places, open, last)?;
    Some(places)
}

fn places_2(chain: &[u8], count: usize, last: u64) -> Option<Vec<Place>> {
    let mut places = vec![Place::Nowhere; count];
    let (mut input, mut at, mut offset, mut open, mut alias) = (Bytes(chain), 0_usize, 0_u64, None, 0);
    while let Some(first) = input.0.first() {
        if first & 1 == 0 {
            at = at.checked_add(usize::try_from(input.varint()? >> 1).ok()?)?;
            continue;
        }
        let number = input.signed_varint()? >> 1;
        if number > 0 {
            offset = offset.checked_add(number as u64).filter(|&offset| offset < last)?;
            close(&mut places, open, offset)?;
            open = Some((at, offset));
        } else {
            if number < 0 {
                alias = u32::try_from(number.checked_neg()? - 1).ok()?;
            }
            *places.get_mut(at)? = Place::Alias(alias);
        }
        at += 1;
    }
    close(&mut places, open, last)?;
    Some(places)
}
