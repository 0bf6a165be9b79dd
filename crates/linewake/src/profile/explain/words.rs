//! Formatting that several parts of an explanation use.

use std::fmt;

use super::super::field::Field;
use super::super::wait::End;

/// `1 line`, `2 lines`
pub(super) fn plural(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The ends of a wait, as a list.
pub(super) fn ends(ends: &[End]) -> String {
    let words: Vec<_> = ends.iter().map(|end| format!("\"{}\"", end.word())).collect();
    words.join(" or ")
}

/// Prints the place of a field.
pub(super) struct Where<'a>(pub(super) &'a Field);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { at, width, bits, .. } = *self.0;
        match width {
            1 => write!(f, "byte {at}")?,
            _ => write!(f, "bytes {at} to {}", at + width - 1)?,
        }
        match bits {
            None => Ok(()),
            Some((bit, 1)) => write!(f, " bit {bit}"),
            Some((first, bits)) => write!(f, " bits {first} to {}", first + bits - 1),
        }
    }
}

/// `7`, or `7 or 9`
pub(super) fn either(numbers: &[u64]) -> String {
    let words: Vec<_> = numbers.iter().map(u64::to_string).collect();
    words.join(" or ")
}
