//! The types of signals.

use super::input::{Input, Stop};

/// How deep types may be nested.
const DEEPEST: usize = 64;
/// How many fields and dimensions are read for subtypes: more than any design has.
const MOST: usize = 1 << 24;

/// A type. It names other types by their places in [`Types`].
#[derive(Clone, Debug)]
pub(super) enum Type {
    Enumeration(EnumKind),
    Int32,
    Int64,
    Real,
    /// Time, for example.
    Physical,
    /// An array without bounds.
    Array {
        element: usize,
        dimensions: usize,
    },
    /// An array with bounds.
    Bound {
        base: usize,
        element: usize,
        ranges: Vec<Range>,
    },
    /// Fields, each with the place of its name.
    Record(Vec<(Option<usize>, usize)>),
}

/// The known facts about an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnumKind {
    Nothing,
    /// `bit` and `boolean`.
    Two,
    /// `std_ulogic`.
    Nine,
}

/// The bounds of a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) left: i64,
    pub(super) right: i64,
    is_down: bool,
}

impl Range {
    pub(super) fn len(self) -> u64 {
        let (low, high) = if self.is_down { (self.right, self.left) } else { (self.left, self.right) };
        if low > high { 0 } else { high.abs_diff(low).saturating_add(1) }
    }

    /// The numbers of its elements, in their order.
    pub(super) fn numbers(self) -> impl Iterator<Item = i64> {
        let step = if self.is_down { -1 } else { 1 };
        (0..self.len()).map(move |place| self.left.wrapping_add((place as i64).wrapping_mul(step)))
    }
}

/// All types.
#[derive(Debug, Default)]
pub(super) struct Types {
    all: Vec<Node>,
    /// The file's types by their numbers. Several are the same if only a name or the bounds of a scalar differ.
    of_file: Vec<usize>,
    /// How many fields and dimensions were read for subtypes.
    work: usize,
}

#[derive(Debug)]
struct Node {
    kind: Type,
    /// Whether its size is known.
    is_bounded: bool,
    depth: usize,
}

fn wrong<T>(what: &str) -> Result<T, Stop> {
    Err(Stop::Wrong(what.into()))
}

/// Reads the section of types.
pub(super) fn read(input: &mut Input, version: u8) -> Result<Types, Stop> {
    input.array::<4>()?;
    let count = input.u32()?;
    let mut types = Types::default();
    for _ in 0..count {
        let place = read_type(&mut types, input, version)?;
        types.of_file.push(place);
    }
    match input.u8()? {
        0 => Ok(types),
        _ => wrong("its list of types has no end"),
    }
}

/// Reads a type. Returns its place: that of an earlier type, if it has the same contents.
fn read_type(types: &mut Types, input: &mut Input, version: u8) -> Result<usize, Stop> {
    let kind = input.u8()?;
    input.unsigned()?;
    match kind {
        22 | 23 => {
            for _ in 0..input.unsigned()? {
                input.unsigned()?;
            }
            types.add(Type::Enumeration(EnumKind::Nothing))
        }
        25 => types.add(Type::Int32),
        26 => types.add(Type::Int64),
        27 => types.add(Type::Real),
        28 | 29 => {
            let units = if version == 0 { 0 } else { input.unsigned()? };
            for _ in 0..units {
                input.unsigned()?;
                input.signed()?;
            }
            types.add(Type::Physical)
        }
        31 => {
            let element = types.place(input)?;
            let dimensions = usize::try_from(input.unsigned()?).unwrap_or(usize::MAX);
            for _ in 0..dimensions {
                types.place(input)?;
            }
            match dimensions {
                0 => wrong("an array in it has no dimensions"),
                _ => types.add(Type::Array { element, dimensions }),
            }
        }
        32 => {
            let mut fields = Vec::new();
            for _ in 0..input.unsigned()? {
                fields.push((input.place()?, types.place(input)?));
            }
            types.add(Type::Record(fields))
        }
        34 => {
            let base = types.place(input)?;
            read_range(input)?;
            Ok(base)
        }
        35 | 38 => {
            let base = types.place(input)?;
            types.bind(input, base)
        }
        37 | 39 => types.place(input),
        _ => wrong("it has a type of unknown kind"),
    }
}

/// The bounds of a scalar or of a dimension.
fn read_range(input: &mut Input) -> Result<Range, Stop> {
    let kind = input.u8()?;
    let (left, right) = match kind & 0x7f {
        22 | 23 => (input.u8()?.into(), input.u8()?.into()),
        25 | 26 | 28 | 29 => (input.signed()?, input.signed()?),
        27 => {
            input.array::<16>()?;
            (0, 0)
        }
        _ => return wrong("it has bounds of unknown kind"),
    };
    Ok(Range { left, right, is_down: kind & 0x80 != 0 })
}

impl Types {
    pub(super) fn get(&self, place: usize) -> &Type {
        &self.all[place].kind
    }

    /// A type of the file, by its number.
    pub(super) fn place(&self, input: &mut Input) -> Result<usize, Stop> {
        let place = input.place()?.and_then(|number| self.of_file.get(number));
        place.copied().ok_or_else(|| Stop::Wrong("a type in it is missing from its list of types".into()))
    }

    fn add(&mut self, kind: Type) -> Result<usize, Stop> {
        let inner: &mut dyn Iterator<Item = usize> = match &kind {
            Type::Array { element, .. } | Type::Bound { element, .. } => &mut std::iter::once(*element),
            Type::Record(fields) => &mut fields.iter().map(|field| field.1),
            _ => &mut std::iter::empty(),
        };
        let (mut is_bounded, mut depth) = (!matches!(kind, Type::Array { .. }), 1);
        for place in inner {
            is_bounded &= self.all[place].is_bounded;
            depth = depth.max(self.all[place].depth + 1);
        }
        if depth > DEEPEST {
            return wrong("a type in it is nested too deep");
        }
        self.all.push(Node { kind, is_bounded, depth });
        Ok(self.all.len() - 1)
    }

    /// Reads the bounds that a type does not have yet.
    fn bind(&mut self, input: &mut Input, base: usize) -> Result<usize, Stop> {
        match &self.all[base].kind {
            &Type::Array { element, dimensions } => {
                self.work += dimensions;
                if self.work > MOST {
                    return wrong("it has too many subtypes");
                }
                let ranges = (0..dimensions).map(|_| read_range(input)).collect::<Result<_, _>>()?;
                let element = self.bind_if_unbound(input, element)?;
                self.add(Type::Bound { base, element, ranges })
            }
            &Type::Bound { base, .. } => self.bind(input, base),
            Type::Record(fields) => {
                self.work += fields.len();
                if self.work > MOST {
                    return wrong("it has too many subtypes");
                }
                let mut fields = fields.clone();
                for field in &mut fields {
                    field.1 = self.bind_if_unbound(input, field.1)?;
                }
                self.add(Type::Record(fields))
            }
            _ => wrong("a type in it has bounds for elements, but no elements"),
        }
    }

    fn bind_if_unbound(&mut self, input: &mut Input, place: usize) -> Result<usize, Stop> {
        if self.all[place].is_bounded { Ok(place) } else { self.bind(input, place) }
    }

    /// Reads the section that names the enumerations of the language.
    pub(super) fn read_known(&mut self, input: &mut Input) -> Result<(), Stop> {
        input.array::<4>()?;
        loop {
            let known = match input.u8()? {
                0 => return Ok(()),
                1 | 2 => EnumKind::Two,
                3 => EnumKind::Nine,
                _ => EnumKind::Nothing,
            };
            let place = self.place(input)?;
            match &mut self.all[place].kind {
                Type::Enumeration(enumeration) => *enumeration = known,
                _ => return wrong("a known enumeration of it has another type"),
            }
        }
    }
}
