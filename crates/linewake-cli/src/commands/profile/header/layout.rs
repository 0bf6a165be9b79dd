//! The places of the fields of a struct, as a 64-bit compiler lays it out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::declarations::{Base, Declarations, Member, Type};
use super::expression::Scope;
use super::lexer::{Kind, Token};
use super::preprocessed::Preprocessed;
use super::standard::{Model, is_qualifier, room};

/// The most type names from a name to its type.
const DEEPEST: u32 = 32;

/// A number in a struct.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Place {
    /// The name, behind the names of the structs around it.
    pub(in super::super) name: String,
    pub(in super::super) of: String,
    pub(in super::super) at: u64,
    /// The size of one element.
    pub(in super::super) width: u64,
    /// The number of elements; none for an array without a length.
    pub(in super::super) count: Option<u64>,
    /// The distance from one element to the next.
    pub(in super::super) stride: u64,
    pub(in super::super) is_big_endian: bool,
    pub(in super::super) is_pointer: bool,
}

/// The layout of a struct.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Shape {
    pub(in super::super) name: String,
    pub(in super::super) line: u32,
    pub(in super::super) size: Option<u64>,
    pub(in super::super) places: Vec<Place>,
    /// The unknown facts about it, in sentences.
    pub(in super::super) doubts: Vec<String>,
}

/// A size and an alignment.
type Room = Result<(u64, u64), String>;

#[derive(Debug)]
struct Laid {
    room: Room,
    /// The places of its members, as far as they are known.
    at: Vec<Option<u64>>,
}

pub(in super::super) struct Layouts<'h, 'a> {
    source: &'h Preprocessed<'a>,
    declared: &'h Declarations<'a>,
    model: Model,
    laid: RefCell<HashMap<usize, Option<Rc<Laid>>>>,
    /// The current depth of structs and sizes within each other.
    depth: Cell<u32>,
}

impl<'h, 'a> Layouts<'h, 'a> {
    pub(super) fn new(source: &'h Preprocessed<'a>, declared: &'h Declarations<'a>, model: Model) -> Self {
        let layouts = Self { source, declared, model, laid: RefCell::default(), depth: Cell::default() };
        // A struct only contains structs that are declared before it, so this order needs no deep recursion.
        (0..declared.records.len()).for_each(|record| drop(layouts.laid(record)));
        layouts
    }

    fn deeper<T>(&self, with: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        if self.depth.get() > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        self.depth.set(self.depth.get() + 1);
        let result = with();
        self.depth.set(self.depth.get() - 1);
        result
    }

    /// All structs of the header, with their names.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = usize> + '_ {
        self.declared.records.iter().enumerate().filter(|(_, record)| record.name.is_some()).map(|(index, _)| index)
    }

    /// The struct with this tag or type name.
    pub(in super::super) fn named(&self, name: &str) -> Option<usize> {
        let of_type = self.declared.types.get(name).filter(|of| !of.is_pointer && of.dimensions.is_empty());
        match of_type.map(|of| &of.base) {
            Some(base @ (Base::Record(_) | Base::Tag(_))) => self.record_of(base),
            Some(Base::Words(words)) if words.len() == 1 && words[0] != name => {
                self.declared.tags.get(words[0]).copied()
            }
            _ => self.declared.tags.get(name).copied(),
        }
    }

    pub(in super::super) fn shape(&self, record: usize) -> Shape {
        let of = &self.declared.records[record];
        let laid = self.laid(record);
        let mut shape = Shape {
            name: of.name.unwrap_or("without a name").to_owned(),
            line: of.line,
            size: laid.as_ref().and_then(|laid| laid.room.as_ref().ok()).map(|(size, _)| *size),
            ..Shape::default()
        };
        if of.is_unsure {
            shape.doubts.push("parts of it are between #if and #endif; remove those that your driver lacks".to_owned());
        }
        match laid.as_ref().map(|laid| &laid.room) {
            Some(Err(why)) => shape.doubts.push(format!("{why}; the fields from there on are left out")),
            None => shape.doubts.push("it contains itself".to_owned()),
            Some(Ok(_)) => {}
        }
        self.flatten(record, 0, "", &mut shape.places, 0);
        if shape.places.len() > MOST_PLACES {
            shape.places.truncate(MOST_PLACES);
            shape.doubts.push(format!("it has more than {MOST_PLACES} fields, and the others are not shown"));
        }
        shape
    }

    fn flatten(&self, record: usize, base: u64, prefix: &str, into: &mut Vec<Place>, depth: u32) {
        let Some(laid) = self.laid(record) else { return };
        for (member, at) in self.declared.records[record].members.iter().zip(&laid.at) {
            let Some(at) = at.and_then(|at| base.checked_add(at)) else { return };
            if into.len() > MOST_PLACES {
                return;
            }
            let name = match (prefix, member.name) {
                ("", name) => name.to_owned(),
                (prefix, "") => prefix.to_owned(),
                (prefix, name) => format!("{prefix}.{name}"),
            };
            let Some(of) = self.resolved(&member.of, 0) else { return };
            let (Ok((size, _)), Ok(count)) = (self.room_of_one(&of), self.count(&of.dimensions)) else { return };
            let inner = self.record_of(&of.base).filter(|_| !of.is_pointer);
            let is_array = !of.dimensions.is_empty();
            let from = into.len();
            match inner {
                Some(inner) if size > 0 && depth < DEEPEST_SHOWN => {
                    let name = if is_array { format!("{name}[0]") } else { name.clone() };
                    self.flatten(inner, at, &name, into, depth + 1);
                }
                _ => into.push(Place {
                    name: name.clone(),
                    of: words(&member.of),
                    at,
                    width: size,
                    count: Some(1),
                    stride: size,
                    is_big_endian: self.is_big_endian(&of),
                    is_pointer: of.is_pointer,
                }),
            }
            if is_array {
                for place in &mut into[from..] {
                    (place.count, place.stride) = (count, size);
                }
            }
        }
    }

    fn is_big_endian(&self, of: &Type<'a>) -> bool {
        match &of.base {
            Base::Words(words) => words.iter().any(|word| word.starts_with("__be") || word.starts_with("be32")),
            _ => false,
        }
    }

    fn laid(&self, record: usize) -> Option<Rc<Laid>> {
        if let Some(laid) = self.laid.borrow().get(&record) {
            return laid.clone();
        }
        // A struct that contains itself has no end.
        self.laid.borrow_mut().insert(record, None);
        let laid = Rc::new(self.lay(record));
        self.laid.borrow_mut().insert(record, Some(laid.clone()));
        Some(laid)
    }

    fn lay(&self, record: usize) -> Laid {
        let record = &self.declared.records[record];
        let (mut end, mut widest) = (0_u64, record.align.unwrap_or(1));
        let mut places = Vec::new();
        let mut room = Ok(());
        for member in &record.members {
            if room.is_err() {
                places.push(None);
                continue;
            }
            match self.room_of(member) {
                Ok((size, align)) => {
                    let limited = record.pack.map_or(align, |pack| align.min(pack));
                    let align = member.align.map_or(limited, |least| limited.max(least)).max(1);
                    widest = widest.max(align);
                    let at = if record.is_union { 0 } else { end.checked_next_multiple_of(align).unwrap_or(u64::MAX) };
                    places.push(Some(at));
                    end = end.max(at.saturating_add(size));
                }
                Err(why) => {
                    places.push(None);
                    room = Err(why);
                }
            }
        }
        let size = end.checked_next_multiple_of(widest).unwrap_or(u64::MAX);
        let room = room.and_then(|()| match size {
            size if size > 1 << 40 => Err("it is too large".to_owned()),
            size => Ok((size, widest)),
        });
        Laid { room, at: places }
    }

    fn room_of(&self, member: &Member<'a>) -> Room {
        let called = match member.name {
            "" => "a field without a name".to_owned(),
            name => format!("\"{name}\""),
        };
        if member.is_bits {
            return Err(format!("{called} is a bit-field, and the compiler chooses its place"));
        }
        let room = self.size_of(&member.of, 0);
        // One name on the way to the unknown one is enough.
        room.map_err(|why| match why.contains(": ") {
            true => why,
            false => format!("the size of {called} is not known: {why}"),
        })
    }

    fn size_of(&self, of: &Type<'a>, depth: u32) -> Room {
        let of = self.resolved(of, depth).ok_or("its type is defined by itself")?;
        let (size, align) = self.room_of_one(&of)?;
        let count = self.count(&of.dimensions)?.unwrap_or(0);
        Ok((size.checked_mul(count).ok_or("it is too large")?, align))
    }

    /// The number of elements; none for an array without a length.
    fn count(&self, dimensions: &[Vec<Token<'a>>]) -> Result<Option<u64>, String> {
        let mut all = Some(1_u64);
        for dimension in dimensions {
            let count = if dimension.is_empty() { 0 } else { self.number(dimension)? };
            all = all.and_then(|all| all.checked_mul(count));
        }
        match all {
            Some(0) if !dimensions.is_empty() => Ok(None),
            Some(all) => Ok(Some(all)),
            None => Err("it has too many elements".to_owned()),
        }
    }

    /// Computes an expression.
    pub(super) fn number(&self, tokens: &[Token<'a>]) -> Result<u64, String> {
        let number = self.scoped(|scope| scope.evaluate(tokens))?;
        u64::try_from(number).map_err(|_| "a number in it is negative".to_owned())
    }

    pub(super) fn scoped<T>(&self, with: impl FnOnce(&Scope<'_, 'a>) -> T) -> T {
        let size_of = |tokens: &[Token<'a>]| self.size_of_words(tokens).ok();
        let is_type = |word: &str| self.is_type(word);
        with(&Scope::of_all(self.source, &self.declared.constants, &size_of, &is_type))
    }

    fn is_type(&self, word: &str) -> bool {
        let is_keyword = matches!(word, "struct" | "union" | "enum") || is_qualifier(word);
        is_keyword || self.declared.types.contains_key(word) || room(&[word], self.model).is_some()
    }

    /// Finds the type that words name: `struct name`, `unsigned long`, `ULONG`.
    pub(super) fn type_of_words(&self, tokens: &[Token<'a>]) -> Option<Type<'a>> {
        let is_pointer = tokens.iter().any(|token| token.is("*"));
        let mut dimensions = Vec::new();
        let mut words = tokens;
        if let Some(open) = tokens.iter().position(|token| token.is("[")) {
            let close = tokens.iter().position(|token| token.is("]")).filter(|close| *close > open)?;
            dimensions.push(tokens[open + 1..close].to_vec());
            words = &tokens[..open];
        }
        let words: Vec<_> =
            words.iter().filter(|token| token.kind == Kind::Word && !is_qualifier(token.text)).collect();
        let base = match words.as_slice() {
            [] => return None,
            [keyword, tag, ..] if matches!(keyword.text, "struct" | "union") => Base::Tag(tag.text),
            [keyword, ..] if keyword.text == "enum" => Base::Enum,
            words => Base::Words(words.iter().map(|word| word.text).collect()),
        };
        Some(Type { base, is_pointer, dimensions })
    }

    pub(super) fn size_of_words(&self, tokens: &[Token<'a>]) -> Result<u64, String> {
        let of = self.type_of_words(tokens).ok_or("it names no type")?;
        self.deeper(|| self.size_of(&of, 0)).map(|(size, _)| size)
    }

    /// Finds the struct that words name, or point to.
    pub(super) fn record_of_words(&self, tokens: &[Token<'a>]) -> Option<usize> {
        self.record_of(&self.resolved(&self.type_of_words(tokens)?, 0)?.base)
    }

    fn record_of(&self, base: &Base<'a>) -> Option<usize> {
        match base {
            Base::Record(record) => Some(*record),
            Base::Tag(tag) => self.declared.tags.get(tag).copied(),
            Base::Words(_) | Base::Enum => None,
        }
    }

    pub(super) fn is_pointer(&self, of: &Type<'a>) -> bool {
        self.resolved(of, 0).is_some_and(|of| of.is_pointer)
    }

    /// Resolves a type through type names and macros.
    fn resolved(&self, of: &Type<'a>, depth: u32) -> Option<Type<'a>> {
        if depth > DEEPEST {
            return None;
        }
        let Base::Words(words) = &of.base else { return Some(of.clone()) };
        let words: Vec<_> = words.iter().copied().filter(|word| !is_qualifier(word)).collect();
        let [name] = words.as_slice() else { return Some(Type { base: Base::Words(words), ..of.clone() }) };
        let inner = match self.declared.types.get(name) {
            Some(inner) => self.resolved(inner, depth + 1)?,
            None => match self.source.body(name).and_then(|(body, _)| self.type_of_words(body)) {
                Some(inner) => self.resolved(&inner, depth + 1)?,
                None => return Some(Type { base: Base::Words(words), ..of.clone() }),
            },
        };
        if of.is_pointer {
            return Some(Type { base: inner.base, ..of.clone() });
        }
        let dimensions = of.dimensions.iter().chain(&inner.dimensions).cloned().collect();
        Some(Type { base: inner.base, is_pointer: inner.is_pointer, dimensions })
    }

    /// The size of one element.
    fn room_of_one(&self, of: &Type<'a>) -> Room {
        if of.is_pointer {
            return Ok((8, 8));
        }
        match &of.base {
            Base::Enum => Ok((4, 4)),
            Base::Record(record) => self.room_of_record(*record),
            Base::Tag(tag) => match (self.declared.tags.get(tag), *tag) {
                (Some(record), _) => self.room_of_record(*record),
                (None, "timeval" | "timespec" | "__kernel_timespec") => Ok((16, 8)),
                (None, tag) => Err(format!("\"struct {tag}\" is not declared{}", self.included())),
            },
            Base::Words(words) => room(words, self.model)
                .ok_or_else(|| format!("\"{}\" is not declared{}", words.join(" "), self.included())),
        }
    }

    fn room_of_record(&self, record: usize) -> Room {
        self.deeper(|| match self.laid(record) {
            Some(laid) => laid.room.clone(),
            None => Err("it contains itself".to_owned()),
        })
    }

    fn included(&self) -> String {
        match self.source.includes.as_slice() {
            [] => String::new(),
            includes => {
                let names: Vec<_> = includes.iter().take(3).map(|name| format!("\"{name}\"")).collect();
                format!(" (give {} too)", names.join(", "))
            }
        }
    }
}

/// The depth to which fields of inner structs are shown; a deeper struct is one field.
const DEEPEST_SHOWN: u32 = 6;
/// The most fields of a struct that are shown.
const MOST_PLACES: usize = 200;

/// A type in the header's words.
fn words(of: &Type<'_>) -> String {
    let mut text = match &of.base {
        Base::Words(words) => words.join(" "),
        Base::Tag(tag) => format!("struct {tag}"),
        Base::Record(_) => "struct".to_owned(),
        Base::Enum => "enum".to_owned(),
    };
    if of.is_pointer {
        text.push('*');
    }
    text
}
