//! The structs, unions, enums and types that a header declares. Everything else is skipped.

use std::collections::HashMap;
use std::rc::Rc;

use super::expression::{Constant, arguments};
use super::lexer::{Kind, Token};
use super::preprocessed::Preprocessed;
use super::standard::{is_plain_type, is_qualifier};

/// The most structs within each other.
const DEEPEST: usize = 64;
/// The most macros that are replaced in declarations.
const MOST_REPLACED: usize = 1 << 20;
/// The most tokens of a macro that stands for a type or attributes.
const LONGEST: usize = 16;

/// The base of a field's type.
#[derive(Clone, Debug)]
pub(super) enum Base<'a> {
    /// Words: a type of C, or a named type.
    Words(Vec<&'a str>),
    /// `struct name`
    Tag(&'a str),
    /// A struct that is declared in the place of its use.
    Record(usize),
    Enum,
}

/// A type of a field, or a named type.
#[derive(Clone, Debug)]
pub(super) struct Type<'a> {
    pub(super) base: Base<'a>,
    pub(super) is_pointer: bool,
    /// The length of each dimension; an empty one has no length.
    pub(super) dimensions: Vec<Vec<Token<'a>>>,
}

#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// Empty for an anonymous struct or union.
    pub(super) name: &'a str,
    pub(super) of: Type<'a>,
    pub(super) is_bits: bool,
    /// The least alignment, if the field states one.
    pub(super) align: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) is_union: bool,
    pub(super) members: Vec<Member<'a>>,
    /// The greatest alignment of a field.
    pub(super) pack: Option<u64>,
    pub(super) align: Option<u64>,
    pub(super) line: u32,
    /// A part depends on a condition that is unknown.
    pub(super) is_unsure: bool,
    /// Its tag, or its first name.
    pub(super) name: Option<&'a str>,
}

#[derive(Debug, Default)]
pub(super) struct Declarations<'a> {
    pub(super) records: Vec<Record<'a>>,
    pub(super) tags: HashMap<&'a str, usize>,
    pub(super) types: HashMap<&'a str, Type<'a>>,
    pub(super) constants: HashMap<&'a str, Constant<'a>>,
    /// The constants in the order of the file.
    pub(super) order: Vec<&'a str>,
    pub(super) interfaces: Vec<(&'a str, String, u32)>,
    pub(super) notes: Vec<(u32, String)>,
}

impl<'a> Declarations<'a> {
    pub(super) fn read(source: &Preprocessed<'a>) -> Self {
        let mut reader = Reader {
            source,
            tokens: &source.tokens,
            at: 0,
            replaced: Vec::new(),
            left: MOST_REPLACED,
            pack: 0,
            depth: 0,
            declared: Self::default(),
        };
        reader.file();
        reader.declared
    }
}

struct Reader<'s, 'a> {
    source: &'s Preprocessed<'a>,
    tokens: &'s [Token<'a>],
    at: usize,
    /// The tokens of replaced macros, the next one last.
    replaced: Vec<Token<'a>>,
    left: usize,
    pack: u8,
    depth: usize,
    declared: Declarations<'a>,
}

/// The specifiers at the start of a declaration.
#[derive(Default)]
struct Specifiers<'a> {
    base: Option<Base<'a>>,
    words: Vec<&'a str>,
    attributes: Attributes,
}

#[derive(Clone, Copy, Default)]
struct Attributes {
    is_packed: bool,
    align: Option<u64>,
}

impl<'a> Reader<'_, 'a> {
    fn file(&mut self) {
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            match token.kind {
                Kind::Pack(to) => self.pack = to,
                Kind::Word => match token.text {
                    "typedef" => self.typedef(),
                    "struct" | "union" => drop(self.record(token)),
                    "enum" => self.enumeration(),
                    "DEFINE_GUID" => self.guid(),
                    _ if self.tokens.get(self.at).is_some_and(|next| next.is("=")) => self.constant(token),
                    _ => {}
                },
                _ => {}
            }
        }
    }

    /// The next token of a declaration, with macros replaced.
    fn peek(&mut self) -> Option<Token<'a>> {
        for _ in 0..2 * LONGEST {
            let token = self.next()?;
            match token.kind {
                Kind::Pack(to) => {
                    self.pack = to;
                    self.bump();
                }
                Kind::Word => match self.source.body(token.text) {
                    Some((body, _)) if body.len() <= LONGEST && self.left > body.len() + 1 => {
                        self.left -= body.len() + 1;
                        self.bump();
                        // A macro is not replaced within itself.
                        let body = body.iter().rev().filter(|word| word.text != token.text);
                        self.replaced.extend(body);
                    }
                    _ => return Some(token),
                },
                _ => return Some(token),
            }
        }
        self.next()
    }

    /// The next token, with macros unreplaced.
    fn next(&self) -> Option<Token<'a>> {
        self.replaced.last().or_else(|| self.tokens.get(self.at)).copied()
    }

    fn bump(&mut self) {
        if self.replaced.pop().is_none() {
            self.at += 1;
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        let is = self.peek().is_some_and(|token| token.is(text));
        if is {
            self.bump();
        }
        is
    }

    /// Takes the tokens up to the closing bracket; the opening one is next.
    fn enclosed(&mut self, open: &str, close: &str) -> Vec<Token<'a>> {
        let mut inner = Vec::new();
        if !self.takes(open) {
            return inner;
        }
        let mut depth = 1;
        while let Some(token) = self.next() {
            self.bump();
            if token.is(open) {
                depth += 1;
            } else if token.is(close) {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            if inner.len() < 4096 {
                inner.push(token);
            }
        }
        inner
    }

    /// Takes an attribute such as `__attribute__((packed))`, `__declspec(align(8))` or `alignas(8)`; says whether it
    /// was one.
    fn attribute(&mut self, word: &str, into: &mut Attributes) -> bool {
        match word {
            "__packed" | "PACKED" | "_Packed" => {
                self.bump();
                into.is_packed = true;
            }
            "__attribute__" | "__attribute" | "__declspec" | "_Alignas" | "alignas" | "__aligned" | "__align" => {
                self.bump();
                let inner = self.enclosed("(", ")");
                into.is_packed |= inner.iter().any(|token| matches!(token.text, "packed" | "__packed__"));
                let aligns = |token: &Token<'_>| matches!(token.text, "aligned" | "__aligned__" | "align");
                let is_align =
                    matches!(word, "_Alignas" | "alignas" | "__aligned" | "__align") || inner.iter().any(aligns);
                let number = inner.iter().find(|token| token.kind == Kind::Number);
                let number = number.and_then(|token| super::expression::number(token.text));
                let number =
                    number.and_then(|number| u64::try_from(number).ok()).filter(|number| number.is_power_of_two());
                if is_align {
                    into.align = into.align.max(number.or(Some(16)));
                }
            }
            _ => return false,
        }
        true
    }

    fn note(&mut self, line: u32, what: String) {
        // A damaged header must not fill the memory.
        if self.declared.notes.len() < 1000 {
            self.declared.notes.push((line, what));
        }
    }

    fn typedef(&mut self) {
        let specifiers = self.specifiers();
        for Member { name, of, .. } in self.declarators(specifiers) {
            if name.is_empty() {
                continue;
            }
            if let (Base::Record(record), false) = (&of.base, of.is_pointer) {
                // Programs use the name of a typedef rather than the tag.
                if self.declared.records[*record].name.is_none_or(|name| name.starts_with('_')) {
                    self.declared.records[*record].name = Some(name);
                }
            }
            self.declared.types.entry(name).or_insert(of);
        }
        self.replaced.clear();
    }

    /// Takes the specifiers before the first name.
    fn specifiers(&mut self) -> Specifiers<'a> {
        let mut specifiers = Specifiers::default();
        while let Some(token) = self.peek() {
            if token.kind == Kind::Condition {
                self.bump();
                continue;
            }
            if token.kind != Kind::Word {
                break;
            }
            if self.attribute(token.text, &mut specifiers.attributes) {
                continue;
            }
            self.bump();
            match token.text {
                "struct" | "union" | "class" => specifiers.base = self.record(token),
                "enum" => {
                    self.enumeration();
                    specifiers.base = Some(Base::Enum);
                }
                word => specifiers.words.push(word),
            }
            if specifiers.words.len() > 64 {
                break;
            }
        }
        specifiers
    }

    /// The last word of the specifiers, if it is the declared name: a type stands before it, and no name behind.
    fn name_among(&mut self, specifiers: &mut Specifiers<'a>) -> Option<&'a str> {
        let has_type = specifiers.base.is_some() || specifiers.words.iter().any(|word| !is_qualifier(word));
        if !has_type || specifiers.words.last().is_none_or(|word| is_plain_type(word)) {
            return None;
        }
        let types = specifiers.words.iter().filter(|word| !is_qualifier(word)).count();
        let next_is_name = self.peek().is_some_and(|token| token.is("*") || token.kind == Kind::Word);
        if (specifiers.base.is_some() || types > 1) && !next_is_name { specifiers.words.pop() } else { None }
    }

    /// Takes the declared names, each with its type, up to the end of the declaration.
    fn declarators(&mut self, mut specifiers: Specifiers<'a>) -> Vec<Member<'a>> {
        let mut declared = Vec::new();
        let mut name = self.name_among(&mut specifiers);
        let base = specifiers.base.take().unwrap_or(Base::Words(specifiers.words));
        loop {
            let mut of = Type { base: base.clone(), is_pointer: false, dimensions: Vec::new() };
            let mut attributes = specifiers.attributes;
            let mut is_bits = false;
            while let Some(token) = self.peek() {
                match token.text {
                    "," | ";" | "}" | "{" if token.kind == Kind::Sign => break,
                    "*" | "^" | "&" => {
                        of.is_pointer = true;
                        self.bump();
                    }
                    "(" => {
                        let inner = self.enclosed("(", ")");
                        if let Some(star) = inner.iter().position(|token| token.is("*")) {
                            of.is_pointer = true;
                            let mut words = inner[star..].iter().filter(|token| token.kind == Kind::Word);
                            name = name.or(words.next_back().map(|token| token.text));
                        }
                    }
                    "[" => {
                        let inner = self.enclosed("[", "]");
                        of.dimensions.push(inner);
                    }
                    ":" => {
                        is_bits = true;
                        self.bump();
                    }
                    "=" => {
                        self.bump();
                        while self.peek().is_some_and(|token| !matches!(token.text, "," | ";" | "}" | "{")) {
                            self.bump();
                        }
                    }
                    word if token.kind == Kind::Word && !is_bits => {
                        if !self.attribute(word, &mut attributes) {
                            self.bump();
                            if !is_qualifier(word) {
                                name = Some(word);
                            }
                        }
                    }
                    _ => self.bump(),
                }
            }
            let name = name.take().unwrap_or_default();
            declared.push(Member { name, of, is_bits, align: attributes.align });
            if !self.takes(",") || declared.len() > 4096 {
                break;
            }
        }
        self.takes(";");
        declared
    }

    /// Takes what follows `struct` or `union`.
    fn record(&mut self, keyword: Token<'a>) -> Option<Base<'a>> {
        let mut attributes = Attributes::default();
        let mut tag = None;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Word) {
            if !self.attribute(token.text, &mut attributes) {
                if tag.is_some() {
                    break;
                }
                tag = Some(token.text);
                self.bump();
            }
        }
        if !self.peek().is_some_and(|token| token.is("{")) {
            return tag.map(Base::Tag);
        }
        if self.depth >= DEEPEST {
            self.note(keyword.line, "a struct within more than 64 others is left out".to_owned());
            self.enclosed("{", "}");
            return None;
        }
        self.bump();
        self.depth += 1;
        let pack = self.pack;
        let mut record =
            Record { is_union: keyword.text == "union", line: keyword.line, name: tag, ..Record::default() };
        self.members(&mut record);
        self.depth -= 1;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Word) {
            if !self.attribute(token.text, &mut attributes) {
                break;
            }
        }
        record.pack = match (attributes.is_packed, pack) {
            (true, _) => Some(1),
            (false, 0) => None,
            (false, pack) => Some(pack.into()),
        };
        record.align = attributes.align;
        let index = self.declared.records.len();
        if let Some(tag) = tag {
            if self.declared.tags.contains_key(tag) {
                self.note(keyword.line, format!("\"{tag}\" is declared twice; the first declaration counts"));
            } else {
                self.declared.tags.insert(tag, index);
            }
        }
        self.declared.records.push(record);
        Some(Base::Record(index))
    }

    fn members(&mut self, record: &mut Record<'a>) {
        while let Some(token) = self.peek() {
            if token.kind == Kind::Condition {
                record.is_unsure = true;
                self.bump();
                continue;
            }
            if token.is("}") {
                self.bump();
                return;
            }
            if token.is(";") || token.kind != Kind::Word {
                self.bump();
                continue;
            }
            let before = (self.at, self.replaced.len());
            let specifiers = self.specifiers();
            let is_label = matches!(specifiers.words.as_slice(), ["public" | "private" | "protected"]);
            if is_label && self.takes(":") {
                continue;
            }
            let is_anonymous = matches!(specifiers.base, Some(Base::Record(_)));
            let of_record = specifiers.base.is_some();
            for member in self.declarators(specifiers) {
                // `struct other;` declares no field.
                if (!member.name.is_empty() || member.is_bits || is_anonymous || !of_record)
                    && record.members.len() < 1 << 16
                {
                    record.members.push(member);
                }
            }
            // The body of a C++ function.
            if self.peek().is_some_and(|token| token.is("{")) {
                self.enclosed("{", "}");
                record.members.pop();
            }
            if (self.at, self.replaced.len()) == before {
                self.bump();
            }
        }
    }

    /// Takes what follows `enum`.
    fn enumeration(&mut self) {
        while self.tokens.get(self.at).is_some_and(|token| token.kind == Kind::Word || token.is(":")) {
            self.at += 1;
        }
        if !self.tokens.get(self.at).is_some_and(|token| token.is("{")) {
            return;
        }
        self.at += 1;
        let mut base: Rc<[Token<'a>]> = Rc::default();
        let mut added = 0;
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            if token.is("}") {
                break;
            }
            if token.kind != Kind::Word {
                continue;
            }
            if self.tokens.get(self.at).is_some_and(|token| token.is("=")) {
                self.at += 1;
                base = self.until_comma();
                added = 0;
            }
            self.keep(token, Constant { tokens: base.clone(), added, line: token.line });
            added += 1;
        }
    }

    fn keep(&mut self, name: Token<'a>, constant: Constant<'a>) {
        if !self.declared.constants.contains_key(name.text) {
            self.declared.order.push(name.text);
            self.declared.constants.insert(name.text, constant);
        }
    }

    /// Takes the tokens before the next comma, semicolon or brace.
    fn until_comma(&mut self) -> Rc<[Token<'a>]> {
        let mut depth = 0_u32;
        let from = self.at;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                "," if depth == 0 => break,
                ";" | "{" | "}" => break,
                _ => {}
            }
            self.at += 1;
        }
        let plain = |token: &&Token<'_>| !matches!(token.kind, Kind::Condition | Kind::Pack(_));
        self.tokens[from..self.at].iter().filter(plain).take(256).copied().collect()
    }

    /// Takes `static const unsigned NAME = …;`.
    fn constant(&mut self, name: Token<'a>) {
        self.at += 1;
        let tokens = self.until_comma();
        self.keep(name, Constant { tokens, added: 0, line: name.line });
    }

    /// Takes `DEFINE_GUID(NAME, 0x…, …)`.
    fn guid(&mut self) {
        let rest = &self.tokens[self.at..self.tokens.len().min(self.at + 64)];
        let Some((arguments, _)) = arguments(rest) else { return };
        let [name, numbers @ ..] = arguments.as_slice() else { return };
        let one = |tokens: &&[Token<'a>]| match tokens {
            [number] => super::expression::number(number.text).and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let numbers: Vec<_> = numbers.iter().filter_map(one).collect();
        if let ([name], [a, b, c, d, e, rest @ ..]) = (*name, numbers.as_slice())
            && rest.len() == 6
        {
            let rest: String = rest.iter().map(|byte| format!("{:02X}", byte & 0xff)).collect();
            let (b, c, d, e) = (b & 0xffff, c & 0xffff, d & 0xff, e & 0xff);
            let guid = format!("{{{a:08X}-{b:04X}-{c:04X}-{d:02X}{e:02X}-{rest}}}");
            self.declared.interfaces.push((name.text, guid, name.line));
        }
    }
}
