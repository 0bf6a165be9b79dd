//! The control codes of Windows and the ioctls of Linux that a header defines.

use std::collections::{HashMap, HashSet};

use super::declarations::Declarations;
use super::expression::arguments;
use super::layout::Layouts;
use super::lexer::{Kind, Token};
use super::preprocessed::Preprocessed;
use super::standard::Model;

/// The macros that make a code.
const MAKERS: [&str; 9] = ["CTL_CODE", "_IO", "_IOR", "_IOW", "_IOWR", "_IOC", "_IOR_BAD", "_IOW_BAD", "_IOWR_BAD"];
/// The most macros from a name to its code.
const DEEPEST: u32 = 16;

/// A code, with its comment in the header.
#[derive(Clone, Debug)]
pub(in super::super) struct Code<'a> {
    pub(in super::super) name: &'a str,
    pub(in super::super) line: u32,
    pub(in super::super) number: Number,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Number {
    Control {
        device_type: u32,
        function: u32,
        method: u32,
        access: u32,
    },
    Ioctl {
        direction: u32,
        group: u32,
        number: u32,
        carried: Carried,
    },
    /// A plain number.
    Plain(u32),
}

/// The argument of an ioctl, by its macro.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Carried {
    /// The type in the header's words; empty where there is none.
    pub(in super::super) of: String,
    pub(in super::super) size: Option<u64>,
    /// Why the size is unknown.
    pub(in super::super) unknown: String,
    pub(in super::super) record: Option<usize>,
    pub(in super::super) is_pointer: bool,
}

pub(super) struct Finder<'h, 'a> {
    source: &'h Preprocessed<'a>,
    declared: &'h Declarations<'a>,
    layouts: Layouts<'h, 'a>,
    /// The names of macros that may make a code.
    makers: HashSet<&'a str>,
}

type Notes = Vec<(u32, String)>;

impl<'h, 'a> Finder<'h, 'a> {
    pub(super) fn new(source: &'h Preprocessed<'a>, declared: &'h Declarations<'a>, model: Model) -> Self {
        let layouts = Layouts::new(source, declared, model);
        Self { source, declared, layouts, makers: makers(source) }
    }

    pub(super) fn find(&self) -> (Vec<Code<'a>>, Notes) {
        let mut candidates: Vec<(&'a str, &[Token<'a>], u32)> = Vec::new();
        for name in &self.source.order {
            if let Some((body, line)) = self.source.body(name) {
                candidates.push((name, body, line));
            }
        }
        for name in &self.declared.order {
            if let Some(constant) = self.declared.constants.get(name).filter(|constant| constant.added == 0) {
                candidates.push((name, &constant.tokens, constant.line));
            }
        }
        candidates.sort_by_key(|(.., line)| *line);
        let (mut codes, mut notes) = (Vec::new(), self.with_arguments());
        for (name, body, line) in candidates {
            // A second name for a code is not a second call.
            if matches!(body, [alias] if self.makers.contains(alias.text)) {
                continue;
            }
            let makes = body.iter().any(|token| self.is_maker(token));
            if makes {
                match self.number(body, 0) {
                    Ok(number) => codes.push(Code { name, line, number }),
                    Err(why) => notes.push((line, format!("\"{name}\" is left out: {why}"))),
                }
            } else if is_named_as_code(name)
                && let Some(number) = self.layouts.number(body).ok().and_then(|number| u32::try_from(number).ok())
                && number > 0
            {
                codes.push(Code { name, line, number: Number::Plain(number) });
            }
        }
        (codes, notes)
    }

    /// The codes that depend on arguments: macros with arguments that no other macro uses.
    fn with_arguments(&self) -> Notes {
        let mut used = HashSet::new();
        for name in &self.source.order {
            let tokens = self.source.macros.get(name).map_or(&[][..], |of_name| self.source.tokens_of(of_name));
            used.extend(tokens.iter().filter(|token| self.makers.contains(token.text)).map(|token| token.text));
        }
        used.extend(self.source.tokens.iter().filter(|token| self.makers.contains(token.text)).map(|token| token.text));
        let each = self.source.order.iter().filter(|name| self.makers.contains(*name) && !used.contains(*name));
        let each = each.filter_map(|name| {
            let of_name = self.source.macros.get(name).filter(|of_name| of_name.parameters.is_some())?;
            Some((of_name.line, format!("\"{name}\" is left out: its number depends on its arguments")))
        });
        each.collect()
    }

    fn is_maker(&self, token: &Token<'a>) -> bool {
        token.kind == Kind::Word && (MAKERS.contains(&token.text) || self.makers.contains(token.text))
    }

    fn number(&self, body: &[Token<'a>], depth: u32) -> Result<Number, String> {
        if depth > DEEPEST {
            return Err("it is defined by itself".to_owned());
        }
        let at = body.iter().position(|token| self.is_maker(token)).ok_or("nothing in it makes a code")?;
        let before = body[..at].iter().all(|token| token.kind == Kind::Word || matches!(token.text, "(" | ")" | "*"));
        let (name, rest) = (body[at].text, &body[at + 1..]);
        let given = arguments(rest);
        if given.is_none() && rest.first().is_some_and(|token| token.is("(")) {
            return Err("\")\" is missing".to_owned());
        }
        let taken = given.as_ref().map_or(0, |(_, taken)| *taken);
        if !before || rest[taken..].iter().any(|token| !token.is(")")) {
            return Err("it contains more than a code".to_owned());
        }
        // The comment of the header's own macro counts, unless the macro only makes the number.
        let is_own = self.source.macros.contains_key(name) && !MAKERS.contains(&name);
        match given {
            Some((arguments, _)) if !is_own => self.made(name, &arguments),
            Some((arguments, _)) => match self.layouts.scoped(|scope| scope.expand(name, &arguments)) {
                Some(expanded) => self.number(&expanded, depth + 1),
                None => Err(format!("\"{name}\" expects other arguments, or expands to too long a text")),
            },
            None => match self.source.body(name) {
                Some((body, _)) => self.number(body, depth + 1),
                None => Err(format!("\"{name}\" needs arguments")),
            },
        }
    }

    fn made(&self, maker: &str, arguments: &[&[Token<'a>]]) -> Result<Number, String> {
        let number = |place: usize, most: u64| {
            let tokens = arguments.get(place).ok_or_else(|| format!("{maker} lacks an argument"))?;
            let number =
                self.layouts.number(tokens).map_err(|why| format!("an argument of {maker} is not known: {why}"))?;
            let fits = u32::try_from(number).ok().filter(|number| u64::from(*number) <= most);
            fits.ok_or_else(|| format!("{number} is out of range in {maker}; expected 0 to {most}"))
        };
        if maker == "CTL_CODE" {
            let (device_type, function) = (number(0, 0xffff)?, number(1, 0xfff)?);
            return Ok(Number::Control { device_type, function, method: number(2, 3)?, access: number(3, 3)? });
        }
        if maker == "_IOC" {
            let size = number(3, 0x3fff)?;
            let carried = Carried { size: (size > 0).then_some(size.into()), ..Carried::default() };
            return Ok(Number::Ioctl {
                direction: number(0, 3)?,
                group: number(1, 0xff)?,
                number: number(2, 0xff)?,
                carried,
            });
        }
        let direction = match maker {
            "_IO" => 0,
            "_IOW" | "_IOW_BAD" => 1,
            "_IOR" | "_IOR_BAD" => 2,
            _ => 3,
        };
        let carried = match (direction, arguments.get(2)) {
            (0, _) => Carried::default(),
            (_, None) => return Err(format!("{maker} lacks an argument")),
            (_, Some(of)) => self.carried(of),
        };
        Ok(Number::Ioctl { direction, group: number(0, 0xff)?, number: number(1, 0xff)?, carried })
    }

    fn carried(&self, tokens: &[Token<'a>]) -> Carried {
        let mut of = String::new();
        for token in tokens.iter().take(32) {
            let joined = token.is("*") || token.is("[") || token.is("]");
            of.push_str(if of.is_empty() || joined || of.ends_with('[') { "" } else { " " });
            of.push_str(token.text);
        }
        // `_IOR('x', 1, sizeof(struct y))` is a mistake of headers: the macro takes a type, so this is the size of a
        // size.
        if tokens.first().is_some_and(|token| token.is("sizeof")) {
            let record =
                arguments(&tokens[1..]).and_then(|(arguments, _)| self.layouts.record_of_words(arguments.first()?));
            return Carried { of, size: Some(8), record, ..Carried::default() };
        }
        let (size, unknown) = match self.layouts.size_of_words(tokens) {
            Ok(size) => (Some(size), String::new()),
            Err(why) => (None, why),
        };
        let is_pointer = self.layouts.type_of_words(tokens).is_some_and(|of| self.layouts.is_pointer(&of));
        Carried { of, size, unknown, record: self.layouts.record_of_words(tokens), is_pointer }
    }
}

/// The macros that use a macro that makes a code, directly or through others.
fn makers<'a>(source: &Preprocessed<'a>) -> HashSet<&'a str> {
    let mut users: HashMap<&str, Vec<&'a str>> = HashMap::new();
    for name in &source.order {
        let Some(of_name) = source.macros.get(name) else { continue };
        let words = source.tokens_of(of_name).iter().filter(|token| token.kind == Kind::Word);
        for word in words.filter(|word| MAKERS.contains(&word.text) || source.macros.contains_key(word.text)) {
            users.entry(word.text).or_default().push(name);
        }
    }
    let mut makers = HashSet::new();
    let mut next: Vec<&str> = MAKERS.to_vec();
    while let Some(maker) = next.pop() {
        for user in users.remove(maker).unwrap_or_default() {
            if !MAKERS.contains(&user) && makers.insert(user) {
                next.push(user);
            }
        }
    }
    makers
}

/// True if a plain number with this name is probably a code.
fn is_named_as_code(name: &str) -> bool {
    let words: Vec<_> = name.split('_').collect();
    let is_code = words.iter().any(|word| matches!(word.to_ascii_uppercase().as_str(), "IOCTL" | "IOC" | "IOCTRL"));
    let is_part = words.last().is_some_and(|word| {
        const PARTS: [&str; 18] = [
            "IOCTL", "IOC", "BASE", "MAGIC", "TYPE", "INDEX", "MAX", "MAXNR", "COUNT", "NUM", "NR", "VERSION",
            "DEVICE", "SIZE", "LEN", "H", "MASK", "SHIFT",
        ];
        PARTS.contains(&word.to_ascii_uppercase().as_str())
    });
    is_code && !is_part
}
