//! The words of a dump, as this module reads and shows them.

use crate::error::Error;
use crate::text::Text;

/// The error for the last word.
pub(super) fn wrong(name: &str, text: &Text, what: impl std::fmt::Display) -> Error {
    Error::new(format!("{name}:{}: {what}", text.line()))
}

/// Goes to the next word. Returns whether there is one.
#[inline]
pub(super) fn next(name: &str, text: &mut Text) -> Result<bool, Error> {
    text.next().map_err(|error| wrong(name, text, error))
}

/// A word as messages show it: at most 40 characters.
pub(super) fn shown(word: &[u8]) -> String {
    let text = crate::text::decoded(word);
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
