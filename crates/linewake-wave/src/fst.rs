//! FST: the blocks of GTKWave's format, which Icarus Verilog, Verilator, GHDL and NVC write too.
//!
//! A block of changes has the stamps of a span of time, and the values of each variable. Only those of watched
//! variables are unpacked, one block at a time. Every number in the file is checked before it is used.

mod block;
mod file;
mod names;
mod unpack;

use std::io::{Cursor, SeekFrom};

use self::block::Block;
use self::file::{Bytes, File, Part, ReadSeek, Shape, kind};
use crate::axis::{Axis, Step, Tick};
use crate::error::Error;
use crate::head::{Common, Head};
use crate::notes::{Notes, Oddity};

/// The blocks of changes.
pub(crate) struct Blocks {
    file: File,
    parts: std::vec::IntoIter<Part>,
    shapes: Vec<Shape>,
    /// For each source, whether it is a port, whose digits are states.
    ports: Vec<bool>,
    block: Option<Block>,
    is_first: bool,
}

/// Reads the head, which is at both ends of the file.
pub(crate) fn open(name: &str, mut source: Box<dyn ReadSeek>) -> Result<(Common, Blocks), Error> {
    let damaged = |what: &dyn std::fmt::Display| Error::unreadable(name, what);
    let length = source.seek(SeekFrom::End(0)).map_err(|error| damaged(&error))?;
    let mut file = File { source, length };
    let mut notes = Notes::default();
    let first = file.read(0, 1).map_err(|what| damaged(&what))?;
    if first == [kind::WRAPPED] {
        let bytes = unwrapped(&mut file).map_err(|what| damaged(&what))?;
        file = File { length: bytes.len() as u64, source: Box::new(Cursor::new(bytes)) };
    }
    let parts = parts(&mut file, name, &mut notes).map_err(|what| damaged(&what))?;
    let find = |kinds: &[u8]| parts.iter().find(|part| kinds.contains(&part.kind)).copied();
    let head = find(&[kind::HEAD]).ok_or_else(|| damaged(&"it has no head"))?;
    let geometry = find(&[kind::GEOMETRY]);
    let names = find(&[kind::NAMES_GZIP, kind::NAMES_LZ4, kind::NAMES_LZ4_TWICE]);
    let (Some(geometry), Some(names)) = (geometry, names) else {
        let remedy = "is the program that writes it still running?";
        return Err(damaged(&format!("it was not finished, and the names of its variables are missing; {remedy}")));
    };
    let mut shapes_and_names = || -> Result<_, String> {
        let (tick, version) = begin(&mut file, head)?;
        let shapes = unpack::geometry(&mut file, geometry)?;
        let bytes = unpack::names(&mut file, names)?;
        let mut head = Head { version, ..Head::default() };
        let ports = names::declare(&bytes, &shapes, &mut head)?;
        Ok((tick, shapes, ports, head))
    };
    let (tick, shapes, ports, mut head) = shapes_and_names().map_err(|what| damaged(&what))?;
    head.bits.link();
    let is_of_changes = |part: &Part| matches!(part.kind, kind::CHANGES | kind::CHANGES_ALIAS | kind::CHANGES_ALIAS_2);
    let parts = parts.into_iter().filter(is_of_changes).collect::<Vec<_>>().into_iter();
    let common = Common { name: name.to_owned(), head, axis: Axis::new(tick), notes, segments: 1 };
    Ok((common, Blocks { file, parts, shapes, ports, block: None, is_first: true }))
}

/// The contents of a file that is one compressed part.
fn unwrapped(file: &mut File) -> Result<Vec<u8>, String> {
    let head = file.read(1, 16)?;
    let mut head = Bytes(&head);
    let (length, unpacked) = (head.u64().unwrap_or(0), head.u64().unwrap_or(0));
    let length = length.checked_sub(16).ok_or("the program that compresses it was not finished")?;
    let bytes = file.read(17, length)?;
    unpack::gzip(&bytes, unpacked)
}

/// The parts of the file.
fn parts(file: &mut File, name: &str, notes: &mut Notes) -> Result<Vec<Part>, String> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < file.length {
        let cut = |notes: &mut Notes| notes.add(Oddity::Cut, || format!("{name}: it is cut off in its last block"));
        if file.length - at < 9 {
            cut(notes);
            break;
        }
        let head = file.read(at, 9)?;
        let mut head = Bytes(&head);
        let (kind, length) = (head.u8().unwrap_or(kind::SKIPPED), head.u64().unwrap_or(0));
        if kind == kind::SKIPPED && length == 0 {
            // The program has reserved space for a block here, and has not written it.
            cut(notes);
            break;
        }
        let is_known = kind <= kind::CHANGES_ALIAS_2 || kind == kind::SKIPPED;
        if !is_known || length < 8 {
            return Err(format!("expected a block at byte {at}"));
        }
        if length > file.length - at - 1 {
            cut(notes);
            break;
        }
        parts.push(Part { kind, start: at + 9, length: length - 8 });
        at += 1 + length;
    }
    Ok(parts)
}

/// The length of a tick, and the program that wrote the file.
fn begin(file: &mut File, part: Part) -> Result<(Tick, Option<String>), String> {
    let bytes = file.read(part.start, part.length)?;
    let damage = "its head is too short";
    let exponent = *bytes.get(64).ok_or(damage)? as i8;
    let version = bytes.get(65..65 + 128).ok_or(damage)?;
    let version = version.split(|&byte| byte == 0).next().unwrap_or_default();
    let version = crate::text::decoded(version.trim_ascii());
    let tick = Tick::new(1, exponent.into())
        .ok_or(format!("10^{exponent} s is out of range for a tick; expected 10^-21 to 10^2"))?;
    Ok((tick, Some(version).filter(|version| !version.is_empty())))
}

impl Blocks {
    /// Reads until there is a change. Returns whether there may be more.
    pub(crate) fn step(&mut self, common: &mut Common) -> Result<bool, Error> {
        self.go_on(common).map_err(|what| Error::rest_unreadable(&common.name, what))
    }

    fn go_on(&mut self, common: &mut Common) -> Result<bool, String> {
        if let Some(block) = &mut self.block {
            if let Some(ticks) = block.next_time() {
                match common.axis.go_to_ticks(ticks) {
                    Step::TooFar => return Err("a time in it does not fit in 64 bits of nanoseconds".into()),
                    Step::Back => {
                        let (name, at_ns) = (&common.name, common.axis.at_ns());
                        let say = || {
                            format!("{name}: time goes back to {ticks}; it is held at {at_ns} ns until it is past that")
                        };
                        common.notes.add(Oddity::TimeWentBack, say);
                    }
                    _ => {}
                }
                block.tell(&mut common.head.bits, common.axis.at_ns())?;
                return Ok(true);
            }
            self.block = None;
        }
        let Some(part) = self.parts.next() else { return Ok(false) };
        let is_first = std::mem::replace(&mut self.is_first, false);
        let bits = &common.head.bits;
        let watched = (0..self.shapes.len()).filter(|&source| bits.is_watched(source as u32)).collect();
        let (block, begin) = Block::read(&mut self.file, part, &self.shapes, watched, &self.ports)?;
        if is_first && block.first_time().is_none_or(|first| first > begin) {
            if common.axis.go_to_ticks(begin) == Step::TooFar {
                return Err("a time in it does not fit in 64 bits of nanoseconds".into());
            }
            block.tell_frame(&mut self.file, &self.shapes, &self.ports, &mut common.head.bits, common.axis.at_ns())?;
        }
        self.block = Some(block);
        Ok(true)
    }
}
