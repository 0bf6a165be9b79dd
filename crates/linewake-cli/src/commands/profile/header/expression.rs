//! Constant expressions of C, with macros. An unknown name makes the value unknown, and is reported.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::lexer::{Kind, Token};
use super::preprocessed::Preprocessed;
use super::standard;

/// The most parentheses and macros within each other.
const DEEPEST: u32 = 64;
/// The most steps of one expression.
const MOST_STEPS: u64 = 20_000;
/// The most tokens that a macro with arguments becomes.
const MOST_TOKENS: usize = 4096;

/// A constant that is not a macro: one of an enum, or a constant variable.
#[derive(Clone, Debug)]
pub(super) struct Constant<'a> {
    /// Its expression, or that of a constant before it in the enum; none if there is none.
    pub(super) tokens: Rc<[Token<'a>]>,
    /// The number added to the expression: its distance from that constant.
    pub(super) added: i128,
    pub(super) line: u32,
}

/// Gives the size of a type from its words.
type SizeOf<'s, 'a> = dyn Fn(&[Token<'a>]) -> Option<u64> + 's;
/// Says whether a macro is defined, if that is known.
type Defined<'d> = dyn Fn(&str) -> Option<i128> + 'd;

/// The names that an expression may use.
pub(super) struct Scope<'s, 'a> {
    source: &'s Preprocessed<'a>,
    constants: Option<&'s HashMap<&'a str, Constant<'a>>>,
    /// Gives the size of a type from its words.
    size_of: Option<&'s SizeOf<'s, 'a>>,
    /// Says if a word is a type: then parentheses around it are a cast.
    is_type: Option<&'s dyn Fn(&str) -> bool>,
    steps: Cell<u64>,
    /// The first unknown name.
    unknown: RefCell<Option<String>>,
}

/// Tokens that are not an expression.
struct NoExpression;

/// A number, if it is known.
type Value = Result<Option<i128>, NoExpression>;

impl<'s, 'a> Scope<'s, 'a> {
    pub(super) fn of_macros(source: &'s Preprocessed<'a>) -> Self {
        let (steps, unknown) = (Cell::new(source.steps.get().min(MOST_STEPS)), RefCell::default());
        Self { source, constants: None, size_of: None, is_type: None, steps, unknown }
    }

    pub(super) fn of_all(
        source: &'s Preprocessed<'a>,
        constants: &'s HashMap<&'a str, Constant<'a>>,
        size_of: &'s SizeOf<'s, 'a>,
        is_type: &'s dyn Fn(&str) -> bool,
    ) -> Self {
        let (constants, size_of, is_type) = (Some(constants), Some(size_of), Some(is_type));
        Self { constants, size_of, is_type, ..Self::of_macros(source) }
    }

    /// Computes an expression. `Err` says what is unknown.
    pub(super) fn evaluate(&self, tokens: &[Token<'a>]) -> Result<i128, String> {
        self.begin();
        match self.parse(tokens, 0, None) {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(match self.unknown.take() {
                Some(name) => format!("\"{name}\" is not defined"),
                None => "it cannot be computed".to_owned(),
            }),
            Err(NoExpression) => Err("it is not a numeric expression".to_owned()),
        }
    }

    pub(super) fn condition(&self, tokens: &[Token<'a>], defined: &Defined<'_>) -> Option<i128> {
        self.begin();
        self.parse(tokens, 0, Some(defined)).unwrap_or(None)
    }

    fn begin(&self) {
        self.steps.set(self.source.steps.get().min(MOST_STEPS));
        self.unknown.replace(None);
    }

    /// Counts a step; fails at the limit.
    fn step(&self) -> Result<(), NoExpression> {
        self.source.steps.set(self.source.steps.get().saturating_sub(1));
        match self.steps.get().checked_sub(1) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(NoExpression),
        }
    }

    fn parse(&self, tokens: &[Token<'a>], depth: u32, defined: Option<&Defined<'_>>) -> Value {
        let mut parser = Parser { scope: self, tokens, at: 0, depth, defined };
        let value = parser.choice()?;
        if parser.at == tokens.len() { Ok(value) } else { Err(NoExpression) }
    }

    fn named(&self, name: &'a str, depth: u32, defined: Option<&Defined<'_>>) -> Value {
        if depth > DEEPEST {
            return Err(NoExpression);
        }
        if let Some((body, _)) = self.source.body(name) {
            return if body.is_empty() { Ok(None) } else { self.parse(body, depth + 1, defined) };
        }
        if let Some(constant) = self.constants.and_then(|constants| constants.get(name)) {
            let first =
                if constant.tokens.is_empty() { Some(0) } else { self.parse(&constant.tokens, depth + 1, None)? };
            return Ok(first.map(|first| first.wrapping_add(constant.added)));
        }
        let standard = standard::number(name);
        if standard.is_none() {
            self.unknown.borrow_mut().get_or_insert_with(|| name.to_owned());
        }
        Ok(standard)
    }

    /// Replaces a macro with arguments; `None` if it takes none.
    pub(super) fn expand(&self, name: &str, arguments: &[&[Token<'a>]]) -> Option<Vec<Token<'a>>> {
        let of_name = self.source.macros.get(name)?;
        let parameters = of_name.parameters.as_ref()?;
        let mut expanded = Vec::new();
        for token in self.source.tokens_of(of_name) {
            match parameters.iter().position(|parameter| token.kind == Kind::Word && *parameter == token.text) {
                Some(place) => expanded.extend_from_slice(arguments.get(place)?),
                None => expanded.push(*token),
            }
            if expanded.len() > MOST_TOKENS || self.step().is_err() {
                return None;
            }
        }
        Some(expanded)
    }
}

/// The arguments in the parentheses that begin here, and the number of tokens they take.
pub(super) fn arguments<'p, 'a>(tokens: &'p [Token<'a>]) -> Option<(Vec<&'p [Token<'a>]>, usize)> {
    if !tokens.first()?.is("(") {
        return None;
    }
    let (mut depth, mut from, mut arguments) = (0_u32, 1, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" if token.kind == Kind::Sign => depth += 1,
            ")" if token.kind == Kind::Sign => {
                depth -= 1;
                if depth == 0 {
                    arguments.push(&tokens[from..at]);
                    return Some((arguments, at + 1));
                }
            }
            "," if token.kind == Kind::Sign && depth == 1 => {
                arguments.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    None
}

struct Parser<'p, 's, 'a> {
    scope: &'p Scope<'s, 'a>,
    tokens: &'p [Token<'a>],
    at: usize,
    depth: u32,
    /// In a condition, says whether a macro is defined.
    defined: Option<&'p Defined<'p>>,
}

/// An operator: its sign, its precedence, and its value, if it has one.
type Operator = (&'static str, u8, fn(i128, i128) -> Option<i128>);

const OPERATORS: [Operator; 18] = [
    ("||", 1, |left, right| Some(i128::from(left != 0 || right != 0))),
    ("&&", 2, |left, right| Some(i128::from(left != 0 && right != 0))),
    ("|", 3, |left, right| Some(left | right)),
    ("^", 4, |left, right| Some(left ^ right)),
    ("&", 5, |left, right| Some(left & right)),
    ("==", 6, |left, right| Some(i128::from(left == right))),
    ("!=", 6, |left, right| Some(i128::from(left != right))),
    ("<", 7, |left, right| Some(i128::from(left < right))),
    (">", 7, |left, right| Some(i128::from(left > right))),
    ("<=", 7, |left, right| Some(i128::from(left <= right))),
    (">=", 7, |left, right| Some(i128::from(left >= right))),
    ("<<", 8, |left, right| Some(left.wrapping_shl(shift(right)?))),
    (">>", 8, |left, right| Some(left.wrapping_shr(shift(right)?))),
    ("+", 9, |left, right| Some(left.wrapping_add(right))),
    ("-", 9, |left, right| Some(left.wrapping_sub(right))),
    ("*", 10, |left, right| Some(left.wrapping_mul(right))),
    ("/", 10, i128::checked_div),
    ("%", 10, i128::checked_rem),
];

fn shift(by: i128) -> Option<u32> {
    u32::try_from(by).ok().filter(|shift| *shift < 64)
}

impl<'a> Parser<'_, '_, 'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn takes(&mut self, text: &str) -> bool {
        let is = self.peek().is_some_and(|token| token.is(text));
        self.at += usize::from(is);
        is
    }

    fn choice(&mut self) -> Value {
        let condition = self.binary(1)?;
        if !self.takes("?") {
            return Ok(condition);
        }
        self.deeper()?;
        let yes = self.choice()?;
        if !self.takes(":") {
            return Err(NoExpression);
        }
        let no = self.choice()?;
        self.depth -= 1;
        Ok(condition.and_then(|condition| if condition != 0 { yes } else { no }))
    }

    fn binary(&mut self, least: u8) -> Value {
        let mut left = self.unary()?;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Sign) {
            let Some((sign, precedence, value)) = OPERATORS.iter().find(|(sign, ..)| *sign == token.text) else {
                break;
            };
            if *precedence < least {
                break;
            }
            self.at += 1;
            let right = self.binary(precedence + 1)?;
            // `&&` and `||` may be known from one side.
            left = match (*sign, left, right) {
                ("&&", Some(0), _) | ("&&", _, Some(0)) => Some(0),
                ("||", Some(number), _) | ("||", _, Some(number)) if number != 0 => Some(1),
                _ => left.zip(right).and_then(|(left, right)| value(left, right)),
            };
        }
        Ok(left)
    }

    fn deeper(&mut self) -> Result<(), NoExpression> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(NoExpression) } else { self.scope.step() }
    }

    fn unary(&mut self) -> Value {
        self.deeper()?;
        let value = self.primary();
        self.depth -= 1;
        value
    }

    fn primary(&mut self) -> Value {
        let token = self.peek().ok_or(NoExpression)?;
        self.at += 1;
        match token.kind {
            Kind::Number => Ok(Some(number(token.text).ok_or(NoExpression)?)),
            Kind::Letter => Ok(Some(letter(token.text).ok_or(NoExpression)?)),
            Kind::Word => self.word(token),
            Kind::Sign => match token.text {
                "-" => Ok(self.unary()?.map(i128::wrapping_neg)),
                "+" => self.unary(),
                "~" => Ok(self.unary()?.map(|number| !number)),
                "!" => Ok(self.unary()?.map(|number| i128::from(number == 0))),
                "(" if self.is_cast() => self.unary(),
                "(" => {
                    let value = self.choice()?;
                    if self.takes(")") { Ok(value) } else { Err(NoExpression) }
                }
                _ => Err(NoExpression),
            },
            _ => Err(NoExpression),
        }
    }

    /// Skips a type in parentheses; says whether there was one.
    fn is_cast(&mut self) -> bool {
        let Some(is_type) = self.scope.is_type else { return false };
        let inner = &self.tokens[self.at..];
        let Some(end) = inner.iter().take(8).position(|token| token.is(")")) else { return false };
        let words = &inner[..end];
        let is_plain = words.iter().all(|token| token.kind == Kind::Word || token.is("*"));
        let is = is_plain && words.first().is_some_and(|word| is_type(word.text));
        if is {
            self.at += end + 1;
        }
        is
    }

    fn word(&mut self, token: Token<'a>) -> Value {
        let rest = &self.tokens[self.at..];
        if let (Some(defined), "defined") = (self.defined, token.text) {
            let is_enclosed = rest.first().is_some_and(|token| token.is("("));
            let name = rest.get(usize::from(is_enclosed)).ok_or(NoExpression)?;
            self.at += if is_enclosed { 3 } else { 1 };
            return Ok(defined(name.text));
        }
        if token.text == "sizeof" {
            let (arguments, taken) = arguments(rest).ok_or(NoExpression)?;
            self.at += taken;
            return Ok(self.scope.size_of.and_then(|size_of| size_of(arguments.first()?)).map(i128::from));
        }
        let takes_arguments = self.scope.source.macros.get(token.text).is_some_and(|of| of.parameters.is_some());
        if takes_arguments && let Some((arguments, taken)) = arguments(rest) {
            self.at += taken;
            let expanded = self.scope.expand(token.text, &arguments).ok_or(NoExpression)?;
            return self.scope.parse(&expanded, self.depth + 1, self.defined);
        }
        self.scope.named(token.text, self.depth, self.defined)
    }
}

/// Reads a whole number as C writes it.
pub(super) fn number(text: &str) -> Option<i128> {
    let text: String = text.chars().filter(|c| *c != '\'').collect();
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    let length = digits.bytes().take_while(|byte| char::from(*byte).is_digit(radix)).count();
    let (digits, suffix) = digits.split_at(length);
    if !matches!(
        suffix,
        "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu" | "z" | "uz" | "i64" | "ui64" | "i32" | "ui32"
    ) {
        return None;
    }
    if digits.is_empty() {
        // `0u`, for example.
        return (radix == 8).then_some(0);
    }
    u64::from_str_radix(digits, radix).ok().map(i128::from)
}

/// The value of a character constant, which may have several characters.
fn letter(text: &str) -> Option<i128> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let bytes = match inner.as_bytes() {
        [b'\\', b'x', digits @ ..] => return i128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok(),
        [b'\\', digits @ ..] if digits.first()?.is_ascii_digit() => {
            return i128::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        }
        [b'\\', b'n'] => b"\n",
        [b'\\', b't'] => b"\t",
        [b'\\', b'r'] => b"\r",
        [b'\\', other] => std::slice::from_ref(other),
        bytes => bytes,
    };
    (1..=4).contains(&bytes.len()).then(|| bytes.iter().fold(0, |number, &byte| number << 8 | i128::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::super::lexer::Lexer;
    use super::*;

    fn value(header: &str, expression: &str) -> Result<i128, String> {
        let mut source = Preprocessed::default();
        source.read(header, 1);
        let tokens: Vec<_> = Lexer::new(expression, 1).collect();
        let scope = Scope { is_type: Some(&|word| word == "ULONG"), ..Scope::of_macros(&source) };
        scope.evaluate(&tokens)
    }

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in
            [("0", 0), ("0x1F", 31), ("017", 15), ("0b101", 5), ("10UL", 10), ("0u", 0), ("1'000", 1000), ("5ui64", 5)]
        {
            assert_eq!(super::number(text), Some(number), "{text}");
        }
        for text in ["1.5", "0x", "1e3", "08", "5x", "99999999999999999999"] {
            assert_eq!(super::number(text), None, "{text}");
        }
        assert_eq!(
            (letter("'p'"), letter("'\\x41'"), letter("'\\n'"), letter("'GPIO'")),
            (Some(112), Some(65), Some(10), Some(0x4750_494f))
        );
        assert_eq!((letter("''"), letter("'")), (None, None));
    }

    #[test]
    fn operators_bind_as_in_c() {
        for (text, number) in [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("1 << 4 | 1", 17),
            ("~0 & 0xff", 255),
            ("-1 < 0 ? 10 : 20", 10),
            ("(ULONG)0x22 << 16", 0x22_0000),
            ("'p' << 8", 0x7000),
            ("A(3) + B", 0x803),
            ("10 / 3 % 2", 1),
        ] {
            assert_eq!(value("#define A(n) (0x800 + (n))\n#define B C\n#define C 0", text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_named_and_no_number() {
        assert_eq!(value("", "BASE + 1"), Err("\"BASE\" is not defined".to_owned()));
        assert_eq!(value("", "1 +"), Err("it is not a numeric expression".to_owned()));
        assert_eq!(value("", "1 / 0"), Err("it cannot be computed".to_owned()));
        assert_eq!(value("#define A A", "A"), Err("it is not a numeric expression".to_owned()));
    }

    #[test]
    fn macros_that_grow_without_end_are_given_up() {
        let bomb: String = (0..60).map(|at| format!("#define A{at} (A{} + A{})\n", at + 1, at + 1)).collect();
        assert!(value(&format!("{bomb}#define A60 1\n"), "A0").is_err());
        assert!(value("", &"(".repeat(100_000)).is_err());
        assert!(value("", &"-".repeat(100_000)).is_err());
        assert!(value("", &format!("1{}", " ? 1 : 1".repeat(100_000))).is_err());
        assert_eq!(value("", &format!("1{}", " + 1".repeat(1000))), Ok(1001));
    }
}
