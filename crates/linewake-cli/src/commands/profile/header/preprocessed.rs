//! Headers after their directives: tokens, macros and comments.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use super::lexer::{Comment, Kind, Token};

/// The most steps of all expressions: more than any header needs, and few enough to wait for.
const MOST_STEPS: u64 = 20_000_000;

#[derive(Clone, Debug)]
pub(super) struct Macro<'a> {
    /// The names of its arguments, if it has any.
    pub(super) parameters: Option<Vec<&'a str>>,
    pub(super) body: Range<usize>,
    pub(super) line: u32,
}

/// The headers after their directives.
#[derive(Debug)]
pub(super) struct Preprocessed<'a> {
    /// All tokens except directives.
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) macros: HashMap<&'a str, Macro<'a>>,
    /// The names of the macros in the order of the file.
    pub(super) order: Vec<&'a str>,
    pub(super) bodies: Vec<Token<'a>>,
    pub(super) comments: Vec<Comment<'a>>,
    /// Included headers in quotes, which are not read.
    pub(super) includes: Vec<&'a str>,
    pub(super) notes: Vec<(u32, String)>,
    /// The steps that are left for expressions.
    pub(super) steps: Cell<u64>,
}

impl Default for Preprocessed<'_> {
    fn default() -> Self {
        Self {
            tokens: Vec::new(),
            macros: HashMap::new(),
            order: Vec::new(),
            bodies: Vec::new(),
            comments: Vec::new(),
            includes: Vec::new(),
            notes: Vec::new(),
            steps: Cell::new(MOST_STEPS),
        }
    }
}

impl<'a> Preprocessed<'a> {
    /// All words.
    pub(super) fn words(&self) -> impl Iterator<Item = &'a str> + '_ {
        let words = self.tokens.iter().chain(&self.bodies).filter(|token| token.kind == Kind::Word);
        words.map(|token| token.text)
    }

    /// The tokens of a macro without arguments, and its line.
    pub(super) fn body(&self, name: &str) -> Option<(&[Token<'a>], u32)> {
        let of_name = self.macros.get(name).filter(|of_name| of_name.parameters.is_none())?;
        Some((self.tokens_of(of_name), of_name.line))
    }

    pub(super) fn tokens_of(&self, of_name: &Macro<'a>) -> &[Token<'a>] {
        &self.bodies[of_name.body.clone()]
    }
}
