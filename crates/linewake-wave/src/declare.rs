//! Turns a declared variable into wires, for every format: what is left out, and how the bits are named.

use crate::head::Head;
use crate::variable::{LeftOut, Scope, Variable};

/// A wider variable is left out.
const WIDEST: u64 = 1 << 16;
/// How many bits are read in all; a byte is kept for each.
const MOST: u64 = 1 << 26;

/// A variable as it is written in the file.
#[derive(Debug)]
pub(crate) struct Declared<'a> {
    pub(crate) scope: Scope,
    /// The word for its type, in lower case.
    pub(crate) kind: &'a str,
    pub(crate) width: u64,
    /// The numbers of its bits, if they do not follow the name.
    pub(crate) range: Option<(i64, i64)>,
    /// The name, which may end with the numbers of its bits.
    pub(crate) name: &'a str,
    pub(crate) source: u32,
}

impl Head {
    pub(crate) fn declare(&mut self, declared: &Declared<'_>) {
        let &Declared { scope, kind, width, range, name, source } = declared;
        let kind = match kind {
            "real" | "realtime" | "shortreal" | "real_parameter" => Some("real"),
            "string" => Some("string"),
            "event" => Some("event"),
            "parameter" => Some("parameter"),
            "time" if width == 0 => Some("time"),
            "enum" if width == 0 => Some("enumeration"),
            _ if width == 0 => Some("variable without bits"),
            _ if width > WIDEST => Some("variable with too many bits"),
            _ if self.bits.len() as u64 + width > MOST => Some("variable beyond the limit of 67108864 bits"),
            _ => None,
        };
        if let Some(kind) = kind {
            let path = self.scopes.path_of(scope, unescaped(name));
            self.left_out.push(LeftOut { path, kind });
            return;
        }
        let width = width as u32;
        let (name, range) = named(name, width, range);
        let is_lost_mark = self.is_lost_mark(&name);
        self.bits.add(source, Variable { scope, name: name.into(), width, range, first: 0, is_lost_mark });
    }

    /// After each line that `linewake` wrote comes a wire that says when its edges were lost.
    fn is_lost_mark(&self, name: &str) -> bool {
        let last = self.bits.variables.last().filter(|last| self.is_ours() && !last.is_lost_mark);
        let rest = last.and_then(|line| name.strip_prefix(&*line.name));
        rest.is_some_and(|rest| rest.starts_with("_lost"))
    }
}

/// Parses `7:0`, or `3`, which means from 3 to 3.
pub(crate) fn range_of(text: &str) -> Option<(i64, i64)> {
    let number = |text: &str| text.trim().parse::<i64>().ok();
    match text.split_once(':') {
        Some((left, right)) => Some((number(left)?, number(right)?)),
        None => number(text).map(|only| (only, only)),
    }
}

/// The name of a variable, and the numbers of its bits. A range after the name gives the bits if it has as many; the
/// number of a single bit stays in the name.
fn named(text: &str, width: u32, range: Option<(i64, i64)>) -> (String, Option<(i64, i64)>) {
    let text = unescaped(text);
    let counted = (i64::from(width) - 1, 0);
    let tail = text.strip_suffix(']').and_then(|before| before.rsplit_once('['));
    let tail = tail.and_then(|(name, inner)| Some((name.trim_end(), range_of(inner)?, inner.contains(':'))));
    match tail {
        Some((name, (left, right), is_range)) if !name.is_empty() => {
            if width == 1 && left == right {
                return (format!("{name}[{left}]"), None);
            }
            if is_range && left.abs_diff(right).checked_add(1) == Some(width.into()) {
                return (name.to_owned(), Some((left, right)));
            }
            // This is the number of a word in a memory.
            let name = if is_range { name.to_owned() } else { format!("{name}[{left}]") };
            (name, range.or((width > 1).then_some(counted)))
        }
        _ if width == 1 => match range {
            Some((bit, _)) => (format!("{text}[{bit}]"), None),
            None => (text.to_owned(), None),
        },
        _ => (text.to_owned(), range.or(Some(counted))),
    }
}

/// The backslash before a name with unusual characters does not belong to the name (IEEE 1364-2005, 3.7.1).
pub(crate) fn unescaped(name: &str) -> &str {
    name.strip_prefix('\\').filter(|name| !name.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_after_a_name_numbers_the_bits_if_it_has_as_many() {
        for (text, width, name, range) in [
            ("a", 1, "a", None),
            ("a", 8, "a", Some((7, 0))),
            ("a [3]", 1, "a[3]", None),
            ("a[3:3]", 1, "a[3]", None),
            ("a [7:0]", 8, "a", Some((7, 0))),
            ("a[0:7]", 8, "a", Some((0, 7))),
            ("a [3 : 0]", 4, "a", Some((3, 0))),
            ("a[-1:-4]", 4, "a", Some((-1, -4))),
            ("mem[5]", 8, "mem[5]", Some((7, 0))),
            ("mem[5] [7:0]", 8, "mem[5]", Some((7, 0))),
            ("mem[0][1]", 1, "mem[0][1]", None),
            ("a[7:0]", 4, "a", Some((3, 0))),
            ("\\a.b[0] [1:0]", 2, "a.b[0]", Some((1, 0))),
            ("Channel 0", 1, "Channel 0", None),
            ("[3]", 1, "[3]", None),
            ("a[b]", 1, "a[b]", None),
            ("a[9223372036854775807:-9223372036854775808]", 2, "a", Some((1, 0))),
        ] {
            assert_eq!(named(text, width, None), (name.to_owned(), range), "{text:?} of {width}");
        }
        assert_eq!(named("a", 1, Some((0, 0))), ("a[0]".to_owned(), None));
        assert_eq!(named("a", 2, Some((5, 4))), ("a".to_owned(), Some((5, 4))));
    }
}
