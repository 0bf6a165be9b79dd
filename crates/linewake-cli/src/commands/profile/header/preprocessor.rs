//! Directives: macros are kept, conditions are decided where possible, and packing becomes tokens for the layout.

use super::expression::Scope;
use super::lexer::{Kind, Lexer, Token};
use super::preprocessed::{Macro, Preprocessed};

/// A condition, and whether one of its parts was taken.
#[derive(Clone, Copy)]
struct Level {
    is_outer_active: bool,
    is_active: bool,
    was_true: bool,
    /// It is unknown if this part is compiled.
    is_unsure: bool,
}

/// Macros that are never defined in a 64-bit user program.
const UNDEFINED: &str = "__KERNEL__ KERNEL _KERNEL _KERNEL_MODE _NTDDK_ __cplusplus MIDL_PASS RC_INVOKED __ASSEMBLY__ \
    __ASSEMBLER__ _M_IX86";
/// Macros that are defined on this system.
const DEFINED: [&str; 8] =
    ["_WIN64", "__x86_64__", "_M_X64", "_M_AMD64", "__LP64__", "CONFIG_64BIT", "__STDC__", "CONFIG_X86_64"];

impl<'a> Preprocessed<'a> {
    /// Reads a header whose first line has this number; gives the number for the next header.
    pub(super) fn read(&mut self, text: &'a str, line: u32) -> u32 {
        let mut lexer = Lexer::new(text, line);
        let mut levels: Vec<Level> = Vec::new();
        let mut packs = Vec::new();
        let mut pack = 0;
        let mut directive = Vec::new();
        while let Some(token) = lexer.next() {
            let is_active = levels.last().is_none_or(|level| level.is_active);
            if token.kind != Kind::Directive {
                if is_active {
                    self.tokens.push(token);
                }
                continue;
            }
            directive.clear();
            directive.extend(lexer.by_ref().take_while(|token| token.kind != Kind::End));
            let Some((name, rest)) = directive.split_first() else { continue };
            match name.text {
                "if" | "ifdef" | "ifndef" | "elif" | "else" | "endif" => {
                    self.condition(name, rest, &mut levels);
                }
                _ if !is_active => {}
                "define" => self.define(rest),
                "include" => self.include(rest, &mut packs, &mut pack),
                "pragma" => self.pragma(rest, &mut packs, &mut pack),
                _ => {}
            }
        }
        if let Some(line) = lexer.endless {
            self.notes.push((line, "a comment begins here and has no end, so the rest is part of it".to_owned()));
        }
        let last = lexer.line;
        if pack != 0 {
            self.pack(0, last);
        }
        self.comments.append(&mut lexer.comments);
        last + 1
    }

    fn define(&mut self, rest: &[Token<'a>]) {
        let Some((name, mut body)) = rest.split_first() else { return };
        if name.kind != Kind::Word {
            return;
        }
        let mut parameters = None;
        if body.first().is_some_and(|token| token.is("(") && token.is_glued) {
            let Some(end) = body.iter().position(|token| token.is(")")) else {
                self.notes.push((name.line, format!("the macro \"{}\" is left out: \")\" is missing", name.text)));
                return;
            };
            parameters = Some(body[1..end].iter().filter(|token| !token.is(",")).map(|token| token.text).collect());
            body = &body[end + 1..];
        }
        // If unknown conditions define a macro several times, the first definition counts.
        if self.macros.contains_key(name.text) {
            return;
        }
        let from = self.bodies.len();
        self.bodies.extend_from_slice(body);
        self.macros.insert(name.text, Macro { parameters, body: from..self.bodies.len(), line: name.line });
        self.order.push(name.text);
    }

    fn include(&mut self, rest: &[Token<'a>], packs: &mut Vec<u8>, pack: &mut u8) {
        let Some(first) = rest.first() else { return };
        let name: String = rest.iter().map(|token| token.text).collect();
        let packed = [("pshpack1.h", 1), ("pshpack2.h", 2), ("pshpack4.h", 4), ("pshpack8.h", 8)];
        if let Some((_, to)) = packed.iter().find(|(header, _)| name.contains(header)) {
            packs.push(*pack);
            *pack = *to;
            self.pack(*pack, first.line);
        } else if name.contains("poppack.h") {
            *pack = packs.pop().unwrap_or(0);
            self.pack(*pack, first.line);
        } else if first.kind == Kind::Text {
            self.includes.push(first.text.trim_matches('"'));
        }
    }

    fn pragma(&mut self, rest: &[Token<'a>], packs: &mut Vec<u8>, pack: &mut u8) {
        let Some((name, arguments)) = rest.split_first() else { return };
        if name.text != "pack" {
            return;
        }
        let has = |word: &str| arguments.iter().any(|token| token.is(word));
        let number =
            arguments.iter().find(|token| token.kind == Kind::Number).and_then(|token| token.text.parse().ok());
        if has("push") {
            packs.push(*pack);
            *pack = number.unwrap_or(*pack);
        } else if has("pop") {
            *pack = number.or(packs.pop()).unwrap_or(0);
        } else {
            *pack = number.unwrap_or(0);
        }
        self.pack(*pack, name.line);
    }

    fn pack(&mut self, to: u8, line: u32) {
        self.tokens.push(Token { text: "", line, kind: Kind::Pack(to), is_glued: false });
    }

    fn condition(&mut self, name: &Token<'a>, rest: &[Token<'a>], levels: &mut Vec<Level>) {
        let known = match name.text {
            "if" | "elif" => self.holds(rest),
            "ifdef" => rest.first().and_then(|word| self.is_defined(word.text)),
            "ifndef" => rest.first().and_then(|word| self.is_guard(word.text)),
            _ => Some(true),
        };
        let mut is_unsure = false;
        match name.text {
            "if" | "ifdef" | "ifndef" => {
                let is_outer_active = levels.last().is_none_or(|level| level.is_active);
                let is_active = is_outer_active && known != Some(false);
                is_unsure = is_active && known.is_none();
                levels.push(Level { is_outer_active, is_active, was_true: known == Some(true), is_unsure });
            }
            "endif" => {
                is_unsure = levels.pop().is_some_and(|level| level.is_unsure);
            }
            _ => {
                if let Some(level) = levels.last_mut() {
                    level.is_active = level.is_outer_active && !level.was_true && known != Some(false);
                    level.is_unsure |= level.is_active && known.is_none();
                    level.was_true |= known == Some(true);
                    is_unsure = level.is_unsure;
                }
            }
        }
        if is_unsure {
            self.tokens.push(Token { text: name.text, line: name.line, kind: Kind::Condition, is_glued: false });
        }
    }

    fn is_defined(&self, name: &str) -> Option<bool> {
        if UNDEFINED.split(' ').any(|undefined| undefined == name) {
            return Some(false);
        }
        (DEFINED.contains(&name) || self.macros.contains_key(name)).then_some(true)
    }

    /// Says if a name is undefined; `None` if that is not known. The name of an include guard counts as undefined.
    fn is_guard(&self, name: &str) -> Option<bool> {
        match self.is_defined(name) {
            Some(is_defined) => Some(!is_defined),
            None if self.macros.is_empty() || name.ends_with("_H") || name.contains("_H_") || name.contains("_INC") => {
                Some(true)
            }
            None => None,
        }
    }

    fn holds(&self, condition: &[Token<'a>]) -> Option<bool> {
        let scope = Scope::of_macros(self);
        let defined = |name: &str| self.is_defined(name).map(i128::from);
        scope.condition(condition, &defined).map(|number| number != 0)
    }
}
