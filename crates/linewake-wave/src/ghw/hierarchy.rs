//! The hierarchy: scopes, and the signals in them.

use super::input::{Input, Stop};
use super::types::{EnumKind, Type, Types};
use crate::declare::{Declared, unescaped};
use crate::head::Head;
use crate::variable::Scope;

/// How many elements are looked at: more than any design has.
const MOST: u64 = 1 << 27;

/// The encoding of a signal's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nine,
    Two,
    /// A value of an enumeration.
    Byte,
    Int32,
    Int64,
    /// A value of a physical type.
    Number,
    Real,
}

impl Kind {
    /// How many wires it changes.
    pub(super) fn width(self) -> u32 {
        match self {
            Self::Nine | Self::Two => 1,
            Self::Int32 => 32,
            Self::Int64 => 64,
            Self::Byte | Self::Number | Self::Real => 0,
        }
    }
}

/// A signal, and the first wire it changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) signal: u32,
    pub(super) kind: Kind,
    pub(super) wire: Option<u32>,
}

/// Reads the section, and declares its signals.
pub(super) fn read(input: &mut Input, texts: &[Box<str>], types: &Types, head: &mut Head) -> Result<Vec<Link>, Stop> {
    input.array::<12>()?;
    let last = input.u32()?;
    let mut reader = Reader { input, texts, types, head, last, links: Vec::new(), work: 0 };
    let mut scope = 0;
    loop {
        match reader.input.u8()? {
            0 => break,
            // A process has no contents.
            13 => drop(reader.text()?),
            15 => scope = reader.head.scopes.around(scope),
            kind @ (3..=7 | 14) => {
                let mut name = reader.text()?.to_owned();
                if kind == 5 {
                    let of = reader.types.place(reader.input)?;
                    name = format!("{name}({})", reader.number(of)?);
                }
                scope = reader.head.scopes.add(scope, unescaped(&name));
            }
            16..=21 => {
                let name = reader.text()?.to_owned();
                let of = reader.types.place(reader.input)?;
                reader.signal(scope, &name, of)?;
            }
            _ => return Err(Stop::Wrong("its hierarchy has an entry of unknown kind".into())),
        }
    }
    let links = reader.links;
    Ok(links)
}

struct Reader<'a> {
    input: &'a mut Input,
    texts: &'a [Box<str>],
    types: &'a Types,
    head: &'a mut Head,
    /// The highest number of a signal.
    last: u32,
    links: Vec<Link>,
    work: u64,
}

impl<'a> Reader<'a> {
    fn text(&mut self) -> Result<&'a str, Stop> {
        let place = self.input.place()?;
        self.name(place)
    }

    fn name(&self, place: Option<usize>) -> Result<&'a str, Stop> {
        let Some(place) = place else { return Ok("") };
        self.texts
            .get(place)
            .map(|text| &**text)
            .ok_or_else(|| Stop::Wrong("a name in it is missing from its list of texts".into()))
    }

    /// The number of the loop's turn that a scope belongs to.
    fn number(&mut self, of: usize) -> Result<i64, Stop> {
        match self.types.get(of) {
            Type::Enumeration(_) => Ok(self.input.u8()?.into()),
            Type::Int32 | Type::Int64 | Type::Physical => self.input.signed(),
            _ => Err(Stop::Wrong("a loop in it does not run over numbers".into())),
        }
    }

    /// Counts elements: each one costs time, even if it is empty.
    fn look(&mut self, elements: u64) -> Result<(), Stop> {
        self.work = self.work.saturating_add(elements);
        if self.work > MOST { Err(Stop::Wrong("it has too many signals".into())) } else { Ok(()) }
    }

    /// Declares a signal and its parts. The depth of types is limited.
    fn signal(&mut self, scope: Scope, name: &str, of: usize) -> Result<(), Stop> {
        self.look(1)?;
        let types = self.types;
        match types.get(of) {
            Type::Enumeration(EnumKind::Nothing) => self.scalar(scope, name, "enum", Kind::Byte),
            Type::Enumeration(known) => self.scalar(scope, name, "wire", kind_of_bit(*known)),
            Type::Int32 => self.scalar(scope, name, "integer", Kind::Int32),
            Type::Int64 => self.scalar(scope, name, "integer", Kind::Int64),
            Type::Physical => self.scalar(scope, name, "time", Kind::Number),
            Type::Real => self.scalar(scope, name, "real", Kind::Real),
            Type::Array { .. } => Err(Stop::Wrong("an array in it has no bounds".into())),
            Type::Bound { element, ranges, .. } => {
                if let (Type::Enumeration(known @ (EnumKind::Two | EnumKind::Nine)), [range]) =
                    (types.get(*element), &**ranges)
                {
                    let before = self.head.bits.len();
                    let source = u32::MAX;
                    let (width, range) = (range.len(), (range.left, range.right));
                    self.look(width)?;
                    let kind = "wire";
                    self.head.declare(&Declared { scope, kind, width, range: Some(range), name, source });
                    let is_in = self.head.bits.len() > before;
                    for place in 0..width as u32 {
                        // Wires are in the order of their numbers, signals in the order of the range.
                        let bit = if range.0 > range.1 { width as u32 - 1 - place } else { place };
                        self.link(kind_of_bit(*known), is_in.then_some(before as u32 + bit))?;
                    }
                    return Ok(());
                }
                self.elements(scope, name, *element, ranges)
            }
            Type::Record(fields) => {
                let scope = self.head.scopes.add(scope, unescaped(name));
                for (field, of) in fields {
                    let name = self.name(*field)?;
                    self.signal(scope, name, *of)?;
                }
                Ok(())
            }
        }
    }

    /// The elements of an array, `name[0][1]`.
    fn elements(&mut self, scope: Scope, name: &str, of: usize, ranges: &[super::types::Range]) -> Result<(), Stop> {
        let Some((range, ranges)) = ranges.split_first() else { return self.signal(scope, name, of) };
        for number in range.numbers() {
            self.look(1)?;
            self.elements(scope, &format!("{name}[{number}]"), of, ranges)?;
        }
        Ok(())
    }

    fn scalar(&mut self, scope: Scope, name: &str, word: &'static str, kind: Kind) -> Result<(), Stop> {
        let before = self.head.bits.len();
        let width = kind.width().into();
        self.head.declare(&Declared { scope, kind: word, width, range: None, name, source: u32::MAX });
        let wire = (self.head.bits.len() > before).then_some(before as u32);
        self.link(kind, wire)
    }

    /// Reads the number of a signal.
    fn link(&mut self, kind: Kind, wire: Option<u32>) -> Result<(), Stop> {
        let signal = self.input.unsigned()?;
        match u32::try_from(signal) {
            Ok(signal @ 1..) if signal <= self.last => {
                self.links.push(Link { signal, kind, wire });
                Ok(())
            }
            _ => Err(Stop::Wrong(format!("signal {signal} is out of range; expected 1 to {}", self.last))),
        }
    }
}

fn kind_of_bit(known: EnumKind) -> Kind {
    if known == EnumKind::Nine { Kind::Nine } else { Kind::Two }
}

/// Whether all links of a signal agree on its kind.
pub(super) fn agree(links: &[Link]) -> bool {
    let mut of_signals = links.chunk_by(|a, b| a.signal == b.signal);
    of_signals.all(|links| links.iter().all(|link| link.kind == links[0].kind))
}
